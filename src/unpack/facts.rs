//! Header fields of the outermost message, as written and bounded.
//!
//! None of them is trusted, with one exception: a `dmarc=fail` in the topmost `Authentication-Results` is, because
//! nobody forges a failure in their own favor. A pass is not, because anyone can write one.

use super::header::{Fields, unfold};
use super::results::{Results, without_comments_and_quotes};
use crate::model::{MailFacts, SenderAuth};

/// Reads them.
pub(super) fn facts(fields: &Fields) -> MailFacts {
    let text = |raw: Option<&[u8]>| raw.map(unfold).filter(|value| !value.is_empty());
    let authentication_results = text(fields.authentication_results);
    let failed = authentication_results.as_deref().is_some_and(|value| Results::of(value).dmarc_failed());
    MailFacts {
        message_id: text(fields.message_id),
        date: text(fields.date),
        from_domain: text(fields.from).filter(|_| fields.from_fields == 1).as_deref().and_then(only_domain),
        sender_auth: if failed { SenderAuth::Fail } else { SenderAuth::Unknown },
        authentication_results,
        attached: false,
    }
}

/// The domain of all addresses, in lower case; `None` if they have several.
fn only_domain(from: &str) -> Option<String> {
    let bare = without_comments_and_quotes(from);
    let in_brackets: Vec<&str> =
        bare.split('<').skip(1).map(|rest| rest.split('>').next().unwrap_or_default()).collect();
    let addresses = if in_brackets.is_empty() { bare.split(',').collect() } else { in_brackets };
    let mut domains = addresses.iter().filter_map(|address| {
        let (_, domain) = address.rsplit_once('@')?;
        let ends = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '>');
        domain.split(ends).next().filter(|domain| !domain.is_empty()).map(str::to_lowercase)
    });
    let first = domains.next()?;
    domains.all(|other| other == first).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::only_domain;

    #[test]
    fn from_has_a_domain_where_it_names_one_only() {
        for (from, domain) in [
            ("a@Example.NET", Some("example.net")),
            ("\"a@b <x\" (<c@d>) <Someone@Example.ORG>", Some("example.org")),
            ("a@example.net, B <b@example.net>", Some("example.net")),
            ("<a@example.net> <b@example.org>", None),
            ("a@example.net, b@example.org", None),
            ("group: a@example.net;", Some("example.net")),
            ("nobody", None),
        ] {
            assert_eq!(only_domain(from).as_deref(), domain, "{from}");
        }
    }
}
