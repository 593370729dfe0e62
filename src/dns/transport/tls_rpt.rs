//! Where reports about TLS go: the record at `_smtp._tls` (RFC 8460 section 3).

use super::record::{RecordKind, quoted};
use crate::dns::finding as codes;
use crate::dns::finding::Notes;
use crate::dns::lookup::answer::Lookup;
use crate::dns::lookup::name;
use serde::Serialize;

/// Addresses read of a record.
const TARGETS: usize = 20;

const RECORD: RecordKind = RecordKind {
    version: "v=TLSRPTv1",
    words: &["tlsrpt", "rua"],
    field: "rua",
    near: &codes::TLS_RPT_NEAR,
    several: &codes::TLS_RPT_SEVERAL,
    syntax: &codes::TLS_RPT_SYNTAX,
};

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
    let Some(records) = RECORD.look_up(lookup, &name, notes) else {
        return TlsRpt { unknown: true, ..TlsRpt::default() };
    };
    let rua = rua(domain, &name, &records, notes);
    let rua = rua.into_iter().filter(|target| reaches(lookup, &name, target, notes)).collect();
    TlsRpt { records, rua, unknown: false }
}

/// The addresses of the only valid record.
fn rua(domain: &str, name: &str, records: &[String], notes: &mut Notes) -> Vec<String> {
    let instead = |_: &str| {
        format!("a record that begins with `v=TLSRPTv1;`, such as `v=TLSRPTv1; rua=mailto:tls-reports@{domain}`")
    };
    let Ok(rua) = RECORD.only(name, records, instead, notes) else { return Vec::new() };
    let targets = rua.unwrap_or_default().split(',').map(str::trim).filter(|target| !target.is_empty());
    let targets: Vec<String> = targets.take(TARGETS).map(str::to_owned).collect();
    if targets.is_empty() {
        let text = "Add `rua=mailto:` and an address to the record: it has none.";
        notes.find(&codes::TLS_RPT_NO_RUA, format!("{name} TXT"), text);
    }
    targets
}

/// Whether reports can be sent to an address.
fn reaches(lookup: &dyn Lookup, name: &str, target: &str, notes: &mut Notes) -> bool {
    let place = format!("{name} TXT, rua");
    let Some(host) = host(target) else {
        let text = format!("Replace `{}` with a mailto: or https: address.", quoted(target));
        notes.find(&codes::TLS_RPT_TARGET, place, text);
        return false;
    };
    let is_mail = target.to_ascii_lowercase().starts_with("mailto:");
    match if is_mail { lookup.accepts_mail(&host) } else { lookup.has_address(&host) } {
        Ok(true) => true,
        Ok(false) => {
            let text =
                format!("Replace `{}`: {host} accepts no reports, because it has no host for them.", quoted(target));
            notes.find(&codes::TLS_RPT_HOST, place, text);
            false
        }
        Err((kind, failure)) => {
            notes.unknown(&host, kind, &failure);
            true
        }
    }
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
    use crate::dns::lookup::test_zone::Zone;

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
            (vec!["v=TLSRPTv1; rua =mailto:a@example.com"], vec!["tls_rpt.syntax"], 0),
            (vec!["v=TLSRPTv1; _x=1; rua=mailto:a@example.com"], vec!["tls_rpt.syntax"], 0),
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
