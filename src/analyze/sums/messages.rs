//! A number of messages. Counts are untrusted: additions saturate, which keeps them associative.

use std::ops::{Add, AddAssign, Sub};

/// A number of messages, at most 2^64 - 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Messages(pub(crate) u64);

impl Messages {
    /// These if a condition holds, else none.
    pub(crate) fn only_if(self, holds: bool) -> Self {
        if holds { self } else { Self(0) }
    }

    /// Whether these are at least one in `many` of all.
    pub(crate) fn is_one_in(self, many: u64, all: Self) -> bool {
        self.0.saturating_mul(many) >= all.0
    }

    /// Whether these are more than one in `many` of all.
    pub(crate) fn is_more_than_one_in(self, many: u64, all: Self) -> bool {
        self.0.saturating_mul(many) > all.0
    }
}

impl Add for Messages {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }
}

impl AddAssign for Messages {
    fn add_assign(&mut self, more: Self) {
        *self = *self + more;
    }
}

/// Subtraction saturates at zero.
impl Sub for Messages {
    type Output = Self;

    fn sub(self, less: Self) -> Self {
        Self(self.0.saturating_sub(less.0))
    }
}

impl From<u64> for Messages {
    fn from(messages: u64) -> Self {
        Self(messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_never_wrap_and_shares_count_whole_messages() {
        assert_eq!(Messages(u64::MAX) + Messages(1), Messages(u64::MAX));
        assert_eq!(Messages(1) - Messages(2), Messages(0));
        assert!(Messages(2).is_one_in(500, Messages(1000)) && !Messages(2).is_more_than_one_in(500, Messages(1000)));
    }
}
