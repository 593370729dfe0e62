//! `fetch`: polls the mailboxes in the settings, once or until it is stopped.
//!
//! For each mailbox: reads the cursors from the ledger, passes the mails through the pipeline, acknowledges stored
//! mails to the server after each commit, and records in the ledger what was acknowledged.

use super::enrich;
use super::outages::Outages;
use crate::cli::report::alert;
use crate::cli::report::check::dns_history;
use crate::cli::settings::file::Settings;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::fault::Hint as _;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::interrupt::Interrupt;
use crate::cli::terminal::output;
use crate::cli::terminal::service_manager::ServiceManager;
use crate::cli::wiring::ingest_run;
use crate::cli::wiring::mailbox_survey::{self, poll_options};
use crate::cli::wiring::period::day;
use crate::cli::wiring::run::{CommandContext, is_busy};
use crate::cli::wiring::verifier::{Verification, VerifyArgs};
use crate::fetch::FetchError;
use crate::fetch::imap;
use crate::fetch::mailbox::{Mailbox, run};
use crate::fetch::poll::Poller;
use crate::ingest::{self, IngestOptions, Tally};
use crate::store::Writer;
use anyhow::anyhow;
use jiff::Timestamp;
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
Prints nothing when all is well, so that cron mails only what needs your attention:
  17 * * * *  /usr/local/bin/dmarquet fetch --if-idle

Examples:
  dmarquet config init && dmarquet config check    set it up and try it
  dmarquet fetch --verbose                         show progress
  dmarquet fetch --mailbox reports --since 2026-11-01 --dry-run
  dmarquet fetch --watch                           keep running";

/// How often a waiting run checks whether the other run has ended.
const ANOTHER_RUN: Duration = Duration::from_secs(10);

/// How often a waiting run checks its connections.
const TICK: Duration = Duration::from_secs(10);

/// How often a waiting run looks whether a domain's DNS records were not looked up today.
const DUE: Duration = Duration::from_hours(1);

/// Fetch new reports from the mailboxes in the settings
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct FetchArgs {
    /// Fetch from this mailbox only; may be repeated
    #[arg(long, value_name = "NAME")]
    mailbox: Vec<String>,
    /// Fetch at most this many mails per mailbox, oldest first
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Fetch only mails that arrived on or after this day, such as 2026-11-16; older ones are left for later
    #[arg(long, value_name = "DATE", value_parser = day)]
    since: Option<Date>,
    /// Show what would be fetched, and change nothing, here or on the server
    #[arg(long)]
    dry_run: bool,
    /// Stay connected and fetch mails as they arrive, until SIGTERM
    #[arg(long, conflicts_with = "dry_run")]
    watch: bool,
    /// If another run is active, exit 0 without output
    #[arg(long)]
    if_idle: bool,
    /// Then look up the names of recent sources, as `dmarquet enrich` does
    #[arg(long, conflicts_with = "dry_run")]
    enrich: bool,
    /// Then look up the DNS records of every domain and keep them as history, as `dmarquet check --all` does; once a
    /// day, with --watch also on a day without mail
    #[arg(long, conflicts_with = "dry_run")]
    check: bool,
    /// Then report what changed, as `dmarquet alert` does; prints it only if the settings have no channel
    #[arg(long, conflicts_with = "dry_run")]
    alert: bool,
    #[command(flatten)]
    verify: VerifyArgs,
    /// Print the counts as text or json [default: text on a terminal, else nothing]
    #[arg(long, value_enum, hide_possible_values = true)]
    format: Option<OutputFormat>,
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &FetchArgs) -> anyhow::Result<Exit> {
    let mailboxes = chosen(run.settings()?, &args.mailbox)?;
    let interrupt = Interrupt::listen(&run.console)?;
    let polls = Polls { run, args, interrupt: &interrupt };
    if args.dry_run {
        return mailbox_survey::show(run, &mailboxes, &polls.options(run.now));
    }
    // Without a data folder there is nothing to watch for.
    run.store_dir()?;
    if args.watch {
        return polls.watch(&mailboxes);
    }
    match polls.once(&mailboxes, run.now) {
        Err(error) if args.if_idle && is_busy(&error) => {
            run.console.note(&format!("{error:#}: nothing was fetched"));
            Ok(Exit::Handled)
        }
        other => other,
    }
}

/// Does some work in the store. Returns false if another run has it open.
fn unless_busy(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<bool> {
    match work() {
        Ok(()) => Ok(true),
        Err(error) if is_busy(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The mailboxes with these names; without names, all.
fn chosen(settings: &Settings, names: &[String]) -> anyhow::Result<Vec<Mailbox>> {
    let all = &settings.mailboxes;
    if all.is_empty() {
        let error = anyhow!("settings: expected a [[mailbox]], found none");
        return Err(error.hint("run `dmarquet config init` to write a settings file with an example"));
    }
    if let Some(name) = names.iter().find(|name| all.iter().all(|mailbox| mailbox.name != **name)) {
        let known: Vec<&str> = all.iter().map(|mailbox| mailbox.name.as_str()).collect();
        return Err(anyhow!("--mailbox {name}: expected one of the settings' mailboxes: {}", known.join(", ")));
    }
    Ok(all.iter().filter(|mailbox| names.is_empty() || names.contains(&mailbox.name)).cloned().collect())
}

/// The polls of one command.
struct Polls<'a> {
    run: &'a CommandContext,
    args: &'a FetchArgs,
    interrupt: &'a Interrupt,
}

impl Polls<'_> {
    fn options(&self, now: Timestamp) -> run::PollOptions {
        poll_options(self.args.limit, self.args.since, now, self.interrupt)
    }

    /// Polls each mailbox once. An unreachable one is reported and does not delay the others.
    fn once(&self, mailboxes: &[Mailbox], now: Timestamp) -> anyhow::Result<Exit> {
        let mut writer = self.run.writer(now)?;
        ingest_run::clock_warning(writer.last_commit()?, now).inspect(|warning| self.run.console.warning(warning));
        let verification = Verification::of(&self.args.verify, self.run.settings()?.verify)?;
        let options = verification.of_run(ingest_run::options(self.interrupt, self.run, now)?);
        let mut tally = Tally::default();
        for mailbox in mailboxes {
            if self.interrupt.is_set() {
                tally.interrupted = true;
                break;
            }
            tally.add(self.poll(mailbox, &mut writer, &options)?);
        }
        let servers = &self.args.verify.server;
        if self.args.enrich && !self.interrupt.is_set() {
            enrich::after_fetch(self.run, &mut writer, servers, self.interrupt)?;
        }
        if self.args.check && !self.interrupt.is_set() {
            dns_history::after_fetch(self.run, &mut writer, servers, self.interrupt);
        }
        if self.args.alert && !self.interrupt.is_set() {
            alert::after_fetch(self.run, &mut writer, now)?;
        }
        verification.tell(&self.run.console);
        ingest_run::tell(&self.run.console, &tally, self.args.format)
    }

    /// Polls one mailbox. Errors are reported immediately and counted.
    fn poll(&self, mailbox: &Mailbox, writer: &mut Writer, options: &IngestOptions) -> anyhow::Result<Tally> {
        let console = &self.run.console;
        let progress = writer.progress(&mailbox.name)?;
        let mut poller = match Poller::start(mailbox.clone(), progress, self.options(options.now)) {
            Ok(poller) => poller,
            Err(fault) => {
                console.fault(&fault);
                writer.note_mailbox(&mailbox.name, options.now, Some(&output::clean(&fault.to_string())))?;
                return Ok(Tally { faults: 1, ..Tally::default() });
            }
        };
        let said = poller.warnings().to_vec();
        for warning in &said {
            console.fault(&FetchError::Mailbox(warning.clone()));
        }
        let mut watch = ingest_run::RunProgress::new(console, Some(poller.acknowledger()));
        let mails = poller.mails().into_iter().flatten();
        let outcome = ingest::run(mails, writer, options, &mut watch);
        drop(watch);
        // Whether or not the run succeeded: acknowledge what was committed and record what was acknowledged.
        let finished = poller.finish();
        for (folder, cursor) in &finished.cursors {
            writer.set_cursor(&mailbox.name, folder, cursor)?;
        }
        writer.clear_pending(&finished.acknowledged)?;
        if let Some(uidls) = &finished.uidls {
            writer.keep_uidls(&mailbox.name, uidls)?;
        }
        finished.notes.iter().for_each(|note| console.note(note));
        let mut tally = outcome?;
        let error = finished.failures.first().map(|failure| output::clean(&failure.to_string()));
        writer.note_mailbox(&mailbox.name, options.now, error.as_deref())?;
        for failure in finished.failures {
            tally.faults += 1;
            if !said.contains(&failure) {
                console.fault(&FetchError::Mailbox(failure));
            }
        }
        Ok(tally)
    }

    /// Polls whenever a server announces new mails, until stopped.
    fn watch(&self, mailboxes: &[Mailbox]) -> anyhow::Result<Exit> {
        let console = &self.run.console;
        let mut worst = Exit::Handled;
        let (mut outages, manager) = (Outages::default(), ServiceManager::of_environment());
        let mut checked: Option<Instant> = None;
        // Mailboxes whose failure no run could record yet, and why they fail.
        let mut unrecorded: BTreeMap<String, String> = BTreeMap::new();
        let mut watch = imap::IdleWatch::start(mailboxes.to_vec(), &self.interrupt.stop());
        manager.status(&outages.status(mailboxes.len()));
        manager.ready();
        while let Some(wakes) = watch.next_within(TICK) {
            manager.beat();
            let heard = outages.hear(wakes, Instant::now());
            heard.notes.iter().for_each(|note| console.note(note));
            heard.warnings.iter().for_each(|warning| console.warning(warning));
            // What answers again is recorded by its fetch.
            unrecorded.retain(|mailbox, _| !heard.news.contains(mailbox));
            for error in heard.given {
                unrecorded.insert(error.mailbox.clone(), error.reason.clone());
                console.fault(&FetchError::Mailbox(error));
                worst = Exit::Failed;
            }
            unrecorded.extend(heard.failing);
            self.record_failures(&mut unrecorded)?;
            let with_news: Vec<Mailbox> =
                mailboxes.iter().filter(|mailbox| heard.news.contains(&mailbox.name)).cloned().collect();
            if !with_news.is_empty() {
                manager.status("fetching");
                self.once_when_idle(&with_news)?;
                manager.beat();
            }
            if self.args.check && !self.interrupt.is_set() && checked.is_none_or(|at| at.elapsed() >= DUE) {
                checked = self.check_when_due()?.then(Instant::now);
                manager.beat();
            }
            manager.status(&outages.status(mailboxes.len()));
        }
        // Nothing is watched any more, but the last failure is not recorded.
        while !unrecorded.is_empty() && !self.interrupt.is_set() {
            self.wait_for_another_run();
            manager.beat();
            self.record_failures(&mut unrecorded)?;
        }
        manager.stopping();
        // Being stopped is the normal end; a mailbox that was given up is not.
        Ok(worst)
    }

    /// Looks up the DNS records of domains not yet looked up today, and with `--alert` reports what changed. If another run has
    /// the store open, returns false: it is soon tried again.
    fn check_when_due(&self) -> anyhow::Result<bool> {
        let now = Timestamp::now();
        unless_busy(|| {
            let mut writer = self.run.writer(now)?;
            let servers = &self.args.verify.server;
            let looked = dns_history::after_fetch(self.run, &mut writer, servers, self.interrupt);
            if looked && self.args.alert && !self.interrupt.is_set() {
                alert::after_fetch(self.run, &mut writer, now)?;
            }
            Ok(())
        })
    }

    /// Records unreachable mailboxes for `alert`, and reports them with `--alert`. If another run has the store open, they
    /// stay in the list, and are recorded as soon as it ends.
    fn record_failures(&self, failing: &mut BTreeMap<String, String>) -> anyhow::Result<()> {
        if failing.is_empty() {
            return Ok(());
        }
        let now = Timestamp::now();
        let record = || {
            let mut writer = self.run.writer(now)?;
            while let Some((mailbox, why)) = failing.pop_first() {
                writer.note_mailbox(&mailbox, now, Some(&output::clean(&why)))?;
            }
            if self.args.alert {
                alert::after_fetch(self.run, &mut writer, now)?;
            }
            Ok(())
        };
        unless_busy(record).map(drop)
    }

    /// Polls as soon as no other run has the store open.
    fn once_when_idle(&self, mailboxes: &[Mailbox]) -> anyhow::Result<()> {
        while !self.interrupt.is_set() {
            match self.once(mailboxes, Timestamp::now()) {
                Err(error) if is_busy(&error) => {
                    self.run.console.note(&format!("{error:#}: waiting until it ends"));
                    self.wait_for_another_run();
                }
                other => return other.map(|_| ()),
            }
        }
        Ok(())
    }

    /// Gives the run that has the store open time to end.
    fn wait_for_another_run(&self) {
        let begin = Instant::now();
        while begin.elapsed() < ANOTHER_RUN && !self.interrupt.is_set() {
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::chosen;
    use crate::cli::settings::file::Settings;
    use crate::cli::wiring::mailbox_survey::description;
    use crate::fetch::mailbox::{FolderSurvey, Survey, TargetSurvey};
    use std::path::Path;

    const TWO: &str = "[[mailbox]]\nname = \"a\"\nhost = \"h\"\nuser = \"u\"\npassword_env = \"P\"\nafter = \"move\"\nmove_to = \"x/y\"\n\
                       [[mailbox]]\nname = \"b\"\nhost = \"h\"\nuser = \"u\"\npassword_env = \"P\"\n";

    #[test]
    fn mailboxes_are_chosen_by_name_and_a_wrong_name_is_answered_with_the_right_ones() {
        let settings = Settings::parse(TWO, Path::new("c.toml")).unwrap();
        let names = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
            chosen(&settings, &wanted).map(|all| all.into_iter().map(|mailbox| mailbox.name).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap(), ["a", "b"]);
        assert_eq!(names(&["b"]).unwrap(), ["b"]);
        let error = names(&["c"]).unwrap_err().to_string();
        assert_eq!(error, "--mailbox c: expected one of the settings' mailboxes: a, b");
        assert!(chosen(&Settings::default(), &[]).is_err());
    }

    #[test]
    fn a_survey_is_reported_folder_by_folder() {
        let settings = Settings::parse(TWO, Path::new("c.toml")).unwrap();
        let folder = FolderSurvey {
            setting: "INBOX".into(),
            name: "INBOX".into(),
            mails: 12,
            new: 3,
            new_bytes: 5000,
            too_large: 1,
            pending: 2,
            renewed: false,
        };
        let targets = vec![TargetSurvey { setting: "x/y".into(), name: None }];
        let survey = Survey { folders: vec![folder], targets, failures: vec![] };
        let expected = "mailbox a: logged in\n  INBOX: 12 mails, 3 to fetch (5 KiB); 1 over the limit; 2 stored earlier, not yet \
                        acknowledged to the server\n  afterwards: mails with reports are moved to x/y; others stay\n  x/y: does not exist yet; fetch will create it\n";
        assert_eq!(description(&settings.mailboxes[0], &survey), expected);
    }
}
