//! A pack: the originals of a batch in one plain zip, with `manifest.ndjson` as its last member.
//!
//! Gzip originals are stored as they are, XML deflated; any unzip opens it. The manifest says of each report what its
//! mail alone knew, so that the tables can be made anew from packs. Must not look inside a report.

use super::StoreError;
use crate::model::{Accepted, Hash, MailFacts, Original, Provenance, SenderAuth};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;

/// The member that lists the rest.
pub(crate) const MANIFEST: &str = "manifest.ndjson";

/// How a member's bytes stand in the zip (APPNOTE 4.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Method {
    /// As they are.
    Stored = 0,
    /// Deflated.
    Deflated = 8,
}

/// A member ready to be written.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) method: Method,
    pub(crate) crc: u32,
    /// Bytes once unpacked.
    pub(crate) size: u64,
    /// The bytes as they stand in the zip.
    pub(crate) data: Vec<u8>,
}

impl Member {
    /// A member kept as it is.
    pub(crate) fn stored(name: String, data: Vec<u8>) -> Self {
        Self { name, method: Method::Stored, crc: crc32fast::hash(&data), size: data.len() as u64, data }
    }

    /// A member deflated here.
    pub(crate) fn deflated(name: String, bytes: &[u8]) -> Self {
        let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(3));
        let data = deflate.write_all(bytes).and_then(|()| deflate.finish());
        match data {
            Ok(data) => {
                Self { name, method: Method::Deflated, crc: crc32fast::hash(bytes), size: bytes.len() as u64, data }
            }
            // Writing to memory does not fail; were it to, the bytes as they are would do.
            Err(_) => Self::stored(name, bytes.to_vec()),
        }
    }
}

/// One line of the manifest: where a report came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// `ReportKey`, as text.
    pub(crate) key: String,
    /// The member that holds the report; several documents of one file share one.
    pub(crate) member: String,
    /// Of the original's bytes.
    pub(crate) sha256: String,
    pub(crate) origin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) attachment: Option<String>,
    #[serde(with = "rfc3339")]
    pub(crate) arrival: Timestamp,
    /// When it was committed first.
    #[serde(with = "rfc3339")]
    pub(crate) ingested: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mail: Option<LineMail>,
    /// Findings of the way to the report's bytes, which only the whole item shows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) findings: Vec<LineFinding>,
}

/// Times in the manifest: RFC 3339, UTC.
mod rfc3339 {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A finding, as it stands in the manifest and in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineFinding {
    pub(crate) code: String,
    pub(crate) detail: String,
}

/// The facts of the outermost mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LineMail {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) date: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from_domain: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) authentication_results: Option<String>,
    pub(crate) sender_auth: String,
}

impl From<&MailFacts> for LineMail {
    fn from(mail: &MailFacts) -> Self {
        Self {
            message_id: mail.message_id.clone(),
            date: mail.date.clone(),
            from_domain: mail.from_domain.clone(),
            authentication_results: mail.authentication_results.clone(),
            sender_auth: mail.sender_auth.as_str().to_owned(),
        }
    }
}

impl LineMail {
    fn facts(&self) -> MailFacts {
        MailFacts {
            message_id: self.message_id.clone(),
            date: self.date.clone(),
            from_domain: self.from_domain.clone(),
            authentication_results: self.authentication_results.clone(),
            sender_auth: sender_auth(&self.sender_auth),
        }
    }
}

/// The value of a stored word.
pub(crate) fn sender_auth(word: &str) -> SenderAuth {
    match word {
        "pass" => SenderAuth::Pass,
        "fail" => SenderAuth::Fail,
        "none" => SenderAuth::None,
        _ => SenderAuth::Unknown,
    }
}

impl Line {
    /// The provenance it was made of.
    pub(crate) fn provenance(&self) -> Provenance {
        Provenance {
            origin: self.origin.clone(),
            attachment: self.attachment.clone(),
            arrival: self.arrival,
            mail: self.mail.as_ref().map(LineMail::facts),
        }
    }
}

/// The members and the manifest of a batch's reports of one month.
pub(crate) fn members(accepted: &[&Accepted], ingested: &dyn Fn(&Accepted) -> Timestamp) -> Vec<Member> {
    use rayon::prelude::*;
    // Several documents of one file share their original: it is hashed once.
    let fresh = |index: usize| index == 0 || !Arc::ptr_eq(&accepted[index - 1].original, &accepted[index].original);
    let mut hashes: Vec<Option<Hash>> = accepted
        .par_iter()
        .enumerate()
        .map(|(index, report)| fresh(index).then(|| hash(original_bytes(&report.original))))
        .collect();
    for index in 1..hashes.len() {
        hashes[index] = hashes[index].or(hashes[index - 1]);
    }
    let mut names = std::collections::HashMap::new();
    let mut members = Vec::with_capacity(accepted.len() + 1);
    let mut manifest = Vec::new();
    for (report, hash) in accepted.iter().zip(hashes.iter().flatten()) {
        let key = report.report.key.to_string();
        // Several documents of one file have one original: it is kept once.
        let name = names.entry(*hash).or_insert_with(|| {
            let name = match report.original.as_ref() {
                Original::Xml(_) => format!("{key}.xml"),
                Original::Gzip(_) => format!("{key}.xml.gz"),
            };
            members.push((name.clone(), *report));
            name
        });
        let line = line(report, key, name.clone(), *hash, ingested(report));
        serde_json::to_writer(&mut manifest, &line).expect("a line of plain values serialises");
        manifest.push(b'\n');
    }
    let mut members: Vec<Member> = members
        .into_par_iter()
        .map(|(name, report)| match report.original.as_ref() {
            Original::Xml(xml) => Member::deflated(name, xml),
            Original::Gzip(gzip) => Member::stored(name, gzip.clone()),
        })
        .collect();
    members.push(Member::deflated(MANIFEST.to_owned(), &manifest));
    members
}

fn line(report: &Accepted, key: String, member: String, hash: Hash, ingested: Timestamp) -> Line {
    let Provenance { origin, attachment, arrival, mail } = &report.provenance;
    Line {
        key,
        member,
        sha256: hash.to_string(),
        origin: origin.clone(),
        attachment: attachment.clone(),
        arrival: *arrival,
        ingested,
        mail: mail.as_ref().map(LineMail::from),
        findings: report
            .findings
            .iter()
            .map(|finding| LineFinding { code: finding.code.as_str().to_owned(), detail: finding.detail.clone() })
            .collect(),
    }
}

/// The bytes of an original.
pub(crate) fn original_bytes(original: &Original) -> &[u8] {
    match original {
        Original::Xml(bytes) | Original::Gzip(bytes) => bytes,
    }
}

/// SHA-256.
pub(crate) fn hash(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

/// Writes a zip from front to back. Past 4 GiB or 65,535 members the directory is a zip64 one.
pub(crate) struct ZipWriter<W> {
    inner: W,
    offset: u64,
    directory: Vec<u8>,
    members: u64,
}

const LIMIT: u64 = u32::MAX as u64;

impl<W: Write> ZipWriter<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, offset: 0, directory: Vec::new(), members: 0 }
    }

    /// Write a member. One member is bounded by the limits of an item, far below 4 GiB.
    pub(crate) fn add(&mut self, member: &Member) -> io::Result<()> {
        let too_large = |_| io::Error::other("a member of a pack is over 4 GiB");
        let packed = u32::try_from(member.data.len()).map_err(too_large)?;
        let size = u32::try_from(member.size).map_err(too_large)?;
        let name_len = u16::try_from(member.name.len()).map_err(too_large)?;
        let far = self.offset >= LIMIT;
        let mut common = Vec::with_capacity(26);
        common.extend((if far { 45u16 } else { 20 }).to_le_bytes()); // version needed
        common.extend((1u16 << 11).to_le_bytes()); // names are UTF-8
        common.extend((member.method as u16).to_le_bytes());
        common.extend([0, 0, 0x21, 0]); // 1980-01-01: the same pack gives the same bytes
        common.extend(member.crc.to_le_bytes());
        common.extend(packed.to_le_bytes());
        common.extend(size.to_le_bytes());
        common.extend(name_len.to_le_bytes());

        let mut local = Vec::with_capacity(30 + member.name.len());
        local.extend(b"PK\x03\x04");
        local.extend(&common);
        local.extend(0u16.to_le_bytes());
        local.extend(member.name.as_bytes());
        self.inner.write_all(&local)?;
        self.inner.write_all(&member.data)?;

        let directory = &mut self.directory;
        directory.extend(b"PK\x01\x02");
        directory.extend(45u16.to_le_bytes()); // made by
        directory.extend(&common);
        directory.extend((if far { 12u16 } else { 0 }).to_le_bytes());
        directory.extend([0; 10]); // comment, disk, attributes
        directory.extend(low(self.offset).to_le_bytes());
        directory.extend(member.name.as_bytes());
        if far {
            directory.extend([1, 0, 8, 0]);
            directory.extend(self.offset.to_le_bytes());
        }
        self.offset += local.len() as u64 + member.data.len() as u64;
        self.members += 1;
        Ok(())
    }

    /// Write the directory; gives the file's size.
    pub(crate) fn finish(mut self) -> io::Result<(W, u64)> {
        let (start, size) = (self.offset, self.directory.len() as u64);
        let mut end = Vec::new();
        if start >= LIMIT || size >= LIMIT || self.members >= u64::from(u16::MAX) {
            end.extend(b"PK\x06\x06");
            end.extend(44u64.to_le_bytes());
            end.extend([45, 0, 45, 0]);
            end.extend([0; 8]); // disks
            end.extend(self.members.to_le_bytes());
            end.extend(self.members.to_le_bytes());
            end.extend(size.to_le_bytes());
            end.extend(start.to_le_bytes());
            end.extend(b"PK\x06\x07");
            end.extend(0u32.to_le_bytes());
            end.extend((start + size).to_le_bytes());
            end.extend(1u32.to_le_bytes());
        }
        let count = u16::try_from(self.members).unwrap_or(u16::MAX);
        end.extend(b"PK\x05\x06");
        end.extend([0; 4]);
        end.extend(count.to_le_bytes());
        end.extend(count.to_le_bytes());
        end.extend(low(size).to_le_bytes());
        end.extend(low(start).to_le_bytes());
        end.extend([0; 2]);
        self.inner.write_all(&self.directory)?;
        self.inner.write_all(&end)?;
        self.inner.flush()?;
        Ok((self.inner, start + size + end.len() as u64))
    }
}

/// The 32-bit field of a value: all ones where the zip64 one holds it.
fn low(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

/// A pack opened for reading.
pub(crate) struct PackReader<R> {
    archive: zip::ZipArchive<R>,
    path: std::path::PathBuf,
}

impl PackReader<io::BufReader<std::fs::File>> {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let file = std::fs::File::open(path).map_err(StoreError::io(path, "opening the pack"))?;
        Self::new(io::BufReader::new(file), path)
    }
}

impl<R: Read + Seek> PackReader<R> {
    pub(crate) fn new(inner: R, path: &Path) -> Result<Self, StoreError> {
        let archive = zip::ZipArchive::new(inner).map_err(|error| damaged(path, "a zip", &error))?;
        Ok(Self { archive, path: path.to_owned() })
    }

    /// The lines of the manifest, in order.
    pub(crate) fn manifest(&mut self) -> Result<Vec<Line>, StoreError> {
        let bytes = self.member(MANIFEST)?;
        bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| {
                serde_json::from_slice(line).map_err(|error| damaged(&self.path, "a manifest of JSON lines", &error))
            })
            .collect()
    }

    /// The bytes of a member, unpacked as far as the zip packed them.
    pub(crate) fn member(&mut self, name: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.path.clone();
        let mut member =
            self.archive.by_name(name).map_err(|error| damaged(&path, &format!("a member {name}"), &error))?;
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).map_err(|error| damaged(&path, &format!("a sound member {name}"), &error))?;
        Ok(bytes)
    }

    /// A member's bytes as an original.
    pub(crate) fn original(&mut self, name: &str) -> Result<Original, StoreError> {
        let bytes = self.member(name)?;
        let gzip = Path::new(name).extension().is_some_and(|extension| extension == "gz");
        Ok(if gzip { Original::Gzip(bytes) } else { Original::Xml(bytes) })
    }
}

fn damaged(path: &Path, expected: &str, found: &dyn std::fmt::Display) -> StoreError {
    StoreError::Damaged { path: path.to_owned(), expected: expected.to_owned(), found: found.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_reads_back_what_was_written() {
        let mut zip = ZipWriter::new(Vec::new());
        zip.add(&Member::stored("a.xml.gz".into(), b"not really gzip".to_vec())).unwrap();
        zip.add(&Member::deflated("b.xml".into(), &b"<feedback/>".repeat(100))).unwrap();
        let (bytes, size) = zip.finish().unwrap();
        assert_eq!(bytes.len() as u64, size);
        let mut pack = PackReader::new(io::Cursor::new(bytes), Path::new("pack.zip")).unwrap();
        assert_eq!(pack.original("a.xml.gz").unwrap(), Original::Gzip(b"not really gzip".to_vec()));
        assert_eq!(pack.original("b.xml").unwrap(), Original::Xml(b"<feedback/>".repeat(100)));
    }

    #[test]
    fn a_pack_of_more_than_65535_members_opens() {
        let mut zip = ZipWriter::new(Vec::new());
        for number in 0..70_000 {
            zip.add(&Member::stored(format!("{number}.xml"), vec![b'x'])).unwrap();
        }
        let (bytes, _) = zip.finish().unwrap();
        let mut pack = PackReader::new(io::Cursor::new(bytes), Path::new("pack.zip")).unwrap();
        assert_eq!(pack.member("69999.xml").unwrap(), b"x");
    }
}
