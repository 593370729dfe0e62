//! A session after login: commands with their time-outs, the selected folder, the server's capabilities.
//!
//! A [`ServerError`] says whether the connection can still be used. Only this file, `connect` and `auth` know async-imap's types.

use super::auth;
use super::connect::{self, SMALL_LITERAL};
use super::gate::stream_fault;
use super::wire::Wire;
use crate::fetch::mailbox::connect::within;
use crate::fetch::mailbox::error::{ServerError, wait_in};
use crate::fetch::mailbox::oauth::TokenCache;
use crate::fetch::mailbox::{Mailbox, Patience};
use async_imap::imap_proto::{MailboxDatum, RequestId, Response, ResponseCode, Status};
use std::{sync::Arc, time::Duration};
use tokio::time;
use tokio_rustls::rustls::ClientConfig;

/// How a folder is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenMode {
    /// EXAMINE: read only.
    Read,
    /// SELECT: for flags and moves.
    Write,
}

/// The open folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenFolder {
    /// Its name on the server.
    pub(super) name: String,
    /// The mode it was opened in.
    pub(super) mode: OpenMode,
    /// `UIDVALIDITY`.
    pub(super) validity: u32,
    /// `UIDNEXT`, if the server says.
    pub(super) next: Option<u32>,
    /// Messages in it.
    pub(super) exists: u32,
    /// The server opened it read-only.
    pub(super) read_only: bool,
}

/// The server's capabilities that the session uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Abilities {
    pub(super) moves: bool,
    pub(super) uidplus: bool,
    pub(super) idle: bool,
}

/// A session.
#[derive(Debug)]
pub(super) struct ImapConnection {
    session: async_imap::Session<Wire>,
    patience: Patience,
    abilities: Abilities,
    opened: Option<OpenFolder>,
}

impl ImapConnection {
    /// Connect and log in.
    pub(super) async fn open(
        mailbox: &Mailbox,
        trust: &Arc<ClientConfig>,
        tokens: &mut TokenCache,
    ) -> Result<Self, ServerError> {
        let client = connect::connect(mailbox, trust).await?;
        let session = match auth::login(client, mailbox, tokens).await {
            // The token expired early: request another, once.
            Err(ServerError::Settled { .. }) if tokens.forget() => {
                let client = connect::connect(mailbox, trust).await?;
                auth::login(client, mailbox, tokens).await?
            }
            other => other?,
        };
        Self::begin(session, mailbox.patience.clone()).await
    }

    /// Takes over a logged-in session.
    pub(super) async fn begin(session: async_imap::Session<Wire>, patience: Patience) -> Result<Self, ServerError> {
        let mut link = Self { session, patience, abilities: Abilities::default(), opened: None };
        link.learn_abilities().await?;
        Ok(link)
    }

    async fn learn_abilities(&mut self) -> Result<(), ServerError> {
        if self.session.get_ref().gate().capabilities().is_none() {
            self.run("CAPABILITY", "CAPABILITY").await?;
        }
        let words = self.session.get_ref().gate().capabilities().unwrap_or_default();
        let has = |word: &str| words.iter().any(|each| each == word);
        let rev2 = has("IMAP4REV2"); // RFC 9051 took these in
        self.abilities =
            Abilities { moves: has("MOVE") || rev2, uidplus: has("UIDPLUS") || rev2, idle: has("IDLE") || rev2 };
        if has("ID") {
            // Some servers require it; all accept it.
            let line = format!("ID (\"name\" \"dmarquet\" \"version\" \"{}\")", env!("CARGO_PKG_VERSION"));
            match self.run("ID", &line).await {
                Ok(()) | Err(ServerError::Refused { .. }) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    /// The server's capabilities.
    pub(super) fn abilities(&self) -> Abilities {
        self.abilities
    }

    /// The time limits.
    pub(super) fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Sets the largest literal to accept from now on.
    pub(super) fn set_literal_limit(&mut self, limit: u64) {
        self.session.get_mut().gate_mut().set_literal_limit(limit.max(SMALL_LITERAL));
    }

    /// Sends a command without waiting for its answer; returns its tag.
    pub(super) async fn send(&mut self, doing: &str, line: &str) -> Result<RequestId, ServerError> {
        match time::timeout(self.patience.command, self.session.run_command(line)).await {
            Ok(Ok(tag)) => Ok(tag),
            Ok(Err(error)) => Err(ServerError::lost(doing, error)),
            Err(_) => Err(ServerError::lost(doing, "the server takes no command")),
        }
    }

    /// The next response, as `look` sees it.
    pub(super) async fn next<R>(
        &mut self,
        doing: &str,
        look: impl FnOnce(&Response<'_>) -> R,
    ) -> Result<R, ServerError> {
        self.next_within(doing, self.patience.silence, look).await
    }

    /// The next response, waiting at most this long.
    pub(super) async fn next_within<R>(
        &mut self,
        doing: &str,
        silence: Duration,
        look: impl FnOnce(&Response<'_>) -> R,
    ) -> Result<R, ServerError> {
        self.session.get_mut().listen(silence);
        match self.session.read_response().await {
            Ok(Some(response)) => Ok(look(response.parsed())),
            Ok(None) => Err(self.session.get_ref().gate().hung_up(doing)),
            Err(error) => Err(stream_fault(doing, &error)),
        }
    }

    /// Interprets the last tagged answer; returns its text if it is OK.
    pub(super) fn judge(&self, doing: &str, status: &Status) -> Result<String, ServerError> {
        let answer = self.session.get_ref().gate().answer().to_owned();
        match status {
            Status::Ok => Ok(answer),
            _ => Err(match wait_in(&answer) {
                Some(wait) => ServerError::Throttled { answer, wait },
                None => ServerError::Refused { what: doing.to_owned(), answer },
            }),
        }
    }

    /// Runs a command to its end; `look` is called for every untagged response.
    pub(super) async fn command(
        &mut self,
        doing: &str,
        line: &str,
        mut look: impl FnMut(&Response<'_>),
    ) -> Result<String, ServerError> {
        let limit = self.patience.command;
        let work = async {
            let sent = self.send(doing, line).await?;
            loop {
                let status = self
                    .next(doing, |response| match response {
                        Response::Done { tag, status, .. } if *tag == sent => Some(copy(status)),
                        other => {
                            look(other);
                            None
                        }
                    })
                    .await?;
                if let Some(status) = status {
                    return self.judge(doing, &status);
                }
            }
        };
        match time::timeout(limit, work).await {
            Ok(result) => result,
            Err(_) => Err(ServerError::lost(doing, format_args!("not done in {limit:?}"))),
        }
    }

    /// Runs a command whose untagged responses do not matter.
    pub(super) async fn run(&mut self, doing: &str, line: &str) -> Result<(), ServerError> {
        self.command(doing, line, |_| {}).await.map(drop)
    }

    /// Opens a folder, unless it is already open in this mode.
    pub(super) async fn select(&mut self, name: &str, mode: OpenMode) -> Result<&OpenFolder, ServerError> {
        if self.opened.as_ref().is_some_and(|opened| opened.name == name && opened.mode == mode) {
            return Ok(self.opened.as_ref().expect("it was looked at just now"));
        }
        self.opened = None;
        let verb = if mode == OpenMode::Read { "EXAMINE" } else { "SELECT" };
        let doing = format!("opening folder {name}");
        let (mut validity, mut next, mut exists) = (None, None, None);
        let answer = self
            .command(&doing, &format!("{verb} {}", quoted(name)), |response| match response {
                Response::MailboxData(MailboxDatum::Exists(number)) => exists = Some(*number),
                Response::Data { status: Status::Ok, outcome } => match outcome.code {
                    Some(ResponseCode::UidValidity(number)) => validity = Some(number),
                    Some(ResponseCode::UidNext(number)) => next = Some(number),
                    _ => {}
                },
                _ => {}
            })
            .await?;
        let validity = validity.ok_or_else(|| {
            ServerError::settled(format!(
                "{doing}: expected a UIDVALIDITY, found none: so its mails cannot be identified"
            ))
        })?;
        // Without it a full folder would look empty forever (RFC 3501 section 6.3.1 requires it).
        let exists = exists.ok_or_else(|| {
            ServerError::settled(format!("{doing}: expected how many mails are in it (EXISTS), the server did not say"))
        })?;
        let read_only = mode == OpenMode::Write && answer.to_ascii_uppercase().contains("[READ-ONLY]");
        Ok(self.opened.insert(OpenFolder { name: name.to_owned(), mode, validity, next, exists, read_only }))
    }

    /// Keeps the connection alive.
    pub(super) async fn noop(&mut self) -> Result<(), ServerError> {
        self.run("NOOP", "NOOP").await
    }

    /// Logs out. All work is done, so errors do not matter.
    pub(super) async fn logout(mut self) {
        let limit = self.patience.silence.min(Duration::from_secs(2));
        let _ = time::timeout(limit, self.run("LOGOUT", "LOGOUT")).await;
    }

    /// Begins an IDLE; returns its tag once the server is waiting.
    pub(super) async fn idle(&mut self) -> Result<RequestId, ServerError> {
        let sent = self.send("IDLE", "IDLE").await?;
        loop {
            let (waits, refused) = self
                .next("IDLE", |response| match response {
                    Response::Continue(_) => (true, None),
                    Response::Done { tag, status, .. } if *tag == sent => (false, Some(copy(status))),
                    _ => (false, None),
                })
                .await?;
            if waits {
                return Ok(sent);
            }
            if let Some(status) = refused {
                self.judge("IDLE", &status)?;
                return Err(ServerError::lost("IDLE", "it ended before it began"));
            }
        }
    }

    /// Ends an IDLE. Returns true if the server reported something meanwhile.
    pub(super) async fn done(&mut self, idle: &RequestId) -> Result<bool, ServerError> {
        let patience = self.patience.command;
        let work = async {
            self.session.run_command_untagged("DONE").await.map_err(|error| ServerError::lost("DONE", error))?;
            let mut news = false;
            loop {
                let ended = self
                    .next("DONE", |response| match response {
                        Response::Done { tag, .. } if tag == idle => true,
                        other => {
                            news |= is_news(other);
                            false
                        }
                    })
                    .await?;
                if ended {
                    return Ok(news);
                }
            }
        };
        within(patience, "DONE", work).await
    }
}

/// Whether a response says that the folder changed.
pub(super) fn is_news(response: &Response<'_>) -> bool {
    matches!(response, Response::MailboxData(MailboxDatum::Exists(_) | MailboxDatum::Recent(_)) | Response::Fetch(..))
}

/// `Status` cannot be cloned.
pub(super) fn copy(status: &Status) -> Status {
    match status {
        Status::Ok => Status::Ok,
        Status::No => Status::No,
        Status::Bad => Status::Bad,
        Status::PreAuth => Status::PreAuth,
        Status::Bye => Status::Bye,
    }
}

/// A quoted string. Names passed here are ASCII without control characters (modified UTF-7).
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
