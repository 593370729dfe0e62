//! Judges one mail as a receiver does, and explains each step: return path and SPF, every signature, alignment with
//! From, and what DMARC then asks for.
//!
//! Headers are shown but not trusted.

use crate::dns::dkim::{Signature, VerifyError, key_name, signatures};
use crate::dns::dmarc::{self, Policy};
use crate::dns::finding::{Notes, Unknown};
use crate::dns::hosts::mx::is_public;
use crate::dns::lookup::answer::{Answer, Lookup, QueryType};
use crate::dns::lookup::name;
use crate::dns::spf::{self, CheckHostResult, Evaluation, SpfInput};
use crate::model::ReportKind;
use mail_auth::AuthenticatedMessage;
use serde::Serialize;
use std::net::IpAddr;

/// Fields that identify a mail: any text may have lines that look like other fields.
const MARKS: [&str; 6] = ["From", "Received", "Return-Path", "Date", "Message-ID", "DKIM-Signature"];

/// Why a mail cannot be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Not a mail.
    #[error("expected a mail with a header, found something else")]
    NotMail,
    /// The library could not be set up.
    #[error(transparent)]
    Verify(#[from] VerifyError),
}

/// The result of checking a mail.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MessageCheck {
    /// The domain of From; `None` if there is none, or more than one.
    pub from: Option<String>,
    /// The return path as written; empty for the null one, `None` if no header says.
    pub return_path: Option<String>,
    /// The source: given, or the newest `Received` with a public address.
    pub ip: Option<IpAddr>,
    /// The HELO name.
    pub helo: Option<String>,
    /// SPF.
    pub spf: Option<SpfPart>,
    /// The signatures, in order.
    pub signatures: Vec<Signature>,
    /// DMARC; `None` without From.
    pub dmarc: Option<DmarcPart>,
    /// What could not be looked up.
    pub unknown: Vec<Unknown>,
    /// Further remarks.
    pub notes: Vec<String>,
}

/// SPF of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SpfPart {
    /// The domain checked: of the return path, or of HELO if the return path is null.
    pub domain: String,
    /// The result.
    pub evaluation: Evaluation,
    /// Whether it passes and aligns with From.
    pub aligned: bool,
}

/// The DMARC result for a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DmarcPart {
    /// Where the record is published; `None` without one.
    pub record_at: Option<String>,
    /// Whether either identifier aligns; `None` if that could not be determined.
    pub pass: Option<bool>,
    /// What the record asks for; `None` without one.
    pub policy: Option<Policy>,
    /// The result in a sentence.
    pub text: String,
}

impl MessageCheck {
    /// 2 if something could not be looked up, 1 if the mail fails DMARC or cannot be evaluated, else 0.
    pub fn exit_code(&self) -> u8 {
        if self.unknown.is_empty() {
            u8::from(self.dmarc.as_ref().and_then(|dmarc| dmarc.pass) != Some(true))
        } else {
            2
        }
    }
}

/// Judges a mail. `ip` replaces the source in `Received`.
///
/// # Errors
///
/// [`MessageError`] if it is not a mail.
pub fn check(bytes: &[u8], ip: Option<IpAddr>, lookup: &dyn Lookup) -> Result<MessageCheck, MessageError> {
    let mail = AuthenticatedMessage::parse_with_opts(bytes, None, false).ok_or(MessageError::NotMail)?;
    if !mail.headers.iter().any(|(name, _)| MARKS.iter().any(|mark| name.eq_ignore_ascii_case(mark.as_bytes()))) {
        return Err(MessageError::NotMail);
    }
    let mut notes = Notes::default();
    let mut checked = facts(&mail, ip);
    let from = checked.from.clone().unwrap_or_default();
    let organization = organization(lookup, &from, &mut notes);
    let modes = dmarc::discover(lookup, &from);
    let record = modes.walk.as_ref().ok().and_then(|walk| walk.found.clone());
    let strict = record.as_ref().map_or((false, false), |found| (found.record.adkim_strict, found.record.aspf_strict));
    let mut aligns = |domain: &str, strict: bool| {
        domain == from
            || (!strict && organization.is_some() && self::organization(lookup, domain, &mut notes) == organization)
    };
    checked.signatures = signatures(&mail, lookup, ReportKind::Aggregate)?;
    for signature in checked.signatures.iter_mut().filter(|signature| signature.result == "pass") {
        signature.aligned = aligns(&signature.d, strict.0);
    }
    checked.spf = spf_part(&checked, lookup).map(|(domain, evaluation)| SpfPart {
        aligned: evaluation.result == CheckHostResult::Pass && aligns(&domain, strict.1),
        domain,
        evaluation,
    });
    failures(&checked, lookup, &mut notes);
    if checked.from.is_some() {
        checked.dmarc = Some(dmarc_part(&checked, &from, &modes, lookup));
    }
    checked.unknown = notes.unknown;
    Ok(checked)
}

/// The organizational domain by the tree walk.
fn organization(lookup: &dyn Lookup, domain: &str, notes: &mut Notes) -> Option<String> {
    if domain.is_empty() {
        return None;
    }
    match dmarc::organization(lookup, domain) {
        Ok(organization) => Some(organization),
        Err((at, failure)) => {
            notes.unknown(&format!("_dmarc.{at}"), QueryType::Txt, &failure);
            None
        }
    }
}

/// What the headers say.
fn facts(mail: &AuthenticatedMessage<'_>, ip: Option<IpAddr>) -> MessageCheck {
    let header = |name: &str| {
        let found = mail.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| unfolded(value))
    };
    let mut notes = Vec::new();
    let mut domains: Vec<String> =
        mail.from.iter().filter_map(|address| name::canonical(address.rsplit_once('@')?.1)).collect();
    domains.dedup();
    if domains.len() > 1 {
        notes.push(format!(
            "From names {} domains ({}): receivers refuse to judge such a mail, or refuse it",
            domains.len(),
            domains.join(", ")
        ));
    } else if domains.is_empty() {
        notes.push("From has no address: DMARC cannot judge the mail".into());
    }
    let from = if domains.len() == 1 { domains.pop() } else { None };
    let return_path = header("Return-Path").map(|path| path.trim().trim_matches(['<', '>']).trim().to_owned());
    if return_path.is_none() {
        notes.push(
            "no Return-Path: SPF is judged by what the host called itself; the last server adds the header at delivery"
                .into(),
        );
    }
    let received = mail
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"Received"))
        .find_map(|(_, value)| came_from(&unfolded(value)));
    let (helo, found) = received.map_or((None, None), |(helo, ip)| (helo, Some(ip)));
    if ip.is_none() && found.is_none() {
        notes.push("no Received names a public address: give it with --ip".into());
    } else if ip.is_none() {
        notes.push(
            "the address is the newest public one in Received: correct if your own server wrote that line".into(),
        );
    }
    MessageCheck {
        from,
        return_path,
        ip: ip.or(found).map(|ip| ip.to_canonical()),
        helo,
        notes,
        ..MessageCheck::default()
    }
}

fn unfolded(value: &[u8]) -> String {
    String::from_utf8_lossy(value).replace(['\r', '\n'], "").trim().to_owned()
}

/// `from HELO (name [address]) by ...`: the HELO name, and the address if it is public.
fn came_from(received: &str) -> Option<(Option<String>, IpAddr)> {
    let clause = received.strip_prefix("from ")?;
    let clause = clause.split(" by ").next().unwrap_or(clause);
    let words = clause
        .split(|c: char| c.is_whitespace() || matches!(c, '[' | ']' | '(' | ')' | ',' | ';'))
        .filter(|word| !word.is_empty());
    let ip = words
        .filter_map(|word| word.strip_prefix("IPv6:").unwrap_or(word).parse::<IpAddr>().ok())
        .map(|ip| ip.to_canonical())
        .next_back()?;
    let helo = clause.split_whitespace().next().and_then(name::canonical).filter(|helo| !helo.starts_with('['));
    is_public(ip).then_some((helo, ip))
}

fn spf_part(checked: &MessageCheck, lookup: &dyn Lookup) -> Option<(String, Evaluation)> {
    let ip = checked.ip?;
    let helo = checked.helo.clone().unwrap_or_default();
    let sender = checked.return_path.clone().unwrap_or_default();
    let domain =
        sender.rsplit_once('@').and_then(|(_, domain)| name::canonical(domain)).unwrap_or_else(|| helo.clone());
    if domain.is_empty() {
        return None;
    }
    let evaluation = spf::check_host(lookup, &domain, &SpfInput { ip, sender: &sender, helo: &helo });
    Some((domain, evaluation))
}

/// Records failed lookups of SPF and keys.
fn failures(checked: &MessageCheck, lookup: &dyn Lookup, notes: &mut Notes) {
    let of_spf = checked.spf.as_ref().and_then(|spf| spf.evaluation.unknown(format!("SPF of {}", spf.domain)));
    notes.unknown.extend(of_spf);
    for signature in &checked.signatures {
        let key = key_name(&signature.s, &signature.d);
        if signature.result == "temperror"
            && let Answer::Failed(failure) = lookup.txt(&key)
        {
            notes.unknown(&key, QueryType::Txt, &failure);
        }
    }
}

fn dmarc_part(checked: &MessageCheck, from: &str, found: &dmarc::Discovery, lookup: &dyn Lookup) -> DmarcPart {
    let passes = checked.spf.as_ref().is_some_and(|spf| spf.aligned) || checked.signatures.iter().any(|s| s.aligned);
    let open = checked.spf.as_ref().is_some_and(|spf| spf.evaluation.result == CheckHostResult::TempError)
        || checked.signatures.iter().any(|signature| signature.result == "temperror");
    let pass = if passes || !open { Some(passes) } else { None };
    let Ok(walk) = &found.walk else {
        let text = "the record could not be looked up: a receiver tries later, or applies nothing".into();
        return DmarcPart { record_at: None, pass: pass.filter(|pass| *pass), policy: None, text };
    };
    let Some(record) = &walk.found else {
        let text = format!("{from} has no DMARC record: nothing is asked for");
        return DmarcPart { record_at: None, pass, policy: None, text };
    };
    let mut ignored = Notes::default();
    let policy = dmarc::check(lookup, from, &mut ignored).policy;
    let word = policy.map_or("none", Policy::as_str);
    let text = match pass {
        Some(true) => format!("passes: an identifier that passes aligns with {from}"),
        Some(false) => {
            format!("fails: nothing that passes aligns with {from}; the record of {} asks for {word}", record.domain)
        }
        None => "no conclusion: something could not be looked up, and the policy must not be applied".into(),
    };
    DmarcPart { record_at: Some(record.domain.clone()), pass, policy, text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::lookup::test_zone::Zone;

    const ZONE: &str = "_dmarc.example.com TXT v=DMARC1; p=reject; rua=mailto:d@example.com\n\
                        bounce.example.com TXT v=spf1 ip4:192.0.2.1 -all\nexample.net TXT v=spf1 ip4:192.0.2.1 -all\n\
                        s1._domainkey.example.com SERVFAIL";

    fn mail(return_path: &str, more: &str) -> String {
        format!(
            "Return-Path: <{return_path}>\r\nReceived: from mx.example.com (mx.example.com [192.0.2.1])\r\n by in.example.org; \
             Wed, 25 Nov 2026 10:00:00 +0000\r\n{more}From: A <a@example.com>\r\nSubject: x\r\n\r\nbody\r\n"
        )
    }

    #[test]
    fn an_aligned_return_path_passes() {
        let checked = check(mail("b@bounce.example.com", "").as_bytes(), None, &Zone::new(ZONE)).unwrap();
        assert_eq!(checked.ip, Some("192.0.2.1".parse().unwrap()));
        assert_eq!(checked.helo.as_deref(), Some("mx.example.com"));
        assert!(checked.spf.as_ref().unwrap().aligned);
        assert_eq!(checked.dmarc.as_ref().unwrap().pass, Some(true));
        assert_eq!(checked.exit_code(), 0);
    }

    #[test]
    fn another_organizations_pass_does_not_help() {
        let checked = check(mail("b@example.net", "").as_bytes(), None, &Zone::new(ZONE)).unwrap();
        let spf = checked.spf.as_ref().unwrap();
        assert_eq!((spf.evaluation.result, spf.aligned), (CheckHostResult::Pass, false));
        let dmarc = checked.dmarc.as_ref().unwrap();
        assert_eq!((dmarc.pass, dmarc.policy), (Some(false), Some(Policy::Reject)));
        assert_eq!(checked.exit_code(), 1);
    }

    #[test]
    fn an_address_may_be_given() {
        let checked =
            check(mail("b@bounce.example.com", "").as_bytes(), Some("192.0.2.9".parse().unwrap()), &Zone::new(ZONE))
                .unwrap();
        assert_eq!(checked.spf.unwrap().evaluation.result, CheckHostResult::Fail);
    }

    #[test]
    fn a_key_that_cannot_be_looked_up_leaves_it_open() {
        // The body hash is of "body\r\n" in relaxed form; the signature is not verified.
        let signature = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s1; h=from;\r\n\
                         \x20bh=Ck5SoRNWUpSR4X0COv7R5ub2pUTtl6xz4dTFz++ji4M=; b=AAAA\r\n";
        let checked = check(mail("b@example.net", signature).as_bytes(), None, &Zone::new(ZONE)).unwrap();
        assert_eq!(checked.signatures.len(), 1);
        assert_eq!(checked.signatures[0].d, "example.com");
        if checked.signatures[0].result == "temperror" {
            assert_eq!(checked.exit_code(), 2);
            assert_eq!(checked.dmarc.unwrap().pass, None);
        } else {
            panic!("{:?}", checked.signatures[0]);
        }
    }

    #[test]
    fn received_lines_of_many_servers_are_read() {
        for (line, ip) in [
            ("from a.example ([192.0.2.1]) by b.example", Some("192.0.2.1")),
            ("from a.example (a.example. [2001:db8::1]) by b.example", Some("2001:db8::1")),
            ("from a.example (unknown [IPv6:2001:db8::1]) by b.example", Some("2001:db8::1")),
            ("from [192.0.2.1] by b.example", Some("192.0.2.1")),
            ("from localhost (localhost [127.0.0.1]) by b.example", None),
            ("from inside.example (inside.example [100.64.0.1]) by b.example", None),
            ("from nowhere.example (nowhere.example [240.0.0.1]) by b.example", None),
            ("by b.example", None),
        ] {
            assert_eq!(came_from(line).map(|(_, ip)| ip.to_string()).as_deref(), ip, "{line}");
        }
    }
}
