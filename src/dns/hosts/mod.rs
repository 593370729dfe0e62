//! What DNS says about hosts: MX records, PTR records, names for many addresses, whose servers they are.

pub mod enrich;
pub mod mx;
pub mod network_class;
pub mod origin;
pub mod ptr;
