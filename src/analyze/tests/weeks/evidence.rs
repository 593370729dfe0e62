//! Synthetic weeks whose evidence is thinner than it looks, and policies with several tags: what must not be
//! recommended.

use super::*;
use crate::analyze::{Change, HeldBy, PolicySeen, Readiness, ReadinessVerdict};
use crate::model::SenderAuth;

/// The summary of a world whose reports differ from the usual ones.
fn told(world: &World, change: impl Fn(&mut ReportHead)) -> Summary {
    let mut heads = world.heads();
    heads.iter_mut().for_each(change);
    let adder = Adder::new(&World::question());
    adder.rows(&fixtures::rows(&world.lines));
    adder.heads(&heads);
    adder.finish()
}

fn readiness(summary: &Summary) -> &Readiness {
    &summary.domains[0].readiness
}

/// The tag of the recommended step, its value, and the tags to remove.
fn step(summary: &Summary) -> Option<(&'static str, &'static str, Vec<&'static str>)> {
    summary.actions.iter().find_map(|action| match &action.change {
        Change::PublishPolicy { tag, to, remove, .. } => Some((*tag, *to, remove.clone())),
        _ => None,
    })
}

fn limited(p: &'static str, sp: &'static str) -> impl Fn(&mut ReportHead) {
    move |head| {
        head.policy.p = Some(p.into());
        head.policy.sp = Some(sp.into());
        head.policy.testing = Some("y".into());
        head.policy.pct = Some(10);
    }
}

/// Mail of a name below the domain that fails.
fn failing_subdomain(day: &str) -> Line {
    Line { header_from: "shop.example.com".into(), ..unaligned_service(day, 5) }
}

#[test]
fn a_step_of_the_subdomains_keeps_what_spares_the_domain_itself() {
    let mut world = World::new();
    // Nobody looks at this mail of the domain itself while a step of the subdomains is judged.
    world.add(-49..7, |day| unaligned_service(day, 5));
    let summary = told(&world, limited("reject", "none"));
    assert_eq!(readiness(&summary).verdict, ReadinessVerdict::Ready);
    assert_eq!(step(&summary), Some(("sp", "reject", vec![])));
}

#[test]
fn a_policy_for_all_mail_is_judged_by_the_subdomains_that_it_reaches() {
    let mut world = World::new();
    world.add(-49..7, failing_subdomain);
    for (p, next) in [("quarantine", "p=quarantine for all mail"), ("none", "p=quarantine")] {
        let summary = told(&world, limited(p, "reject"));
        assert_eq!(readiness(&summary).next.as_deref(), Some(next));
        assert_eq!((readiness(&summary).verdict, step(&summary)), (ReadinessVerdict::NotYet, None), "p={p}");
    }
    let summary = told(&World::new(), limited("quarantine", "reject"));
    assert_eq!(step(&summary), Some(("p", "quarantine", vec!["pct", "t"])));
}

#[test]
fn a_stricter_policy_of_subdomains_that_one_reporter_states_hides_none_of_their_mail() {
    let mut world = World::new();
    world.add(-49..7, failing_subdomain);
    let one = |head: &mut ReportHead| head.policy.sp = (head.org_name == "GMX").then(|| "reject".into());
    let summary = told(&world, one);
    assert_eq!(summary.domains[0].policy, Some(PolicySeen { p: Some("none".into()), ..PolicySeen::default() }));
    assert_eq!((readiness(&summary).verdict, readiness(&summary).would_be_lost), (ReadinessVerdict::NotYet, 1120));
    let all = told(&world, |head| head.policy.sp = Some("reject".into()));
    assert_eq!((readiness(&all).verdict, readiness(&all).would_be_lost), (ReadinessVerdict::Ready, 0));
}

#[test]
fn a_domain_without_mail_is_locked_by_the_tag_that_is_still_open() {
    let mut world = World::new();
    world.lines.retain(|line| line.cause == Cause::Unauthenticated);
    let summary = told(&world, |head| {
        head.policy.p = Some("reject".into());
        head.policy.sp = Some("none".into());
    });
    assert_eq!(readiness(&summary).verdict, ReadinessVerdict::Parked);
    assert_eq!(
        (readiness(&summary).next.as_deref(), step(&summary)),
        (Some("sp=reject"), Some(("sp", "reject", vec![])))
    );
}

#[test]
fn a_report_from_long_before_the_others_makes_no_four_weeks() {
    let mut world = World::new();
    world.lines.retain(|line| line.day.to_string() >= day(0));
    let old = Line::new(&day(-40), "192.0.2.10", 500);
    world.lines.push(old.clone());
    let young = world.summary();
    assert_eq!((readiness(&young).verdict, readiness(&young).days), (ReadinessVerdict::TooLittle, 7));
    assert_eq!(readiness(&young).enough_on.unwrap().to_string(), "2026-12-14");
    // Mail that is sent once a month is seen on few days.
    world.lines.push(Line { day: day(-20).parse().unwrap(), ..old });
    let monthly = world.summary();
    assert_eq!((readiness(&monthly).verdict, readiness(&monthly).days), (ReadinessVerdict::Ready, 47));
}

#[test]
fn what_fails_once_a_month_is_not_repaired_by_what_passes_in_between() {
    let mut world = World::new();
    let aligned = |day: &str| {
        let line =
            unaligned_service(day, 5).signatures(&[("example.com", "s1", "pass"), ("news.example", "k1", "pass")]);
        line.verdict(Flags::DKIM, Cause::PassDkimOnly)
    };
    world.add(-49..7, aligned);
    world.add(-20..-19, |day| unaligned_service(day, 400));
    assert_eq!(readiness(&world.summary()).verdict, ReadinessVerdict::Ready, "failed once, and passes since");
    world.add(-48..-47, |day| unaligned_service(day, 400));
    let summary = world.summary();
    // On two days only: nobody knows yet whether it is a service of the user's.
    assert_eq!((readiness(&summary).verdict, readiness(&summary).unclear), (ReadinessVerdict::NotYet, 3200));
    assert_eq!(readiness(&summary).held_by, [HeldBy::UnclearSenders]);
}

#[test]
fn forged_reports_state_no_policy_and_no_days_and_their_senders_are_no_reporters() {
    let forged = |head: &mut ReportHead| {
        if head.org_name == "GMX" {
            head.sender_auth = SenderAuth::Fail;
            head.policy.p = Some("reject".into());
        }
    };
    let mut world = World::new();
    world.lines.retain(|line| line.day.to_string() >= day(-10) || line.reporter == "GMX");
    let summary = told(&world, forged);
    assert_eq!(summary.domains[0].policy, Some(PolicySeen { p: Some("none".into()), ..PolicySeen::default() }));
    assert_eq!((readiness(&summary).verdict, readiness(&summary).days), (ReadinessVerdict::TooLittle, 17));

    let mut world = World::new();
    world.lines.retain(|line| ["GMX", "Yahoo"].contains(&line.reporter.as_str()));
    let auth = |line: &Line| if line.reporter == "GMX" { "fail" } else { "pass" };
    let rows = crate::model::Rows {
        sender_auth: crate::model::Words {
            dictionary: vec!["fail".into(), "pass".into()],
            codes: world.lines.iter().map(|line| u32::from(auth(line) == "pass")).collect(),
        },
        ..fixtures::rows(&world.lines)
    };
    let adder = Adder::new(&World::question());
    adder.rows(&rows);
    let mut heads = world.heads();
    heads.iter_mut().for_each(forged);
    adder.heads(&heads);
    let summary = adder.finish();
    assert_eq!((readiness(&summary).verdict, readiness(&summary).reporters), (ReadinessVerdict::TooLittle, 1));
}

#[test]
fn a_domain_is_not_parked_if_what_its_only_receiver_reports_returns() {
    // A service that nobody set up sends all mail of the domain, or an unauthenticated server does; one receiver reports.
    let server = |day: &str| Line::new(day, "203.0.113.9", 3).unauthenticated();
    for line in [|day: &str| unaligned_service(day, 3), server] {
        let mut world = World { lines: Vec::new(), stricter_from: None };
        world.lines.extend((-49..7).map(|at| line(&day(at))));
        let summary = world.summary();
        assert_ne!(readiness(&summary).verdict, ReadinessVerdict::Parked);
        assert_eq!(step(&summary), None);
        world.lines.retain(|line| number(line.day) % 8 == 0);
        let small = world.summary();
        assert_eq!((readiness(&small).verdict, step(&small)), (ReadinessVerdict::TooLittle, None), "21 messages");
    }
}
