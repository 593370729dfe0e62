//! Being asked to stop, from any thread: a signal handler sets it, everything that waits sees it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::Notify;

/// A wish to stop. Clones are one wish.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<Wish>);

#[derive(Debug, Default)]
struct Wish {
    set: AtomicBool,
    wake: Notify,
}

impl StopFlag {
    /// Nobody wishes to stop yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ask everything that holds this to end soon.
    pub fn set(&self) {
        self.0.set.store(true, Ordering::SeqCst);
        self.0.wake.notify_waiters();
    }

    /// Whether it was asked for.
    pub fn is_set(&self) -> bool {
        self.0.set.load(Ordering::SeqCst)
    }

    /// Until it is asked for.
    pub(crate) async fn wait(&self) {
        let mut woken = std::pin::pin!(self.0.wake.notified());
        woken.as_mut().enable();
        if !self.is_set() {
            woken.await;
        }
    }

    /// Until some time after it was asked for: what cannot end by itself is cut then.
    pub(crate) async fn overdue(&self, grace: Duration) {
        self.wait().await;
        tokio::time::sleep(grace).await;
    }
}
