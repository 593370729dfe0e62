//! What can go wrong with a mailbox: for the caller one error, inside a fault that says whether to try again.
//!
//! A server may put what it was sent into its answers: a [`MailboxError`] is made where that is taken out.

use super::{gate::GateError, mailbox::Mailbox};
use std::{fmt, io, time::Duration};

/// A mailbox could not be read, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxError {
    /// The mailbox's name in the settings.
    pub mailbox: String,
    /// What failed: what was expected, what was found. A server's own words may be in it: cleaned when shown.
    pub reason: String,
    /// What a person could do, where there is something.
    pub hint: Option<String>,
}

impl fmt::Display for MailboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mailbox {}: {}", self.mailbox, self.reason)
    }
}

impl std::error::Error for MailboxError {}

/// Why something with a server went wrong, and so what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::fetch) enum Fault {
    /// The connection is of no use any more; a new one may be.
    Lost { what: String },
    /// A literal over the limit was announced; the connection is of no use any more.
    Oversized { uid: Option<u32>, announced: u64 },
    /// The server answered NO or BAD, in these words. The connection goes on.
    Refused { what: String, answer: String },
    /// The server wants us to wait.
    Throttled { answer: String, wait: Duration },
    /// It will fail again until a person does something.
    Settled { what: String, hint: Option<String> },
    /// We were asked to stop.
    Stopped,
}

impl Fault {
    /// A fault that trying again will not mend.
    pub(in crate::fetch) fn settled(what: impl Into<String>) -> Self {
        Self::Settled { what: what.into(), hint: None }
    }

    /// A fault that trying again will not mend, and what will.
    pub(in crate::fetch) fn hinted(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Settled { what: what.into(), hint: Some(hint.into()) }
    }

    /// The connection failed while doing this.
    pub(in crate::fetch) fn lost(doing: &str, why: impl fmt::Display) -> Self {
        Self::Lost { what: format!("{doing}: {why}") }
    }

    /// An error of the stream while doing this; what the gate said of it is kept.
    pub(in crate::fetch) fn stream(doing: &str, error: &io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<GateError>()) {
            Some(&GateError::Literal { uid, announced, .. }) => Self::Oversized { uid, announced },
            Some(other) => Self::lost(doing, other),
            None if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::lost(doing, "the server closed the connection")
            }
            None => Self::lost(doing, error),
        }
    }

    /// A new connection may do better.
    pub(in crate::fetch) fn passes(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Oversized { .. } | Self::Throttled { .. })
    }

    /// For the caller, without what must not be said.
    pub(in crate::fetch) fn into_error(self, mailbox: &Mailbox) -> MailboxError {
        let (reason, hint) = self.told();
        let clean = |text: String| mailbox.secrets.clean(&text);
        MailboxError { mailbox: mailbox.name.clone(), reason: clean(reason), hint: hint.map(clean) }
    }

    /// What happened, and what a person could do. A server's own words may be in it.
    pub(in crate::fetch) fn told(self) -> (String, Option<String>) {
        match self {
            Self::Settled { what, hint } => (what, hint),
            Self::Lost { what } => (what, None),
            Self::Oversized { announced, .. } => (format!("the server announced a literal of {announced} bytes"), None),
            Self::Refused { what, answer } => (format!("{what}: the server answered {answer}"), None),
            Self::Throttled { answer, .. } => {
                let hint = "the server limits how often it may be asked: run less often, or with --limit";
                (format!("the server answered {answer}"), Some(hint.to_owned()))
            }
            Self::Stopped => ("stopped before the end".to_owned(), None),
        }
    }
}

/// How long a server's answer asks to wait, as Exchange Online words it: `Suggested Backoff Time: 299961 milliseconds`.
pub(in crate::fetch) fn wait_in(answer: &str) -> Option<Duration> {
    let lower = answer.to_ascii_lowercase();
    let (_, rest) = lower.split_once("backoff time:")?;
    let rest = rest.trim_start();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let number = digits.parse().ok()?;
    let seconds = rest[digits.len()..].trim_start().starts_with("second");
    Some(if seconds { Duration::from_secs(number) } else { Duration::from_millis(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_time_in_an_answer_is_found() {
        let answer = "BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds";
        assert_eq!(wait_in(answer), Some(Duration::from_millis(299_961)));
        assert_eq!(wait_in("NO try later"), None);
    }
}
