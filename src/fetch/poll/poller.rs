//! The poller's interface: a blocking iterator of mails, and a handle to acknowledge stored mails.

use crate::fetch::imap::ImapRun;
use crate::fetch::item::{FetchError, MailboxError};
use crate::fetch::mailbox::error::ServerError;
use crate::fetch::mailbox::run::{Order, ProtocolRun};
use crate::fetch::mailbox::sink::{self, MailQueue};
use crate::fetch::mailbox::{Finished, Mailbox, Mails, PollOptions, Protocol};
use crate::fetch::pop3::Pop3Run;
use crate::model::{Fate, MailboxProgress, Message};
use std::{
    sync::mpsc as blocking,
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::sync::mpsc;

/// How often a waiting connection is kept alive.
const STILL_HERE: Duration = Duration::from_secs(100);

/// A mailbox being polled on a separate thread.
///
/// [`Poller::mails`] returns the mails; an [`Acknowledger`] reports which are stored; [`Poller::finish`] tells the
/// server the rest, and returns what the ledger has to remember. If it is dropped before, unacknowledged mails stay as
/// they are.
#[derive(Debug)]
pub struct Poller {
    mails: Option<Mails>,
    orders: mpsc::UnboundedSender<Order>,
    thread: Option<JoinHandle<Finished>>,
    warnings: Vec<MailboxError>,
}

/// Reports stored mails. Clones belong to the same run; none of them blocks.
#[derive(Debug, Clone)]
pub struct Acknowledger(mpsc::UnboundedSender<Order>);

impl Poller {
    /// Connects, logs in, finds the folders, then reads in the background. Blocks until mails can arrive.
    ///
    /// # Errors
    /// If the mailbox cannot be reached or opened at all.
    pub fn start(
        mailbox: Mailbox,
        progress: impl Into<MailboxProgress>,
        options: PollOptions,
    ) -> Result<Self, FetchError> {
        let progress = progress.into();
        let (orders, received) = mpsc::unbounded_channel();
        let (sink, mails) = sink::channel();
        let (ready, begun) = blocking::sync_channel(1);
        let name = mailbox.name.clone();
        let wrong = |what: String| MailboxError { mailbox: name.clone(), reason: what, hint: None };
        let work = move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    let _ = ready.send(Err(mailbox.error(ServerError::settled(format!("starting: {error}")))));
                    return Finished::default();
                }
            };
            let finished = runtime.block_on(async {
                match mailbox.protocol {
                    Protocol::Imap => perform(ImapRun::new(mailbox, progress, options, received), &ready, sink).await,
                    Protocol::Pop3 => perform(Pop3Run::new(mailbox, progress, options, received), &ready, sink).await,
                }
            });
            // A password command that hangs must not delay the end.
            runtime.shutdown_background();
            finished
        };
        let thread = thread::Builder::new().name("poller".to_owned()).spawn(work);
        let thread = thread.map_err(|error| wrong(format!("starting a thread: {error}")))?;
        let begun = begun.recv().unwrap_or_else(|_| Err(wrong("the poller ended before it began".to_owned())));
        Ok(Self { mails: Some(mails), orders, thread: Some(thread), warnings: begun? })
    }

    /// Errors of single folders at the start, before anything is read. They are in [`Finished::failures`] too.
    pub fn warnings(&self) -> &[MailboxError] {
        &self.warnings
    }

    /// The mails; `None` on the second call.
    pub fn mails(&mut self) -> Option<Mails> {
        self.mails.take()
    }

    /// A handle to acknowledge stored mails.
    pub fn acknowledger(&self) -> Acknowledger {
        Acknowledger(self.orders.clone())
    }

    /// Ends the run: tells the server the rest, logs out, and returns what the ledger has to remember.
    ///
    /// Mails not taken by then are left for the next run.
    pub fn finish(mut self) -> Finished {
        self.mails = None;
        let _ = self.orders.send(Order::Finish);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(finished)) => finished,
            _ => Finished {
                failures: vec![MailboxError {
                    mailbox: String::new(),
                    reason: "the poller's thread crashed".to_owned(),
                    hint: Some("this is a bug: please report it".to_owned()),
                }],
                ..Finished::default()
            },
        }
    }
}

/// Waits until the caller is finished, keeping the connection alive.
async fn wait_for_the_end(run: &mut impl ProtocolRun) {
    while !run.state().finishing {
        tokio::select! {
            order = run.state().orders.recv() => run.take(order.unwrap_or(Order::Finish)),
            () = tokio::time::sleep(STILL_HERE) => run.keep_alive().await,
        }
    }
}

/// The errors of single folders once a run has begun, or why it cannot.
type Begun = Result<Vec<MailboxError>, MailboxError>;

/// Performs a whole run; `ready` hears once it has begun.
async fn perform(
    run: Result<impl ProtocolRun, MailboxError>,
    ready: &blocking::SyncSender<Begun>,
    sink: MailQueue,
) -> Finished {
    let mut run = match run {
        Ok(run) => run,
        Err(error) => {
            let _ = ready.send(Err(error));
            return Finished::default();
        }
    };
    let stop = run.state().options.stop.clone();
    let begun = tokio::select! {
        begun = run.begin() => begun,
        () = stop.wait() => Err(run.state().mailbox.error(ServerError::settled("stopped before it began"))),
    };
    let has_begun = begun.is_ok();
    let _ = ready.send(begun);
    if !has_begun {
        return Finished::default();
    }
    run.read(sink).await;
    wait_for_the_end(&mut run).await;
    run.end().await
}

impl Acknowledger {
    /// Acknowledges messages: their content is stored or rejected. Call it after the commit, never before.
    pub fn safe(&self, messages: &[(Message, Fate)]) {
        // A finished run does not need to know: the ledger has them as pending.
        let _ = self.0.send(Order::Safe(messages.to_vec()));
    }
}
