//! The files of the data folder: paths, permissions, durable writes, and the lock.

pub(crate) mod access;
pub(crate) mod files;
pub mod layout;
pub(crate) mod lock;
