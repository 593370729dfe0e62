//! A pack: the originals of a batch in one plain zip, with `manifest.ndjson` as its last member.
//!
//! Gzip originals are stored as they are, XML and JSON deflated, so that any unzip opens it. The manifest has what is
//! known about each report only from its mail, so that the tables can be rebuilt from packs.

use super::manifest::{MANIFEST, ManifestLine, PackItem, Standing, line};
use crate::model::{Hash, Original, ReportKey, ReportKind};
use crate::store::disk::files;
use crate::store::error::StoreError;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// The content of the pack for a batch's reports of one month.
pub(crate) struct PackContents<'a> {
    /// Each original once, with its name.
    originals: Vec<(String, &'a Original)>,
    manifest: Vec<u8>,
}

impl<'a> PackContents<'a> {
    /// Names the originals and lists the reports.
    pub(crate) fn of(accepted: &[PackItem<'a>], standing: &dyn Fn(ReportKey) -> Standing) -> Self {
        let mut names = HashMap::new();
        let mut originals = Vec::with_capacity(accepted.len());
        let mut manifest = Vec::new();
        for (report, hash) in accepted.iter().zip(hashes(accepted)) {
            let key = report.key.to_string();
            // Several documents of one file share one original: it is kept once.
            let standing = standing(report.key);
            let name = names.entry(hash).or_insert_with(|| {
                // The replaced report has an original named after the key, and packs are merged.
                let place = if standing.replaced > 0 { format!("-{}", standing.replaced) } else { String::new() };
                let extension = match report.kind {
                    ReportKind::Aggregate => "xml",
                    ReportKind::Tls => "json",
                };
                let name = match report.original.as_ref() {
                    Original::Plain(_) => format!("{key}{place}.{extension}"),
                    Original::Gzip(_) => format!("{key}{place}.{extension}.gz"),
                };
                originals.push((name.clone(), report.original.as_ref()));
                name
            });
            let line = line(report, key, name.clone(), hash, standing);
            serde_json::to_writer(&mut manifest, &line).expect("a line of plain values serializes");
            manifest.push(b'\n');
        }
        Self { originals, manifest }
    }

    /// Writes them.
    pub(crate) fn write(&self, out: impl Write) -> io::Result<()> {
        let mut pack = PackWriter::new(out);
        self.originals.iter().try_for_each(|(name, original)| pack.original(name, original))?;
        pack.finish(&self.manifest)
    }
}

/// The hash of each report's original, on all cores. Reports of one file share it: it is hashed once.
fn hashes(accepted: &[PackItem<'_>]) -> Vec<Hash> {
    use rayon::prelude::*;
    let fresh = |index: usize| index == 0 || !Arc::ptr_eq(accepted[index - 1].original, accepted[index].original);
    let found = accepted.par_iter().enumerate();
    let found: Vec<Option<Hash>> =
        found.map(|(index, report)| fresh(index).then(|| hash(report.original.bytes()))).collect();
    let mut last = Hash([0; 32]);
    let each = found.into_iter().map(|hash| {
        last = hash.unwrap_or(last);
        last
    });
    each.collect()
}

/// SHA-256.
pub(crate) fn hash(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

/// Writes a pack from front to back.
pub(crate) struct PackWriter<W: Write> {
    /// Before `zip`, since fields are dropped in this order.
    unfinished: Unfinished,
    zip: zip::ZipWriter<zip::write::StreamWriter<PackOutput<W>>>,
}

/// Tells the output, when dropped, that nothing of the pack matters any more. The zip crate ends an archive that is
/// dropped, and writes to standard error if that fails: on a full disk, beside the error that was already returned.
struct Unfinished(Arc<AtomicBool>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The output of a pack. After an error, or once the pack is given up, it takes what comes and writes nothing.
struct PackOutput<W> {
    out: W,
    given_up: Arc<AtomicBool>,
}

impl<W: Write> PackOutput<W> {
    fn unless_given_up<T>(&mut self, otherwise: T, act: impl FnOnce(&mut W) -> io::Result<T>) -> io::Result<T> {
        if self.given_up.load(Ordering::Relaxed) {
            return Ok(otherwise);
        }
        let done = act(&mut self.out);
        if done.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted) {
            self.given_up.store(true, Ordering::Relaxed);
        }
        done
    }
}

impl<W: Write> Write for PackOutput<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unless_given_up(bytes.len(), |out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unless_given_up((), W::flush)
    }
}

impl<W: Write> PackWriter<W> {
    pub(crate) fn new(out: W) -> Self {
        let given_up = Arc::new(AtomicBool::new(false));
        let output = PackOutput { out, given_up: Arc::clone(&given_up) };
        Self { unfinished: Unfinished(given_up), zip: zip::ZipWriter::new_stream(output) }
    }

    /// Adds an original: gzip as it is, XML deflated.
    pub(crate) fn original(&mut self, name: &str, original: &Original) -> io::Result<()> {
        let method = match original {
            Original::Gzip(_) => CompressionMethod::Stored,
            Original::Plain(_) => CompressionMethod::Deflated,
        };
        self.add(name, method, original.bytes())
    }

    /// Adds a member of another pack, unchanged.
    pub(crate) fn copy<R: Read + Seek>(&mut self, from: &mut PackReader<R>, name: &str) -> Result<(), StoreError> {
        let path = from.path.clone();
        let member = from.raw_member(name)?;
        self.zip.raw_copy_file(member).map_err(|error| StoreError::io(&path, "copying the pack")(error.into()))
    }

    /// Adds the manifest and finishes the pack.
    pub(crate) fn finish(mut self, manifest: &[u8]) -> io::Result<()> {
        if self.unfinished.0.load(Ordering::Relaxed) {
            return Err(io::Error::other("an earlier write failed"));
        }
        self.add(MANIFEST, CompressionMethod::Deflated, manifest)?;
        self.zip.finish()?.into_inner().flush()
    }

    fn add(&mut self, name: &str, method: CompressionMethod, bytes: &[u8]) -> io::Result<()> {
        // Fast, not small: only plain XML and the manifest are deflated here.
        let level = (method == CompressionMethod::Deflated).then_some(2);
        let options = SimpleFileOptions::default().compression_method(method).compression_level(level);
        self.zip.start_file(name, options)?;
        self.zip.write_all(bytes)
    }
}

/// A member of a pack that cannot be read, or was changed.
pub(crate) struct BadMember {
    pub(crate) error: StoreError,
    /// The reports in it.
    pub(crate) lines: Vec<ManifestLine>,
}

/// A pack opened for reading.
pub(crate) struct PackReader<R> {
    archive: zip::ZipArchive<R>,
    path: std::path::PathBuf,
}

impl PackReader<io::BufReader<std::fs::File>> {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let file = files::open(path).map_err(StoreError::io(path, "opening the pack"))?;
        Self::new(io::BufReader::new(file), path)
    }
}

impl<R: Read + Seek> PackReader<R> {
    pub(crate) fn new(inner: R, path: &Path) -> Result<Self, StoreError> {
        let archive = zip::ZipArchive::new(inner).map_err(|error| damaged(path, "a zip", &error))?;
        Ok(Self { archive, path: path.to_owned() })
    }

    /// The lines of the manifest, in order.
    pub(crate) fn manifest(&mut self) -> Result<Vec<ManifestLine>, StoreError> {
        let bytes = self.manifest_bytes()?;
        self.lines(&bytes)
    }

    /// The raw manifest.
    pub(crate) fn manifest_bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        self.member(MANIFEST)
    }

    /// Passes on each original once with the lines of its reports, checked against its hash. Returns damaged ones.
    pub(crate) fn originals(
        &mut self,
        mut each: impl FnMut(Original, Vec<ManifestLine>) -> Result<(), StoreError>,
    ) -> Result<Vec<BadMember>, StoreError> {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut members: Vec<Vec<ManifestLine>> = Vec::new();
        for line in self.manifest()? {
            let place = *places.entry(line.member.clone()).or_insert_with(|| {
                members.push(Vec::new());
                members.len() - 1
            });
            members[place].push(line);
        }
        let mut bad = Vec::new();
        for lines in members {
            match self.checked(&lines) {
                Ok(original) => each(original, lines)?,
                Err(error @ StoreError::Damaged { .. }) => bad.push(BadMember { error, lines }),
                Err(error) => return Err(error),
            }
        }
        Ok(bad)
    }

    /// The original of some lines, if it matches their hash.
    fn checked(&mut self, lines: &[ManifestLine]) -> Result<Original, StoreError> {
        let Some(ManifestLine { member, .. }) = lines.first() else {
            return Err(damaged(&self.path, "a member with reports", &"none"));
        };
        let original = self.original(member)?;
        let found = hash(original.bytes()).to_string();
        match lines.iter().find(|line| line.sha256 != found) {
            None => Ok(original),
            Some(line) => Err(damaged(&self.path, &format!("a member {member} with hash {}", line.sha256), &found)),
        }
    }

    /// The member of each line of the manifest.
    pub(crate) fn members_of(&self, manifest: &[u8]) -> Result<Vec<String>, StoreError> {
        #[derive(Deserialize)]
        struct Member {
            member: String,
        }
        Ok(self.lines(manifest)?.into_iter().map(|Member { member }| member).collect())
    }

    fn lines<T: serde::de::DeserializeOwned>(&self, manifest: &[u8]) -> Result<Vec<T>, StoreError> {
        let lines = manifest.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines
            .map(|line| {
                serde_json::from_slice(line).map_err(|error| damaged(&self.path, "a manifest of JSON lines", &error))
            })
            .collect()
    }

    /// The bytes of a member, decompressed.
    pub(crate) fn member(&mut self, name: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.path.clone();
        let mut member =
            self.archive.by_name(name).map_err(|error| damaged(&path, &format!("a member {name}"), &error))?;
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).map_err(|error| damaged(&path, &format!("a sound member {name}"), &error))?;
        Ok(bytes)
    }

    /// A member as stored in the zip.
    fn raw_member(&mut self, name: &str) -> Result<zip::read::ZipFile<'_, R>, StoreError> {
        let damaged = |error: &dyn std::fmt::Display| damaged(&self.path, &format!("a member {name}"), error);
        let index = self.archive.index_for_name(name).ok_or_else(|| damaged(&"none"))?;
        self.archive.by_index_raw(index).map_err(|error| damaged(&error))
    }

    /// A member's bytes as an original.
    pub(crate) fn original(&mut self, name: &str) -> Result<Original, StoreError> {
        Ok(original_of(Path::new(name), self.member(name)?))
    }
}

/// The lines of a pack's manifest; `None` if the pack is damaged.
pub(crate) fn manifest_of(pack: &Path) -> Result<Option<Vec<ManifestLine>>, StoreError> {
    StoreError::unless_damaged(PackReader::open(pack).and_then(|mut pack| pack.manifest()))
}

/// The bytes of a file or member as an original: its name says whether they are compressed.
pub(crate) fn original_of(name: &Path, bytes: Vec<u8>) -> Original {
    let gzip = name.extension().is_some_and(|extension| extension == "gz");
    if gzip { Original::Gzip(bytes) } else { Original::Plain(bytes) }
}

fn damaged(path: &Path, expected: &str, found: &dyn std::fmt::Display) -> StoreError {
    StoreError::damaged(path, expected, found.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with room for so many bytes.
    struct Disk(usize);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_pack_whose_write_failed_is_never_finished() {
        let original = Original::Gzip(vec![7; 500]);
        let mut pack = PackWriter::new(Disk(400));
        let error = pack.original("a.xml.gz", &original).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        assert!(pack.finish(b"").is_err());
        let mut pack = PackWriter::new(Disk(600));
        pack.original("a.xml.gz", &original).unwrap();
        assert!(pack.finish(b"{}").is_err(), "no room for the end");
    }

    fn pack(bytes: Vec<u8>) -> PackReader<io::Cursor<Vec<u8>>> {
        PackReader::new(io::Cursor::new(bytes), Path::new("pack.zip")).unwrap()
    }

    #[test]
    fn a_pack_reads_back_what_was_written_and_copied() {
        let gzip = Original::Gzip(b"not really gzip".to_vec());
        let xml = Original::Plain(b"<feedback/>".repeat(100));
        let mut first = Vec::new();
        let mut writer = PackWriter::new(&mut first);
        writer.original("a.xml.gz", &gzip).unwrap();
        writer.original("b.xml", &xml).unwrap();
        writer.finish(b"").unwrap();
        assert!(first.len() < 800, "XML is deflated: {} bytes", first.len());
        let mut second = Vec::new();
        let mut writer = PackWriter::new(&mut second);
        let mut from = pack(first);
        writer.copy(&mut from, "a.xml.gz").unwrap();
        writer.copy(&mut from, "b.xml").unwrap();
        assert!(matches!(writer.copy(&mut from, "c.xml"), Err(StoreError::Damaged { .. })));
        writer.finish(b"").unwrap();
        for mut pack in [from, pack(second)] {
            assert_eq!(pack.original("a.xml.gz").unwrap(), gzip);
            assert_eq!(pack.original("b.xml").unwrap(), xml);
        }
    }

    #[test]
    fn a_pack_of_more_than_65535_members_opens() {
        let mut bytes = Vec::new();
        let mut writer = PackWriter::new(&mut bytes);
        for number in 0..70_000 {
            writer.original(&format!("{number}.xml.gz"), &Original::Gzip(vec![b'x'])).unwrap();
        }
        writer.finish(b"").unwrap();
        assert_eq!(pack(bytes).member("69999.xml.gz").unwrap(), b"x");
    }
}
