//! Answers in, bytes out: text for a terminal, Markdown, HTML, JSON and CSV. The last step, and the cleaning step.
//!
//! In: a finished answer of `analyze`, and a [`Style`]. Out: a `String`. It computes nothing that is not about looks, and
//! shows no stranger's text that has not gone through [`clean`]. `page` puts a summary into words once; text, Markdown and
//! HTML lay the same page out.

mod alert;
mod branding;
mod chart;
pub mod clean;
mod csv;
#[cfg(feature = "dns")]
mod dns_changes;
mod explain;
mod html;
mod json;
#[cfg(feature = "dns")]
mod letter;
mod markdown;
mod numbers;
mod page;
#[cfg(feature = "dns")]
mod posture;
#[cfg(feature = "dns")]
mod simulation;
mod text;
mod words;

pub use alert::{alert_action, alert_clean, alert_end, alert_text};
pub use branding::{Branding, Logo};
pub use csv::csv;
#[cfg(feature = "dns")]
pub use dns_changes::dns_changes;
pub use explain::explain;
pub use html::html;
pub use json::{SCHEMA, explanation as explain_json, json, write_json};
#[cfg(feature = "dns")]
pub use letter::letter;
pub use markdown::markdown;
#[cfg(feature = "dns")]
pub use posture::{posture, postures};
#[cfg(feature = "dns")]
pub use simulation::{SIMULATION_SCHEMA, json as simulation_json, text as simulation};
pub use text::text;

/// How a rendering should look. Only text depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    /// Columns of the terminal: less than 80 counts as 80.
    pub width: u16,
    /// Plain ASCII only.
    pub ascii: bool,
    /// ANSI colors. The text says the same without them.
    pub color: bool,
}

impl Default for Style {
    fn default() -> Self {
        Self { width: 80, ascii: false, color: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::{
        Summary,
        made::Line,
        weeks::{World, day},
    };
    use crate::model::Cause;

    const HOSTILE: &str =
        "<script>alert(1)</script>\u{1b}]0;x\u{7}\u{202e}|`*_[a](http://x.example)=1+1\u{9b}2J\"'&amp;";

    /// Hostile text wherever a reporter can put any.
    fn hostile() -> Summary {
        let mut world = World::new();
        for line in &mut world.lines {
            if line.reporter == "Yahoo" {
                line.reporter = HOSTILE.into();
            }
        }
        world.lines.retain(|line| !(line.reporter == HOSTILE && line.day.to_string() >= day(0)));
        world.add(0..6, |day| {
            let line = Line::new(day, "198.51.100.77", 50).dkim(HOSTILE, HOSTILE, "pass").spf(HOSTILE, "pass");
            line.verdict(0, Cause::AuthenticatedUnaligned)
        });
        world
            .lines
            .iter_mut()
            .filter(|line| line.source == "192.0.2.10".parse().ok())
            .for_each(|line| line.header_from = HOSTILE.into());
        world.summary()
    }

    #[test]
    fn hostile_text_is_inert_in_every_rendering() {
        let (summary, style) = (hostile(), Style::default());
        let renderings = [
            text(&summary, &Branding::default(), &style),
            markdown(&summary, &Branding::default(), &style),
            html(&summary, &Branding::default(), &style),
            json(&summary),
            csv(&summary),
        ];
        for rendering in &renderings {
            let wrong = rendering.chars().find(|char| !matches!(char, '\n' | '\r') && !clean::is_shown(*char));
            assert_eq!(wrong, None, "{rendering}");
        }
        let [text, markdown, html, _, _] = renderings;
        assert!(text.contains("<script>"), "the text says what was written");
        assert!(!html.contains("<script") && html.contains("&lt;script&gt;"), "{html}");
        assert!(
            !markdown.contains("<script")
                && !markdown.replace("\\]", "").contains("](")
                && !markdown.contains("http://"),
            "{markdown}"
        );
    }

    #[test]
    fn the_page_asks_for_nothing_from_elsewhere() {
        let html = html(&hostile(), &Branding::default(), &Style::default());
        for reach in ["src=", "href=", "url(", "@import", "<script", "<link", "<img", "<iframe", " onload"] {
            assert!(!html.contains(reach), "{reach}");
        }
    }

    #[test]
    fn no_data_is_no_data_in_every_rendering() {
        let summary = crate::analyze::Adder::new(&crate::analyze::Question::default()).finish();
        let (style, brand) = (Style::default(), Branding::default());
        let renderings =
            [text(&summary, &brand, &style), markdown(&summary, &brand, &style), html(&summary, &brand, &style)];
        for rendering in renderings {
            assert!(rendering.contains("No data") && !rendering.contains("0 %"), "{rendering}");
        }
        assert_eq!(csv(&summary).lines().count(), 1);
    }
}
