//! Any bytes, as a file and as a mail, through `unpack`: no panic, and always a counted place.
#![no_main]

use dmarquet::limits::Limits;
use dmarquet::unpack::unpack;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { inflated_bytes: 1 << 20, ..Limits::default() };
    for name in [None, Some("report.xml.gz")] {
        assert!(!unpack(bytes.to_vec(), name, &limits).items.is_empty());
    }
});
