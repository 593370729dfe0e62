//! The poller as the caller sees it: a blocking iterator of mails, and a handle to acknowledge what is safe.

use super::run::ImapRun;
use crate::fetch::item::{FetchError, Fetched, MailboxError};
use crate::fetch::mailbox::run::Order;
use crate::fetch::mailbox::sink::{self, MailQueue};
use crate::fetch::mailbox::{Finished, Mailbox, Mails, PollOptions, Protocol, StopFlag};
use crate::fetch::pop3::Pop3Run;
use crate::model::{Fate, MailboxProgress, Message};

use std::{
    sync::mpsc as blocking,
    thread::{self, JoinHandle},
};
use tokio::sync::mpsc;

/// A mailbox being polled, on a thread of its own.
///
/// [`Poller::mails`] gives the mails; what is safe is said through an [`Acknowledger`]; [`Poller::finish`] tells the
/// server the rest, and the caller what the ledger is to remember. Dropped without that, what was not told to the server
/// stays as it is.
#[derive(Debug)]
pub struct Poller {
    mails: Option<Mails>,
    orders: mpsc::UnboundedSender<Order>,
    thread: Option<JoinHandle<Finished>>,
    warnings: Vec<MailboxError>,
}

/// Says what is safe. Clones speak to the same run; none of them waits.
#[derive(Debug, Clone)]
pub struct Acknowledger(mpsc::UnboundedSender<Order>);

impl Poller {
    /// Connect, log in, find the folders; then read in the background. Blocks until the first mail could come.
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
                    let reason = format!("starting: {error}");
                    let _ = ready.send(Err(MailboxError { mailbox: mailbox.name, reason, hint: None }));
                    return Finished::default();
                }
            };
            let (name, stop) = (mailbox.name.clone(), options.stop.clone());
            let start = Start { name, progress, stop, ready, sink };
            let finished = runtime.block_on(async {
                match mailbox.protocol {
                    Protocol::Imap => start.go(ImapRun::new(mailbox, options, received)).await,
                    Protocol::Pop3 => start.go(Pop3Run::new(mailbox, options, received)).await,
                }
            });
            // A command that prints no password must not hold up the end.
            runtime.shutdown_background();
            finished
        };
        let thread = thread::Builder::new().name("poller".to_owned()).spawn(work);
        let thread = thread.map_err(|error| wrong(format!("starting a thread: {error}")))?;
        let begun = begun.recv().unwrap_or_else(|_| Err(wrong("the poller ended before it began".to_owned())));
        Ok(Self { mails: Some(mails), orders, thread: Some(thread), warnings: begun? })
    }

    /// What went wrong with single folders at the start: said before anything is read. They are in
    /// [`Finished::failures`] too.
    pub fn warnings(&self) -> &[MailboxError] {
        &self.warnings
    }

    /// The mails. The second call gives none.
    pub fn mails(&mut self) -> Option<Mails> {
        self.mails.take()
    }

    /// A handle to say what is safe.
    pub fn acknowledger(&self) -> Acknowledger {
        Acknowledger(self.orders.clone())
    }

    /// End: tell the server what is still to be told, log out, and say what the ledger is to remember.
    ///
    /// Mails that were not taken by then are left for the next run.
    pub fn finish(mut self) -> Finished {
        self.mails = None;
        let _ = self.orders.send(Order::Finish);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(finished)) => finished,
            _ => Finished {
                failures: vec![MailboxError {
                    mailbox: String::new(),
                    reason: "the poller's thread broke down".to_owned(),
                    hint: Some("this is a bug: please report it".to_owned()),
                }],
                ..Finished::default()
            },
        }
    }
}

/// A run, whatever the server speaks.
trait ProtocolRun: Sized {
    /// Connect, log in, and see what there is; gives what is wrong with single folders.
    async fn begin(&mut self, progress: MailboxProgress) -> Result<Vec<MailboxError>, MailboxError>;
    /// Read what is new, and give it.
    async fn read(&mut self, sink: MailQueue);
    /// Wait for the caller's last word.
    async fn wait_for_the_end(&mut self);
    /// Tell the server the rest, and say goodbye.
    async fn end(self) -> Finished;
}

impl ProtocolRun for ImapRun {
    async fn begin(&mut self, progress: MailboxProgress) -> Result<Vec<MailboxError>, MailboxError> {
        self.begin(progress.cursors).await
    }

    async fn read(&mut self, sink: MailQueue) {
        self.read(sink).await;
    }

    async fn wait_for_the_end(&mut self) {
        self.wait_for_the_end().await;
    }

    async fn end(self) -> Finished {
        self.end().await
    }
}

impl ProtocolRun for Pop3Run {
    async fn begin(&mut self, progress: MailboxProgress) -> Result<Vec<MailboxError>, MailboxError> {
        self.begin(progress).await
    }

    async fn read(&mut self, sink: MailQueue) {
        self.read(sink).await;
    }

    async fn wait_for_the_end(&mut self) {
        self.wait_for_the_end().await;
    }

    async fn end(self) -> Finished {
        self.end().await
    }
}

/// What a run begins with.
struct Start {
    name: String,
    progress: MailboxProgress,
    stop: StopFlag,
    ready: blocking::SyncSender<Result<Vec<MailboxError>, MailboxError>>,
    sink: MailQueue,
}

impl Start {
    /// The whole of a run.
    async fn go(self, run: Result<impl ProtocolRun, MailboxError>) -> Finished {
        let Self { name, progress, stop, ready, sink } = self;
        let begin = async {
            let mut run = run?;
            let warnings = tokio::select! {
                warnings = run.begin(progress) => warnings?,
                () = stop.wait() => {
                    let reason = "stopped before it began".to_owned();
                    return Err(MailboxError { mailbox: name, reason, hint: None });
                }
            };
            Ok((run, warnings))
        };
        let (mut run, warnings) = match begin.await {
            Ok(begun) => begun,
            Err(error) => {
                let _ = ready.send(Err(error));
                return Finished::default();
            }
        };
        let _ = ready.send(Ok(warnings));
        run.read(sink).await;
        run.wait_for_the_end().await;
        run.end().await
    }
}

impl Iterator for Poller {
    type Item = Result<Fetched, FetchError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.mails.as_mut()?.next()
    }
}

impl Acknowledger {
    /// These messages are safe: what was in them is stored, or rejected for good. After the commit, never before.
    pub fn safe(&self, messages: &[(Message, Fate)]) {
        // A run that is gone does not need to know: the ledger has them as pending.
        let _ = self.0.send(Order::Safe(messages.to_vec()));
    }
}
