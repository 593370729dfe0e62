//! Judges one mail as a receiver does: its signatures, SPF and DMARC.

pub mod message;
pub mod proof;
