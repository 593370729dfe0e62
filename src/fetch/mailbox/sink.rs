//! The way from the poller's thread to the caller's: mails, as many at once as a budget of bytes allows.

use super::error::ServerError;
use crate::fetch::item::{FetchError, Fetched};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bundles on the way, in number.
const BUNDLES: usize = 16;
/// Mails in a bundle: one word between the threads for all of them.
const BUNDLE: usize = 32;
/// Mails on the way, in KiB; one that is larger travels alone.
const KIBIBYTES: u32 = 8 << 10;

/// The poller's end.
#[derive(Debug)]
pub(crate) struct MailQueue {
    mails: mpsc::Sender<Vec<Parcel>>,
    room: Arc<Semaphore>,
    /// Given, and not on the way yet.
    bundle: Vec<Parcel>,
}

/// A mail and the room it takes.
#[derive(Debug)]
struct Parcel {
    content: Result<Fetched, FetchError>,
    _room: OwnedSemaphorePermit,
}

/// The caller's end: an iterator that waits.
#[derive(Debug)]
pub struct Mails {
    bundles: mpsc::Receiver<Vec<Parcel>>,
    current: std::vec::IntoIter<Parcel>,
}

/// Both ends.
pub(crate) fn channel() -> (MailQueue, Mails) {
    let (sender, bundles) = mpsc::channel(BUNDLES);
    let room = Arc::new(Semaphore::new(KIBIBYTES as usize));
    (MailQueue { mails: sender, room, bundle: Vec::new() }, Mails { bundles, current: Vec::new().into_iter() })
}

impl MailQueue {
    /// Hand over, once there is room. It may wait in a bundle until [`MailQueue::flush`].
    pub(crate) async fn give(&mut self, fetched: Fetched) -> Result<(), ServerError> {
        let bytes = if let Fetched::Item(item) = &fetched { item.bytes.len() } else { 0 };
        let size = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).saturating_add(1).min(KIBIBYTES);
        let room = if let Ok(room) = self.room.clone().try_acquire_many_owned(size) {
            room
        } else {
            // What waits here takes up room, too.
            self.flush().await?;
            tokio::select! {
                room = self.room.clone().acquire_many_owned(size) => room.map_err(|_| ServerError::Stopped)?,
                () = self.mails.closed() => return Err(ServerError::Stopped),
            }
        };
        self.bundle.push(Parcel { content: Ok(fetched), _room: room });
        if self.bundle.len() < BUNDLE { Ok(()) } else { self.flush().await }
    }

    /// Send what waits on its way.
    pub(crate) async fn flush(&mut self) -> Result<(), ServerError> {
        if self.bundle.is_empty() {
            return Ok(());
        }
        self.mails.send(std::mem::take(&mut self.bundle)).await.map_err(|_| ServerError::Stopped)
    }
}

impl Iterator for Mails {
    type Item = Result<Fetched, FetchError>;

    /// The next mail. Waits for it; must not be called from async code.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(parcel) = self.current.next() {
                return Some(parcel.content);
            }
            self.current = self.bundles.blocking_recv()?.into_iter();
        }
    }
}
