//! How long servers cannot be reached while `fetch --watch` waits: when to say so, and when to note it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// A server that is away for so long is worth a warning.
const WARNED: Duration = Duration::from_mins(1);
/// How often an outage that lasts is noted in the ledger, where `alert` looks.
const NOTED: Duration = Duration::from_mins(5);

/// One mailbox whose server is away.
#[derive(Debug, Clone)]
struct Outage {
    since: Instant,
    why: String,
    warned: bool,
    noted: Option<Instant>,
}

/// The mailboxes whose servers are away.
#[derive(Debug, Default)]
pub(super) struct Outages(BTreeMap<String, Outage>);

impl Outages {
    /// The server of a mailbox is away.
    pub(super) fn trouble(&mut self, mailbox: &str, why: String, now: Instant) {
        let known = self.0.entry(mailbox.to_owned());
        known.or_insert(Outage { since: now, why: String::new(), warned: false, noted: None }).why = why;
    }

    /// It is back. Returns for how long it was away, where that was said.
    pub(super) fn back(&mut self, mailbox: &str, now: Instant) -> Option<Duration> {
        let outage = self.0.remove(mailbox)?;
        outage.warned.then(|| now.duration_since(outage.since))
    }

    /// What to warn of now: mailbox and why. Each outage once.
    pub(super) fn due_warnings(&mut self, now: Instant) -> Vec<(String, String)> {
        let due = self.0.iter_mut().filter(|(_, outage)| !outage.warned && now.duration_since(outage.since) >= WARNED);
        due.map(|(mailbox, outage)| {
            outage.warned = true;
            (mailbox.clone(), outage.why.clone())
        })
        .collect()
    }

    /// What to note in the ledger now: mailbox and why.
    pub(super) fn due_notes(&mut self, now: Instant) -> Vec<(String, String)> {
        let is_due = |outage: &Outage| outage.noted.is_none_or(|noted| now.duration_since(noted) >= NOTED);
        let due = self.0.iter_mut().filter(|(_, outage)| outage.warned && is_due(outage));
        due.map(|(mailbox, outage)| {
            outage.noted = Some(now);
            (mailbox.clone(), outage.why.clone())
        })
        .collect()
    }

    /// What the program does, in a line: `watching 2 mailboxes, 1 without a connection`.
    pub(super) fn status(&self, mailboxes: usize) -> String {
        let away = match self.0.len() {
            0 => String::new(),
            away => format!(", {away} without a connection"),
        };
        format!("watching {mailboxes} {}{away}", if mailboxes == 1 { "mailbox" } else { "mailboxes" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_said_once_after_a_minute_and_noted_while_it_lasts() {
        let (mut outages, begin) = (Outages::default(), Instant::now());
        let after = |seconds| begin + Duration::from_secs(seconds);
        outages.trouble("a", "refused".into(), begin);
        outages.trouble("a", "no answer".into(), after(30));
        assert!(outages.due_warnings(after(59)).is_empty() && outages.due_notes(after(59)).is_empty());
        let said = vec![("a".to_owned(), "no answer".to_owned())];
        assert_eq!(outages.due_warnings(after(60)), said);
        assert_eq!((outages.due_notes(after(60)), outages.due_warnings(after(61)).len()), (said.clone(), 0));
        assert!(outages.due_notes(after(300)).is_empty());
        assert_eq!(outages.due_notes(after(360)), said);
        assert_eq!(outages.back("a", after(400)), Some(Duration::from_secs(400)));
        outages.trouble("a", "again".into(), after(500));
        assert_eq!(outages.status(2), "watching 2 mailboxes, 1 without a connection");
        assert_eq!(outages.back("a", after(510)), None, "too short to be said");
        assert_eq!(outages.status(1), "watching 1 mailbox");
    }
}
