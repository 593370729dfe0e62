//! JSON as reporters write it is read, and every slip is a finding.

use crate::model::Findings;
use crate::parse::json::{JsonReader, JsonScalar, JsonStart, without_blanks};

fn read(text: &str) -> (Vec<(String, JsonScalar<'_>)>, bool, Vec<&'static str>) {
    let mut findings = Findings::new(10);
    let mut reader = JsonReader::new(text, 100, 4, &mut findings);
    let mut found = Vec::new();
    if reader.start() == JsonStart::Object {
        reader.enter();
        while let Some(key) = reader.key(found.is_empty()) {
            let value = reader.scalar();
            found.push((key.into_owned(), value));
        }
    }
    let cut = reader.cut;
    (found, cut, findings.into_vec().iter().map(|finding| finding.code.as_str()).collect())
}

fn text(text: &str) -> JsonScalar<'_> {
    JsonScalar::Text(text.into())
}

#[test]
fn valid_json_is_read_without_findings() {
    let (found, cut, codes) =
        read(r#" {"a": "x\u00e9\ud83d\ude00\"\/\n", "B_c":-12.5e3,"d":null ,"e":[1,{"x":"]}"}],"f":true} "#);
    let found: Vec<_> = found.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    assert_eq!(
        found,
        [
            ("a", text("xé😀\"/\n")),
            ("b-c", JsonScalar::Number("-12.5e3")),
            ("d", JsonScalar::None),
            ("e", JsonScalar::Other("an array")),
            ("f", JsonScalar::Other("true")),
        ]
    );
    assert_eq!((cut, codes), (false, vec![]));
}

#[test]
fn mistakes_cost_a_finding_and_nothing_else() {
    for (json, value) in [
        (r#"{"a": 1,}"#, JsonScalar::Number("1")),
        (r#"{,"a": 1}"#, JsonScalar::Number("1")),
        (r#"{"a" 1}"#, JsonScalar::Number("1")),
        ("{a: 1}", JsonScalar::Number("1")),
        (r#"{"a": 1]"#, JsonScalar::Number("1")),
        (r#"{"a": NaN}"#, JsonScalar::Malformed("NaN")),
        (r#"{"a": "\ud800x"}"#, text("\u{fffd}x")),
        (r#"{"a": "\q"}"#, text("q")),
        ("{\"a\": \"x\0y\"}", text("x\u{fffd}y")),
    ] {
        let (found, cut, codes) = read(json);
        assert_eq!(found, [("a".to_owned(), value)], "{json}");
        assert!(!cut && codes[0] == "json.syntax", "{json}: {codes:?}");
    }
}

#[test]
fn control_characters_are_not_kept() {
    let (found, _, codes) = read(r#"{"a": "x\u001b[2J\u202ey\r\nz\u0000"}"#);
    assert_eq!(found[0].1, text("x\u{fffd}[2J\u{fffd}y\nz\u{fffd}"));
    assert_eq!(codes, ["text.control"]);
}

#[test]
fn a_truncated_document_is_marked() {
    let whole = r#"{"a": "x\"y", "b": [1, {"c": "d"}]}"#;
    for end in 1..whole.len() {
        let (_, cut, _) = read(&whole[..end]);
        assert!(cut, "{}", &whole[..end]);
    }
    assert!(!read(whole).1);
}

#[test]
fn nothing_is_too_deep_or_too_long() {
    let deep = format!(r#"{{"a": {}1{}, "b": 2}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let (found, cut, codes) = read(&deep);
    assert_eq!((found.len(), cut, codes), (2, false, vec!["limit.dropped"]));
    let long = format!(r#"{{"a": "{}"}}"#, "é".repeat(1000));
    let (found, _, codes) = read(&long);
    assert_eq!((found[0].1.clone(), codes), (text(&"é".repeat(50)), vec!["text.cut"]));
}

#[test]
fn white_space_between_values_is_no_content() {
    let dense = |json: &str| {
        let mut out = Vec::new();
        without_blanks(json, |piece| out.extend_from_slice(piece));
        String::from_utf8(out).unwrap()
    };
    assert_eq!(dense("{ \"a b\\\" c\" :\r\n\t[1, 2] }"), "{\"a b\\\" c\":[1,2]}");
    assert_eq!(dense("{ \"a \\\\\" : \"b "), "{\"a \\\\\":\"b ");
    for odd in ["\"", "{ \"", "\"\\", "\"\\\"", ""] {
        assert_eq!(dense(odd), odd.replace(' ', ""), "{odd}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn no_text_panics_or_never_ends(text in "[\\[\\]{}:,\"\\\\ua-d0-9 é\u{0}]{0,60}") {
        let text = format!("{{{text}");
        let _ = read(&text);
        let mut pieces = 0;
        without_blanks(&text, |piece| pieces += piece.len());
        proptest::prop_assert!(pieces <= text.len());
    }
}
