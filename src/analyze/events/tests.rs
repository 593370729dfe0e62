//! Tests with more made-up names and addresses than the rules distinguish.

use super::by_source::Room;
use super::{EventChanges, EventFacts, EventKind, EventQuestion, Rhythm, compare};
use crate::analyze::period::{date, number};
use crate::analyze::tests::fixtures::{self, Line};
use crate::model::{Cause, Flags, Rows, Words};

const TODAY: &str = "2026-11-22";

fn day(before: i32) -> String {
    date(number(TODAY.parse().unwrap()) - before).to_string()
}

/// Eight weeks of mail whose key breaks four days ago.
fn own() -> Vec<Line> {
    let line = |before: i32, reporter: &str| {
        let line = Line::new(&day(before), "192.0.2.10", 40).reporter(reporter);
        if before > 4 { line } else { line.dkim("example.com", "mail", "fail").verdict(Flags::SPF, Cause::PassSpfOnly) }
    };
    (0..50).rev().flat_map(|before| ["google.com", "GMX"].map(|reporter| line(before, reporter))).collect()
}

/// Rows that each have an address, a key and a return path of their own, and a wave of spoofing from as many addresses.
fn made_up(many: u32) -> Vec<Line> {
    let named = |number: u32| {
        let line = Line::new(&day(3), &format!("2001:db8::{number:x}"), 1).reporter("flood.example");
        let line = line.dkim(&format!("k{number}.example.com"), &format!("s{number}"), "pass");
        line.spf(&format!("p{number}.example.com"), "pass")
    };
    let spoofed = |number: u32| {
        let line = Line::new(&day(1), &format!("2001:db8:1::{number:x}"), 3).unauthenticated();
        line.reporter(if number.is_multiple_of(2) { "google.com" } else { "GMX" })
    };
    (0..many).map(named).chain((0..many).map(spoofed)).collect()
}

fn changes(room: Option<usize>) -> (EventFacts, EventChanges) {
    let mut facts = EventFacts::new(TODAY.parse().unwrap());
    if let Some(bytes) = room {
        facts.room = Room(bytes);
    }
    for lines in [own(), made_up(500)] {
        fixtures::heads(&lines, |_, _| "none").iter().for_each(|head| facts.head(head));
        for lines in lines.chunks(90) {
            let sender_auth = Words { dictionary: vec!["none".into()], codes: vec![0; lines.len()] };
            facts.rows(&Rows { sender_auth, ..fixtures::rows(lines) });
        }
    }
    let nobody = Rhythm::new();
    let question = EventQuestion {
        known: &[],
        reporters: &nobody,
        domains: &nobody,
        first_day: Some(day(50).parse().unwrap()),
        is_known_mark: &|_, _| false,
        sender_messages: 20,
        wave_scale: 1.0,
    };
    let changes = compare(&facts, &question);
    (facts, changes)
}

#[test]
fn made_up_names_take_bounded_room_and_change_no_event() {
    let (free, expected) = changes(None);
    let (bounded, found) = changes(Some(20 << 10));
    assert!(bounded.is_crowded() && !free.is_crowded());
    let entries = |facts: &EventFacts| {
        let addresses: usize = facts.mail.values().map(|mail| mail.iter().count()).sum();
        facts.keys.len() + facts.paths.len() + addresses
    };
    assert!(entries(&free) > 2000 && entries(&bounded) < 120, "{} and {}", entries(&free), entries(&bounded));
    let told = |changes: &EventChanges| -> Vec<_> {
        let begun = changes.begun.iter();
        begun.map(|one| (one.kind, one.subject.clone(), one.since, one.messages, one.reporters)).collect()
    };
    assert_eq!(told(&found), told(&expected));
    let kinds: Vec<EventKind> = found.begun.iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [EventKind::KeyBroken, EventKind::SpoofWave]);
    assert_eq!(found.begun[1].messages, 1500);
}
