//! Waits for mail on one connection per mailbox, with IDLE if the server supports it, else by polling.
//!
//! It fetches nothing: the caller starts a run while this connection keeps listening, so that no arrival is missed.

use super::folders::FolderTree;
use super::session::{ImapConnection, OpenMode, is_news, quoted};
use crate::fetch::item::MailboxError;
use crate::fetch::mailbox::error::ServerError;
use crate::fetch::mailbox::oauth::TokenCache;
use crate::fetch::mailbox::tls;
use crate::fetch::mailbox::{Mailbox, Protocol, StopFlag};
use async_imap::imap_proto::{MailboxDatum, Response};
use std::{
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};
use tokio::time::{self, Instant};
use tokio_rustls::rustls::ClientConfig;

/// The longest pause between two attempts to connect.
const LONGEST_PAUSE: Duration = Duration::from_mins(15);
/// The shortest.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
/// Longer than any IDLE.
const A_DAY: Duration = Duration::from_hours(24);

/// The result of waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wake {
    /// The mailbox with this name may have new mails. Also sent once the connection is established.
    News(String),
    /// The connection of a mailbox was lost; it will be retried.
    Trouble(MailboxError),
    /// A mailbox needs a person before it can be watched.
    Given(MailboxError),
}

/// Waits for all mailboxes at once, each on its own thread, until it is stopped or none is left.
#[derive(Debug)]
pub struct IdleWatch(mpsc::Receiver<Wake>);

impl IdleWatch {
    /// Starts waiting.
    pub fn start(mailboxes: Vec<Mailbox>, stop: &StopFlag) -> Self {
        let (sender, receiver) = mpsc::channel();
        for mailbox in mailboxes {
            let (wakes, stop) = (sender.clone(), stop.clone());
            let spawned = thread::Builder::new().name("watch".to_owned()).spawn(move || {
                let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
                let fault = runtime.block_on(async {
                    tokio::select! {
                        fault = watch(&mailbox, &wakes) => fault,
                        () = stop.wait() => ServerError::Stopped,
                    }
                });
                if fault != ServerError::Stopped {
                    let _ = wakes.send(Wake::Given(mailbox.error(fault)));
                }
                runtime.shutdown_background();
            });
            if let Err(error) = spawned {
                tracing::warn!(%error, "a thread does not start");
            }
        }
        Self(receiver)
    }

    /// The next wake-ups, each once; empty if none came in time, `None` once nothing is watched. Blocks.
    pub fn next_within(&mut self, patience: Duration) -> Option<Vec<Wake>> {
        let mut wakes = match self.0.recv_timeout(patience) {
            Ok(wake) => vec![wake],
            Err(mpsc::RecvTimeoutError::Timeout) => Vec::new(),
            Err(mpsc::RecvTimeoutError::Disconnected) => return None,
        };
        while let Ok(wake) = self.0.try_recv() {
            if !wakes.contains(&wake) {
                wakes.push(wake);
            }
        }
        Some(wakes)
    }
}

/// Waits for one mailbox; returns the error that ends it.
async fn watch(mailbox: &Mailbox, wakes: &mpsc::Sender<Wake>) -> ServerError {
    let trust = match tls::trusted(mailbox.ca_file.as_deref()) {
        Ok(trust) => trust,
        Err(fault) => return fault,
    };
    if mailbox.protocol == Protocol::Pop3 {
        return ask_now_and_then(mailbox, wakes).await;
    }
    let mut tokens = TokenCache::default();
    let mut pause = SHORTEST_PAUSE;
    loop {
        let begin = Instant::now();
        let Err(fault) = listen(mailbox, &trust, &mut tokens, wakes).await else { return ServerError::Stopped };
        if !fault.passes() {
            return fault;
        }
        // After a long-lived connection, retries start with the shortest pause again.
        if begin.elapsed() > LONGEST_PAUSE {
            pause = SHORTEST_PAUSE;
        }
        if wakes.send(Wake::Trouble(mailbox.error(fault))).is_err() {
            return ServerError::Stopped;
        }
        time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// POP3 has no notifications: a run has to check now and then.
async fn ask_now_and_then(mailbox: &Mailbox, wakes: &mpsc::Sender<Wake>) -> ServerError {
    while wakes.send(Wake::News(mailbox.name.clone())).is_ok() {
        time::sleep(mailbox.patience.poll).await;
    }
    ServerError::Stopped
}

/// Connects and listens until the connection ends.
async fn listen(
    mailbox: &Mailbox,
    trust: &Arc<ClientConfig>,
    tokens: &mut TokenCache,
    wakes: &mpsc::Sender<Wake>,
) -> Result<(), ServerError> {
    let mut link = ImapConnection::open(mailbox, trust, tokens).await?;
    let tree = FolderTree::ask(&mut link).await?;
    // Only one folder can be listened to; the others are polled. The run reports missing ones.
    let mut names = mailbox.folders.iter().filter_map(|setting| tree.find(setting).ok());
    let Some(first) = names.next() else {
        return Err(ServerError::settled(format!("folder {}: not found", mailbox.folders.join(", "))));
    };
    let mut others: Vec<(String, Option<String>)> = names.map(|name| (name, None)).collect();
    link.select(&first, OpenMode::Read).await?;
    let news = || wakes.send(Wake::News(mailbox.name.clone())).map_err(|_| ServerError::Stopped);
    look_at(&mut link, &mut others).await?;
    news()?;
    loop {
        let heard = if link.abilities().idle {
            let wait = if others.is_empty() {
                mailbox.patience.idle
            } else {
                mailbox.patience.idle.min(mailbox.patience.poll)
            };
            idle(&mut link, wait).await?
        } else {
            time::sleep(mailbox.patience.poll).await;
            ask(&mut link).await?
        };
        if look_at(&mut link, &mut others).await? || heard {
            news()?;
        }
    }
}

/// One IDLE; returns true if something happened.
async fn idle(link: &mut ImapConnection, wait: Duration) -> Result<bool, ServerError> {
    let end = Instant::now() + wait;
    let tag = link.idle().await?;
    loop {
        match time::timeout_at(end, link.next_within("IDLE", A_DAY, is_news)).await {
            Err(_) => return link.done(&tag).await,
            Ok(heard) => {
                if heard? {
                    link.done(&tag).await?;
                    return Ok(true);
                }
            }
        }
    }
}

/// One NOOP; returns true if something happened.
async fn ask(link: &mut ImapConnection) -> Result<bool, ServerError> {
    let mut heard = false;
    link.command("NOOP", "NOOP", |response| heard |= is_news(response)).await?;
    Ok(heard)
}

/// Polls the other folders; returns true if one changed.
async fn look_at(link: &mut ImapConnection, others: &mut [(String, Option<String>)]) -> Result<bool, ServerError> {
    let mut changed = false;
    for (name, known) in others {
        let mut now = None;
        let command = format!("STATUS {} (UIDNEXT UIDVALIDITY)", quoted(name));
        let asked = link
            .command("STATUS", &command, |response| {
                if let Response::MailboxData(MailboxDatum::Status { status, .. }) = response {
                    now = Some(format!("{status:?}"));
                }
            })
            .await;
        match asked {
            Ok(_) | Err(ServerError::Refused { .. }) => {}
            Err(fault) => return Err(fault),
        }
        changed |= known.is_some() && *known != now;
        *known = now;
    }
    Ok(changed)
}
