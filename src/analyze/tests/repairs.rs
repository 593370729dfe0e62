//! Which change in DNS explains a failure, and which one repairs it.

use super::fixtures::Line;
use super::weeks::{World, day};
use crate::analyze::{Action, Change, Question};
use crate::model::{Cause, DnsHistory, DnsSpan, DnsValue, Flags, RecordType, WatchedName};
use std::sync::Arc;

/// The history of the SPF record of example.com: each text from a day of the week on.
fn history(records: &[(i32, &str)]) -> DnsHistory {
    let at = |number: i32| format!("{}T06:00:00Z", day(number)).parse().unwrap();
    let ends = records.iter().skip(1).map(|(next, _)| Some(at(*next))).chain([None]);
    let span = |((first, text), ended): (&(i32, &str), Option<jiff::Timestamp>)| DnsSpan {
        name: "example.com".into(),
        record_type: RecordType::Txt,
        value: DnsValue { meaning: (*text).into(), text: (*text).into() },
        first_seen: at(*first),
        last_seen: ended.unwrap_or_else(|| at(6)),
        ended,
    };
    let watched = WatchedName {
        domain: "example.com".into(),
        name: "example.com".into(),
        record_type: RecordType::Txt,
        since: at(records[0].0),
    };
    DnsHistory::new(records.iter().zip(ends).map(span).collect(), &[watched])
}

/// The action on five servers of one network that lose SPF on Monday.
fn lost_spf(records: &[(i32, &str)]) -> Action {
    lost_spf_beside(World::new(), records)
}

fn lost_spf_beside(mut world: World, records: &[(i32, &str)]) -> Action {
    for host in 11..16 {
        world.add(-49..7, |day| Line::new(day, &format!("192.0.2.{host}"), 40 - host));
        world.change(&format!("192.0.2.{host}"), 0, |line| {
            line.spf("example.com", "fail").verdict(Flags::DKIM, Cause::PassDkimOnly)
        });
    }
    let question = Question { dns: Arc::new(history(records)), ..World::question() };
    let mut actions = world.answer(&question).actions;
    actions.retain(|action| matches!(action.change, Change::AuthorizeSource { .. }));
    assert_eq!(actions.len(), 1, "{actions:?}");
    actions.remove(0)
}

#[test]
fn spf_is_repaired_once_all_addresses_are_authorized_again_and_not_only_those_that_are_named() {
    let before = (-56, "v=spf1 ip4:192.0.2.0/28 -all");
    let removed = (0, "v=spf1 ip4:192.0.2.10 -all");
    let named = (3, "v=spf1 ip4:192.0.2.10 ip4:192.0.2.11 ip4:192.0.2.12 ip4:192.0.2.13 -all");
    let all = (5, "v=spf1 ip4:192.0.2.0/28 -all");
    let published = |records: &[(i32, &str)]| {
        let action = lost_spf(records);
        assert_eq!((action.sources.len(), action.followed.len()), (3, 5));
        assert_eq!(action.explained_by.map(|change| change.day.to_string()), Some(day(0)));
        action.repair.map(|repair| repair.published.to_string())
    };
    assert_eq!(published(&[before, removed]), None);
    assert_eq!(published(&[before, removed, named]), None, "two of five are not authorized");
    assert_eq!(published(&[before, removed, named, all]), Some(day(5)), "in two steps");
    assert_eq!(published(&[before, removed, all]), Some(day(5)));
}

#[test]
fn an_address_that_lost_spf_for_another_reason_is_no_part_of_the_repair() {
    let mut world = World::new();
    world.add(-49..-20, |day| Line::new(day, "192.0.2.77", 1));
    world.add(-20..7, |day| {
        Line::new(day, "192.0.2.77", 1).spf("example.com", "fail").verdict(Flags::DKIM, Cause::PassDkimOnly)
    });
    let network = "v=spf1 ip4:192.0.2.0/28 -all";
    let action = lost_spf_beside(
        world,
        &[(-56, "v=spf1 ip4:192.0.2.0/24 -all"), (-20, network), (0, "v=spf1 ip4:192.0.2.10 -all"), (5, network)],
    );
    assert_eq!(action.followed.len(), 6);
    assert_eq!(action.repair.map(|repair| repair.published.to_string()), Some(day(5)));
}

#[test]
fn an_address_that_only_a_name_authorizes_does_not_hide_the_repair_of_the_others() {
    let record = "v=spf1 mx ip4:192.0.2.10/31 ip4:192.0.2.12/31 ip4:192.0.2.14 -all";
    let action = lost_spf(&[(-56, record), (0, "v=spf1 ip4:192.0.2.10 -all"), (5, record)]);
    assert_eq!(action.repair.map(|repair| repair.published.to_string()), Some(day(5)));
}

#[test]
fn a_name_that_may_authorize_the_largest_is_no_repair() {
    let before = (-56, "v=spf1 mx ip4:192.0.2.10 -all");
    let action = lost_spf(&[before, (0, "v=spf1 ip4:192.0.2.10 -all"), (3, "v=spf1 a:www.example.com -all")]);
    assert_eq!(action.repair, None);
}

#[test]
fn what_was_lost_in_two_steps_is_repaired_when_all_is_back() {
    let (whole, removed) = ("v=spf1 ip4:192.0.2.0/28 -all", "v=spf1 ip4:192.0.2.10 -all");
    let published = |records: &[(i32, &str)]| lost_spf(records).repair.map(|repair| repair.published.to_string());
    let first = "v=spf1 ip4:192.0.2.10 ip4:192.0.2.12/30 -all";
    assert_eq!(published(&[(-56, whole), (-1, first), (0, removed), (5, first)]), None, "the largest is missing");
    let largest = "v=spf1 ip4:192.0.2.10/31 ip4:192.0.2.12/31 -all";
    assert_eq!(published(&[(-56, whole), (-1, largest), (0, removed), (5, largest)]), None, "two are missing");
    assert_eq!(published(&[(-56, whole), (-1, largest), (0, removed), (5, whole)]), Some(day(5)));
}

#[test]
fn without_a_known_cause_all_that_are_named_must_be_authorized_by_the_change() {
    let published = |texts: &[(i32, &str)]| lost_spf(texts).repair.map(|repair| repair.published.to_string());
    let broken = (1, "v=spf1 ip4:192.0.2.10 -all");
    assert_eq!(published(&[broken, (3, "v=spf1 ip4:192.0.2.10/31 -all")]), None);
    assert_eq!(published(&[broken, (3, "v=spf1 ip4:192.0.2.0/28 -all")]), Some(day(3)));
}

#[test]
fn a_change_that_takes_none_of_the_named_addresses_is_not_the_cause() {
    let records = [
        (-56, "v=spf1 ip4:192.0.2.0/28 -all"),
        (-1, "v=spf1 ip4:192.0.2.10 ip4:192.0.2.11 ip4:192.0.2.12/31 ip4:192.0.2.14 -all"),
        (0, "v=spf1 ip4:192.0.2.10 -all"),
    ];
    let action = lost_spf(&records);
    assert_eq!(action.explained_by.map(|change| change.day.to_string()), Some(day(0)));
}
