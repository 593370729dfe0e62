//! A zone that changes over sixty simulated days, looked up each morning, and the reports that follow from it: each planted
//! change is found on its day, joined with the break that it caused, and closed when the reports recover. Nothing else is
//! joined, whatever else changed on the same days.

use super::planted_days::{PlantedReport, day, planted};
use crate::workdir::WorkDir;
use serde_json::{Value, json};
use std::ops::Range;

const DAYS: i32 = 60;
/// Messages that each reporter sees from a sender each day.
const MESSAGES: i32 = 10;

/// The days on which the key inv1 is missing.
const NO_KEY: Range<i32> = 22..30;
/// The days on which the SPF record lacks the ERP server.
const NO_SPF: Range<i32> = 37..45;
/// The days on which another key is published at shop1.
const OTHER_KEY: Range<i32> = 51..58;

/// What DNS says on a day.
fn zone(day: i32) -> String {
    const KEYS: [&str; 2] =
        ["AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAI="];
    let key = |name: &str, key: &str| format!("{name} TXT v=DKIM1; k=ed25519; p={key}\n");
    let mut zone = String::from(
        "mx1.example.com A 192.0.2.10\nmx2.example.com A 192.0.2.11\nexample.net MX 10 mx1.example.com\n\
         _dmarc.example.net TXT v=DMARC1; p=none\n",
    );
    // Order, spaces and tags are no change.
    let dmarc = match day {
        0..10 => "v=DMARC1; p=none; rua=mailto:d@example.com",
        10..22 => "v=DMARC1;  rua=mailto:d@example.com;p=none",
        _ => "v=DMARC1; p=none; rua=mailto:dmarc@example.com",
    };
    zone += &format!("_dmarc.example.com TXT {dmarc}\n");
    let erp = if NO_SPF.contains(&day) { "" } else { "ip4:203.0.113.70 " };
    zone += &format!("example.com TXT v=spf1 ip4:192.0.2.10 {erp}-all\n");
    zone += &format!("example.com MX 10 {}\n", if day < 37 { "mx1.example.com" } else { "mx2.example.com" });
    zone += &format!("example.net TXT v=spf1 ip4:192.0.2.20 {}-all\n", if day < 22 { "" } else { "ip4:192.0.2.21 " });
    zone += &key("main._domainkey.example.com", KEYS[0]);
    zone += &key("net._domainkey.example.net", KEYS[usize::from(day >= 51)]);
    if !NO_KEY.contains(&day) {
        zone += &key("inv1._domainkey.example.com", KEYS[0]);
    }
    zone += &key("shop1._domainkey.example.com", KEYS[usize::from(OTHER_KEY.contains(&day))]);
    if day >= 30 {
        zone += "_smtp._tls.example.com TXT v=TLSRPTv1; rua=mailto:tls@example.com\n";
    }
    zone
}

/// The changes that somebody planted: day, name, type, change.
const PLANTED: &[(i32, &str, &str, &str)] = &[
    (22, "_dmarc.example.com", "TXT", "changed"),
    (22, "example.net", "TXT", "changed"),
    (22, "inv1._domainkey.example.com", "TXT", "removed"),
    (30, "_smtp._tls.example.com", "TXT", "added"),
    (30, "inv1._domainkey.example.com", "TXT", "added"),
    (37, "example.com", "MX", "changed"),
    (37, "example.com", "TXT", "changed"),
    (45, "example.com", "TXT", "changed"),
    (51, "net._domainkey.example.net", "TXT", "changed"),
    (51, "shop1._domainkey.example.com", "TXT", "changed"),
    (58, "shop1._domainkey.example.com", "TXT", "changed"),
];

/// A row: address, signature (selector and result), return path and SPF result.
fn row(domain: &str, ip: &str, dkim: Option<(&str, &str)>, (path, spf): (&str, &str)) -> String {
    let result = |passes: bool| if passes { "pass" } else { "fail" };
    let by_dkim = dkim.is_some_and(|(_, result)| result == "pass");
    let by_spf = spf == "pass" && path == domain;
    let signature = dkim.map_or(String::new(), |(selector, result)| {
        format!("<dkim><domain>{domain}</domain><selector>{selector}</selector><result>{result}</result></dkim>")
    });
    format!(
        "<record><row><source_ip>{ip}</source_ip><count>{MESSAGES}</count><policy_evaluated><disposition>none</disposition>\
         <dkim>{}</dkim><spf>{}</spf></policy_evaluated></row><identifiers><header_from>{domain}</header_from></identifiers>\
         <auth_results>{signature}<spf><domain>{path}</domain><result>{spf}</result></spf></auth_results></record>",
        result(by_dkim),
        result(by_spf)
    )
}

/// What receivers saw on a day.
fn reports(day: i32) -> [PlantedReport; 2] {
    let own = |result| ("example.com", result);
    let of_com = [
        row("example.com", "192.0.2.10", Some(("main", "pass")), own("pass")),
        row(
            "example.com",
            "198.51.100.60",
            Some(("inv1", if NO_KEY.contains(&day) { "permerror" } else { "pass" })),
            own("softfail"),
        ),
        row("example.com", "203.0.113.70", None, own(if NO_SPF.contains(&day) { "fail" } else { "pass" })),
        row(
            "example.com",
            "198.51.100.140",
            Some(("shop1", if OTHER_KEY.contains(&day) { "fail" } else { "pass" })),
            ("bounce.shop.example.org", "pass"),
        ),
    ];
    let of_net = row("example.net", "192.0.2.20", Some(("net", "pass")), ("example.net", "pass"));
    let report = |domain, rows| PlantedReport { domain, tags: String::new(), rows };
    [report("example.com", of_com.concat()), report("example.net", of_net)]
}

fn store() -> WorkDir {
    planted(&["example.com", "example.net"], DAYS, reports, zone)
}

/// The actions of a week that a change explains, or that have a repair.
fn joined(work: &WorkDir, week: &str) -> Vec<Value> {
    let summary = work.run(["summary", "--week", week, "--format", "json"]).json();
    let actions = summary["actions"].as_array().unwrap().clone();
    actions.into_iter().filter(|action| !action["explained_by"].is_null() || !action["repair"].is_null()).collect()
}

#[test]
fn each_change_of_sixty_days_is_found_joined_and_closed() {
    let work = store();
    let mut found = Vec::new();
    for domain in ["example.com", "example.net"] {
        let history = work.run(["check", domain, "--history", "--format", "json"]).json();
        for change in history["changes"].as_array().unwrap() {
            let text = |key: &str| change[key].as_str().unwrap().to_owned();
            found.push((text("day"), text("name"), text("type"), text("change")));
        }
    }
    found.sort();
    let planted = PLANTED.iter().map(|(number, name, of_type, change)| {
        (day(*number).to_string(), (*name).to_owned(), (*of_type).to_owned(), (*change).to_owned())
    });
    assert_eq!(found, planted.collect::<Vec<_>>());

    let explained = |number: i32, name: &str, change: &str| json!({"day": day(number).to_string(), "name": name, "type": "TXT", "change": change});
    let key = explained(22, "inv1._domainkey.example.com", "removed");
    let spf = explained(37, "example.com", "changed");
    let other = explained(51, "shop1._domainkey.example.com", "changed");
    let a_day = i64::from(MESSAGES) * 3;
    let repair = |published: i32, before: i64, days: i64| {
        json!({
            "published": day(published).to_string(), "since": day(published + 1).to_string(), "failing_before": before * a_day,
            "messages": days * a_day, "failing": 0, "reporters": 3, "still_failing": []
        })
    };
    // Each week: the source, what explains the failures, the states that are right, and the repair.
    let weeks: [(&str, Option<(&str, &Value, &[&str], Value)>); 9] = [
        ("2026-W40", None),
        ("2026-W41", None),
        ("2026-W42", None),
        ("2026-W43", Some(("198.51.100.60", &key, &["new", "open"], Value::Null))),
        ("2026-W44", Some(("198.51.100.60", &key, &["fixed"], repair(30, 6, 4)))),
        ("2026-W45", Some(("203.0.113.70", &spf, &["new", "open"], Value::Null))),
        ("2026-W46", Some(("203.0.113.70", &spf, &["fixed"], repair(45, 6, 3)))),
        ("2026-W47", Some(("198.51.100.140", &other, &["new", "open"], Value::Null))),
        // One day of mail is no proof.
        ("2026-W48", Some(("198.51.100.140", &other, &["published"], repair(58, 6, 1)))),
    ];
    for (week, expected) in weeks {
        let actions = joined(&work, week);
        let Some((source, cause, states, repair)) = expected else {
            assert_eq!(actions, [] as [Value; 0], "{week}");
            continue;
        };
        let [action] = actions.as_slice() else { panic!("{week}: {actions:#?}") };
        assert_eq!((&action["sources"], &action["explained_by"]), (&json!([source]), cause), "{week}: {action:#}");
        assert_eq!(action["repair"], repair, "{week}: {action:#}");
        assert!(states.contains(&action["state"].as_str().unwrap()), "{week}: {action:#}");
    }
    // What is done is not asked for again.
    let text = work.run(["summary", "--week", "2026-W44", "--format", "text", "--width", "200"]).quiet();
    assert!(text.contains("Fixed: the DKIM key inv1 of 198.51.100.60 for example.com"), "{text}");
    assert!(!text.contains("Publish the DKIM key") && !text.contains("Publish this TXT record"), "{text}");
    let worked = "It was published on Wed, Oct 28, and it worked: 180 messages failed in the seven days before, none of 120 \
                  messages since, seen by 3 reporters.";
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(worked) && text.contains("Affected: 60 messages; all failed."), "{text}");
}
