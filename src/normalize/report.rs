//! Turns a report without its rows into the model. A report that names no domain or period is an error, not an empty
//! success.

use super::bounded::{NAME, bounded};
use super::domain::{canonical_domain, of_address};
use super::period::{TimeForm, period};
use super::words::lower;
use super::{Context, identity};
use crate::model::{Domain, FindingCode, Findings, Metadata, PolicyPublished, Quoted, Record, Report, ReportKey, Text};
use crate::parse::{RawMetadata, RawPolicy, RawReport, Value};

/// Builds the report.
///
/// # Errors
/// The reason to reject it: no metadata and no policy, no usable policy domain, or no usable period.
pub(super) fn report(
    raw: RawReport<'_>,
    records: Vec<Record>,
    document: &str,
    context: &Context<'_>,
    findings: &mut Findings,
) -> Result<Report, String> {
    if raw.metadata.is_none() && raw.policy.is_none() {
        return Err("expected report_metadata and policy_published, found neither".into());
    }
    let domain = policy_domain(raw.policy.as_ref())?;
    let written = raw.metadata.unwrap_or_default();
    let times = (written.begin.as_deref(), written.end.as_deref());
    let period = period(TimeForm::Seconds, times, context, findings)?;
    let mut metadata = Metadata {
        org_name: org_name(&written, findings),
        report_id: identity::report_id(
            written.report_id.as_deref(),
            || identity::content_hash(document),
            "report_metadata/report_id",
            findings,
        ),
        email: text(&written.email),
        extra_contact_info: text(&written.extra_contact_info),
        begin: period.begin,
        end: period.end,
        errors: written.errors.iter().filter(|error| !error.is_empty()).map(|error| Text::from(&**error)).collect(),
        generator: text(&written.generator),
        version: text(&raw.version),
    };
    let policy = policy(&raw.policy.unwrap_or_default(), domain, findings);
    // The identity is computed from the uncut texts.
    let key: ReportKey = identity::key(&metadata, &policy.domain);
    let former_key = identity::former_key(&metadata, &policy.domain);
    bound(&mut metadata, findings);
    Ok(Report { key, former_key, day: period.day, metadata, policy, records })
}

/// Cuts names, addresses and IDs that are longer than any real one: each is repeated in many rows.
fn bound(metadata: &mut Metadata, findings: &mut Findings) {
    let optional = [
        (&mut metadata.email, "email"),
        (&mut metadata.extra_contact_info, "extra_contact_info"),
        (&mut metadata.generator, "generator"),
        (&mut metadata.version, "version"),
    ];
    let required = [(&mut metadata.org_name, "org_name"), (&mut metadata.report_id, "report_id")];
    let texts = optional.into_iter().filter_map(|(text, path)| Some((text.as_mut()?, path))).chain(required);
    for (text, path) in texts.filter(|(text, _)| text.len() > NAME) {
        findings.note(FindingCode::TEXT_CUT, || format!("report_metadata/{path}: {} bytes, cut to {NAME}", text.len()));
        *text = bounded(text, NAME).into();
    }
}

fn policy_domain(policy: Option<&RawPolicy<'_>>) -> Result<Domain, String> {
    let text = policy.and_then(|policy| policy.domain.as_deref()).unwrap_or_default();
    canonical_domain(text).ok_or_else(|| {
        let found = if text.is_empty() { "nothing".into() } else { Quoted(text).to_string() };
        format!("policy_published/domain: expected a domain, found {found}")
    })
}

/// The reporter's name, else the domain of its address, else a placeholder.
fn org_name(written: &RawMetadata<'_>, findings: &mut Findings) -> Text {
    if let Some(name) = written.org_name.as_deref().filter(|name| !name.is_empty()) {
        return name.into();
    }
    let email = written.email.as_deref().map(of_address).filter(|domain| !domain.is_empty());
    let name: Text = match email {
        Some(domain) => canonical_domain(domain).map_or_else(|| domain.into(), |domain| domain.as_str().into()),
        None => "unknown".into(),
    };
    findings.note(FindingCode::METADATA_DERIVED, || {
        format!("report_metadata/org_name: expected a name, found nothing: taken as {}", Quoted(&name))
    });
    name
}

/// The values of each policy tag.
const POLICIES: &[&str] = &["none", "quarantine", "reject"];
const MODES: &[&str] = &["r", "s"];

fn policy(written: &RawPolicy<'_>, domain: Domain, findings: &mut Findings) -> PolicyPublished {
    let mut tag = |value: &Value<'_>, path: &'static str, words: &[&str]| {
        let text = value.as_deref()?;
        let word = lower(text)?;
        if !words.contains(&word.as_str()) {
            findings.note(FindingCode::WORD_UNKNOWN, || {
                format!("policy_published/{path}: expected one of {}, found {}", words.join(", "), Quoted(text))
            });
        }
        Some(word)
    };
    PolicyPublished {
        domain,
        p: tag(&written.p, "p", POLICIES),
        sp: tag(&written.sp, "sp", POLICIES),
        np: tag(&written.np, "np", POLICIES),
        adkim: tag(&written.adkim, "adkim", MODES),
        aspf: tag(&written.aspf, "aspf", MODES),
        testing: tag(&written.testing, "testing", &["n", "y"]),
        discovery_method: tag(&written.discovery_method, "discovery_method", &["psl", "treewalk"]),
        fo: written.fo.as_deref().and_then(lower),
        pct: pct(&written.pct, findings),
    }
}

fn pct(value: &Value<'_>, findings: &mut Findings) -> Option<i32> {
    let text = value.as_deref().filter(|text| !text.is_empty())?;
    let pct = text.parse::<i32>().ok();
    if !pct.is_some_and(|pct| (0..=100).contains(&pct)) {
        findings.note(FindingCode::WORD_UNKNOWN, || {
            format!("policy_published/pct: expected a number from 0 to 100, found {}", Quoted(text))
        });
    }
    pct
}

/// Free text: an empty element is not the same as a missing one.
fn text(value: &Value<'_>) -> Option<Text> {
    value.as_deref().map(Text::from)
}
