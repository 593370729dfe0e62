//! What only the mail around a report knows.
//!
//! Comes in: the fields of the outermost message. Goes out: [`MailFacts`], as written and bounded. Must not: trust any
//! of it. A `dmarc=fail` in the topmost `Authentication-Results` is taken at its word, because nobody forges a fail in
//! his own favour; a pass is not, because anybody can write one.

use super::header::{Fields, unfold};
use crate::model::{MailFacts, SenderAuth};

/// Read them.
pub(super) fn facts(fields: &Fields) -> MailFacts {
    let text = |raw: Option<&[u8]>| raw.map(unfold).filter(|value| !value.is_empty());
    let authentication_results = text(fields.authentication_results);
    let failed = authentication_results.as_deref().is_some_and(dmarc_failed);
    MailFacts {
        message_id: text(fields.message_id),
        date: text(fields.date),
        from_domain: text(fields.from).as_deref().and_then(first_domain),
        sender_auth: if failed { SenderAuth::Fail } else { SenderAuth::Unknown },
        authentication_results,
    }
}

/// Whether the results (RFC 8601 section 2.2) say `dmarc=fail`, outside comments and quoted text.
fn dmarc_failed(results: &str) -> bool {
    let bare = without_comments_and_quotes(results).to_ascii_lowercase();
    bare.split(';').any(|result| {
        let spaced = result.replace('=', " = ");
        let tokens: Vec<&str> = spaced.split_ascii_whitespace().collect();
        // A method, not the value of a property.
        let method = |at: usize| matches!(tokens[at], "dmarc" | "dmarc/1") && (at == 0 || tokens[at - 1] != "=");
        (0..tokens.len()).any(|at| method(at) && matches!(tokens[at + 1..], ["=", "fail", ..]))
    })
}

/// The text with comments (which nest) and quoted strings replaced by a space.
fn without_comments_and_quotes(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let (mut depth, mut quoted) = (0_u32, false);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if depth > 0 || quoted => drop(characters.next()),
            '"' if depth == 0 => {
                quoted = !quoted;
                bare.push(' ');
            }
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth > 0 => {
                depth -= 1;
                bare.push(' ');
            }
            _ if depth == 0 && !quoted => bare.push(character),
            _ => {}
        }
    }
    bare
}

/// The domain of the first address, in lower case.
fn first_domain(from: &str) -> Option<String> {
    let bare = without_comments_and_quotes(from);
    let address = match bare.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or_default(),
        None => bare.split(',').next().unwrap_or_default(),
    };
    let (_, domain) = address.rsplit_once('@')?;
    let domain: String = domain.chars().take_while(|c| !c.is_whitespace() && !matches!(c, ',' | ';' | '>')).collect();
    (!domain.is_empty()).then(|| domain.to_lowercase())
}
