//! `alert` as a cron job and an administrator use it: events of the program itself, the list, every channel, and kills.

use crate::smtp::{Secured, SmtpServer};
use crate::workdir::{Done, WorkDir};
use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{Timestamp, ToSpan as _};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const CONFIG: &str = "home/.config/dmarquet/config.toml";
const FIRST: &str = "2026-06-01";

fn day(number: i64) -> Date {
    FIRST.parse::<Date>().unwrap() + number.days()
}

/// One reporter's rows for a day: source, messages, DKIM selector, DKIM result, SPF result.
fn report(reporter: &str, day: Date, rows: &[(&str, u64, &str, &str, &str)]) -> String {
    let begin = Offset::UTC.to_timestamp(day.at(0, 0, 0, 0)).unwrap().as_second();
    let rows: Vec<String> = rows
        .iter()
        .map(|(source, count, selector, dkim, spf)| {
            let word = |result: &str| if result == "pass" { "pass" } else { "fail" };
            format!(
                "<record><row><source_ip>{source}</source_ip><count>{count}</count><policy_evaluated><disposition>none</disposition>\
                 <dkim>{}</dkim><spf>{}</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from></identifiers>\
                 <auth_results><dkim><domain>example.com</domain><selector>{selector}</selector><result>{dkim}</result></dkim>\
                 <spf><domain>example.com</domain><result>{spf}</result></spf></auth_results></record>",
                word(dkim),
                word(spf),
            )
        })
        .collect();
    let rows = rows.concat();
    format!(
        "<feedback><report_metadata><org_name>{reporter}</org_name><email>dmarc@{reporter}</email><report_id>{reporter}{begin}</report_id>\
         <date_range><begin>{begin}</begin><end>{}</end></date_range></report_metadata><policy_published><domain>example.com</domain>\
         <p>none</p></policy_published>{rows}</feedback>",
        begin + 86_399
    )
}

const REPORTERS: [&str; 2] = ["one.example", "two.example"];

/// A store with the reports of some days.
struct Town {
    work: WorkDir,
}

impl Town {
    /// Forty quiet days.
    fn quiet() -> Self {
        let town = Self { work: WorkDir::new() };
        town.days(0..40, &[("192.0.2.10", 30, "s1", "pass", "pass"), ("192.0.2.20", 60, "s2", "pass", "softfail")]);
        town
    }

    fn days(&self, days: std::ops::Range<i64>, rows: &[(&str, u64, &str, &str, &str)]) {
        for (number, reporter) in days.clone().flat_map(|number| REPORTERS.map(|reporter| (number, reporter))) {
            self.work.write(format!("in{}/{number}{reporter}.xml", days.start), report(reporter, day(number), rows));
        }
        let folder = self.work.path(format!("in{}", days.start));
        assert_eq!(self.work.run(["ingest", folder.to_str().unwrap()]).code, Some(0));
    }

    fn run(&self, number: i64, more: &[&str]) -> Done {
        let now = format!("{}T06:00:00Z", day(number));
        self.work.run(["alert", "--now", &now, "--format", "json"].iter().chain(more))
    }

    fn alert(&self, number: i64, more: &[&str]) -> Vec<Value> {
        let done = self.run(number, more);
        assert!(matches!(done.code, Some(0 | 1)), "{done:#?}");
        done.json()["events"].as_array().expect("events").clone()
    }

    fn kinds(&self, number: i64) -> Vec<String> {
        let told = |event: &Value| format!("{} {}", event["state"].as_str().unwrap(), event["kind"].as_str().unwrap());
        self.alert(number, &[]).iter().map(told).collect()
    }

    /// The key s2 breaks on day 40, and two days of reports show it.
    fn broken() -> Self {
        let town = Self::quiet();
        assert_eq!(town.kinds(40), [""; 0]);
        town.days(40..42, &[("192.0.2.10", 30, "s1", "pass", "pass"), ("192.0.2.20", 60, "s2", "fail", "softfail")]);
        town
    }
}

#[test]
fn a_broken_key_is_reported_once_listed_acknowledged_and_ended() {
    let town = Town::broken();
    let rehearsed = town.alert(42, &["--dry-run"]);
    let told = town.run(42, &["--exit-code"]);
    assert_eq!(told.code, Some(1), "{told:#?}");
    let events = told.json()["events"].as_array().unwrap().clone();
    assert_eq!(events, rehearsed, "the rehearsal is the play");
    let event = &events[0];
    assert_eq!((event["kind"].as_str(), event["severity"].as_str()), (Some("key_broken"), Some("critical")));
    assert_eq!(event["since"], day(40).to_string());
    assert_eq!(event["sources"], serde_json::json!(["192.0.2.20"]));
    assert!(event["text"].as_str().unwrap().contains("selector s2 of example.com"), "{event}");
    assert_eq!(town.kinds(42), [""; 0], "told once");

    let nagios = town.work.run(["alert", "--nagios", "--now", &format!("{}T07:00:00Z", day(42))]);
    assert_eq!(nagios.code, Some(2), "{nagios:#?}");
    assert!(
        nagios.stdout.starts_with("DMARC CRITICAL - DKIM key broken") && nagios.stdout.contains("| critical=1;"),
        "{nagios:#?}"
    );
    assert_eq!(nagios.stdout.lines().count(), 1);

    let id = event["id"].as_str().unwrap();
    town.work.run(["ack", id, "--note", "ticket 9"]);
    let list = town.work.run(["alert", "list"]).quiet();
    assert!(list.contains(id) && list.contains("ticket 9"), "{list}");
    let nagios = town.work.run(["alert", "--nagios", "--now", &format!("{}T07:00:00Z", day(42))]);
    assert_eq!((nagios.code, nagios.stdout.starts_with("DMARC OK")), (Some(0), true), "{nagios:#?}");
    town.work.run(["rebuild"]);
    assert_eq!(town.kinds(42), [""; 0], "a rebuild tells nothing again");

    town.days(42..45, &[("192.0.2.10", 30, "s1", "pass", "pass"), ("192.0.2.20", 60, "s2", "pass", "softfail")]);
    let ended = town.alert(45, &["--exit-code"]);
    assert_eq!((ended[0]["state"].as_str(), ended[0]["id"].as_str()), (Some("resolved"), Some(id)));
    assert_eq!(ended[0]["ended"], day(42).to_string());
    assert!(town.work.run(["alert", "list"]).quiet().starts_with("No open events"));
    assert!(town.work.run(["alert", "list", "--all"]).quiet().contains("resolved"));
}

/// Ten days after the key s2 was replaced by s3, mail with s2 fails from an address.
fn retired_selector(source: &str, spf: &str) -> Vec<String> {
    let town = Town { work: WorkDir::new() };
    let server = ("192.0.2.10", 30, "s1", "pass", "pass");
    town.days(0..30, &[server, ("192.0.2.20", 60, "s2", "pass", "softfail")]);
    town.days(30..40, &[server, ("192.0.2.20", 60, "s3", "pass", "softfail")]);
    assert_eq!(town.kinds(40), [""; 0]);
    town.days(40..42, &[server, ("192.0.2.20", 60, "s3", "pass", "softfail"), (source, 60, "s2", "fail", spf)]);
    town.kinds(42)
}

#[test]
fn mail_forged_with_a_retired_selector_is_no_broken_key() {
    assert_eq!(retired_selector("203.0.113.66", "softfail"), [""; 0]);
    // From the network of the server that used it, or from one whose mail passes, it is.
    assert_eq!(retired_selector("192.0.2.21", "softfail"), ["new key_broken"]);
    assert_eq!(retired_selector("198.51.100.7", "pass"), ["new key_broken", "new sender_new"]);
}

#[test]
fn a_first_run_takes_as_known_what_began_long_ago() {
    let town = Town::quiet();
    town.days(40..55, &[("192.0.2.10", 30, "s1", "pass", "pass"), ("192.0.2.20", 60, "s2", "fail", "softfail")]);
    let first = town.run(55, &[]);
    assert_eq!(first.json()["events"], serde_json::json!([]));
    assert!(first.stderr.contains("1 event that began more than seven days ago is treated as known"), "{first:#?}");
}

#[test]
fn a_pass_rate_that_no_key_and_no_record_explains_is_reported() {
    let town = Town::quiet();
    assert_eq!(town.kinds(40), [""; 0]);
    // Half of what an own server sends is not signed any more, and SPF never passed.
    town.days(
        40..43,
        &[
            ("192.0.2.10", 30, "s1", "pass", "pass"),
            ("192.0.2.20", 30, "s2", "pass", "softfail"),
            ("192.0.2.20", 30, "", "none", "softfail"),
        ],
    );
    assert_eq!(town.kinds(43), ["new pass_rate"]);
    town.days(43..49, &[("192.0.2.10", 30, "s1", "pass", "pass"), ("192.0.2.20", 60, "s2", "pass", "softfail")]);
    assert_eq!(town.kinds(49), ["resolved pass_rate"]);
}

#[test]
fn a_mailbox_is_reported_each_time_it_fails_and_on_a_first_run_however_long_it_has() {
    let settings = "[[mailbox]]\nname = \"reports\"\nhost = \"localhost\"\nuser = \"u\"\npassword_env = \"P\"\n";
    let failing = |town: &Town, since: Option<&str>| {
        let since = since.map(|at| at.parse::<Timestamp>().unwrap().as_millisecond());
        let ledger = rusqlite::Connection::open(town.work.path("store/ledger.sqlite")).unwrap();
        let sql = "INSERT OR REPLACE INTO mailbox_runs VALUES ('reports', 0, ?1, ?2, ?3)";
        ledger.execute(sql, rusqlite::params![since, since.map_or(0, |_| 9), since.map(|_| "refused")]).unwrap();
    };
    let at = |town: &Town, now: &str| -> Vec<(String, String)> {
        let done = town.work.run(["alert", "--now", now, "--format", "json"]);
        let word = |event: &Value, key: &str| event[key].as_str().unwrap().to_owned();
        let events = done.json()["events"].as_array().unwrap().clone();
        events
            .iter()
            .map(|event| (format!("{} {}", word(event, "state"), word(event, "kind")), word(event, "id")))
            .collect()
    };
    let town = Town::quiet();
    town.work.write(CONFIG, settings);
    assert_eq!(at(&town, "2026-07-11T01:00:00Z"), []);
    failing(&town, Some("2026-07-11T02:00:00Z"));
    let first = at(&town, "2026-07-11T04:00:00Z");
    assert_eq!(first[0].0, "new mailbox_failing");
    assert_eq!(at(&town, "2026-07-11T05:00:00Z"), [], "told once");
    failing(&town, None);
    assert_eq!(at(&town, "2026-07-11T06:00:00Z"), [("resolved mailbox_failing".to_owned(), first[0].1.clone())]);
    failing(&town, Some("2026-07-11T07:00:00Z"));
    let again = at(&town, "2026-07-11T09:00:00Z");
    assert_eq!(again[0].0, "new mailbox_failing", "it may last for weeks");
    assert_ne!(again[0].1, first[0].1);
    assert_eq!(at(&town, "2026-07-11T10:00:00Z"), []);

    let town = Town::quiet();
    town.work.write(CONFIG, settings);
    failing(&town, Some("2026-06-20T02:00:00Z"));
    assert_eq!(at(&town, "2026-07-11T01:00:00Z")[0].0, "new mailbox_failing");
}

#[test]
fn rejected_items_and_damaged_files_are_reported() {
    let town = Town::quiet();
    assert_eq!(town.kinds(40), [""; 0]);
    let bad = town.work.write("bad.xml", "<feedback><report_metadata>\u{1b}[31m");
    town.work.run(["ingest", bad.to_str().unwrap()]);
    assert_eq!(town.kinds(40), ["new rejected_new"]);
    assert_eq!(town.kinds(40), [""; 0]);
    let parts = crate::workdir::files_below(&town.work.path("store/records"));
    let part = parts.iter().find(|path| path.extension().is_some_and(|ending| ending == "parquet")).unwrap();
    let kept = std::fs::read(part).unwrap();
    std::fs::remove_file(part).unwrap();
    let told = town.alert(41, &[]);
    assert_eq!(
        (told.len(), told[0]["kind"].as_str(), told[0]["severity"].as_str()),
        (1, Some("store_damaged"), Some("critical"))
    );
    assert_eq!(town.kinds(41), [""; 0]);
    std::fs::write(part, kept).unwrap();
    assert_eq!(town.kinds(42), ["resolved store_damaged"]);
}

/// An HTTP server on loopback that gives scripted answers and records the requests.
#[derive(Clone, Default)]
struct Receiver {
    port: u16,
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Receiver {
    /// `answer` gets the number of the request.
    fn start(answer: impl Fn(usize) -> String + Send + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let receiver = Self { port: listener.local_addr().unwrap().port(), ..Self::default() };
        let heard = Arc::clone(&receiver.heard);
        std::thread::spawn(move || {
            for (number, socket) in listener.incoming().flatten().enumerate() {
                // A client that is killed ends its request.
                if let Some(request) = read(&socket) {
                    heard.lock().unwrap().push(request);
                }
                let _ = (&socket).write_all(answer(number).as_bytes());
            }
        });
        receiver
    }

    fn bodies(&self) -> Vec<String> {
        self.heard.lock().unwrap().iter().map(|(_, body)| body.clone()).collect()
    }
}

/// Head and body of a request.
fn read(socket: &TcpStream) -> Option<(String, String)> {
    socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut lines = BufReader::new(socket);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if lines.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse().ok()))??;
    let mut body = vec![0; length];
    lines.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8_lossy(&body).into_owned()))
}

fn answer(status: &str, more: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{more}Content-Length: 0\r\nConnection: close\r\n\r\n")
}

impl Town {
    fn webhook(&self, port: u16, more: &str) {
        self.work.write("home/.config/dmarquet/url", format!("http://127.0.0.1:{port}/hook-SECRET\n"));
        self.work.write(CONFIG, format!("[[alert.webhook]]\nname = \"ops\"\nurl_file = \"url\"\n{more}"));
    }
}

#[test]
fn no_count_in_a_report_ends_a_run() {
    let most = i64::MAX.unsigned_abs();
    let town = Town { work: WorkDir::new() };
    let mail = |dkim: &'static str| {
        [
            ("192.0.2.10", most, "s1", "pass", "pass"),
            ("192.0.2.20", most, "s2", dkim, "softfail"),
            ("198.51.100.9", most, "", "none", "fail"),
        ]
    };
    town.days(0..40, &mail("pass"));
    town.kinds(40);
    town.days(40..44, &mail("fail"));
    assert!(town.kinds(44).contains(&"new key_broken".to_owned()));
}

#[test]
fn a_webhook_that_fails_is_tried_again_and_reported_once() {
    let town = Town::broken();
    let receiver = Receiver::start(|number| answer(if number < 4 { "503 Busy SECRET" } else { "200 OK" }, ""));
    town.webhook(receiver.port, "");
    let first = town.run(42, &[]);
    assert_eq!(first.code, Some(2), "not told: {first:#?}");
    assert_eq!(first.json()["events"].as_array().map(Vec::len), Some(1), "printed all the same");
    assert!(first.stderr.contains("webhook ops: answered with status 503"), "{first:#?}");
    assert!(!first.stderr.contains("hook-SECRET"), "{first:#?}");
    assert_eq!(receiver.bodies().len(), 3, "three tries in a run");
    // The next tries wait for their time, which the test moves back.
    let later = || {
        let ledger = rusqlite::Connection::open(town.work.path("store/ledger.sqlite")).unwrap();
        ledger.execute("UPDATE outbox SET next = 0", []).unwrap();
    };
    assert_eq!(town.run(42, &[]).code, Some(0), "not due yet");
    assert_eq!(receiver.bodies().len(), 3);
    later();
    assert_eq!(town.run(42, &[]).code, Some(0));
    later();
    town.run(42, &[]);
    let bodies = receiver.bodies();
    assert_eq!(bodies.len(), 5, "told once it was taken");
    let message: Value = serde_json::from_str(&bodies[4]).unwrap();
    assert_eq!((message["schema"].as_u64(), message["events"][0]["kind"].as_str()), (Some(1), Some("key_broken")));
    let keys: std::collections::BTreeSet<String> = receiver
        .heard
        .lock()
        .unwrap()
        .iter()
        .filter_map(|(head, _)| {
            head.lines().find(|line| line.to_lowercase().starts_with("idempotency-key")).map(str::to_owned)
        })
        .collect();
    assert_eq!(keys.len(), 1, "a receiver can tell a repetition: {keys:?}");
}

#[test]
fn a_redirect_is_followed_on_the_same_host_only() {
    let town = Town::broken();
    let elsewhere = Receiver::start(|_| answer("200 OK", ""));
    let away = format!("Location: http://127.0.0.1:{}/x\r\n", elsewhere.port);
    let receiver = Receiver::start(move |number| match number {
        0 => answer("308 Moved", &away),
        1 => answer("307 Moved", "Location: /there\r\n"),
        _ => answer("204 No Content", ""),
    });
    town.webhook(receiver.port, "format = \"slack\"\n");
    let first = town.run(42, &[]);
    assert!(first.code == Some(2) && first.stderr.contains("not followed"), "{first:#?}");
    assert!(elsewhere.bodies().is_empty());
    let ledger = rusqlite::Connection::open(town.work.path("store/ledger.sqlite")).unwrap();
    ledger.execute("UPDATE outbox SET next = 0", []).unwrap();
    drop(ledger);
    let second = town.run(42, &[]);
    assert_eq!(second.code, Some(0), "{second:#?}");
    let (head, body) = receiver.heard.lock().unwrap().last().unwrap().clone();
    assert!(head.starts_with("POST /there "), "{head}");
    let slack: Value = serde_json::from_str(&body).unwrap();
    assert!(slack["text"].as_str().unwrap().contains("DKIM key broken"), "{slack}");
}

#[test]
fn commands_mails_and_templates_are_reported_too() {
    let town = Town::broken();
    let server = SmtpServer::start(Secured::Not, &town.work.path(""));
    let ntfy = Receiver::start(|_| answer("200 OK", ""));
    let own = Receiver::start(|_| answer("200 OK", ""));
    town.work.write("home/.config/dmarquet/ntfy", format!("http://127.0.0.1:{}/topic", ntfy.port));
    town.work.write("home/.config/dmarquet/own", format!("http://localhost:{}/x", own.port));
    let told = town.work.path("told.json");
    town.work.write(
        CONFIG,
        format!(
            "[smtp]\nhost = \"127.0.0.1\"\nport = {}\nsecurity = \"none\"\nfrom = \"dmarc@example.com\"\n\
             [alert]\nmail_to = [\"it@example.com\"]\n\
             [[alert.command]]\nname = \"file\"\nprogram = [\"/bin/sh\", \"-c\", \"cat > '{}'\"]\n\
             [[alert.webhook]]\nname = \"phone\"\nurl_file = \"ntfy\"\nformat = \"ntfy\"\n\
             [[alert.webhook]]\nname = \"own\"\nurl_file = \"own\"\nformat = \"template\"\n\
             template = '{{\"body\": \"{{{{ text }}}}\", \"n\": {{{{ events|length }}}}}}'\n",
            server.port,
            told.display()
        ),
    );
    let done = town.run(42, &[]);
    assert_eq!(done.code, Some(0), "{done:#?}");
    let session = server.session();
    assert!(session.mail.contains("Subject: 1 DMARC alert, 1 critical: example.com"), "{}", session.mail);
    assert!(session.mail.contains("Auto-Submitted: auto-generated"), "{}", session.mail);
    let message: Value = serde_json::from_str(&std::fs::read_to_string(told).unwrap()).unwrap();
    assert_eq!(message, done.json());
    let (head, body) = ntfy.heard.lock().unwrap()[0].clone();
    assert!(
        head.to_lowercase().contains("priority: 5") && body.starts_with("CRITICAL example.com: DKIM key broken"),
        "{head}{body}"
    );
    let made: Value = serde_json::from_str(&own.bodies()[0]).expect("JSON");
    assert_eq!(made["n"], 1);
}

#[test]
fn an_unusable_channel_is_an_error_in_the_settings() {
    let work = WorkDir::new();
    for (text, said) in [
        ("[[alert.webhook]]\nname = \"a\"\n", "url_command: expected one of url_command, url_file or url_env"),
        ("[[alert.webhook]]\nname = \"a\"\nurl_env = \"U\"\nformat = \"template\"\n", "template: expected"),
        (
            "[[alert.webhook]]\nname = \"a\"\nurl_env = \"U\"\nformat = \"template\"\ntemplate = \"{{ x\"\n",
            "expected a template",
        ),
        ("[[alert.webhook]]\nname = \"a\"\nurl = \"https://x.example\"\nurl_env = \"U\"\n", "unknown key"),
        ("[[alert.command]]\nname = \"a\"\n", "program: expected"),
        ("[alert]\nignore = [\"nothing\"]\n", "expected kinds of events"),
    ] {
        work.write(CONFIG, text);
        let done = work.run(["alert"]);
        assert!(done.code == Some(2) && done.stderr.contains(said), "{text}: {done:#?}");
    }
}

/// Runs killed at any moment: nothing is lost, and nothing that was accepted is sent again under another key.
#[test]
fn kills_lose_nothing_and_double_nothing() {
    let receiver = Receiver::start(|_| answer("200 OK", ""));
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let town = Town::broken();
    town.webhook(receiver.port, "");
    let store = std::fs::read(town.work.path("store/ledger.sqlite")).unwrap();
    for round in 0..200 {
        // The same store again: the same events are to be told.
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(town.work.path(format!("store/ledger.sqlite{end}")));
        }
        std::fs::write(town.work.path("store/ledger.sqlite"), &store).unwrap();
        receiver.heard.lock().unwrap().clear();
        let now = format!("{}T06:00:00Z", day(42));
        let run = || town.work.command(["alert", "--now", &now, "--format", "json"]);
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child = run().stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(random >> 47));
        let _ = child.kill();
        let _ = child.wait();
        let after = town.run(42, &[]);
        assert_eq!(after.code, Some(0), "{after:#?}");
        let mut told: BTreeMap<String, usize> = BTreeMap::new();
        for (head, body) in receiver.heard.lock().unwrap().iter() {
            let message: Value = serde_json::from_str(body).unwrap();
            let key = head.lines().find(|line| line.to_lowercase().starts_with("idempotency-key")).unwrap();
            assert_eq!(message["events"].as_array().map(Vec::len), Some(1));
            *told.entry(key.to_owned()).or_default() += 1;
        }
        assert_eq!(told.len(), 1, "round {round}: lost, or told under two keys: {told:?}");
        assert_eq!(town.kinds(42), [""; 0]);
    }
}

#[test]
fn a_mailbox_that_cannot_be_read_is_reported_and_its_end() {
    let town = Town::quiet();
    let now = Timestamp::now();
    town.work.write(
        CONFIG,
        "[[mailbox]]\nname = \"reports\"\nhost = \"127.0.0.1\"\nport = 1\nsecurity = \"none\"\nuser = \"u\"\npassword_env = \"P\"\n",
    );
    let fetch = || town.work.command(["fetch"]).env("P", "x").output().unwrap();
    assert_eq!(fetch().status.code(), Some(2));
    let told = |minutes: i64| {
        let at = (now + minutes.minutes()).to_string();
        let done = town.work.run(["alert", "--now", &at, "--format", "json"]).json();
        let events = done["events"].as_array().unwrap().clone();
        events.into_iter().filter(|event| event["kind"] == "mailbox_failing").collect::<Vec<_>>()
    };
    assert!(told(5).is_empty(), "once is nothing yet");
    let failing = told(70);
    assert_eq!((failing.len(), failing[0]["severity"].as_str()), (1, Some("critical")), "{failing:?}");
    assert!(failing[0]["text"].as_str().unwrap().contains("Mailbox failing: reports"), "{failing:?}");
    assert!(told(80).is_empty(), "told once");
    let ledger = rusqlite::Connection::open(town.work.path("store/ledger.sqlite")).unwrap();
    ledger.execute("UPDATE mailbox_runs SET failing_since = NULL, failures = 0, error = NULL", []).unwrap();
    drop(ledger);
    let ended = told(90);
    assert_eq!((ended.len(), ended[0]["state"].as_str()), (1, Some("resolved")), "{ended:?}");
}

#[test]
fn a_digest_is_nothing_or_one_line_if_all_is_well() {
    let town = Town { work: WorkDir::new() };
    // Both mechanisms pass, the policy is final.
    town.days(0..60, &[("192.0.2.10", 40, "s1", "pass", "pass")]);
    let now = format!("{}T06:00:00Z", day(60));
    let mail = |more: &[&str]| {
        let args = ["summary", "--now", &now, "--mail-to", "it@example.com", "--dry-run"];
        town.work.run(args.iter().chain(more))
    };
    town.work
        .write(CONFIG, "[smtp]\nhost = \"127.0.0.1\"\nport = 1\nsecurity = \"none\"\nfrom = \"dmarc@example.com\"\n");
    // The domain may publish a stricter policy: that is to be told, until it is acknowledged.
    assert!(mail(&["--quiet-if-well"]).stdout.contains("Subject:"));
    let summary = town.work.run(["summary", "--now", &now, "--format", "json"]).json();
    for action in summary["actions"].as_array().unwrap() {
        assert_eq!(action["change"], "publish_policy", "{action}");
        let done = town.work.run(["ack", action["id"].as_str().unwrap(), "--note", "later", "--now", &now]);
        assert_eq!(done.code, Some(0), "{done:#?}");
    }
    let quiet = mail(&["--quiet-if-well"]);
    assert_eq!((quiet.code, quiet.stdout.as_str()), (Some(0), ""), "{quiet:#?}");
    let beat = mail(&["--heartbeat", "--every", "day"]).quiet();
    assert!(beat.contains(": all well") && beat.contains(&format!("All well, {}", day(59))), "{beat}");
    let month = mail(&["--every", "month"]).quiet();
    assert!(month.contains("2026-06-01"), "{month}");
    let none = town.work.run(["summary", "--heartbeat"]);
    assert_eq!(none.code, Some(2), "{none:#?}");
}

#[test]
fn metrics_are_replaced_at_once_and_bounded() {
    let town = Town::broken();
    town.kinds(42);
    let file = town.work.path("dmarquet.prom");
    let done = town.work.run(["metrics", "--textfile", file.to_str().unwrap()]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(0), ""), "{done:#?}");
    let text = std::fs::read_to_string(&file).unwrap();
    for line in
        ["dmarquet_reports 84", "dmarquet_open_alerts{severity=\"critical\"} 1", "# TYPE dmarquet_store_bytes gauge"]
    {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(!text.contains("192.0.2."), "no addresses: {text}");
    let left = std::fs::read_dir(town.work.path("")).unwrap().flatten();
    assert!(left.into_iter().all(|entry| !entry.file_name().to_string_lossy().ends_with(".tmp")));
    assert!(town.work.run(["metrics"]).quiet().contains("dmarquet_build_info"));
}

#[test]
fn a_watching_run_checks_dns_without_mail() {
    use crate::dns_servers::Scripted;
    let work = WorkDir::new();
    work.write(
        CONFIG,
        "domains = [\"example.com\"]\n[[mailbox]]\nname = \"reports\"\nhost = \"127.0.0.1\"\nport = 1\nsecurity = \"none\"\n\
         user = \"u\"\npassword_env = \"P\"\n",
    );
    let server = Scripted::start("_dmarc.example.com TXT v=DMARC1; p=none\nexample.com TXT v=spf1 -all\n");
    let mut command = work.command(["fetch", "--watch", "--check", "--server", &server.address.to_string()]);
    let quiet = || std::process::Stdio::null();
    let mut child = command.env("P", "x").stdout(quiet()).stderr(quiet()).spawn().unwrap();
    let kept = || {
        work.run(["export", "--format", "ndjson", "--out", "lake"]).code == Some(0)
            && std::fs::read_to_string(work.path("lake/dns.ndjson")).is_ok_and(|text| text.contains("v=DMARC1"))
    };
    let begun = std::time::Instant::now();
    while !kept() {
        assert!(begun.elapsed() < Duration::from_mins(1), "{:?}", server.names.lock().unwrap());
        let _ = std::fs::remove_dir_all(work.path("lake"));
        std::thread::sleep(Duration::from_millis(200));
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn a_service_manager_hears_that_fetch_watches_and_is_reported_the_failing_mailbox() {
    use std::os::unix::net::UnixDatagram;
    let work = WorkDir::new();
    work.write(
        CONFIG,
        "[[mailbox]]\nname = \"reports\"\nhost = \"127.0.0.1\"\nport = 1\nsecurity = \"none\"\nuser = \"u\"\npassword_env = \"P\"\n",
    );
    let path = work.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut command = work.command(["fetch", "--watch"]);
    command.env("P", "x").env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "300000");
    let mut child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap();
    let (mut heard, mut buffer) = (Vec::new(), [0; 500]);
    while !["READY=1", "WATCHDOG=1", "STATUS=watching 1 mailbox"]
        .iter()
        .all(|word| heard.iter().any(|line: &String| line.starts_with(word)))
    {
        let length = socket.recv(&mut buffer).expect("systemd hears of it");
        heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn a_mailbox_that_fails_while_another_run_has_the_store_is_recorded_when_it_ends() {
    let work = WorkDir::new();
    work.write(
        CONFIG,
        "[[mailbox]]\nname = \"reports\"\nhost = \"127.0.0.1\"\nport = 1\nca_file = \"missing.pem\"\nuser = \"u\"\npassword_env = \"UNSET_SECRET\"\n",
    );
    let holder = dmarquet::store::Writer::open(&work.path("store"), jiff::Timestamp::now()).unwrap();
    let mut command = work.command(["fetch", "--watch"]);
    let child = command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped()).spawn().unwrap();
    // Long enough to see the failure, and not to be able to record it.
    std::thread::sleep(Duration::from_secs(3));
    drop(holder);
    let done = child.wait_with_output().unwrap();
    assert_eq!(done.status.code(), Some(2), "{}", String::from_utf8_lossy(&done.stderr));
    let runs = dmarquet::store::Store::open(&work.path("store")).unwrap().mailbox_runs().unwrap();
    let failed: Vec<_> = runs.iter().map(|run| (run.mailbox.as_str(), run.failures)).collect();
    assert_eq!(failed, [("reports", 1)]);
}
