//! `alert`: reports what changed since the last run, once through each channel.

use super::channels;
use super::check::{dns_history, policy_files};
use crate::alert::{self, AlertDelivery, AlertEvent, AlertLook, AlertMessage, PRINT};
use crate::cli::settings::file::Settings;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::{output, pager};
use crate::cli::wiring::ingest_run;
use crate::cli::wiring::run::CommandContext;
use crate::dns::lookup::resolver::{self, Resolver};
use crate::store::{Store, StoredEvent, Undelivered, Writer};
use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::Write as _;
use std::net::SocketAddr;

const EXAMPLES: &str = "\
Reports each event once: on standard output, and through every channel in [alert] of the settings. The first run in a store ignores what began more than seven days before. docs/alerts.md describes the kinds of events, the JSON and the channels.

In a crontab:
  10 * * * *  /usr/local/bin/dmarquet fetch --if-idle --alert

Examples:
  dmarquet alert
  dmarquet alert --dry-run             what would be reported; nothing is recorded
  dmarquet alert list                  open events
  dmarquet ack 3f2a91c07be4 --note 'ticket 4711'
  dmarquet alert --nagios              for a monitoring system

Exit codes: 0 done; 1 with --exit-code, something new was reported; 2 could not run, or a channel failed. With --nagios: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.";

/// Report each urgent change once, such as a broken key or spoofing
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct AlertArgs {
    #[command(subcommand)]
    list: Option<AlertAction>,
    /// Time to use instead of the clock, such as 2026-11-19T06:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) now: Option<Timestamp>,
    /// Output format: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: OutputFormat,
    /// Print what would be reported; record and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Exit 1 if something new was reported
    #[arg(long)]
    exit_code: bool,
    /// First look up the DNS records of every domain, as `dmarquet check --all` does, to report changes too
    #[arg(long, conflicts_with_all = ["dry_run", "nagios"])]
    check: bool,
    /// DNS server to use with --check instead of the system's, such as 127.0.0.1:5353; may be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = resolver::server, requires = "check")]
    server: Vec<SocketAddr>,
    /// Print the open events as one line, with an exit code for Nagios or Icinga; record nothing
    #[arg(long, conflicts_with_all = ["format", "exit_code", "dry_run"])]
    nagios: bool,
}

#[derive(Debug, Subcommand)]
enum AlertAction {
    /// List reported events, newest first
    List {
        /// Output format: text or json
        #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
        format: OutputFormat,
        /// Include events that are over
        #[arg(long)]
        all: bool,
    },
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &AlertArgs) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    if args.nagios {
        return nagios(run, settings);
    }
    let store = run.store()?;
    if let Some(AlertAction::List { format, all }) = &args.list {
        return list(&store, *format, *all);
    }
    if args.dry_run {
        let look = alert::look(&store, run.now, &settings.alert.rules)?;
        let mut events = events_in(&store.undelivered(PRINT)?);
        events.extend(look.events);
        return print(&AlertMessage::new(events), args);
    }
    if store.is_empty() {
        return print(&AlertMessage::new(Vec::new()), args);
    }
    drop(store);
    if args.check {
        let policies = policy_files::policies(&args.server, None, None)?;
        let resolver = Resolver::of_servers(&args.server)?;
        let (_, exit) = dns_history::look_at_all(run, &resolver, policies.as_deref(), run.now)?;
        if exit == Exit::Failed {
            run.console.warning("some DNS records could not be looked up: their changes are reported once they can be");
        }
    }
    let mut writer = run.writer(run.now)?;
    let told = record(settings, &mut writer, run.now)?;
    // Recorded events are sent from the outbox, along with anything a killed run left there.
    let waiting = writer.undelivered(PRINT)?;
    let exit = print(&AlertMessage::new(events_in(&waiting)), args)?;
    writer.mark_delivered(PRINT, &waiting)?;
    if told.known_before > 0 {
        run.console.note_always(&format!(
            "first run in this store: {} that began more than seven days ago {} treated as known",
            ingest_run::count(told.known_before as u64, "event"),
            if told.known_before == 1 { "is" } else { "are" },
        ));
    }
    let failed = deliver(settings, &mut writer)?;
    failed.iter().for_each(|why| run.console.warning(why));
    Ok(if failed.is_empty() { exit } else { Exit::Failed })
}

/// The events that wait to be sent.
fn events_in(waiting: &[Undelivered]) -> Vec<AlertEvent> {
    waiting.iter().filter_map(|one| serde_json::from_str(&one.body).ok()).collect()
}

/// Evaluates the rules and records new events and their messages in one transaction.
fn record(settings: &Settings, writer: &mut Writer, now: Timestamp) -> anyhow::Result<AlertLook> {
    let mut look = alert::look(&Store::open(writer.dir())?, now, &settings.alert.rules)?;
    let channels = channels::names(settings);
    for event in &look.events {
        let body = serde_json::to_string(event)?;
        let channels = std::iter::once(PRINT.to_owned()).chain(channels.iter().cloned());
        look.run.outbox.extend(channels.map(|channel| (channel, event.id.clone(), event.state.clone(), body.clone())));
    }
    writer.record_alerts(&look.run)?;
    Ok(look)
}

/// Sends the waiting messages through the channels in the settings. Returns the errors.
fn deliver(settings: &Settings, writer: &mut Writer) -> anyhow::Result<Vec<String>> {
    let deliveries: Vec<AlertDelivery<'_>> = channels::deliveries(settings);
    let mut names: Vec<String> = deliveries.iter().map(|delivery| delivery.channel.clone()).collect();
    names.push(PRINT.to_owned());
    writer.forget_channels(&names)?;
    Ok(alert::deliver(writer, &deliveries, Timestamp::now())?)
}

/// Runs at the end of a `fetch`, after its mails are stored. Prints nothing if there are channels; a failed delivery is
/// reported and retried by the next run.
pub(crate) fn after_fetch(run: &CommandContext, writer: &mut Writer, now: Timestamp) -> anyhow::Result<()> {
    let settings = run.settings()?;
    record(settings, writer, now)?;
    let waiting = writer.undelivered(PRINT)?;
    if channels::names(settings).is_empty() && !waiting.is_empty() {
        output::data(text(&AlertMessage::new(events_in(&waiting))).as_bytes())?;
    }
    writer.mark_delivered(PRINT, &waiting)?;
    deliver(settings, writer)?.iter().for_each(|why| run.console.warning(why));
    Ok(())
}

fn print(message: &AlertMessage, args: &AlertArgs) -> anyhow::Result<Exit> {
    output::answer(args.format, message, || text(message))?;
    let new = message.events.iter().any(|event| event.state == "new");
    Ok(if new && args.exit_code { Exit::Attention } else { Exit::Handled })
}

/// One paragraph per event; empty without events.
pub(crate) fn text(message: &AlertMessage) -> String {
    let mut out = String::new();
    for event in &message.events {
        let head = if event.state == "resolved" { "RESOLVED" } else { &event.severity.to_uppercase() };
        let domain = event.policy_domain.as_deref().map(|domain| format!(" {domain}")).unwrap_or_default();
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "{head}{domain}: {}", event.text);
        if event.state == "new" {
            let _ = writeln!(out, "  {}", event.action);
        }
        let _ = writeln!(out, "  {} {}", event.kind, event.id);
    }
    out
}

/// An event in the list.
#[derive(Debug, Serialize)]
struct AlertJson {
    #[serde(flatten)]
    event: AlertEvent,
    told: Option<String>,
    note: Option<String>,
    acknowledged: Option<String>,
}

fn list(store: &Store, format: OutputFormat, all: bool) -> anyhow::Result<Exit> {
    let mut stored: Vec<StoredEvent> = store.events()?;
    stored.retain(|event| event.told.is_some() && (all || event.state == "new"));
    stored.sort_by_key(|event| (std::cmp::Reverse(event.told), event.id.clone()));
    let listed: Vec<AlertJson> = stored.into_iter().filter_map(listed).collect();
    if format == OutputFormat::Json {
        output::json(&listed)?;
        return Ok(Exit::Handled);
    }
    let mut out = String::new();
    for AlertJson { event, note, .. } in &listed {
        let state = if event.state == "resolved" { "resolved" } else { &event.severity };
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "{}  {state:<8}  since {}  {}", event.id, event.since, event.text);
        if let Some(note) = note {
            let _ = writeln!(out, "              acknowledged: {note}");
        }
    }
    if listed.is_empty() {
        out.push_str(if all {
            "No events were reported.\n"
        } else {
            "No open events; `alert list --all` includes those that are over.\n"
        });
    }
    pager::show(&output::clean_lines(&out))?;
    Ok(Exit::Handled)
}

fn listed(stored: StoredEvent) -> Option<AlertJson> {
    Some(AlertJson {
        event: serde_json::from_str(stored.body.as_deref()?).ok()?,
        told: stored.told.map(|at| at.to_string()),
        note: stored.note,
        acknowledged: stored.acknowledged.map(|at| at.to_string()),
    })
}

/// The plugin conventions: one line, `|` and performance data; the exit code is the state.
fn nagios(run: &CommandContext, settings: &Settings) -> anyhow::Result<Exit> {
    let look = || -> anyhow::Result<(Vec<AlertEvent>, Option<Timestamp>)> {
        let store = run.store()?;
        let mut open = alert::open_events(&store.events()?, run.today());
        open.extend(alert::look(&store, run.now, &settings.alert.rules)?.events);
        open.retain(|event| event.state == "new");
        Ok((open, store.status()?.newest_arrival))
    };
    let (open, newest) = match look() {
        Ok(found) => found,
        Err(error) => {
            output::data(
                format!("DMARC UNKNOWN - {}\n", output::clean(&format!("{error:#}")).replace('|', "/")).as_bytes(),
            )?;
            return Ok(Exit::Unknown);
        }
    };
    let count = |severity: &str| open.iter().filter(|event| event.severity == severity).count();
    let (critical, warning, info) = (count("critical"), count("warning"), count("info"));
    let (word, exit) = match (critical, warning) {
        (0, 0) => ("OK", Exit::Handled),
        (0, _) => ("WARNING", Exit::Attention),
        _ => ("CRITICAL", Exit::Failed),
    };
    let message = AlertMessage::new(open);
    let first = message.events.first().map(|event| event.text.replace('|', "/"));
    let more = message.events.len().saturating_sub(1);
    let said = match (first, more) {
        (None, _) => "no open events".to_owned(),
        (Some(first), 0) => first,
        (Some(first), more) => format!("{first} (and {more} more)"),
    };
    let age =
        newest.map_or(String::new(), |at| format!(" newest_report={}s", run.now.duration_since(at).as_secs().max(0)));
    output::data(
        format!("DMARC {word} - {said} | critical={critical};;1;0 warning={warning};1;;0 info={info};;;0{age}\n")
            .as_bytes(),
    )?;
    Ok(exit)
}
