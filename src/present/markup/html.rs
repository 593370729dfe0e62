//! The page as one HTML file: no scripts, nothing from elsewhere, light and dark, for screens, paper and mail. The template
//! writes the markup and escapes all that is put into it.

use super::chart::chart;
use crate::analyze::Summary;
use crate::present::page::summary::page;
use crate::present::wording::branding::Branding;
use crate::present::wording::style::Style;
use minijinja::{AutoEscape, Environment, context, syntax::SyntaxConfig, value::Serde};

/// The HTML form.
///
/// # Panics
/// Never: the template is part of the program, and tested.
pub fn html(summary: &Summary, branding: &Branding, _style: &Style) -> String {
    let mut environment = Environment::new();
    environment.set_syntax(block_lines());
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("summary.html", include_str!("summary.html.j2")).expect("the template is tested");
    let template = environment.get_template("summary.html").expect("it was added above");
    let page = page(summary, branding);
    let charts: Vec<_> = page.domains.iter().map(|domain| chart(&domain.trend)).collect();
    let whole = chart(&page.trend);
    let html = template
        .render(context! { page => Serde(page), charts => Serde(charts), whole => Serde(whole) })
        .expect("the template is tested");
    // A figure stays on one line with its sign.
    html.replace(" %", "\u{a0}%")
}

/// A line that holds nothing but a tag of the template leaves no line behind.
pub(crate) fn block_lines() -> SyntaxConfig {
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    syntax.build().expect("the default delimiters are well-formed")
}
