//! A stop request from any thread: a signal handler sets it, and everything that waits sees it.

use super::error::ServerError;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// A stop request, shared by its clones.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<StopState>);

#[derive(Debug, Default)]
struct StopState {
    set: AtomicBool,
    wake: Notify,
}

impl StopFlag {
    /// Not set yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everything that has a clone to end soon.
    pub fn set(&self) {
        self.0.set.store(true, Ordering::SeqCst);
        self.0.wake.notify_waiters();
    }

    /// Whether it is set.
    pub fn is_set(&self) -> bool {
        self.0.set.load(Ordering::SeqCst)
    }

    /// Waits until it is set.
    pub(crate) async fn wait(&self) {
        let mut woken = std::pin::pin!(self.0.wake.notified());
        woken.as_mut().enable();
        if !self.is_set() {
            woken.await;
        }
    }

    /// The outcome of a step that is aborted, because it cannot end by itself, some time after the flag is set.
    pub(crate) async fn abort<T>(
        &self,
        grace: Duration,
        step: impl Future<Output = Result<T, ServerError>>,
    ) -> Result<T, ServerError> {
        let overdue = async {
            self.wait().await;
            tokio::time::sleep(grace).await;
        };
        tokio::select! {
            outcome = step => outcome,
            () = overdue => Err(ServerError::Stopped),
        }
    }
}
