//! Changes of DNS records as text.

use super::layout::line;
use crate::dns::lookup::name::is_within;
use crate::model::DnsChange;

/// One paragraph per change, oldest first, with `-` before what was there and `+` before what is there now.
pub fn dns_changes(changes: &[DnsChange], domain: Option<&str>) -> String {
    let mut text = String::new();
    if changes.is_empty() {
        let of = domain.map_or_else(String::new, |domain| format!(" of {domain}"));
        line(
            &mut text,
            0,
            &format!("No change{of} is known. Run `dmarquet check --all` daily to record what DNS contains."),
        );
    }
    for change in changes {
        let used = if domain.is_none() && !is_within(&change.name, &change.domain) {
            format!(" (used by {})", change.domain)
        } else {
            String::new()
        };
        let (day, kind) = (change.day(), change.kind());
        line(&mut text, 0, &format!("{day}  {} {} {kind}{used}", change.name, change.record_type));
        change.before.iter().for_each(|value| line(&mut text, 1, &format!("- {value}")));
        change.after.iter().for_each(|value| line(&mut text, 1, &format!("+ {value}")));
    }
    text
}
