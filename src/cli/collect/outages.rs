//! How long servers cannot be reached while `fetch --watch` waits: when to say so, and when to note it.

use crate::cli::wiring::ingest_run::count;
use crate::fetch::MailboxError;
use crate::fetch::imap::Wake;
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

/// What to do about what was heard.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct WatchNews {
    /// Mailboxes that may have new mails.
    pub(super) news: Vec<String>,
    /// Mailboxes that cannot be waited for until a person does something.
    pub(super) given: Vec<MailboxError>,
    /// To be said.
    pub(super) warnings: Vec<String>,
    /// To be said to who wants to know more.
    pub(super) notes: Vec<String>,
    /// To be noted in the ledger: mailbox and why.
    pub(super) failing: Vec<(String, String)>,
}

/// The mailboxes whose servers are away.
#[derive(Debug, Default)]
pub(super) struct Outages(BTreeMap<String, Outage>);

impl Outages {
    /// The server of a mailbox is away.
    fn trouble(&mut self, mailbox: &str, why: String, now: Instant) {
        let known = self.0.entry(mailbox.to_owned());
        known.or_insert(Outage { since: now, why: String::new(), warned: false, noted: None }).why = why;
    }

    /// It is back. Returns for how long it was away, where that was said.
    fn back(&mut self, mailbox: &str, now: Instant) -> Option<Duration> {
        let outage = self.0.remove(mailbox)?;
        outage.warned.then(|| now.duration_since(outage.since))
    }

    /// What to warn of now: mailbox and why. Each outage once.
    fn due_warnings(&mut self, now: Instant) -> Vec<(String, String)> {
        let due = self.0.iter_mut().filter(|(_, outage)| !outage.warned && now.duration_since(outage.since) >= WARNED);
        due.map(|(mailbox, outage)| {
            outage.warned = true;
            (mailbox.clone(), outage.why.clone())
        })
        .collect()
    }

    /// Hear what came of waiting: what is to be done now.
    pub(super) fn hear(&mut self, wakes: Vec<Wake>, now: Instant) -> WatchNews {
        let mut heard = WatchNews::default();
        for wake in wakes {
            match wake {
                Wake::News(name) => {
                    if let Some(away) = self.back(&name, now) {
                        let minutes = count(away.as_secs().div_ceil(60), "minute");
                        heard.warnings.push(format!("mailbox {name}: the server answers again, after {minutes}"));
                    }
                    heard.news.push(name);
                }
                Wake::Trouble(error) => {
                    heard.notes.push(format!("{error}; reconnecting"));
                    self.trouble(&error.mailbox, error.reason, now);
                }
                Wake::Given(error) => heard.given.push(error),
            }
        }
        for (mailbox, why) in self.due_warnings(now) {
            heard.warnings.push(format!("mailbox {mailbox}: no connection for a minute: {why}; still trying"));
        }
        heard.failing = self.due_notes(now);
        heard
    }

    /// What to note in the ledger now: mailbox and why.
    fn due_notes(&mut self, now: Instant) -> Vec<(String, String)> {
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

    #[test]
    fn an_outage_is_warned_of_after_a_minute_and_its_end_is_told() {
        let (mut outages, begin) = (Outages::default(), Instant::now());
        let after = |seconds| begin + Duration::from_secs(seconds);
        let error = || MailboxError { mailbox: "a".into(), reason: "refused".into(), hint: None };
        let heard = outages.hear(vec![Wake::Trouble(error()), Wake::Given(error())], begin);
        assert_eq!((heard.notes.len(), heard.given.len(), heard.warnings.len()), (1, 1, 0), "{heard:?}");
        assert!(heard.notes[0].ends_with("refused; reconnecting"), "{heard:?}");
        assert_eq!(outages.hear(Vec::new(), after(59)), WatchNews::default());
        let heard = outages.hear(Vec::new(), after(61));
        assert_eq!(heard.warnings, ["mailbox a: no connection for a minute: refused; still trying"]);
        assert_eq!(heard.failing, [("a".to_owned(), "refused".to_owned())]);
        assert_eq!(outages.hear(Vec::new(), after(70)), WatchNews::default(), "said once");
        let heard = outages.hear(vec![Wake::News("a".into())], after(125));
        assert_eq!(heard.warnings, ["mailbox a: the server answers again, after 3 minutes"]);
        assert_eq!(heard.news, ["a"]);
    }
}
