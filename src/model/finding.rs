//! Findings: what was odd about an item that was kept anyway.

/// The stable name of a kind of finding, such as `period.swapped`. `docs/findings.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FindingCode(&'static str);

impl FindingCode {
    /// The name.
    pub const fn as_str(self) -> &'static str {
        self.0
    }

    /// Whether it is about the mail around a report, not about the report.
    pub fn is_of_mail(self) -> bool {
        self.0.starts_with("mail.")
    }
}

impl std::fmt::Display for FindingCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// Declares every code once, with its meaning.
macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        impl FindingCode {
            $($(#[doc = $doc])+ pub const $name: FindingCode = FindingCode($text);)+
            /// Every code.
            pub const ALL: &'static [FindingCode] = &[$(FindingCode($text),)+];
            /// Their meanings, in the same order.
            const MEANINGS: &'static [&'static str] = &[$(concat!($($doc),+),)+];

            /// What the code means, in a sentence.
            pub fn meaning(self) -> &'static str {
                Self::ALL.iter().position(|code| *code == self).map_or("", |index| Self::MEANINGS[index].trim())
            }
        }
    };
}

codes! {
    /// An archive lay inside another archive.
    ARCHIVE_NESTED = "archive.nested";
    /// A member's name leads out of its folder; names are never used as paths.
    ARCHIVE_HOSTILE_NAME = "archive.hostile_name";
    /// Bytes that are neither padding nor an archive follow the archive.
    ARCHIVE_TRAILING = "archive.trailing";
    /// Text was not valid in its encoding and was repaired.
    TEXT_ENCODING = "text.encoding";
    /// The text contains control characters or others that no text should have; kept as U+FFFD or unchanged.
    TEXT_CONTROL = "text.control";
    /// A text value was longer than the limit and was cut.
    TEXT_CUT = "text.cut";
    /// An entity is not defined by XML; kept as written.
    XML_ENTITY = "xml.entity";
    /// A `<` or `&` in a value is not markup; kept as written.
    XML_UNESCAPED = "xml.unescaped";
    /// There is something other than white space before or after the document.
    XML_JUNK = "xml.junk";
    /// A tag without its partner was skipped.
    XML_STRAY_TAG = "xml.stray_tag";
    /// An element that may occur once is repeated; the first counts.
    XML_REPEATED = "xml.repeated";
    /// One file contained several documents.
    XML_SEVERAL = "xml.several";
    /// The JSON of a TLS report is not well-formed; what could be read was.
    JSON_SYNTAX = "json.syntax";
    /// The JSON of a TLS report is truncated; its complete policies were kept.
    JSON_CUT = "json.cut";
    /// A key that may occur once is repeated in the JSON of a TLS report; the first counts.
    JSON_REPEATED = "json.repeated";
    /// A value in the JSON of a TLS report has another type than in the standard.
    JSON_SHAPE = "json.shape";
    /// A nonstandard value was kept as text, or mapped to the standard word.
    WORD_UNKNOWN = "word.unknown";
    /// `begin` was after `end`.
    PERIOD_SWAPPED = "period.swapped";
    /// The period was in milliseconds, or otherwise not in whole seconds.
    PERIOD_UNIT = "period.unit";
    /// The report has no period; the attachment's name has one.
    PERIOD_FROM_NAME = "period.from_name";
    /// One end of the period was missing or unusable and was derived from the other.
    PERIOD_DERIVED = "period.derived";
    /// The period is over two days long.
    PERIOD_LONG = "period.long";
    /// The period is in an element with another name than `date_range`.
    PERIOD_ELEMENT = "period.element";
    /// The period is before DMARC existed.
    PERIOD_ANCIENT = "period.ancient";
    /// The period ends more than two days after the arrival (a rejection's code).
    PERIOD_FUTURE = "period.future";
    /// `org_name` or `report_id` was missing and was derived.
    METADATA_DERIVED = "metadata.derived";
    /// A row was set aside: its count is not a number of messages.
    ROW_COUNT = "row.count";
    /// A row or report counts more messages than is plausible: counted as written.
    ROW_COUNT_IMPLAUSIBLE = "row.count_implausible";
    /// A row with count 0 and no source was dropped: the reporter saw no messages.
    ROW_EMPTY = "row.empty";
    /// The source address was unusable, and the row counts for the unknown source; or there was more than an address.
    ROW_SOURCE = "row.source";
    /// A part of the row was damaged or missing.
    ROW_GAP = "row.gap";
    /// There was no usable `policy_evaluated`: alignment is recomputed.
    ROW_NOT_EVALUATED = "row.not_evaluated";
    /// A number of sessions is invalid: unknown, and counted as zero.
    TLS_COUNT = "tls.count";
    /// A TLS report has no summary of a policy: failed sessions were added up from the details.
    TLS_SUMMARY = "tls.summary";
    /// A policy or detail of a TLS report has no content and was left out.
    TLS_EMPTY = "tls.empty";
    /// An address of a server in a TLS report is invalid, or there is more than an address.
    TLS_ADDRESS = "tls.address";
    /// A value could not be read as a domain.
    DOMAIN_INVALID = "domain.invalid";
    /// The report is about a domain that is neither one of the settings' `domains` nor below one.
    DOMAIN_FOREIGN = "domain.foreign";
    /// There was more of something than the limit allows; the rest was dropped.
    LIMIT_DROPPED = "limit.dropped";
    /// Findings beyond the limit were counted, not kept.
    FINDINGS_MORE = "findings.more";
    /// An attachment is encoded differently than declared, or text follows it; decoded.
    MAIL_ENCODING = "mail.encoding";
    /// Your mail server recorded dmarc=fail for the mail that brought the report, or its signature does not verify.
    MAIL_UNAUTHENTICATED = "mail.unauthenticated";
    /// The mail is authentic, but its domain does not belong to the reporter named in the report.
    MAIL_OTHER_SENDER = "mail.other_sender";
    /// Nothing proves that the mail is from the reporter: it is unsigned, or the signature does not cover enough of it.
    MAIL_UNPROVEN = "mail.unproven";
}

/// One thing that had to be guessed, repaired, dropped or marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The kind.
    pub code: FindingCode,
    /// What was expected, what was found, and where. May contain untrusted text, which is cleaned when shown.
    pub detail: String,
}

impl Finding {
    /// A finding of this kind.
    pub fn new(code: FindingCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

/// The findings of one report while it is read. Findings beyond the limit are counted, not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    kept: Vec<Finding>,
    limit: u32,
    more: u64,
}

impl Findings {
    /// Room for `limit` findings.
    pub fn new(limit: u32) -> Self {
        Self { kept: Vec::new(), limit, more: 0 }
    }

    /// Notes one. The detail is only built if there is room, so a flood costs no memory and little time.
    pub fn note<D: Into<String>>(&mut self, code: FindingCode, detail: impl FnOnce() -> D) {
        if self.kept.len() < self.limit as usize {
            self.kept.push(Finding::new(code, detail()));
        } else {
            self.more += 1;
        }
    }

    /// The findings kept, in order, and one that counts the rest.
    pub fn into_vec(mut self) -> Vec<Finding> {
        if self.more > 0 {
            let detail = format!("{} findings beyond the {} that are kept", self.more, self.limit);
            self.kept.push(Finding::new(FindingCode::FINDINGS_MORE, detail));
        }
        self.kept
    }
}

/// Untrusted text for a detail: in quotes, escaped, and cut if it is long.
#[derive(Debug, Clone, Copy)]
pub struct Quoted<'x>(pub &'x str);

impl Quoted<'_> {
    /// Characters shown of a longer text.
    const SHOWN: usize = 64;
}

impl std::fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0.char_indices().nth(Self::SHOWN) {
            None => write!(f, "{:?}", self.0),
            Some((end, _)) => write!(f, "{:?} and more", &self.0[..end]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_beyond_the_limit_are_counted_in_a_last_one() {
        let mut findings = Findings::new(2);
        for n in 0..5 {
            findings.note(FindingCode::ROW_COUNT, || format!("{n}"));
        }
        let codes: Vec<_> = findings.into_vec().iter().map(|finding| finding.code).collect();
        assert_eq!(codes, [FindingCode::ROW_COUNT, FindingCode::ROW_COUNT, FindingCode::FINDINGS_MORE]);
    }

    #[test]
    fn quoted_text_is_escaped_and_cut() {
        assert_eq!(Quoted("a\u{1b}[2J").to_string(), "\"a\\u{1b}[2J\"");
        assert_eq!(Quoted(&"é".repeat(70)).to_string(), format!("\"{}\" and more", "é".repeat(64)));
    }
}
