//! The host name of an address.

use super::foreign::Foreign;

/// The host name of an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName {
    /// The name.
    pub name: Foreign,
    /// It resolves back to the address, so the owner of the name confirms it.
    pub confirmed: bool,
}
