//! Where reports about TLS go: the record at `_smtp._tls` (RFC 8460 section 3).

use super::is_of_another;
use super::policy::quoted;
use crate::dns::finding as codes;
use crate::dns::finding::Notes;
use crate::dns::lookup::answer::{Answer, Lookup, QueryType};
use crate::dns::lookup::name;
use serde::Serialize;

/// Addresses read of a record.
const TARGETS: usize = 20;

/// TLS reporting of a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TlsRpt {
    /// The records that are meant for TLS reporting, valid or not.
    pub records: Vec<String>,
    /// Where reports go, as published; none if reporters send none.
    pub rua: Vec<String>,
    /// The record could not be looked up.
    pub unknown: bool,
}

/// Checks a domain. One without a record has no fault.
pub(crate) fn check(lookup: &dyn Lookup, domain: &str, notes: &mut Notes) -> TlsRpt {
    let name = format!("_smtp._tls.{domain}");
    let texts: Vec<String> = match lookup.txt(&name) {
        Answer::Found(texts) => texts.iter().map(|txt| txt.text().trim().to_owned()).collect(),
        Answer::NoData | Answer::NxDomain => return TlsRpt::default(),
        Answer::Failed(failure) => {
            notes.unknown(&name, QueryType::Txt, &failure);
            return TlsRpt { unknown: true, ..TlsRpt::default() };
        }
    };
    let records: Vec<String> = texts.into_iter().filter(|text| is_meant(text)).collect();
    let rua = record(&name, &records, notes);
    let rua = rua.into_iter().filter(|target| reaches(lookup, &name, target, notes)).collect();
    TlsRpt { records, rua, unknown: false }
}

/// Whether a text at this name is meant for TLS reporting.
fn is_meant(text: &str) -> bool {
    let head: String = text.chars().take(40).collect::<String>().to_ascii_lowercase();
    (head.contains("tlsrpt") || head.contains("rua")) && !is_of_another(&head)
}

/// The addresses of the only valid record.
fn record(name: &str, records: &[String], notes: &mut Notes) -> Vec<String> {
    let place = format!("{name} TXT");
    let begins = |text: &&String| text.starts_with("v=TLSRPTv1;");
    let valid: Vec<&String> = records.iter().filter(begins).collect();
    for text in records.iter().filter(|text| !begins(text)) {
        let text = format!(
            "Publish a record that begins with `v=TLSRPTv1;`, such as `v=TLSRPTv1; rua=mailto:tls-reports@{}`: it reads `{}`.",
            name.trim_start_matches("_smtp._tls."),
            quoted(text)
        );
        notes.find(&codes::TLS_RPT_NEAR, &place, text);
    }
    let [text] = valid.as_slice() else {
        if valid.len() > 1 {
            let text = format!("Keep one record at {name}: there are {}.", valid.len());
            notes.find(&codes::TLS_RPT_SEVERAL, &place, text);
        }
        return Vec::new();
    };
    let mut rua = None;
    for piece in text.split(';').skip(1).map(str::trim).filter(|piece| !piece.is_empty()) {
        match piece.split_once('=') {
            Some((key, value)) if key.trim() == "rua" => rua = rua.or(Some(value)),
            Some((key, value)) if !key.trim().is_empty() && !value.trim().is_empty() => {}
            _ => {
                let text = format!("Remove or correct `{}`: it is not name=value.", quoted(piece));
                notes.find(&codes::TLS_RPT_SYNTAX, &place, text);
                return Vec::new();
            }
        }
    }
    let rua: Vec<String> = rua
        .into_iter()
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|target| !target.is_empty())
        .take(TARGETS)
        .map(str::to_owned)
        .collect();
    if rua.is_empty() {
        notes.find(&codes::TLS_RPT_NO_RUA, &place, "Add `rua=mailto:` and an address to the record: it has none.");
    }
    rua
}

/// Whether reports can be sent to an address.
fn reaches(lookup: &dyn Lookup, name: &str, target: &str, notes: &mut Notes) -> bool {
    let place = format!("{name} TXT, rua");
    let Some(host) = host(target) else {
        let text = format!("Replace `{}` with a mailto: or https: address.", quoted(target));
        notes.find(&codes::TLS_RPT_TARGET, place, text);
        return false;
    };
    let (kind, takes) = if target.to_ascii_lowercase().starts_with("mailto:") {
        match lookup.mx(&host) {
            Answer::Found(hosts) => (QueryType::Mx, Ok(hosts.iter().any(|mx| !mx.host.is_empty()))),
            Answer::Failed(failure) => (QueryType::Mx, Err(failure)),
            Answer::NoData | Answer::NxDomain => has_address(lookup, &host),
        }
    } else {
        has_address(lookup, &host)
    };
    match takes {
        Ok(true) => true,
        Ok(false) => {
            let text =
                format!("Replace `{}`: {host} accepts no reports, because it has no host for them.", quoted(target));
            notes.find(&codes::TLS_RPT_HOST, place, text);
            false
        }
        Err(failure) => {
            notes.unknown(&host, kind, &failure);
            true
        }
    }
}

fn has_address(lookup: &dyn Lookup, host: &str) -> (QueryType, Result<bool, crate::dns::lookup::answer::Failure>) {
    let found = match lookup.all_addresses(host) {
        Answer::Found(_) => Ok(true),
        Answer::NoData | Answer::NxDomain => Ok(false),
        Answer::Failed(failure) => Err(failure),
    };
    (QueryType::A, found)
}

/// The domain of a `mailto:` or `https:` address.
fn host(target: &str) -> Option<String> {
    let (scheme, rest) = target.split_once(':')?;
    // A comma, semicolon or exclamation mark must be written as %2C, %3B or %21.
    if rest.contains(['!', ' ', '"', '<', '>']) {
        return None;
    }
    let host = match scheme.to_ascii_lowercase().as_str() {
        "mailto" => {
            let address = rest.split('?').next().unwrap_or_default();
            address.rsplit_once('@').filter(|(local, _)| !local.is_empty()).map(|(_, host)| host)?
        }
        "https" => {
            let authority = rest.strip_prefix("//")?.split(['/', '?', '#']).next().unwrap_or_default();
            authority.rsplit('@').next().unwrap_or_default().split(':').next().unwrap_or_default()
        }
        _ => return None,
    };
    name::domain(host).filter(|host| host.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::lookup::zone::Zone;

    #[test]
    fn each_fault_has_its_code() {
        let base = "example.com MX 10 mx.example.com\nmx.example.com A 192.0.2.25\nclosed.example.com MX 0 .\n";
        for (records, codes, targets) in [
            (vec![], vec![], 0),
            (vec!["v=TLSRPTv1; rua=mailto:tls@example.com"], vec![], 1),
            (vec!["v=TLSRPTv1;rua=https://mx.example.com/tls , mailto:tls@example.com;"], vec![], 2),
            (vec!["v=TLSRPTv1; x=1; rua=mailto:a@example.com?subject=x"], vec![], 1),
            (vec!["v=spf1 -all"], vec![], 0),
            (vec!["v=DMARC1; p=none; rua=mailto:a@example.com"], vec![], 0),
            (
                vec!["v=TLSRPTv1; rua=mailto:a@example.com", "v=TLSRPTv1; rua=mailto:b@example.com"],
                vec!["tls_rpt.multiple_records"],
                0,
            ),
            (vec!["v=tlsrptv1; rua=mailto:a@example.com"], vec!["tls_rpt.not_recognized"], 0),
            (vec!["v=TLSRPTv1 rua=mailto:a@example.com"], vec!["tls_rpt.not_recognized"], 0),
            (vec!["rua=mailto:a@example.com"], vec!["tls_rpt.not_recognized"], 0),
            (vec!["v=TLSRPTv1; mailto:a@example.com"], vec!["tls_rpt.syntax"], 0),
            (vec!["v=TLSRPTv1;"], vec!["tls_rpt.no_rua"], 0),
            (vec!["v=TLSRPTv1; rua=a@example.com"], vec!["tls_rpt.target_invalid"], 0),
            (vec!["v=TLSRPTv1; rua=http://mx.example.com/"], vec!["tls_rpt.target_invalid"], 0),
            (vec!["v=TLSRPTv1; rua=mailto:a@closed.example.com"], vec!["tls_rpt.target_host"], 0),
            (vec!["v=TLSRPTv1; rua=https://gone.example.com/"], vec!["tls_rpt.target_host"], 0),
        ] {
            let lines: Vec<String> =
                records.iter().map(|text| format!("_smtp._tls.example.com TXT {text}\n")).collect();
            let mut notes = Notes::default();
            let found = check(&Zone::new(&format!("{base}{}", lines.concat())), "example.com", &mut notes);
            let told: Vec<&str> = notes.findings.iter().map(|finding| finding.code.name).collect();
            assert_eq!((told, found.rua.len(), notes.unknown.len()), (codes, targets, 0), "{records:?}");
        }
    }

    #[test]
    fn a_failed_lookup_is_no_finding() {
        let mut notes = Notes::default();
        let found = check(&Zone::new("_smtp._tls.example.com SERVFAIL"), "example.com", &mut notes);
        assert!(found.unknown && notes.findings.is_empty() && notes.unknown.len() == 1);
    }
}
