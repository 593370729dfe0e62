//! All limits, and the meter that enforces them across a whole item.
//!
//! An item is one mail, or one file that is not a mailbox. All its archives and parts share one meter.

use std::sync::Arc;

/// The bounds of one item and of one report. Sizes in bytes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// The item itself: a mail or a file.
    pub item_bytes: u64,
    /// Everything an item inflates or decodes to, over all layers and members.
    pub inflated_bytes: u64,
    /// Ratio of inflated to compressed bytes of one stream, once it is past [`Limits::RATIO_GRACE`].
    pub ratio: u64,
    /// Members of archives (zip entries, gzip members) in an item.
    pub members: u32,
    /// Archives inside archives.
    pub archive_depth: u32,
    /// MIME parts in an item.
    pub mail_parts: u32,
    /// Multiparts and messages inside each other.
    pub mail_depth: u32,
    /// What a report may take in memory while it is read: its original, its text, and the rows made of them.
    pub report_bytes: u64,
    /// `<record>` elements in a report.
    pub records: u32,
    /// DKIM results, SPF results or reasons in one record, lines or hosts of a policy in a TLS report; more are dropped with
    /// a finding.
    pub results: u32,
    /// Policies in a TLS report.
    pub tls_policies: u32,
    /// Entries of `failure-details` in a TLS report, and lines of its policies, over all of them.
    pub tls_failures: u32,
    /// One text value in a report; longer text is cut with a finding.
    pub text_bytes: u32,
    /// XML elements inside each other.
    pub element_depth: u32,
    /// Findings kept per report; the last one counts the rest.
    pub findings: u32,
    /// Called with the size of an item while it grows.
    pub growth: Growth,
}

/// Called while an item grows, each time another [`Growth::STEP`] is full. It may wait: that is how a run keeps several
/// large items from being in memory at once.
#[derive(Clone, Default)]
pub struct Growth(Option<Arc<dyn Fn(Grown) + Send + Sync>>);

/// What an item uses memory for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grown {
    /// All bytes that it inflated or decoded to so far.
    Inflated(u64),
    /// This many more bytes of rows: a row of 70 bytes of XML is 300 bytes of values.
    Rows(u64),
}

impl Growth {
    /// Smaller items are not reported.
    pub const STEP: u64 = 1 << 20;

    /// Reports to this function.
    pub fn reported_to(to: impl Fn(Grown) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(to)))
    }

    /// Reports how much an item has grown.
    pub(crate) fn tell(&self, grown: Grown) {
        if let Some(told) = &self.0 {
            told(grown);
        }
    }
}

/// Returns freed memory to the system now. mimalloc keeps it for a second, while another thread may need as much. It
/// returns everything before it refuses an allocation, so this requests more than any 64-bit address space has.
#[cfg(feature = "store")]
pub(crate) fn return_freed_memory() {
    // Sanitizers abort a program that requests this much.
    if cfg!(all(target_pointer_width = "64", not(fuzzing))) {
        let mut impossible: Vec<u8> = Vec::new();
        let refused = impossible.try_reserve_exact(usize::MAX / 4);
        // The compiler removes an allocation that nobody looks at.
        std::hint::black_box(&mut impossible);
        debug_assert!(refused.is_err());
    }
}

impl std::fmt::Debug for Growth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Growth(told)" } else { "Growth" })
    }
}

impl Limits {
    /// Bytes a stream may inflate to before its ratio counts.
    pub const RATIO_GRACE: u64 = 1 << 20;
    /// How many times its compressed size a mailbox file may inflate to. Mail hardly ever reaches ten, and mailboxes of
    /// plain XML reports thirty.
    pub const MAILBOX_RATIO: u64 = 50;
    /// The least compressed bytes per message of a mailbox file: a real message has its own address, date and
    /// Message-ID, which do not compress away.
    pub const MAILBOX_MESSAGE: u64 = 32;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            item_bytes: 64 << 20,
            inflated_bytes: 100 << 20,
            ratio: 1000,
            members: 1000,
            archive_depth: 3,
            mail_parts: 1000,
            mail_depth: 16,
            // A quarter more than the largest real report would take: 100 MiB of text with 180,000 rows of two results.
            report_bytes: 240 << 20,
            records: 250_000,
            results: 100,
            tls_policies: 10_000,
            tls_failures: 25_000,
            text_bytes: 8 << 10,
            element_depth: 32,
            findings: 100,
            growth: Growth::default(),
        }
    }
}

/// Which bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bound {
    /// [`Limits::item_bytes`].
    ItemBytes,
    /// [`Limits::inflated_bytes`].
    InflatedBytes,
    /// [`Limits::ratio`].
    Ratio,
    /// [`Limits::members`].
    Members,
    /// [`Limits::archive_depth`].
    ArchiveDepth,
    /// [`Limits::mail_parts`].
    MailParts,
    /// [`Limits::mail_depth`].
    MailDepth,
    /// [`Limits::report_bytes`].
    ReportBytes,
}

/// An item exceeded a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct LimitExceeded {
    /// The bound.
    pub bound: Bound,
    /// How much there was; `None` if reading stopped at the bound.
    pub amount: Option<u64>,
    /// The limit.
    pub limit: u64,
}

impl std::fmt::Display for LimitExceeded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = |amount: u64| match self.bound {
            Bound::ItemBytes | Bound::InflatedBytes | Bound::ReportBytes => size(amount),
            _ => amount.to_string(),
        };
        match self.amount {
            Some(amount) => f.write_str(&unit(amount))?,
            None => write!(f, "more than {}", unit(self.limit))?,
        }
        let what = match self.bound {
            Bound::ItemBytes => "",
            Bound::InflatedBytes => " inflated",
            Bound::Ratio => " times its size inflated",
            Bound::Members => " archive members",
            Bound::ArchiveDepth => " archives within each other",
            Bound::MailParts => " MIME parts",
            Bound::MailDepth => " mails and multiparts within each other",
            Bound::ReportBytes => " of memory for one report",
        };
        write!(f, "{what}, the limit is {}", unit(self.limit))
    }
}

/// Formats a number of bytes: in whole MiB or KiB if that is exact, else in bytes.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..0x10_0000 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes >> 20),
    }
}

/// Counts what an item uses, over all its layers, members and parts, and stops it at the bounds.
///
/// Bytes are charged while they are produced, also for a damaged stream: a mail with a thousand bombs costs no more
/// than a mail with one.
#[derive(Debug)]
pub struct Meter<'l> {
    limits: &'l Limits,
    inflated: u64,
    members: u64,
    parts: u64,
}

impl<'l> Meter<'l> {
    /// A new meter for one item.
    pub fn new(limits: &'l Limits) -> Self {
        Self { limits, inflated: 0, members: 0, parts: 0 }
    }

    /// The bounds.
    pub fn limits(&self) -> &'l Limits {
        self.limits
    }

    /// Checks the size of the item itself.
    ///
    /// # Errors
    /// If it exceeds [`Limits::item_bytes`].
    pub fn item(&self, bytes: usize) -> Result<(), LimitExceeded> {
        check(Bound::ItemBytes, bytes as u64, self.limits.item_bytes)
    }

    /// How many bytes a compressed stream of this size may inflate to.
    pub fn allowance(&self, compressed: usize) -> u64 {
        self.ratio_allowance(compressed).min(self.limits.inflated_bytes.saturating_sub(self.inflated))
    }

    /// Charges bytes that were inflated or decoded. Never fails: check the [`Meter::allowance`] first.
    pub fn charge(&mut self, bytes: u64) {
        let before = self.inflated / Growth::STEP;
        self.inflated = self.inflated.saturating_add(bytes);
        if self.inflated / Growth::STEP > before {
            self.limits.growth.tell(Grown::Inflated(self.inflated));
        }
    }

    /// Reports memory that the item is about to use. Nothing is charged.
    pub fn announce(&self, bytes: u64) {
        if bytes >= Growth::STEP {
            self.limits.growth.tell(Grown::Inflated(self.inflated.saturating_add(bytes)));
        }
    }

    /// The bound that limited the allowance of a stream of this size, before anything of it was charged.
    pub fn overrun(&self, compressed: usize) -> LimitExceeded {
        if self.ratio_allowance(compressed) < self.limits.inflated_bytes.saturating_sub(self.inflated) {
            LimitExceeded { bound: Bound::Ratio, amount: None, limit: self.limits.ratio }
        } else {
            LimitExceeded { bound: Bound::InflatedBytes, amount: None, limit: self.limits.inflated_bytes }
        }
    }

    fn ratio_allowance(&self, compressed: usize) -> u64 {
        (compressed as u64).saturating_mul(self.limits.ratio).max(Limits::RATIO_GRACE)
    }

    /// Charges bytes whose number was known in advance, such as those of a decoded transfer encoding.
    ///
    /// # Errors
    /// If the sum exceeds [`Limits::inflated_bytes`]; then nothing is charged.
    pub fn decoded(&mut self, bytes: usize) -> Result<(), LimitExceeded> {
        if bytes as u64 > self.limits.inflated_bytes.saturating_sub(self.inflated) {
            return Err(LimitExceeded { bound: Bound::InflatedBytes, amount: None, limit: self.limits.inflated_bytes });
        }
        self.charge(bytes as u64);
        Ok(())
    }

    /// Counts a member of an archive.
    ///
    /// # Errors
    /// If there are more than [`Limits::members`].
    pub fn member(&mut self) -> Result<(), LimitExceeded> {
        count(&mut self.members, Bound::Members, self.limits.members)
    }

    /// Counts a MIME part.
    ///
    /// # Errors
    /// If there are more than [`Limits::mail_parts`].
    pub fn part(&mut self) -> Result<(), LimitExceeded> {
        count(&mut self.parts, Bound::MailParts, self.limits.mail_parts)
    }

    /// Checks how many archives are nested.
    ///
    /// # Errors
    /// If more than [`Limits::archive_depth`].
    pub fn archive_depth(&self, depth: u32) -> Result<(), LimitExceeded> {
        check(Bound::ArchiveDepth, depth.into(), self.limits.archive_depth.into())
    }

    /// Checks how many multiparts and messages are nested.
    ///
    /// # Errors
    /// If more than [`Limits::mail_depth`].
    pub fn mail_depth(&self, depth: u32) -> Result<(), LimitExceeded> {
        check(Bound::MailDepth, depth.into(), self.limits.mail_depth.into())
    }
}

/// Checks a known amount against the limit.
fn check(bound: Bound, amount: u64, limit: u64) -> Result<(), LimitExceeded> {
    if amount > limit { Err(LimitExceeded { bound, amount: Some(amount), limit }) } else { Ok(()) }
}

/// Adds one to the sum and checks it against the limit.
fn count(sum: &mut u64, bound: Bound, limit: u32) -> Result<(), LimitExceeded> {
    if *sum >= u64::from(limit) {
        return Err(LimitExceeded { bound, amount: None, limit: limit.into() });
    }
    *sum += 1;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exceeded_limit_names_amount_and_bound() {
        let limits = Limits::default();
        let meter = Meter::new(&limits);
        let error = meter.item(70 << 20).unwrap_err();
        assert_eq!(error.to_string(), "70 MiB, the limit is 64 MiB");
        assert_eq!(meter.overrun(10 << 20).to_string(), "more than 100 MiB inflated, the limit is 100 MiB");
        assert_eq!(meter.overrun(4096).to_string(), "more than 1000 times its size inflated, the limit is 1000");
        assert_eq!(meter.archive_depth(4).unwrap_err().to_string(), "4 archives within each other, the limit is 3");
    }

    #[test]
    fn all_streams_of_an_item_share_one_allowance() {
        let limits = Limits::default();
        let mut meter = Meter::new(&limits);
        let compressed = 1 << 20;
        assert_eq!(meter.allowance(compressed), 100 << 20);
        meter.charge(60 << 20);
        assert_eq!(meter.allowance(compressed), 40 << 20);
        assert!(meter.decoded(41 << 20).is_err());
        assert!(meter.decoded(40 << 20).is_ok());
        assert_eq!(meter.allowance(compressed), 0);
    }

    #[test]
    fn a_small_stream_may_inflate_to_the_grace_whatever_its_ratio() {
        let limits = Limits::default();
        assert_eq!(Meter::new(&limits).allowance(20), Limits::RATIO_GRACE);
    }

    #[test]
    fn members_and_parts_stop_one_past_the_bound() {
        let limits = Limits { members: 2, mail_parts: 1, ..Limits::default() };
        let mut meter = Meter::new(&limits);
        assert!(meter.member().is_ok() && meter.member().is_ok());
        assert_eq!(meter.member().unwrap_err().to_string(), "more than 2 archive members, the limit is 2");
        assert!(meter.part().is_ok());
        assert_eq!(meter.part().unwrap_err().bound, Bound::MailParts);
    }
}
