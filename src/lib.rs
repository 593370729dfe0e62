//! DMARC aggregate reports from any bytes to columns, and from columns to answers.
//!
//! # The journey
//!
//! ```text
//! fetch ──► unpack ──► parse ──► normalise ──► judge ──► store ──► analyse ──► present ──► (send)
//! bytes     report     as        model +       model +   columns   sums that   bytes for
//! + origin  bytes      written   findings      verdicts  on disk   merge       people
//! ```
//!
//! | stage | takes | gives | must not |
//! |---|---|---|---|
//! | [`fetch`] | paths, mailboxes | items: bytes with an origin | look inside a report |
//! | [`unpack`] | any bytes | the XML of each report, told by content | believe a name or a declared size |
//! | [`parse`] | XML of any encoding and dialect | the report as written, record by record | judge, default or drop |
//! | [`normalise`] | as written | [`model::Report`] and findings | guess without a finding |
//! | [`judge`] | the model | one [`model::Verdict`] a record | touch the network |
//! | `store` | judged reports | a data folder that survives a kill at any instant | lose or double |
//! | `analyse` | columns | answers | read files, the clock, or print |
//! | `present` | answers | text, Markdown, HTML, JSON, CSV | compute |
//!
//! [`limits`] bounds every stage; `ingest` composes them; `dns` is the live side, never on the way of a report;
//! `send` mails finished bytes; `cli` is the only home of clap, anyhow, stdout and exit codes.
//!
//! From `unpack` to `judge` everything is a pure function from bytes to values. Imports run downhill only
//! (`tests/it/layering.rs` holds the table). Cargo features: none for that core; `store` adds the data folder, the
//! answers and their renderings; `imap` the poller; `dns` the live side; `cli` (default) the program.

pub mod fetch;
pub mod judge;
pub mod limits;
pub mod model;
pub mod normalise;
pub mod parse;
pub mod unpack;

#[cfg(feature = "store")]
pub mod analyse;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "dns")]
pub mod dns;
#[cfg(feature = "store")]
pub mod ingest;
#[cfg(feature = "store")]
pub mod present;
#[cfg(feature = "cli")]
pub mod send;
#[cfg(feature = "store")]
pub mod store;
