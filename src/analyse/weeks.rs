//! Made weeks with planted events: the summary names each, and claims nothing else.

use super::{
    Adder, Change, Question, Summary,
    made::{self, Line},
    period::{date, number},
};
use crate::model::{Cause, Flags};
use jiff::civil::Date;

const REPORTERS: [&str; 4] = ["google.com", "Outlook.com", "Yahoo", "GMX"];

/// Nine quiet weeks of example.com: an own server, a service that signs as it, a little background spoofing.
pub(crate) struct World {
    pub(crate) lines: Vec<Line>,
    pub(crate) stricter_from: Option<Date>,
}

/// A day of the week that is asked for, 0 is Monday; earlier weeks by negative numbers.
pub(crate) fn day(number_in_week: i32) -> String {
    date(number("2026-11-16".parse().unwrap()) + number_in_week).to_string()
}

impl World {
    pub(crate) fn new() -> Self {
        let mut lines = Vec::new();
        for at in -56..7 {
            for (place, reporter) in REPORTERS.iter().enumerate() {
                let wave = i64::from((at + 56) % 5) + i64::try_from(place).unwrap();
                lines.push(Line::new(&day(at), "192.0.2.10", 40 + wave).reporter(reporter));
                lines.push(configured_service(&day(at), 20 + wave).reporter(reporter));
            }
            let spoofer = format!("203.0.113.{}", 100 + at.rem_euclid(40));
            lines.push(Line::new(&day(at), &spoofer, 2).unauthenticated().disposition("quarantine"));
        }
        Self { lines, stricter_from: None }
    }

    /// A line a day and reporter of some days of the week.
    pub(crate) fn add(&mut self, days: std::ops::Range<i32>, line: impl Fn(&str) -> Line) {
        for at in days {
            self.lines.extend(REPORTERS.iter().map(|reporter| line(&day(at)).reporter(reporter)));
        }
    }

    pub(crate) fn summary(&self) -> Summary {
        let question = Question {
            period: Some(made::week("2026-11-16")),
            today: Some("2026-11-25".parse().unwrap()),
            ..Question::default()
        };
        let mut adder = Adder::new(&question);
        adder.rows(&made::rows(&self.lines));
        let stricter = self.stricter_from;
        adder.heads(&made::heads(&self.lines, |_, day| {
            if stricter.is_some_and(|from| day >= from) { "quarantine" } else { "none" }
        }));
        adder.finish()
    }
}

/// A service that signs as example.com and uses its own return path.
fn configured_service(day: &str, count: i64) -> Line {
    Line::new(day, "198.51.100.20", count)
        .dkim("example.com", "esp", "pass")
        .spf("bounce.esp.example", "pass")
        .verdict(Flags::DKIM, Cause::PassDkimOnly)
}

fn spoofer(day: &str) -> Line {
    Line::new(day, "203.0.113.5", 40).unauthenticated().disposition("reject")
}

/// Everything the summary claims, one line each.
fn claims(summary: &Summary) -> Vec<String> {
    let mut claims = Vec::new();
    for action in &summary.actions {
        let what = match &action.change {
            Change::RepairKey { selector, fault, .. } => {
                format!("repair key {} {fault:?}", selector.as_ref().unwrap().as_written())
            }
            Change::AlignSender { organisation, .. } => format!("align {}", organisation.as_written()),
            Change::AuthoriseInSpf { spf_domain } => {
                format!("authorise {} in {}", action.sources[0], spf_domain.as_written())
            }
            Change::RepairSpf { spf_domain } => format!("repair spf {}", spf_domain.as_written()),
        };
        let since = action.since.map(|day| format!(" since {day}")).unwrap_or_default();
        claims.push(format!("{what}: {} of {}{since}", action.failing, action.messages));
    }
    let changes = &summary.changes;
    for (what, senders) in
        [("new", &changes.senders.new), ("gone", &changes.senders.vanished), ("moved", &changes.senders.moved)]
    {
        claims.extend(
            senders.iter().map(|change| format!("{what} {} {:?}", change.who.address.unwrap(), change.who.role)),
        );
    }
    claims.extend(
        changes
            .silent_reporters
            .iter()
            .map(|silent| format!("silent {} since {}", silent.org_name.as_written(), silent.last_report)),
    );
    claims.extend(
        changes.policies.iter().map(|change| {
            format!("policy {} {} on {}", change.tag, change.to.as_ref().unwrap().as_written(), change.day)
        }),
    );
    for sender in summary.senders.iter().filter(|sender| sender.sums.failing() > 0) {
        claims.push(format!("{:?} {} {}", sender.who.role, sender.who.address.unwrap(), sender.cause.as_str()));
    }
    if summary.comparison.as_ref().is_some_and(|comparison| comparison.rate_moved) {
        claims.push("pass rate moved".to_owned());
    }
    claims
}

fn assert_claims(world: &World, expected: &[&str]) {
    let (mut found, mut expected) = (claims(&world.summary()), expected.to_vec());
    found.sort();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn a_quiet_week_claims_nothing() {
    assert_claims(&World::new(), &[]);
}

#[test]
fn week_1_a_new_spoofing_source() {
    let mut world = World::new();
    world.add(1..4, spoofer);
    assert_claims(&world, &["new 203.0.113.5 Suspect", "Suspect 203.0.113.5 spoof_suspect", "pass rate moved"]);
}

#[test]
fn week_2_the_own_key_broke_on_wednesday() {
    let mut world = World::new();
    for line in
        world.lines.iter_mut().filter(|line| line.day.to_string() >= day(2) && line.source == "192.0.2.10".parse().ok())
    {
        *line = line.clone().dkim("example.com", "mail", "fail").verdict(Flags::SPF, Cause::PassSpfOnly);
    }
    assert_claims(&world, &["repair key mail Mismatch: 0 of 870 since 2026-11-18"]);
}

#[test]
fn week_3_the_key_of_a_service_is_gone_since_thursday() {
    let mut world = World::new();
    for line in world
        .lines
        .iter_mut()
        .filter(|line| line.day.to_string() >= day(3) && line.source == "198.51.100.20".parse().ok())
    {
        *line = line.clone().dkim("example.com", "esp", "permerror").verdict(0, Cause::ListOrModifyingForwarder);
    }
    assert_claims(&world, &[]);
}
