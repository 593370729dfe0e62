//! Reports each event once: compares the store with what earlier runs recorded, records new events together with the
//! messages to send, then sends the messages through each channel until it has accepted them.
//!
//! It reads no settings and no clock, and opens no connection: the caller passes in the channels.

mod delivery;
mod look;
mod message;
mod operations;

pub use delivery::{AlertDelivery, DeliveryFailure, PRINT, deliver};
pub use look::{AlertLook, AlertRules, look};
pub use message::{AlertEvent, AlertMessage, SCHEMA, open_events};
