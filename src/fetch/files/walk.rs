//! Items from paths: files, folders with everything below them, mailbox files, Maildirs, and `-` for standard input.
//!
//! The order is fixed: as given, and by name inside a folder. Links that lead out of a folder or in a circle are not
//! followed, pipes found in a folder are skipped, and files too large to be an item are not read.

use super::maildir;
use super::mbox::{MboxReader, is_damage};
use super::pipe::{PATIENCE, Pipe};
use crate::fetch::item::{FetchError, Fetched, Item};
use crate::limits::Limits;
use crate::unpack::sniff::{self, FileFormat};
use jiff::Timestamp;
use std::collections::HashSet;
use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

/// Bytes read to recognize a file.
const HEAD: u64 = 64 << 10;

/// All items of some paths.
///
/// A path that is given is an item whatever its content. A file found in a folder is one if it looks like a report, an
/// archive or a mail, or has the name of a report; the rest is set aside. An error is about one path: continue for the
/// others.
#[derive(Debug)]
pub struct Walk {
    limits: Limits,
    now: Timestamp,
    /// Remaining steps, the next at the end.
    ahead: Vec<WalkStep>,
    /// Folders entered below the path now walked.
    entered: HashSet<PathBuf>,
    /// The folder being walked, as a path without links: no link may lead out of it.
    root: PathBuf,
}

/// One remaining step.
enum WalkStep {
    /// A path as the user gave it.
    Given(PathBuf),
    /// A folder, and the remaining names in it.
    Folder(PathBuf, std::vec::IntoIter<OsString>),
    /// A partly read mailbox, and its path, if any.
    Mailbox(Box<MboxReader>, Option<PathBuf>),
    /// A file that cannot be read message by message: it is one item.
    Whole(PathBuf),
}

impl std::fmt::Debug for WalkStep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Given(path) | Self::Folder(path, _) | Self::Whole(path) => path.fmt(f),
            Self::Mailbox(_, path) => path.fmt(f),
        }
    }
}

/// An open file.
struct OpenFile {
    origin: String,
    name: Option<String>,
    reader: Box<dyn Read + Send>,
    /// Its size according to the file system.
    size: Option<u64>,
    path: Option<PathBuf>,
}

/// The result of a step: an item, or nothing yet.
type WalkOutcome = Result<Option<Fetched>, FetchError>;

impl Walk {
    /// Walks these paths; all items arrive `now`.
    pub fn new(paths: &[PathBuf], limits: Limits, now: Timestamp) -> Self {
        let ahead = paths.iter().rev().cloned().map(WalkStep::Given).collect();
        Self { limits, now, ahead, entered: HashSet::new(), root: PathBuf::new() }
    }

    fn step(&mut self, step: WalkStep) -> WalkOutcome {
        match step {
            WalkStep::Given(path) if path.as_os_str() == "-" => self.read(standard_input(), true),
            WalkStep::Given(path) => self.given(&path),
            WalkStep::Folder(folder, mut names) => {
                let Some(name) = names.next() else { return Ok(None) };
                let path = folder.join(name);
                self.ahead.push(WalkStep::Folder(folder, names));
                self.met(&path)
            }
            WalkStep::Mailbox(mailbox, path) => self.mailbox(mailbox, path),
            WalkStep::Whole(path) => self.whole(open(&path, None)?, Vec::new()).map(Some),
        }
    }

    /// A path as the user gave it.
    fn given(&mut self, path: &Path) -> WalkOutcome {
        self.entered.clear();
        let metadata = fs::metadata(path).map_err(|error| fault(path, "open", error))?;
        if metadata.is_dir() {
            self.root = fs::canonicalize(path).map_err(|error| fault(path, "list", error))?;
            self.folder(path)
        } else if metadata.file_type().is_fifo() {
            self.read(pipe(path)?, true)
        } else {
            self.file(path, &metadata, true)
        }
    }

    /// A path found in a folder.
    fn met(&mut self, path: &Path) -> WalkOutcome {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_symlink() => self.met_link(path),
            Ok(metadata) if metadata.is_dir() => self.folder(path),
            Ok(metadata) if metadata.is_file() => self.file(path, &metadata, false),
            // A pipe, a socket, a device.
            Ok(_) => Ok(Some(set_aside(path))),
            Err(error) => self.gone(path, error),
        }
    }

    /// A link found in a folder. Somebody who can create one must not make us read files that only we may read.
    fn met_link(&mut self, path: &Path) -> WalkOutcome {
        // A dangling or circular link leads nowhere.
        let Ok(target) = fs::canonicalize(path) else { return Ok(Some(set_aside(path))) };
        if !target.starts_with(&self.root) {
            return Ok(Some(Fetched::LinkOut { origin: path.display().to_string() }));
        }
        match fs::symlink_metadata(&target) {
            Ok(metadata) if metadata.is_dir() => self.folder(path),
            Ok(metadata) if metadata.is_file() => self.file(path, &metadata, false),
            _ => Ok(Some(set_aside(path))),
        }
    }

    /// Adds the content of a folder to the remaining steps.
    fn folder(&mut self, path: &Path) -> WalkOutcome {
        let listed = fs::canonicalize(path).and_then(|real| {
            if !self.entered.insert(real) {
                return Ok(Vec::new());
            }
            path.read_dir()?.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()
        });
        let mut names = listed.map_err(|error| fault(path, "list", error))?;
        if maildir::is_maildir(path) {
            // `tmp` contains half-written messages; messages move from `new` to `cur`, so `new` comes first.
            names.retain(|name| name != "tmp");
            names.sort_unstable_by(|one, other| (one != "new", one).cmp(&(other != "new", other)));
        } else {
            names.sort_unstable();
        }
        self.ahead.push(WalkStep::Folder(path.to_owned(), names.into_iter()));
        Ok(None)
    }

    fn file(&mut self, path: &Path, metadata: &Metadata, given: bool) -> WalkOutcome {
        let message = !given && path.parent().is_some_and(maildir::holds_messages);
        match open(path, metadata.is_file().then_some(metadata.len())) {
            Ok(source) if message => self.read(OpenFile { name: None, ..source }, true),
            Ok(source) => self.read(source, given),
            Err(FetchError::File { source, .. }) if !given && source.kind() == io::ErrorKind::NotFound => {
                self.gone(path, source)
            }
            Err(error) => Err(error),
        }
    }

    /// A listed path is gone: a Maildir message may have another name by now.
    fn gone(&mut self, path: &Path, error: io::Error) -> WalkOutcome {
        let found = path.parent().filter(|folder| maildir::holds_messages(folder)).and(maildir::find_again(path));
        let found = found.filter(|found| fs::symlink_metadata(found).is_ok_and(|metadata| metadata.is_file()));
        match found.and_then(|found| open(&found, None).ok()) {
            Some(source) => self.read(OpenFile { name: None, ..source }, true),
            None => Err(fault(path, "open", error)),
        }
    }

    /// Reads a file, whole or message by message. A file only found in a folder must look like a report to be an item.
    fn read(&mut self, mut source: OpenFile, wanted: bool) -> WalkOutcome {
        let mut head = Vec::with_capacity(source.size.map_or(0, |size| size.min(HEAD) as usize + 1));
        let read = source.reader.by_ref().take(HEAD).read_to_end(&mut head);
        read.map_err(|error| source.fault(error))?;
        let format = sniff::format(&head);
        let large = head.len() as u64 == HEAD;
        // A small compressed mailbox is an archive like any other; a large one may be larger than any item.
        let compressed =
            format == FileFormat::Gzip && large && sniff::format(&sniff::inflated_head(&head)) == FileFormat::Mbox;
        if format == FileFormat::Mbox || compressed {
            self.enter_mailbox(source, head, compressed);
            return Ok(None);
        }
        if !wanted && !is_item(format, &head, source.name.as_deref()) {
            return Ok(Some(Fetched::SetAside { origin: source.origin }));
        }
        self.whole(source, head).map(Some)
    }

    /// Reads the rest of a file, unless it is too large.
    fn whole(&self, mut source: OpenFile, mut bytes: Vec<u8>) -> Result<Fetched, FetchError> {
        let limit = self.limits.item_bytes;
        let known = source.size.unwrap_or(0);
        // A head that is not full is the whole file.
        if known <= limit && (bytes.is_empty() || bytes.len() as u64 == HEAD) {
            let room = (limit + 1).saturating_sub(bytes.len() as u64);
            bytes.reserve(usize::try_from(known).unwrap_or(0).saturating_sub(bytes.len()) + 1);
            let read = source.reader.by_ref().take(room).read_to_end(&mut bytes);
            read.map_err(|error| source.fault(error))?;
        }
        let size = known.max(bytes.len() as u64);
        let OpenFile { origin, name, .. } = source;
        Ok(if size > limit {
            Fetched::TooLarge { origin, size, limit, message: None }
        } else {
            Fetched::Item(Item { origin, name, bytes, arrival: self.now, message: None })
        })
    }

    fn enter_mailbox(&mut self, source: OpenFile, head: Vec<u8>, compressed: bool) {
        let OpenFile { origin, reader, path, .. } = source;
        let reader = io::Cursor::new(head).chain(reader);
        let mailbox = if compressed {
            MboxReader::compressed(origin, reader, &self.limits, self.now)
        } else {
            MboxReader::new(origin, Box::new(reader), self.limits.item_bytes, self.now)
        };
        self.ahead.push(WalkStep::Mailbox(Box::new(mailbox), path));
    }

    fn mailbox(&mut self, mut mailbox: Box<MboxReader>, path: Option<PathBuf>) -> WalkOutcome {
        match (mailbox.next().transpose(), path) {
            (Ok(None), _) => Ok(None),
            (Ok(fetched), path) => {
                self.ahead.push(WalkStep::Mailbox(mailbox, path));
                Ok(fetched)
            }
            // Messages before the damage were returned; the file itself is now an item that will be rejected.
            (Err(error), Some(path)) if is_damage(&error) => {
                self.ahead.push(WalkStep::Whole(path));
                Ok(None)
            }
            (Err(error), _) => Err(error),
        }
    }
}

impl Iterator for Walk {
    type Item = Result<Fetched, FetchError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(step) = self.ahead.pop() {
            if let Some(outcome) = self.step(step).transpose() {
                return Some(outcome);
            }
        }
        None
    }
}

impl OpenFile {
    fn fault(&self, source: io::Error) -> FetchError {
        FetchError::File { origin: self.origin.clone(), action: "read", source }
    }
}

fn open(path: &Path, size: Option<u64>) -> Result<OpenFile, FetchError> {
    let file = File::open(path).map_err(|error| fault(path, "open", error))?;
    Ok(OpenFile { size, path: Some(path.to_owned()), ..opened(path, Box::new(file)) })
}

fn pipe(path: &Path) -> Result<OpenFile, FetchError> {
    let pipe = Pipe::open(path, PATIENCE).map_err(|error| fault(path, "open", error))?;
    Ok(opened(path, Box::new(pipe)))
}

/// What is read once: a pipe cannot be opened again, so it has no path.
fn opened(path: &Path, reader: Box<dyn Read + Send>) -> OpenFile {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    OpenFile { origin: path.display().to_string(), name, reader, size: None, path: None }
}

fn standard_input() -> OpenFile {
    let name = Some("stdin".to_owned());
    OpenFile { origin: "-".to_owned(), name, reader: Box::new(io::stdin()), size: None, path: None }
}

/// Whether a file found in a folder may be a report, an archive or a mail, by its content or its name.
fn is_item(format: FileFormat, head: &[u8], name: Option<&str>) -> bool {
    name.is_some_and(|name| sniff::is_report_name(name) || sniff::is_mail_name(name))
        || match format {
            FileFormat::Gzip | FileFormat::Zip | FileFormat::Mail | FileFormat::Mbox | FileFormat::Emlx => true,
            FileFormat::Xml => sniff::has_feedback(head),
            FileFormat::Json => sniff::is_tls_report(head),
            // Old Word files begin like Outlook's.
            FileFormat::Closed(closed) => closed.extension != "msg" || sniff::is_outlook_message(head),
            // Two bytes are a weak sign.
            FileFormat::Zlib => sniff::inflated_head(head).contains(&b'<'),
            _ => false,
        }
}

fn set_aside(path: &Path) -> Fetched {
    Fetched::SetAside { origin: path.display().to_string() }
}

fn fault(path: &Path, action: &'static str, source: io::Error) -> FetchError {
    FetchError::File { origin: path.display().to_string(), action, source }
}
