//! What a run would do with a mailbox, folder by folder.

use crate::fetch::item::MailboxError;

/// What is in a mailbox and what would be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// The folders that would be read.
    pub folders: Vec<FolderSurvey>,
    /// The folders that mails would be moved to.
    pub targets: Vec<TargetSurvey>,
    /// Folders in the settings that do not exist.
    pub failures: Vec<MailboxError>,
}

/// One folder that would be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderSurvey {
    /// Its name in the settings.
    pub setting: String,
    /// Its name on the server, decoded.
    pub name: String,
    /// Mails in it.
    pub mails: u32,
    /// Mails that would be fetched.
    pub new: u32,
    /// Their size in bytes, according to the server.
    pub new_bytes: u64,
    /// Those over the limit.
    pub too_large: u32,
    /// Mails whose reports are stored, but which the server was not told about yet.
    pub pending: u32,
    /// `UIDVALIDITY` changed: everything is read again.
    pub renewed: bool,
}

/// One folder that mails would be moved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetSurvey {
    /// Its name in the settings.
    pub setting: String,
    /// Its name on the server, decoded; `None` if it has to be created.
    pub name: Option<String>,
}
