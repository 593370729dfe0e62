//! The data folder: a ledger, immutable Parquet parts, and the original reports. It survives a kill at any instant.
//!
//! One process writes ([`Writer`]), any number read ([`Store`]), and neither waits for the other. This module does not
//! parse reports, and does not know where bytes come from.

pub mod disk;
mod export;
mod ledger;
mod pack;
mod parquet;
mod read;
mod upkeep;
mod write;

pub(crate) mod error;

#[cfg(all(any(test, fuzzing), feature = "cli"))]
pub mod fuzzing;

pub mod tables;
#[cfg(test)]
pub(crate) mod tests;

pub use disk::access::Access;
pub use error::StoreError;
pub use export::folder::ExportFolder;
pub use export::format::RowFormat;
pub use export::manifest::{PartFiles, RUN};
pub use export::side_tables::SideTable;
pub use export::stream::{SideOutputs, Stream, StreamFormat};
#[cfg(feature = "query")]
pub(crate) use export::table_rows::{GroupRows, TableFiles, TableRows};
#[cfg(feature = "query")]
pub(crate) use export::text_rows::quote as quote_csv;
pub use export::verdicts::verdict_tables;
pub use ledger::events::{Acknowledgment, StoredEvent};
pub use ledger::lookups::{LookedUp, StoredName};
pub use ledger::networks::StoredNetwork;
pub use ledger::origins::{AddressRange, KeptRanges};
pub use ledger::outbox::{AlertMemory, AlertRun, MailboxRun, Undelivered, UnseenReport};
pub use ledger::rejected::{ConflictEntry, RejectedEntry};
pub use ledger::status::{FileTotals, FolderStatus, ReportTotals, ReporterTotals, Status};
pub use parquet::checked_read::is_reading;
#[cfg(feature = "query")]
pub(crate) use parquet::{checked_read::survive_engine, pages::options as part_options};
pub use read::status_sums::ReportedDomain;
pub use read::store::Store;
pub use tables::collect::{Collector, head};
pub use tables::domains::DomainRow;
pub use tables::filter::Filter;
pub use tables::filter::NewReports;
pub use tables::senders::SenderRow;
pub use tables::verdicts::{DayOfReports, KeptVerdicts, WeekVerdicts};
pub use upkeep::backup::{Backup, backup};
pub use upkeep::compact::Compacted;
pub use upkeep::rebuild::{Rebuild, Rebuilt};
pub use upkeep::rebuild_packs::{KeptReport, PackedReport};
pub use upkeep::verify::{Problem, Pruned};
pub use write::batch::{Added, BatchLimits, Reject, Rejected};
pub use write::rehearse::rehearse;
pub use write::rivals::{OriginalReader, ReportSums};
pub(crate) use write::seen::short_hash;
pub use write::seen::{Memory, SeenItem};
pub use write::writer::Writer;
