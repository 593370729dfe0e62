//! Explains TOML syntax errors in words: what to change, not which rule of the grammar was broken.
//!
//! Never shows a value: a secret may stand there by mistake.

use std::ops::Range;

/// A syntax error, explained.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SyntaxFault {
    /// Where it is: an offset in the text.
    pub(super) place: usize,
    /// What is wrong.
    pub(super) what: String,
    /// What to write instead.
    pub(super) hint: Option<String>,
}

/// Explains the parser's errors: the first of each line, and none after a list, table or heading that is not closed,
/// because those only follow from it.
pub(super) fn explained(text: &str, errors: &[toml::de::Error]) -> Vec<SyntaxFault> {
    let mut faults: Vec<SyntaxFault> = Vec::new();
    let mut lines = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let line = Line::around(text, span.start);
        if lines.contains(&line.start) {
            continue;
        }
        lines.push(line.start);
        let (fault, is_last) = explain(text, &line, &span, error.message());
        faults.push(fault);
        if is_last {
            break;
        }
    }
    faults
}

/// The line that an error is on.
#[derive(Clone, Copy)]
struct Line<'a> {
    start: usize,
    text: &'a str,
}

impl<'a> Line<'a> {
    /// `key: `, for the start of a message; empty if the line is no assignment.
    fn prefix(&self) -> String {
        self.assignment().map(|(key, _)| format!("{key}: ")).unwrap_or_default()
    }

    fn around(text: &'a str, place: usize) -> Self {
        let place = (0..=place.min(text.len())).rev().find(|place| text.is_char_boundary(*place)).unwrap_or(0);
        let start = text[..place].rfind('\n').map_or(0, |end| end + 1);
        let end = text[place..].find('\n').map_or(text.len(), |length| place + length);
        Self { start, text: &text[start..end] }
    }

    /// The last line with content before this one.
    fn before(&self, text: &'a str) -> Option<Self> {
        let mut line = Self::around(text, self.start.checked_sub(1)?);
        while matches!(line.text.trim_start().chars().next(), None | Some('#')) {
            line = Self::around(text, line.start.checked_sub(1)?);
        }
        Some(line)
    }

    /// The key and the value, if the line reads `key = value`.
    fn assignment(&self) -> Option<(&'a str, &'a str)> {
        let (key, value) = self.text.split_once('=')?;
        let key = key.trim();
        is_bare(key).then(|| (key, value.trim()))
    }

    /// The name in a heading, `[name]` or `[[name]]`, complete or not.
    fn heading(&self) -> Option<&'a str> {
        let name = self.text.trim_start().strip_prefix('[')?.trim_start_matches('[');
        let name = name.split([']', '#', ' ', '\r']).next()?;
        is_bare(name).then_some(name)
    }
}

/// Whether a text is a key without quotes, short enough to be shown.
fn is_bare(key: &str) -> bool {
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.');
    (1..=40).contains(&key.len()) && key.chars().all(plain)
}

/// Explains an error, and says whether those after it only follow from it.
fn explain(text: &str, line: &Line<'_>, span: &Range<usize>, message: &str) -> (SyntaxFault, bool) {
    let (kind, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let assignment = line.assignment();
    let name = line.prefix();
    let key = assignment.map_or("key", |(key, _)| key);
    let fault = |what: &str, hint: String| SyntaxFault {
        place: span.start,
        what: format!("{name}{what}"),
        hint: (!hint.is_empty()).then_some(hint),
    };
    let heading = line.heading().unwrap_or("name");
    let rest = text.get(span.start..).unwrap_or_default().lines().next().unwrap_or_default();
    let one = |fault| (fault, false);
    match (kind, expected) {
        // A name that begins like `inf`, `nan` or a number is taken for one.
        ("string values must be quoted" | "invalid boolean" | "invalid float" | "invalid exponent", _) => {
            one(unquoted(line, rest, &fault))
        }
        ("invalid date" | "invalid time", _) => one(fault(
            "expected a date such as 2026-11-29, or a text in quotes, found neither",
            format!("write {key} = 2026-11-29 or {key} = \"...\""),
        )),
        ("invalid basic string", "`\"`") | ("invalid literal string", "`'`") => {
            let quote = expected.trim_matches('`');
            one(fault(
                &format!("expected a closing quote ({quote}), found the end of the line"),
                format!("put the value in quotes: {key} = {quote}...{quote}"),
            ))
        }
        ("invalid multi-line basic string" | "invalid multi-line literal string", _) => {
            (fault("expected three closing quotes, found the end of the file", String::new()), true)
        }
        ("missing escaped value", _) => one(fault(
            "expected \\\\ for a backslash, found one alone",
            format!("in single quotes a backslash stands for itself: {key} = '...'"),
        )),
        ("unclosed array table", _) => {
            let what = format!("expected [[{heading}]], found it without ]] at its end");
            (SyntaxFault { place: line.start, what, hint: None }, true)
        }
        ("unclosed table", _) => {
            let what = format!("expected [{heading}], found it without ] at its end");
            (SyntaxFault { place: line.start, what, hint: None }, true)
        }
        ("missing comma between array elements" | "unexpected `=` in array" | "unclosed array", _) => {
            open_list(text, line, span, kind == "unclosed array")
        }
        ("unclosed inline table", _) => (fault("expected } at the end of the table, found none", String::new()), true),
        ("extra comma in array" | "extra comma in inline table", _) => {
            one(fault("expected a value between two commas, found none", String::new()))
        }
        ("key with no value", _) => one(no_value(line, span)),
        ("missing value for key" | "missing value", _) => {
            one(fault("expected a value after =, found none", format!("write it as {key} = \"...\"")))
        }
        ("extra `=`", _) => one(fault("expected one =, found two", String::new())),
        ("unexpected key or value", _) => one(after_value(line, span, rest, &fault)),
        ("duplicate key", _) => {
            let is_heading = line.text.trim_start().starts_with('[');
            let what = if is_heading {
                format!("[{heading}]: expected once in the file, found again")
            } else {
                format!("{name}expected once, found again")
            };
            let hint = "keep one of them, with all that belongs to it".to_owned();
            (SyntaxFault { place: span.start, what, hint: Some(hint) }, is_heading)
        }
        ("unexpected leading zero", _) => {
            one(fault("expected a number without zeros before it, found one with", String::new()))
        }
        ("invalid unquoted key" | "unquoted keys cannot be empty", _) => one(SyntaxFault {
            place: span.start,
            what: "expected the name of a key (letters, digits, - and _), found something else".to_owned(),
            hint: Some("a line reads `key = value` or `[table]`, and a comment begins with #".to_owned()),
        }),
        ("missing table open", _) => one(SyntaxFault {
            place: span.start,
            what: "expected a line as `key = value` or `[table]`, found a bracket that closes nothing".to_owned(),
            hint: None,
        }),
        _ => one(fault(&format!("expected TOML, found: {message}"), String::new())),
    }
}

/// Explains a value without quotes.
fn unquoted(line: &Line<'_>, rest: &str, fault: &impl Fn(&str, String) -> SyntaxFault) -> SyntaxFault {
    let (key, value) = line.assignment().unwrap_or(("key", "..."));
    let word = rest.split([' ', '\t', ',', ']', '#', '\r']).next().unwrap_or_default();
    match word.to_ascii_lowercase().as_str() {
        _ if value.is_empty() || value.starts_with('#') => {
            fault("expected a value after =, found none", format!("write it as {key} = \"...\""))
        }
        "true" | "false" => fault(
            "expected true or false in lower case, found it otherwise",
            format!("write {key} = {}", word.to_ascii_lowercase()),
        ),
        "yes" | "no" | "on" | "off" => fault(
            "expected true, false or a text in quotes, found a word without quotes",
            format!("write {key} = true or {key} = false"),
        ),
        _ if word.starts_with(['\u{201c}', '\u{201d}', '\u{201e}', '\u{2018}', '\u{2019}', '\u{ab}', '\u{bb}']) => {
            fault("expected straight quotes, found typographic ones", format!("write it as {key} = \"...\""))
        }
        _ if value.starts_with('[') => {
            fault("expected each value in quotes, found one without", format!("write it as {key} = [\"...\", \"...\"]"))
        }
        _ => {
            fault("expected the value in quotes, found it without", format!("put the value in quotes: {key} = \"...\""))
        }
    }
}

/// Explains a list that lacks a comma or its closing bracket. Where the next line begins something else, the bracket is
/// missing at the end of the line before it.
fn open_list(text: &str, line: &Line<'_>, span: &Range<usize>, is_end: bool) -> (SyntaxFault, bool) {
    let next_begins = line.assignment().is_some_and(|(_, value)| !value.starts_with('[')) || line.heading().is_some();
    let last = if next_begins || line.text.trim().is_empty() { line.before(text) } else { None };
    if !is_end && last.is_none() {
        let name = line.prefix();
        let what = format!("{name}expected a comma between the values of the list, found none");
        return (SyntaxFault { place: span.start, what, hint: None }, false);
    }
    let last = last.unwrap_or(*line);
    let name = last.prefix();
    let what = format!("{name}expected ] at the end of the list, found none");
    (SyntaxFault { place: last.start, what, hint: None }, true)
}

/// Explains a line that sets nothing.
fn no_value(line: &Line<'_>, span: &Range<usize>) -> SyntaxFault {
    let start = line.text.trim_start();
    let (what, hint) = if start.starts_with("//") || start.starts_with(';') {
        ("expected `key = value`, found a comment of another language", "a comment begins with #")
    } else if start.split_once(':').is_some_and(|(key, _)| is_bare(key.trim())) {
        ("expected = after the key, found a colon", "write it as key = \"...\"")
    } else if start.split_once('=').is_some_and(|(key, _)| key.trim().contains(' ')) {
        ("expected one word before =, found several", "names of keys are written with _ instead of spaces")
    } else {
        ("expected = and a value after the key, found neither", "write it as key = \"...\"")
    };
    SyntaxFault { place: span.start, what: what.to_owned(), hint: Some(hint.to_owned()) }
}

/// Explains what follows a value or a heading on its line.
fn after_value(
    line: &Line<'_>,
    span: &Range<usize>,
    rest: &str,
    fault: &impl Fn(&str, String) -> SyntaxFault,
) -> SyntaxFault {
    if line.text.trim_start().starts_with('[') {
        let what = "expected nothing after the heading, found more text".to_owned();
        let hint = "a heading stands alone on its line: [smtp], or [[mailbox]] for what may be repeated".to_owned();
        return SyntaxFault { place: span.start, what, hint: Some(hint) };
    }
    match rest.chars().next() {
        Some(sign @ (',' | ';')) => fault(&format!("expected nothing after the value, found `{sign}`"), String::new()),
        _ => fault(
            "expected nothing after the value, found more text",
            "quotes go around the whole value, and each key has a line of its own".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::explained;
    use toml::de::DeTable;

    fn told(text: &str) -> Vec<String> {
        let (_, errors) = DeTable::parse_recoverable(text);
        let faults = explained(text, &errors).into_iter();
        let line = |place: usize| text.get(..place).map_or(0, |before| before.matches('\n').count() + 1);
        faults.map(|fault| format!("{} {}|{}", line(fault.place), fault.what, fault.hint.unwrap_or_default())).collect()
    }

    #[test]
    fn each_mistake_is_explained_once_and_at_its_line() {
        for (text, expected) in [
            (
                "store = /var/lib/dmarquet\n",
                "1 store: expected the value in quotes, found it without|put the value in quotes: store = \"...\"",
            ),
            (
                "store = \"/var/lib\nverify = true\n",
                "1 store: expected a closing quote (\"), found the end of the line|put the value in quotes: store = \"...\"",
            ),
            (
                "store = '/var/lib\n",
                "1 store: expected a closing quote ('), found the end of the line|put the value in quotes: store = '...'",
            ),
            (
                "[smtp]\nhost = imap.example.com\n",
                "2 host: expected the value in quotes, found it without|put the value in quotes: host = \"...\"",
            ),
            (
                "store = 192.0.2.7\n",
                "1 store: expected the value in quotes, found it without|put the value in quotes: store = \"...\"",
            ),
            (
                "date = 2026-1-1\n",
                "1 date: expected a date such as 2026-11-29, or a text in quotes, found neither|write date = 2026-11-29 or date = \"...\"",
            ),
            ("store = \n", "1 store: expected a value after =, found none|write it as store = \"...\""),
            (
                "store = \u{201c}/var\u{201d}\n",
                "1 store: expected straight quotes, found typographic ones|write it as store = \"...\"",
            ),
            (
                "verify = True\n",
                "1 verify: expected true or false in lower case, found it otherwise|write verify = true",
            ),
            (
                "verify = yes\n",
                "1 verify: expected true, false or a text in quotes, found a word without quotes|write verify = true or verify = false",
            ),
            ("\n[[mailbox]\nhost = \"x\"\n", "2 expected [[mailbox]], found it without ]] at its end|"),
            ("[smtp\nhost = \"x\"\n", "1 expected [smtp], found it without ] at its end|"),
            (
                "domains = [\"a.example\", \"b.example\"\n\nverify = true\nstore = x\n",
                "1 domains: expected ] at the end of the list, found none|",
            ),
            ("domains = [\"a.example\"\n[smtp]\n", "1 domains: expected ] at the end of the list, found none|"),
            ("domains = [\"a.example\"", "1 domains: expected ] at the end of the list, found none|"),
            (
                "domains = [\"a.example\" \"b.example\"]\n",
                "1 domains: expected a comma between the values of the list, found none|",
            ),
            (
                "domains = [a.example, b.example]\n",
                "1 domains: expected each value in quotes, found one without|write it as domains = [\"...\", \"...\"]",
            ),
            ("verify: true\n", "1 expected = after the key, found a colon|write it as key = \"...\""),
            ("verify true\n", "1 expected = and a value after the key, found neither|write it as key = \"...\""),
            ("// words\n", "1 expected `key = value`, found a comment of another language|a comment begins with #"),
            (
                "move to = 1\n",
                "1 expected one word before =, found several|names of keys are written with _ instead of spaces",
            ),
            (
                "store = \"a\" b\n",
                "1 store: expected nothing after the value, found more text|quotes go around the whole value, and each key has a line of its own",
            ),
            ("store = \"a\";\n", "1 store: expected nothing after the value, found `;`|"),
            (
                "[smtp]]\n",
                "1 expected nothing after the heading, found more text|a heading stands alone on its line: [smtp], or [[mailbox]] for what may be repeated",
            ),
            ("store == \"a\"\n", "1 store: expected one =, found two|"),
            (
                "store = \"a\"\nstore = \"b\"\n",
                "2 store: expected once, found again|keep one of them, with all that belongs to it",
            ),
            (
                "[smtp]\nhost = \"a\"\n[smtp]\nhost = \"b\"\n",
                "3 [smtp]: expected once in the file, found again|keep one of them, with all that belongs to it",
            ),
            ("port = 0993\n", "1 port: expected a number without zeros before it, found one with|"),
            ("smtp = { host = \"a\"\n", "1 smtp: expected } at the end of the table, found none|"),
            (
                "store = \"C:\\data\"\n",
                "1 store: expected \\\\ for a backslash, found one alone|in single quotes a backslash stands for itself: store = '...'",
            ),
            ("]\n", "1 expected a line as `key = value` or `[table]`, found a bracket that closes nothing|"),
        ] {
            assert_eq!(told(text), [expected], "{text:?}");
        }
    }

    #[test]
    fn a_value_is_never_shown() {
        for text in
            ["password = hunter2\n", "hunter2\n", "password = \"hunter2\n", "password: hunter2\n", "a = [hunter2\n"]
        {
            let told = told(text).concat();
            assert!(!told.is_empty() && !told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn any_cut_of_a_file_is_explained_within_it() {
        let text = "store = \"ä\"\n# “x”\n[[mailbox]]\nfolders = [\"a\",\n  'b']\nx = { y = \"\"\"\n\"\"\" }\r\n";
        for (end, _) in text.char_indices() {
            for begin in (0..end).filter(|begin| text.is_char_boundary(*begin)) {
                told(&text[begin..end]);
            }
        }
    }
}
