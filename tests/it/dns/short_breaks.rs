//! Breaks of a few days, each repaired in DNS: none vanishes from the summaries before the reports prove the repair, be it in the
//! week of the repair or in the next, and none is listed after that.

use super::planted_days::{PlantedReport, day, planted};
use crate::workdir::WorkDir;
use serde_json::{Value, json};
use std::ops::Range;

const DAYS: i32 = 49;
/// Messages that each reporter sees from a sender each day, and all of them.
const MESSAGES: i32 = 10;
const A_DAY: i64 = 30;

/// Tuesday and Wednesday: a key is missing, and the mail passes by SPF all the same.
const NO_MAIN_KEY: Range<i32> = 15..17;
/// Friday and Saturday: the key of another server is missing.
const NO_KEY: Range<i32> = 18..20;
/// Tuesday and Wednesday: the record of a subdomain asks for strict alignment.
const STRICT: Range<i32> = 22..24;
/// Friday and Saturday: SPF does not list a server.
const NO_SPF: Range<i32> = 25..27;
/// Friday and Saturday: the alias of a return path is missing.
const NO_ALIAS: Range<i32> = 32..34;
/// Thursday to Saturday: the SPF record of another domain cannot be evaluated.
const NO_RECORD: Range<i32> = 38..41;

fn zone(day: i32) -> String {
    let key = |name: &str| format!("{name} TXT v=DKIM1; k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\n");
    let mut zone = String::from(
        "mx.example.com A 192.0.2.10\nexample.com MX 10 mx.example.com\n_dmarc.example.com TXT v=DMARC1; p=none\n\
         _dmarc.example.net TXT v=DMARC1; p=none\n_dmarc.example.org TXT v=DMARC1; p=none\n\
         bounce.esp.example TXT v=spf1 include:_spf.esp.example -all\n_spf.esp.example TXT v=spf1 ip4:198.51.100.200 -all\n",
    );
    let erp = if NO_SPF.contains(&day) { "" } else { "ip4:203.0.113.70 " };
    zone += &format!("example.com TXT v=spf1 ip4:192.0.2.10 {erp}-all\n");
    // Names and values of these tags may be written in either case.
    let mode = if STRICT.contains(&day) { "ADKIM=S" } else { "adkim=r" };
    zone += &format!("_dmarc.shop.example.net TXT v=DMARC1; p=none; {mode}\n");
    zone += "example.org TXT v=spf1 ip4:192.0.2.30 -all\n";
    if NO_RECORD.contains(&day) {
        zone += "example.org TXT v=spf1 -all\n";
    }
    if !NO_ALIAS.contains(&day) {
        zone += "bounce.example.com CNAME bounce.esp.example\n";
    }
    if !NO_MAIN_KEY.contains(&day) {
        zone += &key("main._domainkey.example.com");
    }
    if !NO_KEY.contains(&day) {
        zone += &key("inv1._domainkey.example.com");
    }
    zone + &key("net._domainkey.example.net")
}

/// A row: address, whether DMARC passes by DKIM and by SPF, and the results in the report.
fn row(
    from: &str,
    ip: &str,
    (by_dkim, by_spf): (bool, bool),
    dkim: Option<(&str, &str, &str)>,
    spf: (&str, &str),
) -> String {
    let word = |passes: bool| if passes { "pass" } else { "fail" };
    let signature = dkim.map_or(String::new(), |(domain, selector, result)| {
        format!("<dkim><domain>{domain}</domain><selector>{selector}</selector><result>{result}</result></dkim>")
    });
    format!(
        "<record><row><source_ip>{ip}</source_ip><count>{MESSAGES}</count><policy_evaluated><disposition>none</disposition>\
         <dkim>{}</dkim><spf>{}</spf></policy_evaluated></row><identifiers><header_from>{from}</header_from></identifiers>\
         <auth_results>{signature}<spf><domain>{}</domain><result>{}</result></spf></auth_results></record>",
        word(by_dkim),
        word(by_spf),
        spf.0,
        spf.1
    )
}

/// What receivers saw on a day.
fn reports(day: i32) -> [PlantedReport; 3] {
    let (main, inv1) = (!NO_MAIN_KEY.contains(&day), !NO_KEY.contains(&day));
    let (erp, alias, strict) = (!NO_SPF.contains(&day), !NO_ALIAS.contains(&day), STRICT.contains(&day));
    let evaluated = !NO_RECORD.contains(&day);
    let key = |works: bool| if works { "pass" } else { "permerror" };
    let of_com = [
        row(
            "example.com",
            "192.0.2.10",
            (main, true),
            Some(("example.com", "main", key(main))),
            ("example.com", "pass"),
        ),
        row(
            "example.com",
            "198.51.100.60",
            (inv1, false),
            Some(("example.com", "inv1", key(inv1))),
            ("example.com", "fail"),
        ),
        row("example.com", "203.0.113.70", (false, erp), None, ("example.com", if erp { "pass" } else { "fail" })),
        row(
            "example.com",
            "198.51.100.200",
            (false, alias),
            None,
            ("bounce.example.com", if alias { "pass" } else { "none" }),
        ),
    ];
    let of_shop = row(
        "shop.example.net",
        "192.0.2.20",
        (!strict, false),
        Some(("example.net", "net", "pass")),
        ("bounce.esp.example", "pass"),
    );
    let of_org = row(
        "example.org",
        "192.0.2.30",
        (false, evaluated),
        None,
        ("example.org", if evaluated { "pass" } else { "permerror" }),
    );
    let mode = if strict { "s" } else { "r" };
    let report = |domain, tags, rows| PlantedReport { domain, tags, rows };
    [
        report("example.com", String::new(), of_com.concat()),
        report("shop.example.net", format!("<adkim>{mode}</adkim>"), of_shop),
        report("example.org", String::new(), of_org),
    ]
}

fn store() -> WorkDir {
    planted(&["example.com", "example.net", "shop.example.net", "example.org"], DAYS, reports, zone)
}

/// The actions of a week with a repair: source, name of the record that explains it, state, and the repair.
fn repaired(work: &WorkDir, week: &str) -> Vec<(String, String, String, Value)> {
    let summary = work.run(["summary", "--week", week, "--format", "json"]).json();
    let of = |action: &Value| {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let explained = &action["explained_by"];
        let change =
            format!("{} {} {}", text(&explained["name"]), text(&explained["type"]), text(&explained["change"]));
        (text(&action["sources"][0]), change, text(&action["state"]), action["repair"].clone())
    };
    let actions = summary["actions"].as_array().unwrap().iter();
    let mut actions: Vec<_> = actions.filter(|action| !action["repair"].is_null()).map(of).collect();
    actions.sort_by(|a, b| a.0.cmp(&b.0));
    actions
}

#[test]
fn a_break_of_a_few_days_ends_as_fixed_and_never_vanishes() {
    let work = store();
    // The first day that sees the repair, and the days whose mail failed before and passed since.
    let repair = |published: i32, failed: i64, passed: i64| {
        json!({
            "published": day(published).to_string(), "since": day(published + 1).to_string(), "failing_before": failed * A_DAY,
            "messages": passed * A_DAY, "failing": 0, "reporters": if passed > 0 { 3 } else { 0 }, "still_failing": []
        })
    };
    let one = |source: &str, change: &str, state: &str, repair: Value| {
        (source.to_owned(), change.to_owned(), state.to_owned(), repair)
    };
    let (main, inv1) = ("main._domainkey.example.com TXT removed", "inv1._domainkey.example.com TXT removed");
    let (dmarc, spf) = ("_dmarc.shop.example.net TXT changed", "example.com TXT changed");
    let (alias, record) = ("bounce.example.com CNAME removed", "example.org TXT changed");
    let weeks = [
        ("2026-W41", vec![]),
        (
            "2026-W42",
            vec![
                one("192.0.2.10", main, "fixed", repair(17, 0, 3)),
                one("198.51.100.60", inv1, "published", repair(20, 2, 0)),
            ],
        ),
        (
            "2026-W43",
            vec![
                one("192.0.2.20", dmarc, "fixed", repair(24, 2, 3)),
                one("198.51.100.60", inv1, "fixed", repair(20, 2, 7)),
                one("203.0.113.70", spf, "published", repair(27, 2, 0)),
            ],
        ),
        (
            "2026-W44",
            vec![
                one("198.51.100.200", alias, "published", repair(34, 2, 0)),
                one("203.0.113.70", spf, "fixed", repair(27, 2, 7)),
            ],
        ),
        (
            "2026-W45",
            vec![
                one("192.0.2.30", record, "published", repair(41, 3, 0)),
                one("198.51.100.200", alias, "fixed", repair(34, 2, 7)),
            ],
        ),
        ("2026-W46", vec![one("192.0.2.30", record, "fixed", repair(41, 3, 7))]),
    ];
    for (week, expected) in weeks {
        assert_eq!(repaired(&work, week), expected, "{week}");
    }
    let text = work.run(["summary", "--week", "2026-W43", "--format", "text", "--width", "200"]).quiet();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("Wait for reports about the SPF record for 203.0.113.70 as example.com, now published"),
        "{text}"
    );
    assert!(text.contains("Affected: 60 messages; all failed.") && !text.contains("all fail."), "{text}");
    // One repair still has to prove itself; the sender of the other passes again.
    let lead = "One of your senders fails DMARC as example.com. Another of your senders failed DMARC as shop.example.net until \
                the repair on Thu, Oct 22.";
    assert!(text.contains(lead) && text.contains("Senders to fix 1 "), "{text}");
    // What is asked about one address is counted too.
    let explained =
        work.run(["summary", "--week", "2026-W43", "--explain", "198.51.100.60", "--format", "json"]).json();
    assert_eq!(explained["actions"][0]["state"], "fixed", "{explained:#}");
}
