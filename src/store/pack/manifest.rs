//! The manifest of a pack: what is known about each report only from its mail, so that the tables can be rebuilt from
//! packs.

use crate::model::{Accepted, AcceptedTls, Finding, Hash, MailFacts, Original, Provenance, ReportKey, ReportKind};
use crate::store::tables::values::{LineFinding, sender_auth};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// The member that lists the rest.
pub(crate) const MANIFEST: &str = "manifest.ndjson";

/// One line of the manifest: where a report came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ManifestLine {
    /// `ReportKey`, as text.
    pub(crate) key: String,
    /// The member with the report; several documents of one file share one.
    pub(crate) member: String,
    /// The hash of the original's bytes.
    pub(crate) sha256: String,
    pub(crate) origin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attachment: Option<String>,
    #[serde(with = "rfc3339")]
    pub(crate) arrival: Timestamp,
    /// When it was first committed.
    #[serde(with = "rfc3339")]
    pub(crate) ingested: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mail: Option<LineMail>,
    /// The batch in which it replaced another report with its key, the last if there were several; 0: it replaced none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) replaced: i64,
    /// Whether the user decided that it counts: then only the user replaces it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) promoted: bool,
    /// Findings about the layers around the report, which only the whole item shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) findings: Vec<LineFinding>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// What a commit knows about a report besides its values.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Standing {
    /// When it was first committed.
    pub(crate) ingested: Timestamp,
    /// See [`ManifestLine::replaced`].
    pub(crate) replaced: i64,
    /// See [`ManifestLine::promoted`].
    pub(crate) promoted: bool,
}

/// Times in the manifest: RFC 3339, UTC.
mod rfc3339 {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// The facts of the outermost mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineMail {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) date: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from_domain: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authentication_results: Option<String>,
    pub(crate) sender_auth: String,
    /// Whether the report is in a mail attached to this one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) attached: bool,
}

impl From<&MailFacts> for LineMail {
    fn from(mail: &MailFacts) -> Self {
        Self {
            message_id: mail.message_id.clone(),
            date: mail.date.clone(),
            from_domain: mail.from_domain.clone(),
            authentication_results: mail.authentication_results.clone(),
            sender_auth: mail.sender_auth.as_str().to_owned(),
            attached: mail.attached,
        }
    }
}

impl LineMail {
    fn facts(&self) -> MailFacts {
        MailFacts {
            message_id: self.message_id.clone(),
            date: self.date.clone(),
            from_domain: self.from_domain.clone(),
            authentication_results: self.authentication_results.clone(),
            sender_auth: sender_auth(&self.sender_auth),
            attached: self.attached,
        }
    }
}

impl ManifestLine {
    /// The provenance it was created from.
    pub(crate) fn provenance(&self) -> Provenance {
        Provenance {
            origin: self.origin.clone(),
            attachment: self.attachment.clone(),
            arrival: self.arrival,
            mail: self.mail.as_ref().map(LineMail::facts),
        }
    }
}

/// A report on its way into a pack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PackItem<'a> {
    pub(crate) key: ReportKey,
    pub(super) kind: ReportKind,
    pub(super) original: &'a Arc<Original>,
    provenance: &'a Provenance,
    findings: &'a [Finding],
}

impl<'a> From<&'a Accepted> for PackItem<'a> {
    fn from(accepted: &'a Accepted) -> Self {
        let Accepted { report, original, provenance, findings, .. } = accepted;
        Self { key: report.key, kind: ReportKind::Aggregate, original, provenance, findings }
    }
}

impl<'a> From<&'a AcceptedTls> for PackItem<'a> {
    fn from(accepted: &'a AcceptedTls) -> Self {
        let AcceptedTls { report, original, provenance, findings } = accepted;
        Self { key: report.key, kind: ReportKind::Tls, original, provenance, findings }
    }
}

/// The kind of the reports in a member: its name says it.
pub(crate) fn kind_of(member: &str) -> ReportKind {
    let name = member.strip_suffix(".gz").unwrap_or(member);
    if Path::new(name).extension().is_some_and(|extension| extension == "json") {
        ReportKind::Tls
    } else {
        ReportKind::Aggregate
    }
}

/// The line of a report.
pub(super) fn line(report: &PackItem<'_>, key: String, member: String, hash: Hash, standing: Standing) -> ManifestLine {
    let Provenance { origin, attachment, arrival, mail } = report.provenance;
    ManifestLine {
        key,
        member,
        sha256: hash.to_string(),
        origin: origin.clone(),
        attachment: attachment.clone(),
        arrival: *arrival,
        ingested: standing.ingested,
        mail: mail.as_ref().map(LineMail::from),
        replaced: standing.replaced,
        promoted: standing.promoted,
        findings: report
            .findings
            .iter()
            .map(|finding| LineFinding { code: finding.code.as_str().to_owned(), detail: finding.detail.clone() })
            .collect(),
    }
}
