//! How a rendering should look.

/// How a rendering should look. Only text depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Columns of the terminal: less than 80 counts as 80.
    pub width: u16,
    /// Plain ASCII only.
    pub ascii: bool,
    /// ANSI colors. The text has the same content without them.
    pub color: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: 80, ascii: false, color: false }
    }
}
