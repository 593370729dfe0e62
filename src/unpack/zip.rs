//! Zip archives (PKWARE APPNOTE 6.3), read through the central directory only, members in its order.
//!
//! Members are not looked up by name (two may share one), declared sizes are not trusted, and the directory is read no
//! further than the limit. The `zip` crate reads the whole directory before it returns its length, and keeps one of two
//! members with the same name; so this file does not use it.

use super::gzip;
use super::inflate::{InflateError, Inflater, Wrapper};
use crate::limits::{LimitExceeded, Meter};
use memchr::memmem;

/// Why an archive, or a member, cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ZipError {
    #[error("zip: {0}")]
    Limit(#[from] LimitExceeded),
    #[error("zip: no end of the central directory: the archive is cut short")]
    NoDirectory,
    #[error("zip: central directory is damaged: expected {expected} members, found {found}")]
    Directory { expected: u64, found: u64 },
    #[error("zip: several members lie over each other")]
    Overlap,
    #[error("encrypted archive")]
    Encrypted,
    #[error("zip: compression method {0} is not supported")]
    Method(u16),
    #[error("zip: {0}")]
    Inflate(InflateError),
    #[error("zip: member is cut short: expected {expected} bytes, found {found}")]
    Cut { expected: u64, found: u64 },
    #[error("zip: checksum does not match: expected {expected:08x}, found {found:08x}")]
    Checksum { expected: u32, found: u32 },
}

/// A member as listed in the directory.
#[derive(Debug, Clone)]
pub(super) struct Member {
    /// Its name as written; never used as a path.
    pub(super) name: String,
    encrypted: bool,
    method: u16,
    crc: u32,
    compressed: u64,
    /// Where its local header is.
    header: u64,
}

/// A member's content.
#[derive(Debug)]
pub(super) struct MemberContent {
    pub(super) content: Vec<u8>,
    /// The member as a gzip file, if it is a deflate stream.
    pub(super) gzip: Option<Vec<u8>>,
}

impl Member {
    /// A folder, or metadata added by macOS.
    pub(super) fn is_junk(&self) -> bool {
        let path = self.name.replace('\\', "/");
        let file = path.rsplit('/').next().unwrap_or_default();
        let folder = path.ends_with('/');
        folder || path.split('/').any(|step| step == "__MACOSX") || file == ".DS_Store" || file == "Thumbs.db"
    }

    /// Whether the name, used as a path, would leave the target folder.
    pub(super) fn is_hostile(&self) -> bool {
        let path = self.name.replace('\\', "/");
        let drive = path.as_bytes().get(1) == Some(&b':');
        path.starts_with('/') || drive || path.split('/').any(|step| step == "..") || path.contains(char::is_control)
    }
}

/// The members of an archive, in directory order.
pub(super) fn members(bytes: &[u8], meter: &mut Meter) -> Result<Vec<Member>, ZipError> {
    let directory = Directory::find(bytes).ok_or(ZipError::NoDirectory)?;
    let mut members = Vec::new();
    let mut at = directory.start;
    while let Some((member, next)) = entry(bytes, at, directory.shift) {
        if next > directory.end {
            break;
        }
        meter.member()?;
        members.push(member);
        at = next;
    }
    let found = members.len() as u64;
    // The old field counts to 65,535 and then wraps around.
    if found < directory.members || (found & 0xffff) != (directory.members & 0xffff) {
        return Err(ZipError::Directory { expected: directory.members, found });
    }
    if overlap(bytes, &members) { Err(ZipError::Overlap) } else { Ok(members) }
}

/// Whether members overlap: this is how a small archive unfolds to a huge one. A local header may claim to be up to 128
/// KiB long, so the end of a member is only known from there.
fn overlap(bytes: &[u8], members: &[Member]) -> bool {
    const LOCAL_HEADER: u64 = 30;
    let end = |member: &Member| match stream(bytes, member) {
        Ok(stream) => (stream.as_ptr_range().end.addr() - bytes.as_ptr().addr()) as u64,
        Err(_) => member.header.saturating_add(LOCAL_HEADER).saturating_add(member.compressed),
    };
    let mut places: Vec<_> = members.iter().map(|member| (member.header, end(member))).collect();
    places.sort_unstable();
    places.windows(2).any(|pair| pair[0].1 > pair[1].0)
}

/// Reads one member.
pub(super) fn open(bytes: &[u8], member: &Member, meter: &mut Meter) -> Result<MemberContent, ZipError> {
    if member.encrypted {
        return Err(ZipError::Encrypted);
    }
    let stream = stream(bytes, member)?;
    let (content, deflate) = match member.method {
        0 => {
            meter.decoded(stream.len())?;
            (stream.to_vec(), None)
        }
        8 => {
            let (content, taken) = inflate(stream, meter)?;
            // A member may be longer than its stream; the rest is not part of a gzip file.
            (content, Some(&stream[..taken]))
        }
        other => return Err(ZipError::Method(other)),
    };
    let found = gzip::crc32(&content);
    if found != member.crc {
        return Err(ZipError::Checksum { expected: member.crc, found });
    }
    let gzip = deflate.map(|deflate| gzip::frame(deflate, &content, found));
    Ok(MemberContent { content, gzip })
}

/// The member's bytes in the archive. Local headers are only used for their length.
pub(super) fn stream<'b>(bytes: &'b [u8], member: &Member) -> Result<&'b [u8], ZipError> {
    let cut = |found: usize| ZipError::Cut { expected: member.compressed, found: found as u64 };
    let header = usize::try_from(member.header).ok().and_then(|at| bytes.get(at..)).ok_or_else(|| cut(0))?;
    if !header.starts_with(b"PK\x03\x04") {
        return Err(cut(0));
    }
    let (Some(name), Some(extra)) = (u16_at(header, 26), u16_at(header, 28)) else { return Err(cut(0)) };
    let data = header.get(30 + usize::from(name) + usize::from(extra)..).ok_or_else(|| cut(0))?;
    usize::try_from(member.compressed).ok().and_then(|length| data.get(..length)).ok_or_else(|| cut(data.len()))
}

/// Inflates a stream; also returns how many bytes of it were used.
fn inflate(stream: &[u8], meter: &mut Meter) -> Result<(Vec<u8>, usize), ZipError> {
    let mut content = Vec::new();
    let hint = stream.len().saturating_mul(4);
    match Inflater::new(Wrapper::None).run(stream, hint, &mut content, meter) {
        Ok(taken) => Ok((content, taken)),
        Err(InflateError::Limit(limit)) => Err(limit.into()),
        Err(fault) => Err(ZipError::Inflate(fault)),
    }
}

/// Where the central directory is.
struct Directory {
    start: usize,
    end: usize,
    members: u64,
    /// How far all offsets are off, because something precedes the archive.
    shift: u64,
}

impl Directory {
    /// Finds it by the last end record with a consistent comment length.
    fn find(bytes: &[u8]) -> Option<Self> {
        const END: usize = 22;
        let tail = bytes.len().saturating_sub(END + usize::from(u16::MAX));
        memmem::rfind_iter(&bytes[tail..], b"PK\x05\x06").map(|at| tail + at).find_map(|at| Self::at(bytes, at))
    }

    /// Reads the end record here.
    fn at(bytes: &[u8], at: usize) -> Option<Self> {
        let record = &bytes[at..];
        let comment = usize::from(u16_at(record, 20)?);
        record.get(22 + comment..)?;
        let (mut end, mut members) = (at, u64::from(u16_at(record, 10)?));
        let (mut size, mut offset) = (u64::from(u32_at(record, 12)?), u64::from(u32_at(record, 16)?));
        if let Some(large) = zip64(bytes, at) {
            members = u64_at(&bytes[large..], 32)?;
            size = u64_at(&bytes[large..], 40)?;
            offset = u64_at(&bytes[large..], 48)?;
            end = large;
        }
        let start = end.checked_sub(usize::try_from(size).ok()?)?;
        let shift = (start as u64).checked_sub(offset)?;
        (members == 0 || bytes[start..].starts_with(b"PK\x01\x02")).then_some(Self { start, end, members, shift })
    }
}

/// Where the zip64 end record is, if there is a locator just before the end record.
fn zip64(bytes: &[u8], end: usize) -> Option<usize> {
    const RECORD: usize = 56;
    let locator = end.checked_sub(20)?;
    if !bytes[locator..].starts_with(b"PK\x06\x07") {
        return None;
    }
    // The record is before its locator; if something precedes the archive, the stated offset is wrong.
    let stated = usize::try_from(u64_at(&bytes[locator..], 8)?).ok();
    [stated, locator.checked_sub(RECORD)]
        .into_iter()
        .flatten()
        .find(|at| at.checked_add(RECORD).is_some_and(|end| end <= locator) && bytes[*at..].starts_with(b"PK\x06\x06"))
}

/// The directory entry here, and where the next one is.
fn entry(bytes: &[u8], at: usize, shift: u64) -> Option<(Member, usize)> {
    const ENTRY: usize = 46;
    let head = bytes.get(at..)?;
    if !head.starts_with(b"PK\x01\x02") {
        return None;
    }
    let lengths = [u16_at(head, 28)?, u16_at(head, 30)?, u16_at(head, 32)?].map(usize::from);
    let name = head.get(ENTRY..ENTRY + lengths[0])?;
    let extra = head.get(ENTRY + lengths[0]..ENTRY + lengths[0] + lengths[1])?;
    let flags = u16_at(head, 8)?;
    let [_, compressed, offset] = sizes(head, extra)?;
    let member = Member {
        name: String::from_utf8_lossy(name).into_owned(),
        encrypted: flags & 1 != 0,
        method: u16_at(head, 10)?,
        crc: u32_at(head, 16)?,
        compressed,
        header: offset.checked_add(shift)?,
    };
    Some((member, at + ENTRY + lengths.iter().sum::<usize>()))
}

/// Inflated size, compressed size and offset; those that do not fit are in the zip64 extra field, in this order.
fn sizes(head: &[u8], mut extra: &[u8]) -> Option<[u64; 3]> {
    let mut sizes = [u32_at(head, 24)?, u32_at(head, 20)?, u32_at(head, 42)?].map(u64::from);
    while let (Some(id), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let field = extra.get(4..4 + usize::from(length))?;
        if id == 1 {
            let large = sizes.iter_mut().filter(|size| **size == u64::from(u32::MAX));
            for (size, value) in large.zip(field.chunks_exact(8)) {
                *size = u64_at(value, 0)?;
            }
        }
        extra = &extra[4 + usize::from(length)..];
    }
    Some(sizes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|chunk| u16::from_le_bytes(*chunk))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|chunk| u32::from_le_bytes(*chunk))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|chunk| u64::from_le_bytes(*chunk))
}
