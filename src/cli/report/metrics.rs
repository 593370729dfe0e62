//! `metrics`: writes numbers from the store in Prometheus format.

use crate::alert;
use crate::analyze::{ActionState, DomainSummary, EventKind, Foreign, Period, Summary, TlsSummary, Tracking};
use crate::cli::settings::local_path::local_path;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::output;
use crate::cli::wiring::run::CommandContext;
use crate::cli::wiring::selection;
use crate::model::utc_day;
use crate::present::{self, Metric};
use crate::store::{Store, StoredEvent};
use anyhow::Context as _;
use jiff::{Timestamp, ToSpan as _};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Covers messages, spoofing, reporters, mailboxes, the store, open alerts and actions. Messages are counted over the seven days up to yesterday. docs/alerts.md lists all metrics; packaging/ has a Grafana dashboard and alert rules for them. No label contains an address.

Examples:
  dmarquet metrics
  dmarquet metrics --textfile /var/lib/prometheus/node-exporter/dmarquet.prom      (from cron)";

/// Maximum number of domains with separate samples; the rest is summed up as `other`.
const DOMAINS: usize = 500;
/// The label of the sum of all other domains.
const OTHER: &str = "other";

/// Write metrics for Prometheus
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct MetricsArgs {
    /// Atomically replace this file, for the textfile collector of `node_exporter` [default: standard output]
    #[arg(long, value_name = "FILE", value_parser = local_path())]
    textfile: Option<PathBuf>,
    /// Time to use instead of the clock, such as 2026-11-19T06:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) now: Option<Timestamp>,
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &MetricsArgs) -> anyhow::Result<Exit> {
    let store = run.store()?;
    let mut metrics = of_store(&store, run.now)?;
    metrics.extend(of_mailboxes(&store, &run.settings()?.alert.rules.mailboxes)?);
    metrics.extend(of_alerts(&store.events()?, run.now));
    let yesterday = run.today().saturating_sub(1.day());
    let week = Period::new(yesterday.saturating_sub(6.days()), yesterday)?;
    metrics.extend(of_week(&selection::summary(run, store, week)?));
    let text = present::metrics(&metrics);
    match &args.textfile {
        Some(file) => replace(file, &text).with_context(|| format!("--textfile {}", file.display()))?,
        None => output::data(text.as_bytes())?,
    }
    Ok(Exit::Handled)
}

/// Replaces the file atomically: a scraper sees either the old or the new one.
fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // node_exporter only reads files ending in .prom, so never the temporary one.
    let mut fresh = tempfile::Builder::new().prefix(".dmarquet-").suffix(".tmp").tempfile_in(folder)?;
    fresh.write_all(text.as_bytes())?;
    fresh.as_file().set_permissions(std::fs::Permissions::from_mode(0o644))?;
    fresh.as_file().sync_all()?;
    fresh.persist(file).map_err(|error| error.error)?;
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a float")]
fn float(number: impl TryInto<i64>) -> f64 {
    number.try_into().unwrap_or(i64::MAX) as f64
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a float")]
fn seconds(at: Timestamp) -> f64 {
    at.as_second() as f64
}

fn label(name: &'static str, value: &str) -> Vec<(&'static str, String)> {
    labels([(name, value)])
}

fn labels<const N: usize>(labels: [(&'static str, &str); N]) -> Vec<(&'static str, String)> {
    labels.map(|(name, value)| (name, value.to_owned())).into()
}

fn of_store(store: &Store, now: Timestamp) -> anyhow::Result<Vec<Metric>> {
    let status = store.status()?;
    let time = |name, help, at: Option<Timestamp>| {
        at.map_or(Metric::new(name, help), |at| Metric::single(name, help, seconds(at)))
    };
    Ok(vec![
        Metric::new("dmarquet_build_info", "The version of dmarquet that wrote these metrics.")
            .with(label("version", env!("CARGO_PKG_VERSION")), 1.0),
        Metric::single("dmarquet_metrics_timestamp_seconds", "When these metrics were written.", seconds(now)),
        Metric::single("dmarquet_reports", "Reports in the store.", float(status.totals.reports)),
        Metric::single("dmarquet_messages", "Messages in all reports of the store.", float(status.totals.messages)),
        Metric::single("dmarquet_reporters", "Reporters of all reports in the store.", float(status.reporters.len())),
        time(
            "dmarquet_newest_report_timestamp_seconds",
            "When the newest DMARC report arrived, or the newest TLS report if the store has no DMARC reports.",
            status.newest_awaited(),
        ),
        time("dmarquet_last_commit_timestamp_seconds", "When a run last stored anything.", status.last_commit),
        Metric::single("dmarquet_rejected_items", "Items that could not be read.", float(status.rejected.count)),
        Metric::single("dmarquet_conflicts", "Reports that contradict one that counts.", float(status.conflicts)),
        Metric::new("dmarquet_store_bytes", "Size of the store's files.")
            .with(label("kind", "tables"), float(status.parts.bytes))
            .with(label("kind", "originals"), float(status.packs.bytes))
            .with(label("kind", "rejected"), float(status.rejected.bytes)),
        Metric::new("dmarquet_store_files", "Files of the store.")
            .with(label("kind", "tables"), float(status.parts.count))
            .with(label("kind", "originals"), float(status.packs.count)),
    ])
}

/// Metrics of the mailboxes in the settings.
fn of_mailboxes(store: &Store, names: &[String]) -> anyhow::Result<Vec<Metric>> {
    let mut success = Metric::new("dmarquet_fetch_success", "Whether the last fetch of the mailbox succeeded.");
    let mut failures =
        Metric::new("dmarquet_fetch_failures", "Fetches of the mailbox that failed since the last success.");
    let mut read = Metric::new("dmarquet_fetch_last_success_timestamp_seconds", "When the mailbox was last read.");
    let mut newest =
        Metric::new("dmarquet_mailbox_newest_report_timestamp_seconds", "When the mailbox's newest report arrived.");
    for run in store.mailbox_runs()?.into_iter().filter(|run| names.contains(&run.mailbox)) {
        let label = || label("mailbox", &run.mailbox);
        success = success.with(label(), if run.failures == 0 { 1.0 } else { 0.0 });
        failures = failures.with(label(), f64::from(run.failures));
        if let Some(at) = run.read_at {
            read = read.with(label(), seconds(at));
        }
    }
    for name in names {
        if let Some(at) = store.newest_of_mailbox(name)? {
            newest = newest.with(label("mailbox", name), seconds(at));
        }
    }
    Ok(vec![success, failures, read, newest])
}

fn of_alerts(events: &[StoredEvent], now: Timestamp) -> Vec<Metric> {
    let open = alert::open_events(events, utc_day(now));
    let mut metric = Metric::new("dmarquet_open_alerts", "Open alerts that are not acknowledged.");
    for severity in ["critical", "warning", "info"] {
        let count = open.iter().filter(|event| event.severity == severity).count();
        metric = metric.with(label("severity", severity), float(count));
    }
    let mut by_kind = Metric::new("dmarquet_open_alerts_by_kind", "Open alerts that are not acknowledged, by kind.");
    for kind in EventKind::ALL.map(EventKind::word) {
        let count = open.iter().filter(|event| event.kind == kind).count();
        by_kind = by_kind.with(label("kind", kind), float(count));
    }
    vec![metric, by_kind]
}

/// The sums of a domain.
#[derive(Default, Clone, Copy)]
struct MetricSums {
    pass: u64,
    rejected: u64,
    quarantined: u64,
    not_blocked: u64,
    spoofed: u64,
    spoofed_not_blocked: u64,
    reports: u64,
}

impl MetricSums {
    fn add(&mut self, domain: &DomainSummary) {
        let totals = &domain.totals;
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.pass, totals.sums.dmarc_pass);
        add(&mut self.rejected, totals.failing_rejected);
        add(&mut self.quarantined, totals.failing_quarantined);
        add(&mut self.not_blocked, totals.failing_not_blocked);
        add(&mut self.spoofed, domain.spoofing.messages);
        add(&mut self.spoofed_not_blocked, domain.spoofing.not_blocked());
        add(&mut self.reports, totals.reports);
    }
}

/// Metrics of the last seven days. Only the largest domains have separate samples, so that forged reports cannot create
/// more series.
fn of_week(summary: &Summary) -> Vec<Metric> {
    let mut sums: BTreeMap<String, MetricSums> = BTreeMap::new();
    // The user's domains first: any other domain is only claimed to be the user's by the sender of a report.
    let mut domains: Vec<&DomainSummary> = summary.domains.iter().collect();
    domains.sort_by_key(|domain| !domain.vouched);
    for (place, domain) in domains.into_iter().enumerate() {
        let name = if place < DOMAINS { domain.policy_domain.as_written() } else { OTHER };
        sums.entry(name.to_owned()).or_default().add(domain);
    }
    let mut messages = Metric::new(
        "dmarquet_week_messages",
        "Messages of the seven days up to yesterday, by DMARC result and what receivers did with them.",
    );
    let mut spoofed =
        Metric::new("dmarquet_week_spoofed_messages", "Messages of these days that nothing connects to the domain.");
    let mut reports = Metric::new("dmarquet_week_reports", "Reports about the seven days up to yesterday.");
    for (domain, sums) in &sums {
        let by =
            |result, disposition| labels([("policy_domain", domain), ("result", result), ("disposition", disposition)]);
        messages = messages
            .with(by("pass", "none"), float(sums.pass))
            .with(by("fail", "reject"), float(sums.rejected))
            .with(by("fail", "quarantine"), float(sums.quarantined))
            .with(by("fail", "none"), float(sums.not_blocked));
        let blocked = |word| labels([("policy_domain", domain), ("blocked", word)]);
        spoofed = spoofed
            .with(blocked("yes"), float(sums.spoofed.saturating_sub(sums.spoofed_not_blocked)))
            .with(blocked("no"), float(sums.spoofed_not_blocked));
        reports = reports.with(label("policy_domain", domain), float(sums.reports));
    }
    let count = |wanted: &dyn Fn(&Tracking) -> bool| {
        float(summary.actions.iter().filter(|action| wanted(&action.tracking)).count())
    };
    let actions = Metric::new("dmarquet_open_actions", "Actions in the summary of these days.")
        .with(label("state", "new"), count(&|tracking| !tracking.folded && tracking.state == ActionState::New))
        .with(label("state", "open"), count(&|tracking| !tracking.folded && tracking.state == ActionState::Open))
        .with(label("state", "acknowledged"), count(&|tracking| tracking.folded));
    let reporters = Metric::single(
        "dmarquet_week_reporters",
        "Reporters of the reports about these days.",
        float(summary.totals.reporters),
    );
    vec![messages, spoofed, reports, reporters, actions, of_tls(summary)]
}

/// TLS sessions of the last seven days. Policy types are separate: one session may count under two.
fn of_tls(summary: &Summary) -> Metric {
    let mut tls: Vec<&TlsSummary> = summary.tls.iter().collect();
    tls.sort_by_key(|tls| Reverse((tls.failed_sessions, tls.sessions())));
    let mut sums: BTreeMap<(String, String), (u64, u64)> = BTreeMap::new();
    for (place, tls) in tls.into_iter().enumerate() {
        let domain = tls.policy_domain.as_ref().filter(|_| place < DOMAINS).map_or(OTHER, Foreign::as_written);
        let known = ["sts", "tlsa", "no-policy-found"];
        let kind = tls.policy_type.as_ref().map(Foreign::as_written).filter(|kind| known.contains(kind));
        let (successful, failed) = sums.entry((domain.to_owned(), kind.unwrap_or(OTHER).to_owned())).or_default();
        *successful = successful.saturating_add(tls.successful_sessions);
        *failed = failed.saturating_add(tls.failed_sessions);
    }
    let name = "dmarquet_week_tls_sessions";
    let mut metric = Metric::new(name, "TLS sessions of the seven days up to yesterday, by type of policy and result.");
    for ((domain, kind), (successful, failed)) in sums {
        let by = |result| labels([("policy_domain", &domain), ("policy_type", &kind), ("result", result)]);
        metric = metric.with(by("success"), float(successful)).with(by("failure"), float(failed));
    }
    metric
}
