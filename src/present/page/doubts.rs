//! Senders that only the user can identify: each with the lines to paste into the settings.

use super::shared::NAMED;
use crate::analyze::{Foreign, Losing, ReadinessVerdict, Role, Sender, SenderName, Summary};
use crate::present::wording::clean::Clean;
use crate::present::wording::words;
use serde::Serialize;

/// A sender in doubt.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Doubt {
    /// The sender, and what depends on it.
    pub(crate) text: String,
    /// The lines for the settings, in TOML.
    pub(crate) lines: Vec<String>,
}

/// The doubts of all domains; in each, those with the most failing messages first.
pub(super) fn doubts(summary: &Summary) -> Vec<Doubt> {
    let undone = summary
        .domains
        .iter()
        .filter(|domain| domain.readiness.verdict != ReadinessVerdict::Done || domain.readiness.lost_now > 0);
    let of_domain = undone.flat_map(|domain| {
        let readiness = &domain.readiness;
        let vendors = readiness.losing.iter().filter(|losing| losing.who.role == Role::Vendor);
        vendors.chain(&readiness.unclear_senders)
    });
    let doubt = |losing: &Losing| {
        let is_known = is_own_address(&losing.who, &summary.senders);
        (!is_known || failing(losing) >= ASKED).then(|| doubt(losing, is_known))
    };
    of_domain.filter_map(doubt).take(NAMED).collect()
}

/// Fewer messages of a known address are no reason to ask.
const ASKED: u64 = 10;

fn failing(losing: &Losing) -> u64 {
    losing.failing.max(losing.lost_now)
}

/// Whether an address that authenticates as nothing here is known as the user's by its other mail for the same domain.
fn is_own_address(who: &SenderName, senders: &[Sender]) -> bool {
    let is_bare = who.role == Role::Unclear && who.signs_as.is_none() && who.returns_to.is_none();
    let same = |own: &SenderName| (&own.policy_domain, own.address) == (&who.policy_domain, who.address);
    let is_single = who.addresses <= 1 && who.address.is_some();
    is_bare && is_single && senders.iter().any(|sender| sender.who.role == Role::Own && same(&sender.who))
}

fn doubt(losing: &Losing, is_known: bool) -> Doubt {
    let what = if is_known { "the unproven mail from " } else { "" };
    let text = format!(
        "Is {what}{} yours? {} failed{}.",
        words::sender(&losing.who),
        words::messages(failing(losing)),
        losing.last_failing.map(|day| format!(", the last on {}", words::weekday(day))).unwrap_or_default(),
    );
    Doubt { text, lines: lines(&losing.who) }
}

/// The table that confirms a sender: by what it authenticates as, else by its address.
fn lines(who: &SenderName) -> Vec<String> {
    let by = words::authenticated_as(who).map_or_else(
        || who.address.map(|address| format!("network = \"{address}/{}\"", who.prefix)),
        |name| Some(format!("signs_as = {}", quoted(name))),
    );
    let table = ["[[confirmed]]".to_owned(), "sender = \"mine\"".to_owned()];
    table.into_iter().chain(by).chain([format!("domain = {}", quoted(&who.policy_domain))]).collect()
}

/// Untrusted text as a TOML string: cleaned, so that nothing in it ends the string or is invisible.
fn quoted(text: &Foreign) -> String {
    let text: String = Clean::new(text).to_string().chars().filter(|char| !matches!(char, '"' | '\\')).collect();
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::tests::weeks;

    #[test]
    fn each_doubt_ends_with_lines_that_the_settings_take() {
        let planted = weeks::planted();
        let week = planted.iter().find(|planted| planted.event == "a new service that nobody set up").unwrap();
        let doubts = doubts(&week.world.summary());
        assert_eq!(doubts.len(), 1);
        assert!(doubts[0].text.starts_with("Is 198.51.100.77"), "{}", doubts[0].text);
        assert_eq!(
            doubts[0].lines,
            ["[[confirmed]]", "sender = \"mine\"", "signs_as = \"news.example\"", "domain = \"example.com\""]
        );
    }

    #[test]
    fn a_few_messages_of_an_address_that_is_known_by_its_key_are_not_asked_about() {
        let planted = weeks::planted();
        let week = planted.iter().find(|planted| planted.event == "a new service that nobody set up").unwrap();
        let mut summary = week.world.summary();
        let domain = summary.domains.iter_mut().find(|domain| domain.policy_domain == "example.com".into()).unwrap();
        let readiness = &mut domain.readiness;
        let mut losing = readiness.losing.iter().chain(&readiness.unclear_senders).next().unwrap().clone();
        readiness.losing.clear();
        let own = summary.senders.iter_mut().find(|sender| sender.who.role == Role::Own).unwrap();
        own.who.addresses = 1;
        let who = SenderName { signs_as: None, returns_to: None, role: Role::Unclear, ..own.who.clone() };
        (losing.who, losing.failing, losing.lost_now) = (who, ASKED - 1, 0);
        let mut asked = |losing: &Losing| {
            let of_domain =
                |domain: &&mut crate::analyze::DomainSummary| domain.policy_domain == losing.who.policy_domain;
            let domain = summary.domains.iter_mut().find(of_domain).unwrap();
            domain.readiness.unclear_senders = vec![losing.clone()];
            doubts(&summary).into_iter().map(|doubt| doubt.text).collect::<Vec<_>>()
        };
        assert_eq!(asked(&losing), [""; 0]);
        losing.failing = ASKED;
        assert!(asked(&losing)[0].starts_with("Is the unproven mail from "), "{:?}", asked(&losing));
        losing.who.address = "203.0.113.99".parse().ok();
        losing.failing = 3;
        assert!(asked(&losing)[0].starts_with("Is 203.0.113.99"), "another address is asked about");
    }

    #[test]
    fn untrusted_text_cannot_end_a_toml_string() {
        assert_eq!(quoted(&"a\"\nsender = \"mine".into()).matches('"').count(), 2);
    }
}
