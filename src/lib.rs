//! DMARC aggregate reports from any bytes to columns, and from columns to answers.
//!
//! # The journey
//!
//! ```text
//! fetch ──► unpack ──► parse ──► normalize ──► judge ──► store ──► analyze ──► present ──► (send)
//! bytes     report     as        model +       model +   columns   sums that   bytes for
//! + origin  bytes      written   findings      verdicts  on disk   merge       people
//! ```
//!
//! | stage | takes | gives | must not |
//! |---|---|---|---|
//! | [`fetch`] | paths, mailboxes | items: bytes with an origin | look inside a report |
//! | [`unpack`] | any bytes | the XML of each report, told by content | believe a name or a declared size |
//! | [`parse`] | XML of any encoding and dialect | the report as written, record by record | judge, default or drop |
//! | [`normalize`] | as written | [`model::Report`] and findings | guess without a finding |
//! | [`judge`] | the model | one [`model::Verdict`] a record | touch the network |
//! | `store` | judged reports | a data folder that survives a kill at any instant | lose or double |
//! | `analyze` | columns | answers | read files, the clock, or print |
//! | `present` | answers | text, Markdown, HTML, JSON, CSV | compute |
//!
//! [`limits`] bounds every stage; `ingest` composes them; `simulate` judges stored mail by records that are only
//! proposed; `dns` is the live side, on the way of a report only where its mail is to be verified; `send` mails finished
//! bytes; `alert` tells what changed, once; `site` keeps
//! static pages of all weeks; `cli` is the only home of clap, anyhow, stdout and exit codes.
//!
//! The core alone, from an attachment to the verdict on its rows:
//!
//! ```
//! use dmarquet::{judge, limits::Limits, normalize, unpack};
//!
//! let xml = "<feedback>
//!   <report_metadata><org_name>mx.example.net</org_name><report_id>1</report_id>
//!     <date_range><begin>1795392000</begin><end>1795478399</end></date_range></report_metadata>
//!   <policy_published><domain>example.com</domain><p>reject</p></policy_published>
//!   <record><row><source_ip>192.0.2.7</source_ip><count>3</count>
//!     <policy_evaluated><disposition>reject</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>
//!     <identifiers><header_from>example.com</header_from></identifiers>
//!     <auth_results><dkim><domain>esp.example</domain><result>pass</result></dkim></auth_results></record>
//! </feedback>";
//! let limits = Limits::default();
//! let unpacked = unpack::unpack(xml.into(), Some("report.xml"), &limits);
//! let unpack::Content::Report { xml, .. } = &unpacked.items[0].content else { panic!("not a report") };
//! let context = normalize::Context { attachment: None, arrival: "2026-11-24T06:00:00Z".parse()? };
//! let normalize::Read::Report { report, findings } = &normalize::reports(xml, &context, &limits)[0] else {
//!     panic!("not readable")
//! };
//! let (verdicts, _) = judge::judge(report);
//! assert_eq!((report.day.to_string(), report.records[0].count), ("2026-11-23".to_owned(), 3));
//! assert_eq!(verdicts[0].cause.as_str(), "authenticated_unaligned");
//! assert!(findings.is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! From `unpack` to `judge` everything is a pure function from bytes to values. Imports run downhill only
//! (`tests/it/layering.rs` holds the table). Cargo features: none for that core; `store` adds the data folder, the
//! answers and their renderings; `imap` the poller; `dns` the live side; `cli` (default) the program.

pub mod fetch;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod judge;
pub mod limits;
pub mod model;
pub mod normalize;
pub mod parse;
pub mod unpack;

#[cfg(feature = "store")]
pub mod alert;
#[cfg(feature = "store")]
pub mod analyze;
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
#[cfg(all(feature = "store", feature = "dns"))]
pub mod simulate;
#[cfg(feature = "store")]
pub mod site;
#[cfg(feature = "store")]
pub mod store;
