//! Parses an `Authentication-Results` field (RFC 8601 section 2.2): which server wrote it, and its result for DMARC.
//!
//! Comments and quoted text are not read. The result is not trusted here; the caller decides which servers count.

/// A receiving server's results.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Results {
    /// The authserv-id, in lower case; empty if there is none.
    pub authserv_id: String,
    /// The first result of each `dmarc` method, in lower case and in order.
    pub dmarc: Vec<String>,
    /// The domain that each of them is about (`header.from`), in lower case; `None` if it does not say.
    pub header_from: Vec<Option<String>>,
}

impl Results {
    /// Reads a field's value.
    pub fn of(value: &str) -> Self {
        let bare = without_comments_and_quotes(value).to_ascii_lowercase();
        let (mut dmarc, mut header_from) = (Vec::new(), Vec::new());
        for result in bare.split(';') {
            let spaced = result.replace('=', " = ");
            let tokens: Vec<&str> = spaced.split_ascii_whitespace().collect();
            // A method, not the value of a property.
            let method = |at: usize| matches!(tokens[at], "dmarc" | "dmarc/1") && (at == 0 || tokens[at - 1] != "=");
            for at in (0..tokens.len()).filter(|at| method(*at)) {
                if let ["=", word, ..] = tokens[at + 1..] {
                    dmarc.push(word.to_owned());
                    let property = tokens[at + 1..].windows(3).find(|three| three[..2] == ["header.from", "="]);
                    let domain = property.map(|three| three[2].rsplit_once('@').map_or(three[2], |(_, domain)| domain));
                    header_from.push(domain.map(str::to_owned));
                }
            }
        }
        Self { authserv_id: authserv_id(value), dmarc, header_from }
    }

    /// Whether it says that DMARC failed.
    pub fn dmarc_failed(&self) -> bool {
        self.dmarc.iter().any(|word| word == "fail")
    }
}

/// The text before the first semicolon, without comments, quotes and a version; empty if a result is there instead.
fn authserv_id(value: &str) -> String {
    let unquoted = value.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"')).map(|(id, _)| id);
    if let Some(id) = unquoted {
        return id.to_ascii_lowercase();
    }
    let bare = without_comments_and_quotes(value);
    let first = bare.split(';').next().unwrap_or_default();
    let id = first.split_ascii_whitespace().next().unwrap_or_default();
    if first.contains('=') { String::new() } else { id.to_ascii_lowercase() }
}

/// The text with comments (which nest) and quoted strings replaced by a space.
pub(super) fn without_comments_and_quotes(text: &str) -> String {
    let mut bare = String::with_capacity(text.len());
    let (mut depth, mut quoted) = (0_u32, false);
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' if depth > 0 || quoted => drop(characters.next()),
            '"' if depth == 0 => {
                quoted = !quoted;
                bare.push(' ');
            }
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth > 0 => {
                depth -= 1;
                bare.push(' ');
            }
            _ if depth == 0 && !quoted => bare.push(character),
            _ => {}
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use super::Results;

    #[test]
    fn the_authserv_id_is_before_the_first_semicolon_only() {
        for (value, id) in [
            ("mx.example.com; dmarc=pass", "mx.example.com"),
            ("(really) MX.Example.COM (v2) 1; dmarc=pass", "mx.example.com"),
            ("\"mx.example.com\" ; dmarc=pass", "mx.example.com"),
            ("evil.example (mx.example.com); dmarc=pass", "evil.example"),
            ("evil.example\"mx.example.com\"; dmarc=pass", "evil.example"),
            ("dmarc=pass; mx.example.com", ""),
            ("", ""),
        ] {
            assert_eq!(Results::of(value).authserv_id, id, "{value}");
        }
    }

    #[test]
    fn the_domain_of_a_result_follows_it() {
        let from = |value: &str| Results::of(value).header_from;
        let named = |domain: &str| vec![Some(domain.to_owned())];
        assert_eq!(from("a; dmarc=pass (p=none) policy.x=y header.from=Example.NET"), named("example.net"));
        assert_eq!(from("a; dmarc=pass header.from = r@example.net"), named("example.net"));
        assert_eq!(from("a; dkim=pass header.from=other.example; dmarc=pass action=none"), [None]);
        assert_eq!(from("a; dmarc=pass x=header.from header.from=\"example.net\""), [None], "quoted text is not read");
        assert_eq!(from("a; header.from=other.example dmarc=pass"), [None], "what stands before is of another result");
    }

    #[test]
    fn the_dmarc_result_is_read_outside_comments_and_properties() {
        for (value, words) in [
            ("a; spf=fail; DMARC = Pass (p=none)", vec!["pass"]),
            ("a; dkim=pass header.d=dmarc=fail", vec![]),
            ("a; dmarc=none; dmarc/1=fail", vec!["none", "fail"]),
            ("a; (dmarc=pass) x=\"dmarc=pass\"", vec![]),
        ] {
            assert_eq!(Results::of(value).dmarc, words, "{value}");
        }
    }
}
