//! Shared by all commands that read reports: the progress bar, errors as they occur, the counts and the exit code.

use super::run::CommandContext;
use super::trial::Trials;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::interrupt::Interrupt;
use crate::cli::terminal::output::{self, Console};
use crate::fetch::FetchError;
use crate::fetch::poll::Acknowledger;
use crate::ingest::{IngestOptions, ItemOutcome, Observer, Tally, Trust};
use crate::limits::Limits;
use crate::model::{Fate, Message};
pub(crate) use crate::present::wording::numbers::count as grouped;
use indicatif::ProgressBar;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Maximum number of unreadable items listed; the rest is only counted, so that they cannot fill a cron mail.
const NAMED: usize = 20;

/// The options of a run.
pub(crate) fn options(interrupt: &Interrupt, run: &CommandContext, now: Timestamp) -> anyhow::Result<IngestOptions> {
    let settings = run.settings()?;
    // Without `domains`, no report is foreign: a customer may be added after its first report.
    let domains = if settings.domains.is_empty() { Vec::new() } else { settings.named_domains() };
    let trust = Trust { authserv_ids: settings.trusted_authserv_id.clone(), domains };
    Ok(IngestOptions {
        limits: Limits::default(),
        workers: None,
        interrupt: Some(interrupt.flag()),
        now,
        trust,
        verifier: None,
        trial: Some(Arc::new(Trials::default())),
    })
}

/// How far a commit may lie in the future: clocks of machines that share a store differ by seconds.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_mins(10);

/// A warning if the last commit lies in the future: one of the clocks is wrong, and with it what counts as new, late or
/// ahead.
pub(crate) fn clock_warning(last_commit: Option<Timestamp>, now: Timestamp) -> Option<String> {
    let last = last_commit.filter(|last| now.checked_add(CLOCKS_DIFFER).is_ok_and(|latest| *last > latest))?;
    Some(format!(
        "clock: the store was last written at {last:.0}, but it is {now:.0} by this computer's clock; one of the clocks is wrong"
    ))
}

/// Shows the progress of a run: a bar on a terminal, a line per item with `--verbose`, and errors as they occur.
pub(crate) struct RunProgress<'a> {
    console: &'a Console,
    bar: ProgressBar,
    /// Acknowledges stored mails, if they came from a server.
    acknowledger: Option<Acknowledger>,
}

impl<'a> RunProgress<'a> {
    /// Starts the display.
    pub(crate) fn new(console: &'a Console, acknowledger: Option<Acknowledger>) -> Self {
        Self { console, bar: console.progress(), acknowledger }
    }
}

impl Drop for RunProgress<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Observer for RunProgress<'_> {
    fn item(&mut self, origin: &str, outcome: &ItemOutcome) {
        self.bar.inc(1);
        if self.console.is_verbose() {
            self.bar.suspend(|| self.console.note(&format!("{origin}: {}", what_became(outcome))));
        }
    }

    fn committed(&mut self, messages: &[(Message, Fate)]) {
        if let Some(acknowledger) = &self.acknowledger {
            acknowledger.safe(messages);
        }
    }

    fn notice(&mut self, notice: &str) {
        self.bar.suspend(|| self.console.warning(notice));
    }

    fn fault(&mut self, fault: &FetchError) {
        self.bar.suspend(|| self.console.fault(fault));
    }
}

/// Describes where the parts of an item went.
fn what_became(outcome: &ItemOutcome) -> String {
    let places = [
        (outcome.stored, "stored"),
        (outcome.duplicates, "known"),
        (outcome.conflicts, "in conflict"),
        (outcome.set_aside, "no report"),
        (outcome.rejected, "unreadable"),
    ];
    let places: Vec<String> =
        places.into_iter().filter(|(count, _)| *count > 0).map(|(count, place)| format!("{count} {place}")).collect();
    if places.is_empty() { "nothing inside".to_owned() } else { places.join(", ") }
}

/// Lists new unreadable items on standard error.
pub(crate) fn name_rejected(console: &Console, tally: &Tally) {
    for item in tally.rejected.iter().take(NAMED) {
        console.unreadable(&item.origin, &item.reason);
    }
    let more = tally.rejected_count().saturating_sub(NAMED as u64);
    if more > 0 {
        console.unreadable("...", &format!("and {more} more"));
    }
}

/// Prints how a run into the store went. With `None`, only on a terminal or with `--verbose`.
pub(crate) fn tell(console: &Console, tally: &Tally, format: Option<OutputFormat>) -> anyhow::Result<Exit> {
    name_rejected(console, tally);
    if tally.rejected_count() > 0 {
        console.hint("`dmarquet rejected list` lists what could not be read");
    }
    tell_links(console, tally);
    match format {
        Some(OutputFormat::Json) => output::json(tally)?,
        Some(OutputFormat::Text) if console.is_quiet() => {}
        Some(OutputFormat::Text) => output::data(text(tally).as_bytes())?,
        None if console.wants_tally() => output::data(text(tally).as_bytes())?,
        None => {}
    }
    if tally.interrupted {
        console.warning("interrupted: what was read so far is stored, and the next run continues");
    }
    Ok(exit(tally))
}

/// Lists links that were not followed: their targets may be wanted.
pub(crate) fn tell_links(console: &Console, tally: &Tally) {
    if tally.links_out > 0 {
        let lead = if tally.links_out == 1 {
            "points outside its folder and was"
        } else {
            "point outside their folders and were"
        };
        console.warning(&format!("{} {lead} not followed", count(tally.links_out, "symbolic link")));
        console.hint("--verbose names them; to read a target, give its path on the command line");
    }
}

/// The exit code for the counts.
pub(crate) fn exit(tally: &Tally) -> Exit {
    if tally.interrupted || tally.faults > 0 {
        Exit::Failed
    } else if tally.rejected_count() > 0 {
        Exit::Attention
    } else {
        Exit::Handled
    }
}

/// The counts as text.
fn text(tally: &Tally) -> String {
    let stored = &tally.stored;
    let mut out = format!(
        "{}: {} stored ({})\n",
        count(tally.items, "item"),
        count(stored.reports, "report"),
        sums(stored.records, stored.messages.unsigned_abs(), stored.dmarc_pass.unsigned_abs()),
    );
    let aside = &tally.set_aside;
    let plural = if stored.tls_reports == 1 { "" } else { "s" };
    let lines = [
        (stored.tls_reports, format!("TLS report{plural} stored")),
        (tally.duplicates, "already known".to_owned()),
        (tally.conflicts, "in conflict with a stored report: see `dmarquet rejected list --conflicts`".to_owned()),
        (tally.replaced, "replacing a report with the same key: see `dmarquet rejected list --conflicts`".to_owned()),
        (aside.total(), format!("set aside: neither DMARC nor TLS reports ({})", kinds(tally))),
        (tally.rejected_count(), "unreadable".to_owned()),
        (tally.findings_count(), format!("stored with findings ({})", codes(tally))),
    ];
    for (amount, what) in lines.into_iter().filter(|(amount, _)| *amount > 0) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "{:>9} {what}", grouped(amount));
    }
    out
}

fn kinds(tally: &Tally) -> String {
    let aside = &tally.set_aside;
    let kinds = [(aside.failure, "failure reports"), (aside.bounce, "bounces"), (aside.other, "other")];
    let kinds: Vec<String> =
        kinds.into_iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{kind} {count}")).collect();
    kinds.join(", ")
}

/// The most frequent findings.
fn codes(tally: &Tally) -> String {
    let mut codes: BTreeMap<&str, u64> = BTreeMap::new();
    for finding in &tally.findings {
        *codes.entry(finding.code).or_default() += 1;
    }
    let mut codes: Vec<(&str, u64)> = codes.into_iter().collect();
    codes.sort_by_key(|(code, count)| (std::cmp::Reverse(*count), *code));
    let more = if codes.len() > 4 { ", ..." } else { "" };
    let codes: Vec<String> = codes.iter().take(4).map(|(code, count)| format!("{code} {count}")).collect();
    codes.join(", ") + more
}

/// `2 records, 7 messages, 1 of them passes DMARC`.
pub(crate) fn sums(records: u64, messages: u64, dmarc_pass: u64) -> String {
    let verb = if dmarc_pass == 1 { "passes" } else { "pass" };
    format!(
        "{}, {}, {} of them {verb} DMARC",
        count(records, "record"),
        count(messages, "message"),
        grouped(dmarc_pass)
    )
}

/// `1 report`, `2 reports`, `1,234 reports`.
pub(crate) fn count(amount: u64, what: &str) -> String {
    format!("{} {what}{}", grouped(amount), if amount == 1 { "" } else { "s" })
}

/// A number of bytes: below 1 MiB in whole KiB, rounded up, else with one decimal.
pub(crate) fn size(bytes: u64) -> String {
    // Whole tenths: a rounded number never shows a part that does not exist.
    let tenths = |unit: u32| (u128::from(bytes) * 10) >> unit;
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes.div_ceil(1024)),
        0x10_0000..0x4000_0000 => format!("{}.{} MiB", tenths(20) / 10, tenths(20) % 10),
        _ => format!("{}.{} GiB", tenths(30) / 10, tenths(30) % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::{clock_warning, exit, size, text, what_became};
    use crate::cli::terminal::exit::Exit;
    use crate::ingest::{FoundItem, ItemOutcome, RejectedItem, SetAside, Stored, Tally};

    fn tally() -> Tally {
        Tally {
            items: 1234,
            stored: Stored { reports: 2, records: 7, messages: 1_234_567, dmarc_pass: 12, tls_reports: 3 },
            duplicates: 1,
            set_aside: SetAside { failure: 1, other: 2, ..SetAside::default() },
            findings: vec![FoundItem { origin: "a".to_owned(), code: "row.gap", detail: String::new() }],
            ..Tally::default()
        }
    }

    #[test]
    fn sizes_are_in_the_unit_that_fits() {
        let sizes = [0, 1, 1024, 1025, (1 << 20) - 1, 1 << 20, 1_600_000, 1 << 30, 5 << 29];
        let expected = ["0 KiB", "1 KiB", "1 KiB", "2 KiB", "1024 KiB", "1.0 MiB", "1.5 MiB", "1.0 GiB", "2.5 GiB"];
        assert_eq!(sizes.map(size), expected);
    }

    #[test]
    fn the_tally_for_people_says_what_there_is_and_no_more() {
        let expected = "1,234 items: 2 reports stored (7 records, 1,234,567 messages, 12 of them pass DMARC)\n        \
                        3 TLS reports stored\n        1 already known\n        3 set aside: neither DMARC nor TLS reports (failure reports 1, other 2)\n        \
                        1 stored with findings (row.gap 1)\n";
        assert_eq!(text(&tally()), expected);
        let none = "0 items: 0 reports stored (0 records, 0 messages, 0 of them pass DMARC)\n";
        assert_eq!(text(&Tally::default()), none);
    }

    #[test]
    fn the_exit_code_follows_the_worst_that_happened() {
        let rejected = vec![RejectedItem { origin: "a".to_owned(), reason: "b".to_owned() }];
        for (tally, code) in [
            (tally(), Exit::Handled),
            (Tally { rejected: rejected.clone(), ..tally() }, Exit::Attention),
            (Tally { rejected: rejected.clone(), faults: 1, ..tally() }, Exit::Failed),
            (Tally { interrupted: true, ..tally() }, Exit::Failed),
            (Tally { conflicts: 3, ..tally() }, Exit::Handled),
        ] {
            assert_eq!(exit(&tally), code, "{tally:?}");
        }
    }

    #[test]
    fn a_store_from_the_future_is_reported() {
        let now = "2026-11-25T10:00:00Z".parse().unwrap();
        let said = |last: &str| clock_warning(Some(last.parse().unwrap()), now);
        assert_eq!((said("2026-11-25T10:10:00Z"), clock_warning(None, now)), (None, None));
        let expected = "clock: the store was last written at 2031-01-01T00:00:00Z, but it is 2026-11-25T10:00:00Z by this \
                        computer's clock; one of the clocks is wrong";
        assert_eq!(said("2031-01-01T00:00:00Z").as_deref(), Some(expected));
        assert_eq!(clock_warning(Some(jiff::Timestamp::MAX), jiff::Timestamp::MAX), None);
    }

    #[test]
    fn the_outcome_of_an_item_is_reported_in_words() {
        let outcome = ItemOutcome { stored: 2, rejected: 1, ..ItemOutcome::default() };
        assert_eq!(what_became(&outcome), "2 stored, 1 unreadable");
        assert_eq!(what_became(&ItemOutcome::default()), "nothing inside");
    }
}
