//! The days something was seen: the first and the last, or none yet.

/// A first and a last day, as in the `date` column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DaySpan(Option<(i32, i32)>);

impl DaySpan {
    /// Adds a day.
    pub(crate) fn add(&mut self, day: i32) {
        self.merge(Self(Some((day, day))));
    }

    /// Adds another span.
    pub(crate) fn merge(&mut self, other: Self) {
        self.0 = match (self.0, other.0) {
            (Some(mine), Some(theirs)) => Some((mine.0.min(theirs.0), mine.1.max(theirs.1))),
            (mine, theirs) => mine.or(theirs),
        };
    }

    /// The first day.
    pub(crate) fn first(self) -> Option<i32> {
        self.0.map(|(first, _)| first)
    }

    /// The last day.
    pub(crate) fn last(self) -> Option<i32> {
        self.0.map(|(_, last)| last)
    }

    /// Days from the first to the last, both counted; 0 if there is none.
    pub(crate) fn days(self) -> i32 {
        self.0.map_or(0, |(first, last)| last.saturating_sub(first).saturating_add(1))
    }
}

impl FromIterator<i32> for DaySpan {
    fn from_iter<I: IntoIterator<Item = i32>>(days: I) -> Self {
        let mut span = Self::default();
        days.into_iter().for_each(|day| span.add(day));
        span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_grows_by_days_and_by_spans() {
        let mut span = DaySpan::default();
        assert_eq!((span.first(), span.days()), (None, 0));
        span.add(7);
        span.merge(DaySpan::default());
        span.add(5);
        assert_eq!((span.first(), span.last(), span.days()), (Some(5), Some(7), 3));
    }
}
