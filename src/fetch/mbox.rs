//! The messages of a mailbox file, one item each.
//!
//! Comes in: a reader at the start of the mailbox. Goes out: its messages, numbered from 1. Memory holds one message.

use super::{FetchError, Fetched, Item};
use crate::unpack::mbox::{Message, Messages};
use jiff::Timestamp;
use std::io::Read;

/// A mailbox being read.
pub(super) struct Mailbox {
    origin: String,
    messages: Messages<Box<dyn Read + Send>>,
    count: u64,
    limit: u64,
    now: Timestamp,
}

impl Mailbox {
    pub(super) fn new(origin: String, reader: Box<dyn Read + Send>, limit: u64, now: Timestamp) -> Self {
        Self { origin, messages: Messages::new(reader, limit), count: 0, limit, now }
    }
}

impl Iterator for Mailbox {
    type Item = Result<Fetched, FetchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let message = self.messages.next()?;
        self.count += 1;
        let origin = format!("{} > message {}", self.origin, self.count);
        Some(match message {
            Ok(Message::Whole(bytes)) => {
                Ok(Fetched::Item(Item { origin, name: None, bytes, arrival: self.now, message: None }))
            }
            Ok(Message::TooLarge(size)) => Ok(Fetched::TooLarge { origin, size, limit: self.limit, message: None }),
            Err(source) => Err(FetchError::File { origin: self.origin.clone(), action: "read", source }),
        })
    }
}
