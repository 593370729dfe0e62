//! What a run would do with a mailbox, folder by folder.

use crate::fetch::item::MailboxError;

/// What there is and what would be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// The folders that would be read.
    pub folders: Vec<FolderSurvey>,
    /// The folders that mails would go to.
    pub targets: Vec<TargetSurvey>,
    /// Folders of the settings that are not there.
    pub failures: Vec<MailboxError>,
}

/// One folder that would be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderSurvey {
    /// As the settings name it.
    pub setting: String,
    /// As the server names it, decoded.
    pub name: String,
    /// Mails in it.
    pub mails: u32,
    /// Mails that would be fetched.
    pub new: u32,
    /// Their size in bytes, by the server's word.
    pub new_bytes: u64,
    /// Those over the limit.
    pub too_large: u32,
    /// Mails whose reports are stored, and of which the server is still to be told.
    pub pending: u32,
    /// `UIDVALIDITY` changed: all is read again.
    pub renewed: bool,
}

/// One folder that mails would go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetSurvey {
    /// As the settings name it.
    pub setting: String,
    /// As the server names it, decoded; none where it is still to be made.
    pub name: Option<String>,
}
