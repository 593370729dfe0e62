//! The metrics, and the files in `packaging/` that use them. Uses Prometheus' own tools if they are installed.

use crate::workdir::{WorkDir, repository, samples};
use std::collections::BTreeSet;
use std::process::Command;

/// A store with the samples, and one mailbox that was polled.
fn metrics() -> (WorkDir, String) {
    let work = WorkDir::new();
    work.run(["ingest", samples().to_str().unwrap()]);
    work.write(
        "home/.config/dmarquet/config.toml",
        "[[mailbox]]\nname = \"reports\"\nhost = \"127.0.0.1\"\nport = 1\nsecurity = \"none\"\nuser = \"u\"\npassword_env = \"P\"\n",
    );
    let _ = work.command(["fetch"]).env("P", "x").output().unwrap();
    let text = work.run(["metrics"]).quiet();
    (work, text)
}

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |char: char| char.is_ascii_lowercase() || char == '_';
    let starts = text.match_indices("dmarquet_").map(|(at, _)| at);
    starts.map(|at| text[at..].chars().take_while(|char| is_part(*char)).collect()).collect()
}

/// Whether a program is installed.
fn there_is(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

#[test]
fn dashboard_and_rules_name_metrics_that_exist() {
    let (_, text) = metrics();
    // What has no sample in this store: no mailbox was ever read.
    let page = std::fs::read_to_string(repository().join("docs/alerts.md")).unwrap();
    let known: BTreeSet<String> = names(&text).union(&names(&page)).cloned().collect();
    for name in names(&text) {
        assert!(names(&page).contains(&name), "docs/alerts.md does not have {name}");
    }
    for file in ["packaging/grafana/dmarquet.json", "packaging/prometheus/dmarquet.rules.yml"] {
        let text = std::fs::read_to_string(repository().join(file)).unwrap();
        let used = names(&text);
        assert!(used.len() > 5, "{file}");
        for name in used {
            assert!(known.contains(&name), "{file}: there is no metric {name}");
        }
    }
    let dashboard = std::fs::read_to_string(repository().join("packaging/grafana/dmarquet.json")).unwrap();
    serde_json::from_str::<serde_json::Value>(&dashboard).expect("JSON");
}

#[test]
fn prometheus_takes_metrics_and_rules() {
    if !there_is("promtool") {
        return;
    }
    let (_, text) = metrics();
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), text.as_bytes()).unwrap();
    let checked = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&checked.stderr) + String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success() && said.trim().is_empty(), "{said}");
    let rules = repository().join("packaging/prometheus/dmarquet.rules.yml");
    let checked = Command::new("promtool").args(["check", "rules"]).arg(rules).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn node_exporter_scrapes_the_textfile() {
    if !there_is("prometheus-node-exporter") {
        return;
    }
    let (work, _) = metrics();
    work.write("textfile/.keep", "");
    let file = work.path("textfile/dmarquet.prom");
    work.run(["metrics", "--textfile", file.to_str().unwrap()]);
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let mut exporter = Command::new("prometheus-node-exporter")
        .args(["--collector.disable-defaults", "--collector.textfile"])
        .arg(format!("--collector.textfile.directory={}", work.path("textfile").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let url = format!("http://127.0.0.1:{port}/metrics");
    let scraped = (0..100).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        let text = ureq::get(&url).call().ok()?.body_mut().read_to_string().ok()?;
        text.contains("dmarquet_build_info").then_some(text)
    });
    let _ = exporter.kill();
    let _ = exporter.wait();
    let scraped = scraped.expect("scraped");
    assert!(scraped.contains("node_textfile_scrape_error 0"), "{scraped}");
}
