//! Tests of the analysis as a whole, and the fixtures they share with the tests of other modules.

mod adding;
pub(crate) mod fixtures;
mod repairs;
pub(crate) mod tls;
pub(crate) mod weeks;
