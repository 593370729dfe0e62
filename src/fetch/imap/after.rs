//! What happens to a mail whose reports are safe: it is flagged, moved or deleted.
//!
//! Every command may be interrupted at any point and repeated: a message that is already gone is no error, and a copy is
//! not made twice where the server lets us see the first.

use super::ranges::set_of;
use super::session::{ImapConnection, quoted};
use crate::fetch::mailbox::error::ServerError;
use async_imap::imap_proto::{AttributeValue, Response};
use std::collections::BTreeMap;

/// Messages in one act.
const MOST: usize = 500;

/// What to do with a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum AfterAction {
    /// Mark it as seen.
    Seen,
    /// Delete it.
    Delete,
    /// Put it into this folder, named as the server has it.
    Move(String),
}

/// What an act came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct AfterResult {
    /// The messages that are dealt with.
    pub(super) uids: Vec<u32>,
    /// What a person may want to know.
    pub(super) note: Option<&'static str>,
}

const LEFT_FLAGGED: &str =
    "the server has no UIDPLUS: mails are flagged as deleted and stay until someone expunges them";

/// Do this with those messages of the open folder, a bounded number of them; gives what is dealt with, all or none.
///
/// # Errors
/// `Refused` where the server does not do it; the connection goes on.
pub(super) async fn act(
    link: &mut ImapConnection,
    act: &AfterAction,
    uids: &[u32],
) -> Result<AfterResult, ServerError> {
    let (set, taken) = set_of(uids, MOST);
    let uids = uids[..taken].to_vec();
    match act {
        AfterAction::Seen => {
            store(link, &set, "\\Seen").await?;
            Ok(AfterResult { uids, note: None })
        }
        AfterAction::Delete => {
            store(link, &set, "\\Deleted").await?;
            let note = expunge(link, &set).await?;
            Ok(AfterResult { uids, note })
        }
        AfterAction::Move(folder) if link.abilities().moves => match move_to(link, &set, folder).await {
            // Some Exchange servers answer BAD to a move they made, and to one they did not.
            Err(ServerError::Refused { answer, .. }) if answer.starts_with("BAD") => {
                let left: Vec<u32> = look(link, &set, &uids).await?.into_keys().collect();
                if left.is_empty() {
                    return Ok(AfterResult { uids, note: None });
                }
                let note = copy_and_delete(link, &set, &left, folder).await?;
                Ok(AfterResult { uids, note })
            }
            Err(fault) => Err(fault),
            Ok(()) => Ok(AfterResult { uids, note: None }),
        },
        AfterAction::Move(folder) => {
            let note = copy_and_delete(link, &set, &uids, folder).await?;
            Ok(AfterResult { uids, note })
        }
    }
}

async fn store(link: &mut ImapConnection, set: &str, flag: &str) -> Result<(), ServerError> {
    link.command("setting flags", &format!("UID STORE {set} +FLAGS.SILENT ({flag})"), |_| {}).await.map(|_| ())
}

async fn move_to(link: &mut ImapConnection, set: &str, folder: &str) -> Result<(), ServerError> {
    link.command("moving mails", &format!("UID MOVE {set} {}", quoted(folder)), |_| {}).await.map(|_| ())
}

/// Without UIDPLUS an expunge would take what others flagged, too: then the flag is all we set.
async fn expunge(link: &mut ImapConnection, set: &str) -> Result<Option<&'static str>, ServerError> {
    if !link.abilities().uidplus {
        return Ok(Some(LEFT_FLAGGED));
    }
    link.command("expunging", &format!("UID EXPUNGE {set}"), |_| {}).await.map(|_| None)
}

/// Those of them that are still there, and whether each is flagged as deleted. A server may speak of other mails at any time.
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
        // Copy and flag in small steps: what a kill between the two can double is one step.
        let (part, taken) = set_of(rest, MOST);
        link.command("copying mails", &format!("UID COPY {part} {}", quoted(folder)), |_| {}).await?;
        store(link, &part, "\\Deleted").await?;
        rest = &rest[taken..];
    }
    if there.is_empty() { Ok(None) } else { expunge(link, set).await }
}
