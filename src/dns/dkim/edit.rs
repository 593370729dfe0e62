//! Repairs a DKIM key record: stray marks, a missing semicolon, the position of the version, and a key type that
//! follows from the key. The key is never changed.

use super::key::{Key, is_ed25519};
use crate::dns::tags::read_damaged;

/// Every tag of the standards (RFC 6376 section 3.6.1), in the order of a record.
const TAGS: [&str; 7] = ["v", "k", "h", "s", "t", "n", "p"];

/// The record with its mistakes repaired.
///
/// # Errors
///
/// Why no repair is certain, in a sentence.
pub(in crate::dns) fn repaired(text: &str) -> Result<String, String> {
    let (tags, junk) = read_damaged(text, &TAGS);
    if let Some(junk) = junk.first() {
        return Err(format!("`{}` is not a tag", super::key::shortened(junk)));
    }
    let mut parts = vec!["v=DKIM1".to_owned()];
    let mut key = None;
    for (at, tag) in tags.iter().enumerate() {
        if tags[..at].iter().any(|other| other.name == tag.name) {
            return Err(format!("the record has several `{}` tags", tag.name));
        }
        match tag.name.as_str() {
            "v" if tag.value.eq_ignore_ascii_case("DKIM1") => {}
            "v" => return Err(format!("v={} is not a version of DKIM", tag.value)),
            "p" => key = Some(tag.value.chars().filter(|c| !c.is_whitespace() && *c != '"').collect::<String>()),
            name if TAGS.contains(&name) => parts.push(format!("{name}={}", tag.value)),
            name => return Err(format!("`{name}` is not a tag of a DKIM key")),
        }
    }
    let key = key.filter(|key| !key.is_empty()).ok_or("the record contains no key")?;
    if is_ed25519(&key) && !tags.iter().any(|tag| tag.name == "k") {
        parts.push("k=ed25519".into());
    }
    parts.push(format!("p={key}"));
    let record = parts.join("; ");
    Key::parse(&record)
        .map(|_| record)
        .map_err(|_| "the key in p= cannot be read; copy it again from the system that signs".into())
}

#[cfg(test)]
mod tests {
    use super::super::key::tests::{ed25519, rsa};
    use super::*;

    #[test]
    fn the_key_stays_and_its_damage_goes() {
        let (key, short) = (rsa(2048), ed25519());
        let good = format!("v=DKIM1; k=rsa; p={key}");
        for damaged in [
            format!("\"v=DKIM1; k=rsa; p={key}\""),
            format!("v=DKIM1\\; k=rsa\\; p={key}\\;"),
            format!("v=DKIM1 k=rsa p={key}"),
            format!("k=rsa; p={key}; v=dkim1"),
            format!("\"v=DKIM1; k=rsa; p={}\" \"{}\"", &key[..200], &key[200..]),
        ] {
            assert_eq!(repaired(&damaged).as_deref(), Ok(good.as_str()), "{damaged}");
        }
        assert_eq!(repaired(&format!("v=DKIM1; p={short}")), Ok(format!("v=DKIM1; k=ed25519; p={short}")));
        for hopeless in [
            format!("v=DKIM1; k=rsa; p={}", &key[..100]),
            format!("v=DKIM2; p={key}"),
            format!("v=DKIM1; g=*; p={key}"),
            format!("v=DKIM1; p={key}; p={short}"),
            "v=DKIM1; p=".into(),
        ] {
            assert!(repaired(&hopeless).is_err(), "{hopeless}");
        }
    }
}
