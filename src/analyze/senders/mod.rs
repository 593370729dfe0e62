//! Who each sender of a domain is, by which evidence.

pub(crate) mod auth_pattern;
mod causes;
pub(crate) mod classify;
mod failure_sums;
mod fold;
pub(crate) mod group;
pub(crate) mod history;
mod holder;
mod reporter_set;
mod role;
mod signing;
pub(crate) mod source;
mod spf_loss;
mod told_apart;
mod top;
mod verdict_counts;
pub(crate) mod view;
pub(crate) mod weights;

pub(crate) use auth_pattern::{Breakage, SigningKey};
pub(crate) use classify::Identity;
pub(crate) use failure_sums::FailureSums;
pub(crate) use fold::{Folded, PolicyScope, compare, fold};
pub(crate) use group::{NOTABLE, SenderGroup, SenderProfile, WINDOWS};
pub(crate) use history::{History, Horizon, KeyUse};
pub(crate) use holder::{DomainFold, Holder, NAMED, fails_visibly, holder_order};
pub(crate) use reporter_set::ReporterSet;
pub use role::{Evidence, Role, Roles};
pub(crate) use signing::KeyTrouble;
pub(crate) use spf_loss::{SpfEntry, SpfLoss};
pub(crate) use top::{LargestSources, Top, add_largest};
pub(crate) use verdict_counts::PeriodMessages;
pub(crate) use view::View;
pub(crate) use weights::Weights;
