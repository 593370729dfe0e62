//! The rules of unpacking, on inputs built here. One file per subject; this one has the builders.

mod archives;
mod hostile;
mod kinds;
mod mails;
mod properties;

use super::{Content, OtherContent, Unpacked, UnpackedItem, unpack};
use crate::limits::Limits;
use crate::model::Original;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use std::io::{Cursor, Write};
use zip::write::SimpleFileOptions;

pub(super) const REPORT: &[u8] = b"<?xml version=\"1.0\"?>\n<feedback><version>1.0</version></feedback>\n";
pub(super) const NAME: &str = "receiver.example.net!example.com!1772496000!1772582399";

pub(super) fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zlib(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// A deflated zip of these members.
pub(super) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    zip_with(SimpleFileOptions::default(), members)
}

pub(super) fn zip_with(options: SimpleFileOptions, members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in members {
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Base64 in lines of 76 characters, as in mail.
pub(super) fn base64(content: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut letters: String = content
        .chunks(3)
        .flat_map(|chunk| {
            let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
            (0..4).map(
                move |at| {
                    if at > chunk.len() { '=' } else { char::from(LETTERS[(bits >> (18 - 6 * at)) as usize & 63]) }
                },
            )
        })
        .collect();
    for at in (76..letters.len()).step_by(76).rev() {
        letters.insert_str(at, "\r\n");
    }
    letters
}

/// A part: its header lines, a blank line, its body.
pub(super) fn part(headers: &str, body: &str) -> String {
    format!("{}\r\n\r\n{body}", headers.replace('\n', "\r\n"))
}

/// A part with a file in it.
pub(super) fn attachment(kind: &str, name: &str, content: &[u8]) -> String {
    let headers = format!(
        "Content-Type: {kind}\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"{name}\""
    );
    part(&headers, &base64(content))
}

/// A multipart's header line and body.
pub(super) fn multipart(kind: &str, boundary: &str, parts: &[String]) -> String {
    let body = parts.iter().map(|part| format!("--{boundary}\r\n{part}\r\n")).collect::<Vec<_>>().concat();
    part(&format!("Content-Type: multipart/{kind}; boundary=\"{boundary}\""), &format!("{body}--{boundary}--\r\n"))
}

/// A whole mail around an entity.
pub(super) fn mail(entity: &str) -> Vec<u8> {
    let head = "From: Reports <noreply@receiver.example.net>\r\nTo: dmarc@example.com\r\n\
                Date: Wed, 04 Mar 2026 01:10:00 +0000\r\nMessage-ID: <1@receiver.example.net>\r\nMIME-Version: 1.0\r\n";
    format!("{head}{entity}").into_bytes()
}

pub(super) fn open(bytes: &[u8], name: Option<&str>) -> Unpacked {
    unpack(bytes.to_vec(), name, &Limits::default())
}

/// One line per item: its path, and what it is.
pub(super) fn lines(unpacked: &Unpacked) -> Vec<String> {
    let line = |unit: &UnpackedItem| {
        let what = match &unit.content {
            Content::Report { xml, .. } if xml == REPORT => "report".to_owned(),
            Content::Report { xml, .. } => format!("report of {} bytes", xml.len()),
            Content::TlsReport { .. } => "TLS report".to_owned(),
            Content::SetAside(kind) => format!("{kind:?}"),
            Content::Rejected { reason, .. } => reason.clone(),
        };
        let findings = unit.findings.iter().map(|finding| format!(" [{}]", finding.code)).collect::<Vec<_>>().concat();
        let path = unit.path.join(" > ");
        if path.is_empty() { format!("{what}{findings}") } else { format!("{path}: {what}{findings}") }
    };
    unpacked.items.iter().map(line).collect()
}

/// The lines of a file with this name.
pub(super) fn file(name: &str, bytes: &[u8]) -> Vec<String> {
    lines(&open(bytes, Some(name)))
}

/// The lines of a mail.
pub(super) fn mailed(entity: &str) -> Vec<String> {
    lines(&open(&mail(entity), None))
}

/// The gzip file kept as the original of the only report.
pub(super) fn original(bytes: &[u8]) -> Option<Vec<u8>> {
    match open(bytes, Some("file")).items.remove(0).content {
        Content::Report { original: Some(Original::Gzip(gzip)), .. } => Some(gzip),
        Content::Report { original: None, .. } => None,
        other => panic!("expected a report, found {other:?}"),
    }
}

#[test]
fn the_builders_build_base64() {
    assert_eq!(base64(b"a"), "YQ==");
    assert_eq!(base64(b"ab"), "YWI=");
    assert_eq!(base64(b"abc\xff"), "YWJj/w==");
    assert_eq!(OtherContent::Other.max(OtherContent::Failure), OtherContent::Failure);
}
