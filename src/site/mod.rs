//! The archive of a store as static pages: only changed files are written, each replaced as a whole.
//!
//! It writes the pages of the weeks it is given; the caller finds the weeks and their rows.

mod archive;
mod files;

pub use archive::Archive;
pub use files::{SiteError, Written};
