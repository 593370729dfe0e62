//! Decides whether an authenticated domain speaks for the reporter that a report names.
//!
//! 1. The report names an address (`email`), and the authenticated domain is of the same organization as its domain, or
//!    both are domains that one known reporter mails from ([`KNOWN`]).
//! 2. Where anybody can get a mailbox at a domain ([`MAILBOXES`]), the domain speaks for its users only. Its operator
//!    reports from a host or domain of its own, which stands in [`KNOWN`].
//! 3. A report with a known reporter's name (`org_name`) must come from a domain of that reporter, and so must one whose
//!    name looks the same: in letters of another script, or as a domain below another suffix, unless it comes from that
//!    very domain. A name alone proves nothing, and the name of an unknown reporter is not compared: it often differs from
//!    the domain it sends from.

use crate::judge::{is_within, organizational};
use crate::model::{Quoted, Report, TlsReport};
use crate::normalize::{canonical_domain, reporter_domain};

/// A large reporter, and the names only it may use.
struct LargeReporter {
    /// Words in its `org_name`, in lower case.
    names: &'static [&'static str],
    /// Domains that occur in its `org_name`, or that people associate with it.
    called: &'static [&'static str],
    /// Domains it sends reports from, including those below them. Nobody else has a mailbox there.
    mails_from: &'static [&'static str],
}

/// Large reporters, from their reports and mails: the samples published by parsedmarc, mail-auth, mox and
/// dmarc-report-viewer, and the providers' documentation.
const KNOWN: &[LargeReporter] = &[
    // noreply-dmarc-support@google.com, "google.com", once "Google, Inc.".
    LargeReporter {
        names: &["google", "gmail", "googlemail"],
        called: &["google.com", "gmail.com", "googlemail.com"],
        mails_from: &["google.com"],
    },
    // dmarcreport@microsoft.com, "Outlook.com", "Enterprise Outlook", "Microsoft Corporation"; signed by
    // notification.microsoft.com.
    LargeReporter {
        names: &["microsoft", "outlook", "hotmail", "office365", "office 365"],
        called: &["microsoft.com", "outlook.com", "hotmail.com", "live.com", "office365.com"],
        mails_from: &["microsoft.com"],
    },
    // From noreply@dmarc.yahoo.com with dmarchelp@yahooinc.com in the report, "Yahoo", once "Yahoo! Inc."; AOL is Yahoo's.
    LargeReporter {
        names: &["yahoo", "aol"],
        called: &["yahoo.com", "yahooinc.com", "aol.com"],
        mails_from: &["yahooinc.com", "dmarc.yahoo.com", "abuse.aol.com"],
    },
    // postmaster@amazonses.com, "AMAZON-SES".
    LargeReporter {
        names: &["amazon", "amazonses"],
        called: &["amazon.com", "amazonses.com", "amazonaws.com"],
        mails_from: &["amazonses.com", "amazon.com"],
    },
    // dmarc_support@corp.mail.ru, "Mail.Ru".
    LargeReporter { names: &["mailru", "mail ru"], called: &["mail.ru"], mails_from: &["corp.mail.ru"] },
    // noreply-dmarc@sicher.gmx.net, "GMX", and noreply-dmarc@sicher.web.de, "WEB.DE": one operator.
    LargeReporter {
        names: &["gmx", "web de"],
        called: &["gmx.net", "gmx.de", "gmx.com", "gmx.at", "gmx.ch", "web.de"],
        mails_from: &["sicher.gmx.net", "sicher.web.de"],
    },
    // dmarc-admin@alerts.comcast.net, "comcast.net".
    LargeReporter {
        names: &["comcast"],
        called: &["comcast.net", "comcast.com"],
        mails_from: &["alerts.comcast.net", "comcast.com"],
    },
    // reports@fastmaildmarc.com, "Fastmail Pty Ltd".
    LargeReporter {
        names: &["fastmail"],
        called: &["fastmail.com", "fastmail.fm"],
        mails_from: &["fastmaildmarc.com"],
    },
    // no-reply@us-1.mimecastreport.com, "Mimecast".
    LargeReporter {
        names: &["mimecast"],
        called: &["mimecast.com"],
        mails_from: &["mimecastreport.com", "mimecast.com"],
    },
    // dmarcreports@secureserver.net, "GoDaddy.com".
    LargeReporter { names: &["godaddy"], called: &["godaddy.com"], mails_from: &["secureserver.net", "godaddy.com"] },
];

/// Domains below which a hosting provider gives each customer a name, so that each name is a separate organization; the
/// Public Suffix List does not contain them.
const SHARED: &[&str] = &["onmicrosoft.com", "iphmx.com", "pphosted.com"];

/// Domains where anybody can get a mailbox, by organization: of free mail, and of providers of access that give their
/// customers one. What comes from such a domain may come from any user of it.
const MAILBOXES: &str = include_str!("mailbox_domains.txt");

/// The same below any public suffix: `yahoo.fr`, `hotmail.co.uk`.
const MAILBOXES_ANYWHERE: &[&str] = &["gmx", "hotmail", "outlook", "yahoo", "yandex"];

/// Whether anybody can get a mailbox at an organizational domain.
fn is_of_mailboxes(organization: &str) -> bool {
    MAILBOXES.lines().any(|domain| domain == organization) || MAILBOXES_ANYWHERE.contains(&first_label(organization))
}

/// The part of a domain before its first dot.
fn first_label(domain: &str) -> &str {
    domain.split('.').next().unwrap_or_default()
}

/// The reporter as a report names it.
#[derive(Debug, Clone, Copy)]
pub(in crate::ingest) struct NamedReporter<'a> {
    org_name: &'a str,
    address: Option<&'a str>,
    /// Reports of this kind may come without an address.
    may_lack_address: bool,
}

impl<'a> From<&'a Report> for NamedReporter<'a> {
    fn from(report: &'a Report) -> Self {
        let (org_name, address) = (report.metadata.org_name.as_str(), report.metadata.email.as_deref());
        Self { org_name, address, may_lack_address: false }
    }
}

impl<'a> From<&'a TlsReport> for NamedReporter<'a> {
    fn from(report: &'a TlsReport) -> Self {
        Self { org_name: report.org_name.as_str(), address: report.contact_info.as_deref(), may_lack_address: true }
    }
}

/// Whether an authenticated domain speaks for the report's reporter; if not, why not.
pub(super) fn speaks_for(domain: &str, reporter: NamedReporter<'_>) -> Result<(), String> {
    let (org_name, email) = (reporter.org_name, reporter.address);
    let Some(domain) = canonical_domain(domain) else {
        return Err(format!("expected an authenticated domain, found {}", Quoted(domain)));
    };
    let email_domain = match email.map(|email| (email, reporter_domain(email))) {
        Some((_, Some(of_email))) => of_email,
        // Without an address, the name may be a domain. Any other name is only compared with those of known reporters.
        None if reporter.may_lack_address => {
            canonical_domain(org_name).filter(|name| name.as_str().contains('.')).unwrap_or_else(|| domain.clone())
        }
        found => {
            let found = found.map_or("", |(email, _)| email);
            return Err(format!("expected the reporter's address in the report, found {}", Quoted(found)));
        }
    };
    let (domain, email_domain) = (domain.as_str(), email_domain.as_str());
    let known = KNOWN.iter().find(|reporter| reporter.mails_as(domain));
    if organization(domain) != organization(email_domain)
        && !known.is_some_and(|reporter| reporter.mails_as(email_domain))
    {
        return Err(format!("expected {} ({}), found {domain}", Quoted(org_name), Quoted(email.unwrap_or_default())));
    }
    for at in [domain, email_domain] {
        if is_of_mailboxes(organization(at)) && !KNOWN.iter().any(|reporter| reporter.mails_as(at)) {
            return Err(format!("anybody can get a mailbox at {at}: it speaks for no reporter"));
        }
    }
    let bears = |reporter: &&LargeReporter| reporter.is_named(org_name, domain) && !reporter.mails_as(domain);
    if let Some(reporter) = KNOWN.iter().find(bears) {
        let own = reporter.mails_from.join(" or ");
        return Err(format!("expected {own} of a report by {}, found {domain}", Quoted(org_name)));
    }
    Ok(())
}

impl LargeReporter {
    /// Whether reports from this domain can be its own.
    fn mails_as(&self, domain: &str) -> bool {
        self.mails_from.iter().any(|own| is_within(domain, own))
    }

    /// Whether a report with this name, from this domain, claims to be from this reporter.
    fn is_named(&self, org_name: &str, domain: &str) -> bool {
        let shown = as_seen(org_name);
        if let Some(name) = canonical_domain(&shown).filter(|name| name.as_str().contains('.')) {
            let own = organization(name.as_str());
            return self.called.iter().chain(self.mails_from).any(|called| is_within(name.as_str(), called))
                || (self.names.contains(&first_label(own)) && own != organization(domain));
        }
        let words = words(&shown);
        self.names.iter().any(|name| words.contains(&format!(" {name} ")))
    }
}

/// A name in lower case and in the letters that a reader takes it to be written in, without invisible characters.
fn as_seen(name: &str) -> String {
    let unseen = |c: &char| matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    let seen = name.chars().filter(|c| !unseen(c)).flat_map(char::to_lowercase).map(latin);
    seen.collect()
}

/// The Latin letter that a letter of another script or a digit looks like.
fn latin(c: char) -> char {
    match c {
        'а' | 'α' | 'ɑ' => 'a',
        'с' | 'ϲ' => 'c',
        'ԁ' => 'd',
        'е' | 'ё' | 'є' => 'e',
        'ɡ' | 'ց' => 'g',
        'һ' => 'h',
        'і' | 'ı' | 'ι' | 'ї' => 'i',
        'ј' => 'j',
        'к' | 'κ' => 'k',
        'ӏ' | '1' => 'l',
        'м' => 'm',
        'ո' => 'n',
        'о' | 'ο' | 'օ' | 'σ' | '0' => 'o',
        'р' | 'ρ' => 'p',
        'ѕ' => 's',
        'т' | 'τ' => 't',
        'υ' | 'ս' => 'u',
        'ν' | 'ѵ' => 'v',
        'ԝ' | 'ω' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'γ' => 'y',
        // The forms of Latin letters that East Asian type has.
        '\u{ff01}'..='\u{ff5e}' => u8::try_from(u32::from(c) - 0xfee0).map_or(c, char::from).to_ascii_lowercase(),
        _ => c,
    }
}

/// The words of a name, each between two spaces.
fn words(name: &str) -> String {
    let mut words = String::from(" ");
    for c in name.chars() {
        if c.is_alphanumeric() {
            words.push(c);
        } else if !words.ends_with(' ') {
            words.push(' ');
        }
    }
    words.push(' ');
    words
}

/// The organizational domain; below [`SHARED`] domains, the customer's domain.
fn organization(domain: &str) -> &str {
    let organization = organizational(domain);
    if !SHARED.contains(&organization) || domain == organization {
        return organization;
    }
    let customer = domain[..domain.len() - organization.len() - 1].rfind('.').map_or(0, |dot| dot + 1);
    &domain[customer..]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether the domain speaks for a report by this name and address.
    fn speaks(domain: &str, org_name: &str, email: &str) -> bool {
        let mut report = crate::ingest::tests::report();
        report.metadata.org_name = org_name.into();
        report.metadata.email = (!email.is_empty()).then(|| email.into());
        speaks_for(domain, (&report).into()).is_ok()
    }

    #[test]
    fn the_organization_of_the_reporters_address_speaks_for_it_and_its_name_does_not() {
        for domain in ["receiver.example", "mx.receiver.example", "Receiver.Example."] {
            assert!(speaks(domain, "Receiver", "dmarc@reports.receiver.example"), "{domain}");
        }
        assert!(
            speaks("receiver.example", "bank.example", "<dmarc@Receiver.example>"),
            "an unknown name is not compared"
        );
        assert!(!speaks("evil.example", "Receiver", "dmarc@receiver.example"));
        assert!(!speaks("receiver.example", "receiver.example", ""), "a name is no address");
        assert!(!speaks("receiver.example", "receiver.example", "receiver.example@evil.example"));
        assert!(!speaks("", "x", ""));
    }

    #[test]
    fn a_known_reporters_name_is_its_own() {
        for name in [
            "google.com",
            "Google",
            " GOOGLE, Inc.",
            "Goo\u{200b}gle",
            "mail.google.com",
            "google.com (DMARC)",
            "gmail.com",
            "google.co",
            "g00gle.com",
            "G\u{43e}\u{43e}gle",
            "g\u{43e}\u{43e}gle.com",
            "\u{ff27}\u{ff4f}\u{ff4f}\u{ff47}\u{ff4c}\u{ff45}",
        ] {
            assert!(!speaks("evil.example", name, "dmarc@evil.example"), "{name}");
            assert!(speaks("google.com", name, "noreply-dmarc-support@google.com"), "{name}");
        }
        for name in ["Outlook.com", "Enterprise Outlook", "Microsoft Corporation"] {
            assert!(speaks("notification.microsoft.com", name, "dmarcreport@microsoft.com"), "{name}");
            assert!(!speaks("google.com", name, "dmarc@google.com"), "another known reporter is another, {name}");
        }
        assert!(speaks("evil.example", "Googol", "dmarc@evil.example"));
        assert!(speaks("mx.google.example", "google.example", "dmarc@google.example"), "the domain that it names");
        assert!(!speaks("evil.example", "Mail.Ru Group", "dmarc@evil.example"));
        assert!(speaks("dmarc.yahoo.com", "Yahoo", "dmarchelp@yahooinc.com"), "two domains of one reporter");
        assert!(!speaks("dmarc.yahoo.com", "Yahoo", "dmarc@receiver.example"));
    }

    #[test]
    fn a_domain_of_mailboxes_speaks_for_nobody_but_the_operators_own_hosts_do() {
        for (domain, name) in [
            ("gmail.com", "x"),
            ("outlook.com", "Outlook.com"),
            ("yahoo.com", "Yahoo"),
            ("gmx.net", "GMX"),
            ("mail.ru", "Mail.Ru"),
            ("hotmail.co.uk", "x"),
            ("mx.btinternet.com", "BT"),
        ] {
            assert!(!speaks(domain, name, &format!("dmarc@{domain}")), "{domain}");
        }
        assert!(speaks("corp.mail.ru", "Mail.Ru", "dmarc_support@corp.mail.ru"));
        assert!(!speaks("mail.ru", "Mail.Ru", "dmarc_support@corp.mail.ru"), "a user's mailbox");
        assert!(!speaks("yahoo.com", "Yahoo", "dmarchelp@yahooinc.com"));
        assert!(speaks("sicher.web.de", "WEB.DE", "noreply-dmarc@sicher.web.de"));
    }

    #[test]
    fn customers_of_one_host_are_as_many_organizations() {
        assert!(speaks("a.onmicrosoft.com", "x", "dmarc@a.onmicrosoft.com"));
        assert!(speaks("esa1.a.iphmx.com", "x", "dmarc@esa2.a.iphmx.com"));
        for domain in ["b.onmicrosoft.com", "onmicrosoft.com"] {
            assert!(!speaks(domain, "x", "dmarc@a.onmicrosoft.com"), "{domain}");
        }
    }
}
