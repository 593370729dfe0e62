//! Reads tables of address ranges as published by iptoasn.com (public domain, PDDL): each line has the first and last
//! address, AS number, country code and AS name, separated by tabs. IPv4, IPv6 or both; addresses as text or, in the
//! `u32` edition, as numbers.
//!
//! A table is read once for many addresses, line by line, so that memory use does not grow with it.

use super::file::{FILE_BYTES, NAME, country, open};
use crate::store::StoredNetwork;
use anyhow::{Context as _, anyhow};
use std::io::{BufRead, Read as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

/// Maximum length of a line.
const LINE_BYTES: u64 = 4096;

/// A line of the table.
struct TableLine<'a> {
    first: IpAddr,
    last: IpAddr,
    asn: u32,
    country: &'a str,
    as_name: &'a str,
}

/// Whether the bytes look like a table.
pub(super) fn is_table(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    std::str::from_utf8(line).is_ok_and(|line| parse(line).is_some())
}

/// The networks of these addresses.
pub(super) fn networks(path: &Path, addresses: &[IpAddr]) -> anyhow::Result<Vec<Option<StoredNetwork>>> {
    let mut sorted: Vec<(IpAddr, usize)> =
        addresses.iter().enumerate().map(|(place, address)| (address.to_canonical(), place)).collect();
    sorted.sort_unstable();
    let mut found: Vec<Option<StoredNetwork>> = vec![None; addresses.len()];
    for_each_line(open(path)?, |number, line| {
        let line = parse(line).ok_or_else(|| {
            anyhow!("line {number}: expected a first and a last address, an AS number, a country code and a name")
        })?;
        let from = sorted.partition_point(|(address, _)| *address < line.first);
        // Addresses of the other family lie outside the range.
        let held = sorted[from..].iter().take_while(|(address, _)| *address <= line.last);
        for (_, place) in held.filter(|(address, _)| address.is_ipv4() == line.first.is_ipv4()) {
            found[*place] = line.network();
        }
        Ok(())
    })?;
    Ok(found)
}

fn for_each_line(mut lines: impl BufRead, mut each: impl FnMut(u64, &str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (mut line, mut number, mut bytes) = (Vec::new(), 0_u64, 0_u64);
    loop {
        line.clear();
        number += 1;
        let read = lines.by_ref().take(LINE_BYTES).read_until(b'\n', &mut line);
        let read = read.with_context(|| format!("line {number}"))? as u64;
        bytes += read;
        if read == 0 {
            return Ok(());
        }
        if read == LINE_BYTES && !line.ends_with(b"\n") {
            return Err(anyhow!("line {number}: expected {LINE_BYTES} bytes at most, found more"));
        }
        if bytes > FILE_BYTES {
            return Err(anyhow!("expected 1 GiB at most, found more"));
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\r', '\n']);
        if !text.is_empty() {
            each(number, text)?;
        }
    }
}

fn parse(line: &str) -> Option<TableLine<'_>> {
    let mut fields = line.trim_end_matches('\r').splitn(5, '\t');
    let mut address = || {
        let text = fields.next()?;
        let number = || text.parse::<u32>().ok().map(|number| IpAddr::V4(Ipv4Addr::from_bits(number)));
        text.parse().ok().or_else(number)
    };
    let (first, last): (IpAddr, IpAddr) = (address()?, address()?);
    let same_family = first.is_ipv4() == last.is_ipv4();
    let asn = fields.next()?.parse().ok()?;
    let (country, as_name) = (fields.next()?, fields.next().unwrap_or_default());
    (same_family && first <= last).then_some(TableLine { first, last, asn, country, as_name })
}

impl TableLine<'_> {
    /// `None` if the range is not announced: its number is 0.
    fn network(&self) -> Option<StoredNetwork> {
        let name = Some(self.as_name.trim()).filter(|name| !name.is_empty());
        (self.asn != 0).then(|| StoredNetwork {
            asn: Some(self.asn),
            as_name: name.map(|name| name.chars().take(NAME).collect()),
            country: country(self.country),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const TABLE: &str = "192.0.2.0\t192.0.2.127\t64500\tDE\tEXAMPLE-AS - An example\n\
                         192.0.2.128\t192.0.2.255\t0\tNone\tNot routed\n3325256704\t3325256959\t64501\tUS\tNUMBERS\n\
                         2001:db8::\t2001:db8:ffff:ffff:ffff:ffff:ffff:ffff\t64502\tNone\tSIX\r\n\n";

    fn read(bytes: &[u8]) -> anyhow::Result<Vec<Option<StoredNetwork>>> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), bytes)?;
        let addresses =
            ["192.0.2.200", "2001:db8::7", "192.0.2.127", "::1", "198.51.100.5", "192.0.2.0", "192.0.1.255"];
        networks(file.path(), &addresses.map(|address| address.parse().unwrap()))
    }

    #[test]
    fn ranges_of_both_families_are_found_compressed_or_not() {
        let network = |asn, as_name: &str, country: Option<&str>| {
            Some(StoredNetwork { asn: Some(asn), as_name: Some(as_name.into()), country: country.map(str::to_owned) })
        };
        let example = network(64_500, "EXAMPLE-AS - An example", Some("DE"));
        let expected = [
            None,
            network(64_502, "SIX", None),
            example.clone(),
            None,
            network(64_501, "NUMBERS", Some("US")),
            example,
            None,
        ];
        assert!(is_table(TABLE.as_bytes()) && !is_table(b"not a table") && !is_table(b""));
        assert_eq!(read(TABLE.as_bytes()).unwrap(), expected);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(TABLE.as_bytes()).unwrap();
        assert_eq!(read(&gzip.finish().unwrap()).unwrap(), expected);
    }

    #[test]
    fn a_broken_table_is_an_error_that_names_the_line() {
        let fault = |text: &str| format!("{:#}", read(text.as_bytes()).unwrap_err());
        assert!(fault(&format!("{TABLE}192.0.2.0\t192.0.2.1\n")).starts_with("line 6: expected a first"));
        assert!(fault("192.0.2.9\t192.0.2.1\t1\tDE\tx\n").starts_with("line 1: "), "backwards");
        assert!(fault("192.0.2.0\t2001:db8::\t1\tDE\tx\n").starts_with("line 1: "), "of two families");
        assert!(fault(&format!("192.0.2.0\t192.0.2.1\t1\tDE\t{}\n", "x".repeat(5000))).contains("4096 bytes at most"));
        assert!(read(&[0x1f, 0x8b, 8, 0, 0, 0]).is_err(), "cut short");
    }
}
