//! Edits a DMARC record: correct tags stay as they are, and a mistake is repaired if only one repair is possible. If
//! there are several, the edit says why and changes nothing.

use super::record::{DmarcRecord, Policy, TAGS, is_near, meant_tag, target};
use crate::dns::tags::read_damaged;
use crate::model::Tag;

/// A record as a list of tags, without `v`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::dns) struct DmarcEdit {
    tags: Vec<Tag>,
}

/// Tags a misspelled name may be renamed to. The others change how mail is judged, and were never in force.
const RENAMED: [&str; 4] = ["p", "rua", "ruf", "fo"];

impl DmarcEdit {
    /// Reads a record, damaged or not, and repairs it.
    ///
    /// # Errors
    ///
    /// Why no repair is certain, in a sentence.
    pub(in crate::dns) fn repair(text: &str) -> Result<Self, String> {
        let (tags, junk) = read_damaged(text, &TAGS);
        if let Some(junk) = junk.first() {
            return Err(format!("`{junk}` is not a tag, and what it stands for is not clear"));
        }
        let versions: Vec<&Tag> = tags.iter().filter(|tag| tag.name == "v").collect();
        match versions.as_slice() {
            [version] if version.value.eq_ignore_ascii_case("DMARC1") => {}
            [version] => return Err(format!("v={} is not a version of DMARC", version.value)),
            _ => return Err("the text does not contain exactly one v tag".into()),
        }
        let mut edit = Self::default();
        for tag in tags.iter().filter(|tag| tag.name != "v") {
            let name = match TAGS.iter().find(|known| **known == tag.name) {
                Some(known) => *known,
                None => match meant_tag(&tag.name) {
                    Some(meant) if tags.iter().any(|other| other.name == meant) => {
                        return Err(format!("the record has both `{}` and `{meant}`", tag.name));
                    }
                    Some(meant) if RENAMED.contains(&meant) => meant,
                    Some(meant) => return Err(format!("`{}` may mean `{meant}`, which was never in force", tag.name)),
                    None => continue,
                },
            };
            if let Some(value) = repaired(name, &tag.value)? {
                edit.add(name, value)?;
            }
        }
        if edit.get("p").is_none() {
            edit.tags.insert(0, Tag { name: "p".into(), value: Policy::None.as_str().into() });
        }
        Ok(edit)
    }

    /// Merges records that ask for the same: the addresses of all, and everything else as in each.
    ///
    /// # Errors
    ///
    /// If one of them has no certain repair, or they disagree.
    pub(in crate::dns) fn merge(texts: &[String]) -> Result<Self, String> {
        let mut merged: Option<Self> = None;
        for text in texts {
            let edit = Self::repair(text)?;
            let Some(so_far) = &mut merged else {
                merged = Some(edit);
                continue;
            };
            if so_far.without_addresses() != edit.without_addresses() {
                return Err("the records ask for different things, and only you know which one is meant".into());
            }
            for tag in edit.tags.into_iter().filter(|tag| is_address_list(&tag.name)) {
                so_far.add(&tag.name, tag.value)?;
            }
        }
        merged.ok_or_else(|| "there is no record".into())
    }

    fn add(&mut self, name: &str, value: String) -> Result<(), String> {
        let Some(there) = self.tags.iter_mut().find(|tag| tag.name == name) else {
            self.tags.push(Tag { name: name.to_owned(), value });
            return Ok(());
        };
        if is_address_list(name) {
            let new: Vec<&str> = value
                .split(',')
                .filter(|uri| !there.value.split(',').any(|old| old.eq_ignore_ascii_case(uri)))
                .collect();
            there.value = [&[there.value.as_str()], new.as_slice()].concat().join(",");
            Ok(())
        } else if there.value.eq_ignore_ascii_case(&value) {
            Ok(())
        } else {
            Err(format!("the record has both {name}={} and {name}={value}", there.value))
        }
    }

    /// The tags that affect how mail is judged, without defaults, in a fixed order.
    fn without_addresses(&self) -> Vec<(String, String)> {
        let mut tags: Vec<(String, String)> = self
            .tags
            .iter()
            .filter(|tag| !is_address_list(&tag.name) && !is_default(&tag.name, &tag.value))
            .map(|tag| (tag.name.clone(), tag.value.to_ascii_lowercase()))
            .collect();
        tags.sort();
        tags
    }

    /// The value of a tag.
    pub(in crate::dns) fn get(&self, name: &str) -> Option<&str> {
        self.tags.iter().find(|tag| tag.name == name).map(|tag| tag.value.as_str())
    }

    /// Sets a tag; a new one comes last.
    pub(in crate::dns) fn set(&mut self, name: &str, value: &str) {
        match self.tags.iter_mut().find(|tag| tag.name == name) {
            Some(tag) => value.clone_into(&mut tag.value),
            None => self.tags.push(Tag { name: name.to_owned(), value: value.to_owned() }),
        }
    }

    /// Removes a tag.
    pub(in crate::dns) fn remove(&mut self, name: &str) {
        self.tags.retain(|tag| tag.name != name);
    }

    /// Asks receivers to reject all mail that fails, also of subdomains.
    pub(in crate::dns) fn reject_all(&mut self) {
        for name in ["p", "sp", "np"] {
            if self.get(name).is_some_and(|value| Policy::read(value) != Some(Policy::Reject)) {
                self.set(name, Policy::Reject.as_str());
            }
        }
    }

    /// The record.
    pub(in crate::dns) fn text(&self) -> String {
        let tags = self.tags.iter().map(|tag| format!("; {}={}", tag.name, tag.value));
        format!("v=DMARC1{}", tags.collect::<String>())
    }
}

/// What a record would lose compared with an old one: addresses, and valid tags that are gone or have another value (a
/// stricter policy is allowed with `stricter`).
pub(in crate::dns) fn lost(old: &str, new: &str, stricter: bool) -> Vec<String> {
    let (old, _) = read_damaged(old, &TAGS);
    let (new, _) = read_damaged(new, &TAGS);
    let now = |name: &str| new.iter().find(|tag| tag.name == name).map(|tag| tag.value.as_str());
    let mut lost = Vec::new();
    for tag in old.iter().filter(|tag| TAGS.contains(&tag.name.as_str()) && tag.name != "v") {
        let kept = match (tag.name.as_str(), now(&tag.name)) {
            ("rf" | "ri" | "fo", _) => true,
            ("psd", None) => tag.value.eq_ignore_ascii_case("y") || tag.value.eq_ignore_ascii_case("u"),
            ("rua" | "ruf", now) => addresses(&tag.value)
                .iter()
                .all(|old| now.is_some_and(|now| addresses(now).iter().any(|new| new.eq_ignore_ascii_case(old)))),
            (name, _) if !is_valid(name, &tag.value) => true,
            (_, Some(now)) if now.eq_ignore_ascii_case(&tag.value) => true,
            ("p" | "sp" | "np", Some(now)) => stricter && Policy::read(now) > Policy::read(&tag.value),
            (name, None) => is_default(name, &tag.value),
            _ => false,
        };
        if !kept {
            lost.push(format!("{}={}", tag.name, tag.value));
        }
    }
    lost
}

fn is_default(name: &str, value: &str) -> bool {
    matches!((name, value), ("adkim" | "aspf", "r" | "R") | ("t", "n" | "N") | ("pct", "100"))
}

/// Whether receivers can read the value of a tag other than an address list.
fn is_valid(name: &str, value: &str) -> bool {
    DmarcRecord::parse(&format!("v=DMARC1; p=none; {name}={value}")).is_readable()
        || (name == "p" && Policy::read(value).is_some())
}

fn is_address_list(name: &str) -> bool {
    matches!(name, "rua" | "ruf")
}

/// The bare addresses of a list; a misspelled one as a person would read it.
fn addresses(value: &str) -> Vec<String> {
    let bare = |uri: &str| address(uri).unwrap_or_else(|| uri.trim().to_owned());
    value.split(',').map(bare).filter(|address| !address.is_empty()).collect()
}

/// The bare address in `mailto:<a@example.com>` and the like.
fn address(uri: &str) -> Option<String> {
    let mut rest = uri.trim();
    while let Some(after) = rest.get(..7).filter(|head| head.eq_ignore_ascii_case("mailto:")).map(|_| &rest[7..]) {
        rest = after.trim_start_matches('/').trim_start();
    }
    let bare = rest.trim_start_matches('<').replacen('>', "", 1);
    bare.contains('@').then_some(bare)
}

/// The value of a tag with its mistakes repaired; `None` if receivers use the default anyway.
fn repaired(name: &str, value: &str) -> Result<Option<String>, String> {
    if value.is_empty() {
        return Ok(None);
    }
    match name {
        "p" | "sp" | "np" if Policy::read(value).is_some() => Ok(Some(value.to_owned())),
        "p" | "sp" | "np" => {
            let near = |policy: &Policy| {
                let value = value.to_ascii_lowercase();
                is_near(&value, policy.as_str()) || value.strip_suffix("ed") == Some(policy.as_str())
            };
            let meant = [Policy::None, Policy::Quarantine, Policy::Reject].into_iter().find(near);
            meant
                .map(|policy| Some(policy.as_str().to_owned()))
                .ok_or_else(|| format!("{name}={value} can mean any policy"))
        }
        "rua" | "ruf" => {
            let mut uris = Vec::new();
            for uri in value.split(',').map(str::trim).filter(|uri| !uri.is_empty()) {
                uris.push(repaired_uri(uri).ok_or_else(|| format!("`{uri}` in {name} is not an address"))?);
            }
            Ok((!uris.is_empty()).then(|| uris.join(",")))
        }
        "fo" => {
            let value: String = value.chars().filter(|c| !c.is_whitespace()).collect();
            Ok(is_valid(name, &value).then_some(value))
        }
        _ => Ok(is_valid(name, value).then(|| value.to_owned())),
    }
}

fn repaired_uri(uri: &str) -> Option<String> {
    if target(uri).is_ok() {
        return Some(uri.to_owned());
    }
    let repaired = format!("mailto:{}", address(uri)?);
    target(&repaired).is_ok().then_some(repaired)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repair(text: &str) -> String {
        DmarcEdit::repair(text).map_or_else(|why| format!("no: {why}"), |edit| edit.text())
    }

    #[test]
    fn a_mistake_with_one_repair_is_repaired_and_the_rest_stays() {
        for (damaged, repaired) in [
            ("v=DMARC1;p=None;rua=mailto:r@pnone.test", "v=DMARC1; p=None; rua=mailto:r@pnone.test"),
            ("v=DMARC1 p=reject rua=mailto:a@example.com", "v=DMARC1; p=reject; rua=mailto:a@example.com"),
            ("rua=a@example.com; V=dmarc1; sp=none", "v=DMARC1; p=none; rua=mailto:a@example.com; sp=none"),
            ("v=DMARC1; policy=quarantined; adkim=strict; pct=50", "v=DMARC1; p=quarantine; pct=50"),
            (
                "v=DMARC1; p=reject; p=Reject; rau=mailto:mailto:a@example.com,mailto:<b@example.com>!10m,",
                "v=DMARC1; p=reject; rua=mailto:a@example.com,mailto:b@example.com!10m",
            ),
            ("v=DMARC1; p=reject; sp=; x=1; fo=1 : d; psd=n; t=y", "v=DMARC1; p=reject; fo=1:d; psd=n; t=y"),
        ] {
            assert_eq!(repair(damaged), repaired, "{damaged}");
            assert_eq!(lost(damaged, repaired, false), [""; 0], "{damaged}");
        }
    }

    #[test]
    fn an_ambiguous_mistake_is_left_to_the_owner() {
        for text in [
            "v=DMARC1; p=none; p=reject",
            "v=DMARC1; p=block",
            "v=DMARC1; p=reject; sp=yes",
            "v=DMARC1; strict; p=reject",
            "v=DMARC2; p=reject",
            "v=DMARC1; p=none; v=DMARC1; p=none",
            "v=DMARC1; p=reject; rua=https://example.com/",
            "v=DMARC1; p=reject; rua=mailto:a@example.com mailto:b@example.com",
            "v=DMARC1; p=reject; adkmi=s",
            "v=DMARC1; p=reject; rua=mailto:a@example.com; rau=mailto:b@example.com",
        ] {
            assert!(repair(text).starts_with("no: "), "{text}: {}", repair(text));
        }
    }

    #[test]
    fn only_records_that_agree_are_merged() {
        let merge = |texts: &[&str]| DmarcEdit::merge(&texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        let one =
            merge(&["v=DMARC1; p=reject; rua=mailto:a@example.com", "v=DMARC1; rua=mailto:b@example.com; p=Reject"]);
        assert_eq!(one.unwrap().text(), "v=DMARC1; p=reject; rua=mailto:a@example.com,mailto:b@example.com");
        assert!(merge(&["v=DMARC1; p=reject", "v=DMARC1; p=none"]).is_err());
        assert!(merge(&["v=DMARC1; p=reject", "v=DMARC1; p=reject; sp=none"]).is_err());
    }

    #[test]
    fn a_loss_is_named() {
        let old =
            "v=DMARC1; p=quarantine; sp=none; aspf=s; pct=20; rua=mailto:a@example.com,mailto:b@example.com; psd=n";
        let new = "v=DMARC1; p=reject; rua=mailto:b@example.com";
        let all =
            ["p=quarantine", "sp=none", "aspf=s", "pct=20", "rua=mailto:a@example.com,mailto:b@example.com", "psd=n"];
        assert_eq!(lost(old, new, false), all);
        assert_eq!(lost(old, new, true), all[1..]);
        assert_eq!(lost(old, old, false), [""; 0]);
    }

    #[test]
    fn a_domain_that_never_sends_rejects_everything() {
        let mut edit = DmarcEdit::repair("v=DMARC1; p=none; sp=quarantine; rua=mailto:a@example.com").unwrap();
        edit.reject_all();
        assert_eq!(edit.text(), "v=DMARC1; p=reject; sp=reject; rua=mailto:a@example.com");
    }
}
