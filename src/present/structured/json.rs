//! Answers as JSON: every number, in the formats of `summary.schema.json` and `simulation.schema.json`.

use crate::present::wording::clean::is_shown;
use serde::Serialize;
use serde_json::ser::{PrettyFormatter, Serializer};
use std::io::{self, Write};

/// The JSON Schema (2020-12) of a summary.
pub const SCHEMA: &str = include_str!("summary.schema.json");

/// The JSON Schema (2020-12) of a simulation.
pub const SIMULATION_JSON_SCHEMA: &str = include_str!("simulation.schema.json");

/// An answer as JSON, indented, with a final newline. Characters that could control a terminal or are invisible are escaped:
/// the value is what the reporter wrote, but the bytes are harmless.
///
/// # Panics
/// Never: everything in an answer can be written as JSON.
pub fn json(answer: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    write_json(answer, &mut bytes).expect("an answer has string keys and finite numbers only, and a vector takes them");
    String::from_utf8(bytes).expect("serde_json writes UTF-8")
}

/// Writes the same as [`json`], which with many sources may be too much to hold in memory.
///
/// # Errors
/// Those of `out`.
pub fn write_json(answer: &impl Serialize, out: impl Write) -> io::Result<()> {
    let mut out = Escaping(out);
    answer.serialize(&mut Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(b" ")))?;
    out.write_all(b"\n")
}

/// Escapes invisible and control characters in JSON. Line breaks in it are never part of a string.
struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')) {
            return self.0.write(bytes);
        }
        // serde_json writes a string in pieces of whole characters.
        for char in str::from_utf8(bytes).map_err(io::Error::other)?.chars() {
            if char == '\n' || is_shown(char) {
                write!(self.0, "{char}")?;
            } else {
                char.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(self.0, "\\u{unit:04x}"))?;
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::analyze::tests::weeks;
    use serde_json::Value;

    /// Checks a value against a schema: types, keys in both directions, enumerations and references. Every key must be
    /// documented.
    pub(crate) fn check(value: &Value, schema: &Value, root: &Value, at: &str) {
        if let Some(name) = schema["$ref"].as_str() {
            return check(value, &root["$defs"][name.trim_start_matches("#/$defs/")], root, at);
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            return if value.is_null() {
                assert_eq!(choices[1]["type"], "null", "{at}");
            } else {
                check(value, &choices[0], root, at);
            };
        }
        if let Some(words) = schema["enum"].as_array() {
            assert!(words.contains(value), "{at}: {value} is no word of the schema");
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one.as_str()],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => return,
        };
        let found = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        assert!(
            types.contains(&found) || types.contains(&"number") && found == "integer",
            "{at}: {found}, expected {types:?}"
        );
        if let (Some(items), Some(schema)) = (value.as_array(), schema.get("items")) {
            items.iter().enumerate().for_each(|(place, item)| check(item, schema, root, &format!("{at}[{place}]")));
        }
        if let (Some(fields), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
            for (key, field) in fields {
                let schema = known.get(key).unwrap_or_else(|| panic!("{at}.{key} is not in the schema"));
                check(field, schema, root, &format!("{at}.{key}"));
            }
            for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                assert!(fields.contains_key(key), "{at}.{key} is missing");
            }
        }
    }

    #[test]
    fn the_json_matches_the_schema() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let of_tls = crate::present::tests::hostile();
        for summary in [weeks::eventful().summary(), weeks::World::new().summary(), of_tls] {
            let value: Value = serde_json::from_str(&json(&summary)).unwrap();
            check(&value, &schema, &schema, "summary");
            assert_eq!(value["totals"]["messages"], summary.totals.sums.messages);
        }
    }

    #[test]
    fn control_characters_are_escaped_and_the_value_is_kept() {
        let name = "a\u{1b}[31m\u{202e}b\u{9b}\u{e0041}";
        let mut summary = weeks::World::new().summary();
        summary.domains[0].policy_domain = name.into();
        let text = json(&summary);
        assert!(text.chars().all(|char| char == '\n' || is_shown(char)), "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["domains"][0]["policy_domain"], name);
    }
}
