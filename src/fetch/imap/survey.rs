//! Finds out what a run would do, without doing it: logs in, opens each folder with EXAMINE, counts.

use super::folder::FolderProgress;
use super::folders::FolderTree;
use super::list::Entry;
use super::session::{ImapConnection, OpenMode};
use crate::fetch::item::MailboxError;
use crate::fetch::mailbox::error::ServerError;
use crate::fetch::mailbox::oauth::TokenCache;
use crate::fetch::mailbox::tls;
use crate::fetch::mailbox::{After, FolderSurvey, Mailbox, PollOptions, Protocol, Survey, TargetSurvey};
use crate::fetch::pop3;
use crate::model::MailboxProgress;

/// Surveys a mailbox. Blocks; changes nothing.
///
/// # Errors
/// If the mailbox cannot be reached or opened.
pub fn survey(mailbox: &Mailbox, progress: &MailboxProgress, options: &PollOptions) -> Result<Survey, MailboxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| MailboxError {
        mailbox: mailbox.name.clone(),
        reason: format!("starting: {error}"),
        hint: None,
    })?;
    let result = runtime.block_on(async {
        tokio::select! {
            result = look(mailbox, progress, options) => result,
            () = options.stop.wait() => Err(ServerError::Stopped),
        }
    });
    runtime.shutdown_background();
    result.map_err(|fault| fault.into_error(mailbox))
}

async fn look(mailbox: &Mailbox, progress: &MailboxProgress, options: &PollOptions) -> Result<Survey, ServerError> {
    let cursors = match mailbox.protocol {
        Protocol::Imap => &progress.cursors,
        Protocol::Pop3 => return pop3::look(mailbox, &progress.uidls, options).await,
    };
    let trust = tls::trusted(mailbox.ca_file.as_deref())?;
    let mut link = ImapConnection::open(mailbox, &trust, &mut TokenCache::default()).await?;
    let tree = FolderTree::ask(&mut link).await?;
    let mut survey = Survey::default();
    for setting in &mailbox.folders {
        let looked = async {
            let name = tree.find(setting)?;
            let before = cursors.iter().find(|(each, _)| *each == name).map(|(_, cursor)| cursor.clone());
            let shown = tree.shown(&name);
            look_into(&mut link, FolderProgress::new(setting.clone(), name, before.unwrap_or_default()), shown, options)
                .await
        };
        match looked.await {
            Ok(folder) => survey.folders.push(folder),
            Err(fault @ (ServerError::Settled { .. } | ServerError::Refused { .. })) => {
                survey.failures.push(fault.into_error(mailbox));
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
    let pending = u32::try_from(folder.untold.len()).unwrap_or(u32::MAX);
    let setting = folder.setting.clone();
    let mut seen =
        FolderSurvey { setting, name: shown, mails: opened.exists, pending, renewed, ..FolderSurvey::default() };
    let limit = options.limit.unwrap_or(u32::MAX);
    while let Some(lister) = folder.lister.as_mut().filter(|lister| !lister.is_over() && seen.new < limit) {
        let mut lister = lister.clone();
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
