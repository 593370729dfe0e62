//! Sends the waiting messages through each channel. A message stays in the outbox until its channel has accepted it.

use super::message::{AlertEvent, AlertMessage};
use crate::store::{StoreError, Undelivered, Writer};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// The channel that is standard output.
pub const PRINT: &str = "print";

/// Events in one message.
const AT_ONCE: usize = 50;
/// Pauses between the attempts of one run.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];
/// How many minutes later runs wait, by number of earlier attempts.
const LATER: [i64; 5] = [1, 5, 15, 60, 360];

/// Why a channel did not accept a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryFailure {
    /// What went wrong, without any secret.
    pub why: String,
    /// Retrying may help.
    pub again: bool,
}

/// A channel: its name in the outbox, and the function that sends a message.
pub struct AlertDelivery<'a> {
    /// Its name.
    pub channel: String,
    /// Sends one message. The key is the same whenever the same message is sent again.
    pub send: Box<dyn Fn(&AlertMessage, &str) -> Result<(), DeliveryFailure> + 'a>,
}

/// Sends everything that waits. Returns the failures by channel.
///
/// # Errors
/// If the ledger fails; a failing channel is not an error.
pub fn deliver(
    writer: &mut Writer,
    deliveries: &[AlertDelivery<'_>],
    now: Timestamp,
) -> Result<Vec<String>, StoreError> {
    let mut failed = Vec::new();
    for delivery in deliveries {
        loop {
            let undelivered = writer.undelivered(&delivery.channel)?;
            let due: Vec<Undelivered> = undelivered.into_iter().filter(|one| one.next <= now).take(AT_ONCE).collect();
            if due.is_empty() {
                break;
            }
            let events: Vec<AlertEvent> = due.iter().filter_map(|one| serde_json::from_str(&one.body).ok()).collect();
            let message = AlertMessage::new(events);
            match try_some_times(delivery, &message, &key(&due)) {
                Ok(()) => writer.mark_delivered(&delivery.channel, &due)?,
                Err(failure) => {
                    let attempts = due.iter().map(|one| one.attempts).max().unwrap_or(0) as usize;
                    let minutes = LATER[attempts.min(LATER.len() - 1)];
                    let next = now.saturating_add(SignedDuration::from_mins(minutes)).unwrap_or(now);
                    writer.postpone_delivery(&delivery.channel, &due, next)?;
                    failed.push(format!("{}: {}", delivery.channel, failure.why));
                    break;
                }
            }
        }
    }
    Ok(failed)
}

/// A key that is the same whenever the same events are sent, so that a receiver can recognize a repetition.
fn key(due: &[Undelivered]) -> String {
    let mut hash = blake3::Hasher::new();
    for one in due {
        hash.update(one.event.as_bytes()).update(b" ").update(one.state.as_bytes()).update(b"\0");
    }
    hash.finalize().to_hex()[..32].to_owned()
}

fn try_some_times(delivery: &AlertDelivery<'_>, message: &AlertMessage, key: &str) -> Result<(), DeliveryFailure> {
    let mut pauses = PAUSES.iter();
    loop {
        match ((delivery.send)(message, key), pauses.next()) {
            (Err(failure), Some(pause)) if failure.again => std::thread::sleep(*pause),
            (result, _) => return result,
        }
    }
}
