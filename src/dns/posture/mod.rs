//! One domain's mail setup in DNS, compared with its reports.

pub mod consents;
pub mod domain;
pub mod history;
pub mod kept;
pub mod sources;
