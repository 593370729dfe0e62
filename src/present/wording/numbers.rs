//! Formats numbers. A share below 100% is never shown as 100%, and one above 0 never as 0 (`docs/summary.md`, Numbers).

use crate::analyze::Rate;
pub(crate) use crate::model::{count, counted};

/// A share in percent: `97.2%`, never falsely `0%` or `100%`; "no data" if there is none.
pub(crate) fn percent(rate: Option<Rate>) -> String {
    rate.map_or_else(|| "no data".to_owned(), |rate| format!("{}%", figure(rate)))
}

/// A share in percent with one decimal, except for all and nothing; `>99.9` and `<0.1` if it would falsely read
/// as one of them. Halves are rounded down: a pass rate never looks better than it is.
fn figure(Rate { part, whole }: Rate) -> String {
    if part == 0 {
        return "0".to_owned();
    }
    if part >= whole {
        return "100".to_owned();
    }
    let (part, whole) = (u128::from(part), u128::from(whole));
    // Integer arithmetic gives the same result on every machine.
    match (part * 2000 + whole - 1) / (whole * 2) {
        0 => "<0.1".to_owned(),
        1000.. => ">99.9".to_owned(),
        tenths => format!("{}.{}", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(part: u64, whole: u64) -> String {
        percent(Rate::of(part, whole))
    }

    #[test]
    fn a_share_below_all_never_reads_as_all() {
        assert_eq!(shown(1000, 1000), "100%");
        assert_eq!(shown(999, 1000), "99.9%");
        assert_eq!(shown(99_999, 100_000), ">99.9%");
        assert_eq!(shown(u64::MAX - 1, u64::MAX), ">99.9%");
    }

    #[test]
    fn a_share_above_nothing_never_reads_as_nothing() {
        assert_eq!(shown(0, 1000), "0%");
        assert_eq!(shown(1, 1000), "0.1%");
        assert_eq!(shown(1, 100_000), "<0.1%");
        assert_eq!(shown(1, u64::MAX), "<0.1%");
    }

    #[test]
    fn no_messages_are_no_data() {
        assert_eq!(shown(0, 0), "no data");
    }

    #[test]
    fn shares_have_one_decimal_and_halves_round_down() {
        assert_eq!(shown(1, 3), "33.3%");
        assert_eq!(shown(2, 3), "66.7%");
        assert_eq!(shown(1, 2), "50.0%");
        assert_eq!(shown(1, 16), "6.2%");
        assert_eq!(shown(9995, 10_000), "99.9%");
    }
}
