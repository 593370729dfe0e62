//! The commands around a store, as a person and cron run them.

use crate::smtp::{Secured, SmtpServer};
use crate::workdir::{WorkDir, samples};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};

const ESCAPES: &str = "\x1b[31mevil\u{202e}.xml";

fn with_samples() -> WorkDir {
    let work = WorkDir::new();
    let samples = samples();
    let done = work.run(["ingest", samples.to_str().expect("a UTF-8 path")]);
    assert_eq!(done.code, Some(0), "{done:#?}");
    assert!(done.stdout.contains("reports stored"), "{}", done.stdout);
    work
}

#[test]
fn a_store_that_does_not_exist_reads_as_empty() {
    let work = WorkDir::new();
    assert_eq!(work.run(["export", "--format", "ndjson"]).quiet(), "");
    work.run(["export", "--out", "lake"]).quiet();
    for table in ["records/month=1970-01/empty.parquet", "reports/month=1970-01/reports.parquet"] {
        assert!(work.path("lake").join(table).is_file(), "{table} keeps the columns");
    }
    assert_eq!(work.run(["rejected", "list"]).quiet(), "");
    assert_eq!(work.run(["rejected", "list", "--format", "json"]).quiet(), "[]\n");
    assert_eq!(work.run(["rejected", "list", "--conflicts", "--format", "json"]).quiet(), "[]\n");
    assert!(work.run(["status"]).quiet().contains("reports    0 (0 records"));
    let verified = work.run(["verify"]);
    assert_eq!((verified.code, verified.stdout.as_str()), (Some(2), ""), "nothing was checked: {verified:#?}");
    work.run(["summary"]).quiet();
    work.run(["summary", "--format", "json"]).quiet();
    assert!(!work.path("store").exists(), "reading makes nothing");
}

#[test]
fn an_unreadable_item_is_named_once_and_can_be_shown_and_retried() {
    let work = WorkDir::new();
    let file = work.write(ESCAPES, "<feedback><report_metadata>");
    let name = file.to_str().expect("a UTF-8 path");
    let first = work.run(["ingest", name, "--format", "json"]);
    assert_eq!(first.code, Some(1), "{first:#?}");
    assert_eq!(first.json()["rejected"].as_array().map(Vec::len), Some(1));
    assert!(
        first.stderr.starts_with("error: /") && first.stderr.contains("\\u{1b}[31mevil\\u{202e}.xml: "),
        "{}",
        first.stderr
    );
    assert!(!first.stderr.contains('\x1b'), "{}", first.stderr);
    let second = work.run(["ingest", name, "--format", "json"]);
    assert_eq!((second.code, second.stderr.as_str()), (Some(0), ""), "known: {second:#?}");
    assert_eq!(second.json()["duplicates"], 1);

    let list = work.run(["rejected", "list", "--format", "json"]);
    let item = &list.json()[0];
    assert!(item["origin"].as_str().is_some_and(|origin| origin.ends_with(ESCAPES)), "{item}");
    assert!(item["reason"].as_str().is_some_and(|reason| !reason.is_empty()));
    let id = item["id"].as_str().expect("an id");
    let text = work.run(["rejected", "list"]).quiet();
    assert!(text.starts_with(&id[..12]) && !text.contains('\x1b'), "{text}");
    assert!(work.run(["rejected", "show", &id[..6]]).quiet().contains("reason    "));
    assert_eq!(work.run(["rejected", "show", id, "--raw"]).quiet(), "<feedback><report_metadata>");
    let none = work.run(["rejected", "show", "zz"]);
    assert_eq!((none.code, none.stdout.as_str()), (Some(2), ""));
    assert!(none.stderr.contains("\nhint: "), "{}", none.stderr);
    let retry = work.run(["rejected", "retry", "--format", "json"]);
    assert_eq!(retry.json()["stored"]["reports"], 0, "{retry:#?}");
}

/// A report of one row in the week 2026-W47.
fn counting(id: &str, count: u64) -> String {
    format!(
        "<feedback><report_metadata><org_name>receiver.example</org_name><email>a@receiver.example</email><report_id>{id}\
         </report_id><date_range><begin>1794787200</begin><end>1794873599</end></date_range></report_metadata>\
         <policy_published><domain>example.com</domain><p>none</p></policy_published><record><row>\
         <source_ip>192.0.2.1</source_ip><count>{count}</count><policy_evaluated><disposition>none</disposition>\
         <dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from>\
         </identifiers><auth_results><spf><domain>example.com</domain><result>fail</result></spf></auth_results>\
         </record></feedback>"
    )
}

#[test]
fn counts_whose_sum_overflows_break_no_command_and_are_reported() {
    let work = WorkDir::new();
    for number in 0..3 {
        let file = work.write(format!("r{number}.xml"), counting(&number.to_string(), u64::MAX / 2));
        let done = work.run(["ingest", file.to_str().unwrap(), "--format", "json"]);
        assert_eq!(done.json()["findings"][0]["code"], "row.count_implausible", "{done:#?}");
    }
    for command in [
        &["status", "--format", "json"][..],
        &["verify"],
        &["summary", "--week", "2026-W47"],
        &["summary", "--week", "2026-W47", "--format", "json"],
        &["summary", "--week", "2026-W47", "--format", "html"],
        &["summary", "--explain", "192.0.2.1", "--week", "2026-W47"],
        &["compact"],
        &["rebuild"],
        &["verify"],
        &["export", "--out", "lake"],
        &["export", "--format", "csv"],
        &["export", "--format", "ndjson"],
        &["status", "--records", "lake"],
    ] {
        let done = work.run(command);
        assert_eq!(done.code, Some(0), "{command:?}: {done:#?}");
    }
    let status = work.run(["status"]);
    assert!(status.stderr.starts_with("warning: messages: the sum exceeds 2^63 - 1"), "{status:#?}");
    assert_eq!(work.run(["-q", "status"]).stderr, "");
}

#[test]
fn no_requested_period_panics() {
    let work = WorkDir::new();
    for (number, day) in [1_794_787_200_u64, 86_400, 1_700_000_000].into_iter().enumerate() {
        let text = counting(&number.to_string(), 5).replace("1794787200", &day.to_string());
        let file = work.write(format!("r{number}.xml"), text.replace("1794873599", &(day + 86_399).to_string()));
        assert_eq!(work.run(["ingest", file.to_str().unwrap()]).code, Some(0));
    }
    for period in [
        "--week 2026-W49",
        "--week 2027-W10",
        "--week 9999-W52",
        "--week 0001-W01",
        "--last 1d",
        "--last 3650d",
        "--last 3650y",
        "--last 999999999d",
        "--from 2027-01-01 --to 2027-01-03",
        "--from 9999-12-31 --to 9999-12-31",
        "--from 0001-01-01 --to 9999-12-31",
        "--from=-009999-01-01 --to 9999-12-31",
        "--from=-009999-01-01 --to=-009999-01-07",
        "--from 9999-12-01",
        "--to 0001-01-01",
    ] {
        for format in ["text", "json"] {
            let args = ["summary", "--format", format].into_iter().chain(period.split(' '));
            let done = work.run(args);
            assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{period}: {done:#?}");
            assert!(done.stdout.len() < 1 << 20, "{period}: {} bytes", done.stdout.len());
        }
        let done = work.run(["export", "--format", "csv"].into_iter().chain(period.split(' ')));
        assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{period}: {done:#?}");
    }
    for wrong in ["--last=0d", "--last=99999999999999999999y", "--week=10000-W01", "--from=99999-01-01"] {
        assert_eq!(work.run(["summary", wrong]).code, Some(2), "{wrong}");
    }
}

#[test]
fn quiet_prints_only_errors_and_requested_json() {
    let work = WorkDir::new();
    let file = work.write("r.xml", counting("1", 5));
    let name = file.to_str().unwrap();
    assert_eq!(work.run(["-q", "ingest", name]).quiet(), "");
    assert_eq!(work.run(["-q", "ingest", name, "--format", "text"]).quiet(), "");
    let json = work.run(["-q", "ingest", name, "--format", "json"]);
    assert_eq!(json.json()["duplicates"], 1);
}

#[test]
fn a_flood_of_unreadable_files_is_named_up_to_twenty() {
    let work = WorkDir::new();
    for number in 0..25 {
        work.write(format!("in/{number}.xml"), format!("<feedback><!-- {number} -->"));
    }
    let done = work.run(["ingest", "in", "--format", "json"]);
    assert_eq!(done.code, Some(1));
    assert_eq!(done.stderr.lines().filter(|line| line.starts_with("error: in/")).count(), 20, "{}", done.stderr);
    assert!(done.stderr.contains("error: ...: and 5 more\n"), "{}", done.stderr);
}

#[test]
fn a_missing_path_fails_the_run_but_the_rest_is_ingested() {
    let work = WorkDir::new();
    let samples = samples();
    let done = work.run(["ingest", "nowhere", samples.to_str().expect("a UTF-8 path"), "--format", "json"]);
    assert_eq!(done.code, Some(2), "{done:#?}");
    assert!(done.stderr.starts_with("error: nowhere: "), "{}", done.stderr);
    assert!(done.json()["stored"]["reports"].as_u64() > Some(0));
}

#[test]
fn standard_input_is_ingested_as_well() {
    let work = WorkDir::new();
    let bytes = std::fs::read(samples().join("mailru-org-w47.eml")).expect("a sample");
    let mut child = work
        .command(["ingest", "-", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    child.stdin.take().expect("a pipe").write_all(&bytes).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let tally: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a tally");
    assert_eq!(tally["stored"]["reports"], 1, "{tally}");
}

#[test]
fn upkeep_reports_what_it_did_and_changes_no_sum() {
    let work = with_samples();
    let sums = || {
        work.run(["summary", "--from", "2026-10-01", "--to", "2026-11-30", "--format", "json"]).json()["totals"].clone()
    };
    let before = sums();
    work.run(["compact"]).quiet();
    assert_eq!(work.run(["verify"]).quiet(), "ledger, tables and originals agree\n");
    let rebuilt = work.run(["rebuild", "--format", "json"]);
    assert_eq!(rebuilt.code, Some(0), "{rebuilt:#?}");
    assert_eq!(sums(), before);
    assert_eq!(work.run(["verify", "--format", "json"]).quiet(), "[]\n");
    let dry = work.run(["prune", "--keep", "50y", "--dry-run"]).quiet();
    assert!(dry.starts_with("0 reports would be deleted (all before "), "{dry}");
    work.run(["prune", "--keep", "50y"]).quiet();
    assert_eq!(sums(), before);
}

#[test]
fn status_tells_a_monitor_when_reports_stay_away() {
    let work = with_samples();
    assert!(work.run(["status"]).quiet().contains("REPORTERS"));
    assert_eq!(work.run(["status", "--max-age", "1d"]).quiet(), "", "the samples just arrived: nothing to mail");
    assert!(work.run(["status", "--max-age", "1d", "--verbose"]).quiet().contains("reports "));
    assert!(work.run(["status"]).quiet().contains("reports "));
    let settings = "[[mailbox]]\nname = \"reports\"\nhost = \"localhost\"\nuser = \"u\"\npassword_env = \"P\"\n";
    work.write("c.toml", settings);
    let done = work.run(["status", "--max-age", "3d", "--config", "c.toml", "--format", "json"]);
    assert_eq!(done.code, Some(1));
    assert_eq!(done.stderr, "warning: mailbox reports: no report in the last 3 days; there has never been one\n");
    assert_eq!(done.json()["mailboxes"][0]["newest_report"], serde_json::Value::Null);
}

#[test]
fn exports_need_a_folder_only_if_a_stream_is_not_enough() {
    let work = with_samples();
    let done = work.run(["export"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""));
    assert_eq!(
        done.stderr,
        "error: export: Parquet needs a folder: --out DIR\n\
         hint: --format csv and --format ndjson can go to standard output\n"
    );
    work.run(["export", "--out", "lake"]).quiet();
    assert!(work.path("lake/records").is_dir() && work.path("lake/reports").is_dir());
    let csv = work.run(["export", "--format", "csv"]).quiet();
    work.run(["export", "--format", "csv", "--out", "lake"]).quiet();
    assert_eq!(std::fs::read_to_string(work.path("lake/records.csv")).expect("written"), csv);
    let week = work.run(["export", "--format", "ndjson", "--week", "2026-W47", "--domain", "EXAMPLE.com."]).quiet();
    assert!(week.lines().count() > 0 && week.lines().all(|line| line.contains("\"policy_domain\":\"example.com\"")));
}

#[test]
fn a_reader_that_closes_the_pipe_ends_an_export_quietly() {
    let work = with_samples();
    let mut child = work
        .command(["export", "--format", "ndjson"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    out.read_line(&mut line).expect("a line");
    drop(out);
    let done = child.wait_with_output().expect("it ends");
    assert_eq!((done.status.code(), String::from_utf8_lossy(&done.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn an_error_names_the_process_that_uses_the_store() {
    let work = WorkDir::new();
    // A run that waits for its standard input holds the store.
    let mut holder = work
        .command(["ingest", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    while !work.path("store/ledger.sqlite").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let second = work.run(["ingest", "nowhere"]);
    assert_eq!(second.code, Some(2));
    assert!(
        second.stderr.contains("the store is in use") && second.stderr.contains("\nhint: wait until it ends"),
        "{}",
        second.stderr
    );
    drop(holder.stdin.take());
    assert_eq!(holder.wait().expect("it ends").code(), Some(1), "an empty standard input is no report");
}

#[test]
fn an_interrupted_run_is_reported_and_exits_with_2() {
    let work = WorkDir::new();
    let mut child = work
        .command(["ingest", "-", "-v"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    let mut input = child.stdin.take().expect("a pipe");
    // Once the store is there, the run listens.
    while !work.path("store/ledger.sqlite").exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill is there");
    assert!(killed.success());
    std::thread::sleep(std::time::Duration::from_millis(300));
    let _ = input.write_all(b"<feedback/>");
    drop(input);
    let done = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("warning: stopping after ") && stderr.contains("warning: interrupted: "), "{stderr}");
}

#[test]
fn a_summary_is_mailed_as_text_and_html() {
    let work = with_samples();
    let server = SmtpServer::start(Secured::ByStartTls, &work.path(""));
    work.write("password", "secret\n");
    let settings = format!(
        "[smtp]\nhost = \"localhost\"\nport = {}\nsecurity = \"starttls\"\nca_file = \"smtp-cert.pem\"\nuser = \"user\"\n\
         password_file = \"password\"\nfrom = \"dmarc@example.com\"\n",
        server.port
    );
    work.write("c.toml", settings);
    let args = [
        "summary",
        "--config",
        "c.toml",
        "--week",
        "2026-W47",
        "--mail-to",
        "a@example.net",
        "--mail-to",
        "b@example.net",
    ];
    let eml = work.run(args.iter().copied().chain(["--dry-run"])).quiet();
    assert!(eml.contains("Subject: DMARC 2026-W47: 5 things to do, ") && eml.contains("text/html"), "{eml}");
    assert_eq!(work.run(args).quiet(), "");
    let session = server.session();
    assert!(session.encrypted && session.mail.contains("multipart/alternative"));
    assert_eq!(session.commands.iter().filter(|line| line.starts_with("RCPT")).count(), 2);
    let refused = work.run(args);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "nobody listens any more");
    assert!(
        refused.stderr.starts_with("error: localhost:") && !refused.stderr.contains("secret"),
        "{}",
        refused.stderr
    );
}

#[test]
fn a_source_is_explained_from_a_store_and_from_files() {
    let work = with_samples();
    let week = ["summary", "--week", "2026-W47", "--explain", "192.0.2.60"];
    let stored = work.run(week).quiet();
    assert!(stored.contains("192.0.2.60") && stored.contains("example.net"), "{stored}");
    let samples = samples();
    let straight = work.run(week.iter().copied().chain([samples.to_str().expect("a UTF-8 path")])).quiet();
    assert_eq!(straight, stored);
    work.run(week.iter().copied().chain(["--format", "json"])).json();
    let wrong = work.run(["summary", "--explain", "mail.example.com"]);
    assert_eq!(wrong.code, Some(2));
    assert!(
        wrong.stderr.starts_with(
            "error: --explain mail.example.com: expected an address, a network such as 192.0.2.0/24, or 'unknown'"
        ),
        "{}",
        wrong.stderr
    );
}

#[test]
fn a_mail_without_smtp_settings_says_what_is_missing() {
    let done = WorkDir::new().run(["summary", "--mail-to", "a@example.net"]);
    assert_eq!(done.code, Some(2));
    assert!(
        done.stderr.starts_with("error: settings: expected an [smtp] section to send mail with, found none\nhint: "),
        "{}",
        done.stderr
    );
}
