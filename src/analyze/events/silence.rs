//! Who has fallen silent, by the runs that saw reports: the usual interval is the longest wait of the last eight weeks.

use std::collections::BTreeMap;

/// Days of runs that are considered.
const WINDOW: i32 = 56;
/// The shortest usual interval there is.
const SHORTEST: i32 = 2;
/// Runs with reports from which a usual interval is known.
const RUNS: usize = 10;
/// Days since the first of them, so that a monthly gap has been seen.
const HISTORY: i32 = 35;

/// On which days a run saw new reports, by name, in order.
pub type Rhythm = BTreeMap<String, Vec<i32>>;

/// Somebody who fell silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Silence {
    /// The day of the last run that saw a report.
    pub(crate) last: i32,
    /// The longest wait before, in days.
    pub(crate) usual: i32,
}

/// Whether these runs show silence for one and a half usual intervals.
pub(crate) fn silent(runs: &[i32], today: i32) -> Option<Silence> {
    let (first, last) = (*runs.first()?, *runs.last()?);
    let recent: Vec<i32> = runs.iter().copied().filter(|run| *run > last - WINDOW).collect();
    let waits = recent.windows(2).map(|pair| pair[1] - pair[0]);
    let usual = waits.max().unwrap_or(SHORTEST).max(SHORTEST);
    let due = (usual + 1).max((usual * 3 + 1) / 2);
    let gap = today - last;
    let known = recent.len() >= RUNS && last - first >= HISTORY;
    (known && gap >= due).then_some(Silence { last, usual })
}

#[cfg(test)]
mod tests {
    use super::silent;

    #[test]
    fn silence_is_reported_after_one_and_a_half_of_the_longest_wait() {
        let daily: Vec<i32> = (0..60).collect();
        assert_eq!((60..64).find(|today| silent(&daily, *today).is_some()), Some(62));
        let batches: Vec<i32> = (0..60).filter(|day| day % 4 == 0).collect();
        assert_eq!((57..70).find(|today| silent(&batches, *today).is_some()), Some(62));
        assert_eq!(silent(&daily[..20], 40), None, "too young to have a rhythm");
    }
}
