//! The formats of output.

use clap::ValueEnum;

/// Text for people, or JSON for programs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// Formats of a summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum SummaryForm {
    /// For a terminal.
    #[default]
    Text,
    /// For a ticket.
    Markdown,
    /// One page, without scripts or outside requests.
    Html,
    /// Every number.
    Json,
    /// The sources.
    Csv,
}

impl SummaryForm {
    /// The file extension.
    pub(crate) const fn extension(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Markdown => "md",
            Self::Html => "html",
            Self::Json => "json",
            Self::Csv => "csv",
        }
    }
}
