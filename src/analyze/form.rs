//! How values stand in the JSON form of an answer.

use super::foreign::Foreign;
use crate::model::Cause;
use jiff::civil::Date;
use serde::Serializer;

/// A day as `2026-11-22`.
pub(crate) fn day<S: Serializer>(day: &Date, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(day)
}

/// A day, or null.
pub(crate) fn day_or_null<S: Serializer>(day: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
    match day {
        Some(day) => serializer.collect_str(day),
        None => serializer.serialize_none(),
    }
}

/// Days in an array.
pub(crate) fn days<S: Serializer>(days: &[Date], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(days.iter().map(Date::to_string))
}

/// A list that others share.
pub(crate) fn list<S: Serializer>(list: &std::sync::Arc<[Foreign]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter())
}

/// A cause by its word.
pub(crate) fn cause<S: Serializer>(cause: &Cause, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(cause.as_str())
}

/// A cause by its word, or null.
pub(crate) fn cause_or_null<S: Serializer>(cause: &Option<Cause>, serializer: S) -> Result<S::Ok, S::Error> {
    match cause {
        Some(cause) => serializer.serialize_str(cause.as_str()),
        None => serializer.serialize_none(),
    }
}
