//! Report identity: a hash of a report's values tells whether two reports are the same one, a hash of its document
//! tells a duplicate from a conflict. The form of both is part of the store format.

use super::domain::{canonical_domain, of_address};
use crate::model::{Domain, FindingCode, Findings, Hash, Metadata, ReportKey, Text};
use crate::parse::scan::first_blank;
use crate::parse::without_blanks;
use compact_str::ToCompactString as _;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// The domain of a reporter's address; `None` if it is no address.
pub fn reporter_domain(address: &str) -> Option<Domain> {
    let address = Some(address).filter(|address| address.contains('@'))?;
    canonical_domain(of_address(address))
}

/// The reporter's ID, else one derived from the content.
pub(super) fn report_id(
    written: Option<&str>,
    content: impl FnOnce() -> Hash,
    path: &str,
    findings: &mut Findings,
) -> Text {
    if let Some(id) = written.filter(|id| !id.is_empty()) {
        return id.into();
    }
    let mut id = content().to_compact_string();
    id.truncate(32);
    findings.note(FindingCode::METADATA_DERIVED, || {
        format!("{path}: expected an id, found nothing: taken as {id} from the content")
    });
    id
}

/// The identity of a report: reporter, policy domain, ID and period, trimmed; names and domains ignore case
/// (`docs/standards.md` section 2.4). The ID is case-sensitive, because some reporters' IDs are base64.
///
/// `report_id` alone is not enough: reporters share numbering schemes, and some reuse an ID every day.
pub(super) fn key(metadata: &Metadata, policy_domain: &Domain) -> ReportKey {
    key_of(metadata, policy_domain, bare_id(metadata))
}

/// The key as computed before version 3 of the store, with the ID in lower case; `None` if that is the same.
pub(super) fn former_key(metadata: &Metadata, policy_domain: &Domain) -> Option<ReportKey> {
    let id = bare_id(metadata);
    if id.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return None;
    }
    let folded = id.to_lowercase();
    (folded != id).then(|| key_of(metadata, policy_domain, &folded))
}

/// The ID without the white space and brackets around it.
fn bare_id(metadata: &Metadata) -> &str {
    let id = metadata.report_id.as_str();
    match id.as_bytes() {
        // Hardly any text needs it, as its first and last characters show.
        [first, .., last] if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() => id,
        _ => id.trim_matches(|c: char| c.is_whitespace() || c == '<' || c == '>'),
    }
}

fn key_of(metadata: &Metadata, policy_domain: &Domain, report_id: &str) -> ReportKey {
    let email = metadata.email.as_deref().map(of_address).unwrap_or_default();
    let email =
        canonical_domain(email).map_or_else(|| email.to_lowercase().into(), |domain| Text::from(domain.as_str()));
    let mut hash = Sha256::new();
    // No text of a document contains the separator: XML forbids it.
    for field in [
        metadata.org_name.trim().to_lowercase().as_str(),
        &email,
        policy_domain.as_str(),
        report_id,
        &metadata.begin.as_second().to_compact_string(),
        &metadata.end.as_second().to_compact_string(),
    ] {
        hash.update(field);
        hash.update([0]);
    }
    short(hash)
}

/// A key: the first half of a hash.
fn short(hash: Sha256) -> ReportKey {
    let mut key = [0; 16];
    key.copy_from_slice(&hash.finalize()[..16]);
    ReportKey(key)
}

/// The identity of a TLS report: reporter, id, policy domains and period. Names and domains in any case, domains in any
/// order and each once.
pub(super) fn tls_key(
    org_name: &str,
    report_id: &str,
    mut domains: Vec<String>,
    (begin, end): (Timestamp, Timestamp),
) -> ReportKey {
    domains.sort_unstable();
    domains.dedup();
    let mut hash = Sha256::new();
    let (org_name, period) = (org_name.to_lowercase(), [begin.as_second().to_string(), end.as_second().to_string()]);
    // JSON allows every separator in a text, so each stands behind its length; the first word tells it from other keys.
    let fields = ["tls report", &org_name, report_id].into_iter().chain(period.iter().map(String::as_str));
    for field in fields.chain(domains.iter().map(String::as_str)) {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    short(hash)
}

/// The hash of a JSON document without white space between its values.
pub(super) fn content_of_json(document: &str) -> Hash {
    let (mut hasher, mut block) = (blake3::Hasher::new(), Vec::with_capacity(BLOCK));
    without_blanks(document, |piece| {
        if block.len() + piece.len() > BLOCK {
            hasher.update(&block);
            block.clear();
        }
        if piece.len() > BLOCK {
            hasher.update(piece);
        } else {
            block.extend_from_slice(piece);
        }
    });
    Hash(hasher.update(&block).finalize().into())
}

/// Bytes collected before they are hashed: the hash processes several blocks at once.
const BLOCK: usize = 16 << 10;

/// The hash of a document from its first tag to its last, without white space between tags and with normalized line
/// ends: mail systems and editors change those, and the content stays the same. [`super::each_report`] gives the document.
/// Reading a report does not need it, and it takes a quarter of the time that reading takes.
pub fn content_hash(document: &str) -> Hash {
    let document = document.as_bytes();
    let mut block = vec![0; document.len().min(BLOCK) + 8];
    let mut hasher: Option<blake3::Hasher> = None;
    let mut at = 0;
    loop {
        let filled;
        (filled, at) = squeeze(document, at, &mut block);
        let squeezed = &block[..filled];
        if at == document.len() {
            return Hash(match hasher {
                None => blake3::hash(squeezed).into(),
                Some(mut hasher) => hasher.update(squeezed).finalize().into(),
            });
        }
        hasher.get_or_insert_default().update(squeezed);
    }
}

/// Copies a document from an offset into a block, without white space between tags and with normalized line ends. Returns
/// how much of the block is filled, and the offset reached.
///
/// White space comes every twenty bytes or so: copying word by word costs less than searching for it first.
fn squeeze(document: &[u8], from: usize, block: &mut [u8]) -> (usize, usize) {
    let (mut filled, mut at) = (0, from);
    while block.len() - filled >= 8 {
        let (words, _) = document[at..].as_chunks::<8>();
        let (rooms, _) = block[filled..].as_chunks_mut();
        let (mut copied, mut blank) = (0, None);
        for (word, room) in words.iter().zip(rooms) {
            *room = *word;
            blank = first_blank(*word);
            copied += blank.unwrap_or(8);
            if blank.is_some() {
                break;
            }
        }
        (filled, at) = (filled + copied, at + copied);
        let Some(byte) = document.get(at) else { break };
        if blank.is_none() && block.len() - filled < 8 {
            break;
        }
        if at > 0 && document[at - 1] == b'>' {
            let is_blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
            let behind = at + document[at..].iter().take_while(is_blank).count();
            if document.get(behind) == Some(&b'<') && behind > at {
                at = behind;
                continue;
            }
        }
        block[filled] = *byte;
        if *byte == b'\r' {
            block[filled] = b'\n';
            at += usize::from(document.get(at + 1) == Some(&b'\n'));
        }
        filled += 1;
        at += 1;
    }
    (filled, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        Metadata {
            org_name: "Receiver".into(),
            email: Some("dmarc@receiver.example.net".into()),
            extra_contact_info: None,
            report_id: "r-0001".into(),
            begin: Timestamp::from_second(1_772_496_000).expect("in range"),
            end: Timestamp::from_second(1_772_582_399).expect("in range"),
            errors: Vec::new(),
            generator: None,
            version: None,
        }
    }

    fn keyed(change: impl FnOnce(&mut Metadata)) -> ReportKey {
        let mut metadata = metadata();
        change(&mut metadata);
        key(&metadata, &Domain::from_canonical("example.com"))
    }

    #[test]
    fn the_key_is_stable() {
        insta::assert_snapshot!(keyed(|_| {}), @"094d1cb24e57e34d5085fac21c2e4d4c");
    }

    #[test]
    fn white_space_angle_brackets_and_case_of_names_do_not_change_the_key() {
        let same = keyed(|_| {});
        assert_eq!(keyed(|metadata| metadata.org_name = " RECEIVER".into()), same);
        assert_eq!(keyed(|metadata| metadata.report_id = " <r-0001> ".into()), same);
        assert_eq!(keyed(|metadata| metadata.email = Some("other@Receiver.example.net.".into())), same);
    }

    #[test]
    fn reporter_id_domain_and_period_each_change_the_key() {
        let all = [
            keyed(|_| {}),
            keyed(|metadata| metadata.org_name = "Other".into()),
            keyed(|metadata| metadata.report_id = "r-0001@receiver".into()),
            keyed(|metadata| metadata.email = None),
            keyed(|metadata| metadata.end = metadata.begin),
            keyed(|metadata| metadata.begin = metadata.end),
            key(&metadata(), &Domain::from_canonical("example.org")),
        ];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn ids_that_differ_in_case_differ_except_in_the_former_key() {
        let former = |id: &str| {
            former_key(&Metadata { report_id: id.into(), ..metadata() }, &Domain::from_canonical("example.com"))
        };
        let lower = keyed(|metadata| metadata.report_id = "agvsbg8".into());
        assert_ne!(keyed(|metadata| metadata.report_id = "aGVsbG8".into()), lower);
        assert_eq!((former("aGVsbG8"), former("<AGVsbG8>"), former("agvsbg8")), (Some(lower), Some(lower), None));
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let one = keyed(|metadata| (metadata.org_name, metadata.report_id) = ("ab".into(), "c".into()));
        let other = keyed(|metadata| (metadata.org_name, metadata.report_id) = ("a".into(), "bc".into()));
        assert_ne!(one, other);
    }

    #[test]
    fn white_space_between_tags_does_not_change_the_content() {
        let line = "<a><b>x y</b><c></c></a>";
        for indented in ["<a>\n  <b>x y</b>\n  <c></c>\n</a>", "<a>\r\n\t<b>x y</b>\r\n<c> </c> </a>"] {
            assert_eq!(content_hash(indented), content_hash(line), "{indented}");
        }
        for other in ["<a><b>x  y</b><c></c></a>", "<a><b> x y</b><c></c></a>", "<a><b>x y</b><c></c>z</a>"] {
            assert_ne!(content_hash(other), content_hash(line), "{other}");
        }
    }

    #[test]
    fn line_ends_do_not_change_the_content() {
        assert_eq!(content_hash("<a>\r\n\r\n<b>\r</a>"), content_hash("<a>\n\n<b>\n</a>"));
        assert_ne!(content_hash("<a>x\n</a>"), content_hash("<a>x\n\n</a>"));
        for long in [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK] {
            let lines = format!("{}\n{}\n\n", "a".repeat(long), "b\n".repeat(long));
            assert_eq!(content_hash(&lines.replace('\n', "\r\n")), content_hash(&lines));
            assert_eq!(content_hash(&lines), Hash(blake3::hash(lines.as_bytes()).into()));
        }
    }

    /// What [`content_hash`] hashes.
    fn squeezed(document: &str) -> String {
        let lines = document.replace("\r\n", "\n").replace('\r', "\n");
        let tags = lines.split_inclusive('>').map(|piece| {
            let inked = piece.trim_start_matches([' ', '\t', '\n']);
            if inked.starts_with('<') { inked } else { piece }
        });
        // What stands before the first tag stays.
        let blank = lines.len() - lines.trim_start_matches([' ', '\t', '\n']).len();
        let before = if lines[blank..].starts_with('<') { &lines[..blank] } else { "" };
        std::iter::once(before).chain(tags).collect()
    }

    proptest::proptest! {
        #[test]
        fn content_is_the_hash_of_the_squeezed_document(piece in "([<>a \t\r\n]|>[ \r\n]{0,20}<|é){0,40}", times in 1_usize..4000) {
            for document in [piece.repeat(times.min(3)), piece.repeat(times)] {
                proptest::prop_assert_eq!(content_hash(&document), Hash(blake3::hash(squeezed(&document).as_bytes()).into()));
            }
        }
    }
}
