//! Queries DNS, and distinguishes "there is no such record" from "it could not be looked up".

pub mod answer;
mod authentic;
pub mod bounded;
pub mod keyring;
pub mod name;
pub mod overlay;
pub mod resolver;
#[cfg(test)]
pub(crate) mod test_zone;
