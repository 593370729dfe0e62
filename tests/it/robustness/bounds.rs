//! A run's cost is proportional to the size of its input, and no item ends two runs.

use crate::workdir::WorkDir;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

fn report(id: &str, rows: &str, domain: &str) -> String {
    format!(
        "<feedback><report_metadata><org_name>receiver.example</org_name><email>d@receiver.example</email><report_id>{id}\
         </report_id><date_range><begin>1794787200</begin><end>1794873599</end></date_range></report_metadata>\
         <policy_published><domain>{domain}</domain><p>none</p></policy_published>{rows}</feedback>"
    )
}

fn row(address: &str, domain: &str, result: &str) -> String {
    format!(
        "<record><row><source_ip>{address}</source_ip><count>1</count><policy_evaluated><disposition>none</disposition>\
         <dkim>{result}</dkim><spf>{result}</spf></policy_evaluated></row><identifiers><header_from>{domain}</header_from>\
         </identifiers><auth_results><spf><domain>{domain}</domain><result>{result}</result></spf></auth_results></record>"
    )
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The program with a limited address space.
fn within(work: &WorkDir, kib: u64, args: &[&str]) -> Command {
    work.limited(&format!("-v {kib}"), args)
}

/// The largest memory in MiB that a program has resident until it ends.
fn peak(mut command: Command) -> u64 {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let status = std::fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim_end_matches("kB").trim().parse().ok());
        peak = kib.map_or(peak, |kib: u64| kib >> 10);
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success());
    peak
}

#[test]
fn large_mails_are_in_memory_one_after_the_other() {
    const TEXT: u8 = 40;
    let work = WorkDir::new();
    let blank = vec![b' '; usize::from(TEXT) << 20];
    for number in 0..4 {
        let id = format!("large{number}");
        let text = report(&id, &row("192.0.2.1", "example.com", "pass"), "example.com").into_bytes();
        work.write(format!("{}/{id}.xml.gz", number.min(1)), gzip(&[&text[..], &blank].concat()));
    }
    let one = peak(work.command(["ingest", "0"]));
    let more = peak(work.command(["ingest", "1"]));
    assert_eq!(work.run(["status", "--format", "json"]).json()["reports"], 4);
    let text = u64::from(TEXT);
    assert!(one > text && more < one + text / 2, "{one} MiB for one, {more} MiB for three");
}

#[test]
fn an_item_that_ends_the_program_ends_it_once() {
    // More memory than is left, and nothing against it otherwise: 50 MiB that are 90 MiB as UTF-8.
    let comment = |line: u32| [format!("<!--{line:>8}").as_bytes(), &[0xe4; 45], b"-->"].concat();
    let lines: Vec<u8> = (0..7 << 17).flat_map(comment).collect();
    let declaration = b"<?xml version=\"1.0\" encoding=\"windows-1252\"?>";
    let deadly = gzip(&[&declaration[..], report("deadly", "", "example.com").as_bytes(), &lines].concat());
    let run_three_times = |mib: u64| {
        let work = WorkDir::new();
        work.write("in/a-deadly.xml.gz", &deadly);
        work.write("in/b-good.xml", report("good", &row("192.0.2.1", "example.com", "pass"), "example.com"));
        let run = || within(&work, mib << 10, &["ingest", "--format", "json", "in"]).output().unwrap();
        let first = run();
        let noted = work.path("store/underway").exists();
        let (second, third) = (run(), run());
        let ends = [&first, &second, &third].map(|run| run.status.code());
        (!matches!(ends[0], Some(0..=2)) && ends[1..] == [Some(1), Some(0)])
            .then_some((work, noted, second))
            .ok_or(ends)
    };
    // The allocator reserves much in advance, and how much depends on which thread comes first: with some limits the
    // program itself finds no room now and then, or its child has more than the run.
    let mut others = Vec::new();
    let expected = (8..=48).find_map(|steps| run_three_times(steps << 5).map_err(|ends| others.push(ends)).ok());
    let (work, noted, second) = expected.unwrap_or_else(|| panic!("died, rejected, known with no limit: {others:?}"));
    assert!(noted);
    let tally: serde_json::Value = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!(tally["stored"]["reports"], 1);
    assert_eq!(tally["rejected"].as_array().map(Vec::len), Some(1));
    let reason = tally["rejected"][0]["reason"].as_str().unwrap();
    assert!(reason.starts_with("ended the program: "), "{reason}");
    assert!(!work.path("store/underway").exists());
    let kept: Vec<_> = std::fs::read_dir(work.path("store/rejected")).unwrap().collect();
    assert_eq!(std::fs::read(kept[0].as_ref().unwrap().path()).unwrap(), deadly);

    // Somebody with more memory may try it again.
    let retried = work.run(["rejected", "retry", "--format", "json"]);
    assert_eq!((retried.code, &retried.json()["stored"]["reports"]), (Some(0), &serde_json::json!(1)), "{retried:?}");
}

#[test]
fn made_up_domains_do_not_drown_the_summary() {
    let work = WorkDir::new();
    let of = |number: usize| format!("d{number}.example");
    let forged: String = (0..400)
        .map(|number| report(&format!("f{number}"), &row("192.0.2.1", &of(number), "fail"), &of(number)))
        .collect();
    work.write("in/forged.xml", forged);
    work.write("in/own.xml", report("own", &row("192.0.2.9", "example.com", "pass"), "example.com"));
    work.write("in/parked.xml", report("parked", &row("192.0.2.9", "example.net", "fail"), "example.net"));
    work.write("settings.toml", "domains = [\"example.net\"]\n");
    work.run(["ingest", "in"]);
    let summary = |format: &str| {
        let done = work.run(["--config", "settings.toml", "summary", "--week", "2026-W47", "--format", format]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        done
    };
    for format in ["text", "markdown", "html"] {
        // A long name may break between its labels.
        let page = summary(format).stdout.replace("<wbr>", "");
        let made_up = (0..400).filter(|number| page.contains(&of(*number))).count();
        assert!(made_up < 40, "{format}: {made_up} of 400 are told");
        assert!(page.contains("example.com") && page.contains("example.net"), "{format}");
        assert!(page.contains("380 more domains"), "{format}: {page}");
    }
    let all = summary("json").json();
    assert_eq!(all["domains"].as_array().map(Vec::len), Some(402));
    assert_eq!(all["totals"]["messages"], 402);
}
