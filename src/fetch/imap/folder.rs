//! One folder's progress in a run: which mails were passed on, which are stored, and which the server must still be
//! told about.
//!
//! The cursor only passes processed messages.

use super::{bodies::Queue, list::Lister, ranges::UidSet, session::OpenFolder};
use crate::model::{Cursor, Fate};
use std::collections::BTreeSet;

/// A folder in a run.
#[derive(Debug)]
pub(super) struct FolderProgress {
    /// Its name in the settings.
    pub(super) setting: String,
    /// Its name on the server.
    pub(super) name: String,
    /// How far earlier runs got.
    before: Cursor,
    /// `UIDVALIDITY` of this run, once it was opened.
    pub(super) validity: Option<u32>,
    /// All processed messages.
    dealt: UidSet,
    /// Passed to the caller in this run, and not known to be stored yet.
    pub(super) given: UidSet,
    /// Withheld by the server: not processed in this run, whatever the caller reports.
    withheld: BTreeSet<u32>,
    /// Stored, but the server was not told yet.
    pub(super) unacknowledged: Vec<(u32, Fate)>,
    /// The remaining UIDs to list.
    pub(super) lister: Option<Lister>,
    /// The remaining mails to fetch.
    pub(super) queue: Queue,
    /// The server refused an action here: the rest of this run leaves the folder alone.
    pub(super) stuck: bool,
}

impl FolderProgress {
    /// A folder in the state of an earlier run, if its name on the server is among these.
    pub(super) fn new(setting: String, name: String, cursors: &[(String, Cursor)]) -> Self {
        let before = cursors.iter().find(|(each, _)| *each == name).map(|(_, cursor)| cursor.clone());
        Self {
            setting,
            name,
            before: before.unwrap_or_default(),
            validity: None,
            dealt: UidSet::new(),
            given: UidSet::new(),
            withheld: BTreeSet::new(),
            unacknowledged: Vec::new(),
            lister: None,
            queue: Queue::default(),
            stuck: false,
        }
    }

    /// The folder was opened. Returns true if `UIDVALIDITY` changed: then all of it is read again.
    pub(super) fn opened(&mut self, opened: &OpenFolder) -> bool {
        let mut renewed = false;
        if self.validity != Some(opened.validity) {
            let known = self.validity.unwrap_or(self.before.uid_validity);
            renewed = known != 0 && known != opened.validity;
            let before = std::mem::take(&mut self.before);
            self.dealt = UidSet::new();
            self.given = UidSet::new();
            self.withheld.clear();
            self.unacknowledged.clear();
            self.queue = Queue::default();
            self.lister = None;
            if !renewed {
                self.dealt.add(1, before.last_uid);
                before.done.iter().for_each(|&(first, last)| self.dealt.add(first, last));
                before.pending.iter().for_each(|&(uid, _)| self.dealt.insert(uid));
                self.unacknowledged = before.pending;
            }
            self.validity = Some(opened.validity);
        }
        if self.lister.is_none() {
            let first = self.dealt.end_of(1).map_or(1, |end| end.saturating_add(1));
            self.lister = Some(Lister::new(first, opened));
        }
        renewed
    }

    /// Messages that need not be listed or fetched.
    pub(super) fn dealt(&self) -> &UidSet {
        &self.dealt
    }

    /// These UIDs have no mail.
    pub(super) fn empty(&mut self, ranges: &[(u32, u32)]) {
        for &(first, last) in ranges {
            self.dealt.add(first, last);
        }
    }

    /// This mail no longer exists.
    pub(super) fn gone(&mut self, uid: u32) {
        self.dealt.insert(uid);
    }

    /// The server does not deliver this mail: a later run requests it again.
    pub(super) fn withhold(&mut self, uid: u32) {
        self.withheld.insert(uid);
    }

    /// The caller reports that this mail is stored.
    pub(super) fn safe(&mut self, validity: u32, uid: u32, fate: Fate) {
        if self.validity != Some(validity) || self.withheld.contains(&uid) {
            return;
        }
        self.dealt.insert(uid);
        self.unacknowledged.push((uid, fate));
    }

    /// How far this run got; `None` if the folder was never opened.
    pub(super) fn cursor(&self) -> Option<Cursor> {
        let uid_validity = self.validity?;
        let last_uid = self.dealt.end_of(1).unwrap_or(0);
        let done = self.dealt.as_slice().iter().copied().filter(|&(first, _)| first > last_uid).collect();
        Some(Cursor { uid_validity, last_uid, pending: self.unacknowledged.clone(), done })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::imap::session::OpenMode;

    fn opened(validity: u32) -> OpenFolder {
        let name = "INBOX".to_owned();
        OpenFolder { name, mode: OpenMode::Read, validity, next: Some(100), exists: 9, read_only: false }
    }

    fn folder(before: Cursor) -> FolderProgress {
        FolderProgress::new("INBOX".into(), "INBOX".into(), &[("INBOX".into(), before)])
    }

    #[test]
    fn the_cursor_stops_below_what_is_not_dealt_with() {
        let mut folder = folder(Cursor { uid_validity: 7, last_uid: 10, ..Cursor::default() });
        assert!(!folder.opened(&opened(7)));
        folder.empty(&[(11, 14)]);
        folder.safe(7, 16, Fate::Done);
        let cursor = folder.cursor().unwrap();
        assert_eq!((cursor.last_uid, cursor.done), (14, vec![(16, 16)]));
        folder.safe(7, 15, Fate::NotReport);
        assert_eq!(folder.cursor().unwrap().last_uid, 16);
    }

    #[test]
    fn another_uidvalidity_invalidates_everything_known() {
        let before = Cursor { uid_validity: 7, last_uid: 10, pending: vec![(3, Fate::Done)], done: vec![(12, 13)] };
        let mut folder = folder(before);
        assert!(folder.opened(&opened(8)));
        folder.safe(7, 1, Fate::Done);
        let cursor = folder.cursor().unwrap();
        assert_eq!(cursor, Cursor { uid_validity: 8, last_uid: 0, pending: vec![], done: vec![] });
    }

    #[test]
    fn what_is_pending_is_not_fetched_again() {
        let before = Cursor { uid_validity: 7, last_uid: 2, pending: vec![(3, Fate::Done)], done: vec![] };
        let mut folder = folder(before);
        folder.opened(&opened(7));
        assert!(folder.dealt().contains(3) && !folder.dealt().contains(4));
        assert_eq!(folder.unacknowledged, [(3, Fate::Done)]);
    }

    #[test]
    fn a_withheld_mail_is_asked_for_again_whatever_the_caller_says() {
        let mut folder = folder(Cursor { uid_validity: 7, ..Cursor::default() });
        folder.opened(&opened(7));
        folder.withhold(1);
        folder.safe(7, 1, Fate::Unreadable);
        folder.safe(7, 2, Fate::Done);
        let cursor = folder.cursor().unwrap();
        assert_eq!((cursor.last_uid, cursor.done, folder.unacknowledged.len()), (0, vec![(2, 2)], 1));
    }
}
