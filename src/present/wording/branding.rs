//! What a customer's summary says of whoever makes it: a title above it, a picture beside that, a line below it. They come
//! from the settings, and stand in the page, the mail, the text and the Markdown alike.

use super::clean::is_shown;
use serde::Serialize;

/// Title, logo and footer of one customer. The default has none, and changes nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Branding {
    /// A line above the summary's own title.
    pub title: Option<String>,
    /// A picture beside it: in HTML only.
    pub logo: Option<Logo>,
    /// The last line.
    pub footer: Option<String>,
}

/// A picture whose kind and size were checked when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logo {
    /// As `image/png`. Few mail programs show `image/svg+xml`.
    pub media_type: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// The same as a `data:` URI, for `<img src>`: a script in an SVG does not run there.
    pub data_uri: String,
}

/// The same as a page shows it; what is not there is empty.
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

/// The reader's own words, whole, but on one line and without what steers a terminal.
fn shown(text: Option<&str>) -> String {
    let text = text.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    text.chars().filter(|char| is_shown(*char)).collect()
}
