//! Text that a stranger wrote: kept as it is, shown by nobody who has not cleaned it.

use crate::model::Text;
use serde::{Serialize, Serializer};

/// Text out of a report. It has no `Display` on purpose: only `present::clean` makes it fit to be shown, so a rendering
/// that forgets to clean does not compile.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Foreign(Text);

impl Foreign {
    /// The text as it was written. For comparing; whoever shows it must clean it.
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
