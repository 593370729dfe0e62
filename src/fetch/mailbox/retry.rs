//! How often and after which pause a broken connection is made anew.

use super::account::{Mailbox, Patience};
use super::error::ServerError;
use super::stop::StopFlag;

/// Counts the connections in a row that brought nothing.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    barren: u32,
}

impl Retry {
    /// The connection brought something: the next one that breaks is the first again.
    pub(crate) fn progress(&mut self) {
        self.barren = 0;
    }

    /// Wait before the next connection; the fault itself once it is no use any more.
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
            let (what, hint) = fault.told();
            return Err(ServerError::Settled { what: format!("{what} (tried {} times)", self.barren), hint });
        }
        let wait = match &fault {
            ServerError::Throttled { wait, .. } if *wait > patience.longest_pause => {
                let (what, hint) = fault.told();
                return Err(ServerError::Settled { what, hint });
            }
            ServerError::Throttled { wait, .. } => *wait,
            _ => patience.pause * 2_u32.saturating_pow(self.barren - 1),
        };
        // Full jitter over a quarter: many clients of one server must not come back together.
        let jitter = wait.mul_f64(rand::random_range(0.0..0.25));
        let why = fault.into_error(mailbox).reason;
        tracing::debug!(mailbox = mailbox.name, why, wait = ?(wait + jitter), "connecting again");
        tokio::select! {
            () = tokio::time::sleep(wait + jitter) => Ok(()),
            () = stop.wait() => Err(ServerError::Stopped),
        }
    }
}
