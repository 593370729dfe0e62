//! The data model: plain values that every later stage shares. No XML, no input or output, no judgment.

mod arrival;
mod days;
mod dns_record;
mod domain;
mod finding;
mod mail;
mod numbers;
mod origin;
mod owners;
mod record;
mod report;
mod rows;
mod shared;
mod tags;
mod tls_report;
mod verdict;
mod words;

pub use arrival::{Accepted, Original, Provenance};
pub use days::{days_since_epoch, midnight, monday, utc_day};
pub use dns_record::{DnsChange, DnsHistory, DnsObservation, DnsSpan, DnsValue, RecordType, WatchedName, changes};
pub use domain::{Domain, ReturnPath};
pub use finding::{Finding, FindingCode, Findings, Quoted};
pub use mail::{Cursor, Fate, KnownUidl, MailFacts, MailboxProgress, Message, Proof, RawMail, ReportKind, SenderAuth};
pub use numbers::{count, counted};
pub use origin::{NetworkClass, SourceClass, SourceOrigin};
pub use owners::{Owners, WithheldNames};
pub use record::{DkimAuth, Reason, Record, SpfAuth};
pub use report::{Hash, Metadata, PolicyPublished, Report, ReportKey};
pub use rows::{
    ColumnSet, Flags, ReportHead, ReportNotes, Rows, SIGNATURES_READ, SignatureColumns, SourceAddress, Words,
    is_in_network, parse_network, signature_line, speaks_of_body,
};
pub use shared::SharedBytes;
pub use tags::{Tag, Tags, is_tag_name};
pub use tls_report::{AcceptedTls, TLS_RESULT_TYPES, TlsFailure, TlsPolicy, TlsPolicyRow, TlsReport};
pub use verdict::{Cause, Mismatch, Verdict};
pub use words::{Disposition, DkimResult, Evaluated, ReasonType, SpfResult, SpfScope};

/// Text of a report. Up to 24 bytes are stored inline: most domains, selectors and keywords never touch the heap.
pub type Text = compact_str::CompactString;
