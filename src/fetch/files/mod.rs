//! Items from this machine: files, folders, mailbox files, Maildirs, and pipes.

pub mod frames;
pub(crate) mod maildir;
pub(crate) mod mbox;
pub(crate) mod pipe;
pub mod walk;
