//! How often and after which pause a broken connection is made anew.

use super::account::{Mailbox, Patience};
use super::error::Fault;
use super::stop::Stop;

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
    pub(crate) async fn pause(&mut self, fault: Fault, mailbox: &Mailbox, stop: &Stop) -> Result<(), Fault> {
        if stop.is_set() {
            return Err(Fault::Stopped);
        }
        let patience: &Patience = &mailbox.patience;
        self.barren += 1;
        if self.barren >= patience.tries {
            let (what, hint) = fault.told();
            return Err(Fault::Settled { what: format!("{what} (tried {} times)", self.barren), hint });
        }
        let wait = match &fault {
            Fault::Throttled { wait, .. } if *wait > patience.longest_pause => {
                let (what, hint) = fault.told();
                return Err(Fault::Settled { what, hint });
            }
            Fault::Throttled { wait, .. } => *wait,
            _ => patience.pause * 2_u32.saturating_pow(self.barren - 1),
        };
        // Full jitter over a quarter: many clients of one server must not come back together.
        let jitter = wait.mul_f64(rand::random_range(0.0..0.25));
        let why = fault.into_error(mailbox).reason;
        tracing::debug!(mailbox = mailbox.name, why, wait = ?(wait + jitter), "connecting again");
        tokio::select! {
            () = tokio::time::sleep(wait + jitter) => Ok(()),
            () = stop.wait() => Err(Fault::Stopped),
        }
    }
}
