//! What only the mail around a report knows.
//!
//! Comes in: the fields of the outermost message. Goes out: [`MailFacts`], as written and bounded. Must not: trust any
//! of it. A `dmarc=fail` in the topmost `Authentication-Results` is taken at its word, because nobody forges a fail in
//! his own favor; a pass is not, because anybody can write one.

use super::header::{Fields, unfold};
use super::results::{Results, without_comments_and_quotes};
use crate::model::{MailFacts, SenderAuth};

/// Read them.
pub(super) fn facts(fields: &Fields) -> MailFacts {
    let text = |raw: Option<&[u8]>| raw.map(unfold).filter(|value| !value.is_empty());
    let authentication_results = text(fields.authentication_results);
    let failed = authentication_results.as_deref().is_some_and(|value| Results::of(value).dmarc_failed());
    MailFacts {
        message_id: text(fields.message_id),
        date: text(fields.date),
        from_domain: text(fields.from).as_deref().and_then(first_domain),
        sender_auth: if failed { SenderAuth::Fail } else { SenderAuth::Unknown },
        authentication_results,
    }
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
