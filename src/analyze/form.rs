//! The JSON form of values in an answer.

use super::foreign::Foreign;
use crate::model::{Cause, NetworkClass};
use jiff::civil::Date;
use serde::{Serialize as _, Serializer, ser::SerializeMap as _};

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

/// A number of blocked messages, under both of its names.
pub(crate) fn blocked<S: Serializer>(blocked: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    let mut names = serializer.serialize_map(Some(2))?;
    names.serialize_entry("blocked", blocked)?;
    names.serialize_entry("stopped", blocked)?;
    names.end()
}

/// A shared list.
pub(crate) fn list<S: Serializer>(list: &std::sync::Arc<[Foreign]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter())
}

/// A cause as its word.
pub(crate) fn cause<S: Serializer>(cause: &Cause, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(cause.as_str())
}

/// A kind of network as its word, or null.
pub(crate) fn class<S: Serializer>(class: &Option<NetworkClass>, serializer: S) -> Result<S::Ok, S::Error> {
    class.map(NetworkClass::as_str).serialize(serializer)
}

/// A cause as its word, or null.
pub(crate) fn cause_or_null<S: Serializer>(cause: &Option<Cause>, serializer: S) -> Result<S::Ok, S::Error> {
    match cause {
        Some(cause) => serializer.serialize_str(cause.as_str()),
        None => serializer.serialize_none(),
    }
}
