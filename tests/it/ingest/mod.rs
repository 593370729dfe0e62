//! From a report to its rows: samples and their goldens, order, duplicate keys, trusted and verified mail.

mod authentic;
mod golden;
mod properties;
mod rivals;
mod samples;
mod tls;
pub(crate) mod verified;
