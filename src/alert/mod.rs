//! Reports what changed, each event once: examines the store and what earlier runs left, records new events together
//! with what is to be sent, then sends them through each channel until it has accepted them.
//!
//! It reads no settings and no clock, and sends nothing itself: the caller passes the channels in.

mod delivery;
mod look;
mod message;
mod operations;

pub use delivery::{AlertDelivery, DeliveryFailure, PRINT, deliver};
pub use look::{AlertLook, AlertRules, look};
pub use message::{AlertEvent, AlertMessage, SCHEMA, open_events};
pub use operations::Operations;
