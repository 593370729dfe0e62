//! Whether a mail is from whom it says: a DKIM signature of `From`'s organization, verified.
//!
//! Only signatures that could prove it are examined, so that a mail causes no lookups except for its own `From` domain.
//! A signature counts if it covers everything that determines what is read: `From`, `Subject` and `Content-Type`, each
//! of which occurs once, and the whole body (no `l=`), which must begin where it was read from. Otherwise an attacker
//! could add content around a signed mail. A failed lookup is never a pass or a fail.

use crate::dns::dkim::{Signature, signatures};
use crate::dns::lookup::answer::Lookup;
use crate::dns::lookup::name;
use crate::model::{Proof, RawMail, ReportKind};
use jiff::Timestamp;
use mail_auth::AuthenticatedMessage;

/// Signatures verified per mail: real mails have two or three at most.
const SIGNATURES: usize = 5;
/// Limits on the header fields of a mail, and on the fields a signature names: the work is their product.
const FIELDS: usize = 1000;
/// See [`FIELDS`].
const SIGNED_FIELDS: usize = 200;

/// Fields that say who a mail is from, what it is about and how to read its body.
const COVERED: [&str; 3] = ["From", "Subject", "Content-Type"];

/// What a signature of such a mail must cover. That of a TLS report need only be valid (RFC 8460 section 3): some reporters
/// do not sign `Content-Type`.
const fn covered(kind: ReportKind) -> &'static [&'static str] {
    match kind {
        ReportKind::Aggregate => &COVERED,
        ReportKind::Tls => &["From", "Subject"],
    }
}

/// What a mail's signatures prove of a report in it.
pub fn proof(raw: &RawMail, arrival: Timestamp, kind: ReportKind, lookup: &dyn Lookup) -> Proof {
    let unproven = |why: &str| Proof::Unproven(why.to_owned());
    let Some(mut mail) = AuthenticatedMessage::parse_with_opts(&raw.bytes, None, false) else {
        return unproven("the mail has no header");
    };
    let Some(from) = from_domain(&mail) else { return unproven("From names no domain, or several") };
    let organization = name::organizational(&from).to_owned();
    mail.dkim_headers.retain(|header| of_organization(&header.header.d, &organization));
    mail.dkim_headers.truncate(SIGNATURES);
    if mail.dkim_headers.is_empty() {
        return Proof::Unproven(format!("no DKIM signature of {organization}"));
    }
    if mail.headers.len() > FIELDS || mail.dkim_headers.iter().any(|header| header.header.h.len() > SIGNED_FIELDS) {
        return Proof::Open;
    }
    let mut weak = None;
    mail.dkim_headers.retain(|header| {
        let whole = !has_length(header.value);
        if !whole {
            weak = Some(format!("the signature of {} leaves the end of the body open (l=)", header.header.d));
        }
        whole
    });
    // A signature's expiry is compared with the mail's arrival, not with the time it is read.
    let arrived = u64::try_from(arrival.as_second()).unwrap_or(0);
    for header in mail.dkim_headers.iter_mut().filter(|header| header.header.x > 0) {
        let held = header.header.x > header.header.t && header.header.x > arrived;
        header.header.x = u64::from(!held);
    }
    let found = signatures(&mail, lookup, kind).unwrap_or_default();
    // The library also returns malformed signatures, which belong to nobody.
    let own = found.iter().filter(|signature| of_organization(&signature.d, &organization));
    let ambiguous = ambiguous(&mail, raw);
    let judged = own.map(|signature| (signature, ambiguous.clone().or_else(|| left_open(signature, kind))));
    conclusion(judged, weak, from)
}

/// What the signatures prove together, each with what it leaves open; `weak` describes one that was not verified.
fn conclusion<'a>(
    signatures: impl Iterator<Item = (&'a Signature, Option<String>)>,
    mut weak: Option<String>,
    from: String,
) -> Proof {
    let (mut broken, mut open) = (None, false);
    for (signature, left_open) in signatures {
        let named = |what: &str| format!("signature of {}, selector {}: {what}", signature.d, signature.s);
        match (signature.result, left_open) {
            ("pass", None) => return Proof::Signed { from, signer: signature.d.clone() },
            _ if signature.broken => {
                broken.get_or_insert_with(|| named(signature.why.as_deref().unwrap_or("does not verify")));
            }
            (_, Some(what)) => {
                weak.get_or_insert_with(|| named(&what));
            }
            _ => open = true,
        }
    }
    match (weak, broken) {
        // The one that could not be verified might pass.
        _ if open => Proof::Open,
        (Some(what), _) => Proof::Unproven(what),
        (None, Some(why)) => Proof::Broken(why),
        (None, None) => Proof::Open,
    }
}

/// Why this mail can be read in two ways, no matter what is signed.
fn ambiguous(mail: &AuthenticatedMessage<'_>, raw: &RawMail) -> Option<String> {
    if usize::try_from(mail.body_offset) != Ok(raw.body) {
        return Some("the report is before the signed body".to_owned());
    }
    let count = |field: &str| {
        let named = |name: &[u8]| name.trim_ascii().eq_ignore_ascii_case(field.as_bytes());
        mail.headers.iter().filter(|(name, _)| named(name)).count()
    };
    let wrong = COVERED.into_iter().find(|field| count(field) != 1);
    if let Some(field) = wrong {
        return Some(format!("the mail has {} fields {field}, expected 1", count(field)));
    }
    (count("Content-Transfer-Encoding") > 1).then(|| "the mail has several fields Content-Transfer-Encoding".to_owned())
}

/// What a signature leaves open, whether or not it verifies.
fn left_open(signature: &Signature, kind: ReportKind) -> Option<String> {
    let is_signed = |field: &&str| signature.h.iter().any(|signed| signed.trim().eq_ignore_ascii_case(field));
    let missing = covered(kind).iter().find(|field| !is_signed(field))?;
    Some(format!("it does not cover {missing}"))
}

/// Whether a `DKIM-Signature` has the tag `l=`, with any value: a library may treat `l=0` like none.
fn has_length(value: &[u8]) -> bool {
    value.split(|byte| *byte == b';').any(|tag| {
        let name = tag.split(|byte| *byte == b'=').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(b"l")
    })
}

/// The domain of `From`; `None` if it has none or several.
fn from_domain(mail: &AuthenticatedMessage<'_>) -> Option<String> {
    let mut domains = mail.from.iter().map(|address| name::canonical(address.rsplit_once('@')?.1));
    let first = domains.next()??;
    domains.all(|other| other.as_ref() == Some(&first)).then_some(first)
}

fn of_organization(domain: &str, organization: &str) -> bool {
    name::canonical(domain).is_some_and(|domain| name::organizational(&domain) == organization)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::lookup::test_zone::Zone;
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

    const BODY: &str = "Subject: report\r\nContent-Type: text/plain\r\n\r\nThe report.\r\n";
    const FIELDS_SIGNED: &[&str] = &["From", "Subject", "Content-Type"];

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

    fn proof_of(mail: &str, zone: &str) -> Proof {
        proof(&raw(mail), now(), ReportKind::Aggregate, &Zone::new(zone))
    }

    /// The mail split at its first blank line.
    fn raw(mail: &str) -> RawMail {
        let crlf = mail.find("\r\n\r\n").map(|at| at + 4);
        let body = crlf.or_else(|| mail.find("\n\n").map(|at| at + 2)).unwrap_or(mail.len());
        RawMail { bytes: mail.into(), body }
    }

    fn unproven(proof: &Proof, why: &str) {
        assert!(matches!(proof, Proof::Unproven(said) if said.contains(why)), "{proof:?}, not {why}");
    }

    fn signed() -> Proof {
        Proof::Signed { from: "example.net".into(), signer: "example.net".into() }
    }

    #[test]
    fn a_signature_of_froms_organization_proves_it() {
        for (from, d) in
            [("example.net", "example.net"), ("dmarc.example.net", "example.net"), ("example.net", "m.example.net")]
        {
            let Sealed { mail, record } = sealed(from, d, FIELDS_SIGNED, 0);
            let signed = Proof::Signed { from: from.into(), signer: d.into() };
            assert_eq!(proof_of(&mail, &record), signed, "{from} {d}");
            assert_eq!(proof_of(&mail.replace("\r\n", "\n"), &record), signed, "as a file with other line ends");
        }
    }

    #[test]
    fn what_was_changed_is_broken_whatever_the_key() {
        let Sealed { mail, record } = sealed("example.net", "example.net", FIELDS_SIGNED, 0);
        let body = mail.replace("The report", "Another report");
        assert!(matches!(proof_of(&body, &record), Proof::Broken(why) if why.contains("example.net, selector s1")));
        let subject = mail.replace("Subject: report", "Subject: other");
        assert!(matches!(proof_of(&subject, &record), Proof::Broken(_)));
        let other = sealed("example.net", "example.net", FIELDS_SIGNED, 0).record;
        assert!(matches!(proof_of(&mail, &other), Proof::Broken(_)), "signed with another key");
    }

    #[test]
    fn a_failed_lookup_is_neither_pass_nor_fail() {
        let Sealed { mail, record } = sealed("example.net", "example.net", FIELDS_SIGNED, 0);
        for zone in ["", "s1._domainkey.example.net SERVFAIL", "s1._domainkey.example.net TIMEOUT"] {
            assert_eq!(proof_of(&mail, zone), Proof::Open, "{zone}");
        }
        assert_eq!(proof_of(&mail, "s1._domainkey.example.net TXT v=DKIM1; p=\n"), Proof::Open, "revoked since");
        assert_eq!(proof_of(&mail, "s1._domainkey.example.net TXT nonsense\n"), Proof::Open);
        let second = sealed("example.net", "example.net", FIELDS_SIGNED, 0).mail.replace("s=s1", "s=s2");
        let second = second.split("From:").next().unwrap();
        let changed = mail.replace("Subject: report", "Subject: other");
        assert_eq!(proof_of(&format!("{second}{changed}"), &record), Proof::Open, "the second might have passed");
    }

    #[test]
    fn others_signatures_prove_nothing_and_are_not_looked_up() {
        let Sealed { mail, record } = sealed("example.net", "evil.example", FIELDS_SIGNED, 0);
        let zone = Zone::new(&record);
        unproven(&proof(&raw(&mail), now(), ReportKind::Aggregate, &zone), "no DKIM signature of example.net");
        assert!(zone.asked.borrow().is_empty());
        unproven(&proof_of(&format!("From: a@example.net\r\n{BODY}"), ""), "no DKIM signature");
        unproven(&proof_of("", ""), "no header");
        let two = sealed("example.net", "example.net", FIELDS_SIGNED, 0);
        let above = format!("From: b@example.org\r\n{}", two.mail);
        unproven(&proof_of(&above, &two.record), "From names no domain, or several");
    }

    #[test]
    fn a_signature_counts_that_covers_from_subject_and_type() {
        for missing in FIELDS_SIGNED {
            let fields: Vec<&str> = FIELDS_SIGNED.iter().copied().filter(|field| field != missing).collect();
            let Sealed { mail, record } = sealed("example.net", "example.net", &fields, 0);
            unproven(&proof_of(&mail, &record), &format!("selector s1: it does not cover {missing}"));
            let changed = mail.replace("The report", "Another report");
            assert!(matches!(proof_of(&changed, &record), Proof::Broken(_)), "broken all the same, without {missing}");
        }
    }

    #[test]
    fn a_signature_that_leaves_the_end_of_the_body_open_does_not_count() {
        let mail = format!("From: Reporter <r@example.net>\r\n{BODY}");
        let key = key();
        let p = base64::engine::general_purpose::STANDARD.encode(key.public_key());
        let signer = DkimSigner::from_key(key).domain("example.net").selector("s1");
        let signer = signer.headers(FIELDS_SIGNED.iter().copied()).body_length(true);
        let mail = signer.sign(mail.as_bytes()).unwrap().to_header() + &mail + "more\r\n";
        let record = format!("s1._domainkey.example.net TXT v=DKIM1; k=ed25519; p={p}\n");
        unproven(&proof_of(&mail, &record), "leaves the end of the body open (l=)");
        for value in ["v=1; L = 0; bh=x", "v=1;\r\n l=20"] {
            assert!(has_length(value.as_bytes()), "{value}");
        }
        assert!(!has_length(b"v=1; bh=l=0; s=l"));
    }

    #[test]
    fn a_field_put_on_top_makes_the_mail_ambiguous() {
        let Sealed { mail, record } = sealed("example.net", "example.net", FIELDS_SIGNED, 0);
        for (field, name) in [
            ("Content-Type: multipart/mixed; boundary=x\r\n", "Content-Type"),
            ("content-type : multipart/mixed; boundary=x\r\n", "Content-Type"),
            ("Subject: other\r\n", "Subject"),
            ("From: Other <o@example.net>\r\n", "From"),
        ] {
            unproven(
                &proof_of(&format!("{field}{mail}"), &record),
                &format!("the mail has 2 fields {name}, expected 1"),
            );
        }
    }

    #[test]
    fn a_report_outside_the_signed_body_is_not_signed() {
        let Sealed { mail, record } = sealed("example.net", "example.net", FIELDS_SIGNED, 0);
        // A line that is not a field ends the header for our parser, but not for the verifier.
        let mail = mail.replacen("\r\n\r\n", "\r\n<feedback/>\n\r\n", 1);
        let body = mail.find("<feedback/>").unwrap();
        let raw = RawMail { bytes: mail.into(), body };
        unproven(&proof(&raw, now(), ReportKind::Aggregate, &Zone::new(&record)), "is before the signed body");
    }

    #[test]
    fn a_signature_ends_by_the_time_the_mail_came() {
        // The signer adds the seconds to its clock.
        let Sealed { mail, record } = sealed("example.net", "example.net", FIELDS_SIGNED, 1);
        let at = |arrival: Timestamp| proof(&raw(&mail), arrival, ReportKind::Aggregate, &Zone::new(&record));
        let signed_at = now();
        std::thread::sleep(std::time::Duration::from_millis(2100));
        assert_eq!(at(signed_at - jiff::SignedDuration::from_secs(1)), signed(), "over by now, but not when it came");
        assert_eq!(at(signed_at + jiff::SignedDuration::from_secs(60)), Proof::Open);
    }

    #[test]
    fn more_signatures_than_real_mails_have_are_not_examined() {
        let Sealed { mail, record } = sealed("example.net", "example.net", FIELDS_SIGNED, 0);
        let flood = "X-Flood: 1\r\n".repeat(FIELDS) + &mail;
        assert_eq!(proof_of(&flood, &record), Proof::Open);
        let forged = mail.split("From:").next().unwrap().replace("s=s1", "s=sX");
        let many: String = (0..50).map(|number| forged.replace("s=sX", &format!("s=s{number}x"))).collect();
        let zone = Zone::new(&record);
        assert_eq!(proof(&raw(&(many + &mail)), now(), ReportKind::Aggregate, &zone), Proof::Open);
        assert!(zone.asked.borrow().len() <= SIGNATURES, "{:?}", zone.asked.borrow());
    }
}
