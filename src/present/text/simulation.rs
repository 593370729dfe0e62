//! A simulation as text: the verdict, who loses mail, other changes, and what cannot be decided.

use super::layout::TextLayout;
use crate::analyze::{Foreign, Rate, Role};
use crate::dns::dmarc::Policy;
use crate::present::wording::clean::Clean;
use crate::present::wording::numbers::{count, counted, percent};
use crate::present::wording::style::Style;
use crate::present::wording::words;
use crate::simulate::{
    ChangeCounts, ChangedSender, LossCause, LostSender, ObstacleKind, RoleCount, SimulatedSender, Simulation,
    TreeWalkCheck, UndecidableReason,
};

/// Maximum number of senders in the text; JSON has all.
const LISTED: usize = 40;
/// Maximum number of other senders per role in the text.
const NAMED: usize = 5;
/// Maximum number of names per reason in the text.
const NAMES: usize = 3;

/// The simulation as text.
pub fn simulation(simulation: &Simulation, style: &Style) -> String {
    let mut writer = TextLayout::new(*style);
    let domain = Clean::new(&simulation.policy_domain);
    writer.bold(&format!("{domain}: {}", verdict(simulation)));
    writer.wrapped(&comparison(simulation), "");
    writer.blank();
    writer.wrapped(&numbers(simulation), "");
    writer.wrapped(&consequence(simulation), "");
    lost(&mut writer, simulation);
    others(&mut writer, simulation);
    if !simulation.undecidable.reasons.is_empty() {
        writer.head("WHAT CANNOT BE DECIDED");
        simulation.undecidable.reasons.iter().for_each(|reason| writer.item("· ", &undecidable(reason)));
    }
    checks(&mut writer, simulation);
    writer.blank();
    writer.wrapped(
        "This is what the record asks of receivers. A receiver may decide otherwise, and mail without a report is not \
         included.",
        "",
    );
    writer.finish()
}

fn verdict(simulation: &Simulation) -> String {
    let lost = &simulation.lost;
    match (lost.messages, lost.unclear) {
        (0, _) if simulation.undecidable.failed_lookups() > 0 => {
            "not everything could be looked up; nothing else would be lost".to_owned()
        }
        (0, _) => "no legitimate mail would be lost".to_owned(),
        (all, 0) => format!("{} would be lost", counted(all, "legitimate message", "legitimate messages")),
        (all, unclear) if all == unclear => format!("{} from unclear senders would be lost", words::messages(all)),
        (all, unclear) => {
            format!("{} would be lost, {} of them from unclear senders", words::messages(all), count(unclear))
        }
    }
}

/// The two records, and the days.
fn comparison(simulation: &Simulation) -> String {
    let (now, then) = (&simulation.in_force, &simulation.proposed);
    let seen = now.day.map_or("no report shows a policy".to_owned(), |day| {
        format!("as the reports of {} show it", words::weekday(day))
    });
    let policy = if now.dmarc == then.dmarc {
        format!("The policy stays {}, {seen}.", now.dmarc)
    } else {
        format!("The policy changes from {}, {seen}, to {}.", now.dmarc, then.dmarc)
    };
    let spf = then.spf.as_ref().map(|spf| format!("SPF becomes {}.", Clean::new(spf)));
    let selectors = words::each_shown(&then.removed_selectors);
    let keys = (!selectors.is_empty()).then(|| match selectors.as_slice() {
        [one] => format!("The DKIM key of selector {one} is removed."),
        several => format!("The DKIM keys of selectors {} are removed.", several.join(", ")),
    });
    let zone = then.zone_file.then(|| "The records of the zone file replace those in DNS.".to_owned());
    let window = &simulation.window;
    let days = format!(
        "Simulated with the mail of {}, {} to {} (UTC).",
        counted(u64::from(window.weeks), "week", "weeks"),
        words::weekday(window.from),
        words::weekday(window.to)
    );
    [Some(policy), spf, keys, zone, Some(days)].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn numbers(simulation: &Simulation) -> String {
    let changes = &simulation.changes.all;
    let judged = words::messages(simulation.judged.messages);
    if changes.messages == 0 {
        return format!("{judged} judged. Nothing changes for any of them.");
    }
    format!("{judged} judged. {} change: {}.", count(changes.messages), how(changes))
}

/// Describes changes.
fn how(changes: &ChangeCounts) -> String {
    let parts: Vec<String> = [
        (changes.newly_failing, "newly fail DMARC"),
        (changes.newly_passing, "newly pass"),
        (changes.stricter, "would be treated more strictly"),
        (changes.milder, "would be treated less strictly"),
    ]
    .into_iter()
    .filter(|(messages, _)| *messages > 0)
    .map(|(messages, what)| format!("{} {what}", count(messages)))
    .collect();
    parts.join(", ")
}

fn consequence(simulation: &Simulation) -> String {
    let (lost, tolerated) = (simulation.lost.messages, simulation.tolerated.messages);
    let share = percent(Rate::of(lost, simulation.judged.messages));
    match simulation.exit_code() {
        1 if tolerated == 0 => format!("Lost: {} ({share} of all).", words::messages(lost)),
        1 => format!("Lost: {} ({share} of all), more than the {} tolerated.", words::messages(lost), count(tolerated)),
        2 => "The result depends on lookups that failed: run it again when DNS answers.".to_owned(),
        _ if lost > 0 => {
            format!(
                "Lost: {} ({share} of all), no more than the {} tolerated.",
                words::messages(lost),
                count(tolerated)
            )
        }
        _ if simulation.changes.all.newly_failing > 0 && simulation.changes.all.stricter == 0 => {
            "Nothing is lost: for mail that fails, this policy asks for nothing.".to_owned()
        }
        _ => "Nothing is lost.".to_owned(),
    }
}

fn lost(writer: &mut TextLayout, simulation: &Simulation) {
    let senders = &simulation.lost.senders;
    if senders.is_empty() {
        return;
    }
    writer.head("WHO WOULD LOSE MAIL");
    for sender in senders.iter().take(LISTED) {
        let (messages, cause) = (words::messages(sender.messages), cause(sender, &simulation.policy_domain));
        writer.item(
            "· ",
            &format!("{}, {}: {messages}. {cause}", address(&sender.sender), words::role(sender.sender.role)),
        );
        writer.wrapped(&example(sender), "  ");
    }
    let more = senders.len().saturating_sub(LISTED) as u64;
    if more > 0 {
        writer.wrapped(&format!("And {}; --format json lists them.", counted(more, "more sender", "more senders")), "");
    }
}

/// `192.0.2.0/24 (SendGrid, 12 addresses)`.
fn address(sender: &SimulatedSender) -> String {
    let several = words::several_addresses(sender.addresses);
    let known: Vec<String> = words::each_shown(sender.name()).into_iter().chain(several).collect();
    let known = words::between(" (", &known.join(", "), ")");
    format!("{}{known}", sender.address.as_deref().unwrap_or("an unknown source"))
}

fn cause(lost: &LostSender, domain: &Foreign) -> String {
    let sender = &lost.sender;
    let other = sender.signs_as.as_ref().or(sender.returns_to.as_ref()).filter(|name| *name != domain);
    match (lost.cause, other) {
        (LossCause::Policy, Some(other)) if sender.role != Role::Own => {
            format!("They fail DMARC already: they authenticate only as {}.", Clean::new(other))
        }
        (LossCause::Policy, _) => "They fail DMARC already.".to_owned(),
        (LossCause::Dkim, _) => "They pass by DKIM alone now, and would not.".to_owned(),
        (LossCause::Spf, _) => "They pass by SPF alone now, and would not.".to_owned(),
        (LossCause::DkimAndSpf, _) => "They pass by DKIM and SPF now, and would pass by neither.".to_owned(),
    }
}

fn example(sender: &LostSender) -> String {
    let example = &sender.example;
    let dkim = words::each_shown(&example.dkim);
    let dkim = if dkim.is_empty() { "unsigned".to_owned() } else { format!("DKIM {}", dkim.join(", ")) };
    let spf = example.spf.as_ref().map(|spf| format!(", SPF {}", Clean::new(spf))).unwrap_or_default();
    let reporter = words::between(" from ", &words::shown(Some(&example.org_name)), "");
    format!(
        "For example {}{reporter}: From {}, {dkim}{spf}. {}, and would be {}.",
        words::weekday(example.day),
        Clean::new(&example.header_from),
        words::capital(treated(example.fate)),
        treated(example.proposed_fate)
    )
}

const fn treated(policy: Policy) -> &'static str {
    match policy {
        Policy::None => "not blocked",
        Policy::Quarantine => "quarantined",
        Policy::Reject => "rejected",
    }
}

/// Senders with changed mail, by role, and the names of those not yet mentioned.
fn others(writer: &mut TextLayout, simulation: &Simulation) {
    let changes = &simulation.changes;
    if changes.roles.is_empty() {
        return;
    }
    writer.head("WHOSE MAIL CHANGES");
    for count in &changes.roles {
        writer.item("· ", &of_role(count));
        let named = |sender: &&ChangedSender| {
            let ChangedSender { sender, .. } = sender;
            let lost = |lost: &LostSender| lost.sender.role == sender.role && lost.sender.address == sender.address;
            sender.role == count.role && !simulation.lost.senders.iter().any(lost)
        };
        for sender in changes.senders.iter().filter(named).take(NAMED) {
            writer.item("    ", &format!("{}: {}", address(&sender.sender), how(&sender.changes)));
        }
    }
}

fn of_role(count: &RoleCount) -> String {
    let whose = match count.role {
        Role::Own => "Yours",
        Role::Vendor => "Services that are probably yours",
        Role::Forwarder => "Forwarders",
        Role::List => "Mailing lists",
        Role::Unclear => "Unclear senders",
        Role::Suspect => "Suspects, probably spoofing",
    };
    format!("{whose}: {}", how(&count.changes))
}

fn undecidable(reason: &UndecidableReason) -> String {
    let messages = words::messages(reason.messages);
    let names = words::each_shown(reason.details.iter().take(NAMES));
    let more = reason.more_details + reason.details.len().saturating_sub(NAMES) as u64;
    let more = if more > 0 { format!(", and {} more", count(more)) } else { String::new() };
    let names = format!("{}{more}", names.join("; "));
    match reason.reason {
        ObstacleKind::SenderUnsaid => format!(
            "{messages}: the SPF record asks for the local part of the return path or the HELO name, which no report contains."
        ),
        ObstacleKind::ReportIncomplete => {
            format!("{messages}: the report leaves out a selector or an address that decides.")
        }
        ObstacleKind::KeyReplaced => format!(
            "{messages}: the key is not the one in DNS, and no report says whether the sender signs with it: {names}."
        ),
        ObstacleKind::LookupFailed => format!("{messages}: a lookup failed: {names}."),
    }
}

/// Comparison of the simulation with receivers, and with the other method to find the organization.
fn checks(writer: &mut TextLayout, simulation: &Simulation) {
    let test = simulation.test_mode;
    let walk = simulation.tree_walk.as_ref().filter(|walk| walk.messages > 0);
    if test.messages == 0 && walk.is_none() {
        return;
    }
    writer.head("HOW RELIABLE THIS IS");
    if test.messages > 0 {
        writer.item(
            "· ",
            &format!(
                "Receivers reported that test mode (t=y) exempted {}; the simulation agrees on {} ({}).",
                words::messages(test.messages),
                count(test.agree),
                percent(Rate::of(test.agree, test.messages))
            ),
        );
    }
    if let Some(walk) = walk {
        writer.item("· ", &tree_walk(walk));
    }
}

fn tree_walk(walk: &TreeWalkCheck) -> String {
    let names = words::each_shown(&walk.header_from);
    format!(
        "Receivers that find the organization by the tree walk of RFC 9989 instead of the suffix list would judge {} \
         differently, {} of them more strictly: From {}.",
        words::messages(walk.messages),
        count(walk.stricter),
        names.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::structured::json::{SIMULATION_JSON_SCHEMA, json, tests::check};
    use crate::present::wording::clean::is_shown;
    use crate::simulate::{
        ChangedMail, LossExample, LostMail, MailCount, ProposedRecords, RecordInForce, SimulatedWeeks, TestModeCheck,
        UndecidableMail,
    };

    const HOSTILE: &str = "<b>\u{1b}]0;x\u{7}\u{202e}\u{9b}2J\n\"";

    fn made(name: &str) -> Simulation {
        let day = |text: &str| text.parse().unwrap();
        let foreign = || Foreign::from(name);
        let changes = |messages, (newly_failing, newly_passing), (stricter, milder)| ChangeCounts {
            messages,
            newly_failing,
            newly_passing,
            stricter,
            milder,
        };
        let reason = |reason, messages| UndecidableReason {
            reason,
            details: vec![foreign(), foreign(), foreign(), foreign()],
            more_details: 2,
            messages,
        };
        Simulation {
            schema: 1,
            policy_domain: foreign(),
            window: SimulatedWeeks { from: day("2026-09-28"), to: day("2026-11-22"), weeks: 8 },
            in_force: RecordInForce { day: Some(day("2026-11-22")), dmarc: "p=none".into() },
            proposed: ProposedRecords {
                dmarc: "p=reject; adkim=s".into(),
                spf: Some(foreign()),
                removed_selectors: vec![foreign(), foreign()],
                zone_file: true,
            },
            judged: MailCount { messages: 10_000 },
            changes: ChangedMail {
                all: changes(1_600, (300, 100), (1_500, 100)),
                roles: vec![
                    RoleCount { role: Role::Own, changes: changes(400, (300, 100), (300, 100)) },
                    RoleCount { role: Role::Suspect, changes: changes(1_200, (0, 0), (1_200, 0)) },
                ],
                senders: vec![ChangedSender {
                    sender: SimulatedSender {
                        address: Some("192.0.2.44".to_owned()),
                        addresses: 1,
                        service: None,
                        signs_as: Some(foreign()),
                        returns_to: None,
                        role: Role::Own,
                    },
                    changes: changes(100, (0, 100), (0, 100)),
                }],
                more_senders: 0,
            },
            lost: LostMail {
                messages: 310,
                legitimate: 300,
                unclear: 10,
                senders: [
                    (Role::Own, 300, LossCause::Dkim, Some("192.0.2.0/28")),
                    (Role::Unclear, 10, LossCause::Policy, None),
                ]
                .map(|(role, messages, cause, address)| LostSender {
                    sender: SimulatedSender {
                        address: address.map(str::to_owned),
                        addresses: 9,
                        service: None,
                        signs_as: Some(foreign()),
                        returns_to: None,
                        role,
                    },
                    messages,
                    cause,
                    example: LossExample {
                        day: day("2026-11-20"),
                        org_name: foreign(),
                        header_from: foreign(),
                        dkim: vec![foreign()],
                        spf: Some(foreign()),
                        fate: Policy::None,
                        proposed_fate: Policy::Reject,
                    },
                })
                .to_vec(),
            },
            undecidable: UndecidableMail {
                messages: 100,
                reasons: vec![
                    reason(ObstacleKind::LookupFailed, 40),
                    reason(ObstacleKind::KeyReplaced, 30),
                    reason(ObstacleKind::SenderUnsaid, 20),
                    reason(ObstacleKind::ReportIncomplete, 10),
                ],
            },
            test_mode: TestModeCheck { messages: 200, agree: 199 },
            tree_walk: Some(TreeWalkCheck { messages: 5, stricter: 5, header_from: vec![foreign()] }),
            tolerated: MailCount { messages: 20 },
        }
    }

    #[test]
    fn the_text_of_a_simulation_is_as_expected() {
        insta::assert_snapshot!(simulation(&made("example.com"), &Style::default()));
    }

    #[test]
    fn hostile_text_is_inert_and_no_line_is_too_wide() {
        let answer = made(HOSTILE);
        for rendering in [simulation(&answer, &Style::default()), json(&answer)] {
            let wrong = rendering.chars().find(|char| *char != '\n' && !is_shown(*char));
            assert_eq!(wrong, None, "{rendering}");
        }
        let plain = simulation(&made("example.com"), &Style { ascii: true, ..Style::default() });
        assert!(plain.is_ascii() && plain.lines().all(|line| line.len() <= 80), "{plain}");
    }

    #[test]
    fn the_json_matches_the_schema() {
        let schema = serde_json::from_str(SIMULATION_JSON_SCHEMA).unwrap();
        let none = Simulation {
            tree_walk: None,
            in_force: RecordInForce { day: None, dmarc: "p=none".into() },
            ..made("example.com")
        };
        for answer in [made("example.com"), none] {
            let value = serde_json::from_str(&json(&answer)).unwrap();
            check(&value, &schema, &schema, "simulation");
        }
    }

    #[test]
    fn the_first_line_says_what_matters() {
        let mut answer = made("example.com");
        let first = |answer: &Simulation| simulation(answer, &Style::default()).lines().next().unwrap().to_owned();
        assert_eq!(first(&answer), "example.com: 310 messages would be lost, 10 of them from unclear senders");
        answer.lost = LostMail::default();
        assert_eq!(first(&answer), "example.com: not everything could be looked up; nothing else would be lost");
        answer.undecidable = UndecidableMail::default();
        assert_eq!(first(&answer), "example.com: no legitimate mail would be lost");
    }
}
