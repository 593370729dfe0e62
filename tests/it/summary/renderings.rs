//! The samples' last week in every format: `samples/rendered/` has examples for readers, which are also the golden files.
//!
//! `DMARQUET_UPDATE_GOLDEN=1` writes what the program prints, for a person to read.

use crate::support::python;
use crate::workdir::{WorkDir, repository, samples};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Each format: its file, and the options for it.
const FORMS: [(&str, &[&str]); 6] = [
    ("week-80.txt", &["--format", "text", "--width", "80"]),
    ("week-140.txt", &["--format", "text", "--width", "140"]),
    ("week.md", &["--format", "markdown"]),
    ("week.html", &["--format", "html"]),
    ("week.json", &["--format", "json"]),
    ("week.csv", &["--format", "csv"]),
];

/// The folder of the renderings.
fn rendered() -> PathBuf {
    samples().join("rendered")
}

/// The week in one format, as the program writes it.
fn rendering(options: &[&str]) -> String {
    let samples = samples();
    let asked = ["summary", samples.to_str().expect("UTF-8"), "--week", "2026-W47"];
    WorkDir::new().run(asked.iter().chain(options)).quiet()
}

#[test]
fn the_samples_week_is_rendered_as_it_was_read_by_a_person() {
    let mut faults = Vec::new();
    for (name, options) in FORMS {
        let (file, found) = (rendered().join(name), rendering(options));
        if std::env::var_os("DMARQUET_UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(rendered()).expect("a folder can be made");
            std::fs::write(&file, &found).expect("a rendering can be written");
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_else(|error| format!("{}: {error}", file.display()));
        let mut lines = expected.lines().zip(found.lines()).enumerate();
        match lines.find(|(_, (expected, found))| expected != found) {
            Some((at, (expected, found))) => {
                faults.push(format!("{name}, line {}:\n  expected {expected}\n  found    {found}", at + 1));
            }
            None if expected != found => faults.push(format!("{name}: one is longer, or its line ends differ")),
            None => {}
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_renderings_beside_the_samples_are_no_samples() {
    let told = WorkDir::new();
    let folder = rendered();
    let tally = told.run(["ingest", "--format", "json", folder.to_str().expect("UTF-8")]);
    assert_eq!((tally.code, tally.stderr.as_str()), (Some(0), ""));
    let (tally, files) = (tally.json(), std::fs::read_dir(&folder).expect("a readable folder").count());
    assert_eq!((&tally["items"], &tally["set_aside"]["other"]), (&files.into(), &files.into()), "{tally}");
}

#[test]
fn no_line_of_the_text_is_wider_than_asked() {
    for (name, width) in [("week-80.txt", 80), ("week-140.txt", 140)] {
        let text = std::fs::read_to_string(rendered().join(name)).expect("a rendering");
        let wide = text.lines().find(|line| line.chars().count() > width);
        assert_eq!(wide, None, "{name}");
    }
}

/// The node modules that examine a page, if they and Chromium are installed. Without them a test says so and passes,
/// except in CI.
fn browser() -> Option<PathBuf> {
    let modules = repository().join("target/axe/node_modules");
    let starts = |program| Command::new(program).arg("--version").output().is_ok_and(|done| done.status.success());
    if modules.join("axe-core/axe.min.js").exists() && starts("node") && starts("chromium") {
        return Some(modules);
    }
    let missing = "no chromium, node or target/axe (tests/all installs them)";
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{missing}");
    eprintln!("skipped: {missing}");
    None
}

/// Opens a page in Chromium at three widths, light and dark.
fn look(modules: &Path, page: &Path, shots: Option<PathBuf>) {
    let script = repository().join("tests/html/check.mjs");
    let done = Command::new("node").arg(script).args([modules, page]).args(shots).output().expect("node starts");
    let (said, erred) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "{}: {said}{erred}", page.display());
}

#[test]
fn the_page_fits_every_screen_loads_nothing_and_is_accessible() {
    let Some(modules) = browser() else { return };
    let work = WorkDir::new();
    let page = work.write("week.html", rendering(&["--format", "html"]));
    look(&modules, &page, std::env::var_os("DMARQUET_UPDATE_GOLDEN").map(|_| rendered()));
}

/// A report with untrusted text in every place that can have it, about this many sources.
fn report_of(text: &str, long: &str, sources: u32) -> String {
    let mut records = String::new();
    for host in 1..=sources {
        records += &format!(
            "<record><row><source_ip>2001:db8:1111:2222:3333:4444:5555:{host}</source_ip><count>123456789{host}</count>\
             <policy_evaluated><disposition>none</disposition><dkim>fail</dkim><spf>fail</spf><reason><type>other</type>\
             <comment>{text}</comment></reason></policy_evaluated></row>\
             <identifiers><header_from>{long}.example.com</header_from></identifiers><auth_results><dkim><domain>{long}.example\
             </domain><selector>{text}</selector><result>pass</result><human_result>{text}</human_result></dkim><spf>\
             <domain>{text}</domain><result>pass</result></spf></auth_results></record>"
        );
    }
    format!(
        "<feedback><report_metadata><org_name>{text}{}</org_name><email>a@example.com</email>\
         <report_id>{text}</report_id><date_range><begin>1795046400</begin><end>1795132799</end></date_range></report_metadata>\
         <policy_published><domain>example.com</domain><p>none</p></policy_published>{records}</feedback>",
        long.split('.').next().unwrap_or_default()
    )
}

#[test]
fn a_page_of_hostile_and_endless_names_fits_every_screen_too() {
    let Some(modules) = browser() else { return };
    let work = WorkDir::new();
    let label = "w".repeat(60);
    let hostile = "&lt;img src=http://192.0.2.1/x onerror=alert(1)&gt;&lt;script&gt;alert(1)&lt;/script&gt;";
    work.write("report.xml", report_of(hostile, &[label.as_str(); 4].join("."), 29));
    let done = work.run(["summary", "report.xml", "--week", "2026-W47", "--format", "html"]);
    assert!(done.stdout.contains("example.com"), "{done:#?}");
    look(&modules, &work.write("week.html", &done.stdout), None);
}

#[test]
fn untrusted_text_is_inert_in_every_format_in_the_mail_and_in_the_explanation() {
    let work = WorkDir::new();
    // Escapes, a bell, a C1 control, a turn of direction, a hidden tag character; markup; a formula; a header field.
    let hostile = "=1+1&lt;script&gt;x&lt;/script&gt;&#27;[31m&#7;&#x9b;2J&#x202e;&#xe0041;[a](http://b.example)&#13;&#10;Bcc: c@example.net";
    work.write("report.xml", report_of(hostile, "mail", 2));
    work.write("config.toml", "[smtp]\nfrom = \"dmarc@example.com\"\nsendmail = \"/bin/false\"\n");
    let explain = ["--explain", "2001:db8:1111:2222:3333:4444:5555:1"];
    let form = |form| ["--format", form];
    let mail = ["--mail-to", "a@example.com", "--dry-run"];
    for options in [
        &form("text")[..],
        &form("markdown"),
        &form("html"),
        &form("csv"),
        &form("json"),
        &explain,
        &[&explain[..], &form("json")].concat(),
        &mail,
    ] {
        let asked = ["summary", "report.xml", "--week", "2026-W47", "--config", "config.toml"];
        let done = work.run(asked.iter().chain(options));
        let said = if options == mail { decoded(&done.stdout) } else { vec![done.stdout.clone()] };
        for said in &said {
            // Where a name is long, HTML says where it may break.
            assert!(said.replace("<wbr>", "").contains("1111:2222:"), "{options:?}: {done:#?}");
            let raw = said.chars().find(|char| {
                matches!(char, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{7f}'..='\u{9f}' | '\u{202e}' | '\u{e0041}')
            });
            assert_eq!(raw, None, "{options:?}: {said}");
            let is_markup = said.contains("<html") || options == form("markdown");
            assert!(!is_markup || !said.contains("<script"), "{options:?}: {said}");
            assert!(!said.lines().any(|line| line.starts_with("Bcc:") || line.starts_with('=')), "{options:?}: {said}");
        }
    }
}

/// The decoded parts of a mail, after its header lines.
fn decoded(mail: &str) -> Vec<String> {
    let parsed = mailparse::parse_mail(mail.as_bytes()).expect("a mail");
    let fields = String::from_utf8_lossy(parsed.get_headers().get_raw_bytes()).into_owned();
    let parts = parsed.subparts.iter().map(|part| part.get_body().expect("a body"));
    parts.map(|part| format!("{fields}\n{part}")).collect()
}

#[test]
fn the_json_is_valid_under_the_schema_that_the_program_prints() {
    let Some(python) = python() else { return };
    let work = WorkDir::new();
    let schema = work.write("schema.json", work.run(["summary", "--schema"]).quiet());
    for (name, options) in
        [("week.json", &["--week", "2026-W47"][..]), ("all.json", &[]), ("empty.json", &["--week", "2020-W01"])]
    {
        let samples = samples();
        let asked = ["summary", "--format", "json", samples.to_str().expect("UTF-8")];
        let summary = work.write(name, work.run(asked.iter().chain(options)).quiet());
        let done = Command::new(&python).arg(repository().join("tests/schema.py")).args([&schema, &summary]).output();
        let done = done.expect("Python starts");
        assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stdout));
    }
}
