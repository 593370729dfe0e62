//! Judged rows in columns: `store` reads them and `analyze` adds them up. Plain vectors of equal length.
//!
//! A caller selects columns; the others are empty. Each run of rows has one dictionary per keyword column, so sums work
//! on small integers and each distinct text is looked at once.

use super::{Cause, PolicyPublished, ReportKey, SenderAuth, Text};
use jiff::{Timestamp, civil::Date};
use std::net::IpAddr;

/// A source address as one integer: IPv6, or IPv4 mapped into it (`::ffff:0:0/96`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceAddress(pub u128);

impl SourceAddress {
    /// No usable address. The all-ones address is multicast and can never send.
    pub const UNKNOWN: SourceAddress = SourceAddress(u128::MAX);

    /// The address; `None` for the unknown source.
    pub fn address(self) -> Option<IpAddr> {
        (self != Self::UNKNOWN).then(|| std::net::Ipv6Addr::from_bits(self.0).to_canonical())
    }
}

impl From<Option<IpAddr>> for SourceAddress {
    fn from(address: Option<IpAddr>) -> Self {
        match address {
            Some(IpAddr::V4(v4)) => Self(v4.to_ipv6_mapped().to_bits()),
            Some(IpAddr::V6(v6)) => Self(v6.to_bits()),
            None => Self::UNKNOWN,
        }
    }
}

/// Whether a network contains an address: their first `bits` bits are equal. A value longer than the address means all
/// bits.
pub fn is_in_network(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let bits = u32::from(bits) + if network.is_ipv4() { 96 } else { 0 };
    let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits)).unwrap_or(0);
    let difference = SourceAddress::from(Some(address)).0 ^ SourceAddress::from(Some(network)).0;
    address.is_ipv4() == network.is_ipv4() && difference & mask == 0
}

/// Parses an address or a network, and how many of its leading bits count: `192.0.2.7`, `192.0.2.0/24`, `2001:db8::/32`.
pub fn parse_network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.trim().parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits: u8 = bits.map_or(Some(most), |bits| bits.trim().parse().ok())?;
    (bits <= most).then_some((address, bits))
}

/// A column of words: one code per row, and the word for each code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Words {
    /// An index into `dictionary`, or [`Words::NULL`].
    pub codes: Vec<u32>,
    /// The distinct words of this run of rows.
    pub dictionary: Vec<Text>,
}

impl Words {
    /// The code of a missing word.
    pub const NULL: u32 = u32::MAX;

    /// The word of a row.
    pub fn get(&self, row: usize) -> Option<&str> {
        self.dictionary.get(self.codes[row] as usize).map(Text::as_str)
    }
}

/// The yes-or-no columns of a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Flags(pub u8);

impl Flags {
    /// `dmarc_pass`.
    pub const PASS: u8 = 1;
    /// `dkim_aligned`.
    pub const DKIM: u8 = 2;
    /// `spf_aligned`.
    pub const SPF: u8 = 4;
    /// `recomputed_dkim` is true.
    pub const RECOMPUTED_DKIM: u8 = 8;
    /// `recomputed_spf` is true.
    pub const RECOMPUTED_SPF: u8 = 16;
    /// Either recomputation could say.
    pub const RECOMPUTED: u8 = 32;

    /// Whether all of these are set.
    pub const fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }
}

/// A selection of columns of [`Rows`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ColumnSet(u32);

impl ColumnSet {
    /// Only the number of rows.
    pub const NONE: Self = Self(0);
    /// `day`.
    pub const DAY: Self = Self(1);
    /// `source`.
    pub const SOURCE: Self = Self(1 << 1);
    /// `count`.
    pub const COUNT: Self = Self(1 << 2);
    /// `flags`, all of them.
    pub const FLAGS: Self = Self(1 << 3);
    /// `cause`.
    pub const CAUSE: Self = Self(1 << 4);
    /// `policy_domain`.
    pub const POLICY_DOMAIN: Self = Self(1 << 5);
    /// `org_name`.
    pub const ORG_NAME: Self = Self(1 << 6);
    /// `header_from`.
    pub const HEADER_FROM: Self = Self(1 << 7);
    /// `envelope_from`.
    pub const ENVELOPE_FROM: Self = Self(1 << 8);
    /// `disposition`.
    pub const DISPOSITION: Self = Self(1 << 9);
    /// `dkim_domain`.
    pub const DKIM_DOMAIN: Self = Self(1 << 10);
    /// `dkim_selector`.
    pub const DKIM_SELECTOR: Self = Self(1 << 11);
    /// `dkim_result`.
    pub const DKIM_RESULT: Self = Self(1 << 12);
    /// `spf_domain`.
    pub const SPF_DOMAIN: Self = Self(1 << 13);
    /// `spf_result`.
    pub const SPF_RESULT: Self = Self(1 << 14);
    /// `mismatch`.
    pub const MISMATCH: Self = Self(1 << 15);
    /// `sender_auth`.
    pub const SENDER_AUTH: Self = Self(1 << 16);
    /// `reason`.
    pub const REASON: Self = Self(1 << 17);
    /// Only [`Flags::PASS`], [`Flags::DKIM`] and [`Flags::SPF`] of `flags`: three columns less to read.
    pub const ALIGNMENT: Self = Self(1 << 18);
    /// `signatures`.
    pub const SIGNATURES: Self = Self(1 << 19);
    /// Every column.
    pub const ALL: Self = Self((1 << 20) - 1);

    /// The columns of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The columns that `other` does not have.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether it has all columns of `other`.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A run of judged rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rows {
    /// How many.
    pub len: usize,
    /// `date`, in days since 1970-01-01.
    pub day: Vec<i32>,
    /// `source_ip`.
    pub source: Vec<SourceAddress>,
    /// `count`: messages.
    pub count: Vec<i64>,
    /// The yes-or-no columns.
    pub flags: Vec<Flags>,
    /// `cause`.
    pub cause: Vec<Cause>,
    /// `policy_domain`.
    pub policy_domain: Words,
    /// `org_name`: the reporter.
    pub org_name: Words,
    /// `header_from`.
    pub header_from: Words,
    /// `envelope_from`.
    pub envelope_from: Words,
    /// `disposition`.
    pub disposition: Words,
    /// `dkim_domain`.
    pub dkim_domain: Words,
    /// `dkim_selector`.
    pub dkim_selector: Words,
    /// `dkim_result`.
    pub dkim_result: Words,
    /// `spf_domain`.
    pub spf_domain: Words,
    /// `spf_result`.
    pub spf_result: Words,
    /// `mismatch`.
    pub mismatch: Words,
    /// `sender_auth`.
    pub sender_auth: Words,
    /// The type of the first override reason; `arc=pass` if its comment says so; `sampled_out` or `policy_test_mode` if
    /// any reason is one of these.
    pub reason: Words,
    /// All signatures, if the deciding one is not enough: there are several, or the reporter's text mentions the body.
    /// One [`signature_line`] each.
    pub signatures: Words,
}

/// How many signatures of a row are kept; RFC 6376 lets receivers stop earlier.
pub const SIGNATURES_READ: usize = 16;

/// One signature in the `signatures` column, separated by tabs: domain, selector, result, and `body` if the reporter
/// says that the body was changed.
pub fn signature_line(domain: &str, selector: &str, result: &str, body: bool) -> String {
    format!("{domain}\t{selector}\t{result}\t{}", if body { "body" } else { "" })
}

/// A signature of the `signatures` column; what a report does not say is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureColumns<'a> {
    /// The signing domain.
    pub domain: &'a str,
    /// The selector of the key.
    pub selector: &'a str,
    /// The result.
    pub result: &'a str,
    /// Whether the reporter says that the body was changed.
    pub body: bool,
}

impl<'a> SignatureColumns<'a> {
    /// The signatures in a value of the column.
    pub fn all(lines: &'a str) -> impl Iterator<Item = Self> {
        lines.lines().map(|line| {
            let mut fields = line.split('\t');
            let mut field = || fields.next().unwrap_or("");
            Self { domain: field(), selector: field(), result: field(), body: field() == "body" }
        })
    }
}

/// Whether a reporter's text about a signature mentions the body: `body hash did not verify`, `body has been altered`.
pub fn speaks_of_body(human_result: &str) -> bool {
    human_result.to_ascii_lowercase().contains("body")
}

impl Rows {
    /// All columns of words.
    pub fn words(&self) -> [&Words; 14] {
        [
            &self.policy_domain,
            &self.org_name,
            &self.header_from,
            &self.envelope_from,
            &self.disposition,
            &self.dkim_domain,
            &self.dkim_selector,
            &self.dkim_result,
            &self.spf_domain,
            &self.spf_result,
            &self.mismatch,
            &self.sender_auth,
            &self.reason,
            &self.signatures,
        ]
    }

    /// All columns of words, mutable.
    pub fn words_mut(&mut self) -> [&mut Words; 14] {
        [
            &mut self.policy_domain,
            &mut self.org_name,
            &mut self.header_from,
            &mut self.envelope_from,
            &mut self.disposition,
            &mut self.dkim_domain,
            &mut self.dkim_selector,
            &mut self.dkim_result,
            &mut self.spf_domain,
            &mut self.spf_result,
            &mut self.mismatch,
            &mut self.sender_auth,
            &mut self.reason,
            &mut self.signatures,
        ]
    }
}

/// A report without its rows: its line in the `reports` table.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportHead {
    /// Identity.
    pub key: ReportKey,
    /// The reporter.
    pub org_name: Text,
    /// The reporter's address.
    pub org_email: Option<Text>,
    /// The reporter's ID.
    pub report_id: Text,
    /// Start of the period.
    pub begin: Timestamp,
    /// End of the period.
    pub end: Timestamp,
    /// The day it counts for.
    pub day: Date,
    /// The policy the receiver saw.
    pub policy: PolicyPublished,
    /// Rows stored.
    pub records: i64,
    /// Sum of the rows' counts.
    pub messages: i64,
    /// Messages that pass.
    pub dmarc_pass: i64,
    /// Whether the mail was authentic.
    pub sender_auth: SenderAuth,
    /// Codes of its findings.
    pub findings: Vec<Text>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_the_addresses_that_share_its_leading_bits() {
        let held = |address: &str, network: &str, bits| {
            is_in_network(address.parse().unwrap(), network.parse().unwrap(), bits)
        };
        assert!(held("192.0.2.77", "192.0.2.0", 24));
        assert!(!held("192.0.3.77", "192.0.2.0", 24));
        assert!(held("192.0.2.7", "192.0.2.7", 32));
        assert!(!held("192.0.2.1", "192.0.2.0", 32));
        assert!(held("192.0.2.7", "198.51.100.1", 0));
        assert!(held("2001:db8::1", "2001:db8::", 64));
        assert!(held("2001:db8::1", "::", 0));
        assert!(held("1080::8:800:1:2", "1080::8:800:4400:301", 96));
        assert!(!held("2001:db8::1", "2001:db8::2", 128));
        assert!(!held("192.0.2.7", "::", 0), "an IPv6 network holds no IPv4 address");
    }
}

/// What a report says of the reporter that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportNotes {
    /// The reporter.
    pub org_name: Text,
    /// The domain it is about.
    pub policy_domain: Text,
    /// The day it counts for.
    pub day: Date,
    /// The software that made it.
    pub generator: Option<Text>,
    /// How the reporter found the policy: `psl`, `treewalk`, or another word.
    pub discovery_method: Option<Text>,
    /// What the reporter says went wrong.
    pub errors: Vec<Text>,
    /// Codes of what was odd about the report.
    pub findings: Vec<Text>,
}
