//! Lists a folder: UID, size and date of each mail, requested in windows of UIDs.

use super::ranges::UidSet;
use super::session::{ImapConnection, OpenFolder};
use crate::fetch::mailbox::error::ServerError;
use async_imap::imap_proto::{AttributeValue, Response};
use jiff::{Timestamp, fmt::strtime};
use std::collections::BTreeMap;

/// UIDs in the first window. After a window with few mails the next one is wider.
const NARROW: u32 = 2_000;
/// A window with fewer mails than this was too narrow.
const FEW: usize = 500;
/// Mails kept per window, oldest first: a wide window may have more than fit into memory. The next window begins after
/// them.
const MOST: usize = 50_000;

/// A listed mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its UID.
    pub(super) uid: u32,
    /// `RFC822.SIZE`: a hint, often wrong; 0 if the server does not say.
    pub(super) size: u64,
    /// `INTERNALDATE`.
    pub(super) arrival: Option<Timestamp>,
}

/// Walks a folder's UIDs upward, skipping processed ones.
#[derive(Debug)]
pub(super) struct Lister {
    /// The first UID not listed yet.
    from: u32,
    /// The last UID to list; `None` if unknown: then up to `*`.
    last: Option<u32>,
    width: u32,
    over: bool,
    detail: Detail,
}

/// What is requested for each mail. A mail the server cannot read may break the connection as soon as its size is
/// requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    All,
    NoSize,
    Bare,
}

impl Detail {
    const fn items(self) -> &'static str {
        match self {
            Self::All => "UID RFC822.SIZE INTERNALDATE",
            Self::NoSize => "UID INTERNALDATE",
            Self::Bare => "UID",
        }
    }

    const fn less(self) -> Self {
        match self {
            Self::All => Self::NoSize,
            Self::NoSize | Self::Bare => Self::Bare,
        }
    }
}

/// The result of one window.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// The mails, by UID.
    pub(super) entries: Vec<Entry>,
    /// UIDs without a mail, as ranges.
    pub(super) empty: Vec<(u32, u32)>,
}

impl Lister {
    /// Lists from the first unprocessed UID to the end of the folder at the time it was opened.
    pub(super) fn new(from: u32, opened: &OpenFolder) -> Self {
        let last = opened.next.map(|next| next.saturating_sub(1));
        let over = opened.exists == 0 || last.is_some_and(|last| last < from);
        Self { from, last, width: NARROW, over, detail: Detail::All }
    }

    /// Whether nothing is left to list.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }

    /// Requests the next window, without the UIDs in `dealt`.
    pub(super) async fn next(&mut self, link: &mut ImapConnection, dealt: &UidSet) -> Result<Window, ServerError> {
        while let Some(end) = dealt.end_of(self.from) {
            match end.checked_add(1) {
                Some(next) if self.last.is_none_or(|last| next <= last) => self.from = next,
                _ => {
                    self.over = true;
                    return Ok(Window::default());
                }
            }
        }
        let first = self.from;
        let last = self.last.map(|last| last.min(first.saturating_add(self.width - 1)));
        let ListedMail { found, cut } = match list(link, first, last, self.detail).await {
            Err(fault @ ServerError::Lost { .. }) => {
                self.detail = self.detail.less();
                return Err(fault);
            }
            other => other?,
        };
        let many = found.len();
        let newest = found.keys().next_back().copied();
        let end = if cut { newest } else { last.or(newest) };
        let window = Window {
            empty: gaps(first, end, found.keys().copied()),
            entries: found.into_values().filter(|entry| !dealt.contains(entry.uid)).collect(),
        };
        match end.and_then(|end| end.checked_add(1)) {
            Some(next) if cut || self.last.is_some_and(|last| next <= last) => self.from = next,
            _ => self.over = true,
        }
        if cut {
            self.width = NARROW;
        } else if many < FEW {
            self.width = self.width.saturating_mul(8);
        }
        Ok(window)
    }
}

/// The mails of a window.
#[derive(Debug, Default)]
struct ListedMail {
    found: BTreeMap<u32, Entry>,
    /// There were more, all of them newer.
    cut: bool,
}

impl ListedMail {
    fn take(&mut self, entry: Entry) {
        self.found.insert(entry.uid, entry);
        if self.found.len() > MOST {
            self.found.pop_last();
            self.cut = true;
        }
    }
}

async fn list(
    link: &mut ImapConnection,
    first: u32,
    last: Option<u32>,
    detail: Detail,
) -> Result<ListedMail, ServerError> {
    let end = last.map_or_else(|| "*".to_owned(), |last| last.to_string());
    let mut listed = ListedMail::default();
    link.command("listing mails", &format!("UID FETCH {first}:{end} ({})", detail.items()), |response| {
        // `n:*` includes the last mail even if its UID is below n; other data may arrive unrequested.
        let wanted = |uid| uid >= first && last.is_none_or(|last| uid <= last);
        if let Some(entry) = entry(response).filter(|entry| wanted(entry.uid)) {
            listed.take(entry);
        }
    })
    .await?;
    Ok(listed)
}

pub(super) fn entry(response: &Response<'_>) -> Option<Entry> {
    let Response::Fetch(_, attributes) = response else { return None };
    let mut entry = Entry { uid: 0, size: 0, arrival: None };
    for attribute in attributes {
        match attribute {
            AttributeValue::Uid(uid) => entry.uid = *uid,
            AttributeValue::Rfc822Size(size) => entry.size = u64::from(*size),
            AttributeValue::InternalDate(date) => entry.arrival = timestamp(date),
            _ => {}
        }
    }
    (entry.uid > 0).then_some(entry)
}

/// ` 7-Jul-1996 02:44:25 -0700`.
fn timestamp(date: &str) -> Option<Timestamp> {
    let time = strtime::parse("%d-%b-%Y %H:%M:%S %z", date.trim_start()).ok()?;
    time.to_timestamp().ok()
}

/// The UIDs from `first` to `end` that are not in an ascending list.
fn gaps(first: u32, end: Option<u32>, uids: impl Iterator<Item = u32>) -> Vec<(u32, u32)> {
    let mut gaps = Vec::new();
    let mut next = u64::from(first);
    for uid in uids.map(u64::from).chain(end.map(|end| u64::from(end) + 1)) {
        if next < uid {
            // Both are below 2^32: `next` was a UID or one more, and is below another.
            gaps.push((u32::try_from(next).unwrap_or(u32::MAX), u32::try_from(uid - 1).unwrap_or(u32::MAX)));
        }
        next = uid + 1;
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_with_a_space_for_a_digit_are_read() {
        assert_eq!(timestamp(" 7-Jul-1996 02:44:25 -0700").unwrap().to_string(), "1996-07-07T09:44:25Z");
        assert_eq!(timestamp("17-Nov-2026 00:00:00 +0000").unwrap().to_string(), "2026-11-17T00:00:00Z");
        assert_eq!(timestamp(""), None);
    }

    #[test]
    fn of_a_window_the_oldest_are_kept_in_any_order() {
        let mut listed = ListedMail::default();
        let most = u32::try_from(MOST).unwrap();
        for uid in (1..=2 * most).rev() {
            listed.take(Entry { uid, size: 0, arrival: None });
        }
        assert!(listed.cut && listed.found.keys().copied().eq(1..=most));
    }

    #[test]
    fn gaps_are_the_missing_uids() {
        assert_eq!(gaps(1, Some(10), [2, 3, 7].into_iter()), [(1, 1), (4, 6), (8, 10)]);
        assert_eq!(gaps(5, None, [5].into_iter()), []);
        assert_eq!(gaps(5, Some(u32::MAX), [].into_iter()), [(5, u32::MAX)]);
    }

    #[test]
    fn an_answer_without_a_uid_is_no_entry() {
        assert_eq!(entry(&Response::Fetch(1, vec![AttributeValue::Rfc822Size(5)])), None);
        assert_eq!(entry(&Response::Expunge(3)), None);
    }
}
