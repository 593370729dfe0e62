//! Consents to receive reports, for all domains: what to publish, whom to ask, and failed lookups.

use super::layout::{line, section};
use crate::dns::finding::txt_record;
use crate::dns::posture::consents::{ConsentPublisher, ConsentState, ReportConsent, ReportConsents};

/// Minimum number of missing records of one receiver to suggest a wildcard record.
const MANY: usize = 3;
/// Maximum number of failed lookups listed.
const UNKNOWN_LISTED: usize = 10;

/// All consents: first missing ones, by who must publish them, then existing ones.
pub fn report_consents(fleet: &ReportConsents) -> String {
    let mut text = String::new();
    let number = |state| fleet.consents.iter().filter(|consent| consent.state == state).count();
    let (published, missing, unknown) =
        (number(ConsentState::Published), number(ConsentState::Missing), number(ConsentState::Unknown));
    let words = match unknown {
        _ if fleet.consents.is_empty() => "No domain is known to send its reports to another organization.".to_owned(),
        0 => format!("Consents to receive reports: {published} published, {missing} missing."),
        unknown => format!("Consents to receive reports: {published} published, {missing} missing, {unknown} unknown."),
    };
    line(&mut text, 0, &words);
    missing_of(&mut text, fleet, ConsentPublisher::You, "Publish: reports about these domains come to you");
    missing_of(&mut text, fleet, ConsentPublisher::They, "Ask the receivers to publish: reporters send them nothing");
    let failed = fleet.consents.iter().filter(|consent| consent.state == ConsentState::Unknown);
    let unknown: Vec<String> = (fleet.unknown.iter().map(|domain| format!("_dmarc.{domain}")))
        .chain(failed.map(|consent| consent.name.clone()))
        .collect();
    if !unknown.is_empty() {
        section(&mut text, "Could not be looked up");
        unknown.iter().take(UNKNOWN_LISTED).for_each(|name| line(&mut text, 1, name));
        if let Some(more) = unknown.len().checked_sub(UNKNOWN_LISTED).filter(|more| *more > 0) {
            line(&mut text, 1, &format!("and {more} more"));
        }
    }
    text
}

fn missing_of(text: &mut String, fleet: &ReportConsents, publisher: ConsentPublisher, title: &str) {
    let is_missing =
        |consent: &&ReportConsent| consent.publisher == publisher && consent.state == ConsentState::Missing;
    let missing: Vec<&ReportConsent> = fleet.consents.iter().filter(is_missing).collect();
    if missing.is_empty() {
        return;
    }
    section(text, title);
    for of_receiver in missing.chunk_by(|a, b| a.receiver == b.receiver) {
        let receiver = &of_receiver[0].receiver;
        line(text, 1, &format!("in the zone of {receiver}:"));
        for consent in of_receiver {
            line(text, 2, &txt_record(&consent.name, "v=DMARC1"));
        }
        if publisher == ConsentPublisher::You && of_receiver.len() >= MANY {
            let all = txt_record(&format!("*._report._dmarc.{receiver}"), "v=DMARC1");
            line(text, 2, "or one record for all domains, including those of strangers:");
            line(text, 2, &all);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consents_to_publish_come_before_those_to_ask_for() {
        let consent = |publisher, receiver: &str, domain: &str, state| ReportConsent {
            publisher,
            receiver: receiver.to_owned(),
            domain: domain.to_owned(),
            name: format!("{domain}._report._dmarc.{receiver}"),
            state,
        };
        let (you, they) = (ConsentPublisher::You, ConsentPublisher::They);
        let mut consents: Vec<ReportConsent> = ["a.example", "b.example", "c.example"]
            .iter()
            .map(|domain| consent(you, "example.com", domain, ConsentState::Missing))
            .collect();
        consents.push(consent(they, "rua.example.net", "example.com", ConsentState::Missing));
        consents.push(consent(they, "rua.example.org", "example.com", ConsentState::Published));
        let fleet = ReportConsents { consents, unknown: vec!["away.example".to_owned()] };
        assert_eq!(
            report_consents(&fleet),
            "Consents to receive reports: 1 published, 4 missing.\n\
             \nPublish: reports about these domains come to you\n\
             \x20 in the zone of example.com:\n\
             \x20   a.example._report._dmarc.example.com. TXT \"v=DMARC1\"\n\
             \x20   b.example._report._dmarc.example.com. TXT \"v=DMARC1\"\n\
             \x20   c.example._report._dmarc.example.com. TXT \"v=DMARC1\"\n\
             \x20   or one record for all domains, including those of strangers:\n\
             \x20   *._report._dmarc.example.com. TXT \"v=DMARC1\"\n\
             \nAsk the receivers to publish: reporters send them nothing\n\
             \x20 in the zone of rua.example.net:\n\
             \x20   example.com._report._dmarc.rua.example.net. TXT \"v=DMARC1\"\n\
             \nCould not be looked up\n  _dmarc.away.example\n"
        );
        assert_eq!(
            report_consents(&ReportConsents::default()),
            "No domain is known to send its reports to another organization.\n"
        );
    }
}
