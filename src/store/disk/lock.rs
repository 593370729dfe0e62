//! One writer at a time: a kernel lock that is released when its holder dies, and a check that it really excludes
//! others.
//!
//! The ledger names the writer too ([`crate::store::ledger::database::Ledger::claim`]): that row protects the store if
//! the file `lock` was removed, or if locks do not work between hosts.

use super::access;
use super::layout::Layout;
use crate::store::error::StoreError;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait for a lock. After a kill of a run and its child, the child may still be ending while the next run
/// starts; the kernel releases the lock when its last thread has ended.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long to wait for a holder that was killed: its last sync may take seconds on a busy disk.
const ENDING: Duration = Duration::from_secs(30);

/// Identifies a writer. Fields that this system does not provide are empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pid: u32,
    since: String,
    /// When the process started, in the kernel's ticks: process IDs are reused.
    #[serde(default)]
    started: String,
    /// The PID namespace: process IDs of another one, such as a container's, mean nothing here.
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    boot: String,
    #[serde(default)]
    machine: String,
}

/// Whether a writer that did not sign off still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriterState {
    /// It runs.
    Alive,
    /// It does not run.
    Dead,
    /// Its process is not visible from here, but it is on this kernel, whose lock we hold.
    Elsewhere,
    /// It is on another host.
    Foreign,
}

impl Owner {
    /// This process.
    fn current(now: Timestamp) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
        let namespace = std::fs::read_link("/proc/self/ns/pid");
        Self {
            pid: std::process::id(),
            since: now.to_string(),
            started: started(std::process::id()).unwrap_or_default(),
            namespace: namespace.map(|link| link.to_string_lossy().into_owned()).unwrap_or_default(),
            boot: read("/proc/sys/kernel/random/boot_id"),
            machine: read("/etc/machine-id"),
        }
    }

    /// Reads what [`Owner::text`] wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// As JSON on one line.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).expect("plain texts serialize")
    }

    /// Whether this writer still runs.
    pub(crate) fn life(&self, here: &Self) -> WriterState {
        if self.boot != here.boot {
            let restarted = !self.machine.is_empty() && self.machine == here.machine;
            return if restarted { WriterState::Dead } else { WriterState::Foreign };
        }
        if self.namespace != here.namespace {
            return WriterState::Elsewhere;
        }
        // An earlier writer of this process; without process information from the kernel, the lock decides.
        if self.pid == here.pid || self.started.is_empty() {
            return WriterState::Dead;
        }
        if started(self.pid).as_ref() == Some(&self.started) { WriterState::Alive } else { WriterState::Dead }
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} since {}", self.pid, self.since)
    }
}

/// Tries until the lock is free, or [`PATIENCE`] is over, or [`ENDING`] if its holder was killed.
fn patiently(path: &Path, mut lock: impl FnMut() -> Result<(), TryLockError>) -> Result<(), TryLockError> {
    let begin = Instant::now();
    loop {
        match lock() {
            Err(TryLockError::WouldBlock)
                if begin.elapsed() < PATIENCE || (begin.elapsed() < ENDING && is_holder_killed(path)) =>
            {
                thread::sleep(Duration::from_millis(20));
            }
            done => return done,
        }
    }
}

/// Whether the process that a lock file names was killed and has not ended yet.
fn is_holder_killed(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let Some(owner) = text.split_once('\n').and_then(|(_, owner)| Owner::parse(owner.trim())) else { return false };
    let status = std::fs::read_to_string(format!("/proc/{}/status", owner.pid)).unwrap_or_default();
    // Signal 9 in a mask; a process whose first thread has ended is a zombie until the last one has.
    let is_kill = |mask: &str| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & (1 << 8) != 0);
    status.lines().filter_map(|line| line.split_once(':')).any(|(key, value)| match key {
        "State" => value.trim().starts_with(['Z', 'X']),
        "SigPnd" | "ShdPnd" => is_kill(value),
        _ => false,
    })
}

/// When a process started, in ticks since boot; `None` without such a process or without `/proc`.
///
/// A process that ended and that its parent did not wait for is none: in a container whose first process waits for no
/// other, it is listed for as long as the container runs.
fn started(pid: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may contain anything; the start is the 22nd.
    let (_, behind) = stat.rsplit_once(')')?;
    let mut fields = behind.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.nth(18).map(str::to_owned) }
}

/// The lock, released on drop.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
    path: PathBuf,
    pub(crate) owner: Owner,
    /// The writer named in the file when the lock was taken: one that ended without signing off.
    pub(crate) left: Option<Owner>,
    /// Whether it was released.
    released: bool,
}

impl Lock {
    /// Takes the lock, or after a second returns who has it. On a file system without locks, nobody may write.
    pub(crate) fn take(layout: &Layout, now: Timestamp) -> Result<Self, StoreError> {
        let path = layout.lock();
        let failed = || StoreError::io(&path, "locking the store");
        let mut file = access::open_file(&path).map_err(failed())?;
        let mut text = String::new();
        let locked = patiently(&path, || file.try_lock());
        let _ = (&file).take(2000).read_to_string(&mut text);
        let (holder, left) = text.split_once('\n').unwrap_or((&text, ""));
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = if holder.trim().is_empty() { "another process" } else { holder.trim() };
                return Err(StoreError::Busy { path, holder: holder.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(failed()(error)),
        }
        // A lock that does not block a second lock of ours excludes nobody.
        let second = File::open(&path).map_err(failed())?;
        if !matches!(second.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(StoreError::NoLocks { path });
        }
        let left = Owner::parse(left.trim());
        let lock = Self {
            file: file.try_clone().map_err(failed())?,
            path: path.clone(),
            owner: Owner::current(now),
            left,
            released: false,
        };
        lock.check()?;
        let text = format!("{}\n{}\n", lock.owner, lock.owner.text());
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes())).map_err(failed())?;
        Ok(lock)
    }

    /// Whether the locked file is still the one at this path.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        let held = self.file.metadata().map_err(StoreError::io(&self.path, "looking at the lock"))?;
        let same = |found: &std::fs::Metadata| (found.dev(), found.ino()) == (held.dev(), held.ino());
        if std::fs::metadata(&self.path).is_ok_and(|found| same(&found)) {
            return Ok(());
        }
        Err(StoreError::LockLost { path: self.path.clone() })
    }

    /// Releases the lock before this value is dropped.
    pub(crate) fn release(&mut self) -> Result<(), StoreError> {
        self.released = true;
        let let_go = || self.file.set_len(0).and_then(|()| self.file.unlock());
        let_go().map_err(StoreError::io(&self.path, "releasing the store"))
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // An empty file means that the writer signed off. Closing the file releases the lock.
        if !self.released {
            let _ = self.file.set_len(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner() -> Owner {
        Owner {
            namespace: "pid:[1]".into(),
            boot: "b".into(),
            machine: "m".into(),
            ..Owner::current(Timestamp::UNIX_EPOCH)
        }
    }

    #[test]
    fn a_writer_counts_as_dead_only_if_that_is_certain() {
        let here = owner();
        let parent = std::os::unix::process::parent_id();
        let alive = Owner { pid: parent, started: started(parent).unwrap_or_default(), ..owner() };
        if !alive.started.is_empty() {
            assert_eq!(alive.life(&here), WriterState::Alive);
            assert_eq!(
                Owner { started: "1".into(), ..alive.clone() }.life(&here),
                WriterState::Dead,
                "the id was used again"
            );
        }
        assert_eq!(
            Owner { boot: "other".into(), ..alive.clone() }.life(&here),
            WriterState::Dead,
            "this host was restarted"
        );
        for machine in ["", "other"] {
            let other = Owner { boot: "other".into(), machine: machine.into(), ..alive.clone() };
            assert_eq!(other.life(&here), WriterState::Foreign, "{machine:?}");
        }
        assert_eq!(Owner { namespace: "pid:[2]".into(), ..alive }.life(&here), WriterState::Elsewhere);
        assert_eq!(Owner::parse(&here.text()), Some(here));
    }

    #[test]
    fn a_writer_that_ended_is_dead_although_nobody_waited_for_it() {
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let writer = Owner { pid: child.id(), started: started(child.id()).unwrap_or_default(), ..owner() };
        let running = writer.life(&owner());
        child.kill().unwrap();
        let stat = format!("/proc/{}/stat", child.id());
        while std::fs::read_to_string(&stat).is_ok_and(|text| !text.contains(") Z ")) {
            std::thread::yield_now();
        }
        let ended = writer.life(&owner());
        child.wait().unwrap();
        if !writer.started.is_empty() {
            assert_eq!((running, ended), (WriterState::Alive, WriterState::Dead));
        }
    }

    #[test]
    fn a_lock_whose_file_was_removed_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let lock = Lock::take(&layout, Timestamp::UNIX_EPOCH).unwrap();
        lock.check().unwrap();
        std::fs::remove_file(layout.lock()).unwrap();
        assert!(matches!(lock.check(), Err(StoreError::LockLost { .. })));
        let second = Lock::take(&layout, Timestamp::UNIX_EPOCH).unwrap();
        assert!(matches!(lock.check(), Err(StoreError::LockLost { .. })));
        drop(lock);
        second.check().unwrap();
        assert_eq!(second.left, None);
    }

    #[test]
    fn a_writer_that_is_ending_is_waited_for_and_another_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let ending = Lock::take(&layout, Timestamp::UNIX_EPOCH).unwrap();
        let end = thread::spawn(move || {
            thread::sleep(PATIENCE / 5);
            drop(ending);
        });
        let _next = Lock::take(&layout, Timestamp::UNIX_EPOCH).unwrap();
        end.join().unwrap();
        let busy = Lock::take(&layout, Timestamp::UNIX_EPOCH).unwrap_err();
        let this = std::process::id().to_string();
        assert!(matches!(&busy, StoreError::Busy { holder, .. } if holder.contains(&this)), "{busy}");
    }
}
