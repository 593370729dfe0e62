//! Searches and compares short texts. Values and names in reports are short: comparing eight bytes at a time in a register
//! beats calling a routine made for long texts, which takes over if nothing is near.

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

/// The index of the first byte that is a space or lower.
#[inline]
pub(crate) fn first_blank(bytes: [u8; 8]) -> Option<usize> {
    let word = u64::from_le_bytes(bytes);
    let marked = word.wrapping_sub(0x21 * ONES) & !word & HIGHS;
    (marked != 0).then(|| marked.trailing_zeros() as usize / 8)
}

/// Whether two names are equal. Names in reports are short: this costs less than a call of `memcmp`.
#[inline]
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    match one.len() {
        8..=16 => one.first_chunk::<8>() == other.first_chunk() && one.last_chunk::<8>() == other.last_chunk(),
        4..=7 => one.first_chunk::<4>() == other.first_chunk() && one.last_chunk::<4>() == other.last_chunk(),
        _ => one == other,
    }
}

/// Trims; hardly any value needs it, as its first and last bytes show.
#[inline]
pub(crate) fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [b'!'..=b'~', .., b'!'..=b'~'] | [b'!'..=b'~'] | [] => text,
        _ => text.trim(),
    }
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
        fn offsets_are_those_of_a_plain_search(bytes in proptest::collection::vec(0x1e_u8..0x28, 0..80), high: Vec<u8>) {
            for bytes in [&bytes, &high] {
                prop_assert_eq!(find(bytes, b'&'), bytes.iter().position(|byte| *byte == b'&'));
                let either = |byte: &u8| matches!(*byte, b'&' | b'#');
                prop_assert_eq!(find_either(bytes, b'&', b'#'), bytes.iter().position(either));
                prop_assert_eq!(find_ink(bytes), bytes.iter().position(|byte| *byte > b' '));
                if let Some(word) = bytes.first_chunk::<8>() {
                    prop_assert_eq!(first_blank(*word), word.iter().position(|byte| *byte <= b' '));
                }
            }
        }

        #[test]
        fn names_are_the_same_where_all_their_bytes_are(name: Vec<u8>, length in 0_usize..24, at: proptest::sample::Index, bit in 0_u32..8) {
            let name: Vec<u8> = name.into_iter().cycle().take(length).collect();
            prop_assert!(same(&name, &name.clone()));
            prop_assert!(!same(&name, &[&name[..], b"x"].concat()));
            if !name.is_empty() {
                let mut other = name.clone();
                other[at.index(name.len())] ^= 1 << bit;
                prop_assert!(!same(&name, &other));
            }
        }
    }
}
