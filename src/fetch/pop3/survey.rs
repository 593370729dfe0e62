//! Finds out what a run would do, without doing it: logs in, lists, counts.

use super::maildrop::Maildrop;
use super::run::FOLDER;
use crate::fetch::mailbox::error::ServerError;
use crate::fetch::mailbox::oauth::TokenCache;
use crate::fetch::mailbox::tls;
use crate::fetch::mailbox::{After, FolderSurvey, Mailbox, PollOptions, Survey};
use crate::model::KnownUidl;
use std::collections::HashMap;
use std::time::Duration;

/// Surveys a mailbox; changes nothing.
pub(in crate::fetch) async fn look(
    mailbox: &Mailbox,
    uidls: &[KnownUidl],
    options: &PollOptions,
) -> Result<Survey, ServerError> {
    let trust = tls::trusted(mailbox.ca_file.as_deref())?;
    let mut maildrop = Maildrop::open(mailbox, &trust, &mut TokenCache::default()).await?;
    let known: HashMap<&str, &KnownUidl> = uidls.iter().map(|known| (known.uidl.as_str(), known)).collect();
    let (setting, name) = (FOLDER.to_owned(), FOLDER.to_owned());
    let mut seen = FolderSurvey { setting, name, mails: maildrop.len(), ..FolderSurvey::default() };
    let limit = options.limit.unwrap_or(u32::MAX);
    for listed in &maildrop.listed {
        let octets = listed.octets.unwrap_or(0);
        match listed.uidl.as_deref().and_then(|uidl| known.get(uidl)) {
            Some(known) if known.pending && mailbox.after == After::Delete => seen.pending += 1,
            Some(_) => {}
            None if seen.new == limit => {}
            None if octets > options.item_bytes => seen.too_large += 1,
            None => {
                seen.new += 1;
                seen.new_bytes += octets;
            }
        }
    }
    // Those that only STAT counts are requested, too.
    let unlisted = seen.mails.saturating_sub(u32::try_from(maildrop.listed.len()).unwrap_or(u32::MAX));
    seen.new = seen.new.saturating_add(unlisted).min(limit);
    let _ = tokio::time::timeout(Duration::from_secs(2), maildrop.quit()).await;
    Ok(Survey { folders: vec![seen], ..Survey::default() })
}
