//! A session after login: its messages, by the numbers of this session, and what is done with them.
//!
//! Numbers mean nothing in another session. Only QUIT deletes messages marked with DELE.

use super::listing::{Lines, ListedMessage, MOST_MESSAGES, count_of, joined, octets_of, uidl_of};
use super::login;
use super::stream::{Body, LineStream};
use crate::fetch::mailbox::Mailbox;
use crate::fetch::mailbox::error::ServerError;
use crate::fetch::mailbox::oauth::TokenCache;
use crate::model::Hash;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio_rustls::rustls::ClientConfig;

/// The result of requesting a message.
#[derive(Debug)]
pub(super) enum Retrieved {
    /// Its bytes, and their hash.
    Mail(Vec<u8>, Hash),
    /// It is larger than the limit; the session is unusable.
    TooLarge(u64),
    /// It exists, but the server does not deliver it, with this answer.
    Refused(String),
    /// There is no such message.
    Gone,
}

/// A session.
#[derive(Debug)]
pub(super) struct Maildrop {
    stream: LineStream,
    /// The messages that the server lists, by ascending number.
    pub(super) listed: Vec<ListedMessage>,
    /// Whether the server provides unique IDs.
    pub(super) names: bool,
    /// Whether the server lists its messages at all.
    lists: bool,
    /// How many messages STAT counts.
    count: u32,
    /// The numbers of the messages that were read, by their content.
    read: HashMap<Hash, Vec<u32>>,
    /// The numbers that were read.
    numbers: HashSet<u32>,
    /// Whether any message was requested.
    asked: bool,
    /// Those that QUIT deletes; false for a refused one, which is not tried twice.
    marked: HashMap<u32, bool>,
}

impl Maildrop {
    /// Connects, logs in, and lists the messages.
    pub(super) async fn open(
        mailbox: &Mailbox,
        trust: &Arc<ClientConfig>,
        tokens: &mut TokenCache,
    ) -> Result<Self, ServerError> {
        let mut stream = login::open(mailbox, trust, tokens).await?;
        let count = stream.ask("STAT", "STAT").await?.ok().and_then(|text| count_of(&text));
        let (mut uidls, mut sizes) = (Lines::default(), Lines::default());
        let names = stream.ask("UIDL", "UIDL").await?;
        if names.is_ok() {
            stream.lines("UIDL", |line| uidls.take(line, uidl_of)).await?;
        }
        let lists = stream.ask("LIST", "LIST").await?;
        if lists.is_ok() {
            stream.lines("LIST", |line| sizes.take(line, octets_of)).await?;
        }
        // This must not look like an empty mailbox.
        if let (Err(_), Err(answer), None) = (&names, &lists, count) {
            let (what, answer) = ("asking what is in the mailbox".to_owned(), format!("-ERR {answer}"));
            return Err(ServerError::Refused { what, answer });
        }
        let (names, lists) = (names.is_ok(), names.is_ok() || lists.is_ok());
        Ok(Self {
            stream,
            listed: joined(uidls, sizes),
            names,
            lists,
            count: count.unwrap_or(0),
            read: HashMap::new(),
            numbers: HashSet::new(),
            asked: false,
            marked: HashMap::new(),
        })
    }

    /// How many messages there are, according to the server.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.listed.len()).unwrap_or(u32::MAX).max(self.count)
    }

    /// Messages that only STAT counts, by ascending number.
    pub(super) fn unlisted(&self) -> impl Iterator<Item = ListedMessage> + use<> {
        let listed: HashSet<u32> = self.listed.iter().map(|listed| listed.number).collect();
        let unlisted = (1..=self.count).take(MOST_MESSAGES).filter(move |number| !listed.contains(number));
        unlisted.map(|number| ListedMessage { number, uidl: None, octets: None })
    }

    /// Reads a message.
    pub(super) async fn retrieve(&mut self, number: u32, limit: u64) -> Result<Retrieved, ServerError> {
        self.asked = true;
        let doing = format!("fetching message {number}");
        self.stream.send(&doing, &format!("RETR {number}")).await?;
        match self.stream.message(&doing, limit).await? {
            Ok(Body::Message(bytes)) => {
                let hash = Hash(blake3::hash(&bytes).into());
                self.read.entry(hash).or_default().push(number);
                self.numbers.insert(number);
                Ok(Retrieved::Mail(bytes, hash))
            }
            Ok(Body::TooLarge { at_least }) => Ok(Retrieved::TooLarge(at_least)),
            Err(_) if self.lists && !self.is_there(number).await? => Ok(Retrieved::Gone),
            Err(answer) => Ok(Retrieved::Refused(answer)),
        }
    }

    /// Whether a refused message exists at all: a list may contain numbers without a message.
    async fn is_there(&mut self, number: u32) -> Result<bool, ServerError> {
        for command in ["LIST", "UIDL"] {
            let line = format!("{command} {number}");
            if self.stream.ask(&line, &line).await?.is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether any message was requested in this session.
    pub(super) fn has_asked(&self) -> bool {
        self.asked
    }

    /// Whether a message was read in this session.
    pub(super) fn has_read(&self, number: u32) -> bool {
        self.numbers.contains(&number)
    }

    /// How many messages were read in this session.
    pub(super) fn read_count(&self) -> usize {
        self.numbers.len()
    }

    /// Whether QUIT deletes a message with this content.
    pub(super) fn has_deleted(&self, content: &Hash) -> bool {
        self.read
            .get(content)
            .is_some_and(|numbers| numbers.iter().any(|number| self.marked.get(number) == Some(&true)))
    }

    /// Marks all messages with this content. Returns the server's answer if it refuses one.
    pub(super) async fn delete(&mut self, content: &Hash) -> Result<Option<String>, ServerError> {
        let mut refusal = None;
        for number in self.read.get(content).cloned().unwrap_or_default() {
            if self.marked.contains_key(&number) {
                continue;
            }
            let line = format!("DELE {number}");
            let answer = self.stream.ask(&line, &line).await?;
            self.marked.insert(number, answer.is_ok());
            refusal = refusal.or(answer.err());
        }
        Ok(refusal)
    }

    /// Whether QUIT will delete anything.
    pub(super) fn deletes(&self) -> bool {
        self.marked.values().any(|marked| *marked)
    }

    /// The IDs in the mailbox now, or after QUIT; `None` if the server provides none.
    pub(super) fn present(&self, after_quit: bool) -> Option<Vec<String>> {
        let stays = |listed: &&ListedMessage| !(after_quit && self.marked.get(&listed.number) == Some(&true));
        self.names.then(|| self.listed.iter().filter(stays).filter_map(|listed| listed.uidl.clone()).collect())
    }

    /// Keeps the connection alive.
    pub(super) async fn noop(&mut self) -> Result<(), ServerError> {
        self.stream.ask("NOOP", "NOOP").await.map(drop)
    }

    /// Ends the session: marked messages are deleted. Returns the server's answer if it could not.
    pub(super) async fn quit(&mut self) -> Result<Option<String>, ServerError> {
        Ok(self.stream.ask("QUIT", "QUIT").await?.err())
    }
}
