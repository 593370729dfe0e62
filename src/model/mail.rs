//! What only the mail around a report knows.

use super::Hash;

/// Whether the mail that brought a report was itself authentic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum SenderAuth {
    /// It was sent by the reporter's own domain: a trusted server or a verified signature proves it.
    Pass,
    /// The topmost `Authentication-Results` says `dmarc=fail`, or a signature does not verify.
    Fail,
    /// There was nothing to verify, or what verifies is not the reporter's.
    None,
    /// Nobody said, or nobody trusted; it could not be found out. Also: no mail.
    #[default]
    Unknown,
}

impl SenderAuth {
    /// The word as it stands in the columns.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

/// What a mail's own signatures prove of whom it is from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Proof {
    /// A signature verifies that is aligned with `From` and covers all that a reader goes by.
    Signed {
        /// The domain of `From`.
        from: String,
        /// The domain that signed (`d=`), of the same organization.
        signer: String,
    },
    /// None of them does, and one fails whatever DNS may say later: what was changed, or forged.
    Broken(String),
    /// Nothing proves it, and why: no signature of `From`'s organization, or only one that leaves too much open.
    Unproven(String),
    /// It could not be found out: a key is not there any more, or could not be looked up; or nobody tried.
    #[default]
    Open,
}

/// A mail whose signatures can be verified, as its reader split it.
#[derive(Clone, PartialEq, Eq)]
pub struct RawMail {
    /// From the first header field on.
    pub bytes: Vec<u8>,
    /// Where the body was read from. A verifier that puts it elsewhere has verified another mail than was read.
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
    /// The domain of `From`; `None` where it names none, or several.
    pub from_domain: Option<String>,
    /// The topmost `Authentication-Results`.
    pub authentication_results: Option<String>,
    /// What that header says of DMARC: by itself only `Fail` or `Unknown`, the rest where the settings say whom to trust;
    /// or what the mail's signatures prove, where they were verified.
    pub sender_auth: SenderAuth,
    /// Whether the report lies in a mail attached to this one: what a server recorded of this one is not about that.
    pub attached: bool,
}

/// One message of one mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Message {
    /// Of an IMAP folder (RFC 9051 section 2.3.1.1): the four together never mean another mail.
    Imap {
        /// The mailbox's name in the settings.
        mailbox: String,
        /// The folder, in the server's own encoding.
        folder: String,
        /// The folder's `UIDVALIDITY`.
        uid_validity: u32,
        /// The message's UID.
        uid: u32,
    },
    /// Of a POP3 mailbox: it is what its content is. A unique id may be missing, and used again for another mail once this
    /// one is deleted (RFC 1939 section 7).
    Pop3 {
        /// The mailbox's name in the settings.
        mailbox: String,
        /// The hash of its bytes; `None` where they were not read.
        content: Option<Hash>,
        /// Its unique id and its size in octets as the server lists it; `None` where no id tells it from other messages.
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

/// A message of a POP3 mailbox that is dealt with, as the ledger has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownUidl {
    /// Its unique id.
    pub uidl: String,
    /// Its size as the server listed it; `None` where it did not.
    pub octets: Option<u64>,
    /// It brought reports that are safe, and the server was not told of that yet.
    pub pending: bool,
}

/// How far a mailbox was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MailboxProgress {
    /// The folders of an IMAP mailbox, by the server's own names.
    pub cursors: Vec<(String, Cursor)>,
    /// The messages of a POP3 mailbox that are dealt with.
    pub uidls: Vec<KnownUidl>,
}

impl From<Vec<(String, Cursor)>> for MailboxProgress {
    fn from(cursors: Vec<(String, Cursor)>) -> Self {
        Self { cursors, uidls: Vec::new() }
    }
}

/// What became of a mail, once all that was in it is safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It brought reports, and every item in it ended as stored, duplicate, conflict or set aside. A failure report counts
    /// as one, although nothing of it is stored.
    Done,
    /// Something in it should have been a report and was rejected.
    Unreadable,
    /// No report in it: it is left alone.
    NotReport,
}

/// How far a folder was read, as the ledger has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// The folder's `UIDVALIDITY` when it was read; another one voids the rest.
    pub uid_validity: u32,
    /// Every message up to this UID is dealt with.
    pub last_uid: u32,
    /// Messages whose reports are safe, but which the server was not told of yet (flag, move or delete).
    pub pending: Vec<(u32, Fate)>,
    /// Ranges of UIDs beyond `last_uid`, both ends inside, that are dealt with too: below them is a message that was
    /// not (passed over by `--since`, or not given by the server), which a later run tries again.
    pub done: Vec<(u32, u32)>,
}
