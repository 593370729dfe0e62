//! The verdicts of complete weeks for the tables `senders` and `domains`: each week's summary as rows.
//!
//! A week is summarized once and its rows are stored. It is summarized again if late reports or changed settings may
//! have changed its summary.

use super::repairs;
use super::run::CommandContext;
use super::selection;
use crate::analyze::{Adder, Evidence, Foreign, Period, Question, Sender, Services, Summary};
use crate::cli::settings::file::Settings;
use crate::model::monday;
use crate::store::{DomainRow, Filter, KeptVerdicts, SenderRow, Store, WeekVerdicts};
use jiff::ToSpan as _;
use jiff::civil::Date;
use std::collections::BTreeSet;

/// The verdicts of the complete weeks within the days of a filter.
pub(crate) fn of_weeks(run: &CommandContext, store: &Store, filter: &Filter) -> anyhow::Result<Vec<WeekVerdicts>> {
    let (found, fresh) = worked_out(run, store, filter)?;
    if !fresh.is_empty()
        && let Err(error) = store.keep_verdicts(&fresh)
    {
        // The next export computes them again: this user may not write to the store.
        run.console.note(&format!("the verdicts of {} weeks were not kept: {error}", fresh.len()));
    }
    Ok(found)
}

/// The same, and which of them are not stored yet.
pub(crate) fn worked_out(
    run: &CommandContext,
    store: &Store,
    filter: &Filter,
) -> anyhow::Result<(Vec<WeekVerdicts>, Vec<KeptVerdicts>)> {
    let settings = run.settings()?;
    let days = store.days()?;
    let mut kept = store.kept_verdicts()?;
    let question = selection::question(run, store)?;
    let fingerprint = fingerprint(&question, settings);
    let last = Period::last_complete_week(run.now).from();
    let mondays: BTreeSet<Date> = days.keys().map(|day| monday(*day)).chain(kept.keys().copied()).collect();
    let (mut found, mut fresh) = (Vec::new(), Vec::new());
    for monday in mondays.into_iter().filter(|monday| *monday <= last) {
        let week = Period::new(monday, monday.saturating_add(6.days()))?;
        if filter.from.is_some_and(|from| from > week.from()) || filter.to.is_some_and(|to| to < week.to()) {
            continue;
        }
        let question = Question { period: Some(week), ..question.clone() };
        let reads = question.reads().unwrap_or(week);
        let batch = days.range(reads.from()..=reads.to()).map(|(_, day)| day.last_batch).max().unwrap_or(0);
        // Without reports of the week, nothing can be computed again.
        let pruned = days.range(week.from()..=week.to()).next().is_none();
        match kept.remove(&monday) {
            Some(known) if pruned || known.batch >= batch && known.settings == fingerprint => {
                found.push(known.verdicts);
            }
            _ => {
                let verdicts = rows(&summary(store, &question, filter)?, week);
                fresh.push(KeptVerdicts { batch, settings: fingerprint.clone(), verdicts: verdicts.clone() });
                found.push(verdicts);
            }
        }
    }
    let owners = settings.owners();
    let customer = |domain: &str| owners.owner_of(domain).map(|owner| settings.customers[owner].name.clone());
    for week in &mut found {
        week.senders.iter_mut().for_each(|row| row.customer = customer(&row.policy_domain));
        week.domains.iter_mut().for_each(|row| row.customer = customer(&row.policy_domain));
    }
    Ok((found, fresh))
}

/// Only the rows of the filter's domains, without the names that it withholds.
pub(crate) fn of_filter(weeks: &[WeekVerdicts], filter: &Filter) -> Vec<WeekVerdicts> {
    let wanted = |domain: &String| filter.has_domain(domain);
    let is_withheld = |row: &SenderRow| {
        let name = filter.withheld.as_deref().zip(row.name.as_deref());
        name.is_some_and(|(withheld, name)| withheld.has_origin(name))
    };
    let mut weeks = weeks.to_vec();
    for week in &mut weeks {
        week.senders.retain(|row| wanted(&row.policy_domain));
        week.domains.retain(|row| wanted(&row.policy_domain));
        for row in week.senders.iter_mut().filter(|row| is_withheld(row)) {
            (row.name, row.rung) = (None, None);
        }
    }
    weeks
}

/// A hash of everything a verdict depends on except reports.
fn fingerprint(question: &Question, settings: &Settings) -> Vec<u8> {
    let Question { services, confirmed, own, names, networks, origins, dns, .. } = question;
    let changes = &dns.changes;
    let customers: Vec<_> = settings.customers.iter().map(|customer| (&customer.name, &customer.domains)).collect();
    let said =
        format!("{services:?} {confirmed:?} {own:?} {names:?} {networks:?} {origins:?} {changes:?} {customers:?}");
    let mut hash = blake3::Hasher::new();
    hash.update(env!("CARGO_PKG_VERSION").as_bytes());
    hash.update(Services::TABLE.as_bytes());
    hash.update(said.as_bytes());
    hash.finalize().as_bytes().to_vec()
}

fn summary(store: &Store, question: &Question, filter: &Filter) -> anyhow::Result<Summary> {
    let reads = question.reads();
    let filter = Filter {
        from: reads.map(Period::from),
        to: reads.map(Period::to),
        // All domains, whichever are requested: a sender is classified by all its mail.
        domains: Vec::new(),
        ..filter.clone()
    };
    let adder = Adder::new(question);
    selection::add_rows(store, &filter, question, &adder)?;
    let mut summary = adder.finish();
    repairs::count(Some(store), &mut summary)?;
    Ok(summary)
}

fn rows(summary: &Summary, week: Period) -> WeekVerdicts {
    let name = week.iso_week().unwrap_or_default();
    let actions = |domain: &Foreign| summary.actions.iter().filter(|action| action.policy_domain == *domain).count();
    let domains = summary.domains.iter().map(|domain| DomainRow {
        week: name.clone(),
        customer: None,
        policy_domain: written(&domain.policy_domain),
        policy: domain.policy.as_ref().and_then(|policy| policy.p.as_ref()).map(written),
        readiness: word(&domain.readiness.verdict),
        messages: number(domain.totals.sums.messages),
        pass_messages: number(domain.totals.sums.dmarc_pass),
        reporters: number(domain.totals.reporters),
        actions: number(actions(&domain.policy_domain) as u64),
    });
    let senders = summary.senders.iter().map(|sender| sender_row(sender, &name));
    WeekVerdicts { monday: week.from(), domains: domains.collect(), senders: senders.collect() }
}

fn sender_row(sender: &Sender, week: &str) -> SenderRow {
    let who = &sender.who;
    SenderRow {
        week: week.to_owned(),
        customer: None,
        policy_domain: written(&who.policy_domain),
        address: who.address.map(|address| address.to_string()),
        prefix: who.prefix.into(),
        signs_as: who.signs_as.as_ref().map(written),
        returns_to: who.returns_to.as_ref().map(written),
        name: who.origin.as_ref().map(|origin| written(&origin.name)),
        rung: who.origin.as_ref().map(|origin| origin.rung.into()),
        class: who.class.map(|class| class.as_str().to_owned()),
        asn: who.network.as_ref().and_then(|network| network.asn).map(i64::from),
        country: who.network.as_ref().and_then(|network| network.country.as_ref()).map(written),
        role: who.role.as_str().to_owned(),
        cause: sender.cause.as_str().to_owned(),
        evidence: sender.evidence.iter().map(evidence).collect(),
        messages: number(sender.sums.messages),
        pass_messages: number(sender.sums.dmarc_pass),
        would_be_lost: number(sender.would_be_lost),
        lost_now: number(sender.lost_now),
    }
}

/// The code of a piece of evidence as in the summary's JSON, and its details.
fn evidence(evidence: &Evidence) -> (String, String) {
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::to_value(evidence) else { return Default::default() };
    let kind = fields.remove("kind").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
    let detail = fields.iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| match value {
        serde_json::Value::String(text) => format!("{name}={text}"),
        other => format!("{name}={other}"),
    });
    (kind, detail.collect::<Vec<_>>().join(", "))
}

fn written(text: &Foreign) -> String {
    text.as_written().to_owned()
}

/// The name of a value as in the summary's JSON.
fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
