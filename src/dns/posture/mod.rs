//! One domain's mail setup in DNS, beside what its reports show.

pub mod domain;
pub mod history;
