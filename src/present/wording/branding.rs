//! The branding of a customer's summary: title, logo and footer from the settings, used in the page, the mail, text and
//! Markdown.

use super::clean::is_shown;
use serde::Serialize;

/// Title, logo and footer of one customer. The default has none, and changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Branding {
    /// A line above the summary's title.
    pub title: Option<String>,
    /// A logo next to it, in HTML only.
    pub logo: Option<Logo>,
    /// The last line.
    pub footer: Option<String>,
}

/// A picture whose type and size were checked when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logo {
    /// The media type, such as `image/png`. Few mail programs show `image/svg+xml`.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// The same as a `data:` URI, for `<img src>`: a script in an SVG does not run there.
    pub data_uri: String,
}

/// The branding for a page; missing parts are empty.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Brand {
    pub(crate) title: String,
    pub(crate) logo: String,
    pub(crate) footer: String,
}

impl From<&Branding> for Brand {
    fn from(branding: &Branding) -> Self {
        Self {
            title: shown(branding.title.as_deref()),
            logo: branding.logo.as_ref().map_or_else(String::new, |logo| logo.data_uri.clone()),
            footer: shown(branding.footer.as_deref()),
        }
    }
}

/// The user's text, complete, but on one line and without control characters.
fn shown(text: Option<&str>) -> String {
    let text = text.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().filter(|char| is_shown(*char)).collect()
}
