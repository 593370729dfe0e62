//! The channel from the poller's thread to the caller's, bounded by bytes.

use super::error::ServerError;
use crate::fetch::item::{FetchError, Fetched};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bundles in the channel.
const BUNDLES: usize = 16;
/// Mails per bundle: one wake-up of the other thread for all of them.
const BUNDLE: usize = 32;
/// KiB of mails in the channel; a larger mail is passed alone.
const KIBIBYTES: u32 = 8 << 10;

/// The poller's end.
#[derive(Debug)]
pub(crate) struct MailQueue {
    mails: mpsc::Sender<Vec<QueuedMail>>,
    room: Arc<Semaphore>,
    /// Mails not sent yet.
    bundle: Vec<QueuedMail>,
}

/// A mail and the space it takes.
#[derive(Debug)]
struct QueuedMail {
    fetched: Fetched,
    _room: OwnedSemaphorePermit,
}

/// The caller's end: a blocking iterator.
#[derive(Debug)]
pub struct Mails {
    bundles: mpsc::Receiver<Vec<QueuedMail>>,
    current: std::vec::IntoIter<QueuedMail>,
}

/// Both ends.
pub(crate) fn channel() -> (MailQueue, Mails) {
    let (sender, bundles) = mpsc::channel(BUNDLES);
    let room = Arc::new(Semaphore::new(KIBIBYTES as usize));
    (MailQueue { mails: sender, room, bundle: Vec::new() }, Mails { bundles, current: Vec::new().into_iter() })
}

impl MailQueue {
    /// Passes a mail on, once there is room. It may wait in a bundle until [`MailQueue::flush`].
    pub(crate) async fn give(&mut self, fetched: Fetched) -> Result<(), ServerError> {
        let bytes = if let Fetched::Item(item) = &fetched { item.bytes.len() } else { 0 };
        let size = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).saturating_add(1).min(KIBIBYTES);
        let room = if let Ok(room) = self.room.clone().try_acquire_many_owned(size) {
            room
        } else {
            // Buffered mails take up space, too.
            self.flush().await?;
            tokio::select! {
                room = self.room.clone().acquire_many_owned(size) => room.map_err(|_| ServerError::Stopped)?,
                () = self.mails.closed() => return Err(ServerError::Stopped),
            }
        };
        self.bundle.push(QueuedMail { fetched, _room: room });
        if self.bundle.len() < BUNDLE { Ok(()) } else { self.flush().await }
    }

    /// Sends the buffered mails.
    pub(crate) async fn flush(&mut self) -> Result<(), ServerError> {
        if self.bundle.is_empty() {
            return Ok(());
        }
        self.mails.send(std::mem::take(&mut self.bundle)).await.map_err(|_| ServerError::Stopped)
    }
}

impl Iterator for Mails {
    type Item = Result<Fetched, FetchError>;

    /// The next mail. Blocks; must not be called from async code.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(mail) = self.current.next() {
                return Some(Ok(mail.fetched));
            }
            self.current = self.bundles.blocking_recv()?.into_iter();
        }
    }
}
