//! Removes the secrets in use from texts, in whatever form a server repeats them.
//!
//! Servers repeat what they were sent in their answers: a password in the text of a refused LOGIN, a token in the
//! response of a token endpoint. Every error text about a server goes through here before anybody sees it.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};
use std::{
    fmt::{self, Write as _},
    ops::Range,
    sync::{Arc, RwLock},
};

/// Replaces a secret.
const REDACTED: &str = "[redacted]";
/// A server may repeat part of a token, such as `ya29.A0ARr...`: this many consecutive characters of it are hidden.
const PART: usize = 8;
/// Shorter secrets are words whose parts occur in other texts: most of one must be present.
const TOKEN: usize = 16;
/// Secrets remembered, dropping the oldest. Access tokens are renewed about every hour.
const REMEMBERED: usize = 64;

/// The secrets in use. Clones share them.
#[derive(Clone, Default)]
pub struct Redaction {
    /// The forms in which a secret may be repeated, in lower case.
    forms: Arc<RwLock<Vec<Vec<SecretString>>>>,
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Redaction")
    }
}

impl Redaction {
    /// Hides this secret from now on.
    pub fn add(&self, secret: &SecretString) {
        let new = forms_of(secret.expose_secret());
        let mut all = self.forms.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let first = |forms: &[SecretString]| forms.first().map(|form| form.expose_secret().to_owned());
        if all.iter().any(|forms| first(forms) == first(&new)) {
            return;
        }
        if all.len() == REMEMBERED {
            all.remove(0);
        }
        all.push(new);
    }

    /// A text without the secrets.
    #[must_use]
    pub fn clean(&self, text: &str) -> String {
        let all = self.forms.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        // Only ASCII letters change, so offsets are the same in both.
        let lower = text.to_ascii_lowercase();
        let mut hidden: Vec<Range<usize>> =
            all.iter().flatten().flat_map(|form| found(&lower, form.expose_secret())).collect();
        if hidden.is_empty() {
            return text.to_owned();
        }
        for place in &mut hidden {
            *place = whole_word(&lower, place);
        }
        hidden.sort_by_key(|place| place.start);
        let (mut out, mut done) = (String::with_capacity(text.len()), 0);
        for place in hidden {
            if place.start >= done {
                out.push_str(&text[done..place.start]);
                if !(place.start == done && out.ends_with(REDACTED)) {
                    out.push_str(REDACTED);
                }
            }
            done = done.max(place.end);
        }
        out.push_str(&text[done..]);
        out
    }
}

/// Every form in which a secret may be repeated, in lower case; the secret itself comes first.
fn forms_of(secret: &str) -> Vec<SecretString> {
    let percent = |text: &str, spared: &str| {
        text.bytes().fold(String::new(), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || spared.contains(char::from(byte)) {
                out.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(out, "%{byte:02x}");
            }
            out
        })
    };
    let mut forms = vec![
        secret.to_owned(),
        // In IMAP's quoted strings, in JSON, and in our own messages that quote a server.
        secret.replace('\\', "\\\\").replace('"', "\\\""),
        secret.escape_debug().to_string(),
        // In a form or a URL.
        percent(secret, "-._~"),
        percent(secret, "-._*").replace("%20", "+"),
        percent(secret, ""),
        // In HTML.
        secret.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;"),
        // What is left of it if only ASCII is kept.
        secret.bytes().map(|byte| if byte.is_ascii() { char::from(byte) } else { '?' }).collect(),
        secret.bytes().fold(String::new(), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        }),
    ];
    forms.extend(base64_of(secret));
    let mut known: Vec<String> = Vec::new();
    for form in forms {
        let form = form.to_ascii_lowercase();
        if !form.is_empty() && !known.contains(&form) {
            known.push(form);
        }
    }
    known.into_iter().map(SecretString::from).collect()
}

/// The part common to every base64 text that contains the secret, whatever precedes it: SASL PLAIN, XOAUTH2, an HTTP
/// header.
fn base64_of(secret: &str) -> Vec<String> {
    let mut all = Vec::new();
    for before in 0..3_usize {
        let bytes = [vec![0; before], secret.as_bytes().to_vec()].concat();
        let text = STANDARD_NO_PAD.encode(&bytes);
        // Characters at the edges contain bits of what surrounds the secret.
        let (start, end) = ((before * 8).div_ceil(6), bytes.len() * 8 / 6);
        if let Some(core) = text.get(start..end).filter(|core| core.len() > 2) {
            all.push(core.to_owned());
            // The URL-safe alphabet.
            all.push(core.replace('+', "-").replace('/', "_"));
        }
    }
    all
}

/// Where a form occurs in a text, whole or in part.
fn found(text: &str, form: &str) -> Vec<Range<usize>> {
    let part = if form.len() > TOKEN { PART } else { (form.len() * 3).div_ceil(4) };
    let parts: std::collections::HashSet<&[u8]> = form.as_bytes().windows(part).collect();
    let mut places: Vec<Range<usize>> = Vec::new();
    for (at, piece) in text.as_bytes().windows(part).enumerate() {
        if parts.contains(piece) {
            match places.last_mut() {
                Some(last) if last.end >= at => last.end = at + part,
                _ => places.push(at..at + part),
            }
        }
    }
    places
}

/// Extends a range to the token or base64 characters around it, which may be the rest of the secret. Its ends are
/// character boundaries.
fn whole_word(text: &str, place: &Range<usize>) -> Range<usize> {
    let of_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=_-%~.".contains(byte);
    let bytes = text.as_bytes();
    let mut start = place.start - bytes[..place.start].iter().rev().take_while(|byte| of_token(byte)).count();
    let mut end = place.end + bytes[place.end..].iter().take_while(|byte| of_token(byte)).count();
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    fn redaction(secret: &str) -> Redaction {
        let redaction = Redaction::default();
        redaction.add(&SecretString::from(secret));
        redaction
    }

    #[test]
    fn a_secret_is_hidden_in_every_form_a_server_repeats() {
        let secret = "p\"a s&s+w\u{f6}rd/1?2";
        let redaction = redaction(secret);
        let blobs = [
            format!("\0dmarc@example.com\0{secret}"),
            format!("user=a@example.com\x01auth=Bearer {secret}\x01\x01"),
            format!("n,a=dmarc@example.com,\x01host=h\x01auth=Bearer {secret}\x01\x01"),
            format!("dmarc:{secret}"),
            secret.to_owned(),
        ];
        for blob in blobs {
            for text in [STANDARD.encode(&blob), URL_SAFE_NO_PAD.encode(&blob), STANDARD.encode(&blob).to_uppercase()] {
                assert_eq!(redaction.clean(&format!("535 bad ({text})")), "535 bad ([redacted])", "{blob:?}");
            }
        }
        for form in [
            secret.to_owned(),
            secret.to_uppercase().replace('\u{d6}', "\u{f6}"),
            secret.replace('"', "\\\""),
            "p%22a+s%26s%2Bw%C3%B6rd%2F1%3F2".to_owned(),
            "p%22a%20s%26s%2bw%c3%b6rd%2f1%3f2".to_owned(),
            "p&quot;a s&amp;s+w\u{f6}rd/1?2".to_owned(),
            "p\"a s&s+w??rd/1?2".to_owned(),
        ] {
            let found = redaction.clean(&format!("NO LOGIN dmarc {form} failed"));
            assert_eq!(found, "NO LOGIN dmarc [redacted] failed", "{form}");
        }
    }

    #[test]
    fn a_part_of_a_token_is_hidden_and_the_rest_of_the_text_stays() {
        let redaction = redaction("ya29.A0ARrdaM-0123456789abcdef");
        assert_eq!(redaction.clean("token ya29.A0ARr... is not valid"), "token [redacted] is not valid");
        assert_eq!(redaction.clean("ends in 89abcdef: expired"), "ends in [redacted]: expired");
        assert_eq!(redaction.clean("NO [AUTHENTICATIONFAILED] bad"), "NO [AUTHENTICATIONFAILED] bad");
    }

    #[test]
    fn words_that_a_secret_has_in_common_with_a_text_stay() {
        let redaction = redaction("ended-refresh");
        let text = "invalid_grant, the refresh token has ended";
        assert_eq!(redaction.clean(text), text);
        assert_eq!(redaction.clean("'ended-refresh' has ended"), "'[redacted]' has ended");
    }

    #[test]
    fn short_secrets_and_several_are_hidden_too() {
        let redaction = redaction("abc");
        redaction.add(&SecretString::from("second-word"));
        assert_eq!(redaction.clean("1 abc, 2 second-word"), "1 [redacted], 2 [redacted]");
        assert_eq!(redaction.clean("\u{20ac}abc\u{20ac}"), "\u{20ac}[redacted]\u{20ac}");
        assert_eq!(format!("{redaction:?}"), "Redaction");
        for number in 0..100 {
            redaction.add(&SecretString::from(format!("token-number-{number}")));
        }
        assert_eq!(redaction.clean("token-number-99"), REDACTED);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_no_secret_is_left(secret in "[!-~\u{e0}-\u{ff}]{7,20}", before in "\\PC{0,20}", after in "\\PC{0,20}") {
            let redaction = redaction(&secret);
            let clean = redaction.clean(&format!("{before}{secret}{after}"));
            prop_assert!(!clean.contains(&secret), "{clean}");
            let blob = STANDARD.encode(format!("{before}{secret}{after}"));
            let core = &blob[..blob.len().saturating_sub(blob.len() % 4)];
            prop_assert!(!redaction.clean(&blob).contains(core) || core.is_empty());
        }
    }
}
