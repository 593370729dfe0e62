//! Extracts a single saved mail from the formats that mail programs save it in.

use super::header::without_mailbox_line;
use super::mbox::{MboxMessage, MboxMessages};
use super::open::{emlx_message, format_of};
use super::sniff::{self, FileFormat};
use super::{gzip, zip};
use crate::limits::{Limits, Meter};

/// The only mail in these bytes, in every form that [`unpack`](super::unpack) reads: plain, in an `.emlx` file, alone in
/// a mailbox or an archive. Anything else is returned unchanged.
///
/// # Errors
/// What was found instead: several mails, an unsupported format, a damaged archive.
pub fn single_mail(mut bytes: Vec<u8>, name: Option<&str>, limits: &Limits) -> Result<Vec<u8>, String> {
    let mut meter = Meter::new(limits);
    let mut archives = 0;
    meter.item(bytes.len()).map_err(|limit| limit.to_string())?;
    loop {
        bytes = match format_of(&bytes, name) {
            FileFormat::Mail => return Ok(without_mailbox_line(sniff::skip_blank(&bytes)).to_vec()),
            FileFormat::Emlx => return Ok(emlx_message(&bytes).to_vec()),
            FileFormat::Mbox => return only_message(&bytes, limits),
            FileFormat::Closed(closed) => return Err(closed.reason()),
            FileFormat::Gzip => gzip::open(&bytes, &mut meter).map_err(|fault| format!("gzip: {fault}"))?.content,
            FileFormat::Zip => {
                let members = zip::members(&bytes, &mut meter).map_err(|fault| fault.to_string())?;
                let files: Vec<_> = members.iter().filter(|member| !member.is_junk()).collect();
                let [file] = files[..] else {
                    return Err(format!("expected one mail, found an archive of {} files", files.len()));
                };
                zip::open(&bytes, file, &mut meter).map_err(|fault| fault.to_string())?.content
            }
            _ => return Ok(bytes),
        };
        archives += 1;
        meter.archive_depth(archives).map_err(|limit| limit.to_string())?;
    }
}

/// The only message of a mailbox.
fn only_message(mailbox: &[u8], limits: &Limits) -> Result<Vec<u8>, String> {
    let mut messages = MboxMessages::new(mailbox, limits.item_bytes);
    match (messages.next(), messages.next()) {
        (Some(Ok(MboxMessage::Whole(message))), None) => Ok(message),
        (Some(_), Some(_)) => Err("expected one mail, found a mailbox of several".to_owned()),
        _ => Err("expected one mail, found an empty mailbox".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{gzip, zip};
    use super::*;

    const MAIL: &str = "From: a@example.com\nSubject: x\n\nbody\n";

    fn found(bytes: &[u8], name: &str) -> Result<String, String> {
        single_mail(bytes.to_vec(), Some(name), &Limits::default()).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn a_mail_is_found_in_every_form_it_is_saved_in() {
        let mail = MAIL.as_bytes();
        let emlx = format!("{}\n{MAIL}<?xml version=\"1.0\"?><plist></plist>\n", MAIL.len());
        let mbox = format!("From - Tue Nov 17 01:02:03 2026\n{MAIL}\n");
        for (bytes, name) in [
            (mail.to_vec(), "a.eml"),
            (["\u{feff}\n\n".as_bytes(), mail].concat(), "a.eml"),
            (emlx.into_bytes(), "a.emlx"),
            (mbox.clone().into_bytes(), "a.mbox"),
            (gzip(mail), "a.eml.gz"),
            (zip(&[("a.eml", mail)]), "a.zip"),
        ] {
            assert_eq!(found(&bytes, name).as_deref(), Ok(MAIL), "{name}");
        }
        assert_eq!(found(b"no mail", "a.txt").as_deref(), Ok("no mail"));
    }

    #[test]
    fn what_is_not_one_mail_is_named() {
        let mbox = format!("From - Tue Nov 17 01:02:03 2026\n{MAIL}\n").repeat(2);
        assert_eq!(found(mbox.as_bytes(), "a.mbox"), Err("expected one mail, found a mailbox of several".into()));
        let two = zip(&[("a.eml", MAIL.as_bytes()), ("b.eml", MAIL.as_bytes())]);
        assert_eq!(found(&two, "a.zip"), Err("expected one mail, found an archive of 2 files".into()));
        assert!(
            found(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a.msg")
                .unwrap_err()
                .starts_with("Outlook .msg is not supported: ")
        );
    }
}
