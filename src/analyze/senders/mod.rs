//! Who each sender of a domain is, by which evidence.

mod attributed;
mod auth_pattern;
mod causes;
mod classify;
mod fold;
mod group;
mod history;
mod reporter_set;
mod role;
mod signing;
mod source;
mod spf_loss;
mod view;
mod weights;

pub use attributed::{AttributedMail, MailResults, MailRow, MailSender, ReportedSignature};
pub(crate) use auth_pattern::{Breakage, SigningKey};
pub(crate) use classify::{Identity, at_or_below, within};
pub(crate) use fold::{DomainFold, Folded, Governs, HolderKey, fold};
pub(crate) use group::{OfTimes, SenderGroup, WINDOWS};
pub(crate) use history::{History, Horizon};
pub(crate) use reporter_set::ReporterSet;
pub use role::{Evidence, Role, Roles};
pub(crate) use spf_loss::{SpfEntry, SpfLoss};
pub(crate) use view::View;
pub(crate) use weights::Weights;
