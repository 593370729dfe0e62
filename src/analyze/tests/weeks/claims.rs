//! The summary names each planted event, and claims nothing else.

use super::*;
use crate::analyze::{Change, Evidence, Quality, ReadinessVerdict, Role};

/// Everything the summary claims, one line each.
fn claims(summary: &Summary) -> Vec<String> {
    let mut claims = Vec::new();
    // The policy step follows from the verdict, which is listed below if it is not "ready".
    let of_senders = |action: &&crate::analyze::Action| !matches!(action.change, Change::PublishPolicy { .. });
    for action in summary.actions.iter().filter(of_senders) {
        let what = match &action.change {
            Change::RepairKey { selector, fault, .. } => {
                format!("repair key {} {fault:?}", selector.as_ref().unwrap().as_written())
            }
            Change::AlignSender { organization, .. } => format!("align {}", organization.as_written()),
            Change::AuthorizeSource { spf_domain, .. } => {
                format!("authorize {} in {}", action.sources[0], spf_domain.as_written())
            }
            Change::RepairSpf { spf_domain } => format!("repair spf {}", spf_domain.as_written()),
            Change::PublishPolicy { tag, to, .. } => format!("publish {tag}={to}"),
            Change::CheckModification { selector, .. } => {
                format!("check modification {}", selector.as_ref().unwrap().as_written())
            }
            Change::RelaxAlignment { tags } => format!("relax {}", tags.join(" ")),
            Change::Sign => format!("sign {}", action.sources[0]),
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
    claims.extend(
        changes
            .silent_domains
            .iter()
            .map(|silent| format!("no reports on {} since {}", silent.policy_domain.as_written(), silent.last_report)),
    );
    for sender in summary.senders.iter().filter(|sender| sender.sums.failing() > 0 || sender.who.role != Role::Own) {
        claims.push(format!("{:?} {} {}", sender.who.role, sender.who.address.unwrap(), sender.cause.as_str()));
    }
    let comparisons = summary.domains.iter().map(|domain| &domain.comparison).chain([&summary.comparison]);
    let moved: Vec<_> = comparisons.flatten().collect();
    claims.extend(moved.iter().any(|moved| moved.rate_moved).then(|| "pass rate moved".to_owned()));
    claims.extend(moved.iter().any(|moved| moved.volume_moved).then(|| "volume moved".to_owned()));
    let unready = summary.domains.iter().filter(|domain| domain.readiness.verdict != ReadinessVerdict::Ready);
    claims
        .extend(unready.map(|domain| format!("{} {:?}", domain.policy_domain.as_written(), domain.readiness.verdict)));
    claims.extend(quality(&summary.quality));
    claims
}

/// What the data quality says; every field must be covered here.
fn quality(quality: &Quality) -> impl Iterator<Item = String> {
    let Quality {
        tls_left_out_reports,
        tls_unverified_reports,
        unreadable,
        conflicts,
        conflicting,
        long_reports,
        more_long_reports: _,
        not_evaluated,
        pass_without_evidence,
        fail_but_aligned,
        unproven_reports,
        unproven_messages,
        unproven_left_out,
        unlisted_source_messages,
        foreign_reports,
        missing_days,
        empty_days,
        unreported_domains,
        unfinished,
        reports_may_come,
        first_day: _,
        lone_reporters,
        repeated_reports,
        findings,
    } = quality;
    let counts = [
        ("left out of TLS", *tls_left_out_reports),
        ("unverified of TLS", *tls_unverified_reports),
        ("unreadable", *unreadable),
        ("conflicts", *conflicts),
        ("conflicting", conflicting.len() as u64),
        ("long", long_reports.len() as u64),
        ("not evaluated", *not_evaluated),
        ("pass without evidence", *pass_without_evidence),
        ("fail but aligned", *fail_but_aligned),
        ("unproven reports", *unproven_reports),
        ("unproven messages", *unproven_messages),
        ("unproven left out", u64::from(*unproven_left_out)),
        ("of unlisted sources", *unlisted_source_messages),
        ("foreign", *foreign_reports),
        ("missing", missing_days.len() as u64),
        ("empty", empty_days.len() as u64),
        ("unreported", unreported_domains.len() as u64),
        ("unfinished", u64::from(*unfinished)),
        ("may come", u64::from(*reports_may_come)),
        ("lone", lone_reporters.len() as u64),
        ("repeated", repeated_reports.len() as u64),
        ("findings", findings.len() as u64),
    ];
    counts.into_iter().filter(|(_, count)| *count > 0).map(|(what, count)| format!("{what} {count}"))
}

#[test]
fn the_summary_of_each_planted_week_claims_what_happened_and_nothing_else() {
    let mut faults = Vec::new();
    for Planted { event, world, claims: expected } in planted() {
        let (mut found, mut expected) = (claims(&world.summary()), expected.to_vec());
        found.sort();
        expected.sort_unstable();
        if found != expected {
            faults.push(format!("{event}:\n  expected {expected:?}\n  found    {found:?}"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_mailing_list_is_reported_with_its_evidence() {
    let mut world = World::new();
    world.add(0..5, list);
    let summary = world.summary();
    let list = summary.senders.iter().find(|sender| sender.who.role == Role::List).unwrap();
    assert!(list.evidence.contains(&Evidence::SaidList { messages: 60 }), "{:?}", list.evidence);
}

#[test]
fn where_nobody_reports_at_all_it_is_the_domain_that_is_silent_and_no_sender_is_gone() {
    let mut world = World::new();
    world.without(0, |_| true);
    assert_eq!(claims(&world.summary()), ["no reports on example.com since 2026-11-15", "volume moved", "empty 7"]);
}

#[test]
fn a_domain_with_one_reporter_is_as_silent_as_that_reporter() {
    let mut world = World::new();
    let line = |at| Line::new(&day(at), "192.0.2.10", 3).domain("example.org").reporter("Mail.Ru");
    world.lines.extend((-56..0).map(line));
    assert_eq!(claims(&world.summary()), ["silent Mail.Ru since 2026-11-15"]);
}

#[test]
fn a_domain_of_the_settings_that_nobody_reports_on_is_named_unless_others_were_asked_for() {
    let own = |own: &[&str], domains: &[&str]| {
        let texts = |names: &[&str]| names.iter().map(|name| (*name).into()).collect();
        let question = Question { own: texts(own), domains: texts(domains), ..World::question() };
        World::new().answer(&question).quality.unreported_domains
    };
    assert_eq!(own(&["example.net", "example.com", "example.net"], &[]), ["example.net".into()]);
    assert_eq!(own(&["example.net", "example.com"], &["example.com"]), []);
    let mut world = World::new();
    world.without(0, |_| true);
    let question = Question { own: vec!["example.com".into()], ..World::question() };
    assert_eq!(world.answer(&question).quality.unreported_domains, [], "told as silent");
}

#[test]
fn an_own_server_missing_in_spf_is_reported_only_with_a_history() {
    let mut world = World::new();
    let gap = |day: &str| Line::new(day, "192.0.2.30", 20).spf("example.com", "fail");
    world.add(-56..7, |day| gap(day).verdict(Flags::DKIM, Cause::PassDkimOnly));
    world.add(0..7, |day| gap(day).unauthenticated());
    let claims = claims(&world.summary());
    assert!(claims.contains(&"authorize 192.0.2.30 in example.com: 560 of 560".to_owned()), "{claims:?}");
}

#[test]
fn nothing_legitimate_lost_over_weeks_is_ready_and_a_broken_service_is_not() {
    let quiet = World::new().summary();
    assert_eq!(quiet.domains[0].readiness.verdict, ReadinessVerdict::Ready);
    let mut world = World::new();
    world.add(1..6, |day| unaligned_service(day, 15));
    let readiness = &world.summary().domains[0].readiness;
    assert_eq!((readiness.verdict, readiness.would_be_lost, readiness.unclear), (ReadinessVerdict::NotYet, 0, 300));
    assert_eq!(readiness.unclear_senders[0].who.signs_as.as_ref().unwrap().as_written(), "news.example");
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
fn doubts_about_the_numbers_are_reported() {
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

#[test]
fn a_source_is_explained_by_the_domains_it_sends_as_alone() {
    let mut world = World::new();
    for (source, domain) in
        [("203.0.113.61", "example.org"), ("203.0.113.62", "example.org"), ("203.0.113.63", "example.com")]
    {
        world.add(0..7, |day| Line::new(day, source, 1).unauthenticated().domain(domain));
    }
    let told = |source| world.explanation(source).senders.into_iter().map(|sender| sender.who.policy_domain);
    assert_eq!(told("203.0.113.61").collect::<Vec<_>>(), ["example.org".into()], "with its neighbor");
    assert!(told("203.0.113.63").all(|domain| domain == "example.com".into()));
}
