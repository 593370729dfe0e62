//! Made weeks with planted events: the summary names each, and claims nothing else.

use super::{
    Adder, Change, Explainer, Explanation, Question, Role, Summary,
    made::{self, Line},
    period::{date, number},
};
use crate::model::{Cause, Flags, ReportHead};
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

    /// Change the lines of a source from a day of the week on.
    fn change(&mut self, source: &str, from: i32, change: impl Fn(Line) -> Line) {
        let (source, from) = (source.parse().ok(), day(from));
        for line in self.lines.iter_mut().filter(|line| line.source == source && line.day.to_string() >= from) {
            *line = change(line.clone());
        }
    }

    fn question() -> Question {
        Question {
            period: Some(made::week("2026-11-16")),
            today: Some("2026-11-25".parse().unwrap()),
            ..Question::default()
        }
    }

    fn heads(&self) -> Vec<ReportHead> {
        made::heads(
            &self.lines,
            |_, day| {
                if self.stricter_from.is_some_and(|from| day >= from) { "quarantine" } else { "none" }
            },
        )
    }

    pub(crate) fn summary(&self) -> Summary {
        let mut adder = Adder::new(&Self::question());
        adder.rows(&made::rows(&self.lines));
        adder.heads(&self.heads());
        adder.finish()
    }

    pub(crate) fn explanation(&self, source: &str) -> Explanation {
        let mut explainer = Explainer::new(&Self::question(), source.parse().ok());
        explainer.heads(&self.heads());
        let (front, back) = self.lines.split_at(self.lines.len() / 2);
        explainer.rows(&made::rows(front));
        let mut other = Explainer::new(&Self::question(), source.parse().ok());
        other.rows(&made::rows(back));
        explainer.merge(other);
        explainer.finish()
    }
}

/// A service that signs as example.com and uses its own return path.
fn configured_service(day: &str, count: i64) -> Line {
    Line::new(day, "198.51.100.20", count)
        .dkim("example.com", "esp", "pass")
        .spf("bounce.esp.example", "pass")
        .verdict(Flags::DKIM, Cause::PassDkimOnly)
}

/// A service that nobody set up.
fn unaligned_service(day: &str, count: i64) -> Line {
    Line::new(day, "198.51.100.77", count)
        .dkim("news.example", "k1", "pass")
        .spf("bounce.news.example", "pass")
        .verdict(0, Cause::AuthenticatedUnaligned)
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
    world.change("192.0.2.10", 2, |line| {
        line.dkim("example.com", "mail", "fail").verdict(Flags::SPF, Cause::PassSpfOnly)
    });
    assert_claims(&world, &["repair key mail Mismatch: 0 of 870 since 2026-11-18"]);
}

#[test]
fn week_2b_a_new_selector_was_never_published() {
    let mut world = World::new();
    world.change("198.51.100.20", 2, |line| {
        line.dkim("example.com", "esp2", "permerror").spf("example.com", "softfail").verdict(0, Cause::OwnSigningBroken)
    });
    let claims = claims(&world.summary());
    assert!(claims.iter().any(|claim| claim.starts_with("repair key esp2 Missing: ")), "{claims:?}");
}

#[test]
fn week_3_the_key_of_a_service_is_gone_since_thursday() {
    let mut world = World::new();
    world.change("198.51.100.20", 3, |line| {
        line.dkim("example.com", "esp", "permerror").verdict(0, Cause::ListOrModifyingForwarder)
    });
    assert_claims(
        &world,
        &[
            "repair key esp Missing: 372 of 372 since 2026-11-19",
            "moved 198.51.100.20 Own",
            "Own 198.51.100.20 own_signing_broken",
            "pass rate moved",
        ],
    );
}

#[test]
fn week_4_a_forwarder_is_no_broken_sender_and_no_spoofer() {
    let mut world = World::new();
    let forwarded = |line: Line| line.spf("example.com", "softfail");
    world.add(-56..7, |day| forwarded(Line::new(day, "192.0.2.201", 1)).verdict(Flags::DKIM, Cause::PassDkimOnly));
    world.add(0..7, |day| {
        let line = forwarded(Line::new(day, "192.0.2.201", 3)).unsigned();
        line.reason("forwarded").verdict(0, Cause::ForwardedDeclared)
    });
    assert_claims(&world, &["Forwarder 192.0.2.201 forwarded_declared", "pass rate moved"]);
}

#[test]
fn week_5_a_mailing_list_is_told_with_its_evidence() {
    let mut world = World::new();
    world.add(0..5, |day| {
        let line = Line::new(day, "198.51.100.99", 3).dkim("lists.example", "l1", "pass").spf("lists.example", "pass");
        line.reason("mailing_list").verdict(0, Cause::ListOrModifyingForwarder)
    });
    assert_claims(
        &world,
        &["new 198.51.100.99 List", "List 198.51.100.99 list_or_modifying_forwarder", "pass rate moved"],
    );
    let summary = world.summary();
    let list = summary.senders.iter().find(|sender| sender.who.role == Role::List).unwrap();
    assert!(list.evidence.contains(&super::Evidence::SaidList { messages: 60 }), "{:?}", list.evidence);
}

#[test]
fn week_6_a_new_service_that_nobody_set_up() {
    let mut world = World::new();
    world.add(1..6, |day| unaligned_service(day, 15));
    assert_claims(
        &world,
        &[
            "align news.example: 300 of 300 since 2026-11-17",
            "new 198.51.100.77 Vendor",
            "Vendor 198.51.100.77 authenticated_unaligned",
            "pass rate moved",
        ],
    );
}

#[test]
fn week_7_a_reporter_fell_silent() {
    let mut world = World::new();
    world.lines.retain(|line| !(line.reporter == "Yahoo" && line.day.to_string() >= day(0)));
    assert_claims(&world, &["silent Yahoo since 2026-11-15"]);
}

#[test]
fn week_8_the_policy_became_stricter() {
    let mut world = World::new();
    world.stricter_from = Some(day(3).parse().unwrap());
    assert_claims(&world, &["policy p quarantine on 2026-11-19"]);
}

#[test]
fn week_9_a_service_stopped_and_a_reporter_is_silent_at_its_end() {
    let mut world = World::new();
    world.lines.retain(|line| !(line.source == "198.51.100.20".parse().ok() && line.day.to_string() >= day(0)));
    world.lines.retain(|line| !(line.reporter == "GMX" && line.day.to_string() >= day(3)));
    assert_claims(&world, &["gone 198.51.100.20 Own", "silent GMX since 2026-11-18"]);
}

/// A week in which everything happens.
pub(crate) fn eventful() -> World {
    let mut world = World::new();
    world.add(1..4, spoofer);
    world.add(1..6, |day| unaligned_service(day, 15));
    world.change("192.0.2.10", 2, |line| {
        line.dkim("example.com", "mail", "fail").verdict(Flags::SPF, Cause::PassSpfOnly)
    });
    world.lines.retain(|line| !(line.reporter == "Yahoo" && line.day.to_string() >= day(0)));
    world.stricter_from = Some(day(3).parse().unwrap());
    world
}

#[test]
fn week_10_everything_at_once() {
    assert_claims(
        &eventful(),
        &[
            "align news.example: 225 of 225 since 2026-11-17",
            "repair key mail Mismatch: 0 of 650 since 2026-11-18",
            "new 203.0.113.5 Suspect",
            "new 198.51.100.77 Vendor",
            "silent Yahoo since 2026-11-15",
            "policy p quarantine on 2026-11-19",
            "Suspect 203.0.113.5 spoof_suspect",
            "Vendor 198.51.100.77 authenticated_unaligned",
            "pass rate moved",
        ],
    );
}

#[test]
fn an_own_server_missing_in_spf_is_told_only_with_a_history() {
    let mut world = World::new();
    let gap = |day: &str| Line::new(day, "192.0.2.30", 20).spf("example.com", "fail");
    world.add(-56..7, |day| gap(day).verdict(Flags::DKIM, Cause::PassDkimOnly));
    world.add(0..7, |day| gap(day).unauthenticated());
    let claims = claims(&world.summary());
    assert!(claims.contains(&"authorise 192.0.2.30 in example.com: 560 of 560".to_owned()), "{claims:?}");
}

#[test]
fn an_spf_record_that_cannot_be_evaluated_is_told() {
    let mut world = World::new();
    world
        .change("192.0.2.10", 0, |line| line.spf("example.com", "permerror").verdict(Flags::DKIM, Cause::PassDkimOnly));
    assert_claims(&world, &["repair spf example.com: 0 of 1214"]);
}

#[test]
fn nothing_legitimate_lost_over_weeks_is_ready_and_a_broken_service_is_not() {
    let quiet = World::new().summary();
    assert_eq!(quiet.domains[0].readiness.verdict, super::Verdict::Ready);
    let mut world = World::new();
    world.add(1..6, |day| unaligned_service(day, 15));
    let readiness = &world.summary().domains[0].readiness;
    assert_eq!((readiness.verdict, readiness.would_be_lost), (super::Verdict::NotYet, 300));
    assert_eq!(readiness.losing[0].who.returns_to.as_ref().unwrap().as_written(), "news.example");
}

#[test]
fn the_order_of_rows_and_reports_never_changes_the_answer() {
    let mut world = World::new();
    world.add(1..4, spoofer);
    world.add(1..6, |day| unaligned_service(day, 15));
    let expected = world.summary();
    for _ in 0..3 {
        let middle = world.lines.len() / 3;
        world.lines.rotate_left(middle);
        world.lines.reverse();
        assert_eq!(world.summary(), expected);
    }
}

#[test]
fn what_the_numbers_cannot_be_trusted_for_is_told() {
    let mut world = World::new();
    world.change("192.0.2.10", 6, |line| line.mismatch("pe_pass_no_evidence"));
    world.lines.retain(|line| !(line.reporter == "google.com" && line.day.to_string() == day(3)));
    let quality = world.summary().quality;
    assert_eq!((quality.pass_without_evidence, quality.not_evaluated, quality.fail_but_aligned), (174, 0, 0));
    let missing: Vec<_> =
        quality.missing_days.iter().map(|missing| (missing.org_name.as_written(), missing.days.len())).collect();
    assert_eq!(missing, [("google.com", 1)]);
    assert!(quality.empty_days.is_empty() && !quality.unfinished && !quality.reports_may_come);
}
