//! `simulate` as a program: a store with known reports, proposals, exit codes, and what is written to which stream.

use crate::dns_servers::Scripted;
use crate::workdir::{Done, WorkDir};

const NOW: &str = "2026-11-23T06:00:00Z";

/// A row of a report: address, messages, From, signature with its result, return path with its result, and reasons.
type Row<'a> = (&'a str, u32, &'a str, Option<(&'a str, &'a str)>, (&'a str, &'a str), &'a [&'a str]);

/// Daily reports of two reporters about example.com, for eight weeks and three days.
fn planted(policy: &str, rows: &[Row<'_>]) -> WorkDir {
    let work = WorkDir::new();
    let first: jiff::Timestamp = "2026-09-28T00:00:00Z".parse().unwrap();
    for day in 0..59 {
        let begin = first.as_second() + i64::from(day) * 86_400;
        for reporter in ["one.example", "two.example"] {
            let text = report(reporter, (begin, day), policy, rows);
            work.write(format!("reports/{reporter}-{day}.xml"), text);
        }
    }
    assert_eq!(work.run(["ingest", "reports"]).code, Some(0));
    work
}

fn report(reporter: &str, (begin, day): (i64, i32), policy: &str, rows: &[Row<'_>]) -> String {
    let mut text = format!(
        "<feedback><report_metadata><org_name>{reporter}</org_name><email>r@{reporter}</email><report_id>{day}</report_id>\
         <date_range><begin>{begin}</begin><end>{}</end></date_range></report_metadata><policy_published>\
         <domain>example.com</domain>{policy}</policy_published>",
        begin + 86_399
    );
    for (address, count, from, signature, (path, spf), reasons) in rows {
        let own = |domain: &str| domain.ends_with("example.com");
        let passes = |aligned: bool| if aligned { "pass" } else { "fail" };
        let (dkim, aligned) = signature.map_or((String::new(), false), |(key, result)| {
            let (domain, selector) = key.split_once('/').unwrap();
            let dkim = format!(
                "<dkim><domain>{domain}</domain><selector>{selector}</selector><result>{result}</result></dkim>"
            );
            (dkim, own(domain) && result == "pass")
        });
        let reasons: Vec<String> = reasons.iter().map(|kind| format!("<reason><type>{kind}</type></reason>")).collect();
        let reasons = reasons.concat();
        text += &format!(
            "<record><row><source_ip>{address}</source_ip><count>{count}</count><policy_evaluated><disposition>none</disposition>\
             <dkim>{}</dkim><spf>{}</spf>{reasons}</policy_evaluated></row><identifiers><header_from>{from}</header_from>\
             </identifiers><auth_results>{dkim}<spf><domain>{path}</domain><result>{spf}</result></spf></auth_results></record>",
            passes(aligned),
            passes(own(path) && *spf == "pass"),
        );
    }
    text + "</feedback>"
}

const MAIL: [Row<'static>; 4] = [
    ("192.0.2.25", 10, "example.com", Some(("example.com/s1", "pass")), ("example.com", "pass"), &[]),
    ("192.0.2.70", 4, "example.com", None, ("example.com", "pass"), &[]),
    ("198.51.100.77", 3, "example.com", Some(("esp.example/k", "pass")), ("b.esp.example", "pass"), &[]),
    ("203.0.113.5", 1, "shop.example.com", Some(("shop.example.com/crm", "pass")), ("b.esp.example", "pass"), &[]),
];

/// Messages of both reporters in the eight weeks.
const fn of(count: u64) -> u64 {
    56 * 2 * count
}

fn simulate(work: &WorkDir, more: &[&str]) -> Done {
    work.run([&["simulate", "example.com", "--now", NOW], more].concat())
}

#[track_caller]
fn expect(work: &WorkDir, more: &[&str], code: i32, (changes, lost, undecidable): (u64, u64, u64)) {
    let done = simulate(work, &[more, &["--format", "json"]].concat());
    let json = done.json();
    let sum = |key: &str| json[key]["messages"].as_u64().unwrap();
    assert_eq!(
        (done.code, sum("judged"), sum("changes"), sum("lost"), sum("undecidable")),
        (Some(code), of(18), changes, lost, undecidable),
        "{more:?}: {json:#}"
    );
}

#[test]
fn a_policy_is_a_gate_and_the_words_say_who_loses() {
    let work = planted("<p>none</p>", &MAIL);
    expect(&work, &["--policy", "none"], 0, (0, 0, 0));
    expect(&work, &["--policy", "quarantine"], 1, (of(3), of(3), 0));
    for (tolerate, code) in [(of(3).to_string(), 0), ((of(3) - 1).to_string(), 1), ("20%".into(), 0), ("16%".into(), 1)]
    {
        expect(&work, &["--policy", "reject", "--tolerate", &tolerate], code, (of(3), of(3), 0));
    }
    let done = simulate(&work, &["--policy", "quarantine"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(1), ""));
    let flat = done.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for says in [
        "example.com: 336 legitimate messages would be lost The policy changes from p=none, as the reports of Sun, Nov 22 show it, \
         to p=quarantine.",
        "2,016 messages judged. 336 change: 336 would be treated more strictly.",
        "198.51.100.77 (esp.example), a service, probably yours: 336 messages. They fail DMARC already: they authenticate only as \
         esp.example.",
        "From example.com, DKIM esp.example/k pass, SPF b.esp.example pass. Not blocked, and would be quarantined.",
    ] {
        assert!(flat.contains(says), "{says}\n{flat}");
    }
    assert!(done.stdout.lines().all(|line| line.chars().count() <= 80), "{}", done.stdout);
}

#[test]
fn a_removed_key_hurts_its_own_domain_only() {
    let work = planted("<p>reject</p>", &MAIL);
    expect(&work, &["--remove-selector", "crm"], 0, (0, 0, 0));
    expect(&work, &["--remove-selector", "s1"], 0, (0, 0, 0));
    let zone =
        "example.com TXT v=spf1 ip4:192.0.2.0/24 include:_spf.example.net -all\n_spf.example.net TXT v=spf1 -all";
    let server = Scripted::start(zone);
    let address = server.address.to_string();
    let both = [
        "--remove-selector",
        "s1._domainkey.example.com.",
        "--spf",
        "v=spf1 ip4:192.0.2.64/26 -all",
        "--server",
        &address,
    ];
    expect(&work, &both, 1, (of(10), of(10), 0));
    expect(&work, &["--drop-include", "_spf.example.net", "--server", &address], 0, (0, 0, 0));
    let spf = ["--spf", "v=spf1 include:gone.example.net -all", "--server", &address];
    expect(&work, &spf, 1, (of(4), of(4), 0));
    let absent = simulate(&work, &["--drop-include", "_spf.example.org", "--server", &address]);
    assert_eq!((absent.code, absent.stdout.as_str()), (Some(2), ""));
    assert!(
        absent.stderr.contains("expected include:_spf.example.org in its SPF record, found include:_spf.example.net"),
        "{absent:?}"
    );
}

#[test]
fn a_lookup_that_fails_is_neither_a_loss_nor_an_all_clear() {
    let work = planted("<p>reject</p>", &MAIL);
    let server = Scripted::start("_spf.example.net SERVFAIL\nexample.com TXT v=spf1 -all");
    let spf =
        ["--spf", "v=spf1 ip4:192.0.2.0/26 include:_spf.example.net -all", "--server", &server.address.to_string()];
    expect(&work, &spf, 2, (0, 0, of(4)));
    let text = simulate(&work, &spf).stdout;
    assert!(text.contains("WHAT CANNOT BE DECIDED") && text.contains("_spf.example.net"), "{text}");
}

#[test]
fn a_zone_file_is_read_from_a_file_or_standard_input() {
    let work = planted("<p>none</p>", &MAIL);
    let server = Scripted::start("example.com TXT v=spf1 ip4:192.0.2.0/24 -all");
    let address = server.address.to_string();
    work.write("part.zone", "_dmarc IN TXT \"v=DMARC1; p=quarantine\"\n");
    expect(&work, &["--from-zone", "part.zone", "--server", &address], 1, (of(3), of(3), 0));
    let whole = "@ SOA ns admin 1 2 3 4 5\n@ TXT \"v=spf1 ip4:192.0.2.0/26 -all\"\n_dmarc TXT \"v=DMARC1; p=reject\"\n";
    work.write("whole.zone", whole);
    // Its keys are gone, too: s1 signs what passes by SPF, crm is all that shop.example.com has.
    expect(&work, &["--from-zone", "whole.zone", "--server", &address], 1, (of(3 + 4 + 1), of(3 + 4 + 1), 0));
    work.write("bad.zone", "@ TXT \"v=spf1 -all\"\n$INCLUDE /etc/hostname\n");
    let bad = simulate(&work, &["--from-zone", "bad.zone"]);
    assert_eq!((bad.code, bad.stdout.as_str()), (Some(2), ""));
    assert!(bad.stderr.starts_with("error: bad.zone: line 2: $INCLUDE is not supported"), "{bad:?}");
}

#[test]
fn domains_and_weeks_without_mail_are_named() {
    let work = planted("<p>none</p>", &MAIL);
    for (words, says) in [
        (["exmaple.com", NOW], "did you mean example.com?"),
        (["shop.example.com", NOW], "its mail is judged by the policy of example.com"),
        (
            ["example.com", "2027-03-01T00:00:00Z"],
            "simulate example.com: no mail from 2027-01-04 to 2027-02-28; its newest report is about 2026-11-25",
        ),
        (["example.org", NOW], "expected a domain with reports in the store, found none about it"),
    ] {
        let done = work.run(["simulate", words[0], "--policy", "reject", "--now", words[1], "--format", "json"]);
        assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{done:?}");
        assert!(done.stderr.contains(says), "{done:?}");
    }
    let nothing = work.run(["simulate", "example.com"]);
    assert_eq!(nothing.code, Some(2));
}

#[test]
fn the_weeks_are_complete_and_a_second_reason_may_exempt_a_message() {
    let mail: [Row<'_>; 2] =
        [MAIL[0], (MAIL[2].0, 3, MAIL[2].2, MAIL[2].3, MAIL[2].4, &["local_policy", "sampled_out"])];
    let work = planted("<p>quarantine</p><pct>20</pct>", &mail);
    let done = simulate(&work, &["--policy", "quarantine", "--format", "json"]);
    assert_eq!(done.json()["lost"]["messages"], of(3));
    // On a Wednesday, with reports about Monday and Tuesday in the store.
    let later = work.run([
        "simulate",
        "example.com",
        "--policy",
        "quarantine",
        "--now",
        "2026-11-25T06:00:00Z",
        "--weeks",
        "2",
        "--format",
        "json",
    ]);
    let json = later.json();
    assert_eq!(json["window"], serde_json::json!({"from": "2026-11-09", "to": "2026-11-22", "weeks": 2}));
    assert_eq!((&json["in_force"]["day"], &json["judged"]["messages"]), (&"2026-11-24".into(), &(14 * 2 * 13).into()));
}

#[test]
fn a_prediction_from_four_weeks_comes_true_in_the_next_four() {
    let work = WorkDir::new();
    let first: jiff::Timestamp = "2026-09-28T00:00:00Z".parse().unwrap();
    let (mut mail, mut lost) = (0_u32, 0_u32);
    for day in 0..56_i32 {
        let begin = first.as_second() + i64::from(day) * 86_400;
        // Twice the volume in the second half, and never the same on two days: what is predicted is a share of the mail.
        let times = |count: u32| count * if day < 28 { 2 } else { 4 } + count * (day.unsigned_abs() % 5);
        let rows = MAIL.map(|(address, count, from, signature, path, reasons)| {
            (address, times(count), from, signature, path, reasons)
        });
        if day >= 28 {
            mail += rows.iter().map(|row| row.1).sum::<u32>();
            lost += rows.iter().filter(|row| row.0 == "198.51.100.77").map(|row| row.1).sum::<u32>();
        }
        for reporter in ["one.example", "two.example"] {
            work.write(format!("reports/{reporter}-{day}.xml"), report(reporter, (begin, day), "<p>none</p>", &rows));
        }
    }
    assert_eq!(work.run(["ingest", "reports"]).code, Some(0));
    for policy in ["quarantine", "reject"] {
        let asked = ["simulate", "example.com", "--policy", policy, "--weeks", "4", "--now", "2026-10-26T06:00:00Z"];
        let json = work.run(asked.iter().chain(&["--format", "json"])).json();
        let sum = |key: &str| json[key]["messages"].as_f64().unwrap();
        let (predicted, became) = (sum("lost") / sum("judged"), f64::from(lost) / f64::from(mail));
        assert!((predicted - became).abs() < 0.01, "{policy}: {predicted} predicted, {became} came true");
        assert_eq!(json["lost"]["senders"][0]["address"], "198.51.100.77", "{json:#}");
    }
}
