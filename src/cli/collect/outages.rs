//! Tracks unreachable servers during `fetch --watch`: when to warn, and when to record the outage.

use crate::cli::wiring::ingest_run::count;
use crate::fetch::MailboxError;
use crate::fetch::imap::Wake;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// An outage this long causes a warning.
const WARNED: Duration = Duration::from_mins(1);
/// How often a lasting outage is recorded in the ledger for `alert`.
const NOTED: Duration = Duration::from_mins(5);

/// A mailbox whose server is unreachable.
#[derive(Debug, Clone)]
struct Outage {
    since: Instant,
    why: String,
    warned: bool,
    noted: Option<Instant>,
}

/// What to do after an event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct WatchNews {
    /// Mailboxes that may have new mails.
    pub(super) news: Vec<String>,
    /// Mailboxes that were given up until somebody fixes them.
    pub(super) given: Vec<MailboxError>,
    /// Warnings to print.
    pub(super) warnings: Vec<String>,
    /// Notes to print with `--verbose`.
    pub(super) notes: Vec<String>,
    /// Failures to record in the ledger: mailbox and reason.
    pub(super) failing: Vec<(String, String)>,
}

/// The mailboxes whose servers are unreachable.
#[derive(Debug, Default)]
pub(super) struct Outages(BTreeMap<String, Outage>);

impl Outages {
    /// Records that the server of a mailbox is unreachable.
    fn trouble(&mut self, mailbox: &str, why: String, now: Instant) {
        let known = self.0.entry(mailbox.to_owned());
        known.or_insert(Outage { since: now, why: String::new(), warned: false, noted: None }).why = why;
    }

    /// Records that it is reachable again. Returns the length of the outage, if there was a warning about it.
    fn back(&mut self, mailbox: &str, now: Instant) -> Option<Duration> {
        let outage = self.0.remove(mailbox)?;
        outage.warned.then(|| now.duration_since(outage.since))
    }

    /// Outages to warn about now, each once, and those to record in the ledger: mailbox and reason.
    fn due(&mut self, now: Instant) -> (Vec<(String, String)>, Vec<(String, String)>) {
        let (mut warnings, mut notes) = (Vec::new(), Vec::new());
        for (mailbox, outage) in &mut self.0 {
            let said = (mailbox.clone(), outage.why.clone());
            if !outage.warned && now.duration_since(outage.since) >= WARNED {
                outage.warned = true;
                warnings.push(said.clone());
            }
            if outage.warned && outage.noted.is_none_or(|noted| now.duration_since(noted) >= NOTED) {
                outage.noted = Some(now);
                notes.push(said);
            }
        }
        (warnings, notes)
    }

    /// Processes events and returns what to do now.
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
        let (warnings, failing) = self.due(now);
        for (mailbox, why) in warnings {
            heard.warnings.push(format!("mailbox {mailbox}: no connection for a minute: {why}; still trying"));
        }
        heard.failing = failing;
        heard
    }

    /// The current state in one line: `watching 2 mailboxes, 1 without a connection`.
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
    fn an_outage_is_reported_once_after_a_minute_and_recorded_while_it_lasts() {
        let (mut outages, begin) = (Outages::default(), Instant::now());
        let after = |seconds| begin + Duration::from_secs(seconds);
        outages.trouble("a", "refused".into(), begin);
        outages.trouble("a", "no answer".into(), after(30));
        let (said, none) = (vec![("a".to_owned(), "no answer".to_owned())], Vec::new());
        for (seconds, warnings, notes) in
            [(59, &none, &none), (60, &said, &said), (61, &none, &none), (300, &none, &none), (360, &none, &said)]
        {
            assert_eq!(outages.due(after(seconds)), (warnings.clone(), notes.clone()), "{seconds}");
        }
        assert_eq!(outages.back("a", after(400)), Some(Duration::from_secs(400)));
        outages.trouble("a", "again".into(), after(500));
        assert_eq!(outages.status(2), "watching 2 mailboxes, 1 without a connection");
        assert_eq!(outages.back("a", after(510)), None, "too short to be said");
        assert_eq!(outages.status(1), "watching 1 mailbox");
    }

    #[test]
    fn an_outage_is_warned_of_after_a_minute_and_its_end_is_reported() {
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
