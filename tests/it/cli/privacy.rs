//! Permissions: a store is readable by its owner and at most one group; an export follows the umask.

use crate::imap_server::{Manner, Server};
use crate::smtp::{SmtpServer, repeating_endpoint};
use crate::workdir::{Done, WorkDir};
use dmarquet::fetch::mailbox::{
    After, Auth, Mailbox, OAuth2, Patience, PollOptions, Protocol, Redaction, Secret, Security, StopFlag, TokenSource,
};
use dmarquet::fetch::poll::Poller;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

const SAMPLE: &str = "<feedback><report_metadata><org_name>mx.example.net</org_name><report_id>ID</report_id>
    <date_range><begin>1795392000</begin><end>1795478399</end></date_range></report_metadata>
    <policy_published><domain>example.com</domain><p>none</p></policy_published>
    <record><row><source_ip>192.0.2.7</source_ip><count>COUNT</count></row>
    <identifiers><header_from>example.com</header_from></identifiers></record></feedback>";

fn report(work: &WorkDir, id: &str, count: u32) -> PathBuf {
    let name = format!("{id}-{count}.xml");
    work.write(name, SAMPLE.replace("ID", id).replace("COUNT", &count.to_string()))
}

/// Runs the program under a umask.
fn under(work: &WorkDir, umask: &str, args: &[&str]) -> Done {
    let program = work.command(args);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("umask {umask}; exec \"$@\"")).arg("sh").arg(program.get_program()).args(args);
    shell.current_dir(work.path(""));
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    let output = shell.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A store with a part, a pack, a rejected item and a conflict.
fn fill(work: &WorkDir, umask: &str) {
    let bad = work.write("bad.xml", "<feedback><oops");
    let paths = [report(work, "one", 1), report(work, "one", 2), bad];
    let paths = paths.each_ref().map(|path| path.to_str().unwrap());
    let done = under(work, umask, &[&["ingest"][..], &paths[..]].concat());
    assert_eq!(done.code, Some(1), "{done:#?}");
}

fn mode(path: &Path) -> u32 {
    path.symlink_metadata().unwrap().mode() & 0o7777
}

fn all_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(all_below(&path)) } else { found.push(path) }
    }
    found
}

/// Everything in the store has the mode of its kind.
#[track_caller]
fn check_modes(store: &Path, [folder, finished, written]: [u32; 3]) {
    let all = all_below(store);
    assert!(
        ["parquet", "zip", "xml"]
            .iter()
            .all(|kind| all.iter().any(|path| path.extension().is_some_and(|e| e == *kind)))
    );
    for path in all {
        let at_top = path.parent() == Some(store);
        let expected = if path.is_dir() {
            folder
        } else if at_top {
            written
        } else {
            finished
        };
        assert_eq!(format!("{:o}", mode(&path)), format!("{expected:o}"), "{}", path.display());
    }
}

const PRIVATE: [u32; 3] = [0o700, 0o400, 0o600];
const SHARED: [u32; 3] = [0o750, 0o440, 0o640];

#[test]
fn only_its_owner_can_read_a_store_whatever_the_umask() {
    for umask in ["0", "022", "0777"] {
        let work = WorkDir::new();
        fill(&work, umask);
        check_modes(&work.path("store"), PRIVATE);
        for command in [&["compact"][..], &["rebuild"]] {
            assert_eq!(under(&work, umask, command).code, Some(0), "{command:?}");
            check_modes(&work.path("store"), PRIVATE);
        }
    }
}

#[test]
fn a_store_of_an_older_version_is_made_private_by_the_next_write() {
    let work = WorkDir::new();
    fill(&work, "022");
    let store = work.path("store");
    let outside = work.write("outside", "");
    symlink(&outside, store.join("rejected/link.xml")).unwrap();
    for path in all_below(&store).iter().filter(|path| !path.is_symlink()) {
        let loose = if path.is_dir() { 0o755 } else { 0o644 };
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(loose)).unwrap();
    }
    let before = mode(&outside);
    work.run(["ingest", report(&work, "two", 1).to_str().unwrap()]).quiet();
    assert_eq!(mode(&outside), before, "a link is not followed");
    std::fs::remove_file(store.join("rejected/link.xml")).unwrap();
    check_modes(&store, PRIVATE);
}

#[test]
fn a_folder_that_holds_other_things_keeps_its_mode() {
    let work = WorkDir::new();
    work.write("store/mine.txt", "");
    std::fs::set_permissions(work.path("store"), std::fs::Permissions::from_mode(0o755)).unwrap();
    fill(&work, "022");
    report(&work, "two", 1);
    assert_eq!(mode(&work.path("store")), 0o755);
    assert_eq!((mode(&work.path("store/records")), mode(&work.path("store/ledger.sqlite"))), (0o700, 0o600));
}

#[test]
fn the_group_in_the_settings_may_read_and_an_earlier_one_may_not() {
    let work = WorkDir::new();
    let name = Command::new("id").arg("-gn").output().unwrap().stdout;
    let name = String::from_utf8(name).unwrap().trim().to_owned();
    let settings = work.write("settings.toml", format!("group = {name:?}\n"));
    std::fs::create_dir_all(work.path("home/.config/dmarquet")).unwrap();
    let usual = work.path("home/.config/dmarquet/config.toml");
    std::fs::copy(&settings, &usual).unwrap();
    fill(&work, "077");
    check_modes(&work.path("store"), SHARED);
    assert_eq!(under(&work, "077", &["rebuild"]).code, Some(0));
    check_modes(&work.path("store"), SHARED);
    std::fs::write(&usual, "").unwrap();
    assert_eq!(under(&work, "022", &["compact"]).code, Some(0));
    check_modes(&work.path("store"), PRIVATE);
    std::fs::copy(&settings, &usual).unwrap();
    assert_eq!(under(&work, "022", &["compact"]).code, Some(0));
    check_modes(&work.path("store"), SHARED);
}

#[test]
fn an_unknown_group_is_an_error_before_anything_is_written() {
    let work = WorkDir::new();
    let settings = work.write("settings.toml", "group = \"no-such-group\"\n");
    let settings = settings.to_str().unwrap();
    for command in [&["ingest", "."][..], &["config", "check", "--offline"]] {
        let done = work.run([&["--config", settings][..], command].concat());
        assert_eq!(done.code, Some(2));
        assert!(done.stderr.contains("group: expected a group of this system, found \"no-such-group\""), "{done:#?}");
    }
    assert!(!work.path("store").exists());
}

#[test]
fn an_export_has_the_modes_of_the_umask_and_is_no_part_of_the_store() {
    let work = WorkDir::new();
    fill(&work, "022");
    for format in ["parquet", "csv", "ndjson", "ipc"] {
        under(&work, "027", &["export", "--format", format, "--out", "lake"]).quiet();
    }
    for path in all_below(&work.path("lake")) {
        let expected = if path.is_dir() { 0o750 } else { 0o640 };
        assert_eq!(format!("{:o}", mode(&path)), format!("{expected:o}"), "{}", path.display());
        assert!(path.is_dir() || path.metadata().unwrap().nlink() == 1, "{}", path.display());
    }
    let count = work.path("lake/records/month=2026-11").read_dir().unwrap().count();
    work.run(["export", "--out", "linked", "--link"]).quiet();
    let linked = work.path("linked/records/month=2026-11").read_dir().unwrap();
    assert_eq!(linked.filter(|entry| entry.as_ref().unwrap().metadata().unwrap().nlink() == 2).count(), count);
}

#[test]
fn an_export_writes_through_no_link() {
    let work = WorkDir::new();
    fill(&work, "022");
    let victim = work.write("victim/precious", "precious");
    symlink(work.path("victim"), work.path("lake")).unwrap();
    for format in ["parquet", "csv"] {
        let done = work.run(["export", "--format", format, "--out", "lake"]);
        assert_eq!(done.code, Some(2), "{done:#?}");
        assert!(done.stderr.contains("found a symbolic link to"), "{done:#?}");
    }
    std::fs::remove_file(work.path("lake")).unwrap();
    std::fs::create_dir(work.path("lake")).unwrap();
    symlink(&victim, work.path("lake/records.csv")).unwrap();
    symlink(work.path("victim"), work.path("lake/records")).unwrap();
    assert_eq!(work.run(["export", "--out", "lake"]).code, Some(2));
    work.run(["export", "--format", "csv", "--out", "lake"]).quiet();
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(work.path("victim").read_dir().unwrap().count(), 1);
}

#[test]
fn a_link_in_a_folder_is_not_followed_and_is_reported() {
    let work = WorkDir::new();
    let secret = report(&work, "elsewhere", 1);
    report(&work, "one", 1);
    std::fs::create_dir(work.path("drop")).unwrap();
    std::fs::rename(work.path("one-1.xml"), work.path("drop/one.xml")).unwrap();
    symlink(&secret, work.path("drop/report.xml")).unwrap();
    let done = work.run(["ingest", "drop", "--format", "json"]);
    assert_eq!((done.code, &done.json()["stored"]["reports"]), (Some(0), &1.into()), "{done:#?}");
    assert_eq!(done.json()["set_aside"]["other"], 1);
    assert!(done.stderr.contains("1 symbolic link points outside its folder and was not followed"), "{done:#?}");
    let done = work.run(["ingest", "drop/report.xml", "--format", "json"]);
    assert_eq!(done.json()["stored"]["reports"], 1, "{done:#?}");
}

#[test]
fn a_token_endpoint_that_repeats_what_it_was_sent_shows_no_secret() {
    let work = WorkDir::new();
    let endpoint = repeating_endpoint(&work.path(""));
    let manner =
        Manner { capabilities: ["IMAP4rev1", "AUTH=XOAUTH2"].map(str::to_owned).to_vec(), ..Manner::default() };
    let server = Server::with_inbox(manner, []);
    let value = |text: &str| Some(Secret::Value(text.into()));
    let mailbox = Mailbox {
        name: "reports".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: server.port,
        protocol: Protocol::Imap,
        security: Security::None,
        ca_file: Some(SmtpServer::ca_file(&work.path(""))),
        user: "dmarc@example.com".to_owned(),
        auth: Auth::XOAuth2(TokenSource::Asked(OAuth2 {
            token_url: format!("https://localhost:{endpoint}/token"),
            client_id: "client".to_owned(),
            client_secret: value("client~secret/word"),
            refresh_token: value("1//refresh+token=word"),
            scope: None,
        })),
        folders: vec!["INBOX".to_owned()],
        after: After::Keep,
        rejected_to: None,
        patience: Patience { tries: 1, ..Patience::default() },
        secrets: Redaction::default(),
    };
    let now = "2026-11-25T12:00:00Z".parse().unwrap();
    let options = PollOptions { limit: None, since: None, item_bytes: 1 << 20, now, stop: StopFlag::new() };
    let error = Poller::start(mailbox, vec![], options).unwrap_err();
    let error = format!("{error:?}");
    assert!(error.contains("invalid_grant, no: ") && error.contains("[redacted]"), "{error}");
    assert!(!error.contains("secret/word") && !error.contains("secret%2F") && !error.contains("refresh%2B"), "{error}");
}
