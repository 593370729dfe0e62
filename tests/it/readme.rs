//! The README's tables are those of the program.

use crate::workdir::{WorkDir, repository};
use dmarquet::{model::Code, store::schema::COLUMNS};

fn readme() -> String {
    std::fs::read_to_string(repository().join("README.md")).expect("the README is UTF-8")
}

#[test]
fn every_column_stands_in_the_readme_with_its_type_and_meaning() {
    let readme = readme();
    for column in COLUMNS {
        let line = format!("| `{}` | {} | {} |", column.name, column.type_name(), column.doc);
        assert!(readme.contains(&line), "expected the line {line}");
    }
}

#[test]
fn every_code_of_a_finding_stands_in_the_readme() {
    let readme = readme();
    for code in Code::ALL {
        assert!(readme.contains(&format!("| `{code}` | ")), "{code}");
    }
    for line in WorkDir::new().run(["check", "--codes"]).quiet().lines() {
        let (severity, rest) = line.split_once(char::is_whitespace).expect("severity, code, reason");
        let (code, why) = rest.trim_start().split_once(char::is_whitespace).expect("code, reason");
        let line = format!("| `{code}` | {severity} | {} |", why.trim());
        assert!(readme.contains(&line), "expected the line {line}");
    }
}

#[test]
fn the_screenful_of_the_readme_is_what_the_program_says() {
    let readme = readme();
    let said = WorkDir::new()
        .run(["summary", repository().join("samples").to_str().expect("UTF-8"), "--week", "2026-W47"])
        .quiet();
    let shown = readme.split("```text\n").nth(1).and_then(|rest| rest.split("\n```").next()).expect("a screenful");
    assert!(said.starts_with(shown), "the README shows another summary than {said}");
}
