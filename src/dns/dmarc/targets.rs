//! Whether the domains that a record sends reports to accept them: whether they accept mail, and, if they belong to another
//! organization, whether they consent in DNS (RFC 9990 section 4).

use super::record::{DmarcRecord, is_dmarc};
use crate::dns::finding as codes;
use crate::dns::finding::Notes;
use crate::dns::lookup::answer::{Failure, Lookup, QueryType};
use crate::dns::lookup::name;

/// Where a receiver of reports consents to get those about a domain.
pub(in crate::dns) fn consent_name(domain: &str, receiver: &str) -> String {
    format!("{domain}._report._dmarc.{receiver}")
}

/// Whether a receiver of reports consents to get those about a domain.
///
/// # Errors
///
/// The failure, if that could not be looked up.
pub(in crate::dns) fn has_consent(lookup: &dyn Lookup, domain: &str, receiver: &str) -> Result<bool, Failure> {
    let texts = lookup.texts(&consent_name(domain, receiver)).known()?;
    Ok(texts.is_some_and(|texts| texts.iter().any(|text| is_dmarc(text))))
}

/// Checks the addresses in the record of a domain.
pub(super) fn check(lookup: &dyn Lookup, at: &str, record: &DmarcRecord, notes: &mut Notes) {
    let tagged = record.rua.iter().map(|target| ("rua", target)).chain(record.ruf.iter().map(|target| ("ruf", target)));
    for (tag, target) in tagged {
        let Some(host) = &target.host else { continue };
        match lookup.accepts_mail(host) {
            Ok(true) => {}
            Ok(false) => {
                let text = format!("Replace `{}` in {tag}: {host} accepts no mail.", target.uri);
                notes.find(&codes::DMARC_TARGET_HOST, format!("_dmarc.{at} TXT, {tag}"), text);
            }
            Err((kind, failure)) => notes.unknown(host, kind, &failure),
        }
        if name::organizational(host) == name::organizational(at) {
            continue;
        }
        let consent = consent_name(at, host);
        match has_consent(lookup, at, host) {
            Ok(true) => {}
            Ok(false) => {
                let text = format!(
                    "Ask the owner of {host} to publish this record: {host} does not say in DNS that it accepts reports \
                     about {at} ({tag})."
                );
                notes.find(&codes::DMARC_UNAUTHORIZED, format!("{consent} TXT"), text);
            }
            Err(failure) => notes.unknown(&consent, QueryType::Txt, &failure),
        }
    }
}
