//! Each stage of the pipeline alone, on one core: `cargo bench --bench stages`. The figures are records per second.
//!
//! The reports are generated here, with addresses and results that vary as in real ones.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use dmarquet::analyze::{Adder, Question, Summary};
use dmarquet::fetch::{Fetched, Item};
use dmarquet::limits::Limits;
use dmarquet::model::{Findings, Report, Rows, SenderAuth, Verdict};
use dmarquet::normalize::{Context, Read, reports};
use dmarquet::parse::{Document, RawRecord, Visitor, decode, documents};
use dmarquet::present::{self, Branding, Style};
use dmarquet::store::{Collector, Writer};
use dmarquet::unpack::{Content, unpack};
use dmarquet::{ingest, judge};
use flate2::{Compression, write::GzEncoder};
use jiff::Timestamp;
use std::fmt::Write as _;
use std::io::Write as _;

/// Records of a report: most have a few, the largest receivers send thousands.
const SIZES: [u32; 3] = [3, 100, 10_000];
/// 16 November 2026.
const BEGIN: i64 = 1_794_787_200;

fn main() {
    divan::main();
}

/// A report as receivers write it.
fn xml(records: u32, number: u32) -> String {
    let end = BEGIN + 86_399;
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\" ?>\n<feedback>\n  <report_metadata>\n    <org_name>mx.example.net</org_name>\n    \
         <email>dmarc@mx.example.net</email>\n    <report_id>{number}</report_id>\n    <date_range>\n      \
         <begin>{BEGIN}</begin>\n      <end>{end}</end>\n    </date_range>\n  </report_metadata>\n  <policy_published>\n    \
         <domain>example.com</domain>\n    <adkim>r</adkim>\n    <aspf>r</aspf>\n    <p>reject</p>\n    <pct>100</pct>\n  \
         </policy_published>\n"
    );
    for record in 0..records {
        let result = if record % 7 == 0 { "fail" } else { "pass" };
        writeln!(
            text,
            "  <record>\n    <row>\n      <source_ip>192.0.2.{}</source_ip>\n      <count>{}</count>\n      <policy_evaluated>\n        \
             <disposition>none</disposition>\n        <dkim>{result}</dkim>\n        <spf>pass</spf>\n      </policy_evaluated>\n    \
             </row>\n    <identifiers>\n      <header_from>example.com</header_from>\n    </identifiers>\n    <auth_results>\n      \
             <dkim>\n        <domain>example.com</domain>\n        <selector>s{}</selector>\n        <result>{result}</result>\n      \
             </dkim>\n      <spf>\n        <domain>bounce.example.com</domain>\n        <result>pass</result>\n      </spf>\n    \
             </auth_results>\n  </record>",
            record % 251,
            record % 97 + 1,
            record % 5,
        )
        .expect("a string takes all");
    }
    text + "</feedback>\n"
}

fn gzip(xml: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(xml.as_bytes()).and_then(|()| encoder.finish()).expect("memory takes all")
}

fn context() -> Context<'static> {
    Context { attachment: None, arrival: Timestamp::from_second(BEGIN + 90_000).expect("a time of our days") }
}

fn model(xml: &str) -> Report {
    match reports(xml.as_bytes(), &context(), &Limits::default()).pop() {
        Some(Read::Report { report, .. }) => report,
        other => panic!("expected a report, found {other:?}"),
    }
}

fn rows(records: u32) -> Rows {
    let report = model(&xml(records, 1));
    let verdicts: Vec<Verdict> = judge::judge(&report).0;
    let mut collector = Collector::new();
    collector.push(&report, (&verdicts, SenderAuth::Unknown), usize::MAX, |_| {});
    collector.take()
}

fn summary(records: u32) -> Summary {
    let adder = Adder::new(&Question::default());
    adder.rows(&rows(records));
    adder.finish()
}

#[divan::bench(args = SIZES)]
fn unpack_gzip(bencher: Bencher<'_, '_>, records: u32) {
    let bytes = gzip(&xml(records, 1));
    bencher.counter(ItemsCount::new(records)).with_inputs(|| bytes.clone()).bench_values(|bytes| {
        let unpacked = unpack(bytes, Some("report.xml.gz"), &Limits::default());
        assert!(matches!(unpacked.items[..], [ref unit] if matches!(unit.content, Content::Report { .. })));
        unpacked
    });
}

/// Takes records and discards them.
struct Nothing;

impl<'x> Visitor<'x> for Nothing {
    fn record(&mut self, record: &mut RawRecord<'x>, _: &mut Findings) {
        black_box(record);
    }
}

#[divan::bench(args = SIZES)]
fn parse(bencher: Bencher<'_, '_>, records: u32) {
    let xml = xml(records, 1);
    bencher.counter(ItemsCount::new(records)).bench_local(|| {
        let decoded = decode(black_box(xml.as_bytes()));
        let read = documents(&decoded.text, &Limits::default(), || Nothing);
        assert!(matches!(read[..], [Document::Report { .. }]));
    });
}

#[divan::bench(args = SIZES)]
fn parse_and_normalize(bencher: Bencher<'_, '_>, records: u32) {
    let xml = xml(records, 1);
    bencher.counter(ItemsCount::new(records)).bench_local(|| model(black_box(&xml)));
}

#[divan::bench(args = SIZES)]
fn judge_rows(bencher: Bencher<'_, '_>, records: u32) {
    let report = model(&xml(records, 1));
    bencher.counter(ItemsCount::new(records)).bench_local(|| judge::judge(black_box(&report)));
}

/// From files in memory to a synced store on disk, on all cores.
#[divan::bench(args = [(2_000, 3), (4, 10_000)], sample_count = 10)]
fn ingest_to_store(bencher: Bencher<'_, '_>, (files, records): (u32, u32)) {
    let bytes: Vec<Vec<u8>> = (0..files).map(|number| gzip(&xml(records, number))).collect();
    let arrival = context().arrival;
    let source = || {
        let item = |(number, bytes): (usize, &Vec<u8>)| {
            Ok(Fetched::Item(Item {
                origin: number.to_string(),
                name: Some("report.xml.gz".into()),
                bytes: bytes.clone(),
                arrival,
                message: None,
            }))
        };
        bytes.iter().enumerate().map(item).collect::<Vec<_>>()
    };
    bencher
        .counter(ItemsCount::new(files * records))
        .with_inputs(|| {
            let folder = tempfile::tempdir().expect("a folder for the store");
            let writer = Writer::open(folder.path(), arrival).expect("a new store");
            (folder, writer, source())
        })
        .bench_local_values(|(folder, mut writer, items)| {
            let tally = ingest::run(
                items.into_iter(),
                &mut writer,
                &ingest::IngestOptions { now: arrival, ..ingest::IngestOptions::default() },
                &mut (),
            )
            .expect("the store is written");
            assert_eq!(tally.stored.reports, u64::from(files));
            (folder, writer)
        });
}

#[divan::bench(args = SIZES)]
fn add_up(bencher: Bencher<'_, '_>, records: u32) {
    let rows = rows(records);
    bencher.counter(ItemsCount::new(records)).bench_local(|| {
        let adder = Adder::new(&Question::default());
        adder.rows(black_box(&rows));
        adder.finish()
    });
}

#[divan::bench(args = ["text", "markdown", "html", "json", "csv"])]
fn render(bencher: Bencher<'_, '_>, form: &str) {
    let summary = summary(10_000);
    bencher.bench_local(|| {
        let summary = black_box(&summary);
        match form {
            "text" => present::text(summary, &Branding::default(), &Style::default()),
            "markdown" => present::markdown(summary, &Branding::default()),
            "html" => present::html(summary, &Branding::default()),
            "json" => present::json(summary),
            _ => present::csv(summary),
        }
    });
}
