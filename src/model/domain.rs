//! Domain names in the one form that can be compared.

use super::Text;

/// A domain in canonical form: A-labels, lower case, no final dot, never empty.
///
/// `normalize::domain` creates these; equal values are equal domains.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Text);

impl Domain {
    /// Takes text that is already canonical; the caller guarantees it.
    pub(crate) fn from_canonical(text: impl Into<Text>) -> Self {
        Self(text.into())
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// `envelope_from`: the domain of RFC5321.MailFrom. A null return path and a report that does not say are different
/// things.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub enum ReturnPath {
    /// The report does not say (Google, Yahoo and mail.ru never do). Null in the column.
    #[default]
    Unsaid,
    /// The null return path `<>` of bounces. Empty text in the column.
    Null,
    /// The domain after the `@`.
    Domain(Domain),
}
