//! `convert` as a pipeline uses it: frames in, Arrow out, and a line for everything found. `--records`: a folder of
//! Parquet files gives the numbers of the store it came from.

use crate::support::python;
use crate::workdir::{WorkDir, files_below, repository, samples};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

const ROW: &str = "<record><row><source_ip>192.0.2.7</source_ip><count>3</count><policy_evaluated><disposition>none\
    </disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row><identifiers><header_from>example.com\
    </header_from></identifiers></record>";

fn report(id: &str) -> String {
    format!(
        "<feedback><report_metadata><org_name>mx.example.net</org_name><report_id>{id}</report_id><date_range>\
         <begin>1795392000</begin><end>1795478399</end></date_range></report_metadata><policy_published>\
         <domain>example.com</domain><p>none</p></policy_published>{ROW}</feedback>"
    )
}

fn frame(name: &str, body: &[u8]) -> Vec<u8> {
    let length = |bytes: usize| u32::try_from(bytes).unwrap().to_le_bytes();
    [&length(name.len())[..], name.as_bytes(), &length(body.len()), body].concat()
}

/// Exit code, Arrow bytes, stderr.
fn convert(work: &WorkDir, frames: &[u8]) -> (Option<i32>, Vec<u8>, String) {
    let args = ["convert", "--frames", "--outcomes", "outcomes.ndjson", "--reports", "reports.arrows"];
    let mut child = work.command(args);
    let child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().expect("the program starts");
    let (mut input, frames) = (child.stdin.take().expect("a pipe"), frames.to_vec());
    let writing = std::thread::spawn(move || drop(input.write_all(&frames)));
    let done = child.wait_with_output().expect("the program ends");
    writing.join().expect("a writer");
    (done.status.code(), done.stdout, String::from_utf8_lossy(&done.stderr).into_owned())
}

/// The number of items by outcome.
fn outcomes(work: &WorkDir) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for line in std::fs::read_to_string(work.path("outcomes.ndjson")).expect("outcomes").lines() {
        let line: Value = serde_json::from_str(line).expect("a line is JSON");
        assert!(line["origin"].is_string(), "{line}");
        *counts.entry(line["outcome"].as_str().expect("an outcome").to_owned()).or_default() += 1;
    }
    counts
}

/// What pyarrow reads from the streams; null without pyarrow.
fn as_pyarrow_reads(work: &WorkDir, arrow: &[u8]) -> Option<Value> {
    let python = python()?;
    work.write("records.arrows", arrow);
    let script = repository().join("tests/convert.py");
    let mut command = Command::new(python);
    let done = command.arg(script).args(["records.arrows", "reports.arrows"]).current_dir(work.path("")).output();
    let done = done.expect("Python starts");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Some(serde_json::from_slice(&done.stdout).expect("JSON"))
}

#[test]
fn the_samples_in_frames_give_the_sums_of_ingest_and_a_line_for_each_item() {
    let work = WorkDir::new();
    let files = files_below(&samples());
    let frames = files.iter().map(|file| frame(file.to_str().unwrap(), &std::fs::read(file).unwrap()));
    let (code, arrow, talk) = convert(&work, &frames.collect::<Vec<_>>().concat());
    assert!(code < Some(2), "{talk}");
    let mut ingest = vec!["ingest".to_owned(), "--format".to_owned(), "json".to_owned()];
    ingest.extend(files.iter().map(|file| file.to_str().unwrap().to_owned()));
    let tally = work.run(ingest).json();
    let aside: u64 = tally["set_aside"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    let counts = outcomes(&work);
    let count = |word: &str| counts.get(word).copied().unwrap_or_default();
    assert_eq!(counts.values().sum::<u64>(), tally["items"].as_u64().unwrap(), "{counts:?} {tally}");
    let stored = ["reports", "tls_reports"].map(|kind| tally["stored"][kind].as_u64().unwrap());
    assert_eq!(count("stored"), stored.iter().sum::<u64>());
    assert_eq!(Some(count("duplicate")), tally["duplicates"].as_u64());
    assert_eq!(count("set_aside"), aside);
    let Some(said) = as_pyarrow_reads(&work, &arrow) else { return };
    for name in ["records", "messages", "dmarc_pass"] {
        assert_eq!(said[name], tally["stored"][name], "{name}");
        let of_reports = if name == "dmarc_pass" { "pass_messages" } else { name };
        assert_eq!(said["reports_table"][of_reports], tally["stored"][name], "{name} of reports");
    }
    assert_eq!(said["reports_table"]["reports"], tally["stored"]["reports"]);
    assert_eq!(said["version"], dmarquet::store::tables::schema::VERSION.to_string());
    let columns = said["columns"].as_array().unwrap().iter();
    let columns: Vec<_> = columns.map(|column| (column[0].as_str().unwrap(), column[2].as_bool().unwrap())).collect();
    let expected: Vec<_> =
        dmarquet::store::tables::schema::COLUMNS.iter().map(|column| (column.name, column.nullable)).collect();
    assert_eq!(columns, expected);
    let types =
        |name: &str| said["columns"].as_array().unwrap().iter().find(|column| column[0] == name).unwrap()[1].clone();
    assert_eq!(
        (types("org_name"), types("period_begin"), types("date")),
        (json!("string"), json!("timestamp[ms, tz=UTC]"), json!("date32[day]"))
    );
    assert_eq!(types("reasons"), "list<element: struct<type: string, comment: string>>");
}

#[test]
fn a_duplicate_within_one_stream_is_dropped_and_counted_even_after_a_flush() {
    let work = WorkDir::new();
    let (one, other) = (report("1"), report("1").replace("<count>3<", "<count>4<"));
    let mark = frame("", b"");
    let frames = [
        frame("a.xml", one.as_bytes()),
        mark.clone(),
        frame("b.xml", one.as_bytes()),
        frame("c.xml", other.as_bytes()),
        mark,
    ];
    let (code, arrow, talk) = convert(&work, &frames.concat());
    assert_eq!((code, talk.as_str()), (Some(0), ""));
    let expected = [("stored", 1), ("duplicate", 1), ("conflict", 1)].map(|(word, count)| (word.to_owned(), count));
    assert_eq!(outcomes(&work), expected.into());
    let Some(said) = as_pyarrow_reads(&work, &arrow) else { return };
    assert_eq!((&said["records"], &said["messages"]), (&json!(1), &json!(3)));
    assert_eq!(said["batches"], json!([1, 0, 0, 0]), "one batch, and marks of no rows: two asked for, one at the end");
}

#[test]
fn one_process_answers_batch_after_batch() {
    let work = WorkDir::new();
    let mut command = work.command(["convert", "--frames"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program starts");
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    for number in 0..3 {
        input.write_all(&frame("r.xml", report(&number.to_string()).as_bytes())).expect("a pipe");
        input.write_all(&frame("", b"")).and_then(|()| input.flush()).expect("a pipe");
        // The answer comes while the input is still open; without one this would wait for ever.
        let mut some = [0; 1 << 12];
        assert!(output.read(&mut some).expect("an answer") > 0);
    }
    drop(input);
    output.read_to_end(&mut Vec::new()).expect("the end");
    assert!(child.wait().expect("its end").success());
}

#[test]
fn a_hostile_length_ends_the_stream_with_an_error_and_what_came_before_is_there() {
    let good = frame("a.xml", report("1").as_bytes());
    let cases: [(&[u8], &str); 3] = [
        (b"\xff\xff\xff\xff", "expected a name of at most 65536 bytes"),
        (b"\x01\0\0\0a\xff\xff\xff\xff<feedback>", "expected 4294967295 bytes of a body"),
        (b"\x01\0\0", "expected 4 bytes, the length of a name"),
    ];
    for (bytes, expected) in cases {
        let work = WorkDir::new();
        let (code, arrow, talk) = convert(&work, &[&good, bytes].concat());
        assert_eq!(code, Some(2), "{talk}");
        assert!(talk.starts_with("error: frame ") && talk.contains(expected), "{talk}");
        assert_eq!(outcomes(&work), [("stored".to_owned(), 1)].into());
        let Some(said) = as_pyarrow_reads(&work, &arrow) else { continue };
        assert_eq!(said["records"], 1);
    }
}

#[test]
fn hostile_items_are_named_and_the_rest_is_converted() {
    let work = WorkDir::new();
    let bombs = frame("bomb.xml.gz", &[b"\x1f\x8b\x08\0\0\0\0\0\0\xff".as_slice(), &[0xff; 64]].concat());
    let frames = [
        frame("a.xml", report("1").as_bytes()),
        bombs,
        frame("half.xml", b"<feedback><report_metadata>"),
        frame("b.xml", report("2").as_bytes()),
    ];
    let (code, _, talk) = convert(&work, &frames.concat());
    assert_eq!((code, talk.as_str()), (Some(1), ""), "named in the outcomes");
    let expected = [("stored", 2), ("rejected", 2)].map(|(word, count)| (word.to_owned(), count));
    assert_eq!(outcomes(&work), expected.into());
    let text = std::fs::read_to_string(work.path("outcomes.ndjson")).unwrap();
    assert!(text.contains(r#""origin":"half.xml","outcome":"rejected","reason":""#), "{text}");
}

#[test]
fn a_folder_of_parquet_gives_the_numbers_of_its_store() {
    let work = WorkDir::new();
    work.run([std::ffi::OsString::from("ingest"), samples().into()]);
    work.run(["export", "--out", "lake"]).quiet();
    let week = ["summary", "--week", "2026-W47", "--format", "json"];
    let [mut of_store, mut of_folder] =
        [&[][..], &["--records", "lake"]].map(|more| work.run([&week[..], more].concat()).json());
    // Only a ledger knows what could not be read.
    for summary in [&mut of_store, &mut of_folder] {
        forget(summary, &["unreadable", "conflicts"]);
    }
    assert_eq!(of_store, of_folder);
    let status = |more: &[&str]| {
        let mut status = work.run([&["status", "--format", "json"][..], more].concat()).json();
        for name in ["store", "version", "last_commit", "originals", "rejected", "newest_rejected", "conflicts"] {
            status.as_object_mut().unwrap().remove(name);
        }
        status
    };
    assert_eq!(status(&[]), status(&["--records", "lake"]));
    let filter = ["--week", "2026-W47", "--domain", "example.com", "--format", "ndjson"];
    let lines = |more: &[&str]| {
        let said = work.run([&["export"][..], &filter, more].concat()).quiet();
        let mut lines: Vec<_> = said.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(lines(&[]), lines(&["--records", "lake"]));
    work.run(["export", "--records", "lake", "--out", "week", "--week", "2026-W47"]).quiet();
    let [mut all, mut cut] =
        ["lake", "week"].map(|folder| work.run([&week[..], &["--records", folder]].concat()).json());
    for summary in [&mut all, &mut cut] {
        forget(summary, &["trend", "compared", "changes", "weeks"]);
    }
    assert_eq!(all["totals"], cut["totals"]);
    let onto = work.run(["export", "--records", "lake", "--out", "lake"]);
    assert!(onto.code == Some(2) && onto.stderr.contains("expected another folder for --out"), "{onto:?}");
}

#[test]
fn a_folder_of_more_files_than_may_be_open_is_read_whole() {
    let work = WorkDir::new();
    work.run([std::ffi::OsString::from("ingest"), samples().into()]);
    work.run(["export", "--out", "lake"]).quiet();
    let records = |limit: usize| {
        let asked = ["summary", "--records", "lake", "--week", "2026-W47", "--format", "json"];
        let done = work.limited(&format!("-n {limit}"), &asked).output().expect("sh starts");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let said: Value = serde_json::from_slice(&done.stdout).unwrap();
        said["totals"]["records"].as_u64().unwrap()
    };
    let once = records(300);
    let folder = work.path("lake/records/month=2026-11");
    let parts: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(parts.len(), 1);
    for number in 0..400 {
        std::fs::copy(&parts[0], folder.join(format!("copy-{number}.parquet"))).unwrap();
    }
    assert_eq!(records(300), 401 * once);
}

/// Removes keys at any depth.
fn forget(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(map) => {
            names.iter().for_each(|name| drop(map.remove(*name)));
            map.values_mut().for_each(|value| forget(value, names));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| forget(item, names)),
        _ => {}
    }
}
