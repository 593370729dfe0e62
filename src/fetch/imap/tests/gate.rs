//! What the gate lets through, in whatever pieces it arrives.

use crate::fetch::imap::gate::{DROPPED, Gate, GateError, TEXT_BYTES};
use crate::fetch::imap::response::{DEPTH, depth, nil_date};
use crate::fetch::mailbox::error::ServerError;
use async_imap::imap_proto::Response;
use proptest::prelude::*;

fn through(gate: &mut Gate) -> Vec<u8> {
    std::iter::from_fn(|| gate.take()).flatten().collect()
}

fn passed(bytes: &[u8]) -> Result<Vec<u8>, GateError> {
    let mut gate = Gate::new(1000);
    gate.feed(bytes)?;
    Ok(through(&mut gate))
}

#[test]
fn unrequested_responses_are_dropped_and_the_rest_is_read() {
    let bytes = b"* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL\r\n* X-NEW {3}\r\nabc thing\r\n* 2 EXISTS\r\nA1 OK done\r\n";
    assert_eq!(passed(bytes).unwrap(), b"* 2 EXISTS\r\nA1 OK done\r\n");
}

#[test]
fn more_than_one_space_between_the_first_words_is_read() {
    for (sent, read) in [
        ("*  3 EXISTS\r\n", "* 3 EXISTS\r\n"),
        ("*   3  EXISTS \r\n", "* 3 EXISTS\r\n"),
        ("*  OK  [UIDVALIDITY 7] fine  so\r\n", "* OK [UIDVALIDITY 7] fine  so\r\n"),
        ("*  FLAGS  (\\Seen)\r\n", "* FLAGS (\\Seen)\r\n"),
        ("A1  OK  done\r\n", "A1 OK done\r\n"),
        ("*  1  FETCH (UID 7 BODY[] {5}\r\na  b\r)\r\n", "* 1 FETCH (UID 7 BODY[] {5}\r\na  b\r)\r\n"),
    ] {
        assert_eq!(String::from_utf8(passed(sent.as_bytes()).unwrap()).unwrap(), read, "{sent:?}");
    }
}

#[test]
fn literals_may_be_cut_anywhere() {
    let bytes = b"* 1 FETCH (UID 7 BODY[] {12}\r\n* 9 EXISTS\r\n)\r\nA1 OK {5}\r\n* 3 EXISTS\r\n";
    for size in 1..bytes.len() {
        let mut gate = Gate::new(1000);
        for chunk in bytes.chunks(size) {
            gate.feed(chunk).unwrap();
        }
        assert_eq!(through(&mut gate), bytes);
    }
}

#[test]
fn a_literal_over_the_limit_is_refused_before_it_is_read() {
    let found = passed(b"* 1 FETCH (UID 7 BODY[] {1001}\r\n").unwrap_err();
    assert_eq!(found, GateError::Literal { uid: Some(7), announced: 1001, limit: 1000 });
    let found = passed(b"* 1 FETCH (BODY[] {99999999999999999999999}\r\n").unwrap_err();
    assert_eq!(found, GateError::Literal { uid: None, announced: u64::MAX, limit: 1000 });
}

#[test]
fn a_long_literal_flows_through_before_its_end() {
    let mut gate = Gate::new(4 << 20);
    gate.feed(b"* 1 FETCH (UID 7 BODY[] {2000000}\r\n").unwrap();
    gate.feed(&[b'x'; 1000]).unwrap();
    assert_eq!(through(&mut gate).len(), 35 + 1000);
    assert!(gate.is_within());
}

#[test]
fn nothing_that_kills_the_parser_passes_around_a_long_literal() {
    let body = [b"{2000000}\r\n".to_vec(), vec![b'x'; 2_000_000]].concat();
    for (before, behind) in [
        ("* 1 FETCH (INTERNALDATE NIL UID 7 BODY[] ", ")\r\n"),
        ("* 1 FETCH (UID 7 BODY[] ", " INTERNALDATE NIL)\r\n"),
        ("* 1 FETCH (UID 7 X-NEW (", "))\r\n"),
        (&("* 1 FETCH (UID 7 BODYSTRUCTURE ".to_owned() + &"(".repeat(60_000)), ")\r\n"),
    ] {
        let bytes = [before.as_bytes(), &body, behind.as_bytes()].concat();
        for size in [bytes.len(), bytes.len() - 2, 1_000_001] {
            let mut gate = Gate::new(4 << 20);
            let end = bytes.chunks(size).try_for_each(|chunk| gate.feed(chunk));
            assert!(matches!(end, Err(GateError::Garbage(_))), "{before:.40}: {end:?}");
            let through = through(&mut gate);
            assert!(nil_date(&through).is_none() && depth(&through) <= DEPTH, "{before:.40}");
        }
    }
}

#[test]
fn bytes_of_a_literal_are_never_responses() {
    let literal = b")\r\n* 9 EXISTS\r\n* 1 FETCH (INTERNALDATE NIL)\r\n";
    for before in ["FLAGS (\\x ", "X-NEW (", "X-NEW ", "UID 7 FLAGS (a BODY[] "] {
        let head = format!("* 1 FETCH ({before}{{{}}}\r\n", literal.len());
        let bytes = [head.as_bytes(), literal, b"))\r\nA1 OK done\r\n"].concat();
        assert_eq!(passed(&bytes).unwrap(), b"A1 OK done\r\n", "{before}");
    }
}

#[test]
fn an_endless_line_is_refused() {
    assert_eq!(passed(&vec![b'x'; TEXT_BYTES + 1]).unwrap_err(), GateError::Line);
    let mut gate = Gate::new(10);
    let part = b"* 1 FETCH (UID 7 BODY[] {0}\r\n".repeat(3000);
    assert_eq!(gate.feed(&part).unwrap_err(), GateError::Line);
}

#[test]
fn a_flood_of_unknown_lines_is_refused() {
    let mut gate = Gate::new(10);
    let part = b"* RECENT\r\n".repeat(DROPPED as usize + 1);
    assert_eq!(gate.feed(&part).unwrap_err(), GateError::Flood);
}

#[test]
fn an_unexpected_nil_does_not_kill_the_parser() {
    let date = passed(b"* 1 FETCH (UID 7 internaldate nil RFC822.SIZE 3)\r\n").unwrap();
    assert_eq!(date, b"* 1 FETCH (UID 7 internaldate \"\" RFC822.SIZE 3)\r\n");
    let both = passed(b"* 1 FETCH (UID 7 INTERNALDATE NIL BODY[] {1}\r\nx)\r\n").unwrap();
    assert_eq!(both, b"");
    assert_eq!(passed(b"* 1 FETCH (UID NIL)\r\n").unwrap(), b"* 1 FETCH (UID NIL)\r\n");
}

#[test]
fn text_beyond_ascii_is_made_plain() {
    assert_eq!(passed(b"A1 NO [ALERT]\xff\xfe caf\xc3\xa9\r\n").unwrap(), b"A1 NO [ALERT]?? caf??\r\n");
}

#[test]
fn nesting_without_end_is_dropped() {
    let mut deep = b"* 1 FETCH (BODYSTRUCTURE ".to_vec();
    deep.extend(vec![b'('; 60_000]);
    deep.extend(b")\r\n");
    assert_eq!(passed(&deep).unwrap(), b"");
}

#[test]
fn garbage_is_named() {
    assert_eq!(passed(b"HTTP/1.1 400 Bad\r\n").unwrap_err(), GateError::Garbage("HTTP/1.1 400 Bad".into()));
}

#[test]
fn capabilities_and_last_words_are_kept() {
    let mut gate = Gate::new(10);
    gate.feed(b"* OK [CAPABILITY IMAP4rev1 starttls] hello\r\n").unwrap();
    assert_eq!(gate.capabilities(), Some(&["IMAP4REV1".to_owned(), "STARTTLS".to_owned()][..]));
    gate.feed(b"* CAPABILITY IMAP4rev2 AUTH=PLAIN\r\n* BYE too busy\r\nA1 NO [INUSE] later\r\n").unwrap();
    assert_eq!(gate.capabilities(), Some(&["IMAP4REV2".to_owned(), "AUTH=PLAIN".to_owned()][..]));
    let hung_up = ServerError::lost("reading", "the server hangs up: too busy");
    assert_eq!((gate.hung_up("reading"), gate.answer()), (hung_up, "NO [INUSE] later"));
}

/// Parts of responses, used in wrong places.
const PARTS: &[&[u8]] = &[
    b"* 1 FETCH (",
    b"UID 5 ",
    b"BODY[] ",
    b"{3}\r\n",
    b"abc",
    b"INTERNALDATE NIL",
    b")\r\n",
    b"\r\n",
    b"* OK [UIDNEXT 5]",
    b"A0001 OK ",
    b"* LIST (\\Noselect) \"/\" ",
    b"RFC822.SIZE 9 ",
    b"\"x\"",
    b"* FLAGS (",
    b"MODSEQ (",
    b"X-GM-LABELS (",
    b"EMAILID (",
    b"NIL",
    b"[ALERT]\xff",
    b"+ ",
    b"* STATUS x (MESSAGES 1)",
];

proptest! {
    #[test]
    fn no_bytes_panic_and_everything_that_passes_can_be_parsed(parts in prop::collection::vec(prop_oneof![
        prop::collection::vec(any::<u8>(), 0..20),
        prop::sample::select(PARTS).prop_map(<[u8]>::to_vec),
    ], 0..30)) {
        let mut gate = Gate::new(1000);
        let end = gate.feed(&parts.concat());
        let bytes = through(&mut gate);
        let mut rest = &bytes[..];
        while let Ok((after, _)) = Response::parse(rest) {
            rest = after;
            if rest.is_empty() { break; }
        }
        prop_assert!(rest.is_empty(), "{end:?} left {:?}", String::from_utf8_lossy(rest));
    }
}
