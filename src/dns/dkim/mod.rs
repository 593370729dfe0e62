//! DKIM keys (RFC 6376): taken apart, and checked at the selectors that are known.

mod check;
mod key;

pub use check::{Selector, check};
pub use key::{Key, KeyFault, KeyKind};

#[cfg(test)]
pub(super) use key::tests::rsa as test_key;
