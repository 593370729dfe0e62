//! Tag lists, `name=value; name=value`, as DMARC records and DKIM keys are written (RFC 6376 section 3.2), read as receivers
//! do. What a tag means is left to others.

/// One tag, trimmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag {
    /// In lower case.
    pub name: String,
    /// As written, without the white space around it.
    pub value: String,
}

/// A tag list and how it was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tags {
    /// In order, the first of each name.
    pub tags: Vec<Tag>,
    /// Names that occur more than once.
    pub repeated: Vec<String>,
    /// Pieces between semicolons that are not tags.
    pub pieces: Vec<String>,
}

impl Tags {
    /// Splits a record into tags. Nothing is an error here: `pieces` has what cannot be read.
    pub fn parse(text: &str) -> Self {
        let mut list = Self::default();
        for piece in text.split(';').map(str::trim).filter(|piece| !piece.is_empty()) {
            match piece.split_once('=') {
                Some((name, value)) if is_tag_name(name.trim()) => list.add(name.trim(), value.trim()),
                _ => list.pieces.push(piece.to_owned()),
            }
        }
        list
    }

    fn add(&mut self, name: &str, value: &str) {
        let name = name.to_ascii_lowercase();
        if self.get(&name).is_none() {
            self.tags.push(Tag { name, value: value.to_owned() });
        } else if !self.repeated.contains(&name) {
            self.repeated.push(name);
        }
    }

    /// The value of a tag.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.tags.iter().find(|tag| tag.name == name).map(|tag| tag.value.as_str())
    }

    /// Whether this tag comes first.
    pub fn starts_with(&self, name: &str) -> bool {
        self.tags.first().is_some_and(|tag| tag.name == name)
    }
}

/// Whether a text can be the name of a tag: `ALPHA *(ALPHA / DIGIT / "_")`.
pub fn is_tag_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|other| other.is_ascii_alphanumeric() || other == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_a_final_semicolon_do_not_matter() {
        let list = Tags::parse(" v = DMARC1 ;p=none; ; rua=mailto:a@example.com ;");
        let tags: Vec<_> = list.tags.iter().map(|tag| (tag.name.as_str(), tag.value.as_str())).collect();
        assert_eq!(tags, [("v", "DMARC1"), ("p", "none"), ("rua", "mailto:a@example.com")]);
        assert!(list.repeated.is_empty() && list.pieces.is_empty());
    }

    #[test]
    fn text_that_is_not_a_tag_is_kept_separately() {
        let list = Tags::parse("v=DMARC1; p none; p=none; p=reject; 1=2; k=a=b");
        assert_eq!(list.pieces, ["p none", "1=2"]);
        assert_eq!(list.repeated, ["p"]);
        assert_eq!(list.get("p"), Some("none"));
        assert_eq!(list.get("k"), Some("a=b"));
    }
}
