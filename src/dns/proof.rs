//! Whether a mail is from whom it says: a DKIM signature of `From`'s organization, verified.
//!
//! Takes the bytes of a mail, when it arrived and something to ask; gives a [`Proof`]. Only signatures that could prove
//! it are looked at, so that a mail makes nobody ask for names but those of its own `From`. Must not: take "could not
//! look up" for a pass or a fail, or judge what the mail brought.

use super::answer::Lookup;
use super::dkim::{Signature, signatures};
use super::name;
use crate::model::Proof;
use jiff::Timestamp;
use mail_auth::AuthenticatedMessage;

/// Signatures verified of one mail: more than two or three nobody makes.
const SIGNATURES: usize = 5;
/// Header fields of a mail, and fields named by a signature, up to which it is looked at: the work is their product.
const FIELDS: usize = 1000;
/// See [`FIELDS`].
const SIGNED_FIELDS: usize = 200;

/// What a mail's signatures prove.
pub fn proof(mail: &[u8], arrival: Timestamp, lookup: &dyn Lookup) -> Proof {
    // A signature with `l=` leaves the end of the body to anybody: refused here, as reports stand at the end.
    let Some(mut mail) = AuthenticatedMessage::parse_with_opts(without_envelope(mail), None, true) else {
        return Proof::Unsigned;
    };
    let Some(organization) = organization(&mail) else { return Proof::Unsigned };
    mail.dkim_headers.retain(|header| of_organization(&header.header.d, &organization));
    mail.dkim_headers.truncate(SIGNATURES);
    if mail.dkim_headers.is_empty() {
        return Proof::Unsigned;
    }
    if mail.headers.len() > FIELDS || mail.dkim_headers.iter().any(|header| header.header.h.len() > SIGNED_FIELDS) {
        return Proof::Open;
    }
    // Whether it was over is a matter of when the mail came, not of when it is read.
    let arrived = u64::try_from(arrival.as_second()).unwrap_or(0);
    for header in mail.dkim_headers.iter_mut().filter(|header| header.header.x > 0) {
        let held = header.header.x > header.header.t && header.header.x > arrived;
        header.header.x = u64::from(!held);
    }
    let found = signatures(&mail, lookup).unwrap_or_default();
    // The library tells of malformed ones as well, and those are of nobody.
    conclusion(found.iter().filter(|signature| of_organization(&signature.d, &organization)), organization.clone())
}

fn conclusion<'a>(signatures: impl Iterator<Item = &'a Signature>, organization: String) -> Proof {
    let mut broken = None;
    let mut open = false;
    for signature in signatures {
        match signature.result {
            "pass" => return Proof::Signed(organization),
            _ if signature.broken => {
                let why = signature.why.as_deref().unwrap_or("does not verify");
                broken.get_or_insert_with(|| format!("signature of {}, selector {}: {why}", signature.d, signature.s));
            }
            _ => open = true,
        }
    }
    match broken {
        // One that cannot be verified may be the one that would pass.
        Some(why) if !open => Proof::Broken(why),
        _ => Proof::Open,
    }
}

/// The organizational domain of `From`; null where it names none, or several.
fn organization(mail: &AuthenticatedMessage<'_>) -> Option<String> {
    let mut domains = mail.from.iter().map(|address| name::canonical(address.rsplit_once('@')?.1));
    let first = domains.next()??;
    domains.all(|other| other.as_ref() == Some(&first)).then(|| name::organizational(&first).to_owned())
}

fn of_organization(domain: &str, organization: &str) -> bool {
    name::canonical(domain).is_some_and(|domain| name::organizational(&domain) == organization)
}

/// The mail without what a mailbox file may have left on top: blank lines, a `From ` line.
fn without_envelope(mail: &[u8]) -> &[u8] {
    let start = mail.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(mail.len());
    let mail = &mail[start..];
    if mail.starts_with(b"From ") || mail.starts_with(b">From ") {
        return mail.iter().position(|byte| *byte == b'\n').map_or(&[], |end| &mail[end + 1..]);
    }
    mail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::zone::Zone;
    use base64::Engine as _;
    use mail_auth::common::crypto::Ed25519Key;
    use mail_auth::common::headers::HeaderWriter as _;
    use mail_auth::dkim::DkimSigner;

    fn key() -> Ed25519Key {
        Ed25519Key::from_pkcs8_der(&Ed25519Key::generate_pkcs8().unwrap()).unwrap()
    }

    /// A mail from a domain, and the record of the key it is signed with.
    struct Sealed {
        mail: String,
        record: String,
    }

    const BODY: &str = "Subject: report\r\n\r\nThe report.\r\n";

    fn sealed(from: &str, d: &str, headers: &[&str], x: u64) -> Sealed {
        let mail = format!("From: Reporter <r@{from}>\r\n{BODY}");
        let key = key();
        let p = base64::engine::general_purpose::STANDARD.encode(key.public_key());
        let signer = DkimSigner::from_key(key).domain(d).selector("s1").headers(headers.iter().copied());
        let signer = if x > 0 { signer.expiration(x) } else { signer };
        let signature = signer.sign(mail.as_bytes()).unwrap().to_header();
        Sealed { mail: signature + &mail, record: format!("s1._domainkey.{d} TXT v=DKIM1; k=ed25519; p={p}\n") }
    }

    fn now() -> Timestamp {
        Timestamp::now()
    }

    fn of(mail: &str, zone: &str) -> Proof {
        proof(mail.as_bytes(), now(), &Zone::new(zone))
    }

    fn signed() -> Proof {
        Proof::Signed("example.net".into())
    }

    #[test]
    fn a_signature_of_froms_organization_proves_it() {
        for (from, d) in
            [("example.net", "example.net"), ("dmarc.example.net", "example.net"), ("example.net", "m.example.net")]
        {
            let Sealed { mail, record } = sealed(from, d, &["From", "Subject"], 0);
            assert_eq!(of(&mail, &record), signed(), "{from} {d}");
            assert_eq!(of(&mail.replace("\r\n", "\n"), &record), signed(), "as a file with other line ends");
            assert_eq!(of(&format!("From r@example.net Mon Nov 16 00:00:00 2026\r\n{mail}"), &record), signed());
        }
    }

    #[test]
    fn what_was_changed_is_broken_whatever_the_key() {
        let Sealed { mail, record } = sealed("example.net", "example.net", &["From", "Subject"], 0);
        let body = mail.replace("The report", "Another report");
        assert!(matches!(of(&body, &record), Proof::Broken(why) if why.contains("example.net, selector s1")));
        let subject = mail.replace("Subject: report", "Subject: other");
        assert!(matches!(of(&subject, &record), Proof::Broken(_)));
        let other = sealed("example.net", "example.net", &["From"], 0).record;
        assert!(matches!(of(&mail, &other), Proof::Broken(_)), "signed with another key");
    }

    #[test]
    fn what_could_not_be_found_out_is_neither_pass_nor_fail() {
        let Sealed { mail, record } = sealed("example.net", "example.net", &["From", "Subject"], 0);
        for zone in ["", "s1._domainkey.example.net SERVFAIL", "s1._domainkey.example.net TIMEOUT"] {
            assert_eq!(of(&mail, zone), Proof::Open, "{zone}");
        }
        assert_eq!(of(&mail, "s1._domainkey.example.net TXT v=DKIM1; p=\n"), Proof::Open, "revoked since");
        assert_eq!(of(&mail, "s1._domainkey.example.net TXT nonsense\n"), Proof::Open);
        let second = sealed("example.net", "example.net", &["From"], 0).mail.replace("s=s1", "s=s2");
        let second = second.split("From:").next().unwrap();
        let changed = mail.replace("Subject: report", "Subject: other");
        assert_eq!(of(&format!("{second}{changed}"), &record), Proof::Open, "the second might have passed");
    }

    #[test]
    fn others_signatures_prove_nothing_and_are_not_looked_up() {
        let Sealed { mail, record } = sealed("example.net", "evil.example", &["From", "Subject"], 0);
        let zone = Zone::new(&record);
        assert_eq!(proof(mail.as_bytes(), now(), &zone), Proof::Unsigned);
        assert!(zone.asked.borrow().is_empty());
        assert_eq!(of(&format!("From: a@example.net\r\n{BODY}"), ""), Proof::Unsigned);
        assert_eq!(of("", ""), Proof::Unsigned);
        let two = sealed("example.net", "example.net", &["From", "Subject"], 0);
        let above = format!("From: b@example.org\r\n{}", two.mail);
        assert_eq!(of(&above, &two.record), Proof::Unsigned, "two senders");
    }

    #[test]
    fn a_signature_that_leaves_from_or_the_end_of_the_body_open_does_not_count() {
        let Sealed { mail, record } = sealed("example.net", "example.net", &["Subject"], 0);
        assert_eq!(of(&mail, &record), Proof::Open, "From is not signed");
        let mail = format!("From: Reporter <r@example.net>\r\n{BODY}");
        let key = key();
        let p = base64::engine::general_purpose::STANDARD.encode(key.public_key());
        let signer = DkimSigner::from_key(key).domain("example.net").selector("s1").headers(["From"]).body_length(true);
        let mail = signer.sign(mail.as_bytes()).unwrap().to_header() + &mail + "more\r\n";
        let record = format!("s1._domainkey.example.net TXT v=DKIM1; k=ed25519; p={p}\n");
        assert_eq!(of(&mail, &record), Proof::Unsigned, "l= would let the body go on");
    }

    #[test]
    fn a_signature_ends_by_the_time_the_mail_came() {
        // The signer adds the seconds to its clock.
        let Sealed { mail, record } = sealed("example.net", "example.net", &["From", "Subject"], 1);
        let at = |arrival: Timestamp| proof(mail.as_bytes(), arrival, &Zone::new(&record));
        let signed_at = now();
        std::thread::sleep(std::time::Duration::from_millis(2100));
        assert_eq!(at(signed_at - jiff::SignedDuration::from_secs(1)), signed(), "over by now, but not when it came");
        assert_eq!(at(signed_at + jiff::SignedDuration::from_secs(60)), Proof::Open);
    }

    #[test]
    fn more_than_anybody_writes_is_not_looked_at() {
        let Sealed { mail, record } = sealed("example.net", "example.net", &["From", "Subject"], 0);
        let flood = "X-Flood: 1\r\n".repeat(FIELDS) + &mail;
        assert_eq!(of(&flood, &record), Proof::Open);
        let forged = mail.split("From:").next().unwrap().replace("s=s1", "s=sX");
        let many: String = (0..50).map(|number| forged.replace("s=sX", &format!("s=s{number}x"))).collect();
        let zone = Zone::new(&record);
        assert_eq!(proof((many + &mail).as_bytes(), now(), &zone), Proof::Open);
        assert!(zone.asked.borrow().len() <= SIGNATURES, "{:?}", zone.asked.borrow());
    }
}
