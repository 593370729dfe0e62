//! What other programs read: Parquet and Delta exports, Arrow streams, metrics.

mod convert;
mod lake;
mod metrics;
mod readers;
