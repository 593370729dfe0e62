//! Rows and reports added in any order, in any parts, and beyond every bound.

use super::fixtures::{self, Line};
use crate::analyze::period::{DAYS, date};
use crate::analyze::sums::common::Bounds;
use crate::analyze::{Adder, Period, Question, Summary};
use crate::model::{Cause, Flags, SenderAuth};

const DKIM: u8 = Flags::DKIM;
const SPF: u8 = Flags::SPF;

fn week() -> Question {
    Question { period: Some(fixtures::week("2026-11-16")), ..Question::default() }
}

/// Two domains, three sources, all four buckets, and days before and after the week.
fn lines() -> Vec<Line> {
    vec![
        Line::new("2026-11-16", "192.0.2.7", 8),
        Line::new("2026-11-17", "192.0.2.7", 3).spf("example.com", "fail").verdict(DKIM, Cause::PassDkimOnly),
        Line::new("2026-11-18", "192.0.2.8", 1).unsigned().verdict(SPF, Cause::PassSpfOnly).reporter("Yahoo"),
        Line::new("2026-11-22", "198.51.100.1", 7).unauthenticated().reporter("Yahoo"),
        Line::new("2026-11-22", "192.0.2.7", 5).domain("example.org"),
        Line { spf: None, ..Line::new("2026-11-22", "no address", 2) }
            .domain("example.org")
            .unsigned()
            .verdict(0, Cause::Unknown),
        Line::new("2026-11-15", "198.51.100.1", 1000),
        Line::new("2026-11-23", "198.51.100.1", 1000),
        Line::new("2026-09-20", "192.0.2.9", 1000),
    ]
}

fn added(question: &Question, chunks: &[&[Line]]) -> Adder {
    let adder = Adder::new(question);
    for lines in chunks {
        adder.rows(&fixtures::rows(lines));
        adder.heads(&fixtures::heads(lines, |_, _| "none"));
    }
    adder
}

#[test]
fn totals_count_messages_of_the_period_in_four_buckets() {
    let summary = added(&week(), &[&lines()]).finish();
    let sums = summary.totals.sums;
    assert_eq!((sums.messages, sums.dmarc_pass, sums.records), (26, 17, 6));
    assert_eq!((sums.both, sums.dkim_only, sums.spf_only, sums.neither), (13, 3, 1, 9));
    assert_eq!((sums.dkim_aligned, sums.spf_aligned), (16, 14));
    assert_eq!((summary.totals.reports, summary.totals.reporters), (5, 2));
}

#[test]
fn a_source_is_one_entry_over_the_domains_and_failing_ones_come_first() {
    let summary = added(&week(), &[&lines()]).finish();
    let shown: Vec<_> = summary
        .sources
        .iter()
        .map(|source| {
            let address = source.source_ip.map_or("unknown".to_owned(), |address| address.to_string());
            (address, source.sums.messages, source.sums.dmarc_pass, source.cause)
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("198.51.100.1".to_owned(), 7, 0, Cause::SpfGap), // passed as example.com on the Sunday before
            ("unknown".to_owned(), 2, 0, Cause::Unknown),
            ("192.0.2.7".to_owned(), 16, 16, Cause::PassBoth),
            ("192.0.2.8".to_owned(), 1, 1, Cause::PassSpfOnly),
        ]
    );
    assert_eq!(summary.sources[0].first_seen.to_string(), "2026-11-15");
}

#[test]
fn only_the_domains_asked_for_count() {
    let question = Question { domains: vec!["example.org".into()], ..week() };
    let summary = added(&question, &[&lines()]).finish();
    assert_eq!((summary.totals.sums.messages, summary.domains.len(), summary.sources.len()), (7, 1, 2));
    assert_eq!(summary.totals.reports, 1);
}

#[test]
fn without_a_period_everything_counts_and_the_days_are_those_of_the_rows() {
    let summary = added(&Question::default(), &[&lines()]).finish();
    assert_eq!(summary.totals.sums.messages, 3026);
    let days = (summary.period.from.unwrap().to_string(), summary.period.to.unwrap().to_string());
    assert_eq!(days, ("2026-09-20".to_owned(), "2026-11-23".to_owned()));
}

#[test]
fn forged_reports_are_left_out_when_asked_and_always_counted_as_odd() {
    let lines = lines();
    let rows = |auth: &str| crate::model::Rows {
        sender_auth: crate::model::Words { dictionary: vec![auth.into()], codes: vec![0; lines.len()] },
        ..fixtures::rows(&lines)
    };
    let mut heads = fixtures::heads(&lines, |_, _| "none");
    heads.iter_mut().for_each(|head| head.sender_auth = SenderAuth::Fail);
    for (authentic, messages, reports) in [(false, 52, 10), (true, 26, 5)] {
        let adder = Adder::new(&Question { authentic, ..week() });
        adder.rows(&rows("fail"));
        adder.rows(&rows("pass"));
        adder.heads(&heads);
        adder.heads(&fixtures::heads(&lines, |_, _| "none"));
        let summary = adder.finish();
        assert_eq!((summary.totals.sums.messages, summary.totals.reports), (messages, reports));
        assert_eq!((summary.quality.unproven_reports, summary.quality.unproven_left_out), (5, authentic));
    }
}

#[test]
fn without_rows_there_is_an_answer_too() {
    let summary = Adder::new(&Question::default()).finish();
    assert_eq!((summary.totals.sums.messages, summary.period.from), (0, None));
}

#[test]
fn neither_order_nor_chunks_nor_threads_change_the_answer() {
    let (lines, question) = (lines(), week());
    let expected = added(&question, &[&lines]).finish();
    let mut turned = lines.clone();
    for turn in 0..lines.len() {
        turned.rotate_left(1);
        let (front, back) = turned.split_at(turn);
        let adder = Adder::new(&question);
        std::thread::scope(|scope| {
            scope.spawn(|| front.iter().for_each(|line| adder.rows(&fixtures::rows(std::slice::from_ref(line)))));
            adder.rows(&fixtures::rows(back));
            adder.heads(&fixtures::heads(&lines, |_, _| "none"));
        });
        assert_eq!(adder.finish(), expected, "turned by {turn}");
    }
}

#[test]
fn beyond_the_bounds_names_are_folded_and_every_sum_stays_exact() {
    let selectors = |day: &'static str, from: u32| {
        (from..from + 300).map(move |number| {
            let line = Line::new(day, &format!("192.0.2.{}", number % 200), 1 + i64::from(number % 7));
            line.dkim("example.com", &format!("s{number}.of-a-name-that-nobody-else-has"), "fail")
                .verdict(0, Cause::Unauthenticated)
        })
    };
    let all: Vec<Line> =
        lines().into_iter().chain(selectors("2026-11-17", 0)).chain(selectors("2026-11-18", 300)).collect();
    let told = |bounds: Bounds| {
        let adder = Adder::new(&week());
        adder.common().bounds = bounds;
        all.chunks(50).for_each(|lines| adder.rows(&fixtures::rows(lines)));
        let patterns = adder.common().patterns.items().len();
        (adder.finish(), patterns)
    };
    let (free, all_patterns) = told(Bounds::default());
    assert!(all_patterns > 600);
    let none = || Bounds { patterns: usize::MAX, words: usize::MAX, ..Bounds::default() };
    for (bounds, most) in [
        (Bounds { patterns: 100, ..none() }, 200),
        (Bounds { words: 8000, ..none() }, 200),
        (Bounds { judged: 20, ..none() }, all_patterns),
        (Bounds { identities: 5, ..none() }, all_patterns),
    ] {
        let (bounded, patterns) = told(bounds.clone());
        assert!(patterns <= most, "{patterns} patterns with {bounds:?}");
        assert_eq!(bounded.totals, free.totals);
        let sums = |summary: &Summary| -> Vec<_> {
            summary.sources.iter().map(|source| (source.source_ip, source.sums)).collect()
        };
        assert_eq!(sums(&bounded), sums(&free));
        let domains = |summary: &Summary| -> Vec<_> {
            summary.domains.iter().map(|domain| (domain.policy_domain.clone(), domain.totals)).collect()
        };
        assert_eq!(domains(&bounded), domains(&free));
    }
}

#[test]
fn beyond_the_bound_addresses_count_as_the_unknown_source_and_no_message_is_lost() {
    let forged = |number: u32| Line::new("2026-11-17", &format!("2001:db8::{number:x}"), 2).unauthenticated();
    let own = |number: u32| Line::new("2026-11-18", &format!("192.0.2.{number}"), 3);
    let lines: Vec<Line> = (1..=500).map(forged).chain((1..=9).map(own)).collect();
    let told = |bounds: Bounds| {
        let question =
            Question { watch: Some(crate::analyze::Watched::Network("2001:db8::1f4".parse().unwrap(), 128)), ..week() };
        let adder = Adder::new(&question);
        adder.common().bounds = bounds;
        lines.chunks(40).for_each(|lines| adder.rows(&fixtures::rows(lines)));
        adder.finish()
    };
    let (free, bounded) = (told(Bounds::default()), told(Bounds { sources: 40, ..Bounds::default() }));
    assert_eq!((free.sources.len(), free.quality.unlisted_source_messages), (509, 0));
    // A quarter is kept for mail that passes; a watched address is always told apart.
    assert_eq!((bounded.sources.len(), bounded.quality.unlisted_source_messages), (30 + 1 + 1 + 9, 2 * (500 - 31)));
    assert_eq!((bounded.totals, bounded.watched.len()), (free.totals, free.watched.len()));
    let sum = |summary: &Summary| summary.sources.iter().map(|source| source.sums.messages).sum::<u64>();
    assert_eq!((sum(&bounded), sum(&free)), (1027, 1027));
    let unknown = bounded.sources.iter().find(|source| source.source_ip.is_none()).unwrap();
    assert_eq!((unknown.sums.messages, unknown.sums.dmarc_pass), (2 * (500 - 31), 0));
    let passing = bounded.sources.iter().filter(|source| source.sums.dmarc_pass > 0);
    assert_eq!(passing.count(), 9);
}

#[test]
fn beyond_the_bounds_senders_are_one_and_the_largest_stay_distinguished() {
    let service = |number: u32| {
        let (signer, count) = (format!("service{number}.example"), 60 + i64::from(number));
        let line = Line::new("2026-11-17", &format!("2001:db8::{number}"), count).dkim(&signer, "k", "pass");
        line.spf(&signer, "pass").verdict(0, Cause::AuthenticatedUnaligned)
    };
    let lines: Vec<Line> =
        (1..=300).flat_map(|number| [service(number).reporter("GMX"), service(number).reporter("Yahoo")]).collect();
    let told = |bounds: Bounds| {
        let adder = Adder::new(&week());
        adder.common().bounds = bounds;
        adder.rows(&fixtures::rows(&lines));
        let summary = adder.finish();
        let mut names: Vec<String> = summary.senders.iter().map(|one| format!("{:?}", one.who.signs_as)).collect();
        names.sort_unstable();
        names.dedup();
        (names, summary.totals)
    };
    let (free, totals) = told(Bounds::default());
    assert_eq!(free.len(), 300);
    for bounds in [Bounds { identities: 20, ..Bounds::default() }, Bounds { judged: 20, ..Bounds::default() }] {
        let (bounded, same) = told(bounds.clone());
        assert_eq!(same, totals);
        assert!(bounded.len() <= 21, "{} senders with {bounds:?}", bounded.len());
        assert!(bounded.iter().any(|name| name.contains("service300.example")), "{bounded:?}");
    }
}

#[test]
fn beyond_the_bound_domains_are_one_except_those_with_evidence() {
    let forged = |number: u32| {
        let (domain, count) = (format!("d{number}.example"), i64::from(number) * 10);
        Line::new("2026-11-17", "192.0.2.1", count).unauthenticated().domain(&domain)
    };
    let lines: Vec<Line> =
        (1..=100).map(forged).chain([Line::new("2026-11-18", "192.0.2.2", 1).unauthenticated()]).collect();
    let question = Question { own: vec!["example.com".into()], ..week() };
    let told = |bounds: Bounds| {
        let adder = Adder::new(&question);
        adder.common().bounds = bounds;
        adder.rows(&fixtures::rows(&lines));
        adder.heads(&fixtures::heads(&lines, |_, _| "none"));
        adder.finish()
    };
    let free = told(Bounds::default());
    assert_eq!((free.domains.len(), free.more_domains), (101, 0));
    for (bounds, more) in
        [(Bounds { told: 10, ..Bounds::default() }, 91), (Bounds { domains: 10, ..Bounds::default() }, 0)]
    {
        let bounded = told(bounds);
        let names: Vec<&str> = bounded.domains.iter().map(|one| one.policy_domain.as_written()).collect();
        assert!(names.len() <= 12 && names.contains(&"example.com") && names.contains(&"(other)"), "{names:?}");
        assert_eq!((bounded.totals, bounded.more_domains), (free.totals, more));
        let reports: u64 = bounded.domains.iter().map(|one| one.totals.reports).sum();
        assert_eq!(reports, free.totals.reports);
    }
}

#[test]
fn columns_that_were_not_read_count_as_null() {
    let mut rows = fixtures::rows(&lines());
    rows.dkim_domain = crate::model::Words::default();
    rows.cause.clear();
    let adder = Adder::new(&week());
    adder.rows(&rows);
    assert_eq!(adder.finish().totals.sums.messages, 26);
}

#[test]
fn sums_never_wrap() {
    let lines = [Line::new("2026-11-16", "192.0.2.7", i64::MAX), Line::new("2026-11-16", "192.0.2.7", i64::MAX)];
    let three = added(&week(), &[&lines, &lines]).finish();
    assert_eq!(three.totals.sums.messages, u64::MAX);
    assert_eq!(three.sources[0].sums.both, u64::MAX);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    // A part written by others may have any number as a day, and a report any period.
    #[test]
    fn no_day_of_a_row_or_of_a_report_and_no_period_panic(
        days in proptest::collection::vec(any_day(), 9),
        heads in proptest::collection::vec(any_day(), 9),
        (from, to, today) in (any_day(), any_day(), any_day()),
        has_period: bool,
    ) {
        let period = Period::new(date(from), date(to)).ok().filter(|_| has_period);
        let question = Question { period, today: Some(date(today)), ..Question::default() };
        let adder = Adder::new(&question);
        let mut rows = fixtures::rows(&lines());
        rows.day = days;
        adder.rows(&rows);
        // Reports have times beside their day.
        let dated = |(line, day): (Line, &i32)| Line { day: date((*day).clamp(DAYS.0 + 2, DAYS.1 - 2)), ..line };
        let lines: Vec<Line> = lines().into_iter().zip(&heads).map(dated).collect();
        adder.heads(&fixtures::heads(&lines, |_, _| "none"));
        let summary = adder.finish();
        let sums = summary.totals.sums;
        proptest::prop_assert_eq!(sums.messages, sums.both + sums.dkim_only + sums.spf_only + sums.neither);
    }
}

/// A number of a day: of this year, at the ends of the calendar, or none.
fn any_day() -> impl proptest::strategy::Strategy<Value = i32> {
    use proptest::prelude::any;
    let (first, last) = DAYS;
    proptest::prop_oneof![
        20_600..20_800,
        first..=last,
        first..first + 400,
        last - 400..=last,
        any::<i32>(),
        proptest::sample::select(vec![i32::MIN, i32::MAX]),
    ]
}
