//! Replays every target over its corpus in `fuzz/corpus`, unchanged and mutated, without a fuzzer.
//!
//! No input may panic or take long. `DMARQUET_REPLAY_SECONDS` sets the time (default 2), `DMARQUET_FUZZ_TARGET` selects one target.
//! The seed is fixed, so a longer run finds the same input again.

use super::{TARGETS, Target};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What one input may take in a debug build on a busy machine.
const SOON: Duration = Duration::from_secs(20);

fn below(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

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

#[test]
fn every_target_has_a_fuzzer_and_every_fuzzer_a_target() {
    let targets = below("fuzz_targets");
    let fuzzers: Vec<&str> = targets.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    let mut fuzzing: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    fuzzing.sort_unstable();
    if cfg!(feature = "cli") {
        assert_eq!(fuzzers, fuzzing);
    } else {
        assert!(fuzzing.iter().all(|target| fuzzers.contains(target)), "{fuzzing:?} of {fuzzers:?}");
    }
}

#[test]
fn every_target_holds_over_its_corpus_as_it_is_and_mutated() {
    let seconds = std::env::var("DMARQUET_REPLAY_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(2.0);
    let only = std::env::var("DMARQUET_FUZZ_TARGET").ok();
    let fuzzing: Vec<_> = TARGETS.iter().filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name)).collect();
    let each = Duration::from_secs_f64(seconds) / u32::try_from(fuzzing.len().max(1)).expect("a few fuzzing");
    for (name, target) in &fuzzing {
        replay(name, *target, each);
    }
}

fn replay(name: &str, target: Target, time: Duration) {
    let inputs: Vec<(PathBuf, Vec<u8>)> =
        below(&format!("corpus/{name}")).into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    assert!(!inputs.is_empty(), "{name} has a corpus");
    for (path, bytes) in &inputs {
        println!("{}", path.display());
        target(bytes);
    }
    let mut random = Random(7);
    let began = Instant::now();
    let mut executions = 0_u64;
    while began.elapsed() < time {
        let ((path, input), (_, other)) = (&inputs[random.below(inputs.len())], &inputs[random.below(inputs.len())]);
        let bytes = mutate(input, other, &mut random);
        let one = Instant::now();
        let done = std::panic::catch_unwind(|| target(&bytes));
        if done.is_err() || one.elapsed() > SOON {
            let kept = std::env::temp_dir().join(format!("dmarquet-replay-{name}"));
            std::fs::write(&kept, &bytes).unwrap();
            panic!("{} mutated, kept as {}: {:?}", path.display(), kept.display(), one.elapsed());
        }
        executions += 1;
    }
    println!("{name}: {executions} executions in {time:?}");
}
