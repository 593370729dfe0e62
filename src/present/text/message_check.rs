//! The text of `check --message`: a mail judged as by a receiver.

use super::layout::{line, section};
use super::posture::verdict;
use crate::dns::dkim::Signature;
use crate::dns::verify::message::MessageCheck;

/// Shows how a receiver judges a mail.
pub fn message_check(check: &MessageCheck) -> String {
    let mut text = String::new();
    let or = |value: &Option<String>, none: &str| value.clone().unwrap_or_else(|| none.to_owned());
    line(&mut text, 0, &format!("From domain: {}", or(&check.from, "none")));
    line(&mut text, 0, &format!("Return path: <{}>", or(&check.return_path, "unknown")));
    let ip = check.ip.map_or("an unknown address".to_owned(), |ip| ip.to_string());
    line(&mut text, 0, &format!("Sent by: {ip} (HELO name: {})", or(&check.helo, "unknown")));
    check.notes.iter().for_each(|note| line(&mut text, 1, note));
    section(&mut text, "SPF");
    match &check.spf {
        Some(spf) => {
            let aligned = if spf.aligned { "aligned with From" } else { "not aligned with From" };
            line(&mut text, 1, &format!("{}: {}; {aligned}", spf.domain, verdict(&spf.evaluation)));
        }
        None => line(&mut text, 1, "not evaluated: the mail does not say which address sent it, or has no return path"),
    }
    section(&mut text, "DKIM");
    check.signatures.iter().for_each(|one| signature(&mut text, one));
    if check.signatures.is_empty() {
        line(&mut text, 1, "no signature");
    }
    section(&mut text, "DMARC");
    match &check.dmarc {
        Some(dmarc) => line(&mut text, 1, &dmarc.text),
        None => line(&mut text, 1, "not evaluated: From does not name exactly one domain"),
    }
    for unknown in &check.unknown {
        line(&mut text, 0, &format!("could not look up {}: {}", unknown.place, unknown.text));
    }
    text
}

fn signature(text: &mut String, signature: &Signature) {
    let why = signature.why.as_ref().map_or(String::new(), |why| format!(" ({why})"));
    let aligned = if signature.aligned { "; aligned with From" } else { "" };
    line(text, 1, &format!("d={} s={}: {}{why}{aligned}", signature.d, signature.s, signature.result));
    line(text, 2, &format!("a={} c={} i={}", signature.a, signature.c, signature.i));
    line(text, 2, &format!("h={}", signature.h.join(":")));
    line(text, 2, &format!("bh={}", signature.bh));
    line(text, 2, &format!("b={}", signature.b));
    let times = [("t", signature.t), ("x", signature.x), ("l", signature.l)];
    let said: Vec<String> =
        times.iter().filter(|(_, value)| *value != 0).map(|(tag, value)| format!("{tag}={value}")).collect();
    if !said.is_empty() {
        line(text, 2, &said.join(" "));
    }
    if signature.l != 0 {
        line(text, 2, "l= leaves the rest of the body unsigned, so anyone can append to it");
    }
}
