//! Fetches whole mails in groups bounded by number and bytes, a few groups ahead.
//!
//! A mail that a group did not return is requested alone; one that breaks the connection even then is skipped and named.

use super::list::Entry;
use super::ranges::set_of;
use super::session::{ImapConnection, copy};
use crate::fetch::mailbox::error::ServerError;
use async_imap::imap_proto::{AttributeValue, RequestId, Response, Status};
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};
use tokio::time;

/// Mails per group. Some servers hang up on more.
const GROUP_MAILS: usize = 50;
/// Bytes per group, according to the server.
const GROUP_BYTES: u64 = 8 << 20;
/// Groups requested but not answered yet.
const AHEAD: usize = 4;
/// Bytes of these groups.
const AHEAD_BYTES: u64 = 16 << 20;
/// The slowest transfer that is waited for.
const SLOWEST_BYTES_A_SECOND: u64 = 2 << 10;
/// How often a mail that breaks the connection is tried alone.
const ALONE_TRIES: u32 = 2;

/// The result of requesting a mail.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyReply {
    /// A mail.
    Mail(Entry, Vec<u8>),
    /// It is larger than the limit; its size according to the server.
    TooLarge(Entry, u64),
    /// It is listed, but the server does not deliver it.
    Withheld(Entry, String),
    /// It no longer exists.
    Gone(Entry),
}

/// A requested group.
#[derive(Debug)]
struct RequestInFlight {
    tag: RequestId,
    wanted: BTreeMap<u32, Entry>,
    bytes: u64,
    /// How long to wait for it.
    left: Duration,
}

/// The mails to fetch from a folder, and those requested already.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Entry>,
    flights: VecDeque<RequestInFlight>,
    /// To be requested alone, and how often that broke the connection.
    alone: VecDeque<(Entry, u32)>,
    ready: VecDeque<BodyReply>,
}

impl Queue {
    /// Adds mails to fetch.
    pub(super) fn extend(&mut self, entries: impl IntoIterator<Item = Entry>) {
        self.waiting.extend(entries);
    }

    /// Whether nothing is left to fetch.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.alone.is_empty() && self.flights.is_empty() && self.ready.is_empty()
    }

    /// The connection broke: any mail being fetched may have broken it, so each is tried alone.
    pub(super) fn connection_lost(&mut self) {
        for flight in self.flights.drain(..) {
            self.alone.extend(flight.wanted.into_values().map(|entry| (entry, 0)));
        }
    }

    /// The next mail; `None` if nothing is left, or if `pause` returns true and nothing was requested.
    pub(super) async fn next(
        &mut self,
        link: &mut ImapConnection,
        limit: u64,
        pause: impl Fn() -> bool,
    ) -> Result<Option<BodyReply>, ServerError> {
        loop {
            if let Some(got) = self.ready.pop_front() {
                return Ok(Some(got));
            }
            if self.flights.is_empty() && (pause() || self.is_empty()) {
                return Ok(None);
            }
            if self.flights.is_empty() && !self.alone.is_empty() {
                return self.fetch_alone(link, limit).await.map(Some);
            }
            if !pause() {
                self.send_groups(link, limit).await?;
            }
            if !self.flights.is_empty() {
                self.listen(link).await?;
            }
        }
    }

    async fn send_groups(&mut self, link: &mut ImapConnection, limit: u64) -> Result<(), ServerError> {
        link.set_literal_limit(limit);
        while self.flights.len() < AHEAD
            && self.flights.iter().map(|flight| flight.bytes).sum::<u64>() < AHEAD_BYTES
            && !self.waiting.is_empty()
            && self.alone.is_empty()
        {
            let group = self.take_group(limit);
            if group.is_empty() {
                return Ok(());
            }
            match ask(link, &group).await {
                Ok(flight) => self.flights.push_back(flight),
                Err(fault) => {
                    self.alone.extend(group.into_iter().map(|entry| (entry, 0)));
                    return Err(fault);
                }
            }
        }
        Ok(())
    }

    /// The next mails for one command; those over the limit are finished here.
    fn take_group(&mut self, limit: u64) -> Vec<Entry> {
        let (mut group, mut bytes) = (Vec::new(), 0);
        while let Some(&entry) = self.waiting.front() {
            if entry.size > limit {
                self.waiting.pop_front();
                self.ready.push_back(BodyReply::TooLarge(entry, entry.size));
                continue;
            }
            if group.len() == GROUP_MAILS || !group.is_empty() && bytes + entry.size > GROUP_BYTES {
                break;
            }
            bytes += entry.size;
            group.push(entry);
            self.waiting.pop_front();
        }
        let uids: Vec<u32> = group.iter().map(|entry: &Entry| entry.uid).collect();
        let (_, fits) = set_of(&uids, GROUP_MAILS);
        for entry in group.drain(fits..).rev() {
            self.waiting.push_front(entry);
        }
        group
    }

    /// Reads one response.
    async fn listen(&mut self, link: &mut ImapConnection) -> Result<(), ServerError> {
        let doing = "fetching mails";
        let Some(first) = self.flights.front_mut() else { return Ok(()) };
        let begin = Instant::now();
        let answer = time::timeout(first.left, link.next(doing, answer)).await;
        first.left = first.left.saturating_sub(begin.elapsed());
        match answer {
            Err(_) => Err(ServerError::lost(doing, "the server is too slow")),
            Ok(Err(fault)) => {
                if let ServerError::Oversized { uid: Some(uid), announced } = fault
                    && let Some(entry) = self.flights.iter_mut().find_map(|flight| flight.wanted.remove(&uid))
                {
                    self.ready.push_back(BodyReply::TooLarge(entry, announced));
                }
                Err(fault)
            }
            Ok(Ok(FetchReply::Mail(uid, body))) => {
                if let Some(entry) = self.flights.iter_mut().find_map(|flight| flight.wanted.remove(&uid)) {
                    self.ready.push_back(BodyReply::Mail(entry, body));
                }
                Ok(())
            }
            Ok(Ok(FetchReply::End(tag, status))) => self.land(link, &tag, &status),
            Ok(Ok(FetchReply::Other)) => Ok(()),
        }
    }

    /// A group is complete: mails missing from the answer are requested alone.
    fn land(&mut self, link: &ImapConnection, tag: &RequestId, status: &Status) -> Result<(), ServerError> {
        let Some(at) = self.flights.iter().position(|flight| flight.tag == *tag) else { return Ok(()) };
        if let Some(flight) = self.flights.remove(at) {
            self.alone.extend(flight.wanted.into_values().map(|entry| (entry, 0)));
        }
        match link.judge("fetching mails", status) {
            Ok(_) | Err(ServerError::Refused { .. }) => Ok(()),
            Err(fault) => Err(fault),
        }
    }

    async fn fetch_alone(&mut self, link: &mut ImapConnection, limit: u64) -> Result<BodyReply, ServerError> {
        let Some((entry, broken)) = self.alone.pop_front() else {
            return Err(ServerError::settled("expected a mail to fetch, found none"));
        };
        if broken >= ALONE_TRIES {
            let reason = format!("the connection broke {broken} times while it was being fetched");
            return Ok(BodyReply::Withheld(entry, reason));
        }
        if entry.size > limit {
            return Ok(BodyReply::TooLarge(entry, entry.size));
        }
        link.set_literal_limit(limit);
        match alone(link, entry).await {
            Err(ServerError::Oversized { announced, .. }) => {
                self.ready.push_back(BodyReply::TooLarge(entry, announced));
                Err(ServerError::Oversized { uid: Some(entry.uid), announced })
            }
            Err(fault) => {
                let count = broken + u32::from(fault.passes() && !matches!(fault, ServerError::Throttled { .. }));
                self.alone.push_front((entry, count));
                Err(fault)
            }
            Ok(got) => Ok(got),
        }
    }
}

/// What a response means while mails are fetched.
pub(super) enum FetchReply {
    Mail(u32, Vec<u8>),
    End(RequestId, Status),
    Other,
}

pub(super) fn answer(response: &Response<'_>) -> FetchReply {
    match response {
        Response::Fetch(_, attributes) => {
            let (mut uid, mut body) = (None, None);
            for attribute in attributes {
                match attribute {
                    AttributeValue::Uid(number) => uid = Some(*number),
                    AttributeValue::BodySection { section: None, data: Some(data), .. } => body = Some(data.to_vec()),
                    _ => {}
                }
            }
            uid.zip(body).map_or(FetchReply::Other, |(uid, body)| FetchReply::Mail(uid, body))
        }
        Response::Done { tag, status, .. } => FetchReply::End(tag.clone(), copy(status)),
        _ => FetchReply::Other,
    }
}

/// Requests a group. It may take as long as any two commands, plus the time its bytes need.
async fn ask(link: &mut ImapConnection, group: &[Entry]) -> Result<RequestInFlight, ServerError> {
    let uids: Vec<u32> = group.iter().map(|entry| entry.uid).collect();
    let bytes = group.iter().map(|entry| entry.size).sum();
    let (set, _) = set_of(&uids, GROUP_MAILS);
    let tag = link.send("fetching mails", &format!("UID FETCH {set} (UID BODY.PEEK[])")).await?;
    let left = link.patience().command * 2 + Duration::from_secs(bytes / SLOWEST_BYTES_A_SECOND);
    Ok(RequestInFlight { tag, wanted: group.iter().map(|entry| (entry.uid, *entry)).collect(), bytes, left })
}

/// Fetches one mail alone.
async fn alone(link: &mut ImapConnection, entry: Entry) -> Result<BodyReply, ServerError> {
    let doing = format!("fetching mail uid {}", entry.uid);
    let mut flight = ask(link, &[entry]).await?;
    let mut body = None;
    let refusal = loop {
        let begin = Instant::now();
        let Ok(answer) = time::timeout(flight.left, link.next(&doing, answer)).await else {
            return Err(ServerError::lost(&doing, "the server is too slow"));
        };
        flight.left = flight.left.saturating_sub(begin.elapsed());
        match answer? {
            FetchReply::Mail(uid, bytes) if uid == entry.uid => body = Some(bytes),
            FetchReply::End(tag, status) if tag == flight.tag => match link.judge(&doing, &status) {
                Ok(_) => break None,
                Err(ServerError::Refused { answer, .. }) => break Some(answer),
                Err(fault) => return Err(fault),
            },
            _ => {}
        }
    };
    if let Some(body) = body {
        return Ok(BodyReply::Mail(entry, body));
    }
    if !is_there(link, entry.uid).await? {
        return Ok(BodyReply::Gone(entry));
    }
    let reason = refusal.map_or_else(
        || "the server lists it but returns no body".to_owned(),
        |answer| format!("the server lists it, and answers {answer}"),
    );
    Ok(BodyReply::Withheld(entry, reason))
}

async fn is_there(link: &mut ImapConnection, uid: u32) -> Result<bool, ServerError> {
    let mut there = false;
    let look = |response: &Response<'_>| {
        there |= matches!(response, Response::Fetch(_, found) if found.contains(&AttributeValue::Uid(uid)));
    };
    match link.command("looking for a mail", &format!("UID FETCH {uid} (UID)"), look).await {
        Ok(_) => Ok(there),
        Err(ServerError::Refused { .. }) => Ok(true),
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(uid: u32, size: u64) -> Entry {
        Entry { uid, size, arrival: None }
    }

    #[test]
    fn groups_are_bounded_in_number_bytes_and_command_length() {
        let mut queue = Queue::default();
        queue.extend((1..=60).map(|uid| entry(uid, 10)));
        assert_eq!(queue.take_group(1 << 30).len(), 50);
        assert_eq!(queue.take_group(1 << 30).len(), 10);
        queue.extend((1..=5).map(|uid| entry(uid, 5 << 20)));
        assert_eq!(queue.take_group(1 << 30).len(), 1);
        let mut queue = Queue::default();
        queue.extend((1..=50).map(|n| entry(4_000_000_000 + n * 7, 10)));
        let group: Vec<u32> = queue.take_group(1 << 30).iter().map(|entry| entry.uid).collect();
        assert!(group.is_sorted() && set_of(&group, 50).0.len() <= 900);
    }

    #[test]
    fn a_mail_over_the_limit_is_never_asked_for() {
        let mut queue = Queue::default();
        queue.extend([entry(1, 10), entry(2, 2000), entry(3, 10)]);
        let group: Vec<u32> = queue.take_group(1000).iter().map(|entry| entry.uid).collect();
        assert_eq!(group, [1, 3]);
        assert_eq!(queue.ready, [BodyReply::TooLarge(entry(2, 2000), 2000)]);
    }

    #[test]
    fn a_body_that_is_nil_is_no_mail() {
        let nil = AttributeValue::BodySection { section: None, index: None, data: None };
        assert!(matches!(answer(&Response::Fetch(1, vec![AttributeValue::Uid(5), nil])), FetchReply::Other));
    }
}
