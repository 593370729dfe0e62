//! Edits an SPF record: correct terms stay as written, and a mistake is repaired if only one repair is possible. If
//! there are several, the edit says why and changes nothing.

use super::record::{Mechanism, Qualifier, SpfRecord, TermKind, is_spf};
use std::net::{Ipv4Addr, Ipv6Addr};

/// A record as a list of terms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::dns) struct SpfEdit {
    terms: Vec<String>,
    /// What was changed, in sentences.
    pub(in crate::dns) changes: Vec<String>,
}

impl SpfEdit {
    /// Reads a record, damaged or not, repairs it, and leaves out repeated terms.
    ///
    /// # Errors
    ///
    /// Why no repair is certain, in a sentence.
    pub(in crate::dns) fn repair(text: &str) -> Result<Self, String> {
        let clean = unmarked(text);
        if !is_spf(&clean) {
            return Err(format!("`{text}` does not begin with v=spf1"));
        }
        let mut edit = Self::default();
        if clean != text.trim() {
            edit.changes.push("It leaves out the quotation marks and white space.".into());
        }
        let mut has_ended = false;
        for word in clean[6..].split(' ').filter(|word| !word.is_empty()) {
            if is_term(word) {
                has_ended |= is_all(word);
                edit.add(word);
                continue;
            }
            let mut repaired = Vec::new();
            for part in word.split(',').filter(|part| !part.is_empty()) {
                match repaired_term(part) {
                    Some(terms) => repaired.extend(terms),
                    // Receivers ignore everything after `all`.
                    None if has_ended => {}
                    None => return Err(format!("`{word}` has no certain repair")),
                }
            }
            let becomes = if repaired.is_empty() { "nothing".into() } else { format!("`{}`", repaired.join(" ")) };
            edit.changes.push(format!("`{word}` becomes {becomes}."));
            has_ended |= repaired.iter().any(|term| is_all(term));
            repaired.iter().for_each(|term| edit.add(term));
        }
        match SpfRecord::parse(&edit.text()).errors.first() {
            Some(error) => Err(format!("{error}, which has no certain repair")),
            None => Ok(edit),
        }
    }

    /// Merges records: the terms of all, and the mildest ending.
    ///
    /// # Errors
    ///
    /// If one of them has no certain repair, or they cannot be joined.
    pub(in crate::dns) fn merge(texts: &[String]) -> Result<Self, String> {
        let mut merged = Self::default();
        let mut endings = Vec::new();
        for text in texts {
            let edit = Self::repair(text)?;
            let record = SpfRecord::parse(&edit.text());
            if record.redirect().is_some() || record.explanation().is_some() {
                return Err("one of the records has redirect or exp, and a record can have only one".into());
            }
            endings.push(edit.ending().unwrap_or(Qualifier::Neutral));
            let end = edit.terms.iter().position(|term| is_all(term)).unwrap_or(edit.terms.len());
            edit.terms[..end].iter().for_each(|term| merged.add(term));
        }
        let ending = endings.into_iter().min().unwrap_or(Qualifier::SoftFail);
        merged.terms.push(all(ending).into());
        merged.changes = vec![format!("It has the terms of all the records and ends with {}.", all(ending))];
        Ok(merged)
    }

    /// Adds a term, unless it is already present.
    fn add(&mut self, term: &str) {
        let again =
            self.terms.iter().any(|other| other == term || (!term.contains('%') && other.eq_ignore_ascii_case(term)));
        if !again {
            self.terms.push(term.to_owned());
        } else if !is_all(term) {
            self.changes.push(format!("It leaves out the second `{term}`."));
        }
    }

    /// The qualifier of the first `all`.
    pub(in crate::dns) fn ending(&self) -> Option<Qualifier> {
        SpfRecord::parse(&self.text()).all()
    }

    /// Whether the record redirects to another domain.
    pub(in crate::dns) fn redirects(&self) -> bool {
        self.ending().is_none() && SpfRecord::parse(&self.text()).redirect().is_some()
    }

    /// Replaces the `all` at the end.
    pub(in crate::dns) fn end_with(&mut self, qualifier: Qualifier) {
        let new = all(qualifier);
        if let Some(term) = self.terms.iter_mut().find(|term| is_all(term)) {
            self.changes.push(format!("It ends with {new} instead of `{term}`."));
            new.clone_into(term);
        } else {
            self.changes.push(format!("It ends with {new}."));
            self.terms.push(new.into());
        }
    }

    /// Removes a term and says why.
    pub(in crate::dns) fn remove(&mut self, term: &str, why: &str) {
        self.terms.retain(|other| other != term);
        self.changes.push(format!("It leaves out `{term}`: {why}."));
    }

    /// The `ptr` terms.
    pub(in crate::dns) fn ptr_terms(&self) -> Vec<String> {
        let record = SpfRecord::parse(&self.text());
        let ptr = record.directives().filter(|(_, _, mechanism)| matches!(mechanism, Mechanism::Ptr(_)));
        ptr.map(|(term, ..)| term.text.clone()).collect()
    }

    /// The record.
    pub(in crate::dns) fn text(&self) -> String {
        let terms = self.terms.iter().map(|term| format!(" {term}"));
        format!("v=spf1{}", terms.collect::<String>())
    }
}

/// The record as its author meant it, as far as it can be read: invalid terms are left out.
pub(in crate::dns) fn readable(text: &str) -> String {
    let record = SpfRecord::parse(&unmarked(text));
    let terms = record.terms.iter().map(|term| format!(" {}", term.text));
    format!("v=spf1{}", terms.collect::<String>())
}

/// The terms up to `all` of an old record that a new one no longer has.
pub(in crate::dns) fn lost(old: &str, new: &str) -> Vec<String> {
    let (old, new) = (SpfRecord::parse(&readable(old)), SpfRecord::parse(new));
    let before_all = |record: &SpfRecord| {
        let end = |kind: &TermKind| matches!(kind, TermKind::Directive(_, Mechanism::All));
        record.terms.iter().position(|term| end(&term.kind)).unwrap_or(record.terms.len())
    };
    let kept = &new.terms[..before_all(&new)];
    old.terms[..before_all(&old)]
        .iter()
        .filter(|term| !kept.iter().any(|other| other.kind == term.kind))
        .map(|term| term.text.clone())
        .collect()
}

const fn all(qualifier: Qualifier) -> &'static str {
    match qualifier {
        Qualifier::Pass => "+all",
        Qualifier::Neutral => "?all",
        Qualifier::SoftFail => "~all",
        Qualifier::Fail => "-all",
    }
}

fn is_all(term: &str) -> bool {
    term.trim_start_matches(['+', '-', '~', '?']).eq_ignore_ascii_case("all")
}

fn is_term(word: &str) -> bool {
    SpfRecord::parse(&format!("v=spf1 {word}")).errors.is_empty()
}

/// The text without the marks that forms and word processors add.
fn unmarked(text: &str) -> String {
    let plain: String = text
        .chars()
        .filter(|c| !matches!(c, '"' | '\u{201c}' | '\u{201d}' | '\u{201e}'))
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .collect();
    plain.trim_matches(|c: char| c == ' ' || c == '\'' || c == '\u{2018}' || c == '\u{2019}').to_owned()
}

/// The valid terms that an invalid word was meant as, or `None`.
fn repaired_term(word: &str) -> Option<Vec<String>> {
    if is_term(word) {
        return Some(vec![word.to_owned()]);
    }
    if word.eq_ignore_ascii_case("v=spf1") {
        return Some(Vec::new());
    }
    for all in ["-all", "~all", "?all", "+all"] {
        if let Some(head) = word.strip_suffix(all) {
            let mut terms = if head.is_empty() { Vec::new() } else { repaired_term(head)? };
            terms.push(all.to_owned());
            return Some(terms);
        }
    }
    let (name, value) = word.split_once([':', '=']).unwrap_or(("", word));
    let is_address_term = ["ip4", "ip6", "ip", "ipv4", "ipv6"].iter().any(|known| name.eq_ignore_ascii_case(known));
    let bare = if is_address_term { value } else { word };
    let address = bare.split('/').next().unwrap_or(bare);
    let repaired = if address.parse::<Ipv4Addr>().is_ok() {
        format!("ip4:{bare}")
    } else if address.parse::<Ipv6Addr>().is_ok() {
        format!("ip6:{bare}")
    } else {
        format!("{name}:{value}")
    };
    is_term(&repaired).then(|| vec![repaired])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repair(text: &str) -> String {
        SpfEdit::repair(text).map_or_else(|why| format!("no: {why}"), |edit| edit.text())
    }

    #[test]
    fn a_mistake_with_one_repair_is_repaired_and_the_rest_stays() {
        for (damaged, repaired) in [
            ("v=spf1 ip4:192.0.2.1~all", "v=spf1 ip4:192.0.2.1 ~all"),
            (
                "v=spf1 ip4:2001:db8::1 192.0.2.1 ipv4:192.0.2.2 -all",
                "v=spf1 ip6:2001:db8::1 ip4:192.0.2.1 ip4:192.0.2.2 -all",
            ),
            ("v=spf1 include=a.example, include:b.example ?all", "v=spf1 include:a.example include:b.example ?all"),
            ("\u{201c}v=spf1  MX A/24 ~all\u{201d}", "v=spf1 MX A/24 ~all"),
            ("v=spf1 mx include:a.example mx -all", "v=spf1 mx include:a.example -all"),
            ("v=spf1 mx -all ip4:192.0.2.0/33", "v=spf1 mx -all"),
        ] {
            assert_eq!(repair(damaged), repaired, "{damaged}");
            assert_eq!(lost(damaged, repaired), [""; 0], "{damaged}");
        }
    }

    #[test]
    fn an_ambiguous_mistake_is_left_to_the_owner() {
        for text in [
            "v=spf1 ip4:192.0.2.0/33 -all",
            "v=spf1 mail.example.com -all",
            "v=spf1 include: -all",
            "spf1 mx -all",
            "v=spf1 redirect=a.example redirect=b.example",
        ] {
            assert!(repair(text).starts_with("no: "), "{text}: {}", repair(text));
        }
    }

    #[test]
    fn several_records_become_one() {
        let merge = |texts: &[&str]| SpfEdit::merge(&texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        let one = merge(&["v=spf1 mx ~all", "v=spf1 include:a.example mx -all"]).unwrap();
        assert_eq!(one.text(), "v=spf1 mx include:a.example ~all");
        assert!(merge(&["v=spf1 mx ~all", "v=spf1 redirect=a.example"]).is_err());
    }

    #[test]
    fn a_lost_term_is_named() {
        let old = "v=spf1 mx ?include:a.example ip4:192.0.2.0/24 -all a";
        assert_eq!(lost(old, "v=spf1 MX include:a.example -all"), ["?include:a.example", "ip4:192.0.2.0/24"]);
    }
}
