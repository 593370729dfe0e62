//! `check`, `enrich` and name lookups against DNS servers on loopback.

mod enrich;
mod faults;
mod history;
mod ladder;
mod names;
mod spf;
mod transport;
mod zone;
