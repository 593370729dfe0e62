//! The page as one HTML file without scripts or external resources, for light and dark screens and paper. The templates
//! write the markup and escape all values.

use crate::analyze::Summary;
use crate::present::page::summary::page;
use crate::present::wording::branding::Branding;
use crate::present::wording::numbers::{count, counted};
use crate::present::wording::words;
use minijinja::{
    AutoEscape, Environment, Output, State, Value, context, escape_formatter, syntax::SyntaxConfig, value::Serde,
};
use std::sync::LazyLock;

/// The HTML form.
///
/// # Panics
/// Never: the template is part of the program, and tested.
pub fn html(summary: &Summary, branding: &Branding) -> String {
    let page = page(summary, branding);
    rendered("page.html", context! { page => Serde(&page) })
}

/// Renders a template.
pub(crate) fn rendered(template: &str, values: Value) -> String {
    let template = ENVIRONMENT.get_template(template).expect("it was added below");
    template.render(values).expect("the templates are tested")
}

/// All templates. Parsing them takes longer than rendering one.
static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_syntax(block_lines());
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_formatter(escaped);
    environment.add_global("css", include_str!("templates/page.css"));
    let styled = "<span class=\"nb\">";
    environment.add_filter("soft", move |text: &str| Value::from_safe_string(soft(text, LONG, styled)));
    environment.add_filter("tight", move |text: &str| Value::from_safe_string(soft(text, TIGHT, styled)));
    environment.add_filter("grouped", count);
    environment.add_filter("capital", words::capital);
    environment.add_filter("counted", |number: u64, one: &str, many: &str| counted(number, one, many));
    // Style sheets do not apply in mails.
    let whole = "<span style=\"white-space:nowrap\">";
    environment.add_filter("mailed", move |text: &str| Value::from_safe_string(soft(text, LONG, whole)));
    for (name, source) in [
        ("page.html", include_str!("templates/page.html.j2")),
        ("parts.html", include_str!("templates/parts.html.j2")),
        ("mail.html", include_str!("templates/mail.html.j2")),
        ("frame.html", include_str!("templates/frame.html.j2")),
        ("index.html", include_str!("templates/index.html.j2")),
        ("domain.html", include_str!("templates/domain.html.j2")),
        ("sender.html", include_str!("templates/sender.html.j2")),
        ("feed.html", include_str!("templates/feed.html.j2")),
        ("overview.html", include_str!("overview.html.j2")),
    ] {
        environment.add_template(name, source).expect("the templates are tested");
    }
    environment
});

/// Writes a value, escaping only markup: slashes in links are kept.
fn escaped(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), minijinja::Error> {
    match value.as_str().filter(|_| !value.is_safe()) {
        Some(text) => {
            let mut html = String::with_capacity(text.len());
            text.chars().for_each(|char| escape(char, &mut html));
            out.write_str(&html)
                .map_err(|_| minijinja::Error::new(minijinja::ErrorKind::WriteFailure, "a string takes all"))
        }
        None => escape_formatter(out, state, value),
    }
}

/// Lines that only contain a template tag do not appear in the output.
pub(crate) fn block_lines() -> SyntaxConfig {
    let mut syntax = SyntaxConfig::builder();
    syntax.trim_blocks(true).lstrip_blocks(true);
    syntax.build().expect("the default delimiters are well-formed")
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Minimum length of a word that may be broken.
const LONG: usize = 20;

/// The same in table columns.
const TIGHT: usize = 11;

/// Text as HTML: escaped; names of `long` characters may break between their labels, and weeks as `2026-W47` do not break
/// at all, because they stand in a span that begins with `whole`.
fn soft(text: &str, long: usize, whole: &str) -> String {
    let mut html = String::with_capacity(text.len() + 16);
    let mut before = None;
    for word in text.split(' ') {
        // Do not separate a day from its month.
        let day = word.starts_with(|char: char| char.is_ascii_digit());
        match before {
            None => {}
            Some(month) if day && MONTHS.contains(&month) => html.push('\u{a0}'),
            Some(_) => html.push(' '),
        }
        before = Some(word);
        soft_word(word, long, whole, &mut html);
    }
    html
}

fn soft_word(word: &str, long: usize, span: &str, html: &mut String) {
    let length = word.chars().count();
    if length < long {
        let digit = |char: Option<char>| char.is_some_and(|char| char.is_ascii_digit());
        // No break at a hyphen next to a digit: weeks, dates, `4-week`.
        let whole = word.contains('-') && (digit(word.chars().next()) || word.contains("-W"));
        if whole {
            html.push_str(span);
        }
        word.chars().for_each(|char| escape(char, html));
        if whole {
            html.push_str("</span>");
        }
        return;
    }
    let mut chars = word.chars().peekable();
    let mut before = ' ';
    while let Some(char) = chars.next() {
        escape(char, html);
        let next = chars.peek().copied();
        // Browsers already break after hyphens.
        let breaks = !char.is_alphanumeric() && !matches!(char, '-' | '(' | '[' | '{' | '<' | '"' | '\'');
        // Not in addresses or decimals.
        let number = before.is_ascii_digit() && next.is_some_and(|next| next.is_ascii_digit()) && char != ':';
        if breaks
            && !number
            && next.is_some_and(|next| next.is_alphanumeric() || matches!(next, '_' | '<' | '(' | '[' | '{'))
        {
            html.push_str("<wbr>");
        }
        before = char;
    }
}

fn escape(char: char, html: &mut String) {
    match char {
        '<' => html.push_str("&lt;"),
        '>' => html.push_str("&gt;"),
        '&' => html.push_str("&amp;"),
        '"' => html.push_str("&quot;"),
        '\'' => html.push_str("&#x27;"),
        _ => html.push(char),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::{fixtures::Line, weeks};

    #[test]
    fn long_names_break_between_labels_and_addresses_never() {
        for (text, html) in [
            ("mail.billing.example.com", "mail.<wbr>billing.<wbr>example.<wbr>com"),
            ("192.0.2.0/24 as a.example.", "192.0.2.0/24 as a.example."),
            ("198.51.100.200/32", "198.51.100.200/32"),
            ("week 2026-W47, 4-week", "week <span class=\"nb\">2026-W47,</span> <span class=\"nb\">4-week</span>"),
            ("2001:db8:1111:2222::25", "2001:<wbr>db8:<wbr>1111:<wbr>2222::<wbr>25"),
            ("Thu, Nov 19 to", "Thu, Nov\u{a0}19 to"),
            ("<b>&'", "&lt;b&gt;&amp;&#x27;"),
            ("1,234,567,890.123", "1,234,567,890.123"),
        ] {
            assert_eq!(soft(text, TIGHT, "<span class=\"nb\">"), html, "{text}");
        }
    }

    #[test]
    fn a_page_of_hundreds_of_domains_stays_small() {
        let mut world = weeks::World::new();
        for number in 0..300 {
            let domain = format!("the-long-name-of-a-customer-{number:03}.example");
            world.add(-14..7, |day| Line::new(day, "192.0.2.10", 30).domain(&domain));
        }
        let size = html(&world.summary(), &Branding::default()).len();
        assert!(size < 300_000, "{size} bytes");
    }
}
