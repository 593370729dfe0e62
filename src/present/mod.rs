//! Answers in, bytes out: text for a terminal, Markdown, HTML, JSON and CSV. The last step, and the cleaning step.
//!
//! In: a finished answer of `analyse`, and a [`Style`]. Out: a `String`. It computes nothing that is not about looks, and
//! shows no stranger's text that has not gone through [`clean`]. `page` puts a summary into words once; text, Markdown and
//! HTML lay the same page out.

mod chart;
pub mod clean;
mod csv;
mod html;
mod json;
#[cfg(feature = "dns")]
mod letter;
mod markdown;
mod numbers;
mod page;
#[cfg(feature = "dns")]
mod posture;
mod text;
mod words;

pub use csv::csv;
pub use html::html;
pub use json::json;
#[cfg(feature = "dns")]
pub use letter::letter;
pub use markdown::markdown;
#[cfg(feature = "dns")]
pub use posture::posture;
pub use text::text;

/// How a rendering should look. Only text depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Columns of the terminal: less than 80 counts as 80.
    pub width: u16,
    /// Plain ASCII only.
    pub ascii: bool,
    /// ANSI colours. The text says the same without them.
    pub color: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: 80, ascii: false, color: false }
    }
}
