//! What a run does on the server with mails whose reports are stored: it flags, moves or deletes them.

use super::after::{self, AfterAction, Plan};
use super::run::ImapRun;
use super::session::OpenMode;
use crate::fetch::mailbox::error::ServerError;
use crate::fetch::mailbox::run::ProtocolRun as _;
use crate::model::{Fate, Message};
use std::collections::BTreeSet;

impl ImapRun {
    /// Performs the actions on the mails of a folder. Refused ones stay pending, and are reported.
    pub(super) async fn acknowledge(&mut self, index: usize) -> Result<(), ServerError> {
        for fate in [Fate::NotReport, Fate::Done, Fate::Unreadable] {
            let uids: Vec<u32> = self.folders[index]
                .unacknowledged
                .iter()
                .filter(|(_, each)| *each == fate)
                .map(|(uid, _)| *uid)
                .collect();
            match self.plans.for_fate(fate).clone() {
                _ if uids.is_empty() => {}
                Plan::Leave => self.note_acknowledged(index, &uids),
                Plan::Wait => {}
                Plan::Act(_) if self.folders[index].stuck => {}
                Plan::Act(act) => self.act_on(index, &act, uids).await?,
            }
        }
        Ok(())
    }

    /// Performs an action on these mails of a folder.
    async fn act_on(&mut self, index: usize, act: &AfterAction, mut uids: Vec<u32>) -> Result<(), ServerError> {
        uids.sort_unstable();
        let mut rest = &uids[..];
        while !rest.is_empty() {
            let Some(link) = &mut self.link else { return Err(ServerError::Stopped) };
            match after::act(link, act, rest).await {
                Ok(done) => {
                    rest = &rest[done.uids.len()..];
                    self.note_acknowledged(index, &done.uids);
                    self.state.progress();
                    if let Some(note) = done.note {
                        self.state.note(note);
                    }
                }
                Err(fault @ ServerError::Refused { .. }) => {
                    self.folders[index].stuck = true;
                    self.state.fail(fault);
                    return Ok(());
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    /// Notes that the server needs to learn nothing more about these mails.
    fn note_acknowledged(&mut self, index: usize, uids: &[u32]) {
        let folder = &mut self.folders[index];
        let (mailbox, name) = (&self.state.mailbox.name, &folder.name);
        let uid_validity = folder.validity.unwrap_or_default();
        let message = |&uid: &u32| Message::Imap { mailbox: mailbox.clone(), folder: name.clone(), uid_validity, uid };
        self.state.acknowledged.extend(uids.iter().map(message));
        let acknowledged: BTreeSet<u32> = uids.iter().copied().collect();
        folder.unacknowledged.retain(|(uid, _)| !acknowledged.contains(uid));
    }

    /// Performs all actions that are still pending, with new connections if necessary.
    pub(super) async fn acknowledge_rest(&mut self) -> Result<(), ServerError> {
        for index in 0..self.folders.len() {
            while !self.folders[index].unacknowledged.is_empty() && self.folders[index].validity.is_some() {
                let work = async {
                    // If nothing has to be changed on the server, no connection is needed.
                    if self.mode() == OpenMode::Write {
                        self.open_folder(index).await?;
                    }
                    self.acknowledge(index).await
                };
                match work.await {
                    Ok(()) => break,
                    Err(fault) if fault.passes() => self.pause(fault).await?,
                    Err(fault @ ServerError::Refused { .. }) => {
                        self.state.fail(fault);
                        break;
                    }
                    Err(fault) => return Err(fault),
                }
            }
        }
        Ok(())
    }
}
