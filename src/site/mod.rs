//! The archive of a store as static pages: what has changed since the last run, and files that are replaced as a whole.
//!
//! It is told of weeks and writes pages; which weeks there are, and their rows, are for the caller to find.

mod archive;
mod files;

pub use archive::Archive;
pub use files::{SiteError, Written};
