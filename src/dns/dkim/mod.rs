//! DKIM (RFC 6376): parses and checks the keys at known selectors, verifies a mail's signatures.

mod check;
mod edit;
mod key;
mod signature;

pub use check::{Selector, check};
pub(crate) use key::key_name;
pub use key::{Key, KeyError, KeyKind};
pub use signature::{Signature, VerifyError};

pub(super) use edit::repaired;
pub(super) use signature::signatures;

#[cfg(test)]
pub(super) use key::tests::rsa as test_key;
