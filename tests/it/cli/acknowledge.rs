//! `ack`: an acknowledgment applies in every format until the action grows.

use crate::workdir::WorkDir;
use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan as _};

/// Monday of the last complete week.
fn monday() -> Date {
    let today = Offset::UTC.to_datetime(Timestamp::now()).date();
    today - i64::from(today.weekday().to_monday_zero_offset()).days() - 7.days()
}

/// A report of one day: one of our servers, and a key that is broken for `broken` messages.
fn report(day: Date, reporter: &str, broken: u64, id: &str) -> String {
    let begin = Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).unwrap().as_second();
    let row = |source: &str, count: u64, result: &str, passes: bool| {
        let word = if passes { "pass" } else { "fail" };
        format!(
            "<record><row><source_ip>{source}</source_ip><count>{count}</count><policy_evaluated><disposition>none</disposition>\
             <dkim>{word}</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from>\
             </identifiers><auth_results><dkim><domain>example.com</domain><selector>s1</selector><result>{result}</result></dkim>\
             <spf><domain>example.com</domain><result>softfail</result></spf></auth_results></record>"
        )
    };
    let rows =
        if broken == 0 { row("192.0.2.10", 40, "pass", true) } else { row("192.0.2.10", broken, "permerror", false) };
    format!(
        "<feedback><report_metadata><org_name>{reporter}</org_name><email>dmarc@{reporter}</email><report_id>{id}{begin}</report_id>\
         <date_range><begin>{begin}</begin><end>{}</end></date_range></report_metadata><policy_published><domain>example.com</domain>\
         <p>reject</p></policy_published>{rows}</feedback>",
        begin + 86_399
    )
}

/// Five weeks of mail whose key breaks in the middle of the last complete week.
fn broken_key() -> WorkDir {
    let work = WorkDir::new();
    for offset in -28..7_i64 {
        for reporter in ["one.example", "two.example", "three.example"] {
            let broken = if offset < 2 { 0 } else { 40 };
            let name = format!("in/{reporter}{offset}.xml");
            work.write(name, report(monday() + offset.days(), reporter, broken, "a"));
        }
    }
    work.run(["ingest", work.path("in").to_str().unwrap()]);
    work
}

fn actions(work: &WorkDir) -> Vec<serde_json::Value> {
    let summary = work.run(["summary", "--format", "json"]).json();
    summary["actions"].as_array().unwrap().clone()
}

#[test]
fn an_acknowledged_action_is_folded_until_it_grows_and_listed_with_its_note() {
    let work = broken_key();
    let found = actions(&work);
    let key = found.iter().find(|action| action["change"] == "repair_key").expect("a broken key");
    let id = key["id"].as_str().unwrap().to_owned();
    assert_eq!((&key["state"], &key["folded"], &key["note"]), (&"new".into(), &false.into(), &serde_json::Value::Null));
    assert_eq!(key["first_seen"], (monday() + 2.days()).to_string());
    let before = work.run(["summary"]).quiet();
    assert!(before.contains("s1"), "{before}");

    assert!(work.run(["ack", "list"]).quiet().contains(&id));
    let years_ago = work.run(["ack", "list", "--now", "2020-01-07T06:00:00Z"]).quiet();
    assert!(years_ago.contains("Nothing to do in the last complete week"), "{years_ago}");

    work.run(["ack", &id, "--note", "ticket 4711\u{1b}[31m"]);
    let folded: Vec<_> = actions(&work).into_iter().filter(|action| action["folded"] == true).collect();
    assert_eq!(folded.len(), 1, "{folded:?}");
    assert_eq!(folded[0]["id"], id);
    let after = work.run(["summary"]).quiet();
    assert!(after.contains("acknowledged") && after.contains("dmarquet ack list"), "{after}");
    for list in [work.run(["ack", "list"]).quiet(), work.run(["ack", "list", "--format", "json"]).quiet()] {
        assert!(list.contains(&id) && list.contains("ticket 4711") && !list.contains('\u{1b}'), "{list}");
    }
    work.run(["rebuild"]);
    assert!(work.run(["ack", "list"]).quiet().contains("ticket 4711"), "a rebuild keeps it");

    work.write("late/more.xml", report(monday() + 4.days(), "one.example", 2_000, "late"));
    work.run(["ingest", work.path("late").to_str().unwrap()]);
    let grown = actions(&work).into_iter().find(|action| action["id"] == id.as_str()).unwrap();
    assert_eq!((&grown["folded"], &grown["note"]), (&false.into(), &key_note()));
}

fn key_note() -> serde_json::Value {
    "ticket 4711\\u{1b}[31m".into()
}

#[test]
fn an_unknown_id_cannot_be_acknowledged() {
    let work = WorkDir::new();
    let done = work.run(["ack", "0123456789ab", "--note", "x"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{done:#?}");
    assert!(done.stderr.contains("nothing has this id\nhint: "), "{}", done.stderr);
    assert_eq!(work.run(["ack", "0123456789ab"]).code, Some(2), "a note is needed");
    assert!(!work.path("store").exists(), "reading makes nothing");
}
