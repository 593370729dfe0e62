//! Looks up the network of an address in the user's databases: the `MaxMind` format or tables from <https://iptoasn.com>.
//!
//! The format is detected from the content, not the name. No database is part of dmarquet.

mod file;
pub(crate) mod installed;
mod mmdb;
mod table;

use crate::store::StoredNetwork;
use anyhow::{Context as _, anyhow};
use file::{FILE_BYTES, open};
use mmdb::Mmdb;
use std::io::Read as _;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

/// Bytes used to detect the format.
const BEGINNING: u64 = 4096;

/// Databases; the first one with an answer wins.
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
    /// Read again for each batch of addresses.
    Table,
}

impl GeoIp {
    /// Opens the files; there may be none.
    pub(crate) fn open(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let open = |path: &PathBuf| Database::open(path).with_context(|| name(path));
        paths.iter().map(open).collect::<anyhow::Result<_>>().map(Self)
    }

    /// Whether there are no databases.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The networks of these addresses.
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
        open(path)?.take(BEGINNING).read_to_end(&mut begin)?;
        let format = if table::is_table(&begin) {
            Format::Table
        } else {
            let mut bytes = Vec::new();
            open(path)?.take(FILE_BYTES).read_to_end(&mut bytes)?;
            Format::Mmdb(Mmdb::new(bytes)?)
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
