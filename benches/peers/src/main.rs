//! From gzip bytes in memory to a model on one core: dmarquet, mail-auth 0.13.3's `parse_xml`, and a bare quick-xml event
//! scan, in one run.
//!
//! usage: peers ROUNDS DIR...    every .gz file below each folder; medians over the rounds, alternating
//! PEERS_ONLY=dmarquet leaves the others out, for a profiler: README.md says how instructions are counted.

use dmarquet::limits::Limits;
use dmarquet::normalize::{Context, Read, content_hash, each_report, reports};
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

type Contender = (&'static str, fn(&[u8]) -> usize);

const CONTENDERS: &[Contender] = &[
    ("inflate", |xml| usize::from(xml.is_empty())),
    ("dmarquet", dmarquet),
    ("mail-auth", mail_auth),
    ("quick-xml events", events),
    ("dmarquet, hashed", hashed),
    ("dmarquet, judged", judged),
];

fn main() {
    let mut args = std::env::args().skip(1);
    let rounds: usize = args.next().and_then(|rounds| rounds.parse().ok()).expect("how many rounds");
    for folder in args {
        let mut files = Vec::new();
        gather(Path::new(&folder), &mut files);
        println!("{folder}: {} files", files.len());
        compare(&files, rounds);
    }
}

fn compare(files: &[Vec<u8>], rounds: usize) {
    let mut times = vec![Vec::new(); CONTENDERS.len()];
    let mut records = 0;
    let only = std::env::var("PEERS_ONLY").ok();
    for _ in 0..rounds {
        for (index, (name, read)) in CONTENDERS.iter().enumerate() {
            if only.as_ref().is_some_and(|only| only != name) {
                times[index].push(Duration::ZERO);
                continue;
            }
            let (time, found) = measure(files, *read);
            times[index].push(time);
            if *name == "dmarquet" {
                records = found;
            }
        }
    }
    let medians: Vec<f64> = times.iter_mut().map(median).collect();
    for ((name, _), seconds) in CONTENDERS.iter().zip(&medians) {
        println!(
            "  {name:18} {:>9.0} k records/s  {:>8.2} us/report  {:>6.2} times mail-auth",
            records as f64 / seconds / 1e3,
            seconds * 1e6 / files.len() as f64,
            medians[2] / seconds
        );
    }
}

fn median(times: &mut Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

// The profiler counts what happens below it.
#[inline(never)]
fn measure(files: &[Vec<u8>], read: fn(&[u8]) -> usize) -> (Duration, usize) {
    let mut xml = Vec::new();
    let start = Instant::now();
    let mut records = 0;
    for file in files {
        xml.clear();
        flate2::bufread::GzDecoder::new(&file[..]).read_to_end(&mut xml).expect("whole gzip");
        records += read(&xml);
    }
    (start.elapsed(), records)
}

fn context() -> Context<'static> {
    Context { attachment: None, arrival: jiff::Timestamp::from_second(1_800_000_000).expect("in range") }
}

fn dmarquet(xml: &[u8]) -> usize {
    let read = reports(std::hint::black_box(xml), &context(), &Limits::default());
    std::hint::black_box(&read).iter().map(|read| match read {
        Read::Report { report, .. } => report.records.len(),
        _ => panic!("no report"),
    }).sum()
}

// What `ingest` does besides, to tell a duplicate from a conflict.
fn hashed(xml: &[u8]) -> usize {
    let mut records = 0;
    each_report(std::hint::black_box(xml).into(), 0, &context(), &Limits::default(), |read, document| match read {
        Read::Report { report, .. } => {
            std::hint::black_box(content_hash(document));
            records += std::hint::black_box(report).records.len();
        }
        _ => panic!("no report"),
    });
    records
}

fn judged(xml: &[u8]) -> usize {
    let read = reports(std::hint::black_box(xml), &context(), &Limits::default());
    read.iter().map(|read| match read {
        Read::Report { report, .. } => std::hint::black_box(dmarquet::judge::judge(report)).0.len(),
        _ => panic!("no report"),
    }).sum()
}

fn mail_auth(xml: &[u8]) -> usize {
    let report = mail_auth::report::Report::parse_xml(std::hint::black_box(xml)).expect("a report");
    std::hint::black_box(&report).records().len()
}

fn events(xml: &[u8]) -> usize {
    let mut reader = quick_xml::Reader::from_str(std::str::from_utf8(xml).expect("UTF-8"));
    let mut count = 0;
    while !matches!(reader.read_event().expect("well-formed"), quick_xml::events::Event::Eof) {
        count += 1;
    }
    count
}

fn gather(folder: &Path, files: &mut Vec<Vec<u8>>) {
    let mut paths: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            gather(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "gz") {
            files.push(std::fs::read(path).expect("a file"));
        }
    }
}
