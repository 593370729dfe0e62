//! Finds out what a run would do, without doing it: logs in, opens each folder with EXAMINE, counts.

use super::folder::FolderProgress;
use super::folders::FolderTree;
use super::list::Entry;
use super::session::{ImapConnection, OpenMode};
use crate::fetch::mailbox::error::ServerError;
use crate::fetch::mailbox::oauth::TokenCache;
use crate::fetch::mailbox::tls;
use crate::fetch::mailbox::{After, FolderSurvey, Mailbox, PollOptions, Survey, TargetSurvey};
use crate::model::Cursor;

/// Surveys a mailbox; changes nothing.
pub(in crate::fetch) async fn look(
    mailbox: &Mailbox,
    cursors: &[(String, Cursor)],
    options: &PollOptions,
) -> Result<Survey, ServerError> {
    let trust = tls::trusted(mailbox.ca_file.as_deref())?;
    let mut link = ImapConnection::open(mailbox, &trust, &mut TokenCache::default()).await?;
    let tree = FolderTree::ask(&mut link).await?;
    let mut survey = Survey::default();
    for setting in &mailbox.folders {
        let looked = async {
            let name = tree.find(setting)?;
            let shown = tree.shown(&name);
            look_into(&mut link, FolderProgress::new(setting.clone(), name, cursors), shown, options).await
        };
        match looked.await {
            Ok(folder) => survey.folders.push(folder),
            Err(fault @ (ServerError::Settled { .. } | ServerError::Refused { .. })) => {
                survey.failures.push(mailbox.error(fault));
            }
            Err(fault) => return Err(fault),
        }
    }
    let moved = if let After::Move(target) = &mailbox.after { Some(target) } else { None };
    for setting in moved.into_iter().chain(&mailbox.rejected_to) {
        let name = tree.find(setting).ok().map(|name| tree.shown(&name));
        survey.targets.push(TargetSurvey { setting: setting.clone(), name });
    }
    link.logout().await;
    Ok(survey)
}

async fn look_into(
    link: &mut ImapConnection,
    mut folder: FolderProgress,
    shown: String,
    options: &PollOptions,
) -> Result<FolderSurvey, ServerError> {
    let opened = link.select(&folder.name, OpenMode::Read).await?.clone();
    let renewed = folder.opened(&opened);
    let pending = u32::try_from(folder.unacknowledged.len()).unwrap_or(u32::MAX);
    let setting = folder.setting.clone();
    let mut seen =
        FolderSurvey { setting, name: shown, mails: opened.exists, pending, renewed, ..FolderSurvey::default() };
    let limit = options.limit.unwrap_or(u32::MAX);
    while let Some(mut lister) = folder.lister.take_if(|lister| !lister.is_over() && seen.new < limit) {
        let window = lister.next(link, folder.dealt()).await?;
        folder.lister = Some(lister);
        for Entry { size, .. } in window.entries.iter().filter(|entry| options.wants(entry.arrival)) {
            if seen.new == limit {
                break;
            }
            if *size > options.item_bytes {
                seen.too_large += 1;
            } else {
                seen.new += 1;
                seen.new_bytes += size;
            }
        }
    }
    Ok(seen)
}
