//! How often and after which pause a broken connection is reopened.

use super::account::{Mailbox, Patience};
use super::error::ServerError;
use super::stop::StopFlag;

/// Counts the connections in a row without progress.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    barren: u32,
}

impl Retry {
    /// The connection made progress: the count starts again.
    pub(crate) fn progress(&mut self) {
        self.barren = 0;
    }

    /// Waits before the next connection; returns the error once retrying is useless.
    pub(crate) async fn pause(
        &mut self,
        fault: ServerError,
        mailbox: &Mailbox,
        stop: &StopFlag,
    ) -> Result<(), ServerError> {
        if stop.is_set() {
            return Err(ServerError::Stopped);
        }
        let patience: &Patience = &mailbox.patience;
        self.barren += 1;
        if self.barren >= patience.tries {
            let (what, hint) = fault.reason_and_hint();
            return Err(ServerError::Settled { what: format!("{what} (tried {} times)", self.barren), hint });
        }
        let wait = match &fault {
            ServerError::Throttled { wait, .. } if *wait > patience.longest_pause => {
                let (what, hint) = fault.reason_and_hint();
                return Err(ServerError::Settled { what, hint });
            }
            ServerError::Throttled { wait, .. } => *wait,
            _ => patience.pause * 2_u32.saturating_pow(self.barren - 1),
        };
        // Jitter of up to a quarter: many clients of one server must not reconnect at the same time.
        let jitter = wait.mul_f64(rand::random_range(0.0..0.25));
        let why = mailbox.error(fault).reason;
        tracing::debug!(mailbox = mailbox.name, why, wait = ?(wait + jitter), "connecting again");
        tokio::select! {
            () = tokio::time::sleep(wait + jitter) => Ok(()),
            () = stop.wait() => Err(ServerError::Stopped),
        }
    }
}
