//! Surveys a mailbox of any protocol.

use crate::fetch::item::MailboxError;
use crate::fetch::mailbox::error::ServerError;
use crate::fetch::mailbox::{Mailbox, PollOptions, Protocol, Survey};
use crate::fetch::{imap, pop3};
use crate::model::MailboxProgress;

/// Surveys a mailbox. Blocks; changes nothing.
///
/// # Errors
/// If the mailbox cannot be reached or opened.
pub fn survey(mailbox: &Mailbox, progress: &MailboxProgress, options: &PollOptions) -> Result<Survey, MailboxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| mailbox.error(ServerError::settled(format!("starting: {error}"))))?;
    let look = async {
        match mailbox.protocol {
            Protocol::Imap => imap::look(mailbox, &progress.cursors, options).await,
            Protocol::Pop3 => pop3::look(mailbox, &progress.uidls, options).await,
        }
    };
    let result = runtime.block_on(async {
        tokio::select! {
            result = look => result,
            () = options.stop.wait() => Err(ServerError::Stopped),
        }
    });
    runtime.shutdown_background();
    result.map_err(|fault| mailbox.error(fault))
}
