//! Paths: files, folders with all below them, mailbox files, Maildirs, `-` for standard input.
//!
//! Comes in: the paths as given. Goes out: their items in a fixed order (as given; below a folder by name). Must not:
//! follow a link in a circle, wait on a pipe met in a folder, or read what is too large to be an item.

use super::mbox::Mailbox;
use super::{FetchError, Fetched, Item, maildir};
use crate::limits::Limits;
use crate::unpack::sniff::{self, Format};
use jiff::Timestamp;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// What is read to see what a file is.
const HEAD: u64 = 64 << 10;

/// All items of some paths.
pub struct Walk {
    limits: Limits,
    now: Timestamp,
    /// What is yet to do, the next at the end.
    ahead: Vec<Step>,
    /// Folders entered below the path now walked.
    entered: HashSet<PathBuf>,
}

/// One thing yet to do.
enum Step {
    /// A path as the user gave it.
    Given(PathBuf),
    /// A path met in a folder.
    Met(PathBuf),
    /// A mailbox half read.
    Mailbox(Box<Mailbox>),
}

impl Walk {
    /// Walk these paths; all items arrive `now`.
    pub fn new(paths: &[PathBuf], limits: Limits, now: Timestamp) -> Self {
        let ahead = paths.iter().rev().cloned().map(Step::Given).collect();
        Self { limits, now, ahead, entered: HashSet::new() }
    }

    fn step(&mut self, step: Step) -> Option<Result<Fetched, FetchError>> {
        match step {
            Step::Given(path) if path.as_os_str() == "-" => {
                self.read("-".to_owned(), Some("stdin".to_owned()), Box::new(io::stdin()), true)
            }
            Step::Given(path) => {
                self.entered.clear();
                match fs::metadata(&path) {
                    Ok(metadata) if metadata.is_dir() => self.folder(&path),
                    Ok(_) => self.file(&path, true),
                    Err(source) => Some(Err(fault(&path, "open", source))),
                }
            }
            Step::Met(path) => match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => self.folder(&path),
                Ok(metadata) if metadata.is_file() => self.file(&path, false),
                // A pipe, a socket, a device; a link to nothing.
                Ok(_) => Some(Ok(Fetched::SetAside { origin: path.display().to_string() })),
                Err(_) if path.is_symlink() => Some(Ok(Fetched::SetAside { origin: path.display().to_string() })),
                Err(source) => self.gone(&path, source),
            },
            Step::Mailbox(mut mailbox) => {
                let next = mailbox.next()?;
                if next.is_ok() {
                    self.ahead.push(Step::Mailbox(mailbox));
                }
                Some(next)
            }
        }
    }

    /// A path that was listed is not there: a Maildir's message may have another name by now.
    fn gone(&mut self, path: &Path, source: io::Error) -> Option<Result<Fetched, FetchError>> {
        let message = path.parent().is_some_and(maildir::holds_messages);
        match maildir::find_again(path).filter(|found| message && found != path) {
            Some(found) => self.file(&found, false),
            None => Some(Err(fault(path, "open", source))),
        }
    }

    /// Put what is in a folder ahead.
    fn folder(&mut self, path: &Path) -> Option<Result<Fetched, FetchError>> {
        let listed = fs::canonicalize(path).and_then(|real| {
            if !self.entered.insert(real) {
                return Ok(Vec::new());
            }
            path.read_dir()?.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>()
        });
        let mut paths = match listed {
            Ok(paths) => paths,
            Err(source) => return Some(Err(fault(path, "list", source))),
        };
        if maildir::is_maildir(path) {
            // Half written messages; and `new` before `cur`, where messages go from there.
            paths.retain(|path| path.file_name().is_none_or(|name| name != "tmp"));
            paths.sort_by_key(|path| (path.file_name().is_none_or(|name| name != "new"), path.clone()));
        } else {
            paths.sort();
        }
        self.ahead.extend(paths.into_iter().rev().map(Step::Met));
        None
    }

    fn file(&mut self, path: &Path, given: bool) -> Option<Result<Fetched, FetchError>> {
        let message = !given && path.parent().is_some_and(maildir::holds_messages);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).filter(|_| !message);
        match File::open(path) {
            Ok(file) => self.read(path.display().to_string(), name, Box::new(file), given || message),
            Err(source) if !given && source.kind() == io::ErrorKind::NotFound => self.gone(path, source),
            Err(source) => Some(Err(fault(path, "open", source))),
        }
    }

    /// Read a file: whole, or message by message. What only was met must look like something to be an item.
    fn read(
        &mut self,
        origin: String,
        name: Option<String>,
        mut reader: Box<dyn Read + Send>,
        wanted: bool,
    ) -> Option<Result<Fetched, FetchError>> {
        let limit = self.limits.item_bytes;
        let mut bytes = Vec::new();
        let mut read = |bytes: &mut Vec<u8>, most: u64| reader.by_ref().take(most).read_to_end(bytes);
        let read_error = |origin: String, source| Some(Err(FetchError::File { origin, action: "read", source }));
        if let Err(source) = read(&mut bytes, HEAD) {
            return read_error(origin, source);
        }
        let format = sniff::format(&bytes);
        if format == Format::Mbox {
            let reader = Box::new(io::Cursor::new(bytes).chain(reader));
            self.ahead.push(Step::Mailbox(Box::new(Mailbox::new(origin, reader, limit, self.now))));
            return None;
        }
        if !wanted && !is_item(format, &bytes, name.as_deref()) {
            return Some(Ok(Fetched::SetAside { origin }));
        }
        if bytes.len() as u64 == HEAD
            && let Err(source) = read(&mut bytes, (limit + 1).saturating_sub(HEAD))
        {
            return read_error(origin, source);
        }
        let size = bytes.len() as u64;
        Some(Ok(if size > limit {
            Fetched::TooLarge { origin, size, limit, message: None }
        } else {
            Fetched::Item(Item { origin, name, bytes, arrival: self.now, message: None })
        }))
    }
}

impl Iterator for Walk {
    type Item = Result<Fetched, FetchError>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(step) = self.ahead.pop() {
            let fetched = self.step(step);
            if fetched.is_some() {
                return fetched;
            }
        }
        None
    }
}

/// Whether a file met in a folder may be a report, an archive or a mail.
fn is_item(format: Format, head: &[u8], name: Option<&str>) -> bool {
    name.is_some_and(sniff::is_report_name)
        || match format {
            Format::Gzip | Format::Zip | Format::Mail | Format::Mbox => true,
            Format::Xml => sniff::has_feedback(head),
            Format::Json => sniff::is_tls_report(head),
            Format::Closed(closed) => closed.extension != "msg",
            Format::Zlib => sniff::inflated_head(head).contains(&b'<'),
            _ => false,
        }
}

fn fault(path: &Path, action: &'static str, source: io::Error) -> FetchError {
    FetchError::File { origin: path.display().to_string(), action, source }
}
