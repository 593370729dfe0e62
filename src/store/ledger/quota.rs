//! The quotas of `rejected/` and `conflicts/`, so that a flood of junk takes a bounded amount of disk.
//!
//! In the transaction that records new items, the oldest kept bytes beyond the quota become intents, so that a kill at
//! any instant leaves no gap. Their rows stay, with an empty `file`: each item is still listed and counted. Originals
//! of stored reports are never touched.

use super::intents;
use crate::store::disk::files;
use crate::store::disk::layout::Layout;
use crate::store::tables::values::int;

use rusqlite::{Transaction, params};

/// How much is kept of rejected items, and separately of conflicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) bytes: i64,
    pub(crate) files: usize,
}

impl Default for Quota {
    /// Rejected bytes are kept for people to examine and later versions to read. Four of the largest items fit, or
    /// years of broken reports from honest reporters; and no more files than a folder can reasonably have. A flood
    /// beyond that is junk.
    fn default() -> Self {
        Self { bytes: 256 << 20, files: 10_000 }
    }
}

impl Quota {
    /// What exceeds the quota, given newest first. Rows that share a file are adjacent; the file counts once.
    fn beyond<T>(self, mut kept: Vec<KeptBytes<T>>) -> Vec<KeptBytes<T>> {
        let (mut sum, mut files, mut last) = (0_i64, 0, "");
        let within = kept.iter().take_while(|each| {
            if each.file != last {
                last = &each.file;
                sum = sum.saturating_add(each.bytes);
                files += 1;
            }
            sum <= self.bytes && files <= self.files
        });
        let within = within.count();
        kept.split_off(within)
    }

    /// What is left of it after writing this much more.
    pub(crate) fn beside(self, bytes: i64, files: usize) -> Self {
        Self { bytes: self.bytes.saturating_sub(bytes).max(0), files: self.files.saturating_sub(files) }
    }
}

/// Bytes kept aside.
struct KeptBytes<T> {
    /// The key of their row.
    key: T,
    bytes: i64,
    file: String,
}

/// Drops the oldest rejected bytes beyond the quota: their files are intents now.
pub(crate) fn hold_rejected(transaction: &Transaction<'_>, quota: Quota) -> rusqlite::Result<()> {
    let kept = transaction
        .prepare_cached(
            "SELECT hash, bytes, file FROM rejected WHERE file IS NOT NULL AND file <> '' ORDER BY ingested DESC, hash",
        )?
        .query_map([], |row| Ok(KeptBytes { key: row.get(0)?, bytes: row.get(1)?, file: row.get(2)? }))?
        .collect::<Result<Vec<KeptBytes<[u8; 32]>>, _>>()?;
    let mut forget = transaction.prepare_cached("UPDATE rejected SET file = '' WHERE hash = ?1")?;
    for KeptBytes { key, file, .. } in quota.beyond(kept) {
        forget.execute([key])?;
        intents::remove(transaction, [file])?;
    }
    Ok(())
}

/// The same for reports in conflict, whose sizes are read from the disk.
pub(crate) fn hold_conflicts(transaction: &Transaction<'_>, layout: &Layout, quota: Quota) -> rusqlite::Result<()> {
    // Never more than the quota and a batch: the others have no file.
    let kept = transaction
        .prepare_cached(
            "SELECT key, content, file FROM conflicts WHERE file <> '' ORDER BY ingested DESC, file, key, content",
        )?
        .query_map([], |row| {
            let file: String = row.get(2)?;
            // A missing one takes no space; `verify` reports it.
            let bytes =
                std::fs::metadata(files::standing(&layout.file(&file))).map_or(0, |metadata| int(metadata.len()));
            Ok(KeptBytes { key: (row.get(0)?, row.get(1)?), bytes, file })
        })?
        .collect::<Result<Vec<KeptBytes<([u8; 16], [u8; 32])>>, _>>()?;
    let mut forget = transaction.prepare_cached("UPDATE conflicts SET file = '' WHERE key = ?1 AND content = ?2")?;
    for KeptBytes { key: (key, content), file, .. } in quota.beyond(kept) {
        forget.execute(params![key, content])?;
        intents::remove(transaction, [file])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Quota;
    use crate::model::{Hash, Original};
    use crate::store::read::store::Store;
    use crate::store::tests::accepted;
    use crate::store::write::batch::{Added, Reject, Rejected};
    use crate::store::write::writer::{CommitStage, Writer};
    use jiff::Timestamp;
    use std::sync::Arc;

    fn reject(number: u8) -> Reject {
        Reject {
            origin: format!("junk {number}"),
            attachment: None,
            reason: "expected XML, found 12 bytes of something else".into(),
            bytes: Some(vec![number; 100].into()),
            extension: "bin",
            arrival: Timestamp::UNIX_EPOCH,
        }
    }

    /// Rejects these in one run each, under a quota.
    fn flood(dir: &std::path::Path, numbers: std::ops::Range<u8>, quota: Quota) {
        for number in numbers {
            let now = Timestamp::from_second(1_795_600_000 + i64::from(number)).unwrap();
            let mut writer = Writer::open(dir, now).unwrap();
            writer.quota = quota;
            assert_eq!(writer.reject(reject(number)).unwrap(), Rejected::New);
            writer.commit().unwrap();
        }
    }

    fn files(dir: &std::path::Path) -> usize {
        std::fs::read_dir(dir.join("rejected")).unwrap().count()
    }

    #[test]
    fn conflicts_beyond_the_quota_are_dropped_too() {
        for quota in [Quota { bytes: 350, files: 99 }, Quota { bytes: 1 << 20, files: 3 }] {
            let dir = tempfile::tempdir().unwrap();
            let conflict = |number: u8| {
                let now = Timestamp::from_second(1_795_600_000 + i64::from(number)).unwrap();
                let mut writer = Writer::open(dir.path(), now).unwrap();
                writer.quota = quota;
                let mut accepted = accepted(0, 1);
                accepted.content = Hash([number; 32]);
                accepted.original = Arc::new(Original::Plain(vec![number; 100]));
                let added = writer.add(accepted).unwrap();
                writer.commit().unwrap();
                added
            };
            assert_eq!(conflict(0), Added::Stored);
            assert!((1..=10).all(|number| conflict(number) == Added::Conflict));
            assert_eq!(std::fs::read_dir(dir.path().join("conflicts")).unwrap().count(), 3);
            let store = Store::open(dir.path()).unwrap();
            let kept: Vec<bool> = store.conflicts().unwrap().iter().map(|entry| entry.file.is_some()).collect();
            assert_eq!(kept, [[false; 7].as_slice(), &[true; 3]].concat());
            let status = store.status().unwrap();
            assert_eq!((status.conflicts, status.conflicts_let_go), (10, 7));
            assert_eq!(store.verify().unwrap(), []);
            assert_eq!(conflict(1), Added::Duplicate, "not kept again");
        }
    }

    #[test]
    fn beyond_the_quota_the_oldest_bytes_are_dropped_and_still_listed() {
        for quota in [Quota { bytes: 350, files: 99 }, Quota { bytes: 1 << 20, files: 3 }] {
            let dir = tempfile::tempdir().unwrap();
            flood(dir.path(), 0..10, quota);
            assert_eq!(files(dir.path()), 3);
            let store = Store::open(dir.path()).unwrap();
            let rejected = store.rejected().unwrap();
            let kept: Vec<bool> = rejected.iter().map(|entry| entry.file.is_some()).collect();
            assert_eq!(kept, [[false; 7].as_slice(), &[true; 3]].concat());
            let status = store.status().unwrap();
            assert_eq!((status.rejected.count, status.rejected.bytes, status.let_go), (10, 300, 7));
            assert_eq!(store.verify().unwrap(), []);
            let mut writer = Writer::open(dir.path(), Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(writer.reject(reject(0)).unwrap(), Rejected::Known, "not kept again");
        }
    }

    #[test]
    fn the_quota_holds_at_every_step_of_a_commit_and_after_a_kill() {
        let dir = tempfile::tempdir().unwrap();
        let quota = Quota { bytes: 350, files: 1 };
        flood(dir.path(), 0..1, quota);
        let mut writer = Writer::open(dir.path(), Timestamp::UNIX_EPOCH).unwrap();
        writer.quota = quota;
        let (folder, most) = (dir.path().to_owned(), std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)));
        let seen = most.clone();
        *writer.fault.get_mut() = Some(Box::new(move |step| {
            seen.fetch_max(files(&folder), std::sync::atomic::Ordering::Relaxed);
            step == CommitStage::Recorded
        }));
        writer.reject(reject(1)).unwrap();
        assert!(writer.commit().is_err());
        drop(writer);
        assert_eq!(most.load(std::sync::atomic::Ordering::Relaxed), 1, "the old one goes before the new one comes");
        drop(Writer::open(dir.path(), Timestamp::UNIX_EPOCH).unwrap());
        assert_eq!(files(dir.path()), 1);
        assert_eq!(Store::open(dir.path()).unwrap().verify().unwrap(), []);
    }
}
