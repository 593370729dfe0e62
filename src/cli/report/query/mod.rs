//! `query`, or its error in a build without the feature.

#[cfg(feature = "query")]
mod answer;
#[cfg(feature = "query")]
mod memory_watch;
#[cfg(feature = "query")]
mod table;
#[cfg(not(feature = "query"))]
mod unavailable;

#[cfg(feature = "query")]
pub(crate) use answer::{QueryArgs, run};
#[cfg(not(feature = "query"))]
pub(crate) use unavailable::{WithoutQueryArgs as QueryArgs, run};
