//! Tests with synthetic mail. Days are the eight weeks before 2026-11-23; all names and addresses are reserved ones.

use super::{
    LossCause, NotAsked, ObstacleKind, Simulation, SimulationError, SimulationRequest, TagChanges, Tolerance, ZoneFile,
    simulate,
};
use crate::analyze::tests::fixtures::{self, Line};
use crate::analyze::{Adder, AttributedMail, Period, Question, Role};
use crate::dns::dmarc::Policy;
use crate::dns::lookup::answer::Lookup;
use crate::dns::lookup::test_zone::Zone;
use crate::model::{Cause, Flags, ReportHead};
use jiff::ToSpan as _;
use jiff::civil::Date;

const REPORTERS: [&str; 3] = ["google.com", "Yahoo", "GMX"];
const SERVER: &str = "192.0.2.25";
const OTHER_SERVER: &str = "192.0.2.70";
const FORWARDER: &str = "203.0.113.9";
const VENDOR: &str = "198.51.100.77";

fn first() -> Date {
    "2026-09-28".parse().unwrap()
}

fn last() -> Date {
    "2026-11-22".parse().unwrap()
}

/// Adds messages per day and reporter, on days counted from the first.
fn daily(days: std::ops::Range<i32>, count: i64, line: impl Fn(&str) -> Line) -> Vec<Line> {
    let on = |day: i32| {
        let day = first().checked_add(day.days()).unwrap().to_string();
        let line = line(&day);
        REPORTERS.map(|reporter| Line { count, ..line.clone().reporter(reporter) })
    };
    days.flat_map(on).collect()
}

/// A signing and authorized server, one that is only authorized, a forwarder of signed mail, and spoofers.
fn usual() -> Vec<Line> {
    let mut lines = daily(0..56, 19, |day| Line::new(day, SERVER, 0).dkim("example.com", "s1", "pass"));
    lines.extend(daily(0..56, 5, |day| {
        Line::new(day, OTHER_SERVER, 0).unsigned().verdict(Flags::SPF, Cause::PassSpfOnly)
    }));
    lines.extend(daily(0..56, 1, |day| {
        let line = Line::new(day, FORWARDER, 0).dkim("example.com", "s1", "pass").spf("example.com", "softfail");
        line.verdict(Flags::DKIM, Cause::PassDkimOnly)
    }));
    for (number, day) in (0..56).enumerate() {
        lines.extend(daily(day..day + 1, 1, |day| Line::new(day, &format!("10.{number}.0.1"), 0).unauthenticated()));
    }
    lines
}

/// A service that only authenticates as itself.
fn vendor(day: &str) -> Line {
    let line = Line::new(day, VENDOR, 0).dkim("esp.example", "k", "pass").spf("b.esp.example", "pass");
    line.verdict(0, Cause::AuthenticatedUnaligned)
}

fn attributed(lines: &[Line], change: impl Fn(&mut ReportHead)) -> AttributedMail {
    let question = Question {
        period: Some(Period::new(first(), last()).unwrap()),
        domains: vec!["example.com".into()],
        weekly: true,
        ..Question::default()
    };
    let adder = Adder::new(&question);
    adder.rows(&fixtures::rows(lines));
    let mut heads = fixtures::heads(lines, |_, _| "none");
    heads.iter_mut().for_each(change);
    adder.heads(&heads);
    adder.attribute()
}

fn request() -> SimulationRequest {
    SimulationRequest {
        domain: "example.com".into(),
        days: (first(), last()),
        weeks: 8,
        tags: TagChanges::default(),
        spf: None,
        dropped_includes: Vec::new(),
        removed_selectors: Vec::new(),
        zone: None,
    }
}

fn policy(p: Policy) -> SimulationRequest {
    SimulationRequest { tags: TagChanges { p: Some(p), ..TagChanges::default() }, ..request() }
}

fn run(request: &SimulationRequest, mail: &AttributedMail, lookup: &dyn Lookup) -> Simulation {
    simulate(request, mail, lookup, (Tolerance::default(), true)).unwrap()
}

/// Changed, lost and undecidable messages.
fn sums(request: &SimulationRequest, mail: &AttributedMail, lookup: &dyn Lookup) -> (u64, u64, u64) {
    let answer = run(request, mail, lookup);
    let of_senders: u64 = answer.lost.senders.iter().map(|sender| sender.messages).sum();
    assert_eq!(of_senders, answer.lost.messages);
    let of_roles: u64 = answer.changes.roles.iter().map(|role| role.changes.messages).sum();
    assert_eq!(of_roles, answer.changes.all.messages);
    (answer.changes.all.messages, answer.lost.messages, answer.undecidable.messages)
}

/// Messages of each reporter and day.
const fn messages_of(days: u64, count: u64) -> u64 {
    days * 3 * count
}

const STRANGERS: u64 = messages_of(56, 1);

#[test]
fn a_stricter_policy_loses_the_mail_of_a_vendor_and_of_nobody_else() {
    let mut lines = usual();
    lines.extend(daily(0..56, 2, vendor));
    let mail = attributed(&lines, |_| {});
    let answer = run(&policy(Policy::Quarantine), &mail, &NotAsked);
    assert_eq!(answer.judged.messages, messages_of(56, 19 + 5 + 1 + 1 + 2));
    assert_eq!(
        (answer.changes.all.messages, answer.changes.all.stricter),
        (STRANGERS + messages_of(56, 2), STRANGERS + messages_of(56, 2))
    );
    assert_eq!((answer.lost.legitimate, answer.lost.unclear, answer.exit_code()), (messages_of(56, 2), 0, 1));
    let sender = &answer.lost.senders[0];
    assert_eq!(
        (sender.sender.address.as_deref(), sender.sender.role, sender.cause),
        (Some(VENDOR), Role::Vendor, LossCause::Policy)
    );
    assert_eq!((sender.example.fate, sender.example.proposed_fate), (Policy::None, Policy::Quarantine));
    assert_eq!(answer.tree_walk, None, "nobody was asked");
    assert_eq!(sums(&policy(Policy::None), &mail, &NotAsked), (0, 0, 0));
    let tolerant =
        simulate(&policy(Policy::Reject), &mail, &NotAsked, (Tolerance::Messages(messages_of(56, 2)), false)).unwrap();
    assert_eq!(tolerant.exit_code(), 0);
}

#[test]
fn the_record_of_the_last_day_is_in_force_and_reporters_complete_each_other() {
    let mut lines = usual();
    lines.extend(daily(0..56, 2, vendor));
    let mail = attributed(&lines, |head| {
        if head.day == last() {
            head.policy.p = Some("quarantine".into());
            head.policy.testing = (head.org_name == "GMX").then(|| "y".into());
            head.policy.pct = (head.org_name != "GMX").then_some(100);
        }
    });
    let answer = run(&policy(Policy::Quarantine), &mail, &NotAsked);
    assert_eq!(answer.in_force.dmarc, "p=quarantine; t=y");
    assert_eq!(answer.changes.all.messages, STRANGERS + messages_of(56, 2));
    assert_eq!(
        run(&policy(Policy::None), &mail, &NotAsked).changes.all.messages,
        0,
        "test mode asks for nothing already"
    );
}

#[test]
fn what_is_sampled_out_is_one_step_milder_until_the_policy_is_for_all() {
    let mut lines = usual();
    lines.extend(daily(0..56, 2, |day| vendor(day).reason("sampled_out")));
    let mail = attributed(&lines, |head| {
        head.policy.p = Some("quarantine".into());
        head.policy.pct = Some(20);
    });
    assert_eq!(sums(&policy(Policy::Quarantine), &mail, &NotAsked), (messages_of(56, 2), messages_of(56, 2), 0));
    assert_eq!(
        sums(&policy(Policy::Reject), &mail, &NotAsked),
        (messages_of(56, 2) + STRANGERS, messages_of(56, 2), 0)
    );
    let adkim =
        SimulationRequest { tags: TagChanges { adkim_strict: Some(true), ..TagChanges::default() }, ..request() };
    assert_eq!(sums(&adkim, &mail, &NotAsked), (0, 0, 0), "another option leaves pct as it is");
}

#[test]
fn subdomains_follow_sp() {
    let mut lines = usual();
    lines.extend(daily(0..56, 2, |day| Line { header_from: "shop.example.com".into(), ..vendor(day) }));
    let mail = attributed(&lines, |head| head.policy.sp = Some("none".into()));
    let sp = |p, sp| SimulationRequest { tags: TagChanges { p, sp, ..TagChanges::default() }, ..request() };
    assert_eq!(sums(&sp(None, Some(Policy::Reject)), &mail, &NotAsked), (messages_of(56, 2), messages_of(56, 2), 0));
    assert_eq!(sums(&sp(Some(Policy::Reject), Some(Policy::None)), &mail, &NotAsked), (STRANGERS, 0, 0));
    assert_eq!(
        sums(&policy(Policy::Reject), &mail, &NotAsked),
        (STRANGERS + messages_of(56, 2), messages_of(56, 2), 0),
        "sp goes along"
    );
    let np = SimulationRequest { tags: TagChanges { np: Some(Policy::Reject), ..TagChanges::default() }, ..request() };
    assert_eq!(sums(&np, &mail, &Zone::new("shop.example.com A 192.0.2.1")), (0, 0, 0));
    assert_eq!(sums(&np, &mail, &Zone::new("example.com A 192.0.2.1")), (messages_of(56, 2), messages_of(56, 2), 0));
    let failed = run(&np, &mail, &Zone::new("shop.example.com SERVFAIL"));
    assert_eq!((failed.undecidable.messages, failed.exit_code()), (messages_of(56, 2), 2));
}

#[test]
fn a_key_that_goes_takes_along_what_nothing_else_lets_pass() {
    let mut lines = usual();
    let signed = |selector: &'static str| {
        move |day: &str| {
            let line =
                Line::new(day, "198.51.100.40", 0).dkim("example.com", selector, "pass").spf("b.esp.example", "pass");
            line.verdict(Flags::DKIM, Cause::PassDkimOnly)
        }
    };
    lines.extend(daily(0..56, 2, signed("crm")));
    lines.extend(daily(0..56, 1, |day| {
        signed("crm")(day).signatures(&[("example.com", "crm", "pass"), ("example.com", "s1", "pass")])
    }));
    let unnamed = daily(0..56, 1, signed(""));
    lines.extend(unnamed.into_iter().map(|line| Line { reporter: "Yahoo".into(), ..line }));
    lines.extend(daily(0..56, 1, |day| Line {
        header_from: "news.example.com".into(),
        ..signed("crm")(day).dkim("news.example.com", "crm", "pass")
    }));
    let mail = attributed(&lines, |head| head.policy.p = Some("reject".into()));
    let without = |selectors: &[&str]| SimulationRequest {
        removed_selectors: selectors.iter().map(ToString::to_string).collect(),
        ..request()
    };
    assert_eq!(
        sums(&without(&["CRM"]), &mail, &NotAsked),
        (messages_of(56, 2), messages_of(56, 2), messages_of(56, 1))
    );
    let answer = run(&without(&["crm", "s1"]), &mail, &NotAsked);
    assert_eq!(
        answer.changes.all.messages,
        messages_of(56, 2 + 1) + messages_of(56, 1),
        "the forwarder changes, and the server passes by SPF"
    );
    assert_eq!((answer.lost.messages, answer.lost.senders[0].cause), (messages_of(56, 3), LossCause::Dkim));
    assert_eq!(answer.undecidable.reasons[0].reason, ObstacleKind::ReportIncomplete);
    assert_eq!(answer.undecidable.failed_lookups(), 0);
    assert_eq!(run(&without(&["s9"]), &mail, &NotAsked).changes.all.messages, 0);
}

#[test]
fn an_spf_record_is_evaluated_for_each_address_and_bounce_names_keep_their_result() {
    let mut lines = usual();
    lines.extend(daily(0..56, 2, |day| {
        Line::new(day, "198.51.100.61", 0)
            .unsigned()
            .spf("bounce.example.com", "pass")
            .verdict(Flags::SPF, Cause::PassSpfOnly)
    }));
    lines.extend(daily(0..56, 1, |day| {
        Line::new(day, "no address", 0).unsigned().verdict(Flags::SPF, Cause::PassSpfOnly)
    }));
    let mail = attributed(&lines, |head| head.policy.p = Some("reject".into()));
    let zone = Zone::new(
        "example.com TXT v=spf1 ip4:192.0.2.0/26 include:_spf.example.net include:_spf.example.org -all\n\
         _spf.example.net TXT v=spf1 ip4:192.0.2.70 -all\n_spf.example.org TXT v=spf1 ip4:203.0.113.99 -all\nbroken.example.net TIMEOUT",
    );
    let spf = |record: &str| SimulationRequest { spf: Some(record.into()), ..request() };
    let drop = |names: &[&str]| SimulationRequest {
        dropped_includes: names.iter().map(ToString::to_string).collect(),
        ..request()
    };
    let (other, unknown) = (messages_of(56, 5), messages_of(56, 1));
    for (request, expected) in [
        (spf("v=spf1 ip4:192.0.2.0/24 -all"), (0, 0, unknown)),
        (spf("v=spf1 ip4:192.0.2.0/26 -all"), (other, other, unknown)),
        (spf("v=spf1 ip4:192.0.2.0/24 ip4:10.0.0.0/8 -all"), (STRANGERS, 0, unknown)),
        (spf("v=spf1 exists:%{l}.users.example.com ip4:192.0.2.0/26 -all"), (0, 0, other + unknown + STRANGERS)),
        (drop(&["_spf.example.net"]), (other, other, unknown)),
        (drop(&["_SPF.example.org."]), (0, 0, unknown)),
    ] {
        assert_eq!(sums(&request, &mail, &zone), expected, "{request:?}");
    }
    let failed = run(&spf("v=spf1 ip4:192.0.2.0/26 include:broken.example.net -all"), &mail, &zone);
    assert_eq!((failed.lost.messages, failed.exit_code()), (0, 2));
    assert_eq!(failed.undecidable.failed_lookups(), other + STRANGERS);
    for (request, says) in [
        (spf("v=spf1 ip4:300.0.0.1 -all"), "example.com: the SPF record cannot be read: term 1"),
        (spf("ip4:192.0.2.0/24"), "expected an SPF record that begins with `v=spf1 `"),
        (
            drop(&["_spf.example.com"]),
            "expected include:_spf.example.com in its SPF record, found include:_spf.example.net, include:",
        ),
    ] {
        let error = simulate(&request, &mail, &zone, (Tolerance::default(), false)).unwrap_err();
        assert!(matches!(error, SimulationError::Record { .. }) && error.to_string().contains(says), "{error}");
    }
    let error =
        simulate(&drop(&["x.example"]), &mail, &Zone::new("example.com SERVFAIL"), (Tolerance::default(), false));
    assert!(matches!(error, Err(SimulationError::Lookup { .. })), "{error:?}");
}

#[test]
fn a_zone_file_with_an_soa_record_is_the_whole_zone() {
    let mail = attributed(&usual(), |_| {});
    let key = |name: &str, p: &str| format!("{name} TXT \"v=DKIM1; k=ed25519; p={p}\"\n");
    let (good, other) =
        ("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", "O2onvM62pC1io6jQKm8Nc2UyFXcd4kOmOsBIoYtZ2ik=");
    let below = Zone::new(&format!(
        "example.com TXT v=spf1 ip4:192.0.2.0/24 -all\n_dmarc.example.com TXT v=DMARC1; p=none\n\
         s1._domainkey.example.com TXT v=DKIM1; k=ed25519; p={good}\nkeys.example.net TXT v=DKIM1; k=ed25519; p={good}\n\
         broken.example.net SERVFAIL"
    ));
    let soa = "@ SOA a b 1 2 3 4 5\n@ TXT \"v=spf1 ip4:192.0.2.0/24 -all\"\n";
    let policy = "_dmarc TXT \"v=DMARC1; p=reject\"\n";
    let forwarded = messages_of(56, 1);
    for (text, expected) in [
        (format!("{soa}_dmarc TXT \"v=DMARC1; p=none\"\n{}", key("s1._domainkey", good)), (0, 0, 0)),
        (format!("{soa}_dmarc TXT \"v=DMARC1; p=none\"\ns1._domainkey CNAME keys.example.net.\n"), (0, 0, 0)),
        (format!("{soa}{policy}"), (STRANGERS + forwarded, 0, 0)),
        (format!("{soa}{policy}{}", key("s1._domainkey", other)), (STRANGERS, 0, forwarded)),
        (format!("{soa}{policy}s1._domainkey CNAME broken.example.net.\n"), (STRANGERS, 0, forwarded)),
        (
            format!("{}{policy}{}", soa.replace("/24", "/26"), key("s1._domainkey", good)),
            (STRANGERS + messages_of(56, 5), messages_of(56, 5), 0),
        ),
        (soa.to_owned() + &key("s1._domainkey", good), (0, 0, 0)),
        (policy.to_owned(), (STRANGERS, 0, 0)),
        (policy.to_owned() + &key("s1._domainkey", ""), (STRANGERS + forwarded, 0, 0)),
        (format!("{policy}@ TXT verification=1\n"), (STRANGERS, 0, 0)),
        (format!("{policy}@ TXT \"v=spf1 -all\"\n"), (STRANGERS + messages_of(56, 5), messages_of(56, 5), 0)),
    ] {
        let zone = Some(ZoneFile::parse(text.as_bytes(), "example.com").unwrap());
        let request = SimulationRequest { zone, ..request() };
        assert_eq!(sums(&request, &mail, &below), expected, "{text}");
    }
    for (text, says) in [
        ("_dmarc TXT \"v=DMARC1; p=block\"\n", "_dmarc.example.com: receivers cannot read"),
        ("_dmarc TXT \"v=DMARC1; p=none\"\n_dmarc TXT \"v=DMARC1; p=reject\"\n", "expected one DMARC record, found 2"),
        ("@ TXT \"v=spf1 ip4:1 -all\"\n", "the SPF record cannot be read"),
        ("@ TXT \"v=spf1 -all\"\n@ TXT \"v=spf1 ~all\"\n", "expected one SPF record, found 2"),
    ] {
        let zone = Some(ZoneFile::parse(text.as_bytes(), "example.com").unwrap());
        let error = simulate(&SimulationRequest { zone, ..request() }, &mail, &below, (Tolerance::default(), false));
        assert!(error.as_ref().is_err_and(|error| error.to_string().contains(says)), "{text}: {error:?}");
    }
}

#[test]
fn a_record_of_a_subdomain_in_the_zone_file_holds_for_it() {
    let mut lines = usual();
    lines.extend(daily(0..56, 2, |day| Line { header_from: "shop.example.com".into(), ..vendor(day) }));
    let mail = attributed(&lines, |_| {});
    let zone = ZoneFile::parse(b"_dmarc.shop TXT \"v=DMARC1; p=reject\"\n", "example.com").unwrap();
    let request = SimulationRequest { zone: Some(zone), ..request() };
    assert_eq!(
        sums(&request, &mail, &Zone::new("example.com A 192.0.2.1")),
        (messages_of(56, 2), messages_of(56, 2), 0)
    );
}

#[test]
fn repaired_failures_and_those_of_others_are_no_loss() {
    let mut lines = usual();
    let own = |day: &str| {
        Line::new(day, "198.51.100.30", 0).spf("example.com", "softfail").dkim("example.com", "bill", "pass")
    };
    // Broken for ten days, and well since.
    lines.extend(daily(0..7, 4, |day| own(day).verdict(Flags::DKIM, Cause::PassDkimOnly)));
    lines.extend(daily(7..17, 4, |day| {
        own(day).dkim("example.com", "bill", "permerror").verdict(0, Cause::OwnSigningBroken)
    }));
    lines.extend(daily(17..56, 4, |day| own(day).verdict(Flags::DKIM, Cause::PassDkimOnly)));
    // A resolver that fails for a moment.
    lines.extend(daily(50..56, 2, |day| {
        Line::new(day, SERVER, 0)
            .dkim("example.com", "s1", "temperror")
            .spf("example.com", "temperror")
            .verdict(0, Cause::Transient)
    }));
    // Mail of an own server that the receiver calls forwarded.
    lines.extend(daily(50..56, 1, |day| {
        let line = Line::new(day, SERVER, 0).dkim("example.com", "s1", "fail").spf("example.com", "softfail");
        line.reason("forwarded").verdict(0, Cause::ForwardedDeclared)
    }));
    let mail = attributed(&lines, |_| {});
    let failing = messages_of(10, 4) + messages_of(6, 2) + messages_of(6, 1) + STRANGERS;
    assert_eq!(sums(&policy(Policy::Reject), &mail, &NotAsked), (failing, 0, 0));
    let key = SimulationRequest { removed_selectors: vec!["bill".into()], ..policy(Policy::Reject) };
    assert_eq!(sums(&key, &mail, &NotAsked).1, messages_of(46, 4), "what passes since is lost with the key");
}

#[test]
fn what_a_single_reporter_sees_is_no_loss_and_a_repeated_report_counts_once() {
    let mut lines = usual();
    // In the last week one reporter sees all mail of the server fail.
    for line in lines.iter_mut().filter(|line| line.reporter == "GMX" && line.day >= "2026-11-16".parse().unwrap()) {
        if line.source == SERVER.parse().ok() {
            *line = line
                .clone()
                .dkim("example.com", "s1", "fail")
                .spf("example.com", "fail")
                .verdict(0, Cause::OwnSigningBroken);
        }
    }
    let mail = attributed(&lines, |_| {});
    assert_eq!(sums(&policy(Policy::Reject), &mail, &NotAsked), (STRANGERS + 7 * 19, 0, 0));

    let mut twice = usual();
    let again: Vec<Line> = twice.iter().filter(|line| line.reporter == "Yahoo").cloned().collect();
    twice.extend(again.clone());
    let question = Question {
        period: Some(Period::new(first(), last()).unwrap()),
        domains: vec!["example.com".into()],
        weekly: true,
        ..Question::default()
    };
    let adder = Adder::new(&question);
    adder.rows(&fixtures::rows(&twice));
    let once = fixtures::heads(&usual(), |_, _| "none");
    adder.heads(&once);
    adder.heads(&once.iter().filter(|head| head.org_name == "Yahoo").cloned().collect::<Vec<_>>());
    let answer = run(&policy(Policy::Reject), &adder.attribute(), &NotAsked);
    assert_eq!((answer.judged.messages, answer.changes.all.messages), (messages_of(56, 26), STRANGERS));
}

#[test]
fn the_reported_result_counts_if_the_details_do_not_explain_it() {
    let mut lines = usual();
    let server = |day: &str| Line::new(day, "198.51.100.50", 0).unsigned().spf("esp.example", "pass");
    lines.extend(daily(0..56, 2, |day| {
        server(day).verdict(Flags::DKIM, Cause::PassDkimOnly).mismatch("pe_pass_no_evidence")
    }));
    lines.extend(daily(0..56, 3, |day| {
        Line::new(day, SERVER, 0).mismatch("pe_fail_but_aligned").verdict(0, Cause::AuthenticatedUnaligned)
    }));
    let mail = attributed(&lines, |_| {});
    let answer = run(&policy(Policy::Reject), &mail, &NotAsked);
    assert_eq!((answer.changes.all.messages, answer.undecidable.messages), (STRANGERS + messages_of(56, 3), 0));
    let strict =
        SimulationRequest { tags: TagChanges { adkim_strict: Some(true), ..TagChanges::default() }, ..request() };
    assert_eq!(sums(&strict, &mail, &NotAsked), (0, 0, messages_of(56, 2)), "which signature it was is not said");
    let relaxed =
        SimulationRequest { tags: TagChanges { aspf_strict: Some(false), ..TagChanges::default() }, ..request() };
    assert_eq!(sums(&relaxed, &mail, &NotAsked), (0, 0, 0));
}

#[test]
fn test_mode_in_the_reports_checks_the_simulation() {
    let mut lines = usual();
    lines.extend(daily(0..56, 2, |day| vendor(day).reason("policy_test_mode").disposition("quarantine")));
    lines.extend(daily(0..56, 1, |day| Line::new(day, SERVER, 0).reason("policy_test_mode").disposition("quarantine")));
    let mail = attributed(&lines, |head| {
        head.policy.p = Some("reject".into());
        head.policy.testing = Some("y".into());
    });
    let check = run(&policy(Policy::Reject), &mail, &NotAsked).test_mode;
    assert_eq!(
        (check.messages, check.agree),
        (messages_of(56, 3), messages_of(56, 2)),
        "mail that passes is not to be quarantined"
    );
}

#[test]
fn the_tree_walk_is_reported_where_it_differs() {
    let mut lines = usual();
    lines.extend(daily(0..56, 2, |day| {
        let line = Line::new(day, SERVER, 0).dkim("example.com", "s1", "pass").spf("example.com", "pass");
        Line { header_from: "mail.dept.example.com".into(), ..line }
    }));
    let mail = attributed(&lines, |_| {});
    let same = Zone::new("_dmarc.example.com TXT v=DMARC1; p=none");
    let walk = run(&policy(Policy::Reject), &mail, &same).tree_walk.unwrap();
    assert_eq!((walk.messages, walk.stricter), (0, 0));
    let own =
        Zone::new("_dmarc.example.com TXT v=DMARC1; p=none\n_dmarc.dept.example.com TXT v=DMARC1; p=reject; psd=n");
    let walk = run(&policy(Policy::Reject), &mail, &own).tree_walk.unwrap();
    assert_eq!((walk.messages, walk.stricter, walk.header_from.len()), (messages_of(56, 2), messages_of(56, 2), 1));
    assert_eq!(run(&policy(Policy::Reject), &mail, &Zone::new("example.com A 192.0.2.1")).tree_walk, None);
}

#[test]
fn large_pools_are_named_by_network() {
    let mut lines = usual();
    for host in 1..=9 {
        lines.extend(daily(0..56, 1, |day| Line { source: format!("198.51.100.{host}").parse().ok(), ..vendor(day) }));
    }
    let answer = run(&policy(Policy::Reject), &attributed(&lines, |_| {}), &NotAsked);
    let [sender] = answer.lost.senders.as_slice() else { panic!("{:?}", answer.lost.senders) };
    assert_eq!((sender.sender.address.as_deref(), sender.sender.addresses), (Some("198.51.100.0/28"), 9));
}
