//! The command line: help, usage errors, settings, completions, manual pages.

use crate::workdir::{Done, WorkDir};
use std::process::{Command, Stdio};

#[track_caller]
fn fails_with(done: &Done, stderr: &str) {
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (Some(2), "", stderr));
}

#[test]
fn help_and_version_are_answers_on_stdout() {
    let work = WorkDir::new();
    assert_eq!(work.run(["--version"]).quiet(), format!("dmarquet {}\n", env!("CARGO_PKG_VERSION")));
    let help = work.run(["--help"]).quiet();
    assert!(help.contains("Exit codes: 0 success"), "{help}");
    for command in ["fetch", "ingest", "summary", "export", "check", "status", "rejected", "prune", "config"] {
        let help = work.run([command, "--help"]).quiet();
        assert!(help.contains("--store <DIR>") && help.contains("--config <FILE>"), "{command}: {help}");
    }
}

#[test]
fn a_wrong_word_is_a_usage_error_that_suggests_the_right_one() {
    let done = WorkDir::new().run(["sumary"]);
    assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""));
    assert!(done.stderr.starts_with("error: unrecognized subcommand 'sumary'"), "{}", done.stderr);
    assert!(done.stderr.contains("'summary'"), "{}", done.stderr);
}

#[test]
fn two_periods_are_a_usage_error_but_the_command_line_overrides_the_environment() {
    let work = WorkDir::new();
    let done = work.run(["summary", "--week", "2026-W47", "--last", "7d"]);
    fails_with(&done, "error: period: expected one of --week, --last, or --from and --to, found several\n");
    let done = work.command(["summary", "--week", "2026-W47"]).env("DMARQUET_LAST", "7d").output().unwrap();
    assert_ne!(done.status.code(), Some(2), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn a_wrong_value_from_the_environment_names_the_variable() {
    let done = WorkDir::new().command(["summary"]).env("DMARQUET_FORMAT", "pdf").output().unwrap();
    let stderr = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(2));
    assert!(stderr.starts_with("error: invalid value 'pdf' for '--format <FORMAT>'"), "{stderr}");
    assert!(stderr.ends_with("hint: the value was set by the environment variable DMARQUET_FORMAT\n"), "{stderr}");
}

#[test]
fn settings_that_are_wrong_stop_the_run_with_file_line_and_expectation() {
    let work = WorkDir::new();
    let file = work.write("c.toml", "store = \"s\"\n[[mailbox]]\nhost = \"h\"\nuser = \"u\"\npassword = \"hunter2\"\n");
    let done = work.run(["status", "--config", "c.toml"]);
    fails_with(
        &done,
        "error: c.toml line 2: mailbox 1: expected password_command, password_file or password_env, found none\n\
         error: c.toml line 5: mailbox 1: password: unknown key\n\
         hint: secrets do not belong in the settings: use password_command, password_file or password_env\n",
    );
    std::fs::remove_file(file).unwrap();
    let done = work.run(["status", "--config", "c.toml"]);
    fails_with(
        &done,
        "error: settings: c.toml: No such file or directory\nhint: write one with `dmarquet config init`\n",
    );
}

#[test]
fn settings_that_cannot_be_read_or_parsed_are_reported_in_words_and_never_answered_with_config_init() {
    let work = WorkDir::new();
    work.write("c.toml", "store = \"s\"\nverify = yes\n");
    fails_with(
        &work.run(["status", "--config", "c.toml"]),
        "error: c.toml line 2: verify: expected true, false or a text in quotes, found a word without quotes\n\
         hint: write verify = true or verify = false\n",
    );
    std::fs::write(work.path("c.toml"), b"# \xe4\n\xe4").unwrap();
    fails_with(
        &work.run(["status", "--config", "c.toml"]),
        "error: c.toml line 1: expected UTF-8 text, found other bytes\nhint: save the file in UTF-8\n",
    );
    std::fs::create_dir(work.path("folder.toml")).unwrap();
    for line in [["status", "--config", "folder.toml"], ["config", "check", "--config=folder.toml"]] {
        fails_with(&work.run(line), "error: settings: folder.toml: Is a directory\n");
    }
}

#[test]
fn config_init_writes_once_and_what_it_writes_is_accepted() {
    let work = WorkDir::new();
    assert_eq!(work.run(["config", "init"]).quiet(), "");
    let file = work.path("home/.config/dmarquet/config.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(work.run(["config", "init", "--stdout"]).quiet(), text);
    std::fs::write(&file, "# mine\n").unwrap();
    let again = work.run(["config", "init"]);
    fails_with(
        &again,
        &format!(
            "error: settings: {}: already exists; not overwritten\n\
             hint: use --config FILE to write another file\n",
            file.display()
        ),
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "# mine\n");
    // A kill in the middle, here by a limit on the size of files, leaves no half of a settings file.
    std::fs::remove_file(&file).unwrap();
    let killed = std::process::Command::new("sh")
        .args(["-c", "ulimit -c 0; ulimit -f 1; exec \"$0\" --config \"$1\" config init"])
        .arg(env!("CARGO_BIN_EXE_dmarquet"))
        .arg(&file)
        .output()
        .unwrap();
    assert!(!killed.status.success() && !file.exists(), "{killed:?}");
    assert_eq!(work.run(["config", "init"]).quiet(), "");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
    work.write("home/.config/dmarquet/config.toml", text);
    let check = work.run(["config", "check", "--offline"]);
    assert_eq!(check.code, Some(0), "{check:#?}");
    assert!(check.stdout.contains("dmarc@example.com on imap.example.com:993"), "{}", check.stdout);
}

#[test]
fn config_check_without_a_file_says_how_to_get_one() {
    let done = WorkDir::new().run(["config", "check"]);
    fails_with(&done, "error: settings: no settings file found\nhint: run `dmarquet config init` to write one\n");
}

#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let work = WorkDir::new();
    let mut child = work.command(["man"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert_eq!((done.status.code(), done.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn completions_and_manual_pages_know_every_command() {
    let work = WorkDir::new();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        assert!(work.run(["completions", shell]).quiet().contains("rejected"), "{shell}");
    }
    assert!(work.run(["man"]).quiet().contains("dmarquet\\-fetch"));
    assert!(work.run(["man"]).quiet().contains(".SH EXAMPLES\n.nf\n  dmarquet config init "));
    work.write("pages/another.1", b".SH EXTRA\n\xff\n");
    assert_eq!(work.run(["man", "--out", "pages"]).quiet(), "");
    let another = std::fs::read(work.path("pages/another.1")).unwrap();
    assert_eq!(another, b".SH EXTRA\n\xff\n", "another program's page stays as it is");
    for page in ["dmarquet.1", "dmarquet-fetch.1", "dmarquet-rejected-list.1", "dmarquet.toml.5"] {
        assert!(work.path("pages").join(page).exists(), "{page}");
    }
    let ingest = std::fs::read_to_string(work.path("pages/dmarquet-ingest.1")).unwrap();
    assert!(ingest.contains(".SH EXAMPLES\n.nf\n  dmarquet ingest "), "{ingest}");
}

#[test]
fn bash_completes_paths_where_a_command_takes_them_and_words_elsewhere() {
    let work = WorkDir::new();
    work.write("d.bash", work.run(["completions", "bash"]).quiet());
    let completed = |words: &str, current: &str, previous: &str| {
        let script = format!(
            "source ./d.bash; COMP_WORDS=(dmarquet {words} '{current}'); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
             _dmarquet dmarquet '{current}' '{previous}'; echo \"${{COMPREPLY[*]}}\""
        );
        let done = Command::new("bash").args(["-c", &script]).current_dir(work.path("")).output().unwrap();
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    };
    for command in ["ingest", "summary", "convert", "export", "backup"] {
        // No reply: bash then completes file names, as `complete -o default` says.
        assert_eq!(completed(command, "", command), "", "{command}");
        assert!(completed(command, "--", command).contains("--store"), "{command}");
    }
    assert_eq!(completed("summary --format", "h", "--format"), "html");
    assert!(completed("rejected", "", "rejected").contains("retry"));
    let script = std::fs::read_to_string(work.path("d.bash")).unwrap();
    assert!(script.contains("complete -F _dmarquet -o nosort -o bashdefault -o default dmarquet"));
}

#[test]
fn color_is_off_without_a_terminal_and_on_if_requested() {
    let work = WorkDir::new();
    assert!(!work.run(["config", "check"]).stderr.contains('\x1b'));
    assert!(work.run(["config", "check", "--color", "always"]).stderr.contains("\x1b[1;31merror:\x1b[0m "));
}

#[test]
fn query_answers_or_says_how_to_get_a_build_that_does() {
    let work = WorkDir::new();
    if cfg!(feature = "query") {
        let listed = work.run(["query", "--list"]).quiet();
        assert!(listed.lines().count() >= 12 && listed.contains("\nlost  "), "{listed}");
        assert_eq!(work.run(["query", "SELECT 1 + 1 AS two", "--format", "csv"]).quiet(), "two\n2\n");
        let file = "SELECT * FROM 'x.csv'";
        for refused in [&["query", file][..], &["query", "nothing"], &["query", "DROP TABLE records"]] {
            let done = work.run(refused);
            assert_eq!((done.code, done.stdout.as_str()), (Some(2), ""), "{done:#?}");
            assert!(done.stderr.starts_with("error: query: expected "), "{done:#?}");
        }
    } else {
        for words in [&["query", "--help"][..], &["query", "SELECT 1", "--format", "csv"], &["query"]] {
            fails_with(
                &work.run(words),
                "error: query: expected a build with the cargo feature `query`, found one without it\n\
                 hint: the packages have it; from source: cargo install --path . --features query\n",
            );
        }
    }
}
