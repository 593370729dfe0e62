//! The way from the poller's thread to the caller's: mails, as many at once as a budget of bytes allows.

use super::error::Fault;
use crate::fetch::{FetchError, Fetched};
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Mails on the way, in number.
const MAILS: usize = 256;
/// Mails on the way, in KiB; one that is larger travels alone.
const KIBIBYTES: u32 = 8 << 10;

/// The poller's end.
#[derive(Debug)]
pub(super) struct Sink {
    mails: mpsc::Sender<Parcel>,
    room: Arc<Semaphore>,
}

/// A mail and the room it takes.
#[derive(Debug)]
struct Parcel {
    content: Result<Fetched, FetchError>,
    _room: OwnedSemaphorePermit,
}

/// The caller's end: an iterator that waits.
#[derive(Debug)]
pub struct Mails(mpsc::Receiver<Parcel>);

/// Both ends.
pub(super) fn channel() -> (Sink, Mails) {
    let (sender, receiver) = mpsc::channel(MAILS);
    (Sink { mails: sender, room: Arc::new(Semaphore::new(KIBIBYTES as usize)) }, Mails(receiver))
}

impl Sink {
    /// Hand over, once there is room.
    pub(super) async fn give(&self, fetched: Fetched) -> Result<(), Fault> {
        let bytes = if let Fetched::Item(item) = &fetched { item.bytes.len() } else { 0 };
        let size = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).saturating_add(1).min(KIBIBYTES);
        let room = tokio::select! {
            room = self.room.clone().acquire_many_owned(size) => room.map_err(|_| Fault::Stopped)?,
            () = self.mails.closed() => return Err(Fault::Stopped),
        };
        self.mails.send(Parcel { content: Ok(fetched), _room: room }).await.map_err(|_| Fault::Stopped)
    }
}

impl Iterator for Mails {
    type Item = Result<Fetched, FetchError>;

    /// The next mail. Waits for it; must not be called from async code.
    fn next(&mut self) -> Option<Self::Item> {
        self.0.blocking_recv().map(|parcel| parcel.content)
    }
}
