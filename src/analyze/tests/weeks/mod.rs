//! Synthetic weeks, each with a planted event and everything that a summary may claim about it.

mod claims;
mod evidence;
mod judging;

use super::fixtures::{self, Line};
use crate::analyze::period::{date, number};
use crate::analyze::{Adder, Explainer, Explanation, Question, Summary, Watched};
use crate::model::{Cause, Flags, ReportHead};
use jiff::civil::Date;

const REPORTERS: [&str; 4] = ["google.com", "Outlook.com", "Yahoo", "GMX"];

/// Nine quiet weeks of example.com: an own server, a service that signs as it, a little background spoofing.
pub(crate) struct World {
    pub(crate) lines: Vec<Line>,
    pub(crate) stricter_from: Option<Date>,
}

/// A day of the requested week, 0 is Monday; negative numbers are earlier weeks.
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

    /// One line per day and reporter for some days of the week.
    pub(crate) fn add(&mut self, days: std::ops::Range<i32>, line: impl Fn(&str) -> Line) {
        for at in days {
            self.lines.extend(REPORTERS.iter().map(|reporter| line(&day(at)).reporter(reporter)));
        }
    }

    /// Leaves out matching lines from a day of the week on.
    pub(crate) fn without(&mut self, from: i32, like: impl Fn(&Line) -> bool) {
        let from = day(from);
        self.lines.retain(|line| !(line.day.to_string() >= from && like(line)));
    }

    /// Change the lines of a source from a day of the week on.
    pub(crate) fn change(&mut self, source: &str, from: i32, change: impl Fn(Line) -> Line) {
        let (source, from) = (source.parse().ok(), day(from));
        for line in self.lines.iter_mut().filter(|line| line.source == source && line.day.to_string() >= from) {
            *line = change(line.clone());
        }
    }

    pub(crate) fn question() -> Question {
        Question {
            period: Some(fixtures::week("2026-11-16")),
            today: Some("2026-11-25".parse().unwrap()),
            ..Question::default()
        }
    }

    pub(crate) fn heads(&self) -> Vec<ReportHead> {
        fixtures::heads(&self.lines, |_, day| {
            if self.stricter_from.is_some_and(|from| day >= from) { "quarantine" } else { "none" }
        })
    }

    pub(crate) fn summary(&self) -> Summary {
        self.answer(&Self::question())
    }

    /// The summary for another question.
    pub(crate) fn answer(&self, question: &Question) -> Summary {
        let adder = Adder::new(question);
        adder.rows(&fixtures::rows(&self.lines));
        adder.heads(&self.heads());
        adder.finish()
    }

    pub(crate) fn explanation(&self, source: &str) -> Explanation {
        let watched = source.parse().map_or(Watched::Unknown, |address| Watched::Network(address, 32));
        let explainer = Explainer::new(&Self::question(), watched);
        explainer.heads(&self.heads());
        let (front, back) = self.lines.split_at(self.lines.len() / 2);
        explainer.rows(&fixtures::rows(front));
        explainer.rows(&fixtures::rows(back));
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

/// A week with an event in it.
pub(crate) struct Planted {
    /// What happens.
    pub(crate) event: &'static str,
    pub(crate) world: World,
    /// All that the summary claims.
    pub(crate) claims: &'static [&'static str],
}

fn planted_in(event: &'static str, claims: &'static [&'static str], plant: impl FnOnce(&mut World)) -> Planted {
    let mut world = World::new();
    plant(&mut world);
    Planted { event, world, claims }
}

/// The source of a line, as text.
fn comes_from(line: &Line, source: &str) -> bool {
    line.source == source.parse().ok()
}

/// Every planted week.
pub(crate) fn planted() -> Vec<Planted> {
    vec![
        planted_in("nothing", &[], |_| {}),
        planted_in(
            "a new spoofing source",
            &["new 203.0.113.5 Suspect", "Suspect 203.0.113.5 spoof_suspect", "pass rate moved"],
            |world| world.add(1..4, spoofer),
        ),
        planted_in(
            "the own server's DKIM key broke on Wednesday",
            &["repair key mail Mismatch: 0 of 870 since 2026-11-18"],
            |world| world.change("192.0.2.10", 2, broken_key),
        ),
        planted_in(
            "a new selector was never published, from Wednesday on",
            &[
                "repair key esp2 Missing: 470 of 470 since 2026-11-18",
                "moved 198.51.100.20 Own",
                "Own 198.51.100.20 own_signing_broken",
                "pass rate moved",
                "example.com NotYet",
            ],
            |world| {
                world.change("198.51.100.20", 2, |line| {
                    let line = line.dkim("example.com", "esp2", "permerror").spf("example.com", "softfail");
                    line.verdict(0, Cause::OwnSigningBroken)
                });
            },
        ),
        planted_in(
            "the key of a service is gone since Thursday",
            &[
                "repair key esp Missing: 372 of 372 since 2026-11-19",
                "moved 198.51.100.20 Own",
                "Own 198.51.100.20 own_signing_broken",
                "pass rate moved",
                "example.com NotYet",
            ],
            |world| {
                world.change("198.51.100.20", 3, |line| {
                    line.dkim("example.com", "esp", "permerror").verdict(0, Cause::ListOrModifyingForwarder)
                });
            },
        ),
        planted_in(
            "a forwarder that breaks signatures",
            &["Forwarder 192.0.2.201 forwarded_declared", "pass rate moved"],
            forwarder,
        ),
        planted_in(
            "a mailing list",
            &["new 198.51.100.99 List", "List 198.51.100.99 forwarded_declared", "pass rate moved"],
            |world| world.add(0..5, list),
        ),
        planted_in(
            "a new service that nobody set up",
            &[
                "new 198.51.100.77 Unclear",
                "Unclear 198.51.100.77 authenticated_unaligned",
                "pass rate moved",
                "example.com NotYet",
            ],
            |world| world.add(1..6, |day| unaligned_service(day, 15)),
        ),
        planted_in("a reporter fell silent", &["silent Yahoo since 2026-11-15"], |world| {
            world.without(0, |line| line.reporter == "Yahoo");
        }),
        planted_in("the policy became stricter", &["policy p quarantine on 2026-11-19"], |world| {
            world.stricter_from = Some(day(3).parse().unwrap());
        }),
        planted_in(
            "a service stopped, and a reporter is silent from Thursday on",
            &["gone 198.51.100.20 Own", "silent GMX since 2026-11-18"],
            |world| {
                world.without(0, |line| comes_from(line, "198.51.100.20"));
                world.without(3, |line| line.reporter == "GMX");
            },
        ),
        planted_in(
            "a service that nobody had set up stopped",
            &["align news.example: 2940 of 2940", "gone 198.51.100.77 Vendor", "pass rate moved", "example.com NotYet"],
            |world| {
                world.add(-56..0, |day| unaligned_service(day, 15));
            },
        ),
        planted_in(
            "a server of one domain sends as another whose SPF record it is missing in",
            &["authorize 192.0.2.10 in example.org: 84 of 84", "Unclear 192.0.2.10 spf_gap", "example.org NotYet"],
            |world| {
                world.add(-56..7, |day| Line::new(day, "192.0.2.40", 20).domain("example.org"));
                world.add(-56..7, |day| Line::new(day, "192.0.2.10", 3).unauthenticated().domain("example.org"));
            },
        ),
        planted_in(
            "one address has been sending for weeks, and nothing proves it is the domain's",
            &["Unclear 203.0.113.9 unauthenticated", "example.com NotYet"],
            |world| world.add(-56..7, |day| Line::new(day, "203.0.113.9", 5).unauthenticated()),
        ),
        planted_in(
            "an SPF record that cannot be evaluated",
            &["repair spf example.com: 0 of 1214 since 2026-11-16"],
            |world| {
                world.change("192.0.2.10", 0, |line| {
                    line.spf("example.com", "permerror").verdict(Flags::DKIM, Cause::PassDkimOnly)
                });
            },
        ),
        planted_in(
            "a second domain, on which nobody reports any more",
            &["no reports on example.org since 2026-11-15"],
            |world| {
                for reporter in ["google.com", "GMX"] {
                    world.lines.extend(
                        (-56..0)
                            .map(|at| Line::new(&day(at), "192.0.2.10", 3).domain("example.org").reporter(reporter)),
                    );
                }
            },
        ),
        planted_in(
            "reports on two of seven days",
            &["no reports on example.com since 2026-11-17", "empty 5"],
            |world| world.without(2, |_| true),
        ),
        planted_in("everything at once", EVERYTHING, |world| *world = eventful()),
    ]
}

const EVERYTHING: &[&str] = &[
    "repair key mail Mismatch: 0 of 650 since 2026-11-18",
    "new 203.0.113.5 Suspect",
    "new 198.51.100.77 Unclear",
    "silent Yahoo since 2026-11-15",
    "policy p quarantine on 2026-11-19",
    "Suspect 203.0.113.5 spoof_suspect",
    "Unclear 198.51.100.77 authenticated_unaligned",
    "pass rate moved",
    "example.com NotYet",
];

/// The own server's signature from now on.
fn broken_key(line: Line) -> Line {
    line.dkim("example.com", "mail", "fail").verdict(Flags::SPF, Cause::PassSpfOnly)
}

/// An old forwarder that begins to change mail.
fn forwarder(world: &mut World) {
    let forwarded = |line: Line| line.spf("example.com", "softfail");
    world.add(-56..7, |day| forwarded(Line::new(day, "192.0.2.201", 1)).verdict(Flags::DKIM, Cause::PassDkimOnly));
    world.add(0..7, |day| {
        let line = forwarded(Line::new(day, "192.0.2.201", 3)).unsigned();
        line.reason("forwarded").verdict(0, Cause::ForwardedDeclared)
    });
}

fn list(day: &str) -> Line {
    let line = Line::new(day, "198.51.100.99", 3).dkim("lists.example", "l1", "pass").spf("lists.example", "pass");
    line.reason("mailing_list").verdict(0, Cause::ListOrModifyingForwarder)
}

/// A week in which everything happens.
pub(crate) fn eventful() -> World {
    let mut world = World::new();
    world.add(1..4, spoofer);
    world.add(1..6, |day| unaligned_service(day, 15));
    world.change("192.0.2.10", 2, broken_key);
    world.without(0, |line| line.reporter == "Yahoo");
    world.stricter_from = Some(day(3).parse().unwrap());
    world
}
