//! Hostile input through the program: each attack ends as rejected or as stored with findings, a good report beside
//! it is stored all the same, the exit code says which, and memory and time stay bounded.
//!
//! The inputs are generated here. A debug build must reach the outcome within a generous time, on a tenth of the largest
//! inputs. With `DMARQUET_MEASURE` naming a
//! release build, that one is run under `/usr/bin/time` instead, held to 10 s and 300 MB, and its row of
//! `benches/hostile.md` is printed.

use crate::imap_dovecot::Dovecot;
use crate::workdir::{Done, WorkDir};
use flate2::{Compress, Compression, FlushCompress, Status};
use serde_json::Value;
use std::fmt::Write as _;
use std::process::Command;
use std::time::{Duration, Instant};

/// How long an unoptimized build may take on a busy machine.
const GENEROUS: Duration = Duration::from_mins(4);
/// What a release build may take, in seconds of processor time and KiB.
const MOST: (f64, u64) = (10.0, 300_000);

/// The outcome an attack must have.
enum Ends<'a> {
    /// Rejected this many times, the first with this reason.
    Rejected(usize, &'a str),
    /// Stored, with this kind of finding.
    Stored(&'a str),
    /// Stored without a finding.
    Clean,
    /// No report and no error.
    SetAside,
}

/// How often to repeat a block: a tenth is enough if nothing is measured.
fn times(full: usize) -> usize {
    if std::env::var_os("DMARQUET_MEASURE").is_some() { full } else { full / 10 }
}

/// Ingests the attack and a good report in one run; returns the tally.
#[track_caller]
fn attack(what: &str, name: &str, bytes: &[u8], ends: &Ends<'_>) -> Value {
    let work = WorkDir::new();
    work.write("attack.d/".to_owned() + name, bytes);
    work.write("good.xml", report("good", &row("192.0.2.1")));
    let path = work.path("attack.d").join(name);
    let args = ["ingest", "--format", "json", path.to_str().expect("a UTF-8 path"), "good.xml"];
    let began = Instant::now();
    let (done, measured) = run(&work, &args);
    assert!(began.elapsed() < GENEROUS, "{what}: took {:?}", began.elapsed());
    let tally = done.json();
    check(what, &done, &tally, ends);
    if let Some((seconds, kib)) = measured {
        let end = tally["rejected"][0]["reason"].as_str().map_or_else(
            || format!("stored {}, findings {}", tally["stored"]["reports"], findings(&tally)),
            |reason| format!("rejected: {}", reason.chars().take(90).collect::<String>()),
        );
        println!("| {what} | {} | {seconds:.2} | {} | {end} |", bytes.len() / 1024, kib / 1024);
        assert!(seconds < MOST.0 && kib < MOST.1, "{what}: {seconds} s, {kib} KiB");
    }
    let verify = work.run(["verify"]);
    assert_eq!(verify.code, Some(0), "{what}: {verify:#?}");
    tally
}

/// The number of findings of each kind, including those that are counted but not kept.
fn findings(tally: &Value) -> String {
    let mut kinds: Vec<&str> =
        tally["findings"].as_array().into_iter().flatten().filter_map(|found| found["code"].as_str()).collect();
    let count = kinds.len() as u64 + tally["findings_more"].as_u64().unwrap_or(0);
    kinds.sort_unstable();
    kinds.dedup();
    format!("{count} ({})", kinds.join(", "))
}

#[track_caller]
fn check(what: &str, done: &Done, tally: &Value, ends: &Ends<'_>) {
    let list = |name: &str| tally[name].as_array().cloned().unwrap_or_default();
    let (rejected, found) = (list("rejected"), list("findings"));
    let brief: String = format!("{tally}\n{}", done.stderr).chars().take(2000).collect();
    let stored = tally["stored"]["reports"].as_u64();
    let raw = |text: &str| text.chars().any(|char| char.is_control() && char != '\n');
    assert!(!raw(&done.stderr), "{what}: control characters on stderr: {:?}", done.stderr);
    match ends {
        Ends::Rejected(count, reason) => {
            assert_eq!((done.code, rejected.len(), stored), (Some(1), *count, Some(1)), "{what}: {brief}");
            assert!(rejected[0]["reason"].as_str().is_some_and(|found| found.contains(reason)), "{what}: {brief}");
            assert!(done.stderr.contains("error: "), "{what}: {brief}");
        }
        Ends::Stored(code) => {
            assert_eq!((done.code, rejected.len(), stored), (Some(0), 0, Some(2)), "{what}: {brief}");
            assert!(found.iter().any(|finding| finding["code"] == *code), "{what}: {brief}");
        }
        Ends::Clean => {
            assert_eq!((done.code, rejected.len(), stored), (Some(0), 0, Some(2)), "{what}: {brief}");
            assert!(found.is_empty(), "{what}: {brief}");
        }
        Ends::SetAside => {
            assert_eq!((done.code, rejected.len(), stored), (Some(0), 0, Some(1)), "{what}: {brief}");
            assert!(tally["set_aside"]["other"].as_u64() >= Some(1), "{what}: {brief}");
        }
    }
}

/// Runs the program, or the release build to be measured.
fn run(work: &WorkDir, args: &[&str]) -> (Done, Option<(f64, u64)>) {
    match std::env::var("DMARQUET_MEASURE") {
        Ok(program) => measured(work, &program, args),
        Err(_) => (work.run(args), None),
    }
}

/// Prints the row of a flood, and checks its memory.
fn print_flood(what: &str, size: usize, (seconds, kib): (f64, u64), work: &WorkDir, end: &str) {
    let files = crate::workdir::files_below(&work.path("store"));
    let store: u64 = files.iter().filter_map(|path| std::fs::metadata(path).ok()).map(|found| found.len()).sum();
    println!("| {what} | {} | {seconds:.2} | {} | {end}, store of {} MiB |", size / 1024, kib / 1024, store >> 20);
    assert!(kib < MOST.1, "{what}: {kib} KiB");
}

/// Runs a release build under GNU time. Returns its result, its seconds of processor time, which do not grow on a busy
/// machine, and its peak KiB.
fn measured(work: &WorkDir, program: &str, args: &[&str]) -> (Done, Option<(f64, u64)>) {
    let figures = work.path("figures");
    let output = Command::new("/usr/bin/time")
        .args(["-q", "-f", "%U %S %M", "-o"])
        .arg(&figures)
        .arg(crate::workdir::repository().join(program))
        .args(args)
        .current_dir(work.path(""))
        .env("DMARQUET_STORE", work.path("store"))
        .env("HOME", work.path("home"))
        .output()
        .expect("/usr/bin/time can be started");
    let text = std::fs::read_to_string(&figures).expect("figures");
    let figures: Vec<&str> = text.split_whitespace().collect();
    let [user, system, kib] = figures[..] else { panic!("three figures: {text:?}") };
    let seconds = |figure: &str| figure.parse::<f64>().expect("seconds");
    let done = Done {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    };
    (done, Some((seconds(user) + seconds(system), kib.parse().expect("KiB"))))
}

fn row(ip: &str) -> String {
    format!(
        "<record><row><source_ip>{ip}</source_ip><count>1</count><policy_evaluated><disposition>none</disposition>\
         <dkim>pass</dkim><spf>pass</spf></policy_evaluated></row><identifiers><header_from>example.com</header_from>\
         </identifiers><auth_results><dkim><domain>example.com</domain><result>pass</result></dkim><spf>\
         <domain>example.com</domain><result>pass</result></spf></auth_results></record>"
    )
}

/// The document up to its records.
fn head(org: &str) -> String {
    format!(
        "<feedback><report_metadata><org_name>{org}</org_name><email>d@example.net</email><report_id>{}</report_id>\
         <date_range><begin>1794787200</begin><end>1794873599</end></date_range></report_metadata><policy_published>\
         <domain>example.com</domain><p>none</p></policy_published>",
        org.len()
    )
}

fn report(org: &str, records: &str) -> String {
    head(org) + records + "</feedback>"
}

/// A gzip file of blocks, each repeated this many times. Each block is self-contained, so a repeated one is compressed
/// once.
fn gzip(blocks: &[(&[u8], usize)]) -> Vec<u8> {
    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    let mut crc = flate2::Crc::new();
    for (block, times) in blocks {
        let packed = deflate(block);
        for _ in 0..*times {
            file.extend_from_slice(&packed);
            crc.update(block);
        }
    }
    file.extend_from_slice(&[3, 0]);
    file.extend_from_slice(&crc.sum().to_le_bytes());
    file.extend_from_slice(&crc.amount().to_le_bytes());
    file
}

/// The deflate blocks of some bytes: they end at a byte boundary, and none is the last block.
fn deflate(block: &[u8]) -> Vec<u8> {
    let mut packed = Vec::with_capacity(block.len() + 1024);
    let mut compress = Compress::new(Compression::new(9), false);
    let status = compress.compress_vec(block, &mut packed, FlushCompress::Full).expect("memory can be compressed");
    assert!(status == Status::Ok && compress.total_in() == block.len() as u64, "one call took all");
    packed
}

/// A gzip file of one small content.
fn gz(content: &[u8]) -> Vec<u8> {
    gzip(&[(content, 1)])
}

/// An entry of a zip.
struct Entry<'a> {
    name: &'a [u8],
    packed: &'a [u8],
    /// Checksum, and size when unpacked.
    content: (u32, u32),
    /// The offset of its local header; `None` means after the existing bytes.
    at: Option<u32>,
}

fn entry<'a>(name: &'a [u8], content: &[u8], packed: &'a mut Vec<u8>) -> Entry<'a> {
    *packed = deflate(content);
    packed.extend_from_slice(&[3, 0]);
    let mut crc = flate2::Crc::new();
    crc.update(content);
    Entry { name, packed, content: (crc.sum(), crc.amount()), at: None }
}

/// A zip of these entries, without any check.
fn zip(entries: &[Entry<'_>]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    let int = |number: usize| u32::try_from(number).expect("a small zip");
    for Entry { name, packed, content: (crc, size), at } in entries {
        let mut common = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
        for number in [*crc, int(packed.len()), *size] {
            common.extend_from_slice(&number.to_le_bytes());
        }
        common.extend_from_slice(&int(name.len()).to_le_bytes());
        let offset = at.unwrap_or_else(|| int(file.len()));
        if at.is_none() {
            file.extend_from_slice(&[b"PK\x03\x04", &common[..], name, packed].concat());
        }
        directory
            .extend_from_slice(&[b"PK\x01\x02\x14\0", &common[..], &[0; 10], &offset.to_le_bytes(), name].concat());
    }
    let count = u16::try_from(entries.len().min(0xffff)).expect("cut to 16 bits").to_le_bytes();
    let (size, at) = (int(directory.len()).to_le_bytes(), int(file.len()).to_le_bytes());
    [&file[..], &directory, b"PK\x05\x06\0\0\0\0", &count, &count, &size, &at, &[0, 0]].concat()
}

const MIB: usize = 1 << 20;

#[test]
fn a_gzip_of_a_thousand_to_one() {
    let bomb = gzip(&[(&vec![b' '; MIB], 1000)]);
    attack("gzip 1000:1, a GB", "a!example.com!1!2.xml.gz", &bomb, &Ends::Rejected(1, "100 MiB inflated"));
    let inner = gzip(&[(&vec![b' '; MIB], 60)]);
    let mut packed = Vec::new();
    let bomb = zip(&[entry(b"a.xml.gz", &inner, &mut packed)]);
    attack("gzip 1000:1 in a zip", "a!example.com!1!2.zip", &bomb, &Ends::Rejected(1, "1000 times its size inflated"));
}

#[test]
fn a_zip_of_one_kernel_with_many_names() {
    let kernel = vec![b' '; 16 * MIB];
    let mut packed = Vec::new();
    let names: Vec<String> = (0..900).map(|number| format!("{number}.xml")).collect();
    let first = entry(b"first.xml", &kernel, &mut packed);
    let content = first.content;
    let mut entries: Vec<Entry<'_>> =
        names.iter().map(|name| Entry { name: name.as_bytes(), packed: first.packed, content, at: Some(0) }).collect();
    entries.insert(0, Entry { name: b"first.xml", packed: first.packed, content, at: None });
    attack("zip, 900 members over one kernel", "a.zip", &zip(&entries), &Ends::Rejected(1, "lie over each other"));
}

#[test]
fn sizes_that_lie() {
    let xml = report("lies", &row("192.0.2.2"));
    let mut lying = gz(xml.as_bytes());
    let at = lying.len() - 4;
    lying[at..].copy_from_slice(&u32::MAX.to_le_bytes());
    attack("gzip that says 4 GB", "a.xml.gz", &lying, &Ends::Rejected(1, "gzip: damaged"));
    let mut packed = Vec::new();
    let mut said = entry(b"a.xml", xml.as_bytes(), &mut packed);
    said.content.1 = u32::MAX - 1;
    attack("zip that says 4 GB unpacked", "a.zip", &zip(&[said]), &Ends::Clean);
    let mut file = zip(&[entry(b"a.xml", xml.as_bytes(), &mut packed)]);
    let at = file.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory");
    file[at + 20..at + 24].copy_from_slice(&[0xfe; 4]);
    attack("zip that says 4 GB packed", "a.zip", &file, &Ends::Rejected(1, "cut short"));
}

#[test]
fn a_thousand_members_of_a_hundred_kilobytes() {
    let members = gz(&vec![b' '; 100_000]).repeat(times(990));
    let file = [gz(report("Receiver", "").as_bytes()), members].concat();
    attack("gzip of 990 members of 100 kB", "a.xml.gz", &file, &Ends::Clean);
}

#[test]
fn a_million_empty_members() {
    let gz = gz(b"").repeat(1_000_000);
    attack("gzip of 10^6 empty members", "a.xml.gz", &gz, &Ends::Rejected(1, "1000 archive members"));
    let mut packed = Vec::new();
    let first = entry(b"a", b"", &mut packed);
    let entries: Vec<Entry<'_>> = (0..1_000_000)
        .map(|n| Entry { name: b"a", packed: first.packed, content: first.content, at: (n > 0).then_some(0) })
        .collect();
    attack("zip of 10^6 empty members", "a.zip", &zip(&entries), &Ends::Rejected(1, "1000 archive members"));
}

/// A mail with these header lines and this body.
fn mail(headers: &str, body: &str) -> String {
    format!(
        "From: d@example.net\r\nTo: dmarc@example.com\r\nSubject: Report Domain: example.com\r\n{headers}\r\n{body}"
    )
}

#[test]
fn a_hundred_thousand_parts() {
    let parts = "--b\r\nContent-Type: application/gzip\r\n\r\nx\r\n".repeat(100_000);
    let mail = mail("Content-Type: multipart/mixed; boundary=b\r\n", &parts);
    attack("10^5 MIME parts", "a.eml", mail.as_bytes(), &Ends::Rejected(1, "1000 MIME parts"));
}

#[test]
fn a_thousand_levels() {
    let nested = (0..1000).fold(String::new(), |all, level| {
        all + &format!("Content-Type: multipart/mixed; boundary=\"b{level}\"\r\n\r\n--b{level}\r\n")
    });
    let bytes = mail("", "").replace("\r\n\r\n", "\r\n") + &nested;
    attack("multiparts 1,000 deep", "a.eml", bytes.as_bytes(), &Ends::Rejected(1, "the limit is 16"));
    let nested = "From: d@example.net\r\nContent-Type: message/rfc822\r\n\r\n".repeat(1000);
    attack("mails 1,000 deep", "b.eml", nested.as_bytes(), &Ends::Rejected(1, "the limit is 16"));
    let archive = (0..1000).fold(b"end".to_vec(), |inner, _| gz(&inner));
    attack("gzip files 1,000 deep", "a.xml.gz", &archive, &Ends::Rejected(1, "the limit is 3"));
    let deep = report("deep", &format!("{}{}{}", "<x>".repeat(1000), "</x>".repeat(1000), row("192.0.2.3")));
    attack("elements 1,000 deep", "a.xml", deep.as_bytes(), &Ends::Rejected(1, "32 elements"));
}

#[test]
fn ten_million_records() {
    let records =
        gzip(&[(head("many").as_bytes(), 1), (&b"<record/>".repeat(10_000), times(1000)), (b"</feedback>", 1)]);
    attack("10^7 empty records", "a.xml.gz", &records, &Ends::Rejected(1, "records"));
    // Those are stopped as a bomb; making them takes longer than that.
    if std::env::var_os("DMARQUET_MEASURE").is_none() {
        return;
    }
    let record = row("192.0.2.4");
    let records = gzip(&[(head("more").as_bytes(), 1), (record.repeat(1000).as_bytes(), 10_000), (b"</feedback>", 1)]);
    attack("10^7 whole records", "a.xml.gz", &records, &Ends::Rejected(1, "100 MiB inflated"));
}

#[test]
fn a_report_at_the_limits() {
    let mut records = String::new();
    for number in 0..100_u32 {
        records += &row(&format!("192.0.2.{number}"));
    }
    let file = gzip(&[(head("large").as_bytes(), 1), (records.as_bytes(), times(2200)), (b"</feedback>", 1)]);
    attack("220,000 records, 93 MiB", "a.xml.gz", &file, &Ends::Clean);
}

#[test]
fn an_element_of_a_hundred_megabytes() {
    // Not quite all the same: that would be over the ratio before it is too long.
    let x: Vec<u8> = (0..MIB).map(|at| if at % 256 == 0 { b"abcdefghijklm"[at / 256 % 13] } else { b'x' }).collect();
    let (before, after) = (report("large", "\0"), row("192.0.2.5"));
    let before = before.split('\0').next().expect("a head").as_bytes();
    let comment =
        gzip(&[(before, 1), (b"<x>", 1), (&x, times(99)), (b"</x>", 1), (after.as_bytes(), 1), (b"</feedback>", 1)]);
    attack("an unknown element of 100 MB", "a.xml.gz", &comment, &Ends::Clean);
    let (before, after) = report("0", &row("192.0.2.6"))
        .split_once("<org_name>0")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .expect("a name");
    let name = gzip(&[(before.as_bytes(), 1), (b"<org_name>", 1), (&x, times(99)), (after.as_bytes(), 1)]);
    attack("an org_name of 100 MB", "a.xml.gz", &name, &Ends::Stored("text.cut"));
    let tag = gzip(&[(b"<feedback><", 1), (&x, times(99)), (b">", 1)]);
    attack("an element's name of 100 MB", "a.xml.gz", &tag, &Ends::Rejected(1, ""));
    let open = gzip(&[(b"<feedback><!--", 1), (&x, times(99))]);
    attack("a comment of 100 MB without end", "a.xml.gz", &open, &Ends::Rejected(1, ""));
    let tags = gzip(&[(b"<feedback>", 1), (&b"<x>".repeat(100_000), times(330))]);
    attack("33 million open tags", "a.xml.gz", &tags, &Ends::Rejected(1, ""));
    let tags = gzip(&[(b"<feedback>", 1), (&b"</x>".repeat(100_000), times(250))]);
    attack("25 million stray end tags", "a.xml.gz", &tags, &Ends::Rejected(1, "1000000 tags without a partner"));
}

#[test]
fn a_million_attributes() {
    let attributes: String = (0..1_000_000).fold(String::new(), |mut all, number| {
        let _ = write!(all, " a{number}=\"{number}\"");
        all
    });
    let xml = report("attributes", &row("192.0.2.7")).replacen("<feedback", &format!("<feedback{attributes}"), 1);
    attack("10^6 attributes", "a.xml", xml.as_bytes(), &Ends::Clean);
    let xml =
        report("attributes", &row("192.0.2.7")).replacen("<row", &format!("<row{}", " a=\"\"".repeat(1_000_000)), 1);
    attack("10^6 attributes of one name", "a.xml", xml.as_bytes(), &Ends::Clean);
}

#[test]
fn floods_of_entities() {
    let mut laughs = "<?xml version=\"1.0\"?><!DOCTYPE feedback [<!ENTITY a0 \"ha\">".to_owned();
    for level in 1..100 {
        let _ = write!(laughs, "<!ENTITY a{level} \"{}\">", format!("&a{};", level - 1).repeat(10));
    }
    let laughs = laughs + "]>" + &report("&a99;", &row("192.0.2.8"));
    attack("a billion laughs", "a.xml", laughs.as_bytes(), &Ends::Rejected(1, "document type"));
    let outside = "<!DOCTYPE feedback SYSTEM \"file:///etc/passwd\">".to_owned() + &report("x", &row("192.0.2.8"));
    attack("an external DOCTYPE", "a.xml", outside.as_bytes(), &Ends::Rejected(1, "document type"));
    let known = report("0", &row("192.0.2.8"));
    let (before, after) = known.split_once("<org_name>0").expect("a name");
    for (what, entity, code) in [
        ("10^7 entities of XML", "&amp;", "text.cut"),
        ("10^7 unknown entities", "&nope;", "xml.entity"),
        ("10^7 character references", "&#8238;", "text.cut"),
    ] {
        let flood = entity.repeat(10_000);
        let file =
            gzip(&[(before.as_bytes(), 1), (b"<org_name>", 1), (flood.as_bytes(), times(1000)), (after.as_bytes(), 1)]);
        attack(what, "a.xml.gz", &file, &Ends::Stored(code));
    }
}

#[test]
fn a_million_distinct_findings() {
    let mut records = String::new();
    for number in 0..times(200_000) {
        let _ = write!(
            records,
            "<record><row><source_ip>no{number}</source_ip><count>1</count><policy_evaluated><disposition>d{number}\
             </disposition><dkim>k{number}</dkim><spf>s{number}</spf></policy_evaluated></row><identifiers><header_from>\
             -{number}-..</header_from></identifiers></record>"
        );
    }
    let xml = report("odd", &records);
    let tally = attack("10^6 distinct findings", "a.xml", xml.as_bytes(), &Ends::Stored("findings.more"));
    assert!(tally["findings"].as_array().is_some_and(|list| list.len() <= 101), "bounded a report");
    let (mut file, mut zipped) = (Vec::new(), Vec::new());
    for number in 0..990_u32 {
        let odd = (0..120).fold(String::new(), |odd, n| odd + &format!("<x{number}n{n}></y>"));
        file.push((format!("{number}.xml"), deflate_entry(&report(&format!("o{number}"), &(odd + &row("192.0.2.9"))))));
    }
    for (name, (packed, content)) in &file {
        zipped.push(Entry { name: name.as_bytes(), packed, content: *content, at: None });
    }
    let work = WorkDir::new();
    work.write("a.zip", zip(&zipped));
    let done = work.run(["ingest", "--format", "json", "a.zip"]);
    let tally = done.json();
    assert!(tally["findings"].as_array().is_some_and(|list| list.len() <= 10_000), "bounded a run");
}

fn deflate_entry(content: &str) -> (Vec<u8>, (u32, u32)) {
    let mut packed = Vec::new();
    let content = entry(b"", content.as_bytes(), &mut packed).content;
    (packed, content)
}

#[test]
fn names_with_every_control_character() {
    let controls: String =
        (1..32_u8).chain([127]).map(char::from).chain("\u{80}\u{9b}\u{202e}\u{2066}\u{feff}".chars()).collect();
    let xml = report("names", &row("192.0.2.10"));
    let mut packed = Vec::new();
    let name = format!("../../{controls}.xml");
    let file = zip(&[entry(name.as_bytes(), xml.as_bytes(), &mut packed)]);
    attack("a zip member's name of control characters", "a.zip", &file, &Ends::Stored("archive.hostile_name"));
    let file = zip(&[entry(name.as_bytes(), b"no report", &mut packed)]);
    attack("the same, unreadable", "a.zip", &file, &Ends::Rejected(1, ""));
    let file = controls.replace('\n', "") + ".xml";
    attack("a file's name of control characters", &file, b"no report", &Ends::Rejected(1, "expected XML"));
    let inside = controls.replace(['<', '&'], "");
    let xml = report(&inside, &row("192.0.2.10"));
    attack("an org_name of control characters", "a.xml", xml.as_bytes(), &Ends::Stored("text.control"));
    let parts = format!(
        "--b\r\nContent-Type: application/xml\r\nContent-Disposition: attachment; filename*=utf-8''{}\r\n\r\nno\r\n--b--\r\n",
        (1..32_u8).fold(String::new(), |all, byte| all + &format!("%{byte:02x}"))
    );
    let bytes = mail("Content-Type: multipart/mixed; boundary=b\r\n", &parts);
    attack("an attachment's name of control characters", "a.eml", bytes.as_bytes(), &Ends::Rejected(1, ""));
}

#[test]
fn utf_7_and_overlong_text() {
    let xml = report("seven", &row("192.0.2.11"));
    let seven = "<?xml version=\"1.0\" encoding=\"UTF-7\"?>".to_owned() + &xml.replace("seven", "+ADw-script+AD4-");
    // Read as the ASCII it is: no sign of a tag comes out of it.
    attack("UTF-7", "a.xml", seven.as_bytes(), &Ends::Clean);
    let whole = xml.replace('<', "+ADw-").replace('>', "+AD4-");
    attack("UTF-7 throughout", "a.xml", whole.as_bytes(), &Ends::Rejected(1, "expected XML"));
    let mut overlong = Vec::new();
    for part in xml.split("seven") {
        overlong.extend_from_slice(part.as_bytes());
        overlong.extend_from_slice(b"\xc0\xbcscript\xc0\xbe\xe0\x80\xaf\xf0\x80\x80\xaf");
    }
    overlong.truncate(overlong.len() - 17);
    attack("overlong UTF-8", "a.xml", &overlong, &Ends::Stored("text.encoding"));
}

#[test]
fn a_header_line_of_fifty_megabytes() {
    let line = "x".repeat(times(50) * MIB);
    let xml = report("header", &row("192.0.2.12"));
    let long = mail(&format!("X-Long: {line}\r\nContent-Type: application/xml\r\n"), &xml);
    attack("a header line of 50 MB", "a.eml", long.as_bytes(), &Ends::Clean);
    let folded =
        mail(&format!("Content-Type: application/xml; name=\"{}\"\r\n", "x\r\n ".repeat(times(10) * MIB)), &xml);
    attack("a header folded ten million times", "b.eml", folded.as_bytes(), &Ends::Clean);
    let only = format!("From: {line}");
    attack("a mail that is one line of 50 MB", "c.eml", only.as_bytes(), &Ends::SetAside);
}

#[test]
fn mailboxes_without_line_ends_and_of_nothing() {
    let line = ["From a Mon Nov 16 00:00:00 2026\n", &"From a Mon Nov 16 00:00 ".repeat(times(2_500_000))].concat();
    let expected = Ends::Rejected(1, "expected mail, as the file's name says");
    attack("an mbox of 60 MB without line ends", "a.mbox", line.as_bytes(), &expected);
    let line = ["From a Mon Nov 16 00:00:00 2026\n", &"x".repeat(80 * MIB)].concat();
    attack("an mbox of 80 MB without line ends", "b.mbox", line.as_bytes(), &Ends::Rejected(1, "the limit is 64 MiB"));
    let empty = "From a Mon Nov 16 00:00\n\n\n".repeat(10_000);
    let file = gzip(&[(empty.as_bytes(), 1000)]);
    attack("an mbox.gz of 10^7 empty mails", "c.mbox.gz", &file, &Ends::Rejected(1, ""));
}

#[test]
fn a_flood_of_junk_hides_no_report_and_costs_bounded_disk() {
    let (junk, reports) = (times(50_000), 50);
    let mut mailbox = String::new();
    for number in 0..junk {
        let separator = "From junk@example.net Mon Nov 16 00:00:00 2026\n";
        let headers = "Content-Type: application/gzip; name=\"a!example.com!1!2.xml.gz\"\n";
        let _ = write!(mailbox, "{separator}{}junk {number}\n\n", mail(headers, "").replace('\r', ""));
        if number % (junk / reports) == 0 {
            let headers = "Content-Type: application/xml; name=\"a!example.com!1!2.xml\"\n";
            let xml = report(&"r".repeat(number / (junk / reports) + 1), &row("192.0.2.13"));
            let _ = write!(mailbox, "{separator}{}{xml}\n\n", mail(headers, "").replace('\r', ""));
        }
    }
    let work = WorkDir::new();
    let size = mailbox.len();
    work.write("flood.mbox", mailbox);
    let (done, figures) = run(&work, &["ingest", "flood.mbox", "--format", "json"]);
    let tally = done.json();
    assert_eq!((done.code, tally["stored"]["reports"].as_u64()), (Some(1), Some(50)), "{}", done.stderr);
    let rejected = tally["rejected"].as_array().map_or(0, Vec::len) as u64;
    assert_eq!(rejected + tally["rejected_more"].as_u64().unwrap_or(0), junk as u64);
    assert!(done.stderr.lines().count() < 30, "{}", done.stderr);
    let kept = std::fs::read_dir(work.path("store/rejected")).expect("a folder").count();
    assert!(kept <= 10_000, "{kept} files");
    if let Some(figures) = figures {
        let end = format!("{reports} stored, {junk} rejected, {kept} files kept");
        print_flood(&format!("an mbox of {junk} junk mails and {reports} reports"), size, figures, &work, &end);
    }
    let status = work.run(["status", "--format", "json"]).json();
    assert_eq!(status["rejected"].as_u64(), Some(junk as u64));
    assert_eq!(status["rejected_let_go"].as_u64(), Some((junk - kept) as u64));
    assert_eq!(work.run(["verify"]).code, Some(0));
    let again = work.run(["ingest", "flood.mbox", "--format", "json"]);
    assert_eq!((again.code, again.json()["duplicates"].as_u64()), (Some(0), Some(junk as u64 + 50)), "known");
}

#[test]
fn a_flood_of_other_reports_under_one_key_costs_bounded_disk() {
    let (work, others) = (WorkDir::new(), times(12_000));
    let mut mailbox = String::new();
    for number in 0..=others {
        let headers = "Content-Type: application/xml; name=\"a!example.com!1!2.xml\"\n";
        let xml = report("same", &row(&format!("2001:db8::{number:x}")));
        let mail = mail(headers, "").replace('\r', "");
        let _ = write!(mailbox, "From a@example.net Mon Nov 16 00:00:00 2026\n{mail}{xml}\n\n");
    }
    let size = mailbox.len();
    work.write("flood.mbox", mailbox);
    let (done, figures) = run(&work, &["ingest", "flood.mbox", "--format", "json"]);
    assert_eq!((done.code, done.json()["conflicts"].as_u64()), (Some(0), Some(others as u64)), "{}", done.stderr);
    let kept = std::fs::read_dir(work.path("store/conflicts")).expect("a folder").count();
    assert_eq!(kept, others.min(10_000));
    let status = work.run(["status", "--format", "json"]).json();
    assert_eq!(status["conflicts_let_go"].as_u64(), Some((others - kept) as u64));
    if let Some(figures) = figures {
        let end = format!("1 stored, {others} conflicts, {kept} files kept");
        print_flood(&format!("an mbox of {others} other reports under one key"), size, figures, &work, &end);
    }
    assert_eq!(work.run(["verify"]).code, Some(0));
}

#[test]
fn a_mailbox_on_a_server_full_of_junk_gives_its_reports_and_costs_bounded_disk() {
    let Some(dovecot) = Dovecot::start(&[]) else { return };
    let measures = std::env::var_os("DMARQUET_MEASURE").is_some();
    let (junk, reports) = (if measures { 50_000 } else { 500 }, 50);
    for number in 0..junk {
        let headers = "Content-Type: application/gzip; name=\"a!example.com!1!2.xml.gz\"\r\n";
        dovecot.deliver("INBOX", &format!("junk{number}"), mail(headers, &format!("junk {number}\r\n")).as_bytes());
        if number % (junk / reports) == 0 {
            let xml = report(&"r".repeat(number / (junk / reports) + 1), &row("192.0.2.14"));
            let report = mail("Content-Type: application/xml; name=\"a!example.com!1!2.xml\"\r\n", &xml);
            dovecot.deliver("INBOX", &format!("report{number}"), report.as_bytes());
        }
    }
    let work = WorkDir::new();
    crate::mailbox::imap::settings(&work, &dovecot, "");
    let args = ["fetch", "--config", "config.toml", "--format", "json"];
    let (done, figures) = run(&work, &args);
    let tally = done.json();
    let rejected =
        tally["rejected"].as_array().map_or(0, Vec::len) as u64 + tally["rejected_more"].as_u64().unwrap_or(0);
    assert_eq!((done.code, tally["stored"]["reports"].as_u64()), (Some(1), Some(reports as u64)), "{}", done.stderr);
    assert_eq!(rejected, junk as u64);
    let kept = std::fs::read_dir(work.path("store/rejected")).expect("a folder").count();
    assert!(kept <= 10_000, "{kept} files");
    if let Some(figures) = figures {
        let end = format!("{reports} stored, {rejected} rejected, {kept} files kept");
        print_flood(
            &format!("{junk} junk mails and {reports} reports in a mailbox on a server"),
            junk * 200,
            figures,
            &work,
            &end,
        );
    }
    assert_eq!(work.run(["verify"]).code, Some(0));
    let again = work.run(args);
    assert_eq!(
        (again.code, again.json()["items"].as_u64()),
        (Some(0), Some(0)),
        "nothing is fetched twice: {again:#?}"
    );
}
