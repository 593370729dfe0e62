//! Opens bytes of any format, through archives and mails, down to single items.
//!
//! Each layer is recognized by content. What was learned about it is passed down: names, findings, depth, and whether
//! something that is not a report must be rejected or may be skipped.

use super::inflate::{InflateError, Inflater, Wrapper};
use super::mbox::MboxMessages;
use super::sniff::{self, Closed, FileFormat};
use super::zip::{Member, ZipError};
use super::{Content, OtherContent, Unpacked, UnpackedItem, gzip, zip};
use crate::limits::{Limits, Meter};
use crate::model::{Finding, FindingCode, MailFacts, Original, RawMail};
use std::sync::Arc;

/// What to do with bytes of an unknown format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Expect {
    /// Somebody gave them as a report, by hand, name or type: reject them.
    #[default]
    Report,
    /// They are some part of something: skip them.
    Anything,
}

/// Where bytes were found.
#[derive(Debug, Clone, Default)]
pub(super) struct UnpackPath {
    pub(super) path: Vec<String>,
    /// File names on the way, outermost first.
    pub(super) names: Vec<String>,
    pub(super) findings: Vec<Finding>,
    pub(super) expect: Expect,
    /// Archives around it.
    pub(super) archives: u32,
    /// Whether the nearest layer around it is an archive, not a mail.
    pub(super) archived: bool,
    /// Mails and multiparts around it.
    pub(super) mails: u32,
    /// Messages among those levels.
    pub(super) messages: u32,
    /// The innermost message around it, if kept.
    pub(super) raw_mail: Option<Arc<RawMail>>,
    /// Whether a part of a mail says that it is a TLS report.
    pub(super) tls: bool,
    /// Whether the nearest mail is a failure report: a mail in it is evidence, and not examined.
    pub(super) quoted: bool,
    /// The gzip file that holds just these bytes.
    pub(super) gzip: Option<Vec<u8>>,
}

impl UnpackPath {
    /// Descends one step.
    pub(super) fn step(&self, step: String, name: Option<String>) -> Self {
        let mut place = Self { gzip: None, ..self.clone() };
        place.path.push(step);
        place.names.extend(name);
        place
    }

    /// The gzip file of a report found here; one larger than its content is not worth keeping.
    fn compressed(&mut self, content: &[u8]) -> Option<Original> {
        self.gzip.take().filter(|gzip| gzip.len() <= content.len() + 256).map(Original::Gzip)
    }

    /// The name of a report found here.
    fn attachment(&self) -> Option<String> {
        let reports = self.names.iter().rev().find(|name| name.matches('!').count() >= 3);
        reports.or(self.names.last()).cloned()
    }
}

/// Opens a whole item.
pub(super) fn item(bytes: Vec<u8>, name: Option<&str>, limits: &Limits, keep_mails: usize) -> Unpacked {
    let mut opener = Opener {
        meter: Meter::new(limits),
        items: Vec::new(),
        mail: None,
        is_mail: false,
        seen: OtherContent::Other,
        keep_mails,
    };
    let place = UnpackPath { names: name.map(str::to_owned).into_iter().collect(), ..UnpackPath::default() };
    match (opener.meter.item(bytes.len()), format_of(&bytes, name)) {
        (Err(limit), format) => opener.reject(limit.to_string(), bytes, extension(format), place),
        (_, FileFormat::Mail) => opener.mail_item(&bytes, &place),
        (_, FileFormat::Emlx) => opener.mail_item(emlx_message(&bytes), &place),
        // Only mail has no name.
        (_, FileFormat::Empty | FileFormat::Html | FileFormat::Text | FileFormat::Binary) if name.is_none() => {
            opener.mail_item(&bytes, &place);
        }
        (_, format) => opener.open_as(format, bytes, place),
    }
    if opener.items.is_empty() {
        opener.set_aside(opener.seen, &UnpackPath::default());
    }
    Unpacked { mail: opener.mail.filter(|_| opener.is_mail), items: opener.items }
}

/// State shared by all parts of an item.
pub(super) struct Opener<'l> {
    pub(super) meter: Meter<'l>,
    pub(super) items: Vec<UnpackedItem>,
    /// The outermost open mail.
    pub(super) mail: Option<MailFacts>,
    /// Whether that mail is the item.
    is_mail: bool,
    /// The strongest claim of the outermost mail to be something other than an aggregate report.
    pub(super) seen: OtherContent,
    /// Bytes of mails that may still be kept in addition to their content.
    pub(super) keep_mails: usize,
}

impl Opener<'_> {
    fn mail_item(&mut self, bytes: &[u8], place: &UnpackPath) {
        self.is_mail = true;
        self.message(bytes, place);
    }

    /// Opens bytes of any format.
    pub(super) fn open(&mut self, bytes: Vec<u8>, place: UnpackPath) {
        let format = format_of(&bytes, place.names.last().map(String::as_str));
        self.open_as(format, bytes, place);
    }

    /// Opens bytes of a known format.
    pub(super) fn open_as(&mut self, format: FileFormat, bytes: Vec<u8>, place: UnpackPath) {
        match format {
            FileFormat::Xml => self.xml(bytes, place),
            FileFormat::Gzip => self.gzip(bytes, place),
            FileFormat::Zip => self.zip(bytes, place),
            FileFormat::Zlib => self.zlib(bytes, place),
            FileFormat::Mail | FileFormat::Mbox | FileFormat::Emlx if place.quoted => {}
            FileFormat::Mail => self.message(&bytes, &place),
            FileFormat::Emlx => self.message(emlx_message(&bytes), &place),
            FileFormat::Mbox => self.mbox(&bytes, &place),
            FileFormat::Json => self.json(bytes, place),
            FileFormat::Closed(closed) => self.closed(closed, bytes, place),
            FileFormat::Empty => self.empty(bytes, place),
            FileFormat::Html | FileFormat::Text | FileFormat::Binary => self.plain(bytes, place),
        }
    }

    fn xml(&mut self, xml: Vec<u8>, mut place: UnpackPath) {
        if place.expect == Expect::Anything && !sniff::has_feedback(&xml) {
            return;
        }
        let original = place.compressed(&xml);
        self.push(Content::Report { xml, original }, place);
    }

    /// JSON: a TLS report, or what has nothing to do with reports.
    fn json(&mut self, json: Vec<u8>, mut place: UnpackPath) {
        let named = place.names.last().is_some_and(|name| name.matches('!').count() >= 3);
        if sniff::is_tls_report(&json) {
            let original = place.compressed(&json);
            self.push(Content::TlsReport { json, original }, place);
        } else if place.expect == Expect::Report && (place.tls || named) {
            self.reject(
                format!("expected a TLS report, found JSON of {} bytes without its keys", json.len()),
                json,
                "json",
                place,
            );
        } else if place.expect == Expect::Report {
            self.set_aside(OtherContent::Other, &place);
        }
    }

    fn gzip(&mut self, mut bytes: Vec<u8>, mut place: UnpackPath) {
        if let Err(limit) = self.enter_archive("gzip", &mut place) {
            return self.reject(limit, bytes, "gz", place);
        }
        match gzip::open(&bytes, &mut self.meter) {
            Ok(opened) => {
                if opened.trailing > 0 {
                    let bytes = if opened.trailing == 1 { "byte follows" } else { "bytes follow" };
                    let detail = format!("{} {bytes} the gzip stream", opened.trailing);
                    place.findings.push(Finding::new(FindingCode::ARCHIVE_TRAILING, detail));
                }
                bytes.truncate(opened.end);
                place.gzip = Some(bytes);
                place.expect = Expect::Report;
                self.open(opened.content, place);
            }
            Err(fault) => self.reject(format!("gzip: {fault}"), bytes, "gz", place),
        }
    }

    fn zlib(&mut self, bytes: Vec<u8>, mut place: UnpackPath) {
        let mut content = Vec::new();
        match Inflater::new(Wrapper::Zlib).run(&bytes, bytes.len().saturating_mul(4), &mut content, &mut self.meter) {
            Ok(end) => {
                if let Err(limit) = self.enter_archive("zlib", &mut place) {
                    return self.reject(limit, bytes, "zlib", place);
                }
                place.gzip = gzip::from_zlib(&bytes[..end], &content);
                place.expect = Expect::Report;
                self.open(content, place);
            }
            Err(InflateError::Limit(limit)) => self.reject(format!("zlib: {limit}"), bytes, "zlib", place),
            // It was only a guess.
            Err(_) => self.plain(bytes, place),
        }
    }

    /// Enters an archive. An archive in an archive is a finding; one attached to a mail in an archive is not, since
    /// mails are often exported that way.
    fn enter_archive(&mut self, what: &str, place: &mut UnpackPath) -> Result<(), String> {
        place.archives += 1;
        if place.archived {
            place.findings.push(Finding::new(FindingCode::ARCHIVE_NESTED, format!("{what} inside an archive")));
        }
        place.archived = true;
        self.meter.archive_depth(place.archives).map_err(|limit| limit.to_string())
    }

    fn zip(&mut self, bytes: Vec<u8>, mut place: UnpackPath) {
        if let Err(limit) = self.enter_archive("zip", &mut place) {
            return self.reject(limit, bytes, "zip", place);
        }
        let members = match zip::members(&bytes, &mut self.meter) {
            Ok(members) => members,
            Err(fault) => return self.reject(fault.to_string(), bytes, "zip", place),
        };
        if members.iter().any(is_office) && !place.names.last().is_some_and(|name| sniff::is_report_name(name)) {
            // An office document: a part to skip, or a file that is something else.
            if place.expect == Expect::Report {
                self.set_aside(OtherContent::Other, &place);
            }
            return;
        }
        let before = self.items.len();
        let files: Vec<&Member> = members.iter().filter(|member| !member.is_junk()).collect();
        let mut faults = Vec::new();
        for (index, member) in files.iter().enumerate() {
            let file = member.name.rsplit(['/', '\\']).next().filter(|name| !name.is_empty());
            let file = file.map(|name| super::header::cut(name, 255).to_owned());
            let mut inner = place.step(file.clone().unwrap_or_else(|| format!("member {}", index + 1)), file);
            let named = sniff::is_report_name(&member.name) || sniff::is_mail_name(&member.name);
            let expected = files.len() == 1 || named;
            inner.expect = if expected { Expect::Report } else { Expect::Anything };
            if let Err(fault) = self.member(&bytes, member, inner) {
                faults.push((fault, &member.name));
            }
        }
        if !faults.is_empty() {
            self.reject(first_fault(&faults, files.len()), bytes, "zip", place);
        } else if self.items.len() == before {
            let found = if files.len() == 1 { "1 file".to_owned() } else { format!("{} files", files.len()) };
            self.reject(format!("zip: no report in it: expected XML, found {found}"), bytes, "zip", place);
        }
    }

    fn member(&mut self, bytes: &[u8], member: &Member, mut place: UnpackPath) -> Result<(), ZipError> {
        let opened = zip::open(bytes, member, &mut self.meter)?;
        if member.is_hostile() {
            let detail = format!("member name {:?}", super::header::cut(&member.name, 255));
            place.findings.push(Finding::new(FindingCode::ARCHIVE_HOSTILE_NAME, detail));
        }
        place.gzip = opened.gzip;
        self.open(opened.content, place);
        Ok(())
    }

    fn mbox(&mut self, bytes: &[u8], place: &UnpackPath) {
        let limit = self.meter.limits().item_bytes;
        for (index, message) in MboxMessages::new(bytes, limit).enumerate() {
            if let Err(limit) = self.meter.part() {
                return self.reject(format!("mbox: {limit}"), bytes.to_vec(), "mbox", place.clone());
            }
            let inner = place.step(format!("message {}", index + 1), None);
            match message {
                Ok(super::mbox::MboxMessage::Whole(message)) => self.message(&message, &inner),
                // The whole mailbox was in memory, within the limit, and reading memory does not fail.
                Ok(super::mbox::MboxMessage::TooLarge(_)) | Err(_) => {}
            }
        }
    }

    fn closed(&mut self, closed: Closed, bytes: Vec<u8>, place: UnpackPath) {
        // Old Word files begin with the same bytes, and people attach those to mails.
        let document = closed == Closed::OUTLOOK
            && !place.names.last().is_some_and(|name| sniff::is_mail_name(name))
            && !sniff::is_outlook_message(&bytes);
        if document && place.expect == Expect::Anything {
            return;
        }
        let what = if document { "an old Office document is not supported".to_owned() } else { closed.reason() };
        self.reject(what, bytes, closed.extension, place);
    }

    fn empty(&mut self, bytes: Vec<u8>, place: UnpackPath) {
        let what = match (&place.gzip, place.mails, place.path.is_empty()) {
            (Some(_), ..) => "empty compressed file",
            (None, 1.., _) => "empty attachment",
            (None, 0, true) => "empty file",
            (None, 0, false) => "empty member",
        };
        if place.expect == Expect::Report {
            self.reject(what.to_owned(), bytes, "bin", place);
        }
    }

    fn plain(&mut self, bytes: Vec<u8>, place: UnpackPath) {
        if place.expect != Expect::Report {
            return;
        }
        let name = place.names.last().map(|name| name.to_ascii_lowercase()).unwrap_or_default();
        let extension = name.rsplit_once('.').map(|(_, extension)| extension);
        let reason = match () {
            () if sniff::is_pgp_name(&name) => Closed::PGP.reason(),
            () if extension == Some("p7m") => Closed::SMIME.reason(),
            () if extension == Some("rpmsg") => Closed::RPMSG.reason(),
            () if sniff::is_mail_name(&name) => {
                format!("expected mail, as the file's name says, found {} bytes of something else", bytes.len())
            }
            () if place.tls => format!("expected JSON, found {} bytes of something else", bytes.len()),
            () => format!("expected XML, found {} bytes of something else", bytes.len()),
        };
        self.reject(reason, bytes, "bin", place);
    }

    pub(super) fn set_aside(&mut self, kind: OtherContent, place: &UnpackPath) {
        self.push(Content::SetAside(kind), place.clone());
    }

    pub(super) fn reject(&mut self, reason: String, bytes: Vec<u8>, extension: &'static str, mut place: UnpackPath) {
        let (bytes, extension) = place.gzip.take().map_or((bytes, extension), |gzip| (gzip, "gz"));
        self.push(Content::Rejected { reason, bytes, extension }, place);
    }

    fn push(&mut self, content: Content, place: UnpackPath) {
        let mail = if self.is_mail { None } else { self.mail.clone() };
        let (attachment, attached) = (place.attachment(), place.messages > 1);
        let UnpackPath { path, findings, raw_mail, .. } = place;
        self.items.push(UnpackedItem { path, attachment, mail, findings, attached, raw_mail, content });
    }
}

/// The first failure in an archive, and how many more there were.
fn first_fault(faults: &[(ZipError, &String)], files: usize) -> String {
    let (fault, name) = &faults[0];
    match (fault, faults.len() - 1) {
        (ZipError::Encrypted, _) => fault.to_string(),
        _ if files == 1 => fault.to_string(),
        (_, 0) => format!("{fault} (member {name})"),
        (_, more) => format!("{fault} (member {name}, and {more} more)"),
    }
}

/// The format of bytes. If the file's name says mail, one header field is enough.
pub(super) fn format_of(bytes: &[u8], name: Option<&str>) -> FileFormat {
    let format = sniff::format(bytes);
    let vague = matches!(format, FileFormat::Text | FileFormat::Html | FileFormat::Binary);
    let says_mail = || name.is_some_and(sniff::is_mail_name) && sniff::begins_with_field(bytes);
    if vague && says_mail() { FileFormat::Mail } else { format }
}

/// The message in an `.emlx` file. If the stated length is impossible, it ends where the property list begins.
pub(super) fn emlx_message(bytes: &[u8]) -> &[u8] {
    let Some((length, rest)) = sniff::emlx(sniff::skip_blank(bytes)) else { return bytes };
    let is_list = |rest: &[u8]| {
        let list = rest.trim_ascii_start();
        list.is_empty()
            || list.starts_with(b"<?xml")
            || list.starts_with(b"<!DOCTYPE plist")
            || list.starts_with(b"<plist")
    };
    match rest.split_at_checked(length) {
        Some((message, list)) if is_list(list) => message,
        _ => &rest[..memchr::memmem::rfind(rest, b"\n<?xml version").map_or(rest.len(), |at| at + 1)],
    }
}

/// Whether a member shows that the zip is an office document.
fn is_office(member: &Member) -> bool {
    matches!(member.name.as_str(), "[Content_Types].xml" | "mimetype" | "META-INF/MANIFEST.MF")
}

/// The extension that fits a format.
fn extension(format: FileFormat) -> &'static str {
    match format {
        FileFormat::Xml => "xml",
        FileFormat::Html => "html",
        FileFormat::Gzip => "gz",
        FileFormat::Zip => "zip",
        FileFormat::Zlib => "zlib",
        FileFormat::Mail => "eml",
        FileFormat::Mbox => "mbox",
        FileFormat::Emlx => "emlx",
        FileFormat::Json => "json",
        FileFormat::Text => "txt",
        FileFormat::Closed(closed) => closed.extension,
        FileFormat::Empty | FileFormat::Binary => "bin",
    }
}
