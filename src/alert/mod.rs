//! Tells what changed, each event once: looks at the store and at what earlier runs left, records what is new together
//! with what is to be told, then tells it by each way out until that has taken it.
//!
//! It reads no settings and no clock, and sends nothing itself: the ways out are handed in.

mod look;
mod message;
mod operations;
mod tell;

pub use look::{AlertLook, AlertRules, look};
pub use message::{AlertEvent, AlertMessage, SCHEMA, open_events};
pub use operations::Operations;
pub use tell::{AlertDelivery, PRINT, TellFailure, tell};
