//! The program tested as a program, in one binary: each further integration test would link polars again.

#![allow(
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "a test that cannot go on has failed, and may be slow"
)]
#![allow(dead_code, reason = "the Dovecot and the scripted server serve the unit tests of fetch/imap too")]

mod acknowledge;
mod alerts;
mod authentic;
mod backup;
mod bounds;
mod cli_mail;
mod cli_store;
mod cli_usage;
mod convert;
mod crash;
mod customers;
mod dns_enrich;
mod dns_faults;
mod dns_servers;
mod dns_spf;
mod dns_zone;
mod docs;
mod fault_injection;
mod faults;
mod golden;
mod hostile;
mod imap_dovecot;
mod imap_program;
mod imap_scenarios;
mod imap_server;
mod journey;
mod lake;
mod layering;
mod metrics;
mod mmdb;
mod names;
mod pop3_program;
mod privacy;
mod properties;
mod readers;
mod renderings;
mod rivals;
mod simulate;
mod site;
mod smtp;
mod verified;
mod workdir;
