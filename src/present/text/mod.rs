//! Plain text for a terminal.

pub(crate) mod alert;
#[cfg(feature = "dns")]
pub(crate) mod census;
#[cfg(feature = "dns")]
pub(crate) mod consents;
#[cfg(feature = "dns")]
pub(crate) mod dns_changes;
pub(crate) mod explain;
mod layout;
#[cfg(feature = "dns")]
pub(crate) mod message_check;
pub(crate) mod overview;
#[cfg(feature = "dns")]
pub(crate) mod posture;
#[cfg(feature = "dns")]
pub(crate) mod simulation;
pub(crate) mod summary;
