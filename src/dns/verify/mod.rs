//! One mail judged as a receiver does it: its signatures, SPF and DMARC.

pub mod message;
pub mod proof;
