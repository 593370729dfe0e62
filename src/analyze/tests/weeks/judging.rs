//! Synthetic weeks for each rule of `docs/judging.md`: what must be reported, and what must not.

use super::*;
use crate::analyze::{
    Action, Change, Confidence, Confirmed, HeldBy, KeyProblem, Level, Readiness, ReadinessVerdict, Role, SourceSummary,
};
use crate::model::signature_line;

const WEEKS: std::ops::Range<i32> = -49..7;

fn readiness(summary: &Summary) -> &Readiness {
    &summary.domains[0].readiness
}

fn source<'s>(summary: &'s Summary, address: &str) -> &'s SourceSummary {
    summary.sources.iter().find(|source| source.source_ip == address.parse().ok()).unwrap()
}

fn roles(summary: &Summary, address: &str) -> Vec<Role> {
    let is = |sender: &&crate::analyze::Sender| sender.who.address.is_some_and(|of| of.to_string() == address);
    summary.senders.iter().filter(is).map(|sender| sender.who.role).collect()
}

fn changes(summary: &Summary) -> Vec<&Change> {
    summary.actions.iter().map(|action| &action.change).collect()
}

/// The only action that is not a policy step.
fn action(summary: &Summary) -> &Action {
    let mut actions = summary.actions.iter().filter(|action| !matches!(action.change, Change::PublishPolicy { .. }));
    let action = actions.next().unwrap_or_else(|| panic!("no action: {:?}", readiness(summary)));
    assert_eq!(actions.next(), None);
    action
}

fn only_the_step(summary: &Summary) -> bool {
    matches!(changes(summary)[..], [Change::PublishPolicy { .. }])
}

/// The own server at 192.0.2.10, from a day of the week on.
fn server(world: &mut World, from: i32, change: impl Fn(Line) -> Line) {
    world.change("192.0.2.10", from, change);
}

fn unsigned(day: &str, source: &str, count: i64, path: &str, result: &str) -> Line {
    let line = Line::new(day, source, count).unsigned().spf(path, result);
    if result == "pass" {
        line.verdict(Flags::SPF, Cause::PassSpfOnly)
    } else {
        line.verdict(0, Cause::Unauthenticated)
    }
}

#[test]
fn a_quiet_domain_is_ready_and_the_step_is_the_only_action() {
    let summary = World::new().summary();
    assert_eq!(readiness(&summary).verdict, ReadinessVerdict::Ready);
    assert!(readiness(&summary).held_by.is_empty());
    let Change::PublishPolicy { name, tag, to, from, remove } = changes(&summary)[0] else { panic!() };
    assert_eq!((name.as_written(), *tag, *to, remove.len()), ("_dmarc.example.com", "p", "quarantine", 0));
    assert_eq!(from.as_ref().unwrap().as_written(), "none");
    assert!(only_the_step(&summary));
    assert_eq!(summary.answers.own_senders.level, Level::Ok);
    assert_eq!(summary.answers.policy.level, Level::Notice);
}

#[test]
fn a_service_that_sent_twice_in_the_eight_weeks_holds_the_policy_though_the_week_is_quiet() {
    let mut world = World::new();
    for days in [-40..-38, -20..-18] {
        world.add(days, |day| unaligned_service(day, 100));
    }
    let summary = world.summary();
    let readiness = readiness(&summary);
    assert_eq!(
        (readiness.verdict, readiness.would_be_lost, readiness.unconfirmed),
        (ReadinessVerdict::NotYet, 1600, 1600)
    );
    assert_eq!(readiness.held_by, [HeldBy::Loss, HeldBy::UnclearSenders][..1]);
    assert_eq!(readiness.losing[0].who.signs_as.as_ref().unwrap().as_written(), "news.example");
    let action = action(&summary);
    assert!(
        matches!(&action.change, Change::AlignSender { organization, signs: true } if organization.as_written() == "news.example")
    );
    assert_eq!((action.confidence, action.messages), (Confidence::Medium, 1600));
}

#[test]
fn a_service_of_one_week_only_is_unclear_holds_the_policy_and_is_named() {
    let mut world = World::new();
    world.add(1..6, |day| unaligned_service(day, 15));
    let summary = world.summary();
    let readiness = readiness(&summary);
    assert_eq!((readiness.verdict, readiness.would_be_lost, readiness.unclear), (ReadinessVerdict::NotYet, 0, 300));
    assert_eq!(readiness.held_by, [HeldBy::UnclearSenders]);
    assert_eq!(readiness.unclear_senders[0].who.signs_as.as_ref().unwrap().as_written(), "news.example");
    assert!(summary.actions.is_empty(), "{:?}", summary.actions);
}

#[test]
fn a_service_that_signs_as_the_domain_too_is_known_to_be_the_users() {
    let mut world = World::new();
    world.add(-49..-20, |day| {
        let line =
            unaligned_service(day, 5).signatures(&[("example.com", "s1", "pass"), ("news.example", "k1", "pass")]);
        line.verdict(Flags::DKIM, Cause::PassDkimOnly)
    });
    world.add(-10..7, |day| unaligned_service(day, 5));
    let summary = world.summary();
    assert_eq!(action(&summary).confidence, Confidence::High);
}

#[test]
fn what_was_repaired_two_weeks_ago_is_over_even_if_a_stray_message_failed_since() {
    for stray in [0, 1] {
        let mut world = World::new();
        world.add(-40..-30, |day| unaligned_service(day, 10));
        world.add(-30..7, |day| {
            let line =
                unaligned_service(day, 10).signatures(&[("example.com", "s1", "pass"), ("news.example", "k1", "pass")]);
            line.verdict(Flags::DKIM, Cause::PassDkimOnly)
        });
        if stray > 0 {
            world.lines.push(unaligned_service(&day(-3), stray));
        }
        let summary = world.summary();
        assert_eq!(readiness(&summary).verdict, ReadinessVerdict::Ready);
        assert!(only_the_step(&summary), "{:?}", summary.actions);
    }
}

#[test]
fn a_key_that_never_verified_is_wrong_and_no_list_though_the_service_signs_as_well() {
    let mut world = World::new();
    world.add(-20..7, |day| {
        let line = Line::new(day, "203.0.113.88", 5).dkim("esp.example", "k", "pass").spf("b.esp.example", "pass");
        let line = line.signatures(&[("example.com", "s1", "fail"), ("esp.example", "k", "pass")]);
        line.verdict(0, Cause::ListOrModifyingForwarder)
    });
    let summary = world.summary();
    assert_eq!(roles(&summary, "203.0.113.88"), [Role::Own]);
    assert_eq!(source(&summary, "203.0.113.88").cause, Cause::OwnSigningBroken);
    assert_eq!((readiness(&summary).verdict, readiness(&summary).would_be_lost), (ReadinessVerdict::NotYet, 540));
    let action = action(&summary);
    assert!(
        matches!(&action.change, Change::RepairKey { selector: Some(selector), fault: KeyProblem::Mismatch, .. } if selector.as_written() == "s1")
    );
    assert_eq!(action.confidence, Confidence::Medium);
}

#[test]
fn a_selector_made_up_by_a_botnet_makes_nobody_yours() {
    let mut world = World::new();
    for at in WEEKS {
        for (host, reporter) in REPORTERS.iter().enumerate() {
            let address = format!("10.9.{}.{}", (at + 49) * 4 + i32::try_from(host).unwrap(), 7 + host);
            let line =
                Line::new(&day(at), &address, 2).dkim("example.com", "fake", "permerror").spf("example.com", "fail");
            world.lines.push(line.verdict(0, Cause::OwnSigningBroken).reporter(reporter));
        }
    }
    let summary = world.summary();
    assert_eq!(readiness(&summary).verdict, ReadinessVerdict::Ready);
    assert!(only_the_step(&summary), "{:?}", summary.actions);
    assert_eq!(summary.spoofing.messages, 14 + 56);
}

#[test]
fn an_invented_selector_is_asked_for_with_certainty_only_where_something_of_the_domain_passes() {
    let forged = |day: &str| {
        let line = Line::new(day, "203.0.113.66", 5).dkim("example.com", "fake", "permerror");
        line.spf("example.com", "softfail").verdict(0, Cause::OwnSigningBroken)
    };
    let confidence = |world: &World| {
        let summary = world.summary();
        let action = action(&summary);
        assert!(matches!(&action.change, Change::RepairKey { fault: KeyProblem::Missing, .. }), "{action:?}");
        action.confidence
    };
    let mut world = World::new();
    world.add(-20..7, forged);
    assert_eq!(confidence(&world), Confidence::Medium, "anybody can write that into a signature");
    // A server that SPF authorizes, and that begins to sign with a key that nobody published.
    let mut world = World::new();
    world.add(-49..0, |day| unsigned(day, "203.0.113.66", 5, "example.com", "pass"));
    world.add(0..7, |day| {
        let line = Line::new(day, "203.0.113.66", 5).dkim("example.com", "fake", "permerror");
        line.spf("example.com", "pass").verdict(Flags::SPF, Cause::PassSpfOnly)
    });
    assert_eq!(confidence(&world), Confidence::High);
}

#[test]
fn a_list_breaks_signatures_that_verify_elsewhere_and_no_key_is_blamed() {
    let mut world = World::new();
    world.add(WEEKS, |day| {
        let line = list(day).signatures(&[("example.com", "mail", "fail"), ("lists.example", "l1", "pass")]);
        Line { reason: None, ..line }
    });
    let summary = world.summary();
    assert_eq!(roles(&summary, "198.51.100.99"), [Role::List]);
    assert_eq!((readiness(&summary).would_be_lost, readiness(&summary).forwarded_at_risk), (0, 672));
    assert_eq!(readiness(&summary).verdict, ReadinessVerdict::Ready, "quarantine costs lists little");
    assert!(only_the_step(&summary));
    world.stricter_from = Some(day(-60).parse().unwrap());
    let summary = world.summary();
    assert_eq!(readiness(&summary).next.as_deref(), Some("p=reject"));
    assert_eq!(
        (readiness(&summary).verdict, readiness(&summary).held_by.clone()),
        (ReadinessVerdict::NotYet, vec![HeldBy::ForwardedMail])
    );
}

#[test]
fn strict_alignment_is_a_cause_of_its_own_and_can_be_relaxed() {
    let mut world = World::new();
    world.add(WEEKS, |day| {
        let line = Line::new(day, "10.1.2.44", 5).spf("bounce.example.com", "pass").verdict(0, Cause::StrictAlignment);
        Line { header_from: "news.example.com".into(), ..line }
    });
    let summary = world.summary();
    assert_eq!(source(&summary, "10.1.2.44").cause, Cause::StrictAlignment);
    assert_eq!(roles(&summary, "10.1.2.44"), [Role::Own]);
    assert_eq!(readiness(&summary).would_be_lost, 1120);
    assert!(matches!(&action(&summary).change, Change::RelaxAlignment { tags } if tags == &["adkim"]));
}

#[test]
fn rows_of_an_older_store_say_what_their_results_say() {
    let mut world = World::new();
    world.add(WEEKS, |day| {
        let line = Line::new(day, "10.1.2.44", 5).spf("bounce.example.com", "pass").verdict(0, Cause::Unknown);
        Line { header_from: "news.example.com".into(), ..line }
    });
    world.add(WEEKS, |day| Line { cause: Cause::Unknown, ..unaligned_service(day, 5) });
    let summary = world.summary();
    assert_eq!(source(&summary, "10.1.2.44").cause, Cause::StrictAlignment);
    assert_eq!(source(&summary, "198.51.100.77").cause, Cause::AuthenticatedUnaligned);
}

#[test]
fn spf_that_broke_is_told_with_its_day_though_dkim_hides_it_also_a_week_later() {
    for (since, from) in [("2026-11-18", 2), ("2026-11-12", -4)] {
        let mut world = World::new();
        server(&mut world, from, |line| line.spf("example.com", "softfail").verdict(Flags::DKIM, Cause::PassDkimOnly));
        let summary = world.summary();
        let action = action(&summary);
        assert!(matches!(action.change, Change::AuthorizeSource { include: None, .. }));
        assert_eq!((action.since.unwrap().to_string().as_str(), action.failing), (since, 0));
        assert_eq!(action.confidence, Confidence::High);
        assert_eq!(readiness(&summary).verdict, ReadinessVerdict::Ready);
    }
}

#[test]
fn of_a_service_with_shared_addresses_the_include_is_told_and_never_an_address() {
    let mut world = World::new();
    world.add(WEEKS, |day| Line::new(day, "209.85.220.41", 9));
    world.change("209.85.220.41", 2, |line| line.spf("example.com", "fail").verdict(Flags::DKIM, Cause::PassDkimOnly));
    let summary = world.summary();
    assert!(matches!(action(&summary).change, Change::AuthorizeSource { include: Some("_spf.google.com"), .. }));
}

#[test]
fn a_server_without_signatures_is_told_to_sign_and_its_forwarded_copies_are_no_spoofing() {
    let mut world = World::new();
    world.add(WEEKS, |day| unsigned(day, "198.51.100.60", 20, "bounce.example.com", "pass"));
    for host in 0..10 {
        world.add(WEEKS, |day| unsigned(day, &format!("10.{}.0.9", 20 + host), 1, "bounce.example.com", "softfail"));
    }
    let summary = world.summary();
    assert!(matches!(action(&summary).change, Change::Sign));
    assert_eq!(summary.spoofing.messages, 14, "the background only");
    assert_eq!(source(&summary, "10.20.0.9").cause, Cause::Unauthenticated);
    assert_eq!(roles(&summary, "10.20.0.9"), [Role::Forwarder]);
    assert_eq!(readiness(&summary).forwarded_at_risk, 2240);
    assert!(readiness(&summary).held_by.contains(&HeldBy::UnsignedMail));
}

#[test]
fn a_forwarder_that_rewrites_the_return_path_is_no_vendor() {
    let mut world = World::new();
    world.add(WEEKS, |day| {
        let line = Line::new(day, "203.0.113.70", 1).spf("srs.alumni.example", "pass");
        line.verdict(Flags::DKIM, Cause::PassDkimOnly)
    });
    world.add(WEEKS, |day| {
        let line = Line::new(day, "203.0.113.70", 1).unsigned().spf("srs.alumni.example", "pass");
        line.verdict(0, Cause::AuthenticatedUnaligned)
    });
    let summary = world.summary();
    assert_eq!(roles(&summary, "203.0.113.70"), [Role::Forwarder; 2]);
    assert_eq!(readiness(&summary).would_be_lost, 0);
    assert!(!changes(&summary).iter().any(|change| matches!(change, Change::AlignSender { .. })));
}

#[test]
fn a_changed_body_is_told_as_that_and_not_as_another_key() {
    let mut world = World::new();
    server(&mut world, 2, |line| {
        let signatures = Some(signature_line("example.com", "mail", "fail", true).into());
        Line { signatures, ..broken_key(line) }
    });
    let summary = world.summary();
    let action = action(&summary);
    assert!(matches!(action.change, Change::CheckModification { body: true, .. }));
    assert_eq!(action.confidence, Confidence::High);
}

#[test]
fn behind_one_gateway_the_key_is_good() {
    let mut world = World::new();
    world.add(WEEKS, |day| Line::new(day, "192.0.2.30", 20));
    server(&mut world, 2, broken_key);
    let summary = world.summary();
    let action = action(&summary);
    assert!(matches!(action.change, Change::CheckModification { body: false, .. }));
    assert_eq!(action.confidence, Confidence::Medium);
}

#[test]
fn a_neighbor_of_an_own_server_is_unclear_and_never_spoofing() {
    let mut world = World::new();
    world.add(-20..7, |day| unsigned(day, "192.0.2.77", 2, "example.com", "softfail"));
    let summary = world.summary();
    assert_eq!(roles(&summary, "192.0.2.77"), [Role::Unclear]);
    assert_eq!(source(&summary, "192.0.2.77").cause, Cause::SpfGap);
    assert_eq!((readiness(&summary).verdict, readiness(&summary).unclear), (ReadinessVerdict::NotYet, 216));
    let action = action(&summary);
    assert!(matches!(action.change, Change::AuthorizeSource { include: None, .. }));
    assert_eq!((action.confidence, summary.spoofing.messages), (Confidence::Medium, 14));
}

#[test]
fn three_thousand_addresses_with_a_message_each_are_one_attack() {
    let mut world = World::new();
    for at in 0..3000 {
        let address = format!("10.8.{}.{}", at / 250, at % 250 + 1);
        world.lines.push(Line::new(&day(2), &address, 1).unauthenticated());
    }
    let summary = world.summary();
    assert_eq!((summary.spoofing.messages, summary.spoofing.usual, summary.spoofing.wave), (3014, 14, true));
    assert_eq!((summary.answers.spoofing.level, summary.answers.news.level), (Level::Alert, Level::Notice));
    assert_eq!((summary.answers.own_senders.level, readiness(&summary).verdict), (Level::Ok, ReadinessVerdict::Ready));
    for line in &mut world.lines {
        if line.cause == Cause::Unauthenticated {
            line.disposition = "reject".into();
        }
    }
    assert_eq!(world.summary().answers.spoofing.level, Level::Notice, "blocked");
}

#[test]
fn a_lone_reporter_is_named_and_counts_in_no_verdict_not_even_weeks_later() {
    for from in [0, -28] {
        let mut world = World::new();
        let (first, last) = (day(from), day(from + 6));
        for line in &mut world.lines {
            let fails = line.reporter == "GMX" && (&first..=&last).contains(&&line.day.to_string());
            if fails && line.cause != Cause::Unauthenticated {
                *line = line.clone().dkim("example.com", "mail", "fail").spf("example.com", "fail");
                (line.flags, line.cause) = (0, Cause::OwnSigningBroken);
            }
        }
        let summary = world.summary();
        let named: Vec<&str> = summary.quality.lone_reporters.iter().map(|one| one.org_name.as_written()).collect();
        assert_eq!(named, if from == 0 { vec!["GMX"] } else { vec![] });
        assert_eq!((readiness(&summary).verdict, readiness(&summary).would_be_lost), (ReadinessVerdict::Ready, 0));
        assert!(only_the_step(&summary), "{:?}", summary.actions);
        // The effect of the step on this mail in the period is reported anyway.
        let of_gmx = |line: &&Line| {
            let is_current = (&day(0)..=&day(6)).contains(&&line.day.to_string());
            // Not the mail of the service, whose key is unknown to every reporter here.
            is_current && line.cause == Cause::OwnSigningBroken && line.source == "192.0.2.10".parse().ok()
        };
        let failing: i64 = world.lines.iter().filter(of_gmx).map(|line| line.count).sum();
        let lone: Vec<(&str, u64)> =
            readiness(&summary).lone_reporters.iter().map(|lone| (lone.org_name.as_written(), lone.messages)).collect();
        let expected = if from == 0 { vec![("GMX", u64::try_from(failing).unwrap())] } else { vec![] };
        assert_eq!(lone, expected);
    }
}

#[test]
fn the_same_rows_under_another_report_id_are_named_and_count_once_in_verdicts() {
    let mut world = World::new();
    world.add(WEEKS, |day| unaligned_service(day, 5));
    let once = world.summary();
    let again: Vec<Line> =
        world.lines.iter().filter(|line| line.reporter == "Yahoo" && line.day.to_string() == day(1)).cloned().collect();
    let adder = Adder::new(&World::question());
    adder.rows(&fixtures::rows(&world.lines));
    adder.rows(&fixtures::rows(&again));
    adder.heads(&world.heads());
    let mut heads = fixtures::heads(&again, |_, _| "none");
    heads[0].report_id = "again".into();
    adder.heads(&heads);
    let twice = adder.finish();
    let repeated = &twice.quality.repeated_reports[0];
    assert_eq!(
        (repeated.org_name.as_written(), repeated.reports, repeated.messages),
        ("Yahoo", 1, heads[0].messages.unsigned_abs())
    );
    assert_eq!(twice.totals.sums.messages - once.totals.sums.messages, heads[0].messages.unsigned_abs());
    assert_eq!(readiness(&twice).would_be_lost, readiness(&once).would_be_lost);
}

#[test]
fn the_users_statement_overrides_all_evidence() {
    let mut world = World::new();
    world.add(WEEKS, |day| unaligned_service(day, 5));
    world.add(-5..7, |day| unsigned(day, "203.0.113.77", 2, "example.com", "softfail"));
    let answer = |confirmed: Confirmed| world.answer(&Question { confirmed: vec![confirmed], ..World::question() });
    let stranger = answer(Confirmed { signs_as: Some("news.example".into()), ..Confirmed::default() });
    assert_eq!(readiness(&stranger).would_be_lost, 0);
    assert!(stranger.spoofing.messages >= 140, "{:?}", stranger.spoofing);
    let mine = answer(Confirmed { mine: true, signs_as: Some("news.example".into()), ..Confirmed::default() });
    assert_eq!((readiness(&mine).would_be_lost, readiness(&mine).unconfirmed), (1120, 0));
    assert_eq!(action(&mine).confidence, Confidence::High);
    let printer =
        Confirmed { mine: true, network: Some(("203.0.113.77".parse().unwrap(), 32)), ..Confirmed::default() };
    let printer_of = |domain: &str| answer(Confirmed { domain: Some(domain.into()), ..printer.clone() });
    let summary = printer_of("example.com");
    assert_eq!(roles(&summary, "203.0.113.77"), [Role::Own]);
    assert!(summary.actions.iter().any(|action| {
        matches!(action.change, Change::AuthorizeSource { .. }) && action.confidence == Confidence::High
    }));
    assert!(readiness(&summary).held_by.contains(&HeldBy::OwnSender));
    assert_eq!(source(&printer_of("example.org"), "203.0.113.77").cause, Cause::SpoofSuspect, "of another domain only");
}

#[test]
fn a_small_sender_that_fails_as_a_whole_holds_a_large_domain() {
    let mut world = World::new();
    world.add(WEEKS, |day| Line::new(day, "192.0.2.10", 5000));
    world.add(WEEKS, |day| {
        let line = Line::new(day, "198.51.100.90", 1).dkim("example.com", "tickets", "pass").spf("example.com", "fail");
        line.verdict(Flags::DKIM, Cause::PassDkimOnly)
    });
    world.change("198.51.100.90", 4, |line| {
        line.dkim("example.com", "tickets", "permerror").verdict(0, Cause::OwnSigningBroken)
    });
    let summary = world.summary();
    assert_eq!(
        (readiness(&summary).verdict, readiness(&summary).held_by.clone()),
        (ReadinessVerdict::NotYet, vec![HeldBy::OwnSender])
    );
    assert!(readiness(&summary).losing[0].whole);
    assert_eq!(action(&summary).since.unwrap().to_string(), "2026-11-20");
}

#[test]
fn what_is_lost_today_is_counted_where_the_policy_in_force_blocks_it() {
    let mut world = World::new();
    world.add(WEEKS, |day| unaligned_service(day, 5).disposition("quarantine"));
    let summary = world.summary();
    assert_eq!(readiness(&summary).lost_now, 140);
    assert_eq!((summary.answers.own_senders.level, summary.answers.policy.level), (Level::Alert, Level::Alert));
}

#[test]
fn a_domain_that_nobody_sends_as_may_be_locked_and_a_young_one_must_wait() {
    let mut world = World::new();
    world.lines.retain(|line| line.cause == Cause::Unauthenticated);
    let parked = world.summary();
    assert_eq!(readiness(&parked).verdict, ReadinessVerdict::Parked);
    assert!(matches!(changes(&parked)[..], [Change::PublishPolicy { to: "reject", .. }]));
    let mut world = World::new();
    world.lines.retain(|line| line.day.to_string() >= day(-3));
    let young = world.summary();
    assert_eq!((readiness(&young).verdict, readiness(&young).days), (ReadinessVerdict::TooLittle, 10));
    assert_eq!(readiness(&young).enough_on.unwrap().to_string(), "2026-12-11");
    assert!(young.actions.is_empty());
}

#[test]
fn a_change_of_policy_on_the_last_day_is_reported_once() {
    for changed in [-1, 0, 5, 6] {
        let mut world = World::new();
        world.stricter_from = Some(day(changed).parse().unwrap());
        world.without(0, |line| line.day.to_string() == day(0));
        world.lines.extend(World::new().lines.into_iter().map(|line| Line { day: date(number(line.day) + 7), ..line }));
        let told = |from: i32| {
            let monday = day(from);
            let question = Question { period: Some(fixtures::week(&monday)), ..World::question() };
            world.answer(&question).changes.policies.len()
        };
        assert_eq!(told(-7) + told(0) + told(7), 1, "changed on day {changed}");
    }
}

#[test]
fn a_network_is_explained_as_a_whole_and_an_address_by_its_own_identity() {
    let mut world = World::new();
    world.add(0..7, |day| unsigned(day, "192.0.2.77", 2, "example.com", "softfail"));
    let alone = world.explanation("192.0.2.77");
    assert_eq!(alone.senders.iter().map(|sender| sender.who.role).collect::<Vec<_>>(), [Role::Unclear]);
    let explainer = Explainer::new(&World::question(), Watched::Network("192.0.2.0".parse().unwrap(), 24));
    explainer.rows(&fixtures::rows(&world.lines));
    explainer.heads(&world.heads());
    let network = explainer.finish();
    assert_eq!((network.sources.len(), network.senders.len()), (2, 2));
}
