//! Mails: any structure, any encoding, any name.

use super::*;
use crate::model::SenderAuth;

fn gz() -> Vec<u8> {
    gzip(REPORT)
}

fn text(body: &str) -> String {
    part("Content-Type: text/plain; charset=us-ascii", body)
}

#[test]
fn a_part_is_recognized_by_content_whatever_its_type_or_name() {
    for kind in ["application/gzip", "application/x-gzip", "application/zip", "application/octet-stream", "image/png"] {
        for name in ["r.xml.gz", "r.zip", "data"] {
            let entity = multipart("mixed", "b", &[text("hello"), attachment(kind, name, &gz())]);
            assert_eq!(mailed(&entity), [format!("{name}: report")], "{kind} {name}");
        }
    }
    let entity = multipart("mixed", "b", &[attachment("application/gzip", "r.xml.gz", &zip(&[("r.xml", REPORT)]))]);
    assert_eq!(mailed(&entity), ["r.xml.gz > r.xml: report"]);
}

#[test]
fn a_mail_may_be_one_attachment() {
    assert_eq!(mailed(&attachment("application/gzip", "r.xml.gz", &gz())), ["r.xml.gz: report"]);
    let zip = zip(&[("r.xml", REPORT)]);
    assert_eq!(mailed(&attachment("application/zip", "r.zip", &zip)), ["r.zip > r.xml: report"]);
}

#[test]
fn the_report_may_be_the_text_of_the_mail_in_any_transfer_encoding() {
    let xml = std::str::from_utf8(REPORT).unwrap();
    for kind in ["text/plain", "text/xml", "application/xml"] {
        assert_eq!(mailed(&part(&format!("Content-Type: {kind}"), xml)), ["part 1: report"], "{kind}");
    }
    let quoted = xml.replace('=', "=3D");
    let headers = "Content-Type: text/xml\nContent-Transfer-Encoding: Quoted-Printable";
    // Its line ends are those of mail.
    assert_eq!(mailed(&part(headers, &quoted)), [format!("part 1: report of {} bytes", xml.len() + 2)]);
    for headers in ["Content-Transfer-Encoding: BASE64", "Content-Transfer-Encoding: base64 (really); x=y"] {
        assert_eq!(mailed(&part(headers, &base64(REPORT))), ["part 1: report"]);
    }
    assert_eq!(mailed(&part("Subject: x", xml)), ["part 1: report"]);
}

#[test]
fn an_attachment_that_is_base64_and_does_not_say_so_is_opened_with_a_finding() {
    for (kind, name, content) in [
        ("application/gzip", "r.xml.gz", gz()),
        ("application/octet-stream", "data", zip(&[("r.xml", REPORT)])),
        ("text/xml", "r.xml", REPORT.to_vec()),
    ] {
        let headers = format!("Content-Type: {kind}; name=\"{name}\"");
        let found = mailed(&multipart("mixed", "b", &[text("hello"), part(&headers, &base64(&content))]));
        let [line] = &found[..] else { panic!("{found:?}") };
        assert!(line.starts_with(name) && line.ends_with("report [mail.encoding]"), "{line}");
    }
    // A cut value is not guessed at.
    let headers = "Content-Type: application/gzip; name=\"r.xml.gz\"";
    let found = mailed(&part(headers, &(base64(&gz()).replace('=', "!") + "!")));
    assert!(found.len() == 1 && !found[0].contains("report"), "{found:?}");
    // A drawing is no report whatever its encoding.
    let drawing = part("Content-Type: image/svg+xml", &base64(b"<?xml version='1.0'?><svg/>"));
    assert_eq!(mailed(&multipart("mixed", "b", &[text("hello"), drawing])), ["Other"]);
}

#[test]
fn a_report_in_utf_32_is_recognized() {
    let xml = std::str::from_utf8(REPORT).unwrap();
    for to in [u32::to_le_bytes, u32::to_be_bytes] {
        let wide: Vec<u8> = xml.chars().flat_map(|char| to(char.into())).collect();
        let marked = [&to(0xfeff)[..], &wide].concat();
        for bytes in [wide, marked] {
            let entity = multipart("mixed", "b", &[attachment("application/octet-stream", "data", &bytes)]);
            assert_eq!(mailed(&entity), [format!("data: report of {} bytes", bytes.len())]);
        }
    }
}

#[test]
fn a_text_part_that_is_no_report_is_no_item() {
    let html = part("Content-Type: text/html", "<html><p>your report: &lt;feedback&gt;</p></html>");
    let xhtml = part("Content-Type: text/html", "<?xml version='1.0'?><!DOCTYPE html><html><p>hello</p></html>");
    let image = attachment("image/png", "logo.png", b"\x89PNG\r\n\x1a\n");
    let drawing = attachment("image/svg+xml", "logo.svg", b"<?xml version='1.0'?><svg/>");
    let calendar = attachment("text/calendar", "invite.ics", b"BEGIN:VCALENDAR");
    let report = attachment("application/gzip", "r.xml.gz", &gz());
    let entity = multipart("mixed", "b", &[text("hello"), html, xhtml, image, drawing, calendar, report]);
    assert_eq!(mailed(&entity), ["r.xml.gz: report"]);
}

#[test]
fn all_leaves_are_walked_also_alternatives_inline_and_nameless_ones() {
    let xml = std::str::from_utf8(REPORT).unwrap();
    let nameless = part("Content-Type: text/xml\nContent-Disposition: inline", xml);
    assert_eq!(mailed(&multipart("alternative", "b", &[text("hello"), nameless])), ["part 2: report"]);
    let two = [
        attachment("application/gzip", "a.gz", &gz()),
        attachment("application/zip", "b.zip", &zip(&[("b.xml", REPORT)])),
    ];
    assert_eq!(mailed(&multipart("mixed", "b", &two)), ["a.gz: report", "b.zip > b.xml: report"]);
}

#[test]
fn multiparts_nest_and_sections_are_numbered_as_imap_does() {
    let headers = "Content-Type: application/gzip\nContent-Transfer-Encoding: base64";
    let inner = multipart("related", "inner", &[text("a"), part(headers, &base64(&gz()))]);
    assert_eq!(mailed(&multipart("mixed", "outer", &[text("b"), inner])), ["part 2.2: report"]);
}

#[test]
fn a_boundary_that_begins_or_ends_like_another_does_not_split_it() {
    for (outer, inner) in [("B", "--B"), ("B", "B-inner"), ("B-outer", "B"), ("--=part", "=part"), ("B", "B B")] {
        let nested = multipart("mixed", inner, &[text("hello"), attachment("application/gzip", "r.gz", &gz())]);
        let entity = multipart("mixed", outer, &[text("first"), nested, attachment("application/gzip", "s.gz", &gz())]);
        assert_eq!(mailed(&entity), ["r.gz: report", "s.gz: report"], "{outer} {inner}");
    }
}

#[test]
fn a_missing_end_or_boundary_or_hyphen_does_not_hide_the_parts() {
    let entity = multipart("mixed", "b", &[text("x"), attachment("application/gzip", "r.gz", &gz())]);
    assert_eq!(mailed(entity.trim_end().trim_end_matches("--b--")), ["r.gz: report"], "no closing delimiter");
    assert_eq!(mailed(&entity.replace("; boundary=\"b\"", "")), ["r.gz: report"], "no boundary");
    assert_eq!(mailed(&entity.replace("boundary=\"b\"", "boundary=\"c\"")), ["r.gz: report"], "another boundary");
    assert_eq!(mailed(&entity.replace("Content-Type", "ContentType")), ["r.gz: report"], "no hyphen");
    assert_eq!(mailed(&entity.replace("\r\n", "\n")), ["r.gz: report"], "line feeds only");
    assert_eq!(mailed(&entity.replace("--b\r\n", "--b  \t\r\n")), ["r.gz: report"], "blanks behind the delimiter");
}

#[test]
fn attached_mails_are_opened_plain_or_encoded_to_any_sane_depth() {
    let report = attachment("application/gzip", "r.gz", &gz());
    let forwarded = |inner: &str| {
        let inner = String::from_utf8(mail(inner)).unwrap();
        multipart("mixed", "f", &[text("see below"), part("Content-Type: message/rfc822", &inner)])
    };
    assert_eq!(mailed(&forwarded(&report)), ["part 2 > r.gz: report"]);
    assert_eq!(
        mailed(&forwarded(&forwarded(&report).replace("\"f\"", "\"g\"").replace("--f", "--g"))),
        ["part 2 > part 2 > r.gz: report"]
    );
    let encoded = attachment("message/rfc822", "forwarded.eml", &mail(&report));
    assert_eq!(mailed(&multipart("mixed", "b", &[encoded])), ["forwarded.eml > r.gz: report"]);
    let untyped = attachment("application/octet-stream", "forwarded", &mail(&report));
    assert_eq!(mailed(&multipart("mixed", "b", &[untyped])), ["forwarded > r.gz: report"], "told by content");
    let digest = multipart("digest", "d", &[format!("\r\n{}", String::from_utf8(mail(&report)).unwrap())]);
    assert_eq!(mailed(&digest), ["part 1 > r.gz: report"]);
}

#[test]
fn a_multipart_encoded_as_a_whole_is_opened() {
    let inner = multipart("mixed", "b", &[text("x"), attachment("application/gzip", "r.gz", &gz())]);
    let (_, body) = inner.split_once("\r\n\r\n").unwrap();
    let headers = "Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64";
    assert_eq!(mailed(&part(headers, &base64(body.as_bytes()))), ["part 1 > r.gz: report"]);
}

#[test]
fn a_signed_wrapper_is_transparent_and_an_opaque_one_is_named() {
    let inner = multipart("mixed", "i", &[text("x"), attachment("application/gzip", "r.gz", &gz())]);
    let signature = attachment("application/pkcs7-signature", "smime.p7s", b"\x30\x82\x05\xa8");
    assert_eq!(mailed(&multipart("signed", "s", &[inner, signature])), ["r.gz: report"]);
    let opaque = attachment("application/pkcs7-mime; smime-type=enveloped-data", "smime.p7m", b"\x30\x82\x05\xa8");
    assert_rejected(&opaque, "smime.p7m: S/MIME encrypted or opaque-signed mail is not supported: ");
}

/// The only item is rejected with a reason that begins like this and says what to do.
fn assert_rejected(entity: &str, reason: &str) {
    let found = mailed(entity);
    assert!(found.len() == 1 && found[0].starts_with(reason) && found[0].len() > reason.len(), "{found:?}");
}

#[test]
fn what_only_its_recipient_can_open_is_named() {
    const PGP: &str = "OpenPGP-encrypted mail is not supported: ";
    let message = "-----BEGIN PGP MESSAGE-----\r\n\r\nKXK7BE2W3yhx\r\n=AbCd\r\n-----END PGP MESSAGE-----\r\n";
    let control = part("Content-Type: application/pgp-encrypted", "Version: 1");
    let armored = part("Content-Type: application/octet-stream; name=encrypted.asc", message);
    let encrypted = "encrypted; protocol=\"application/pgp-encrypted\"";
    assert_rejected(&multipart(encrypted, "b", &[control.clone(), armored]), &format!("encrypted.asc: {PGP}"));
    let binary = attachment("application/octet-stream", "data", b"\x85\x01\x0c\x03");
    assert_rejected(&multipart("mixed", "b", &[control, binary]), &format!("data: {PGP}"));
    assert_rejected(&text(message), &format!("part 1: {PGP}"));
    assert_rejected(&text(&format!("Dear admin,\r\n\r\n{message}-- \r\nlist\r\n")), &format!("part 1: {PGP}"));
    let file = attachment("application/octet-stream", "report.xml.gz.gpg", b"\x85\x01\x0c\x03\xff");
    assert_rejected(&multipart("mixed", "b", &[text("x"), file]), &format!("report.xml.gz.gpg: {PGP}"));
    let locked =
        attachment("application/x-microsoft-rpmsg-message", "message.rpmsg", b"\x76\xe8\x04\x60\xc4\x11\xe3\x86");
    let rpmsg = "message.rpmsg: Microsoft rights-managed mail (message.rpmsg) is not supported: ";
    assert_rejected(&multipart("mixed", "b", &[text("x"), locked.clone()]), rpmsg);
    assert_rejected(&locked.replace("application/x-microsoft-rpmsg-message", "application/octet-stream"), rpmsg);
    assert_eq!(mailed(&text("I wrote -----BEGIN PGP MESSAGE----- in a line")), ["Other"]);
}

#[test]
fn base64_under_another_label_is_decoded_with_a_finding() {
    let right = attachment("application/gzip", "r.gz", &gz());
    for label in ["7bit", "8bit", "binary", "quoted-printable", "base-64"] {
        let wrong = right.replace("Encoding: base64", &format!("Encoding: {label}"));
        assert_eq!(mailed(&wrong), ["r.gz: report [mail.encoding]"], "{label}");
    }
    let footer = format!("{right}\r\n-- \r\nSent through the list\r\n");
    assert_eq!(mailed(&footer), ["r.gz: report [mail.encoding]"]);
    let plain = part(
        "Content-Type: text/xml; name=r.xml\nContent-Transfer-Encoding: base64",
        std::str::from_utf8(REPORT).unwrap(),
    );
    assert_eq!(mailed(&plain), ["r.xml: report [mail.encoding]"]);
}

#[test]
fn base64_without_its_padding_is_decoded_with_a_finding() {
    let headers = "Content-Type: text/xml; name=r.xml\nContent-Transfer-Encoding: base64";
    let whole = base64(b"<feedback>12</feedback>");
    let bare = whole.trim_end().trim_end_matches('=');
    assert_ne!(bare.len() % 4, 0);
    assert_eq!(mailed(&part(headers, bare)), ["r.xml: report of 23 bytes [mail.encoding]"]);
    let cut = &bare[..bare.len() / 4 * 4 - 3];
    assert!(mailed(&part(headers, cut))[0].contains("not valid base64"), "a letter too many is damage");
}

#[test]
fn quoted_printable_under_another_label_is_decoded_with_a_finding() {
    let encoded = "<?xml version=3D\"1.0\"?><feedback><comment>spf=3DFAIL</comm=\r\nent></feedback>";
    let plain = "<?xml version=\"1.0\"?><feedback><comment>spf=FAIL</comment></feedback>";
    for label in ["7bit", "8bit", "x-unknown"] {
        let headers = format!("Content-Type: text/xml; name=r.xml\nContent-Transfer-Encoding: {label}");
        let found = mailed(&part(&headers, encoded));
        assert!(matches!(&found[..], [one] if one.ends_with(" bytes [mail.encoding]")), "{label}: {found:?}");
        let found = mailed(&part(&headers, plain));
        assert!(matches!(&found[..], [one] if one.ends_with(" bytes")), "{label}: {found:?}");
    }
}

#[test]
fn uuencoded_files_are_found_in_text_and_as_an_encoding() {
    let body = "hello\r\n\r\nbegin 644 r.xml\r\n+/&9E961B86-K/@``\r\n`\r\nend\r\n";
    assert_eq!(mailed(&text(body)), ["part 1 > r.xml: report of 11 bytes"]);
    let headers = "Content-Type: application/octet-stream; name=r.xml\nContent-Transfer-Encoding: x-uuencode";
    assert_eq!(mailed(&part(headers, body)), ["r.xml: report of 11 bytes"]);
}

#[test]
fn names_are_decoded_however_they_are_written() {
    for (headers, name) in [
        ("Content-Disposition: attachment; filename*0=\"a!b!1!2.xm\"; filename*1=\"l.gz\"", "a!b!1!2.xml.gz"),
        ("Content-Disposition: attachment; filename*=utf-8''%C3%A4.xml.gz", "\u{e4}.xml.gz"),
        ("Content-Disposition: attachment; filename==?utf-8?B?w6QueG1sLmd6?=", "\u{e4}.xml.gz"),
        ("Content-Disposition: attachment;\n filename=\"=?utf-8?Q?=C3=A4?=\n =?utf-8?Q?.xml.gz?=\"", "\u{e4}.xml.gz"),
        ("Content-Type: application/gzip; name=r.gz", "r.gz"),
        ("Content-Type: application/gzip; name=\"a;b.gz\"", "a;b.gz"),
    ] {
        let entity = part(&format!("{headers}\nContent-Transfer-Encoding: base64"), &base64(&gz()));
        assert_eq!(mailed(&entity), [format!("{name}: report")], "{headers}");
    }
}

#[test]
fn an_attachment_that_should_be_a_report_and_is_not_is_rejected() {
    let empty = attachment("application/octet-stream", &format!("{NAME}.xml.gz"), b"");
    assert_eq!(mailed(&multipart("mixed", "b", &[text("x"), empty])), [format!("{NAME}.xml.gz: empty attachment")]);
    let word = attachment("application/gzip", "r.xml.gz", &gzip(b"unused word\n"));
    assert_eq!(mailed(&word), ["r.xml.gz: expected XML, found 12 bytes of something else"]);
    let tnef = attachment("application/ms-tnef", "winmail.dat", b"\x78\x9f\x3e\x22\x01\0");
    assert_rejected(&multipart("mixed", "b", &[text("x"), tnef]), "winmail.dat: winmail.dat / TNEF is not supported: ");
    let sound = attachment("application/gzip", "r.xml.gz", &gz());
    let damaged = sound.replace("H4sI", "H4s!");
    assert!(mailed(&damaged)[0].starts_with("r.xml.gz: not valid base64"), "{:?}", mailed(&damaged));
}

#[test]
fn one_bad_part_does_not_cost_the_others() {
    let parts = [
        attachment("application/gzip", "a.xml.gz", b"junk"),
        attachment("application/zip", "b.zip", b"PK\x03\x04junk"),
        attachment("application/gzip", "c.xml.gz", &gz()),
    ];
    assert_eq!(
        mailed(&multipart("mixed", "b", &parts)),
        [
            "a.xml.gz: expected XML, found 4 bytes of something else",
            "b.zip: zip: no end of the central directory: the archive is cut short",
            "c.xml.gz: report",
        ]
    );
}

#[test]
fn an_empty_line_a_byte_order_mark_or_a_separator_on_top_does_not_hide_a_mail() {
    let mail = mail(&attachment("application/gzip", "r.gz", &gz()));
    for top in ["\r\n\r\n", "\u{feff}", "From x@example.net Wed Mar  4 01:10:00 2026\n", ">From x@example.net\n"] {
        let bytes = [top.as_bytes(), &mail].concat();
        for name in [None, Some("saved")] {
            let found = lines(&open(&bytes, name));
            assert!(found.len() == 1 && found[0].ends_with("r.gz: report"), "{top:?} {found:?}");
        }
    }
}

#[test]
fn the_facts_are_those_of_the_outermost_mail() {
    let inner = String::from_utf8(mail(&attachment("application/gzip", "r.gz", &gz()))).unwrap();
    let outer = format!(
        "Authentication-Results: mx.example.com; dmarc=pass\r\nFrom: \"a@b <x\" (<c@d>) <Someone@Forwarder.Example.ORG>\r\n\
         Date: today\r\nMessage-ID:\r\n <2@example.org>\r\n{}",
        part("Content-Type: message/rfc822", &inner)
    );
    let facts = open(outer.as_bytes(), None).mail.unwrap();
    assert_eq!(facts.message_id.as_deref(), Some("<2@example.org>"));
    assert_eq!(facts.date.as_deref(), Some("today"));
    assert_eq!(facts.from_domain.as_deref(), Some("forwarder.example.org"));
    assert_eq!(facts.authentication_results.as_deref(), Some("mx.example.com; dmarc=pass"));
    assert_eq!(facts.sender_auth, SenderAuth::Unknown);
}

#[test]
fn dmarc_fail_counts_in_the_topmost_results_only_and_outside_comments() {
    let auth = |results: &str| {
        let mail = format!("Subject: x\r\n{results}\r\nFrom: a@example.net\r\n\r\n");
        open(mail.as_bytes(), None).mail.unwrap().sender_auth
    };
    for results in [
        "Authentication-Results: mx.example.com; dmarc=fail header.from=example.net",
        "authentication-results: mx.example.com 1; spf=pass; DMARC = Fail (p=none; dis=none)",
        "Authentication-Results: mx.example.com;\r\n dkim=none;\r\n\tdmarc=fail",
        "Authentication-Results: spf=fail;dmarc=fail action=none",
        "Authentication-Results: a; dmarc=fail\r\nAuthentication-Results: b; dmarc=pass",
    ] {
        assert_eq!(auth(results), SenderAuth::Fail, "{results}");
    }
    for results in [
        "Authentication-Results: mx.example.com; dmarc=pass (was dmarc=fail)",
        "Authentication-Results: mx.example.com; dmarc=none reason=\"dmarc=fail\"",
        "Authentication-Results: a; dmarc=pass\r\nAuthentication-Results: b; dmarc=fail",
        "Authentication-Results: a; dmarc=failure; x-dmarc=fail; smtp.mailfrom=dmarc=fail",
        "ARC-Authentication-Results: i=1; a; dmarc=fail",
        "Received: x",
    ] {
        assert_eq!(auth(results), SenderAuth::Unknown, "{results}");
    }
}

#[test]
fn a_report_is_returned_with_its_innermost_mail_on_request() {
    let inner = String::from_utf8(mail(&attachment("application/gzip", "r.gz", &gz()))).unwrap();
    let outer = format!("From: a@example.org\r\n{}", part("Content-Type: message/rfc822", &inner));
    let limits = crate::limits::Limits::default();
    for (bytes, attached) in [(format!("From x@example.net\n{inner}"), false), (outer.clone(), true)] {
        let unpacked = super::super::with_mails(bytes.into(), None, &limits, 1 << 20);
        let [unit] = &unpacked.items[..] else { panic!("{unpacked:?}") };
        let raw_mail = unit.raw_mail.as_ref().unwrap();
        assert_eq!(unit.attached, attached);
        assert!(inner.trim_end().starts_with(std::str::from_utf8(&raw_mail.bytes).unwrap().trim_end()));
        let header = inner.find("\r\n\r\n").map_or_else(|| inner.find("\n\n").unwrap() + 2, |at| at + 4);
        assert_eq!(raw_mail.body, header);
    }
    let tight = super::super::with_mails(outer.clone().into(), None, &limits, outer.len() + 1);
    assert_eq!(tight.items[0].raw_mail, None, "the outer mail never stands in for the inner one");
    assert_eq!(unpack(outer.into(), None, &limits).items[0].raw_mail, None);
}
