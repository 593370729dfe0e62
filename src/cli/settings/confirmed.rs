//! `[[confirmed]]`: the user's statement about a sender. It overrides all evidence.

use super::reader::Section;
use crate::analyze::Confirmed;
use crate::model::{Text, parse_network};
use crate::normalize::canonical_domain;

/// Reads a table; `None` if it is incomplete or wrong.
pub(super) fn read(section: &mut Section<'_>) -> Option<Confirmed> {
    const WORDS: [(&str, bool); 2] = [("mine", true), ("not_mine", false)];
    if !section.has("sender") {
        section.fault("sender", "expected \"mine\" or \"not_mine\", found no such key");
    }
    let mine = section.choice("sender", &WORDS);
    let signs_as =
        domain(section, "signs_as", "a signing domain or a domain of a return path, such as \"esp.example\"");
    let network = section.text("network").map(str::to_owned);
    let network = network.and_then(|text| {
        let read = parse_network(&text);
        if read.is_none() {
            section.fault(
                "network",
                &format!("expected an address or a network such as \"192.0.2.0/24\", found {text:?}"),
            );
        }
        read
    });
    if !section.has("signs_as") && !section.has("network") {
        section.fault("", "expected signs_as, network, or both, found neither");
    }
    let domain = domain(section, "domain", "one of your domains, such as \"example.com\"");
    let note = section.text("note").map(Text::from);
    let date = section.day("date");
    let said = signs_as.is_some() || network.is_some();
    said.then_some(Confirmed { mine: mine?, signs_as, network, domain, note, date })
}

fn domain(section: &mut Section<'_>, key: &'static str, expected: &str) -> Option<Text> {
    let text = section.text(key)?.to_owned();
    let domain = canonical_domain(&text).map(|domain| domain.as_str().into());
    if domain.is_none() {
        section.fault(key, &format!("expected {expected}, found {text:?}"));
    }
    domain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::settings::file::Settings;
    use std::path::Path;

    fn read(text: &str) -> Result<Vec<Confirmed>, String> {
        Settings::parse(text, Path::new("dmarquet.toml"))
            .map(|settings| settings.confirmed)
            .map_err(|e| format!("{e:#}"))
    }

    #[test]
    fn a_confirmed_sender_is_read_with_all_its_keys() {
        let text = "[[confirmed]]\nsender = \"mine\"\nsigns_as = \"ESP.example.\"\nnetwork = \"2001:db8::/32\"\n\
                    domain = \"example.com\"\nnote = \"asked Ann\"\ndate = 2026-11-29\n\
                    [[confirmed]]\nsender = \"not_mine\"\nnetwork = \"192.0.2.7\"\ndate = \"2026-11-30\"\n";
        let confirmed = read(text).unwrap();
        assert!(confirmed[0].mine && !confirmed[1].mine);
        assert_eq!(confirmed[0].signs_as.as_deref(), Some("esp.example"));
        assert_eq!(confirmed[0].network, Some(("2001:db8::".parse().unwrap(), 32)));
        assert_eq!(confirmed[1].network, Some(("192.0.2.7".parse().unwrap(), 32)));
        assert_eq!(confirmed[0].date.unwrap().to_string(), "2026-11-29");
        assert_eq!(confirmed[1].date.unwrap().to_string(), "2026-11-30");
    }

    #[test]
    fn what_is_wrong_names_its_line_and_what_was_expected() {
        for (text, expected) in [
            (
                "[[confirmed]]\nsigns_as = \"esp.example\"\n",
                "sender: expected \"mine\" or \"not_mine\", found no such key",
            ),
            ("[[confirmed]]\nsender = \"mine\"\n", "expected signs_as, network, or both, found neither"),
            ("[[confirmed]]\nsender = \"maybe\"\nsigns_as = \"esp.example\"\n", "line 2"),
            ("[[confirmed]]\nsender = \"mine\"\nnetwork = \"192.0.2.0/33\"\n", "found \"192.0.2.0/33\""),
            ("[[confirmed]]\nsender = \"mine\"\nnetwork = \"192.0.2.0/24\"\ndate = \"soon\"\n", "found \"soon\""),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
