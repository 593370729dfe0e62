//! The archive: pages of weeks, domains and senders that link to each other, and a feed.

pub(crate) mod domain;
pub(crate) mod feed;
pub(crate) mod index;
mod names;
pub(crate) mod record;
pub(crate) mod sender;
pub(crate) mod week;
