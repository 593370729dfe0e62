//! Untrusted text from reports: kept as it is, and cleaned before it is shown.

use crate::model::Text;
use serde::{Serialize, Serializer};

/// Text from a report. It deliberately has no `Display`: only `present::clean` makes it fit to be shown, so a rendering
/// that forgets to clean it does not compile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Foreign(Text);

impl Foreign {
    /// The text as written, for comparisons. It must be cleaned before it is shown.
    pub fn as_written(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Text>> From<T> for Foreign {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

/// As written: JSON has its own escapes, and `present::json` writes those characters as escapes too.
impl Serialize for Foreign {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}
