//! One writer at a time. The lock is the kernel's, so it dies with its holder; the file only says who that is.

use super::{StoreError, layout::Layout};
use jiff::Timestamp;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};

/// Held as long as it lives.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Take the lock, or say who has it.
    pub(crate) fn take(layout: &Layout, now: Timestamp) -> Result<Self, StoreError> {
        let path = layout.lock();
        let failed = || StoreError::io(&path, "locking the store");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.take(200).read_to_string(&mut holder);
                let holder = if holder.trim().is_empty() { "another process" } else { holder.trim() };
                return Err(StoreError::Busy { path, holder: holder.to_owned() });
            }
            Err(TryLockError::Error(error)) => return Err(failed()(error)),
        }
        let holder = format!("process {} since {now}\n", std::process::id());
        file.set_len(0).and_then(|()| file.write_all(holder.as_bytes())).map_err(failed())?;
        Ok(Self { _file: file })
    }
}
