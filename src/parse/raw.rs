//! A report as written: slices of the document, nothing judged, nothing defaulted.
//!
//! `None` is a missing element; empty text is an empty element. Text is trimmed and its entities are decoded; nothing
//! else is changed.

use std::borrow::Cow;

/// The text of an element, if it is present.
pub type Value<'x> = Option<Cow<'x, str>>;

/// A report without its records.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RawReport<'x> {
    /// `version`.
    pub version: Value<'x>,
    /// `report_metadata`, if present.
    pub metadata: Option<RawMetadata<'x>>,
    /// `policy_published`, if present.
    pub policy: Option<RawPolicy<'x>>,
    /// How many `record` elements there were.
    pub records: u32,
}

/// `report_metadata`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the text of the element of its name")]
pub struct RawMetadata<'x> {
    pub org_name: Value<'x>,
    pub email: Value<'x>,
    pub extra_contact_info: Value<'x>,
    pub report_id: Value<'x>,
    pub begin: Value<'x>,
    pub end: Value<'x>,
    pub errors: Vec<Cow<'x, str>>,
    pub generator: Value<'x>,
}

/// `policy_published`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the text of the element of its name")]
pub struct RawPolicy<'x> {
    pub domain: Value<'x>,
    pub p: Value<'x>,
    pub sp: Value<'x>,
    pub np: Value<'x>,
    pub adkim: Value<'x>,
    pub aspf: Value<'x>,
    pub pct: Value<'x>,
    pub fo: Value<'x>,
    pub testing: Value<'x>,
    pub discovery_method: Value<'x>,
}

/// One `record`. The parser reuses a single value.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RawRecord<'x> {
    /// Its number in the report, from 1.
    pub number: u32,
    /// `row/source_ip`.
    pub source_ip: Value<'x>,
    /// `row/count`.
    pub count: Value<'x>,
    /// `row/policy_evaluated/disposition`.
    pub disposition: Value<'x>,
    /// `row/policy_evaluated/dkim`: the aligned result.
    pub evaluated_dkim: Value<'x>,
    /// `row/policy_evaluated/spf`: the aligned result.
    pub evaluated_spf: Value<'x>,
    /// `row/policy_evaluated/reason`, each.
    pub reasons: Vec<RawReason<'x>>,
    /// Whether there is an `identifiers`.
    pub has_identifiers: bool,
    /// `identifiers/header_from`.
    pub header_from: Value<'x>,
    /// `identifiers/envelope_from`.
    pub envelope_from: Value<'x>,
    /// `identifiers/envelope_to`.
    pub envelope_to: Value<'x>,
    /// Whether there is an `auth_results`.
    pub has_auth_results: bool,
    /// `auth_results/dkim`, each.
    pub dkim: Vec<RawDkim<'x>>,
    /// `auth_results/spf`, each.
    pub spf: Vec<RawSpf<'x>>,
}

impl RawRecord<'_> {
    /// Clears it, keeping the capacity of its lists.
    pub(super) fn clear(&mut self, number: u32) {
        let (mut reasons, mut dkim, mut spf) =
            (std::mem::take(&mut self.reasons), std::mem::take(&mut self.dkim), std::mem::take(&mut self.spf));
        reasons.clear();
        dkim.clear();
        spf.clear();
        *self = Self { number, reasons, dkim, spf, ..Self::default() };
    }
}

/// `reason`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RawReason<'x> {
    /// `type`.
    pub kind: Value<'x>,
    /// `comment`.
    pub comment: Value<'x>,
    /// Text directly in `reason`, as rspamd writes it; never empty.
    pub bare: Value<'x>,
}

/// `auth_results/dkim`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the text of the element of its name")]
pub struct RawDkim<'x> {
    pub domain: Value<'x>,
    pub selector: Value<'x>,
    pub result: Value<'x>,
    pub human_result: Value<'x>,
}

/// `auth_results/spf`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the text of the element of its name")]
pub struct RawSpf<'x> {
    pub domain: Value<'x>,
    pub scope: Value<'x>,
    pub result: Value<'x>,
    pub human_result: Value<'x>,
}
