//! Errors of mailboxes: one type for the caller, and one for internal use that says whether to retry.
//!
//! A server may repeat in its answers what it was sent: a [`MailboxError`] is created where that is removed.

use std::{fmt, io, time::Duration};

/// Why an operation failed, and therefore what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ServerError {
    /// The connection is unusable; a new one may work.
    Lost { what: String },
    /// A literal over the limit was announced; the connection is unusable.
    Oversized { uid: Option<u32>, announced: u64 },
    /// The server answered NO or BAD. The connection stays usable.
    Refused { what: String, answer: String },
    /// The server wants us to wait.
    Throttled { answer: String, wait: Duration },
    /// It will fail again until a person does something.
    Settled { what: String, hint: Option<String> },
    /// We were asked to stop.
    Stopped,
}

impl ServerError {
    /// An error that retrying will not fix.
    pub(crate) fn settled(what: impl Into<String>) -> Self {
        Self::Settled { what: what.into(), hint: None }
    }

    /// An error that retrying will not fix, and what will.
    pub(crate) fn hinted(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Settled { what: what.into(), hint: Some(hint.into()) }
    }

    /// The connection failed while doing this.
    pub(crate) fn lost(doing: &str, why: impl fmt::Display) -> Self {
        Self::Lost { what: format!("{doing}: {why}") }
    }

    /// A stream error while doing this.
    pub(crate) fn stream(doing: &str, error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return Self::lost(doing, "the server closed the connection");
        }
        Self::lost(doing, error)
    }

    /// Whether a new connection may help.
    pub(crate) fn passes(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Oversized { .. } | Self::Throttled { .. })
    }

    /// What happened, and what the user could do. May quote the server.
    pub(crate) fn reason_and_hint(self) -> (String, Option<String>) {
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

/// How long a server asks to wait, in the form of Exchange Online: `Suggested Backoff Time: 299961 milliseconds`.
pub(crate) fn wait_in(answer: &str) -> Option<Duration> {
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

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_answer_of_a_server_panics(number in "[0-9]{1,40}", unit in "[ a-z\\PC]{0,12}") {
            let wait = wait_in(&format!("backoff time: {number} {unit}"));
            proptest::prop_assert_eq!(wait.is_some(), number.parse::<u64>().is_ok());
        }
    }
}
