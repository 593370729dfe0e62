//! Shared by commands: the context of a run, the selection of rows, and how items are read.

pub(crate) mod customers;
pub(crate) mod ingest_run;
pub(crate) mod logo;
pub(crate) mod mail_summary;
pub(crate) mod mailbox_survey;
pub(crate) mod period;
pub(crate) mod rejections;
pub(crate) mod repairs;
pub(crate) mod run;
pub(crate) mod selection;
pub(crate) mod shares;
pub(crate) mod storeless;
pub(crate) mod trial;
pub(crate) mod verdicts;
pub(crate) mod verifier;
