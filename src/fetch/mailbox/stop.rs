//! A stop request from any thread: a signal handler sets it, and everything that waits sees it.

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

    /// Waits until some time after it is set: whatever cannot end by itself is aborted then.
    pub(crate) async fn overdue(&self, grace: Duration) {
        self.wait().await;
        tokio::time::sleep(grace).await;
    }
}
