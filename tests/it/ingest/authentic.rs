//! Authenticity of report mails: whom the settings trust, what is forged, and whose domains the reports are about.

use crate::dns_servers::Scripted;
use crate::workdir::WorkDir;

/// A mail with a report of 7 messages about a domain, with an `Authentication-Results` field.
fn mail(work: &WorkDir, name: &str, results: &str, domain: &str) {
    let text = format!(
        "Authentication-Results: {results}\r\nFrom: reporter@example.net\r\nSubject: Report domain: {domain}\r\n\
         Content-Type: text/xml; name=\"{name}.xml\"\r\n\r\n\
         <feedback><report_metadata><org_name>example.net</org_name><email>reporter@example.net</email>\
         <report_id>{name}</report_id><date_range><begin>1794873600</begin><end>1794959999</end></date_range>\
         </report_metadata><policy_published><domain>{domain}</domain><p>none</p></policy_published><record><row>\
         <source_ip>192.0.2.7</source_ip><count>7</count><policy_evaluated><disposition>none</disposition>\
         <dkim>fail</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>{domain}</header_from>\
         </identifiers><auth_results><spf><domain>{domain}</domain><result>fail</result></spf></auth_results></record></feedback>\r\n"
    );
    work.write(format!("mails/{name}.eml"), text);
}

fn with_mails(settings: &str) -> WorkDir {
    let work = WorkDir::new();
    work.write("home/.config/dmarquet/config.toml", settings);
    mail(&work, "good", "mx.example.com; dmarc=pass header.from=example.net", "example.com");
    mail(&work, "bad", "mx.example.com; dmarc=fail", "example.com");
    mail(&work, "absent", "mx.example.com; dmarc=none", "news.example.com");
    mail(&work, "claimed", "evil.example; dmarc=pass", "example.org");
    work
}

/// `report_id: sender_auth`, by report.
fn judged(work: &WorkDir) -> Vec<String> {
    let rows = work.run(["export", "--format", "ndjson"]).quiet();
    let mut found: Vec<String> = rows
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|row| format!("{}: {}", row["report_id"].as_str().unwrap(), row["sender_auth"].as_str().unwrap()))
        .collect();
    found.sort();
    found
}

fn summary(work: &WorkDir, more: &[&str]) -> serde_json::Value {
    let args = ["summary", "--format", "json", "--from", "2026-11-16", "--to", "2026-11-22"];
    work.run(args.iter().chain(more)).json()
}

#[test]
fn only_the_pass_of_a_trusted_server_counts() {
    let work = with_mails("trusted_authserv_id = \"mx.example.com\"\n");
    assert_eq!(work.run(["ingest", "mails", "--format", "json"]).json()["stored"]["reports"], 4);
    let trusted = ["absent: none", "bad: fail", "claimed: unknown", "good: pass"];
    assert_eq!(judged(&work), trusted);
    work.write("home/.config/dmarquet/config.toml", "");
    assert_eq!(work.run(["rebuild"]).code, Some(0));
    assert_eq!(judged(&work), trusted, "what was found out stays");
}

#[test]
fn without_settings_only_a_fail_counts_and_a_rebuild_applies_new_trust() {
    let work = with_mails("");
    work.run(["ingest", "mails"]);
    assert_eq!(judged(&work), ["absent: unknown", "bad: fail", "claimed: unknown", "good: unknown"]);
    work.write("home/.config/dmarquet/config.toml", "trusted_authserv_id = [\"mx.example.com\"]\n");
    assert_eq!(work.run(["rebuild"]).code, Some(0));
    assert_eq!(judged(&work), ["absent: none", "bad: fail", "claimed: unknown", "good: pass"]);
}

#[test]
fn forged_reports_are_left_out_on_request_and_always_counted_in_the_data_quality() {
    let work = with_mails("");
    work.run(["ingest", "mails"]);
    for (more, messages, left_out) in [(&[][..], 28, false), (&["--authentic"][..], 21, true)] {
        let summary = summary(&work, more);
        assert_eq!(summary["totals"]["messages"], messages);
        let quality = &summary["quality"];
        assert_eq!((&quality["unproven_reports"], &quality["unproven_messages"]), (&1.into(), &7.into()), "{quality}");
        assert_eq!(quality["unproven_left_out"], left_out);
    }
    let straight = summary(&work, &["--authentic", "mails"]);
    assert_eq!(straight["totals"]["messages"], 21, "straight of files too");
    let explained = work.run(["summary", "mails", "--authentic", "--explain", "192.0.2.7", "--format", "json"]).json();
    assert_eq!(explained["sources"][0]["messages"], 21);
}

#[test]
fn reports_about_other_domains_are_stored_and_marked() {
    let work = with_mails("domains = [\"Example.com\"]\n");
    let tally = work.run(["ingest", "mails", "--format", "json"]).json();
    assert_eq!(tally["stored"]["reports"], 4);
    let foreign: Vec<&serde_json::Value> =
        tally["findings"].as_array().unwrap().iter().filter(|found| found["code"] == "domain.foreign").collect();
    assert_eq!(foreign.len(), 1, "{tally}");
    assert!(foreign[0]["detail"].as_str().unwrap().contains("example.org"));
    assert_eq!(summary(&work, &[])["quality"]["foreign_reports"], 1);
    let text = work.run(["summary", "--from", "2026-11-16", "--to", "2026-11-22"]).quiet();
    assert!(text.contains("1 report is about domains that the settings do not name as yours."), "{text}");
}

#[test]
fn a_check_ignores_forged_reports() {
    let work = with_mails("trusted_authserv_id = \"mx.example.com\"\n");
    work.run(["ingest", "mails"]);
    let server = Scripted::start(
        "example.com TXT v=spf1 ip4:192.0.2.7 -all\n192.0.2.7 PTR mx.example.com\nmx.example.com A 192.0.2.7",
    );
    let address = server.address.to_string();
    let args = ["check", "example.com", "--server", &address, "--now", "2026-11-25T06:00:00Z", "--format", "json"];
    let sources = work.run(args).json()["sources"].clone();
    assert_eq!(
        (sources[0]["address"].as_str(), sources[0]["messages"].as_u64()),
        (Some("192.0.2.7"), Some(7)),
        "{sources}"
    );
}
