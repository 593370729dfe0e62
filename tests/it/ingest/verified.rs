//! `--verify`: verifies the signatures of report mails against keys on loopback during ingest.

use crate::dns_servers::Scripted;
use crate::workdir::WorkDir;
use base64::Engine as _;
use mail_auth::common::crypto::Ed25519Key;
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::DkimSigner;
use std::time::{Duration, Instant};

/// A key, and the line of the zone that publishes it at `s1._domainkey.DOMAIN`.
pub(crate) fn key(domain: &str) -> (Ed25519Key, String) {
    let key = Ed25519Key::from_pkcs8_der(&Ed25519Key::generate_pkcs8().unwrap()).unwrap();
    let p = base64::engine::general_purpose::STANDARD.encode(key.public_key());
    (key, format!("s1._domainkey.{domain} TXT v=DKIM1; k=ed25519; p={p}\n"))
}

/// A mail from `reporter@FROM` with a report of 7 messages whose organization is `org`.
fn mail(id: &str, from: &str, org: &str) -> String {
    format!(
        "From: Reports <reporter@{from}>\r\nTo: dmarc@example.com\r\nSubject: Report domain: example.com\r\n\
         Content-Type: text/xml; name=\"{id}.xml\"\r\n\r\n\
         <feedback><report_metadata><org_name>{org}</org_name><email>reporter@{org}</email>\r\n\
         <report_id>{id}</report_id><date_range><begin>1794873600</begin><end>1794959999</end></date_range>\r\n\
         </report_metadata><policy_published><domain>example.com</domain><p>none</p></policy_published><record><row>\
         <source_ip>192.0.2.7</source_ip><count>7</count><policy_evaluated><disposition>none</disposition>\
         <dkim>fail</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from>\
         </identifiers><auth_results><spf><domain>example.com</domain><result>fail</result></spf></auth_results></record></feedback>\r\n"
    )
}

/// The mail, signed by a domain.
pub(crate) fn signed(mail: &str, key: Ed25519Key, domain: &str) -> String {
    let fields = ["From", "To", "Subject", "Content-Type"];
    let signer = DkimSigner::from_key(key).domain(domain).selector("s1").headers(fields);
    signer.sign(mail.as_bytes()).unwrap().to_header() + mail
}

/// `report_id: sender_auth`, by report.
pub(crate) fn judged(work: &WorkDir) -> Vec<String> {
    let rows = work.run(["export", "--format", "ndjson"]).quiet();
    let row = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let mut found: Vec<String> = rows
        .lines()
        .map(row)
        .map(|row| format!("{}: {}", row["report_id"].as_str().unwrap(), row["sender_auth"].as_str().unwrap()))
        .collect();
    found.sort();
    found
}

/// Mails of every kind, and the zone with their keys.
fn with_mails() -> (WorkDir, String) {
    let work = WorkDir::new();
    let mut zone =
        String::from("broken.example SERVFAIL\ns1._domainkey.broken.example SERVFAIL\nexample A 192.0.2.1\n");
    let mut put = |id: &str, text: String, published: Option<String>| {
        work.write(format!("mails/{id}.eml"), text);
        zone += &published.unwrap_or_default();
    };
    let plain = |id: &str, domain: &str| {
        let (key, record) = key(domain);
        (signed(&mail(id, domain, domain), key, domain), record)
    };
    let (good, record) = plain("good", "good.example");
    put("good", good, Some(record));
    let (subdomain, record) = key("below.example");
    put(
        "below",
        signed(&mail("below", "dmarc.below.example", "below.example"), subdomain, "below.example"),
        Some(record),
    );
    let (tampered, record) = plain("tampered", "tampered.example");
    put("tampered", tampered.replace("<count>7</count>", "<count>8</count>"), Some(record));
    let (gone, _) = plain("gone", "gone.example");
    put("gone", gone, None);
    let (broken, _) = plain("broken", "broken.example");
    put("broken", broken, None);
    put("unsigned", mail("unsigned", "unsigned.example", "unsigned.example"), None);
    let (other, record) = key("evil.example");
    put("claimed", signed(&mail("claimed", "evil.example", "good.example"), other, "evil.example"), Some(record));
    let (other, record) = key("relay.example");
    put("relayed", signed(&mail("relayed", "quiet.example", "quiet.example"), other, "relay.example"), Some(record));
    work.write("mails/bare.xml", mail("bare", "x", "bare.example").split_once("\r\n\r\n").unwrap().1);
    (work, zone)
}

const KINDS: [&str; 9] = [
    "bare: unknown",
    "below: pass",
    "broken: unknown",
    "claimed: none",
    "gone: unknown",
    "good: pass",
    "relayed: none",
    "tampered: fail",
    "unsigned: none",
];

#[test]
fn a_verified_signature_of_the_reporter_is_a_pass_and_a_broken_one_a_fail() {
    let (work, zone) = with_mails();
    let server = Scripted::start(&zone);
    let address = server.address.to_string();
    let done = work.run(["ingest", "mails", "--verify", "--server", &address, "--format", "json"]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:#?}");
    let tally = done.json();
    assert_eq!((&tally["stored"]["reports"], &tally["stored"]["messages"]), (&9.into(), &64.into()));
    let found = |code: &str| {
        let findings = tally["findings"].as_array().unwrap().iter();
        findings
            .filter(|found| found["code"] == code)
            .map(|found| found["detail"].as_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        found("mail.other_sender"),
        ["expected \"good.example\" (\"reporter@good.example\"), found evil.example"]
    );
    assert_eq!(found("mail.unauthenticated").len(), 1, "{tally}");
    assert!(found("mail.unauthenticated")[0].starts_with("signature of tampered.example, selector s1: "), "{tally}");
    assert_eq!(judged(&work), KINDS);
    let asked = server.names.lock().unwrap().clone();
    assert!(!asked.iter().any(|name| name.contains("relay.example")), "{asked:?}");

    // The mails are gone by then: what was found out stays, findings and all.
    let findings = |work: &WorkDir| {
        work.run(["export", "--out", "lake"]).quiet();
        std::fs::read(work.path("lake/reports/month=2026-11/reports.parquet")).ok().map(|bytes| {
            let held = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            (held("mail.other_sender"), held("selector s1"))
        })
    };
    let before = findings(&work);
    assert_eq!(work.run(["rebuild"]).code, Some(0));
    assert_eq!((judged(&work), findings(&work)), (KINDS.map(str::to_owned).to_vec(), before));
    assert_eq!(server.names.lock().unwrap().len(), asked.len(), "a rebuild asks nobody");

    let sum = |more: &[&str]| {
        let args = ["summary", "--from", "2026-11-16", "--to", "2026-11-22", "--format", "json"];
        work.run(args.iter().chain(more)).json()["totals"]["messages"].clone()
    };
    assert_eq!((sum(&[]), sum(&["--authentic"])), (64.into(), 56.into()));
}

/// A mail with another attached.
fn forwarded(mail: &str) -> String {
    format!(
        "From: Someone <someone@forwarder.example>\r\nSubject: Fwd\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n\
         --b\r\nContent-Type: message/rfc822\r\n\r\n{mail}\r\n--b--\r\n"
    )
}

#[test]
fn a_pass_needs_the_reporters_domain_and_a_signature_on_everything_read() {
    let work = WorkDir::new();
    let mut zone = String::from("example A 192.0.2.1\ncom A 192.0.2.1\nru A 192.0.2.1\n");
    let fields = ["From", "To", "Subject", "Content-Type"];
    let mut put = |id: &str, domain: &str, org: &str, fields: &[&str], change: &dyn Fn(String) -> String| {
        let (key, record) = key(domain);
        zone += &record;
        let text = mail(id, domain, org);
        let signer = DkimSigner::from_key(key).domain(domain).selector("s1").headers(fields.iter().copied());
        let signed = signer.sign(text.as_bytes()).unwrap().to_header() + &text;
        work.write(format!("mails/{id}.eml"), change(signed));
    };
    let same = |text: String| text;
    put("all", "all.example", "all.example", &fields, &same);
    put("untyped", "untyped.example", "untyped.example", &fields[..3], &same);
    put("twice", "twice.example", "twice.example", &fields, &|text| format!("Content-Type: text/xml\r\n{text}"));
    put("inside", "inside.example", "inside.example", &fields, &|text| forwarded(&text));
    put("mailbox", "gmail.com", "gmail.com", &fields, &same);
    // The wrapper is signed, by the reporter even: the report in it is not the wrapper's word.
    let (key, record) = key("wrapper.example");
    zone += &record;
    let wrapped = forwarded(&mail("wrapped", "wrapper.example", "wrapper.example")).replace("forwarder", "wrapper");
    work.write("mails/wrapped.eml", signed(&wrapped, key, "wrapper.example"));
    let server = Scripted::start(&zone);
    let done = work.run(["ingest", "mails", "--verify", "--server", &server.address.to_string(), "--format", "json"]);
    let expected = ["all: pass", "inside: pass", "mailbox: none", "twice: none", "untyped: none", "wrapped: none"];
    assert_eq!(judged(&work), expected, "{done:#?}");
    let tally = done.json();
    let why = |id: &str| {
        let mut findings = tally["findings"].as_array().unwrap().iter();
        let found = findings.find(|found| found["origin"].as_str().unwrap().contains(id)).unwrap();
        format!("{}: {}", found["code"].as_str().unwrap(), found["detail"].as_str().unwrap())
    };
    for (id, part) in [
        ("untyped", "mail.unproven: signature of untyped.example, selector s1: it does not cover Content-Type"),
        ("twice", "the mail has 2 fields Content-Type, expected 1"),
        ("mailbox", "mail.other_sender: anybody can get a mailbox at gmail.com"),
        ("wrapped", "mail.unproven: no DKIM signature of wrapper.example"),
    ] {
        assert!(why(id).contains(part), "{}", why(id));
    }
    assert_eq!(work.run(["rebuild"]).code, Some(0));
    assert_eq!(judged(&work), expected);
}

#[test]
fn dns_is_queried_only_with_verify_on_the_command_line_or_in_the_settings() {
    let (work, zone) = with_mails();
    let server = Scripted::start(&zone);
    let address = server.address.to_string();
    let mut command = work.command(["ingest", "mails"]);
    assert!(command.env("DMARQUET_SERVER", &address).output().unwrap().status.success());
    assert!(judged(&work).iter().all(|line| line.ends_with(": unknown")), "{:?}", judged(&work));
    assert!(server.names.lock().unwrap().is_empty());

    let again = WorkDir::new();
    again.write("home/.config/dmarquet/config.toml", "verify = true\n");
    let mails = work.path("mails");
    assert_eq!(again.run(["ingest", mails.to_str().unwrap(), "--server", &address]).code, Some(0));
    assert_eq!(judged(&again), KINDS);
    again.write("home/.config/dmarquet/config.toml", "verify = 1\n");
    let done = again.run(["status"]);
    assert!(done.stderr.contains("verify: expected true or false, found the number 1"), "{done:#?}");
}

#[test]
fn a_trusted_server_outweighs_a_signature() {
    let (work, zone) = with_mails();
    work.write("home/.config/dmarquet/config.toml", "trusted_authserv_id = \"mx.example.com\"\nverify = true\n");
    for (id, word) in [("good", "fail"), ("tampered", "pass"), ("below", "none")] {
        let path = work.path(format!("mails/{id}.eml"));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, format!("Authentication-Results: mx.example.com; dmarc={word}\r\n{text}")).unwrap();
    }
    let server = Scripted::start(&zone);
    let address = server.address.to_string();
    assert_eq!(work.run(["ingest", "mails", "--server", &address]).code, Some(0));
    let expected = KINDS.map(|line| match line {
        "good: pass" => "good: fail",
        "tampered: fail" => "tampered: pass",
        other => other,
    });
    assert_eq!(judged(&work), expected, "none settles nothing");
    assert_eq!(work.run(["rebuild"]).code, Some(0));
    assert_eq!(judged(&work), expected);
}

#[test]
fn without_dns_every_report_is_stored_and_the_run_ends_soon() {
    let work = WorkDir::new();
    let mut zone = String::from("example A 192.0.2.1\n");
    for number in 0..60 {
        let domain = format!("d{number}.example");
        let (key, _) = key(&domain);
        work.write(format!("mails/{number}.eml"), signed(&mail(&number.to_string(), &domain, &domain), key, &domain));
        zone += &format!("s1._domainkey.{domain} TIMEOUT\n");
    }
    let server = Scripted::start(&zone);
    let begun = Instant::now();
    let done = work.run(["ingest", "mails", "--verify", "--server", &server.address.to_string(), "--format", "json"]);
    assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", begun.elapsed());
    assert_eq!(done.code, Some(0), "{done:#?}");
    assert!(done.stderr.contains("60 DKIM keys could not be looked up"), "{}", done.stderr);
    assert_eq!(done.json()["stored"]["reports"], 60);
    assert!(judged(&work).iter().all(|line| line.ends_with(": unknown")));
    assert!(server.names.lock().unwrap().len() < 60, "it was given up before");
}

#[test]
fn a_key_is_looked_up_once_a_run_however_many_mails_it_signs() {
    let work = WorkDir::new();
    let (key, record) = key("many.example");
    let mut mailbox = String::new();
    let signer = DkimSigner::from_key(key).domain("many.example").selector("s1");
    let signer = signer.headers(["From", "Subject", "Content-Type"]);
    for number in 0..200 {
        let text = mail(&number.to_string(), "many.example", "many.example");
        let sealed = signer.sign(text.as_bytes()).unwrap().to_header() + &text;
        mailbox += &format!("From reporter@many.example Mon Nov 16 00:00:00 2026\n{}\n", sealed.replace("\r\n", "\n"));
    }
    work.write("reports.mbox", mailbox);
    let server = Scripted::start(&record);
    let done = work.run(["ingest", "reports.mbox", "--verify", "--server", &server.address.to_string()]);
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{done:#?}");
    let found = judged(&work);
    assert!(found.len() == 200 && found.iter().all(|line| line.ends_with(": pass")), "{found:?}");
    assert_eq!(server.names.lock().unwrap().as_slice(), ["s1._domainkey.many.example"]);
}
