//! `ack`: acknowledges an action or alert, so that it stays folded until it grows.

use crate::analyze::{Action, Period};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::fault::Hint as _;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::{output, pager};
use crate::cli::wiring::ingest_run;
use crate::cli::wiring::run::CommandContext;
use crate::cli::wiring::selection;
use crate::model::utc_day;
use crate::store::{Acknowledgment, StoredEvent};
use anyhow::anyhow;
use clap::Subcommand;
use jiff::{Timestamp, ToSpan as _};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Weeks searched for an ID, ending with the last complete one.
const WEEKS: u8 = 4;

const EXAMPLES: &str = "\
The summary's text omits an acknowledged action until three times as many messages fail. `dmarquet ack list` and `dmarquet summary --format json` show the IDs; an action has the same ID every week.

Examples:
  dmarquet ack list
  dmarquet ack 3f2a91c07be4 --note 'ticket 4711'

Exit codes: 0 done; 2 could not run, or nothing has this ID.";

/// Acknowledge an action or an alert, so that it is not shown again until it grows
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct AckArgs {
    #[command(subcommand)]
    list: Option<AckAction>,
    /// ID of the action or the alert
    #[arg(value_name = "ID", required = true)]
    id: Option<String>,
    /// Time to use instead of the clock, such as 2026-11-19T06:00:00Z
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
    /// A note to keep with it: a ticket, who works on it, why it stays as it is
    #[arg(long, value_name = "TEXT", required = true)]
    note: Option<String>,
}

#[derive(Debug, Subcommand)]
enum AckAction {
    /// List the actions of the last complete week with their IDs, and everything acknowledged
    List {
        /// Output format: text or json
        #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
        format: OutputFormat,
        /// Time to use instead of the clock, such as 2026-11-19T06:00:00Z
        #[arg(long, value_name = "TIME")]
        now: Option<Timestamp>,
    },
}

impl AckArgs {
    /// The time given by `--now`.
    pub(crate) fn now(&self) -> Option<Timestamp> {
        match self.list {
            Some(AckAction::List { now, .. }) => now,
            None => self.now,
        }
    }
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &AckArgs) -> anyhow::Result<Exit> {
    match (&args.list, &args.id, &args.note) {
        (Some(AckAction::List { format, .. }), _, _) => list(run, *format),
        (None, Some(id), Some(note)) => acknowledge(run, id.trim(), note),
        _ => Err(anyhow!("ack: expected an id and --note, or list")),
    }
}

fn acknowledge(run: &CommandContext, id: &str, note: &str) -> anyhow::Result<Exit> {
    let note = output::clean(note.trim());
    if note.is_empty() {
        return Err(anyhow!("--note: expected some text, found none"));
    }
    let mut events = run.store()?.events()?.into_iter();
    let said = if let Some(alert) = events.find(|event| event.id == id && !event.is_action()) {
        Acknowledgment {
            id: alert.id,
            kind: alert.kind,
            policy_domain: alert.policy_domain,
            note,
            at: run.now,
            evidence: alert.evidence,
        }
    } else {
        let action = find(run, id)?;
        Acknowledgment {
            id: id.to_owned(),
            kind: action.change.word().to_owned(),
            policy_domain: Some(action.policy_domain.as_written().to_owned()),
            note,
            at: run.now,
            evidence: action.evidence(),
        }
    };
    run.writer(run.now)?.acknowledge(&said)?;
    run.console.note(&format!("{id}: acknowledged"));
    Ok(Exit::Handled)
}

/// Finds the action with an ID: in the days since the last complete week, in that week, or in the ones before.
fn find(run: &CommandContext, id: &str) -> anyhow::Result<Action> {
    let last = Period::last_complete_week(run.now);
    let running = Period::new(last.to().saturating_add(1.day()), run.today()).ok();
    for period in std::iter::once(last).chain(running).chain((1..=WEEKS).filter_map(|weeks| last.before(weeks))) {
        let summary = selection::summary(run, run.store()?, period)?;
        if let Some(action) = summary.actions.into_iter().find(|action| action.tracking.id == id) {
            return Ok(action);
        }
    }
    let error = anyhow!("ack {}: nothing has this id", output::clean(id));
    Err(error.hint("`dmarquet ack list` has the ids of the last complete week"))
}

/// An event in the list.
#[derive(Debug, Serialize)]
struct AckJson {
    id: String,
    kind: String,
    /// `new`, `open` or `gone` for an action; `new` or `resolved` for an alert.
    state: String,
    policy_domain: Option<String>,
    first_seen: Option<String>,
    messages: u64,
    folded: bool,
    note: Option<String>,
    acknowledged: Option<String>,
}

fn list(run: &CommandContext, format: OutputFormat) -> anyhow::Result<Exit> {
    let listed = listed(run)?;
    match format {
        OutputFormat::Json => output::json(&listed)?,
        OutputFormat::Text => pager::show(&output::clean_lines(&text(&listed)))?,
    }
    Ok(Exit::Handled)
}

/// The actions of the last complete week, followed by acknowledged ones that are not among them.
fn listed(run: &CommandContext) -> anyhow::Result<Vec<AckJson>> {
    let events = run.store()?.events()?;
    let mut known: BTreeMap<&str, &StoredEvent> =
        events.iter().filter(|event| event.note.is_some()).map(|event| (event.id.as_str(), event)).collect();
    let mut listed = Vec::new();
    for action in selection::summary(run, run.store()?, Period::last_complete_week(run.now))?.actions {
        let said = known.remove(action.tracking.id.as_str());
        listed.push(AckJson {
            kind: action.change.word().to_owned(),
            state: action.tracking.state.word().to_owned(),
            policy_domain: Some(action.policy_domain.as_written().to_owned()),
            first_seen: action.tracking.first_seen.map(|day| day.to_string()),
            messages: action.evidence(),
            folded: action.tracking.folded,
            note: said.and_then(|said| said.note.clone()),
            acknowledged: said.and_then(|said| said.acknowledged).map(|at| at.to_string()),
            id: action.tracking.id,
        });
    }
    listed.extend(known.into_values().map(|said| AckJson {
        id: said.id.clone(),
        kind: said.kind.clone(),
        state: if said.is_action() { "gone".to_owned() } else { said.state.clone() },
        policy_domain: said.policy_domain.clone(),
        first_seen: None,
        messages: said.evidence,
        folded: true,
        note: said.note.clone(),
        acknowledged: said.acknowledged.map(|at| at.to_string()),
    }));
    Ok(listed)
}

fn text(listed: &[AckJson]) -> String {
    if listed.is_empty() {
        return "Nothing to do in the last complete week, and nothing acknowledged.\n".to_owned();
    }
    let mut out = String::new();
    for event in listed {
        let domain = event.policy_domain.as_deref().unwrap_or("-");
        // Writing to a `String` cannot fail.
        let _ = write!(out, "{}  {:<8} {:<18} {domain}", event.id, event.state, event.kind);
        let _ = match &event.first_seen {
            Some(first) => writeln!(out, ", first seen {first}, {}", ingest_run::count(event.messages, "message")),
            None => writeln!(out),
        };
        if let (Some(note), Some(at)) = (&event.note, &event.acknowledged) {
            let day = at.parse::<Timestamp>().map(|at| utc_day(at).to_string());
            let grown = if event.folded { "" } else { "; grown since, shown again" };
            let _ = writeln!(out, "              acknowledged {}: {note}{grown}", day.unwrap_or_default());
        }
    }
    out
}
