//! `site` as a program: every link resolves, every number equals the summary's, and unchanged pages are not written again.

use crate::dns_servers::Scripted;
use crate::workdir::{WorkDir, files_below, samples};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// A time after the samples' last week.
const NOW: &str = "2026-11-25T06:00:00Z";

/// The samples in a store, and their archive in `site/`.
fn archive() -> WorkDir {
    let work = WorkDir::new();
    work.run(["ingest", "-q", samples().to_str().expect("UTF-8")]);
    assert_eq!(site(&work, &[]), Some(0));
    work
}

fn site(work: &WorkDir, more: &[&str]) -> Option<i32> {
    work.run([&["site", "--out", "site", "--now", NOW], more].concat()).code
}

/// The files of a folder with their bytes and times of change.
fn state(folder: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let of = |file: PathBuf| {
        let changed = file.metadata().and_then(|metadata| metadata.modified()).expect("a time");
        (file.clone(), (std::fs::read(&file).expect("a file"), changed))
    };
    files_below(folder).into_iter().map(of).collect()
}

fn json(file: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(file).expect("a file")).unwrap_or_else(|_| panic!("{}", file.display()))
}

/// The values of an attribute in all tags.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    html.split(&format!(" {name}=\"")).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

#[test]
fn every_link_leads_to_a_page_and_a_place_in_it() {
    let work = archive();
    let root = work.path("site");
    let pages: Vec<PathBuf> =
        files_below(&root).into_iter().filter(|file| file.extension().is_some_and(|ending| ending == "html")).collect();
    assert!(pages.len() > 30, "{} pages", pages.len());
    for page in &pages {
        let html = std::fs::read_to_string(page).expect("a page");
        assert!(page.with_extension("json").is_file(), "{} has no JSON beside it", page.display());
        for link in attributes(&html, "href") {
            let (path, place) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { page.parent().expect("a folder").join(path) };
            let found = std::fs::read_to_string(&target).unwrap_or_else(|error| panic!("{link}: {error}"));
            let ids: BTreeSet<&str> = attributes(&found, "id").into_iter().collect();
            assert!(place.is_empty() || ids.contains(place), "{} leads to {link}", page.display());
        }
    }
}

#[test]
fn every_number_is_the_summarys() {
    let work = archive();
    let root = work.path("site");
    let mut weeks = 0;
    for file in
        files_below(&root.join("weeks")).into_iter().filter(|file| file.extension().is_some_and(|end| end == "json"))
    {
        let name = file.file_stem().and_then(|name| name.to_str()).expect("a week").to_owned();
        let summary = work.run(["summary", "--week", &name, "--format", "json", "--now", NOW]).json();
        assert_eq!(json(&file), summary, "{name}");
        weeks += 1;
        for domain in summary["domains"].as_array().expect("domains") {
            let page = json(&root.join(format!("domains/{}.json", domain["policy_domain"].as_str().expect("a name"))));
            let row = page["weeks"].as_array().into_iter().flatten().find(|row| row["week"] == name.as_str());
            let row = row.unwrap_or_else(|| panic!("{name} is missing: {page}"));
            for (here, there) in [("messages", "messages"), ("dmarc_pass", "dmarc_pass"), ("reporters", "reporters")] {
                assert_eq!(row[here], domain[there], "{name} {}", domain["policy_domain"]);
            }
            assert_eq!(
                (&row["spoofed"], &row["blocked"]),
                (&domain["spoofing"]["messages"], &domain["spoofing"]["blocked"])
            );
        }
        for sender in
            summary["senders"].as_array().expect("senders").iter().filter(|sender| sender["role"] != "suspect")
        {
            let address = sender["address"].as_str().unwrap_or("unknown").replace(':', "-");
            let prefix = sender["prefix"].as_u64().unwrap_or(0);
            let network = if matches!(prefix, 24 | 64) { format!("{address}-{prefix}") } else { address };
            let page = json(&root.join(format!("senders/{network}.json")));
            let of_week = |row: &&Value| row["week"] == name.as_str() && row["domain"] == sender["policy_domain"];
            let row = page["weeks"].as_array().into_iter().flatten().find(of_week).expect("a row of the week");
            assert!(row["messages"].as_u64() >= sender["messages"].as_u64(), "{name} {network}");
        }
    }
    assert!(weeks >= 7, "{weeks} weeks");
}

#[test]
fn a_second_run_writes_nothing_and_a_new_report_only_what_it_changes() {
    let work = archive();
    let before = state(&work.path("site"));
    assert_eq!(site(&work, &[]), Some(0));
    assert!(before == state(&work.path("site")), "a second run changed something");
    let report = "<feedback><report_metadata><org_name>late.example</org_name><email>a@late.example</email>\
        <report_id>late</report_id><date_range><begin>1794830400</begin><end>1794916799</end></date_range></report_metadata>\
        <policy_published><domain>example.org</domain><p>none</p></policy_published><record><row>\
        <source_ip>192.0.2.110</source_ip><count>5</count><policy_evaluated><disposition>none</disposition><dkim>pass</dkim>\
        <spf>pass</spf></policy_evaluated></row><identifiers><header_from>example.org</header_from></identifiers>\
        <auth_results><spf><domain>example.org</domain><result>pass</result></spf></auth_results></record></feedback>";
    work.write("late.xml", report);
    work.run(["ingest", "-q", "late.xml"]);
    assert_eq!(site(&work, &[]), Some(0));
    let after = state(&work.path("site"));
    let changed = |name: &str| before.get(&work.path("site").join(name)) != after.get(&work.path("site").join(name));
    assert!(changed("weeks/2026-W47.html") && changed("domains/example.org.html") && changed("index.html"));
    assert!(!changed("weeks/2026-W44.html") && !changed("weeks/2026-W44.json"));
    // As a run from nothing makes it.
    assert_eq!(work.run(["site", "--out", "anew", "--now", NOW]).code, Some(0));
    for (file, (bytes, _)) in after {
        let anew = work.path("anew").join(file.strip_prefix(work.path("site")).expect("below"));
        assert!(std::fs::read(&anew).expect("the same file") == bytes, "{}", file.display());
    }
}

#[test]
fn a_check_that_finds_what_it_found_before_changes_no_page() {
    let work = archive();
    let dns = Scripted::start(
        "example.com TXT v=spf1 -all\n_dmarc.example.com TXT v=DMARC1; p=none\nexample.net TXT v=spf1 -all\n\
         _dmarc.example.net TXT v=DMARC1; p=none\nexample.org TXT v=spf1 -all\n_dmarc.example.org TXT v=DMARC1; p=none",
    );
    let check = || work.run(["check", "--all", "--server", &dns.address.to_string()]);
    let seen = |work: &WorkDir| work.run(["export", "--format", "csv", "--out", "all"]).code;
    assert!(check().code < Some(2) && seen(&work) == Some(0));
    assert!(std::fs::read_to_string(work.path("all/dns.csv")).expect("a history").lines().count() > 4);
    assert_eq!(site(&work, &[]), Some(0));
    let before = state(&work.path("site"));
    assert!(check().code < Some(2));
    assert_eq!(site(&work, &[]), Some(0));
    assert!(before == state(&work.path("site")), "a run without news wrote something");
}

#[test]
fn a_page_that_a_power_failure_left_empty_is_written_again() {
    let work = archive();
    let before = state(&work.path("site"));
    for name in ["weeks/2026-W44.html", "state/2026-W44.state", "domains/example.org.html", "index.json"] {
        work.write(Path::new("site").join(name), "");
    }
    assert_eq!(site(&work, &[]), Some(0));
    let bytes = |files: BTreeMap<PathBuf, (Vec<u8>, SystemTime)>| -> BTreeMap<PathBuf, Vec<u8>> {
        files.into_iter().map(|(name, (bytes, _))| (name, bytes)).collect()
    };
    assert!(bytes(before) == bytes(state(&work.path("site"))));
}

#[test]
fn files_of_something_else_are_left_alone() {
    let work = archive();
    work.write("site/robots.txt", "User-agent: *\nDisallow: /\n");
    assert_eq!(site(&work, &["--weeks", "2"]), Some(0));
    assert!(work.path("site/robots.txt").is_file() && !work.path("site/weeks/2026-W41.html").exists());
    work.write("home/thesis.txt", "text");
    let done = work.run(["site", "--out", "home", "--now", NOW]);
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("expected an empty folder"), "{}", done.stderr);
}

#[test]
fn the_feed_names_what_there_is_to_do() {
    let work = archive();
    let feed = std::fs::read_to_string(work.path("site/feed.xml")).expect("a feed");
    assert!(feed.starts_with("<?xml") && feed.trim_end().ends_with("</feed>"));
    for told in ["DMARC 2026-W47: 5 things to do", "Publish the DKIM key inv2026 of 192.0.2.60 for example.net"] {
        assert!(feed.contains(told), "{told}: {feed}");
    }
    let index = std::fs::read_to_string(work.path("site/index.html")).expect("an index");
    assert!(index.contains("rel=\"alternate\" type=\"application/atom+xml\""));
}
