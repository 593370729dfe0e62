//! Any bytes through the whole core: unpack, parse, normalise, judge.
#![no_main]

use dmarquet::judge::judge;
use dmarquet::limits::Limits;
use dmarquet::normalise::{Context, Read, reports};
use dmarquet::unpack::{Content, unpack};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { inflated_bytes: 1 << 20, ..Limits::default() };
    for unit in unpack(bytes.to_vec(), None, &limits).items {
        let Content::Report { xml, .. } = unit.content else { continue };
        let context = Context { attachment: unit.attachment.as_deref(), arrival: Timestamp::MAX };
        for read in reports(&xml, &context, &limits) {
            if let Read::Report { report, .. } = read {
                assert_eq!(judge(&report).0.len(), report.records.len());
            }
        }
    }
});
