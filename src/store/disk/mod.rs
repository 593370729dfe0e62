//! The files of the data folder: where each one lies, who may read it, durable writes, and the lock.

pub(crate) mod access;
pub(crate) mod files;
pub mod layout;
pub(crate) mod lock;
