//! Output for other programs: Parquet and Delta exports, Arrow streams, metrics.

mod convert;
mod lake;
mod metrics;
mod readers;
