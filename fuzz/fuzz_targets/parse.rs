//! Any bytes as XML, decoded and read to the model: no panic, and always an answer.
#![no_main]

use dmarquet::limits::Limits;
use dmarquet::normalise::{Context, reports};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let context = Context { attachment: Some("a!b!1772496000!1772582399.xml"), arrival: Timestamp::MAX };
    assert!(!reports(bytes, &context, &Limits::default()).is_empty());
});
