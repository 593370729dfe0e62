//! The command line: help and usage errors, the commands around a store, mail, permissions, backups.

mod acknowledge;
mod backup;
mod census;
mod mail;
mod privacy;
mod store;
mod usage;
