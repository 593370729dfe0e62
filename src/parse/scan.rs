//! Finds a nearby byte. Values and names in reports are short: comparing eight bytes at a time in a register beats
//! calling a search routine made for long texts, which takes over if nothing is near.

/// How many bytes ahead count as near.
const NEAR: usize = 32;
const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The offset of the first byte that is `needle`.
#[inline]
pub(super) fn find(bytes: &[u8], needle: u8) -> Option<usize> {
    let wanted = u64::from(needle) * ONES;
    near(bytes, |word| zeros(word ^ wanted), |far| memchr::memchr(needle, far))
}

/// The offset of the first byte that is one of two.
#[inline]
pub(super) fn find_either(bytes: &[u8], one: u8, other: u8) -> Option<usize> {
    let (first, second) = (u64::from(one) * ONES, u64::from(other) * ONES);
    near(bytes, |word| zeros(word ^ first) | zeros(word ^ second), |far| memchr::memchr2(one, other, far))
}

/// The offset of the first byte above a space: without control characters, the first that is not white space.
#[inline]
pub(super) fn find_ink(bytes: &[u8]) -> Option<usize> {
    let inked = |word: u64| (((word & !HIGHS) + 0x5f * ONES) | word) & HIGHS;
    near(bytes, inked, |far| far.iter().position(|byte| *byte > b' '))
}

/// Looks at words of eight bytes while near, then calls `far`. `marks` sets the high bit of matching bytes; bits above
/// the lowest set one may be wrong.
#[inline]
fn near(bytes: &[u8], marks: impl Fn(u64) -> u64, far: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
    let mut rest = bytes;
    let mut passed = 0;
    while passed < NEAR {
        let Some((word, behind)) = rest.split_first_chunk::<8>() else { break };
        let marked = marks(u64::from_le_bytes(*word));
        if marked != 0 {
            return Some(passed + marked.trailing_zeros() as usize / 8);
        }
        rest = behind;
        passed += 8;
    }
    far(rest).map(|place| passed + place)
}

/// Sets the high bit of each zero byte; those above the lowest may be wrong, because the subtraction borrows upwards.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn places_are_those_of_a_plain_search(bytes in proptest::collection::vec(0x1e_u8..0x28, 0..80), high: Vec<u8>) {
            for bytes in [&bytes, &high] {
                prop_assert_eq!(find(bytes, b'&'), bytes.iter().position(|byte| *byte == b'&'));
                let either = |byte: &u8| matches!(*byte, b'&' | b'#');
                prop_assert_eq!(find_either(bytes, b'&', b'#'), bytes.iter().position(either));
                prop_assert_eq!(find_ink(bytes), bytes.iter().position(|byte| *byte > b' '));
            }
        }
    }
}
