//! Says whose network an address belongs to, by databases that the user has: MaxMind's format, or tables of iptoasn.com.
//!
//! What a file is, its content tells, not its name. None is part of dmarquet.

pub(crate) mod installed;
mod mmdb;
mod table;

use crate::store::StoredNetwork;
use anyhow::{Context as _, anyhow};
use flate2::read::MultiGzDecoder;
use mmdb::Mmdb;
use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// The largest file that is read, uncompressed: twice what the largest of them has.
const FILE_BYTES: u64 = 1 << 30;
/// Characters kept of a name.
const NAME: usize = 100;
/// What a gzip file begins with.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Bytes that tell what a file is.
const BEGINNING: u64 = 4096;

/// Databases; the first that knows something goes first.
#[derive(Debug)]
pub(crate) struct GeoIp(Vec<Database>);

#[derive(Debug)]
struct Database {
    path: PathBuf,
    format: Format,
}

#[derive(Debug)]
enum Format {
    Mmdb(Mmdb),
    /// Read anew for each batch of addresses.
    Table,
}

impl GeoIp {
    /// Read the files. None at all: nothing is known.
    pub(crate) fn open(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let open = |path: &PathBuf| Database::open(path).with_context(|| name(path));
        paths.iter().map(open).collect::<anyhow::Result<_>>().map(Self)
    }

    /// Whether there is nothing to ask.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What the databases say of each of these addresses.
    pub(crate) fn networks(&self, addresses: &[IpAddr]) -> anyhow::Result<Vec<StoredNetwork>> {
        let mut networks = vec![StoredNetwork::default(); addresses.len()];
        for database in &self.0 {
            let found = database.networks(addresses).with_context(|| name(&database.path))?;
            for (network, found) in networks.iter_mut().zip(found) {
                let Some(found) = found else { continue };
                network.asn = network.asn.or(found.asn);
                network.as_name = network.as_name.take().or(found.as_name);
                network.country = network.country.take().or(found.country);
            }
        }
        Ok(networks)
    }
}

fn name(path: &Path) -> String {
    format!("geoip: {}", path.display())
}

impl Database {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let size = std::fs::metadata(path)?.len();
        if size > FILE_BYTES {
            return Err(anyhow!("expected a file of 1 GiB at most, found {size} bytes"));
        }
        let mut begin = Vec::new();
        File::open(path)?.take(BEGINNING).read_to_end(&mut begin)?;
        let is_compressed = begin.starts_with(&GZIP);
        if is_compressed {
            begin.clear();
            MultiGzDecoder::new(File::open(path)?).take(BEGINNING).read_to_end(&mut begin)?;
        }
        let format = if table::is_table(&begin) {
            Format::Table
        } else if is_compressed {
            let mut bytes = Vec::new();
            MultiGzDecoder::new(File::open(path)?).take(FILE_BYTES).read_to_end(&mut bytes)?;
            Format::Mmdb(Mmdb::new(bytes)?)
        } else {
            Format::Mmdb(Mmdb::new(std::fs::read(path)?)?)
        };
        Ok(Self { path: path.to_owned(), format })
    }

    fn networks(&self, addresses: &[IpAddr]) -> anyhow::Result<Vec<Option<StoredNetwork>>> {
        match &self.format {
            Format::Mmdb(database) => addresses.iter().map(|address| database.network(*address)).collect(),
            Format::Table => table::networks(&self.path, addresses),
        }
    }
}

/// A country's code in capitals; `None` where it is something else.
fn country(code: &str) -> Option<String> {
    let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_code.then(|| code.to_ascii_uppercase())
}
