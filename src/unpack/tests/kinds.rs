//! Everything that is not an aggregate report: TLS reports, failure reports, bounces, and other mail.

use super::*;

fn text(body: &str) -> String {
    part("Content-Type: text/plain", body)
}

fn gz() -> Vec<u8> {
    gzip(REPORT)
}

const TLS: &[u8] = b"{\"organization-name\": \"x\", \"date-range\": {}, \"policies\": []}";

/// A report with a mail in it that has a report attached.
fn with_quoted_mail(kind: &str, part_kind: &str) -> String {
    let quoted = String::from_utf8(mail(&attachment("application/gzip", "r.gz", &gz()))).unwrap();
    let parts = [
        text("something happened"),
        part(&format!("Content-Type: {part_kind}"), "Feedback-Type: auth-failure\r\nVersion: 1\r\n"),
        part("Content-Type: message/rfc822", &quoted),
    ];
    multipart(kind, "b", &parts)
}

#[test]
fn a_tls_report_is_found_as_file_or_attachment_and_a_damaged_one_is_rejected() {
    assert_eq!(file("a.json", TLS), ["TLS report"]);
    assert_eq!(file("a.json.gz", &gzip(TLS)), ["TLS report"]);
    let wide: Vec<u8> = std::str::from_utf8(TLS).unwrap().encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(file("a.json", &wide), ["TLS report"]);
    assert_eq!(file("a.json", &[b"\xff\xfe", &wide[..]].concat()), ["TLS report"]);
    let typed = attachment("application/tlsrpt+gzip", "a!b!1!2.json.gz", &gzip(TLS));
    assert_eq!(mailed(&multipart("report", "b", &[text("x"), typed])), ["a!b!1!2.json.gz: TLS report"]);
    let untyped = attachment("application/gzip", "a!b!1!2.json.gz", &gzip(TLS));
    assert_eq!(mailed(&multipart("mixed", "b", &[text("x"), untyped])), ["a!b!1!2.json.gz: TLS report"]);
    let damaged = attachment("application/tlsrpt+gzip", "a.json.gz", &gzip(TLS)[..20]);
    assert!(mailed(&multipart("mixed", "b", &[damaged]))[0].starts_with("a.json.gz: gzip: "));
    let other = attachment("application/tlsrpt+json", "a.json", b"{\"a\": 1}");
    assert_eq!(
        mailed(&multipart("mixed", "b", &[other])),
        ["a.json: expected a TLS report, found JSON of 8 bytes without its keys"]
    );
    let label_only = multipart("report; report-type=tlsrpt", "b", &[text("x")]);
    assert_eq!(mailed(&label_only), ["Other"]);
}

#[test]
fn json_that_is_no_report_is_set_aside_unless_its_name_says_it_is_one() {
    assert_eq!(file("package.json", b"{\"name\": \"x\", \"policies\": []}"), ["Other"]);
    assert_eq!(
        file("a!example.com!1!2.json", b"{\"name\": 1}"),
        ["expected a TLS report, found JSON of 11 bytes without its keys"]
    );
}

#[test]
fn content_beats_a_wrong_label() {
    let entity = attachment("application/tlsrpt+gzip", "r.gz", &gz());
    assert_eq!(mailed(&entity), ["r.gz: report"]);
    let tls = attachment("application/gzip", &format!("{NAME}.xml.gz"), &gzip(TLS));
    assert_eq!(mailed(&tls), [format!("{NAME}.xml.gz: TLS report")]);
}

#[test]
fn a_failure_report_is_set_aside_and_its_quoted_mail_is_not_searched() {
    let labeled = with_quoted_mail("report; report-type=feedback-report", "message/feedback-report");
    assert_eq!(mailed(&labeled), ["Failure"]);
    let wrapped = with_quoted_mail("mixed", "message/feedback-report");
    assert_eq!(mailed(&wrapped), ["Failure"]);
    let headers_only = wrapped.replace("message/rfc822", "text/rfc822-headers");
    assert_eq!(mailed(&headers_only), ["Failure"]);
    let encoded = multipart(
        "mixed",
        "b",
        &[
            part("Content-Type: message/feedback-report", "Feedback-Type: auth-failure"),
            attachment(
                "application/octet-stream",
                "original.eml",
                &mail(&attachment("application/gzip", "r.gz", &gz())),
            ),
        ],
    );
    assert_eq!(mailed(&encoded), ["Failure"]);
}

#[test]
fn a_failure_report_in_a_forwarded_mail_is_one() {
    let inner = String::from_utf8(mail(&with_quoted_mail("mixed", "message/feedback-report"))).unwrap();
    let outer = multipart("mixed", "o", &[text("fyi"), part("Content-Type: message/rfc822", &inner)]);
    assert_eq!(mailed(&outer), ["part 2: Failure"]);
}

#[test]
fn a_failure_report_may_be_text_only() {
    let body = "A message claiming to be from you has failed the published DMARC\r\npolicy for your domain.\r\n\r\n\
                \x20 Sender Domain: example.com\r\n  Sender IP Address: 192.0.2.1\r\n\
                \x20 Received Date: Mon, 1 Jan 2026 00:00:00 +0000\r\n  SPF Alignment: no\r\n  DKIM Alignment: no\r\n";
    assert_eq!(mailed(&text(body)), ["Failure"]);
    let encoded = part("Content-Type: text/plain\nContent-Transfer-Encoding: base64", &base64(body.as_bytes()));
    let quoted = String::from_utf8(mail(&attachment("application/gzip", "r.gz", &gz()))).unwrap();
    let entity = multipart("report", "b", &[encoded, part("Content-Type: message/rfc822", &quoted)]);
    assert_eq!(mailed(&entity), ["Failure"]);
}

#[test]
fn a_report_beside_the_text_of_a_failure_report_is_still_read() {
    let feedback = part("Content-Type: message/feedback-report", "Feedback-Type: auth-failure");
    let entity = multipart("mixed", "b", &[feedback, attachment("application/gzip", "r.gz", &gz())]);
    assert_eq!(mailed(&entity), ["r.gz: report", "Failure"]);
}

#[test]
fn bounces_and_automatic_replies_are_set_aside_as_such() {
    let status = part("Content-Type: message/delivery-status", "Reporting-MTA: dns; mx.example.org");
    let bounce = multipart("report; report-type=delivery-status", "b", &[text("undeliverable"), status.clone()]);
    assert_eq!(mailed(&bounce), ["Bounce"]);
    assert_eq!(mailed(&multipart("mixed", "b", &[text("undeliverable"), status])), ["Bounce"]);
    for (header, kind) in [
        ("Auto-Submitted: auto-replied", "Bounce"),
        ("Auto-Submitted: no", "Other"),
        ("Subject: Automatic reply: Report Domain: example.com", "Bounce"),
        ("Subject: =?utf-8?B?8J+OiSB3aW4=?=", "Other"),
    ] {
        assert_eq!(mailed(&part(header, "I am away")), [kind], "{header}");
    }
    let daemon = b"From: Mail Delivery <MAILER-DAEMON@example.org>\n\nfailed\n";
    assert_eq!(lines(&open(daemon, None)), ["Bounce"]);
}

#[test]
fn a_mail_without_anything_is_one_item_of_the_other_kind() {
    let binary = attachment("application/octet-stream", "eml", &(0..=255).collect::<Vec<u8>>());
    for entity in [
        text("win!"),
        part("Content-Type: text/html", "<p>win</p>"),
        part("Content-Type: multipart/mixed", "no parts here"),
        part("Content-Type: multipart/mixed; boundary=\"\"", "--\r\n--\r\n"),
        multipart("mixed", "b", &[]),
        multipart("mixed", "b", &[text("x"), binary]),
        multipart("mixed", "b", &[part("Content-Type: message/rfc822", &String::from_utf8(mail(&text("x"))).unwrap())]),
        String::new(),
    ] {
        assert_eq!(mailed(&entity), ["Other"], "{entity}");
    }
}

#[test]
fn bytes_without_a_name_are_a_mail_and_with_one_a_file() {
    assert_eq!(lines(&open(b"\0\x01\x02 no mail", None)), ["Other"]);
    assert_eq!(lines(&open(b"", None)), ["Other"]);
    assert_eq!(file("a", b"\0\x01\x02 no mail"), ["expected XML, found 11 bytes of something else"]);
}
