//! Flags, moves or deletes a mail whose reports are stored.
//!
//! Every command may be interrupted at any point and repeated: a message that is already gone is no error, and a copy
//! is not made twice if the server lets us see the first.

use super::ranges::set_of;
use super::session::{ImapConnection, quoted};
use crate::fetch::mailbox::error::ServerError;
use crate::model::Fate;
use async_imap::imap_proto::{AttributeValue, Response};
use std::collections::BTreeMap;

/// Messages per command.
const MOST: usize = 500;

/// What to do with a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AfterAction {
    /// Mark it as seen.
    Seen,
    /// Delete it.
    Delete,
    /// Move it to this folder, by the server's name.
    Move(String),
}

/// What to do with mails of one fate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Plan {
    /// Nothing: they are not touched.
    #[default]
    Leave,
    /// This action.
    Act(AfterAction),
    /// Something that is not possible in this run; they stay pending.
    Wait,
}

/// What to do with mails, by their fate.
#[derive(Debug, Default)]
pub(super) struct Plans {
    /// With processed ones.
    pub(super) done: Plan,
    /// With unreadable ones.
    pub(super) unreadable: Plan,
}

impl Plans {
    /// What to do with mails of this fate.
    pub(super) fn for_fate(&self, fate: Fate) -> &Plan {
        match fate {
            Fate::NotReport => &Plan::Leave,
            Fate::Done => &self.done,
            Fate::Unreadable => &self.unreadable,
        }
    }
}

/// The result of an action.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AfterResult {
    /// The messages that are done.
    pub(super) uids: Vec<u32>,
    /// A remark for the user.
    pub(super) note: Option<&'static str>,
}

const LEFT_FLAGGED: &str =
    "the server has no UIDPLUS: mails are flagged as deleted and stay until someone expunges them";

/// Performs an action on messages of the open folder, a limited number at a time; returns those that are done, all or
/// none.
///
/// # Errors
/// `Refused` if the server does not do it; the connection stays usable.
pub(super) async fn act(
    link: &mut ImapConnection,
    act: &AfterAction,
    uids: &[u32],
) -> Result<AfterResult, ServerError> {
    let (set, taken) = set_of(uids, MOST);
    let uids = uids[..taken].to_vec();
    let note = match act {
        AfterAction::Seen => store(link, &set, "\\Seen").await.map(|()| None)?,
        AfterAction::Delete => {
            store(link, &set, "\\Deleted").await?;
            expunge(link, &set).await?
        }
        AfterAction::Move(folder) => move_to(link, &set, &uids, folder).await?,
    };
    Ok(AfterResult { uids, note })
}

async fn store(link: &mut ImapConnection, set: &str, flag: &str) -> Result<(), ServerError> {
    link.run("setting flags", &format!("UID STORE {set} +FLAGS.SILENT ({flag})")).await
}

async fn move_to(
    link: &mut ImapConnection,
    set: &str,
    uids: &[u32],
    folder: &str,
) -> Result<Option<&'static str>, ServerError> {
    if !link.abilities().moves {
        return copy_and_delete(link, set, uids, folder).await;
    }
    match link.run("moving mails", &format!("UID MOVE {set} {}", quoted(folder))).await {
        // Some Exchange servers answer BAD to a move, whether or not they made it.
        Err(ServerError::Refused { answer, .. }) if answer.starts_with("BAD") => {
            let left: Vec<u32> = look(link, set, uids).await?.into_keys().collect();
            if left.is_empty() { Ok(None) } else { copy_and_delete(link, set, &left, folder).await }
        }
        moved => moved.map(|()| None),
    }
}

/// Without UIDPLUS an expunge would also remove messages that others flagged: then only the flag is set.
async fn expunge(link: &mut ImapConnection, set: &str) -> Result<Option<&'static str>, ServerError> {
    if !link.abilities().uidplus {
        return Ok(Some(LEFT_FLAGGED));
    }
    link.run("expunging", &format!("UID EXPUNGE {set}")).await.map(|()| None)
}

/// Which of them still exist, and whether each is flagged as deleted. A server may send data about other mails at any
/// time.
async fn look(link: &mut ImapConnection, set: &str, uids: &[u32]) -> Result<BTreeMap<u32, bool>, ServerError> {
    let mut found = BTreeMap::new();
    link.command("looking at flags", &format!("UID FETCH {set} (UID FLAGS)"), |response| {
        let Response::Fetch(_, attributes) = response else { return };
        let (mut uid, mut deleted) = (None, None);
        for attribute in attributes {
            match attribute {
                AttributeValue::Uid(number) => uid = Some(*number),
                AttributeValue::Flags(flags) => {
                    deleted = Some(flags.iter().any(|flag| flag.eq_ignore_ascii_case("\\Deleted")));
                }
                _ => {}
            }
        }
        if let Some((uid, deleted)) = uid.zip(deleted).filter(|(uid, _)| uids.contains(uid)) {
            found.insert(uid, deleted);
        }
    })
    .await?;
    Ok(found)
}

/// A mail that is flagged as deleted was copied by an earlier run that was cut.
async fn copy_and_delete(
    link: &mut ImapConnection,
    set: &str,
    uids: &[u32],
    folder: &str,
) -> Result<Option<&'static str>, ServerError> {
    let there = look(link, set, uids).await?;
    let to_copy: Vec<u32> = uids.iter().copied().filter(|uid| there.get(uid) == Some(&false)).collect();
    let mut rest = &to_copy[..];
    while !rest.is_empty() {
        // Copies and flags in small steps: a kill between the two can duplicate one step at most.
        let (part, taken) = set_of(rest, MOST);
        link.run("copying mails", &format!("UID COPY {part} {}", quoted(folder))).await?;
        store(link, &part, "\\Deleted").await?;
        rest = &rest[taken..];
    }
    if there.is_empty() { Ok(None) } else { expunge(link, set).await }
}
