//! The memory that a row takes for texts too long to be kept within it.

use crate::model::{
    Disposition, DkimResult, Domain, Evaluated, ReasonType, Record, ReturnPath, SpfResult, SpfScope, Text,
};

/// Bytes of the long texts of a row, and of the organizational domain in its verdict.
pub(super) fn long_texts(record: &Record) -> usize {
    let envelope_from = match &record.envelope_from {
        ReturnPath::Domain(domain) => Some(domain),
        ReturnPath::Unsaid | ReturnPath::Null => None,
    };
    let row = 2 * domain(record.header_from.as_ref())
        + domain(envelope_from)
        + domain(record.envelope_to.as_ref())
        + word(record.disposition.as_ref().map(Disposition::as_str))
        + word(record.evaluated_dkim.as_ref().map(Evaluated::as_str))
        + word(record.evaluated_spf.as_ref().map(Evaluated::as_str));
    let dkim = record.dkim.iter().map(|dkim| {
        domain(dkim.domain.as_ref())
            + text(dkim.selector.as_ref())
            + word(dkim.result.as_ref().map(DkimResult::as_str))
            + text(dkim.human_result.as_ref())
    });
    let spf = record.spf.iter().map(|spf| {
        domain(spf.domain.as_ref())
            + word(spf.scope.as_ref().map(SpfScope::as_str))
            + word(spf.result.as_ref().map(SpfResult::as_str))
            + text(spf.human_result.as_ref())
    });
    let reasons = record.reasons.iter();
    let reasons =
        reasons.map(|reason| word(reason.kind.as_ref().map(ReasonType::as_str)) + text(reason.comment.as_ref()));
    row + dkim.chain(spf).chain(reasons).sum::<usize>()
}

fn text(text: Option<&Text>) -> usize {
    text.filter(|text| text.is_heap_allocated()).map_or(0, Text::capacity)
}

fn domain(domain: Option<&Domain>) -> usize {
    domain.map_or(0, |domain| word(Some(domain.as_str())))
}

/// A keyword or a name. Known keywords take nothing, and none of them is long.
fn word(word: Option<&str>) -> usize {
    word.map(str::len).filter(|length| *length > size_of::<Text>()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_count_by_length_and_the_senders_domain_twice() {
        let mut record = Record {
            source_ip: None,
            count: 1,
            disposition: Some(Disposition::Quarantine),
            evaluated_dkim: None,
            evaluated_spf: None,
            reasons: Vec::new(),
            header_from: Some(Domain::from_canonical("mail.example.com")),
            envelope_from: ReturnPath::Unsaid,
            envelope_to: None,
            dkim: Vec::new(),
            spf: Vec::new(),
        };
        assert_eq!(long_texts(&record), 0);
        let long = "a-name-of-just-40-bytes.long.example.com";
        record.header_from = Some(Domain::from_canonical(long));
        record.disposition = Some(Disposition::Other(long.into()));
        assert_eq!(long_texts(&record), 3 * 40);
    }
}
