//! What DNS says about hosts: MX records, PTR records, names for many addresses.

pub mod enrich;
pub mod mx;
pub mod origin;
pub mod ptr;
