//! `fetch` and `config check` against a real Dovecot: exit codes, and what cron would mail.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail like the tests")]

use crate::dns_servers::Scripted;
use crate::imap_dovecot::Dovecot;
use crate::workdir::{WorkDir, samples};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Settings for a mailbox on this server, with additional lines.
pub(crate) fn settings(dir: &WorkDir, dovecot: &Dovecot, more: &str) {
    let password = dir.write("password", "correct horse\n");
    std::fs::set_permissions(password, std::fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "[[mailbox]]\nname = \"reports\"\nhost = \"localhost\"\nport = {}\nca_file = \"{}\"\nuser = \"reports@example.com\"\n\
         password_file = \"password\"\n{more}\n",
        dovecot.imaps,
        dovecot.folder.join("ca.pem").display(),
    );
    dir.write("config.toml", text);
}

pub(crate) fn report(number: u32) -> Vec<u8> {
    let xml = format!(
        "<feedback><report_metadata><org_name>Reporter</org_name><email>a@reporter.example</email>\
         <report_id>r{number}</report_id><date_range><begin>1795392000</begin><end>1795478399</end></date_range>\
         </report_metadata><policy_published><domain>example.com</domain><p>none</p></policy_published><record><row>\
         <source_ip>192.0.2.{number}</source_ip><count>2</count><policy_evaluated><disposition>none</disposition>\
         <dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from>\
         </identifiers><auth_results/></record></feedback>"
    );
    format!("From: a@reporter.example\r\nSubject: Report {number}\r\nContent-Type: text/xml\r\n\r\n{xml}\r\n")
        .into_bytes()
}

fn deliver_all(dovecot: &Dovecot) {
    for number in 1..=5 {
        dovecot.deliver("INBOX", &format!("r{number}"), &report(number));
    }
    let broken = b"Subject: broken\r\nContent-Type: application/gzip; name=\"broken.xml.gz\"\r\n\
                   Content-Transfer-Encoding: base64\r\n\r\nH4sIAAAAAAAAA2Zm\r\n";
    dovecot.deliver("INBOX", "broken", broken);
    dovecot.deliver("INBOX", "other", b"Subject: lunch?\r\n\r\nat noon\r\n");
}

fn mails(dovecot: &Dovecot, folder: &str) -> usize {
    let folder = dovecot.maildir(folder);
    ["new", "cur"].iter().filter_map(|part| std::fs::read_dir(folder.join(part)).ok()).map(Iterator::count).sum()
}

fn fetch(dir: &WorkDir) -> crate::workdir::Done {
    dir.run(["fetch", "--config", "config.toml"])
}

#[test]
fn cron_reports_unreadable_items_once_and_nothing_else() {
    let Some(dovecot) = Dovecot::start(&[]) else { return };
    let dir = WorkDir::new();
    settings(&dir, &dovecot, "after = \"move\"\nmove_to = \"DMARC/done\"\nrejected_to = \"DMARC/unreadable\"");
    deliver_all(&dovecot);
    let first = fetch(&dir);
    assert_eq!((first.code, first.stdout.as_str()), (Some(1), ""), "{first:?}");
    assert!(first.stderr.starts_with("error: reports > INBOX > uid "), "{first:?}");
    assert!(first.stderr.contains("broken.xml.gz"), "{first:?}");
    let counts = ["INBOX", "DMARC/done", "DMARC/unreadable"].map(|folder| mails(&dovecot, folder));
    assert_eq!(counts, [1, 5, 1]);
    fetch(&dir).quiet();
    dovecot.deliver("INBOX", "r6", &report(6));
    fetch(&dir).quiet();
    assert_eq!(mails(&dovecot, "DMARC/done"), 6);
}

#[test]
fn config_check_and_dry_run_say_what_would_be_done_and_do_nothing() {
    let Some(dovecot) = Dovecot::start(&[]) else { return };
    let dir = WorkDir::new();
    settings(&dir, &dovecot, "after = \"move\"\nmove_to = \"DMARC/done\"");
    deliver_all(&dovecot);
    for words in [&["config", "check"][..], &["fetch", "--dry-run", "--limit", "3"]] {
        let told = dir.run(words.iter().chain(&["--config", "config.toml"])).quiet();
        let new = if words[0] == "config" { 7 } else { 3 };
        assert!(told.contains(&format!("  INBOX: 7 mails, {new} to fetch (")), "{told}");
        assert!(told.contains("DMARC/done: does not exist yet; fetch will create it"), "{told}");
    }
    assert!(!dir.path("store").exists());
    assert!(!dovecot.said().contains("SELECT") && !dovecot.said().contains("CREATE"), "{}", dovecot.said());
}

#[test]
fn a_wrong_password_is_an_error_with_a_hint_and_without_the_password() {
    let Some(dovecot) = Dovecot::start(&[]) else { return };
    let dir = WorkDir::new();
    settings(&dir, &dovecot, "");
    dir.write("password", "hunter2hunter2\n");
    let done = dir.run(["fetch", "--config", "config.toml", "-vv"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.stderr.contains("error: mailbox reports: login as reports@example.com is refused"), "{done:?}");
    assert!(done.stderr.contains("hint: ") && !done.stderr.contains("hunter2"), "{done:?}");
}

#[test]
fn an_unreachable_mailbox_does_not_delay_the_other() {
    let Some(dovecot) = Dovecot::start(&[]) else { return };
    let dir = WorkDir::new();
    let other = "[[mailbox]]\nname = \"gone\"\nhost = \"127.0.0.1\"\nport = 9\nsecurity = \"none\"\nuser = \"u\"\npassword_file = \"nowhere\"";
    settings(&dir, &dovecot, other);
    dovecot.deliver("INBOX", "1", &report(1));
    let done = dir.run(["fetch", "--config", "config.toml", "--format", "json"]);
    assert_eq!((done.code, done.json()["stored"]["reports"].as_u64()), (Some(2), Some(1)), "{done:?}");
    assert!(done.stderr.contains("mailbox gone: connecting to 127.0.0.1 port 9"), "{done:?}");
    dir.run(["fetch", "--config", "config.toml", "--mailbox", "reports"]).quiet();
}

#[test]
fn a_second_run_names_the_first_or_exits_quietly() {
    let Some(dovecot) = Dovecot::start(&[]) else { return };
    let dir = WorkDir::new();
    settings(&dir, &dovecot, "");
    let now = "2026-11-25T12:00:00Z".parse().unwrap();
    let holder = dmarquet::store::Writer::open(&dir.path("store"), now).unwrap();
    let done = fetch(&dir);
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(done.stderr.contains(&std::process::id().to_string()), "{done:?}");
    dir.run(["fetch", "--config", "config.toml", "--if-idle"]).quiet();
    drop(holder);
    fetch(&dir).quiet();
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn end(mut child: Child) -> Duration {
    let begin = Instant::now();
    let killed = std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    begin.elapsed()
}

#[test]
fn watch_stores_arriving_mails_and_ends_soon_after_sigterm() {
    let Some(dovecot) = Dovecot::start(&[]) else { return };
    let dir = WorkDir::new();
    settings(&dir, &dovecot, "after = \"delete\"");
    dovecot.deliver("INBOX", "1", &report(1));
    let mut command = dir.command(["fetch", "--config", "config.toml", "--watch"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_until("the first mail is taken in", || mails(&dovecot, "INBOX") == 0);
    dovecot.deliver("INBOX", "2", &report(2));
    wait_until("the second mail is taken in", || mails(&dovecot, "INBOX") == 0);
    assert!(end(child) < Duration::from_secs(5));
}

#[test]
fn a_run_that_is_killed_anywhere_is_finished_by_the_next() {
    let Some(dovecot) = Dovecot::start(&[]) else { return };
    let dir = WorkDir::new();
    settings(&dir, &dovecot, "after = \"move\"\nmove_to = \"DMARC/done\"");
    for number in 1..=200 {
        dovecot.deliver("INBOX", &format!("r{number}"), &report(number));
    }
    for pause in [5, 20, 40, 60, 80, 120] {
        let mut command = dir.command(["fetch", "--config", "config.toml"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(pause));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let rest = dir.run(["fetch", "--config", "config.toml", "--format", "json"]);
    assert_eq!(rest.code, Some(0), "{rest:?}");
    assert_eq!((mails(&dovecot, "INBOX"), mails(&dovecot, "DMARC/done")), (0, 200));
    let store = dmarquet::store::Store::open(&dir.path("store")).unwrap();
    let mut heads = 0;
    store.heads(&dmarquet::store::Filter::default(), &mut |_| heads += 1).unwrap();
    assert_eq!(heads, 200);
}

#[test]
fn the_set_up_pages_are_there_for_every_usual_server() {
    for page in ["gmail", "gmail-oauth2", "microsoft365", "fastmail", "dovecot"] {
        assert!(Path::new(&samples().join("config").join(format!("{page}.toml"))).exists(), "{page}");
    }
}

#[test]
fn fetch_enrich_looks_up_names_and_its_errors_lose_no_report() {
    let Some(dovecot) = Dovecot::start(&[]) else { return };
    let dir = WorkDir::new();
    settings(&dir, &dovecot, "");
    let text = std::fs::read_to_string(dir.path("config.toml")).unwrap();
    dir.write("config.toml", format!("geoip = \"missing.mmdb\"\n{text}"));
    let now = jiff::Timestamp::now().as_second();
    let recent = |number: u32| {
        let text = String::from_utf8(report(number)).unwrap();
        text.replace("1795392000", &(now - 172_800).to_string()).replace("1795478399", &(now - 86_401).to_string())
    };
    dovecot.deliver("INBOX", "r1", recent(1).as_bytes());
    dovecot.deliver("INBOX", "r2", recent(2).as_bytes());
    let server = Scripted::start(
        "192.0.2.1 PTR mx1.example.net\nmx1.example.net A 192.0.2.1\n2.2.0.192.in-addr.arpa SERVFAIL\n",
    );
    let address = server.address.to_string();
    let run = |more: &[&str]| dir.run(["fetch", "--config", "config.toml"].iter().chain(more));
    let done = run(&["--enrich", "--server", &address, "--format", "json"]);
    assert_eq!(done.code, Some(0), "{done:?}");
    assert_eq!(done.json()["stored"]["reports"], 2);
    assert!(done.stderr.starts_with("warning: geoip: ") && done.stderr.contains("missing.mmdb"), "{done:?}");
    let shown = dir.run(["summary", "--last", "7d", "--explain", "192.0.2.1"]).quiet();
    assert!(shown.starts_with("192.0.2.1 (mx1.example.net, confirmed), "), "{shown}");
    let asked = server.names.lock().unwrap().len();
    assert!(asked >= 3, "{asked}");

    dir.write("config.toml", &text);
    dovecot.deliver("INBOX", "r3", recent(3).as_bytes());
    run(&[]).quiet();
    assert_eq!(server.names.lock().unwrap().len(), asked, "only when asked");
    let again = run(&["--enrich", "--server", &address, "--verbose"]);
    assert!(again.stderr.contains("1 source looked up: 0 with a confirmed name"), "{again:?}");
    assert!(again.stderr.contains("2 already known"), "a failure holds for an hour too: {again:?}");
    // Names of senders that cannot be read cost the names, and nothing after them.
    dir.write("config.toml", format!("senders = \"no-such-file\"\n{text}"));
    let again = run(&["--enrich", "--server", &address, "--format", "json"]);
    assert!(again.code == Some(0) && again.stderr.starts_with("warning: senders: "), "{again:?}");
    assert_eq!(again.json()["items"], 0, "{again:?}");
}

#[test]
fn fetch_verifies_the_signatures_of_the_mails_when_asked() {
    let Some(dovecot) = Dovecot::start(&[]) else { return };
    let dir = WorkDir::new();
    settings(&dir, &dovecot, "");
    let (key, record) = crate::ingest::verified::key("reporter.example");
    let text = String::from_utf8(report(1)).unwrap();
    dovecot.deliver("INBOX", "r1", crate::ingest::verified::signed(&text, key, "reporter.example").as_bytes());
    dovecot.deliver("INBOX", "r2", &report(2));
    let server = Scripted::start(&record);
    let done = dir.run(["fetch", "--config", "config.toml", "--verify", "--server", &server.address.to_string()]);
    done.quiet();
    assert_eq!(crate::ingest::verified::judged(&dir), ["r1: pass", "r2: none"]);
    assert_eq!(server.names.lock().unwrap().as_slice(), ["s1._domainkey.reporter.example"]);
}
