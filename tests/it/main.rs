//! The integration tests, in one binary: every further one would link the crate and its dependencies again.

#![allow(
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "a test that cannot go on has failed, and may be slow"
)]
#![allow(dead_code, reason = "the Dovecot and the scripted server serve the unit tests of fetch/imap too")]

mod cli;
mod dns;
mod export;
mod ingest;
mod mailbox;
mod robustness;
mod source;
mod summary;
mod support;

use support::{dns_servers, imap_dovecot, imap_server, mmdb, smtp, workdir};
