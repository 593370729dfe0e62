//! `[[customer]]`: an owner of domains that an operator manages, and how it gets its summary.

use super::reader::Section;
use crate::dns::lookup::name::organizational;
use crate::model::Owners;
use crate::normalize::canonical_domain;
use crate::send::is_address;
use std::path::{Path, PathBuf};

/// Maximum length of a name, title, footer or subject in characters.
const LONGEST: usize = 500;

/// Maximum length of a folder name in bytes, as file systems allow.
const LONGEST_FOLDER: usize = 255;

/// Placeholders in a subject.
const PLACES: [&str; 3] = ["{customer}", "{week}", "{status}"];

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Customer {
    /// The name shown in its mail.
    pub(crate) name: String,
    /// The folder for its files.
    pub(crate) folder: String,
    /// Its domains in canonical form, including everything below them.
    pub(crate) domains: Vec<String>,
    /// Recipients of its summary; if empty, none.
    pub(crate) mail_to: Vec<String>,
    /// The subject of the mail, with placeholders `{customer}`, `{week}` and `{status}`.
    pub(crate) subject: String,
    /// The line above the summary.
    pub(crate) title: String,
    /// A logo beside the title.
    pub(crate) logo: Option<PathBuf>,
    /// The last line.
    pub(crate) footer: Option<String>,
    /// The `Reply-To` address of the mail.
    pub(crate) reply_to: Option<String>,
}

/// Reads a table after others; a folder or a domain that an earlier customer has is an error.
pub(super) fn read(section: &mut Section<'_>, folder: &Path, customers: &mut Vec<Customer>) {
    let Some(customer) = read_customer(section, folder) else { return };
    for Customer { name, folder, domains, .. } in &*customers {
        if *folder == customer.folder {
            let other = &customer.name;
            section.fault(
                "name",
                &format!(
                    "expected a name with a folder of its own, found {other:?} beside {name:?}: both give {folder:?}"
                ),
            );
        }
        for domain in customer.domains.iter().filter(|domain| domains.contains(domain)) {
            section.fault(
                "domains",
                &format!("expected domains of no other customer, found {domain}, which {name:?} has too"),
            );
        }
    }
    customers.push(customer);
}

/// The organizational domains of customers: everything below one is taken for a customer's, even if the customer lists
/// only a subdomain.
pub(crate) fn organizations<'a>(customers: impl IntoIterator<Item = &'a Customer>) -> Owners {
    by_domain(customers, organizational)
}

/// The owner of each domain.
pub(crate) fn owners(customers: &[Customer]) -> Owners {
    by_domain(customers, |domain| domain)
}

fn by_domain<'a>(customers: impl IntoIterator<Item = &'a Customer>, name: fn(&str) -> &str) -> Owners {
    let domains = customers.into_iter().enumerate();
    Owners::new(domains.flat_map(|(owner, customer)| customer.domains.iter().map(move |domain| (name(domain), owner))))
}

/// Reads one table; `None` if its name or domains are missing or wrong.
fn read_customer(section: &mut Section<'_>, folder: &Path) -> Option<Customer> {
    let name = section.needed_text("name", "what the customer is called").map(str::to_owned);
    let name = name.filter(|name| is_name(section, name));
    let domains = domains(section);
    let mail_to = section.text_or_texts("mail_to");
    mail_to.iter().for_each(|text| check_address(section, "mail_to", text));
    let subject = line(section, "subject").unwrap_or_else(|| "{customer}: DMARC summary {week}: {status}".to_owned());
    if let Some(unknown) = unknown_place(&subject) {
        let expected = PLACES.join(", ");
        section.fault("subject", &format!("expected only {expected} in braces, found {unknown:?}"));
    }
    let title = line(section, "title");
    let logo = section.path("logo", folder);
    let footer = line(section, "footer");
    let reply_to = section.text("reply_to").map(str::to_owned);
    reply_to.iter().for_each(|text| check_address(section, "reply_to", text));
    let name = name?;
    let title = title.unwrap_or_else(|| name.clone());
    Some(Customer {
        folder: folder_of(&name),
        name,
        domains: domains?,
        mail_to,
        subject,
        title,
        logo,
        footer,
        reply_to,
    })
}

fn is_name(section: &Section<'_>, name: &str) -> bool {
    let folder = folder_of(name);
    if !name.chars().any(char::is_alphanumeric) || name.chars().any(char::is_control) || name.trim() != name {
        section.fault("name", &format!("expected a name with letters or digits in it, on one line, found {name:?}"));
        return false;
    }
    if folder.len() > LONGEST_FOLDER {
        section
            .fault("name", &format!("expected a name of up to {LONGEST_FOLDER} bytes, found one of {}", folder.len()));
        return false;
    }
    true
}

/// The name in lower case, with `-` for anything but letters and digits.
fn folder_of(name: &str) -> String {
    name.to_lowercase().chars().map(|char| if char.is_alphanumeric() { char } else { '-' }).collect()
}

fn domains(section: &mut Section<'_>) -> Option<Vec<String>> {
    if !section.has("domains") {
        section.fault("domains", "expected a list of the customer's domains, as [\"example.com\"], found no such key");
    }
    let mut domains: Vec<String> = Vec::new();
    for text in section.text_or_texts("domains") {
        match canonical_domain(&text).map(|domain| domain.as_str().to_owned()) {
            Some(domain) if domains.contains(&domain) => {
                section.fault("domains", &format!("expected each domain once, found {domain} twice"));
            }
            // A top-level domain cannot belong to a customer.
            Some(domain) if domain.contains('.') => domains.push(domain),
            _ => section.fault("domains", &format!("expected domains such as \"example.com\", found {text:?}")),
        }
    }
    (!domains.is_empty()).then_some(domains)
}

/// Reads a text without line breaks.
fn line(section: &mut Section<'_>, key: &'static str) -> Option<String> {
    let text = section.text(key)?;
    if text.chars().any(char::is_control) || text.chars().count() > LONGEST {
        section.fault(key, &format!("expected one line of up to {LONGEST} characters, found another text"));
        return None;
    }
    Some(text.to_owned())
}

fn check_address(section: &Section<'_>, key: &str, text: &str) {
    if !is_address(text) {
        section.fault(key, &format!("expected a mail address such as \"postmaster@example.com\", found {text:?}"));
    }
}

/// Finds an unknown placeholder.
fn unknown_place(subject: &str) -> Option<&str> {
    let mut rest = subject;
    while let Some(at) = rest.find(['{', '}']) {
        rest = &rest[at..];
        match PLACES.iter().find(|place| rest.starts_with(**place)) {
            Some(place) => rest = &rest[place.len()..],
            None => return Some(rest.find('}').map_or(rest, |end| &rest[..=end])),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::cli::settings::file::Settings;
    use std::path::Path;

    fn read(text: &str) -> Result<Settings, String> {
        Settings::parse(text, Path::new("dmarquet.toml")).map_err(|error| {
            error.downcast::<crate::cli::terminal::fault::Several>().map_or_else(
                |error| format!("{error:#}"),
                |several| several.0.iter().map(|error| format!("{error:#}")).collect::<Vec<_>>().join("\n") + "\n",
            )
        })
    }

    #[test]
    fn a_customer_has_a_name_and_domains_and_may_leave_out_the_rest() {
        let text = "[[customer]]\nname = \"Mühle & Söhne\"\ndomains = [\"Example.COM.\", \"example.net\"]\n\
                    mail_to = \"it@example.com\"\nsubject = \"{customer}: {week}: {status}\"\nlogo = \"a.svg\"\n\
                    [[customer]]\nname = \"Shop\"\ndomains = [\"shop.example.com\"]\n";
        let settings = read(text).unwrap();
        let [first, second] = &settings.customers[..] else { panic!("two customers") };
        assert_eq!((first.folder.as_str(), first.title.as_str()), ("mühle---söhne", "Mühle & Söhne"));
        assert_eq!(first.domains, ["example.com", "example.net"]);
        assert_eq!(first.mail_to, ["it@example.com"]);
        assert!(second.mail_to.is_empty() && second.subject.contains("{status}"));
        let owners = settings.owners();
        assert_eq!((owners.owner_of("a.shop.example.com"), owners.owner_of("a.example.com")), (Some(1), Some(0)));
    }

    #[test]
    fn a_domain_claimed_twice_or_invalid_is_an_error_with_its_line() {
        let one = "[[customer]]\nname = \"A b\"\ndomains = [\"example.com\"]\n";
        for (text, expected) in [
            ("[[customer]]\ndomains = [\"example.com\"]\n", "customer 1: name: expected what the customer is called"),
            ("[[customer]]\nname = \"x\"\n", "line 1: customer 1: domains: expected a list"),
            ("[[customer]]\nname = \"x\"\ndomains = [\"com\"]\n", "found \"com\""),
            ("[[customer]]\nname = \"x\"\ndomains = [\"a.example\", \"A.example.\"]\n", "found a.example twice"),
            ("[[customer]]\nname = \"..\"\ndomains = [\"a.example\"]\n", "expected a name with letters or digits"),
            ("[[customer]]\nname = \"x\"\ndomains = [\"a.example\"]\nmail_to = \"me\"\n", "found \"me\""),
            ("[[customer]]\nname = \"x\"\ndomains = [\"a.example\"]\nsubject = \"{wek}\"\n", "found \"{wek}\""),
            ("[[customer]]\nname = \"x\"\ndomains = [\"a.example\"]\ndomain = \"a\"\n", "domain: unknown key"),
            (&format!("{one}[[customer]]\nname = \"a-B\"\ndomains = [\"a.example\"]\n"), "both give \"a-b\""),
            (&format!("{one}[[customer]]\nname = \"C\"\ndomains = [\"example.com\"]\n"), "which \"A b\" has too"),
        ] {
            let faults = read(text).unwrap_err();
            assert!(faults.contains(expected), "{faults}");
        }
    }
}
