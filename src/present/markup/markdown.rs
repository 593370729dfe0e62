//! The page as Markdown, for example for a ticket. The environment escapes all values, so that untrusted text cannot
//! become markup.

use super::html::block_lines;
use crate::analyze::Summary;
use crate::present::page::summary::page;
use crate::present::wording::branding::Branding;
use minijinja::{AutoEscape, Environment, Output, State, Value, context, escape_formatter, value::Serde};

/// The Markdown form (`CommonMark` with tables).
///
/// # Panics
/// Never: the template is part of the program, and tested.
pub fn markdown(summary: &Summary, branding: &Branding) -> String {
    let mut environment = Environment::new();
    environment.set_syntax(block_lines());
    environment.set_auto_escape_callback(|_| AutoEscape::Custom("markdown".into()));
    environment.set_formatter(escaped);
    environment.add_template("page.md", include_str!("templates/page.md.j2")).expect("the template is tested");
    let template = environment.get_template("page.md").expect("it was added above");
    template.render(context! { page => Serde(page(summary, branding)) }).expect("the template is tested")
}

/// Writes a value, escaping every character that could be markup in Markdown or HTML.
fn escaped(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    if !matches!(state.auto_escape(), AutoEscape::Custom(_)) {
        return escape_formatter(out, state, value);
    }
    let mut text = String::new();
    for char in value.to_string().chars() {
        match char {
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '&' => text.push_str("&amp;"),
            '@' => text.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' | '$' => text.extend(['\\', char]),
            _ => text.push(char),
        }
    }
    // Many renderers turn bare URLs into links.
    let text = text.replace("://", "\\://").replace("www.", "www\\.");
    out.write_str(&text).map_err(|_| minijinja::Error::new(minijinja::ErrorKind::WriteFailure, "no room"))?;
    Ok(())
}
