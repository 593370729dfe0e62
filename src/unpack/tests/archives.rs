//! Files: XML in any encoding, gzip, zip, zlib, and formats that are recognized but not opened.

use super::*;

#[test]
fn xml_is_recognized_by_content_whatever_the_name() {
    for name in ["report.xml", "report.xml.gz", "report.zip", "report.txt", "no-extension"] {
        assert_eq!(file(name, REPORT), ["report"], "{name}");
    }
}

#[test]
fn xml_may_have_a_byte_order_mark_white_space_junk_or_utf_16_around_it() {
    let text = "<?xml version=\"1.0\"?><feedback></feedback>";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    for (what, bytes) in [
        ("byte order mark", [b"\xef\xbb\xbf", text.as_bytes()].concat()),
        ("white space", [b"\r\n \t", text.as_bytes()].concat()),
        ("junk", [b"Content-Type: text/xml\r\n\r\n", text.as_bytes()].concat()),
        ("zeros", [b"\0\0\0", text.as_bytes()].concat()),
        ("UTF-16 LE with a mark", [b"\xff\xfe", &little[..]].concat()),
        ("UTF-16 BE with a mark", [b"\xfe\xff", &big[..]].concat()),
        ("UTF-16 LE", little.clone()),
        ("UTF-16 BE", big.clone()),
        ("a prefix", b"garbage <d:feedback xmlns:d='urn:ietf:params:xml:ns:dmarc-2.0'/>".to_vec()),
    ] {
        assert_eq!(file("file", &bytes), [format!("report of {} bytes", bytes.len())], "{what}");
    }
}

#[test]
fn a_clean_gzip_is_kept_as_it_came() {
    let gz = gzip(REPORT);
    assert_eq!(file("report.xml.gz", &gz), ["report"]);
    assert_eq!(original(&gz), Some(gz));
    assert_eq!(original(REPORT), None);
}

#[test]
fn gzip_members_are_one_document() {
    let (first, second) = REPORT.split_at(30);
    let gz = [gzip(first), gzip(second)].concat();
    assert_eq!(file("a.gz", &gz), ["report"]);
    assert_eq!(original(&gz), Some(gz));
}

#[test]
fn zeros_behind_a_gzip_are_padding_and_anything_else_is_a_finding() {
    let gz = gzip(REPORT);
    let padded = [&gz[..], &[0; 300]].concat();
    assert_eq!(file("a.gz", &padded), ["report"]);
    assert_eq!(original(&padded), Some(gz.clone()), "without the padding");
    assert_eq!(file("a.gz", &[&gz[..], b"\r\n"].concat()), ["report [archive.trailing]"]);
    assert_eq!(file("a.gz", &[&gz[..], b"\0\0x\0"].concat()), ["report [archive.trailing]"]);
}

#[test]
fn a_gzip_cut_anywhere_or_damaged_is_rejected_whole() {
    let gz = gzip(REPORT);
    for end in 3..gz.len() {
        let lines = file("a.gz", &gz[..end]);
        assert!(lines[0].starts_with("gzip: cut short: expected more bytes"), "{end}: {lines:?}");
    }
    let mut damaged = gz.clone();
    let at = gz.len() - 6;
    damaged[at] ^= 1;
    assert_eq!(file("a.gz", &damaged), ["gzip: damaged: incorrect data check"]);
    assert!(file("a.gz", &[&gz[..], &gz[..20]].concat())[0].starts_with("gzip: cut short"), "the second member");
}

#[test]
fn an_archive_in_an_archive_is_opened_with_a_finding() {
    let once = gzip(REPORT);
    let twice = gzip(&once);
    assert_eq!(file("a.gz.gz", &twice), ["report [archive.nested]"]);
    assert_eq!(original(&twice), Some(once));
    assert_eq!(file("a.zip.gz", &gzip(&zip(&[("r.xml", REPORT)]))), ["r.xml: report [archive.nested]"]);
    assert_eq!(file("a.zip", &zip(&[("r.xml.gz", &gzip(REPORT))])), ["r.xml.gz: report [archive.nested]"]);
}

#[test]
fn archives_nest_no_deeper_than_the_limit() {
    let deep = (0..4).fold(REPORT.to_vec(), |inner, _| gzip(&inner));
    assert_eq!(file("a.gz", &deep)[0].split(" [").next(), Some("4 archives within each other, the limit is 3"));
}

#[test]
fn raw_zlib_is_opened_and_kept_in_a_gzip_frame() {
    let stream = zlib(REPORT);
    assert_eq!(file("report.zlib", &stream), ["report"]);
    let kept = original(&stream).unwrap();
    assert_eq!(file("kept", &kept), ["report"]);
    assert_eq!(original(&kept), Some(kept));
}

#[test]
fn a_zip_members_stream_is_kept_in_a_gzip_frame_and_a_stored_member_as_xml() {
    let deflated = zip(&[("r.xml", REPORT)]);
    assert_eq!(file("a.zip", &deflated), ["r.xml: report"]);
    let kept = original(&deflated).unwrap();
    assert_eq!(file("kept", &kept), ["report"]);
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let stored = zip_with(stored, &[("r.xml", REPORT)]);
    assert_eq!(file("a.zip", &stored), ["r.xml: report"]);
    assert_eq!(original(&stored), None);
}

#[test]
fn a_member_longer_than_its_stream_is_kept_as_a_gzip_file_that_opens() {
    let mut zip = zip(&[("a.xml", REPORT)]);
    let directory = zip.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    zip.splice(directory..directory, *b"more");
    let (directory, end) = (directory + 4, zip.len() - 22);
    zip[directory + 20] += 4;
    zip[end + 16..end + 20].copy_from_slice(&u32::try_from(directory).unwrap().to_le_bytes());
    let gzip = original(&zip).unwrap();
    assert_eq!(file("again.xml.gz", &gzip), ["report"]);
}

#[test]
fn sizes_come_from_the_central_directory_also_those_of_zip64() {
    let mut writer = zip::ZipWriter::new_stream(Vec::new());
    writer.start_file("r.xml", SimpleFileOptions::default()).unwrap();
    writer.write_all(REPORT).unwrap();
    let streamed = writer.finish().unwrap().into_inner();
    assert!(streamed.windows(4).any(|four| four == b"PK\x07\x08"), "a data descriptor");
    assert_eq!(file("a.zip", &streamed), ["r.xml: report"]);
    let large = zip_with(SimpleFileOptions::default().large_file(true), &[("r.xml", REPORT)]);
    assert_eq!(file("a.zip", &large), ["r.xml: report"]);
}

#[test]
fn bytes_before_or_after_a_zip_do_not_hide_it() {
    let zip = zip(&[("r.xml", REPORT)]);
    assert_eq!(file("a.zip", &[&zip[..], &[0; 100]].concat()), ["r.xml: report"]);
    assert_eq!(file("a.zip", &[b"PK00", &zip[..]].concat()), ["r.xml: report"]);
}

#[test]
fn every_member_is_read_and_two_may_share_a_name() {
    let other = [REPORT, b"<!-- -->"].concat();
    let mut zip = zip(&[("a/r.xml", REPORT), ("b/r.xml", &other), ("c/x.xml", REPORT)]);
    assert_eq!(file("a.zip", &zip), ["r.xml: report", "r.xml: report of 74 bytes", "x.xml: report"]);
    // Rename `b/r.xml` to `a/r.xml` in both headers.
    for at in 0..zip.len() - 7 {
        if &zip[at..at + 7] == b"b/r.xml" {
            zip[at] = b'a';
        }
    }
    assert_eq!(file("a.zip", &zip).len(), 3);
}

#[test]
fn folders_and_macos_metadata_are_skipped() {
    let members: [(&str, &[u8]); 5] = [
        ("reports/", b""),
        ("reports/2026/r.xml", REPORT),
        ("__MACOSX/reports/2026/._r.xml", b"\0\x05\x16\x07"),
        ("reports/.DS_Store", b"\0\0\0\x01Bud1"),
        ("Thumbs.db", b"\xd0\xcf\x11\xe0"),
    ];
    assert_eq!(file("a.zip", &zip(&members)), ["r.xml: report"]);
    assert_eq!(file("a.zip", &zip(&members[..1])), ["zip: no report in it: expected XML, found 0 files"]);
}

#[test]
fn a_file_beside_the_report_is_skipped_unless_it_should_be_a_report() {
    let zip = zip(&[("README.txt", b"hello"), ("r.xml", REPORT), ("broken.xml", b"unused")]);
    assert_eq!(file("a.zip", &zip), ["r.xml: report", "broken.xml: expected XML, found 6 bytes of something else"]);
}

#[test]
fn a_name_that_leaves_its_folder_is_a_finding_and_never_a_path() {
    for name in ["../../etc/r.xml", "/tmp/r.xml", "C:\\temp\\r.xml", "..\\r.xml", "a\u{1b}[31m/r.xml"] {
        assert_eq!(file("a.zip", &zip(&[(name, REPORT)])), ["r.xml: report [archive.hostile_name]"], "{name}");
    }
    for name in ["r..xml/r.xml", "a/b/r.xml", "..r/r.xml"] {
        assert_eq!(file("a.zip", &zip(&[(name, REPORT)])), ["r.xml: report"], "{name}");
    }
}

#[test]
fn an_encrypted_archive_is_rejected_by_that_name() {
    let mut zip = zip(&[("r.xml", REPORT), ("s.xml", REPORT)]);
    for at in 0..zip.len() - 10 {
        match &zip[at..at + 4] {
            b"PK\x03\x04" => zip[at + 6] |= 1,
            b"PK\x01\x02" => zip[at + 8] |= 1,
            _ => {}
        }
    }
    assert_eq!(file("a.zip", &zip), ["encrypted archive"]);
}

#[test]
fn a_damaged_member_costs_only_itself() {
    let mut zip = zip(&[("a.xml", REPORT), ("b.xml", REPORT)]);
    let at = zip.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    zip[at + 16] ^= 1;
    let lines = file("a.zip", &zip);
    assert_eq!(lines[0], "b.xml: report");
    assert!(lines[1].starts_with("zip: checksum does not match: expected "), "{lines:?}");
    assert!(lines[1].ends_with("(member a.xml)"), "{lines:?}");
}

#[test]
fn a_zip_cut_short_or_with_a_wrong_directory_is_rejected() {
    let zip = zip(&[("a.xml", REPORT)]);
    assert_eq!(
        file("a.zip", &zip[..zip.len() - 30]),
        ["zip: no end of the central directory: the archive is cut short"]
    );
    let mut wrong = zip.clone();
    let at = wrong.len() - 12;
    wrong[at] = 9;
    assert_eq!(file("a.zip", &wrong), ["zip: central directory is damaged: expected 9 members, found 1"]);
}

#[test]
fn a_method_that_is_not_read_is_named() {
    let mut zip = zip(&[("a.xml", REPORT)]);
    let at = zip.windows(4).position(|four| four == b"PK\x01\x02").unwrap();
    zip[at + 10] = 14;
    assert_eq!(file("a.zip", &zip), ["zip: compression method 14 is not supported"]);
}

#[test]
fn an_office_document_is_no_archive_of_reports() {
    let document = zip(&[("[Content_Types].xml", b"<?xml?><Types/>"), ("word/document.xml", b"<?xml?><w/>")]);
    assert_eq!(file("letter.docx", &document), ["Other"]);
}

#[test]
fn archives_that_are_not_opened_are_rejected_by_name() {
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, reason) in [
        (&b"7z\xbc\xaf\x27\x1c\0\x04"[..], "7z is not supported"),
        (b"Rar!\x1a\x07\0", "rar is not supported"),
        (b"BZh91AY&SY", "bzip2 is not supported"),
        (&tar, "tar is not supported"),
    ] {
        assert_eq!(file("report.xml.gz", bytes), [reason]);
    }
    assert_eq!(file("report.tar.gz", &gzip(&tar)), ["tar is not supported"]);
}

#[test]
fn a_report_file_that_is_not_xml_is_rejected_with_its_length() {
    assert_eq!(file("a.gz", &gzip(b"unused word\n")), ["expected XML, found 12 bytes of something else"]);
    assert_eq!(file("a.xml", b"unused word\n"), ["expected XML, found 12 bytes of something else"]);
    assert_eq!(
        file("a.xml", b"<html><body>Not found</body></html>"),
        ["expected XML, found 35 bytes of something else"]
    );
    assert_eq!(file("a.xml", b""), ["empty file"]);
    assert_eq!(file("a.gz", &gzip(b"")), ["empty compressed file"]);
}

#[test]
fn the_bytes_that_are_kept_of_a_rejected_file_are_those_that_came() {
    let gz = gzip(b"unused");
    let Content::Rejected { bytes, extension, .. } = open(&gz, Some("a.gz")).items.remove(0).content else {
        panic!("expected a rejection")
    };
    assert_eq!((bytes, extension), (gz, "gz"));
}

#[test]
fn the_attachment_is_the_nearest_name_that_a_report_would_have() {
    let attachment = |name: &str, member: &str| open(&zip(&[(member, REPORT)]), Some(name)).items.remove(0).attachment;
    assert_eq!(attachment("inbox.zip", "r.xml").as_deref(), Some("r.xml"));
    let named = format!("{NAME}.xml");
    assert_eq!(attachment("inbox.zip", &named), Some(named));
    let named = format!("{NAME}.zip");
    assert_eq!(attachment(&named, "r.xml"), Some(named));
}

#[test]
fn a_mailbox_in_a_gzip_gives_each_mail_with_its_own_facts() {
    let mail = String::from_utf8(mail(&attachment("application/gzip", "a.xml.gz", &gzip(REPORT)))).unwrap();
    let separator = "From x@example.net Wed Mar  4 01:10:00 2026\n";
    let second = mail.replace("<1@", "<2@");
    let mbox = format!("{separator}{mail}\n\n{separator}{second}\n");
    for (name, bytes) in [("in.mbox", mbox.as_bytes().to_vec()), ("in.mbox.gz", gzip(mbox.as_bytes()))] {
        let unpacked = open(&bytes, Some(name));
        let found = lines(&unpacked);
        assert!(found[0].starts_with("message 1 > a.xml.gz: report"), "{found:?}");
        assert!(found[1].starts_with("message 2 > a.xml.gz: report"), "{found:?}");
        let id = |at: usize| unpacked.items[at].mail.as_ref().and_then(|mail| mail.message_id.clone());
        assert_eq!(
            (unpacked.mail.clone(), id(0).unwrap(), id(1).unwrap()),
            (None, "<1@receiver.example.net>".to_owned(), "<2@receiver.example.net>".to_owned())
        );
    }
}
