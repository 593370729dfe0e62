//! Who each sender of a domain is, by which evidence.

pub(crate) mod auth_pattern;
mod causes;
pub(crate) mod classify;
mod fold;
pub(crate) mod group;
pub(crate) mod history;
mod reporter_set;
mod role;
mod signing;
pub(crate) mod source;
mod spf_loss;
pub(crate) mod view;
pub(crate) mod weights;

pub(crate) use auth_pattern::{Breakage, SigningKey};
pub(crate) use classify::Identity;
pub(crate) use fold::{DomainFold, Folded, Governs, HolderKey, fails_visibly, fold};
pub(crate) use group::{OfTimes, SenderGroup, WINDOWS};
pub(crate) use history::{History, Horizon};
pub(crate) use reporter_set::ReporterSet;
pub use role::{Evidence, Role, Roles};
pub(crate) use spf_loss::{SpfEntry, SpfLoss};
pub(crate) use view::View;
pub(crate) use weights::Weights;
