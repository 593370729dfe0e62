//! A store opened for reading, or a folder of Parquet files that an export left.

pub(crate) mod delta;
mod dns_history;
pub(crate) mod domains;
mod events;
pub(crate) mod folder_files;
pub(crate) mod group_columns;
mod mailboxes;
mod mailed;
pub(crate) mod parquet_folder;
mod rejected;
mod report_days;
mod report_heads;
mod sources;
pub(crate) mod status_sums;
pub(crate) mod store;
pub(crate) mod tls;
mod tls_folder;
mod verdicts;
