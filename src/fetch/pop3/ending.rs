//! The end of a run: deletes stored mails in one session after another, and logs out.

use super::listing::ListedMessage;
use super::maildrop::Maildrop;
use super::run::{Goal, Label, Pop3Run};
use crate::fetch::mailbox::error::ServerError;
use std::collections::HashSet;
use std::time::Duration;

impl Pop3Run {
    /// Returns false if another session has to continue.
    pub(super) async fn try_to_end(&mut self) -> Result<bool, ServerError> {
        if self.undeleted.is_empty() {
            if let Some(mut maildrop) = self.maildrop.take() {
                // All work is done, so errors do not matter.
                let limit = self.state.mailbox.patience.silence.min(Duration::from_secs(2));
                let _ = tokio::time::timeout(limit, maildrop.quit()).await;
            }
            return Ok(true);
        }
        self.connected().await?;
        self.delete_safe().await?;
        let all_seen = self.recognize_the_rest().await?;
        let Some(mut maildrop) = self.maildrop.take() else { return Err(ServerError::Stopped) };
        if let Some(answer) = maildrop.quit().await? {
            if maildrop.deletes() {
                let what = "deleting mails whose reports are stored".to_owned();
                self.state.fail(ServerError::Refused { what, answer: format!("-ERR {answer}") });
            }
            return Ok(true);
        }
        self.present = maildrop.present(true);
        if all_seen {
            return Ok(true);
        }
        self.undeleted.retain(|content| !maildrop.has_deleted(content));
        if maildrop.deletes() {
            self.state.progress();
            return Ok(false);
        }
        Err(ServerError::lost(
            "deleting mails whose reports are stored",
            "the connection breaks before they are all found again",
        ))
    }

    /// In a session that has not read them: finds the messages to delete. Returns false if this session may not be
    /// asked for all of them.
    async fn recognize_the_rest(&mut self) -> Result<bool, ServerError> {
        let Some(maildrop) = &self.maildrop else { return Err(ServerError::Stopped) };
        for listed in self.candidates(maildrop) {
            let Some(maildrop) = &self.maildrop else { return Err(ServerError::Stopped) };
            let read = maildrop.read_count();
            if read >= self.reach {
                return Ok(false);
            }
            let found = self.step(&listed, Goal::Recognize, None).await;
            if found.as_ref().is_err_and(ServerError::passes) && read > 0 {
                // The next session ends before it breaks, so that marked messages are deleted.
                self.reach = read;
            }
            // The first number that only STAT counts and that has no message.
            if !found? && listed.octets.is_none() && listed.uidl.is_none() {
                break;
            }
            self.delete_safe().await?;
        }
        Ok(true)
    }

    /// The messages that may have to be deleted, and were not read in this session.
    fn candidates(&self, maildrop: &Maildrop) -> Vec<ListedMessage> {
        let undeleted = self.undeleted.iter().filter_map(|content| self.given.get(content));
        let wanted: HashSet<&Option<String>> = undeleted.flat_map(|given| given.uidls.iter()).collect();
        let unlisted = maildrop.unlisted().take_while(|_| wanted.contains(&None));
        let mut candidates: Vec<ListedMessage> = maildrop
            .listed
            .iter()
            .cloned()
            .chain(unlisted)
            .filter(|listed| wanted.contains(&listed.uidl) && !maildrop.has_read(listed.number))
            .filter(|listed| !self.withheld.contains(&Label::of(listed)))
            .collect();
        candidates.sort_by_key(|listed| !self.broken.contains_key(&Label::of(listed)));
        candidates
    }
}
