//! What each result type of RFC 8460 section 4.3 means, and what to do about it.

/// A result type, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsAdvice {
    /// As reporters write it.
    pub result_type: &'static str,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// What that means.
    pub meaning: &'static str,
    /// What to do.
    pub todo: &'static str,
    /// A few of these are no fault: connections break, and servers restart.
    pub by_chance: bool,
}

impl TlsAdvice {
    /// The advice for a result type as written, with a general one for types that the RFC does not define.
    pub fn of(result_type: Option<&str>) -> Self {
        let written = result_type.unwrap_or_default().trim();
        let known = KNOWN.iter().find(|known| known.result_type.eq_ignore_ascii_case(written));
        known.copied().unwrap_or(if written.is_empty() { UNSAID } else { UNKNOWN })
    }
}

const fn advice(
    result_type: &'static str,
    title: &'static str,
    meaning: &'static str,
    todo: &'static str,
) -> TlsAdvice {
    TlsAdvice { result_type, title, meaning, todo, by_chance: false }
}

const UNSAID: TlsAdvice = TlsAdvice {
    by_chance: true,
    ..advice(
        "",
        "No reason given",
        "The reporter does not say why these sessions failed.",
        "Look at the hosts and reason codes in the report, or ask the reporter.",
    )
};

const UNKNOWN: TlsAdvice = TlsAdvice {
    by_chance: true,
    ..advice(
        "",
        "Unknown reason",
        "The reporter gives a reason that RFC 8460 does not define.",
        "Look at the name of the reason and at the reason codes, or ask the reporter.",
    )
};

/// In the order of the RFC.
const KNOWN: [TlsAdvice; 11] = [
    TlsAdvice {
        by_chance: true,
        ..advice(
            "starttls-not-supported",
            "No STARTTLS",
            "The mail server did not offer STARTTLS.",
            "Enable STARTTLS on port 25, and check that no firewall or mail gateway in front of the server removes it.",
        )
    },
    advice(
        "certificate-host-mismatch",
        "Certificate for another name",
        "The certificate is not valid for the name of the mail server.",
        "Install one for the host name in the MX record; the name of the domain does not count.",
    ),
    advice(
        "certificate-expired",
        "Certificate expired",
        "The certificate of the mail server has expired.",
        "Renew it, make the server load the new one, and let the renewal run by itself.",
    ),
    advice(
        "certificate-not-trusted",
        "Certificate not trusted",
        "Senders do not trust the authority that signed the certificate of the mail server.",
        "Install one from a public authority, with all intermediate certificates; a self-signed one serves DANE only.",
    ),
    TlsAdvice {
        by_chance: true,
        ..advice(
            "validation-failure",
            "TLS failed",
            "TLS with the mail server failed, or its certificate could not be validated, for a reason without a name of its own.",
            "Look at the reason codes, and test which TLS versions and which certificate chain the server offers.",
        )
    },
    advice(
        "tlsa-invalid",
        "TLSA records do not fit",
        "No TLSA record of the host fits its certificate.",
        "Publish the digest of the key in use, and at each change that of the next key before the server uses it.",
    ),
    advice(
        "dnssec-invalid",
        "DNSSEC does not validate",
        "Senders could not validate the DNSSEC signatures of the host or of its TLSA records.",
        "Check the signatures, the DS record and the last key change of the zone.",
    ),
    advice(
        "dane-required",
        "No TLSA records where DANE is required",
        "The sender delivers to your domain by DANE only, and found no validated TLSA records for the host.",
        "Publish signed TLSA records for every MX host, or ask the sender not to require DANE.",
    ),
    advice(
        "sts-policy-fetch-error",
        "MTA-STS policy not fetched",
        "Senders could not fetch the MTA-STS policy.",
        "Serve it at https://mta-sts.DOMAIN/.well-known/mta-sts.txt with status 200, without a redirect.",
    ),
    advice(
        "sts-policy-invalid",
        "MTA-STS policy invalid",
        "Senders fetched the MTA-STS policy and could not use it.",
        "Correct the file: a line each for version, mode and max_age, and one `mx` line for every MX host.",
    ),
    advice(
        "sts-webpki-invalid",
        "Certificate of the MTA-STS host invalid",
        "Senders could not verify the certificate of the web server that serves the MTA-STS policy.",
        "Renew or replace the certificate of mta-sts.DOMAIN.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_type_has_words_of_its_own() {
        let mut titles: Vec<&str> = KNOWN.iter().chain([&UNSAID, &UNKNOWN]).map(|advice| advice.title).collect();
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(titles.len(), 13);
        for advice in KNOWN {
            assert!(advice.meaning.ends_with('.') && advice.todo.ends_with('.') && !advice.title.ends_with('.'));
            assert_eq!(TlsAdvice::of(Some(&advice.result_type.to_uppercase())), advice, "case makes no difference");
        }
        assert_eq!(TlsAdvice::of(Some("quantum-handshake-lost")).title, "Unknown reason");
        assert_eq!(TlsAdvice::of(None).title, TlsAdvice::of(Some(" ")).title);
    }
}
