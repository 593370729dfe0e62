//! The bound of `rejected/`: a flood of junk costs so much disk and no more.
//!
//! Comes in: the transaction that records a batch with rejected items. Goes out: the oldest kept bytes beyond the quota as
//! intents, so that they go the way of unfinished files, whatever instant a kill comes at. Their rows stay, with an empty
//! `file`: what was rejected is still named, known and counted. Must not touch what was stored as a report.

use rusqlite::{Transaction, params};

/// How much of rejected items is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    pub(crate) bytes: i64,
    pub(crate) files: usize,
}

impl Default for Quota {
    /// Rejected bytes are kept for a person to look at and for a later version to read. Four of the largest items fit, or
    /// years of what honest reporters break; and no more files than a folder lists at once. A flood beyond that is junk.
    fn default() -> Self {
        Self { bytes: 256 << 20, files: 10_000 }
    }
}

/// Let the oldest kept bytes beyond the quota go. True where there are any: their files are intents now.
pub(crate) fn hold(transaction: &Transaction<'_>, quota: Quota) -> rusqlite::Result<bool> {
    let kept: Vec<([u8; 32], i64, String)> = transaction
        .prepare_cached(
            "SELECT hash, bytes, file FROM rejected WHERE file IS NOT NULL AND file <> '' ORDER BY ingested DESC, hash",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut sum = 0_i64;
    let within = kept.iter().take(quota.files).take_while(|(_, bytes, _)| {
        sum = sum.saturating_add(*bytes);
        sum <= quota.bytes
    });
    let within = within.count();
    let mut forget = transaction.prepare_cached("UPDATE rejected SET file = '' WHERE hash = ?1")?;
    let mut intend = transaction.prepare_cached("INSERT OR REPLACE INTO intents VALUES (?1)")?;
    for (hash, _, file) in &kept[within..] {
        forget.execute(params![hash])?;
        intend.execute([file])?;
    }
    Ok(within < kept.len())
}

#[cfg(test)]
mod tests {
    use super::Quota;
    use crate::store::{Reject, Rejected, Store, Writer};
    use jiff::Timestamp;

    fn reject(number: u8) -> Reject {
        Reject {
            origin: format!("junk {number}"),
            attachment: None,
            reason: "payload is not XML".into(),
            bytes: Some(vec![number; 100]),
            extension: "bin",
            arrival: Timestamp::UNIX_EPOCH,
        }
    }

    /// Reject these in one run each, under a quota.
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
    fn beyond_the_quota_the_oldest_bytes_go_and_are_still_named_and_known() {
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
    fn a_kill_right_after_the_commit_leaves_the_files_to_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let quota = Quota { bytes: 1 << 20, files: 1 };
        flood(dir.path(), 0..1, quota);
        let mut writer = Writer::open(dir.path(), Timestamp::UNIX_EPOCH).unwrap();
        writer.quota = quota;
        writer.fault = Some(Box::new(|step| step == crate::store::commit::Step::Committed));
        writer.reject(reject(1)).unwrap();
        assert!(writer.commit().is_err());
        drop(writer);
        assert_eq!(files(dir.path()), 2);
        drop(Writer::open(dir.path(), Timestamp::UNIX_EPOCH).unwrap());
        assert_eq!(files(dir.path()), 1);
        assert_eq!(Store::open(dir.path()).unwrap().verify().unwrap(), []);
    }
}
