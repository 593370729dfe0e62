//! What the service behind an action offers to align its customers' mail.

use super::action::{Action, Change, ServiceHelp};
use crate::analyze::Question;
use crate::model::Text;

/// The service of an action that changes how a sender authenticates.
pub(crate) fn for_action(action: &Action, question: &Question) -> Option<ServiceHelp> {
    let services = &question.services;
    let (name, rung) = match &action.change {
        Change::AlignSender { organization, .. } => {
            (services.signed(organization.as_written(), organization.as_written())?, 1)
        }
        Change::RepairKey { .. } | Change::AuthorizeSource { .. } | Change::Sign => {
            let mut origins = action.sources.iter().map(|source| question.origin(*source));
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
