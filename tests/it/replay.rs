//! Fuzzing without a fuzzer: the corpus in `fuzz/corpus` and mutated samples, for as long as the time allows.
//!
//! Nothing may panic, and no input may take long. `DMARQUET_REPLAY_SECONDS` says how long (default 2); the seed is
//! fixed, so that what a longer run finds is found again.

use crate::workdir::{files_below, repository, samples};
use dmarquet::judge::judge;
use dmarquet::limits::Limits;
use dmarquet::normalise::{Context, Read, reports};
use dmarquet::unpack::{Content, mbox::Messages, unpack};
use jiff::Timestamp;
use std::time::{Duration, Instant};

/// What one input may take in a debug build on a busy machine.
const SOON: Duration = Duration::from_secs(20);

/// Numbers that look random and are the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % most.max(1)
    }
}

/// Words that steer a reader of mails, archives and XML.
const WORDS: [&[u8]; 16] = [
    b"<",
    b"</record>",
    b"<![CDATA[",
    b"<!DOCTYPE x [",
    b"&#x0;",
    b"\xff\xfe",
    b"\0",
    b"\r\n\r\n",
    b"\nFrom a Mon 00:00\n",
    b"--b--",
    b"=?utf-8?b?",
    b"PK\x05\x06",
    b"\x1f\x8b\x08",
    b"18446744073709551616",
    b"-9223372036854775808",
    b"\xf0\x9f\x92",
];

/// One to four changes: a bit, a word, a piece gone, doubled, or taken from another input.
fn mutate(input: &[u8], other: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let end = (at + random.below(64)).min(bytes.len());
        match random.below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 => drop(bytes.splice(at..at, WORDS[random.below(WORDS.len())].iter().copied())),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece.repeat(1 + random.below(100)));
            }
            4 => bytes.truncate(at),
            _ => {
                let from = random.below(other.len());
                let piece = &other[from..(from + random.below(512)).min(other.len())];
                bytes.splice(at..end, piece.iter().copied());
            }
        }
    }
    bytes
}

/// Through every byte door of the core, as a file, as a mail, as a mailbox and as XML.
fn enter(bytes: &[u8]) {
    let limits = Limits { inflated_bytes: 4 << 20, ..Limits::default() };
    for name in [None, Some("a!example.com!1794787200!1794873599.xml.gz")] {
        let unpacked = unpack(bytes.to_vec(), name, &limits);
        assert!(!unpacked.items.is_empty(), "a counted place");
        for unit in unpacked.items {
            if let Content::Report { xml, .. } = unit.content {
                read(&xml, unit.attachment.as_deref(), &limits);
            }
        }
    }
    read(bytes, None, &limits);
    assert!(Messages::new(bytes, 1 << 16).all(|message| message.is_ok()), "memory can be read");
}

fn read(xml: &[u8], attachment: Option<&str>, limits: &Limits) {
    let context = Context { attachment, arrival: Timestamp::MAX };
    let read = reports(xml, &context, limits);
    assert!(!read.is_empty(), "always an answer");
    for read in read {
        if let Read::Report { report, findings } = read {
            assert_eq!(judge(&report).0.len(), report.records.len());
            assert!(findings.len() <= limits.findings as usize + 1, "findings are bounded");
        }
    }
}

#[test]
fn mutated_samples_and_the_corpus_pass_every_byte_door() {
    let seconds = std::env::var("DMARQUET_REPLAY_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let corpus = repository().join("fuzz/corpus");
    let mut files = files_below(&samples());
    if corpus.is_dir() {
        files.extend(files_below(&corpus));
    }
    let inputs: Vec<Vec<u8>> = files.iter().map(|path| std::fs::read(path).expect("a readable file")).collect();
    let mut random = Random(7);
    let began = Instant::now();
    let mut executions = 0_u64;
    while began.elapsed() < Duration::from_secs(seconds) {
        let (input, other) = (random.below(inputs.len()), random.below(inputs.len()));
        let bytes = mutate(&inputs[input], &inputs[other], &mut random);
        let one = Instant::now();
        let done = std::panic::catch_unwind(|| enter(&bytes));
        let kept = std::env::temp_dir().join("dmarquet-replay-fault");
        if done.is_err() || one.elapsed() > SOON {
            std::fs::write(&kept, &bytes).expect("a file can be written");
            panic!("{} mutated, kept as {}: {:?}", files[input].display(), kept.display(), one.elapsed());
        }
        executions += 1;
    }
    println!("{executions} executions in {seconds} s");
}
