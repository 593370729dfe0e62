//! What is known about a report only from its mail, and how far mailboxes were read.

use super::Hash;
use super::words::keywords;

keywords! {
    /// Whether the mail that brought a report was itself authentic.
    #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
    pub enum SenderAuth {
        /// It was sent by the reporter's own domain: a trusted server or a verified signature proves it.
        Pass = "pass",
        /// The topmost `Authentication-Results` says `dmarc=fail`, or a signature does not verify.
        Fail = "fail",
        /// There was nothing to verify, or the verified domain is not the reporter's.
        None = "none",
        /// No trusted server said anything, or it could not be determined; also without a mail.
        #[default]
        Unknown = "unknown",
    }
}

/// The kinds of reports that are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportKind {
    /// A DMARC aggregate report.
    Aggregate,
    /// An SMTP TLS report.
    Tls,
}

/// What a mail's own signatures prove about its sender.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Proof {
    /// A verified signature is aligned with `From` and covers everything a reader relies on.
    Signed {
        /// The domain of `From`.
        from: String,
        /// The domain that signed (`d=`), of the same organization.
        signer: String,
    },
    /// No such signature, and one fails whatever DNS may say later: the mail was changed or forged.
    Broken(String),
    /// Nothing proves it, with the reason: no signature of `From`'s organization, or only one that leaves too much
    /// open.
    Unproven(String),
    /// Unknown: a key is gone, or could not be looked up; or nobody tried.
    #[default]
    Open,
}

/// A mail with its signatures, and where its body begins.
#[derive(Clone, PartialEq, Eq)]
pub struct RawMail {
    /// The mail, from its first header field.
    pub bytes: Vec<u8>,
    /// Offset of the body as it was read. A verifier that finds the body elsewhere has verified a different mail.
    pub body: usize,
}

impl std::fmt::Debug for RawMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawMail").field("bytes", &self.bytes.len()).field("body", &self.body).finish()
    }
}

/// The facts of the outermost mail of an item, as written and bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailFacts {
    /// `Message-ID`.
    pub message_id: Option<String>,
    /// `Date`.
    pub date: Option<String>,
    /// The domain of `From`; `None` if it has none or several.
    pub from_domain: Option<String>,
    /// The topmost `Authentication-Results`.
    pub authentication_results: Option<String>,
    /// What that header says about DMARC: on its own only `Fail` or `Unknown`; more if the settings trust the server,
    /// or if the mail's signatures were verified.
    pub sender_auth: SenderAuth,
    /// Whether the report is in a mail attached to this one: what a server recorded for this mail is not about the
    /// attached one.
    pub attached: bool,
}

/// One message of one mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    /// In an IMAP folder (RFC 9051 section 2.3.1.1): these four together never identify another mail.
    Imap {
        /// The mailbox's name in the settings.
        mailbox: String,
        /// The folder name, in the server's encoding.
        folder: String,
        /// The folder's `UIDVALIDITY`.
        uid_validity: u32,
        /// The message's UID.
        uid: u32,
    },
    /// In a POP3 mailbox, identified by its content. A unique ID may be missing, and may be reused for another mail
    /// once this one is deleted (RFC 1939 section 7).
    Pop3 {
        /// The mailbox's name in the settings.
        mailbox: String,
        /// The hash of its bytes; `None` if they were not read.
        content: Option<Hash>,
        /// Its unique ID and its size in octets as the server lists them; `None` if no ID distinguishes it from other
        /// messages.
        uidl: Option<(String, Option<u64>)>,
    },
}

impl Message {
    /// The mailbox's name in the settings.
    pub fn mailbox(&self) -> &str {
        match self {
            Self::Imap { mailbox, .. } | Self::Pop3 { mailbox, .. } => mailbox,
        }
    }
}

/// A message of a POP3 mailbox that was processed, as stored in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownUidl {
    /// Its unique ID.
    pub uidl: String,
    /// Its size, if the server listed it.
    pub octets: Option<u64>,
    /// Its reports are stored, but the server was not told yet (to delete it).
    pub pending: bool,
}

/// How far a mailbox was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailboxProgress {
    /// The folders of an IMAP mailbox, by the server's names.
    pub cursors: Vec<(String, Cursor)>,
    /// The processed messages of a POP3 mailbox.
    pub uidls: Vec<KnownUidl>,
}

impl From<Vec<(String, Cursor)>> for MailboxProgress {
    fn from(cursors: Vec<(String, Cursor)>) -> Self {
        Self { cursors, uidls: Vec::new() }
    }
}

/// What became of a mail, once everything in it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It contained reports, and every item in it ended as stored, duplicate, conflict or set aside. A failure report
    /// counts as one, although nothing of it is stored.
    Done,
    /// Something in it should have been a report and was rejected.
    Unreadable,
    /// It contained no report and is left alone.
    NotReport,
}

/// How far a folder was read, as stored in the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The folder's `UIDVALIDITY` when it was read; a different one invalidates the rest.
    pub uid_validity: u32,
    /// Every message up to this UID was processed.
    pub last_uid: u32,
    /// Messages whose reports are stored, but which are not flagged, moved or deleted on the server yet.
    pub pending: Vec<(u32, Fate)>,
    /// Inclusive ranges of UIDs beyond `last_uid` that were processed too: below them is a message that was not
    /// (skipped by `--since`, or not delivered by the server), which a later run tries again.
    pub done: Vec<(u32, u32)>,
}
