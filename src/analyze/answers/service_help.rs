//! What the service behind an action offers to align its customers' mail.

use super::actions::{Action, Change};
use crate::analyze::{Foreign, Question};
use crate::model::Text;
use serde::Serialize;

/// The repair that a service describes itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServiceHelp {
    /// What it is called.
    pub name: Foreign,
    /// The kind of proof that the mail is the service's: 1 a signature or return path of its own that passes, 2 delegation in
    /// DNS. Weaker proof is no ground for advice.
    pub rung: u8,
    /// What to do there.
    pub fix: String,
    /// The page of the service that says so.
    pub help: Option<String>,
}

/// The service of an action that changes how a sender authenticates.
pub(super) fn for_action(action: &Action, question: &Question) -> Option<ServiceHelp> {
    let services = &question.services;
    let (name, rung) = match &action.change {
        Change::AlignSender { organization, .. } => {
            (services.signed(organization.as_written(), organization.as_written())?, 1)
        }
        Change::RepairKey { .. } | Change::AuthorizeSource { .. } | Change::Sign => {
            let mut origins = action.sources.iter().map(|source| question.origins.get(source));
            let first = origins.next()??;
            let same =
                origins.all(|origin| origin.is_some_and(|origin| origin.is_evidence() && origin.name == first.name));
            if !first.is_evidence() || !same {
                return None;
            }
            (first.name.as_str(), first.rung)
        }
        Change::PublishPolicy { .. }
        | Change::CheckModification { .. }
        | Change::RelaxAlignment { .. }
        | Change::RepairSpf { .. } => return None,
    };
    let service = services.get(name)?;
    Some(ServiceHelp {
        name: name.into(),
        rung,
        fix: service.fix.as_ref()?.to_string(),
        help: service.help.as_ref().map(Text::to_string),
    })
}
