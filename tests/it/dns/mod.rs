//! `check`, `enrich` and name lookups against DNS servers on loopback.

mod enrich;
mod faults;
mod history;
mod ladder;
mod names;
mod planted_days;
mod repaired_senders;
mod short_breaks;
mod sixty_days;
mod spf;
mod transport;
mod zone;
