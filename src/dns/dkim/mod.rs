//! DKIM (RFC 6376): keys taken apart and checked at the selectors that are known, a mail's signatures verified.

mod check;
mod edit;
mod key;
mod signature;

pub use check::{Selector, check};
pub use key::{Key, KeyError, KeyKind};
pub use signature::{Signature, VerifyError};

pub(super) use edit::repaired;
pub(super) use signature::signatures;

#[cfg(test)]
pub(super) use key::tests::rsa as test_key;
