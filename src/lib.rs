//! Reads DMARC aggregate reports and SMTP TLS reports from any bytes, stores them as Parquet, and summarizes who sends
//! mail as your domains.
//!
//! To read reports in your own program, start with the example below: [`unpack::unpack`], [`normalize::reports`] and
//! [`judge::judge`] need no feature, file, clock or network.
//!
//! # Stages
//!
//! ```text
//! fetch ──► unpack ──► parse ──► normalize ──► judge ──► store ──► analyze ──► present ──► send
//! items     report     as        model and     causes    Parquet   answers     bytes for
//!           XML        written   findings                                      people
//! ```
//!
//! | module | responsible for | does not |
//! |---|---|---|
//! | [`fetch`] | items (bytes with an origin) from files, IMAP and POP3 | look inside a report |
//! | [`unpack`] | the XML of each report in any bytes, recognized by content | trust a name or a declared size |
//! | [`parse`] | XML of any encoding and dialect, record by record, as written | judge, default or drop anything |
//! | [`normalize`] | [`model::Report`] and a finding for each guess | guess silently |
//! | [`judge`] | alignment and cause of each record | use the network |
//! | `store` | a data folder that stays consistent if the program is killed | parse, or lose a report or store it twice |
//! | `analyze` | sums, senders, verdicts, actions and events from rows | read files or the clock, or print |
//! | `present` | answers as text, Markdown, HTML, JSON, CSV and mail | compute |
//!
//! `ingest` runs the stages, and [`limits`] bounds each of them. The other modules use them: `dns` checks records and
//! verifies mails, `simulate` judges stored mail by proposed records, `query` answers SQL, `alert` reports each change
//! once, `site` writes an archive of static pages, `send` delivers mail. `cli` is the only module that uses clap, anyhow,
//! standard output and exit codes.
//!
//! # Folders
//!
//! A large module is divided into folders. Each folder imports only from those to its left.
//!
//! ```text
//! store     tables, disk | pack, parquet | ledger | read, write | upkeep, export
//! analyze   period, thresholds, question | sums | senders | figures | actions | answers, events
//! dns       lookup | dkim, dmarc, spf, hosts | transport, proposals | posture, verify
//! fetch     mailbox (account, secrets, TLS) | files, pop3, imap | poll
//! present   wording | page | text, markup, structured, archive
//! cli       terminal | settings | wiring | collect, report, setup, maintain
//! ```
//!
//! # Example
//!
//! From an attachment to the verdict on its rows:
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
//! From `unpack` to `judge` everything is a pure function from bytes to values. `tests/it/source/layering.rs` checks
//! which module may import which.
//!
//! # Cargo features
//!
//! | feature | adds |
//! |---|---|
//! | none | the core above: `fetch` for files, `unpack`, `parse`, `normalize`, `judge` |
//! | `store` | the data folder, the analysis, and its renderings |
//! | `imap` | mailboxes by IMAP and POP3 |
//! | `dns` | DNS checks, and verification of mails |
//! | `cli` (default) | the program, with all of the above |
//! | `query` | SQL over the tables |

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
#[cfg(feature = "query")]
pub mod query;
#[cfg(feature = "cli")]
pub mod send;
#[cfg(all(feature = "store", feature = "dns"))]
pub mod simulate;
#[cfg(feature = "store")]
pub mod site;
#[cfg(feature = "store")]
pub mod store;
