//! What is known about a report before it is read.

use jiff::Timestamp;

/// What is known about a report from outside.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The name of the file or attachment. Only the period may be taken from it, as a last resort.
    pub attachment: Option<&'a str>,
    /// When it arrived: a period cannot end long after that.
    pub arrival: Timestamp,
}
