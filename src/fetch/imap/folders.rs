//! Folder names: converts them from the settings (`/`, any script) to the server's form (its separator, its prefix,
//! modified UTF-7), finds them with LIST, and creates missing target folders.

use super::session::{ImapConnection, quoted};
use crate::fetch::mailbox::error::ServerError;
use async_imap::imap_proto::{MailboxDatum, NameAttribute, Response};
use base64::{Engine, alphabet, engine::GeneralPurpose, engine::general_purpose::NO_PAD};

/// Folders considered at most; no mailbox for reports has as many.
const MOST: usize = 50_000;
/// Bytes of the names kept; a name alone may have 64 KiB.
const NAME_BYTES: usize = 8 << 20;
/// A longer folder name is cut when shown.
const SHOWN_CHARACTERS: usize = 100;

/// The folders of a server.
#[derive(Debug, Default)]
pub(super) struct FolderTree {
    separator: Option<char>,
    /// Their names on the server, and whether they can be opened.
    names: Vec<(String, bool)>,
    /// Bytes of the names.
    bytes: usize,
    /// There were more folders than are kept.
    more: bool,
}

impl FolderTree {
    /// Lists all folders.
    pub(super) async fn ask(link: &mut ImapConnection) -> Result<Self, ServerError> {
        let mut tree = Self::default();
        // The second pattern is for servers without any folder.
        for pattern in ["\"*\"", "\"\""] {
            link.command("listing the folders", &format!("LIST \"\" {pattern}"), |response| tree.take(response))
                .await?;
            if tree.separator.is_some() {
                break;
            }
        }
        Ok(tree)
    }

    fn take(&mut self, response: &Response<'_>) {
        let Response::MailboxData(MailboxDatum::List(list)) = response else { return };
        let separator = list.delimiter.as_deref().and_then(|text| text.chars().next());
        self.separator = self.separator.or(separator);
        if list.name.is_empty() {
            return;
        }
        if self.names.len() == MOST || self.bytes + list.name.len() > NAME_BYTES {
            self.more = true;
        } else {
            self.bytes += list.name.len();
            let selectable = !list.name_attributes.iter().any(|attribute| match attribute {
                NameAttribute::NoSelect => true,
                NameAttribute::Extension(word) => word.eq_ignore_ascii_case("\\NonExistent"),
                _ => false,
            });
            self.names.push((list.name.to_string(), selectable));
        }
    }

    /// The names a setting may mean, likeliest first.
    fn candidates(&self, wanted: &str) -> Vec<String> {
        let as_is = encode(wanted);
        let translated = match self.separator {
            Some(separator) => wanted.split('/').map(encode).collect::<Vec<_>>().join(&separator.to_string()),
            None => as_is.clone(),
        };
        let mut all = vec![translated.clone()];
        if as_is != translated {
            all.push(as_is);
        }
        if let Some(separator) = self.separator {
            let prefix = format!("INBOX{separator}");
            if !translated.eq_ignore_ascii_case("INBOX") && !starts_with(&translated, &prefix) {
                let prefixed = format!("{prefix}{translated}");
                match self.prefixed(&prefix) {
                    Some(true) => all.insert(0, prefixed),
                    // Undecided: a server with a prefix refuses the plain name.
                    None => all.push(prefixed),
                    Some(false) => {}
                }
            }
        }
        all
    }

    /// Whether the folders are below this prefix; `None` if there is only INBOX.
    fn prefixed(&self, prefix: &str) -> Option<bool> {
        let mut others = self.names.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("INBOX")).peekable();
        others.peek()?;
        Some(others.all(|(name, _)| starts_with(name, prefix)))
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|(each, selectable)| *selectable && same(each, name))
    }

    /// The server's name of an existing folder.
    pub(super) fn find(&self, wanted: &str) -> Result<String, ServerError> {
        if wanted.eq_ignore_ascii_case("INBOX") {
            return Ok("INBOX".to_owned());
        }
        if let Some(name) = self.candidates(wanted).into_iter().find(|name| self.has(name)) {
            return Ok(name);
        }
        let mut shown: Vec<String> = self
            .names
            .iter()
            .filter(|(_, selectable)| *selectable)
            .map(|(name, _)| self.shown(name).chars().take(SHOWN_CHARACTERS).collect())
            .take(11)
            .collect();
        if shown.len() > 10 {
            "...".clone_into(&mut shown[10]);
        }
        if self.more {
            return Err(ServerError::settled(format!(
                "folder {wanted}: it is not among the first {} folders of the server, and the others are not examined",
                self.names.len()
            )));
        }
        Err(ServerError::hinted(
            format!("folder {wanted}: the server has none of that name"),
            format!("it has: {}", shown.join(", ")),
        ))
    }

    /// The server's name of a target folder, created if necessary.
    pub(super) async fn find_or_make(
        &mut self,
        link: &mut ImapConnection,
        wanted: &str,
    ) -> Result<String, ServerError> {
        if let Ok(name) = self.find(wanted) {
            return Ok(name);
        }
        let doing = format!("making folder {wanted}");
        let mut refusal = ServerError::settled(format!("{doing}: no name for it"));
        for name in self.candidates(wanted) {
            match link.run(&doing, &format!("CREATE {}", quoted(&name))).await {
                Err(ServerError::Refused { answer, .. })
                    if !answer.to_ascii_uppercase().contains("[ALREADYEXISTS]") =>
                {
                    refusal = ServerError::Refused { what: doing.clone(), answer };
                }
                Err(fault @ (ServerError::Lost { .. } | ServerError::Throttled { .. } | ServerError::Stopped)) => {
                    return Err(fault);
                }
                _ => {
                    // So that mail programs show it; a server may have no subscriptions.
                    let _ = link.run("SUBSCRIBE", &format!("SUBSCRIBE {}", quoted(&name))).await;
                    self.names.push((name.clone(), true));
                    return Ok(name);
                }
            }
        }
        Err(refusal)
    }

    /// A server's folder name in the form of the settings.
    pub(super) fn shown(&self, name: &str) -> String {
        let text = decode(name);
        match self.separator {
            Some(separator) if separator != '/' => text.replace(separator, "/"),
            _ => text,
        }
    }
}

fn starts_with(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Names are compared exactly, except INBOX.
fn same(one: &str, other: &str) -> bool {
    one == other || one.eq_ignore_ascii_case("INBOX") && other.eq_ignore_ascii_case("INBOX")
}

/// RFC 3501 section 5.1.3: base64 with `,` for `/`, without padding.
fn base64_of_names() -> GeneralPurpose {
    GeneralPurpose::new(&alphabet::IMAP_MUTF7, NO_PAD)
}

/// Encodes a name in modified UTF-7.
pub(super) fn encode(name: &str) -> String {
    let mut text = String::new();
    let mut units: Vec<u8> = Vec::new();
    let flush = |units: &mut Vec<u8>, text: &mut String| {
        if !units.is_empty() {
            text.push('&');
            base64_of_names().encode_string(&*units, text);
            text.push('-');
            units.clear();
        }
    };
    for character in name.chars() {
        if (' '..='~').contains(&character) {
            flush(&mut units, &mut text);
            text.push(character);
            if character == '&' {
                text.push('-');
            }
        } else {
            units.extend(character.encode_utf16(&mut [0; 2]).iter().flat_map(|unit| unit.to_be_bytes()));
        }
    }
    flush(&mut units, &mut text);
    text
}

/// Decodes modified UTF-7; invalid parts stay as they are.
pub(super) fn decode(name: &str) -> String {
    let mut text = String::new();
    let mut rest = name;
    while let Some((plain, shifted)) = rest.split_once('&') {
        text.push_str(plain);
        let Some((code, after)) = shifted.split_once('-') else {
            text.push('&');
            rest = shifted;
            continue;
        };
        rest = after;
        let units = base64_of_names().decode(code).ok().filter(|bytes| bytes.len() % 2 == 0).and_then(|bytes| {
            let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect();
            String::from_utf16(&units).ok()
        });
        match units {
            _ if code.is_empty() => text.push('&'),
            Some(units) => text.push_str(&units),
            None => {
                text.push('&');
                text.push_str(code);
                text.push('-');
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(separator: char, names: &[&str]) -> FolderTree {
        FolderTree {
            separator: Some(separator),
            names: names.iter().map(|name| ((*name).to_owned(), true)).collect(),
            ..FolderTree::default()
        }
    }

    #[test]
    fn names_are_written_in_modified_utf_7() {
        assert_eq!(encode("DMARC-Übersicht"), "DMARC-&ANw-bersicht");
        assert_eq!(encode("a&b"), "a&-b");
        assert_eq!(encode("台北"), "&U,BTFw-");
        assert_eq!(decode("&U,BTFw-"), "台北");
        assert_eq!(decode("half & way"), "half & way");
    }

    #[test]
    fn a_folder_is_found_behind_separator_and_prefix() {
        let tree = tree('.', &["INBOX", "INBOX.Berichte.DMARC-&ANw-bersicht", "INBOX.Archiv"]);
        assert_eq!(tree.find("Berichte/DMARC-Übersicht").unwrap(), "INBOX.Berichte.DMARC-&ANw-bersicht");
        assert_eq!(tree.find("INBOX/Archiv").unwrap(), "INBOX.Archiv");
        assert_eq!(tree.find("inbox").unwrap(), "INBOX");
        assert_eq!(tree.candidates("Done")[0], "INBOX.Done");
        assert!(tree.find("Nowhere").is_err());
    }

    #[test]
    fn endless_folder_names_are_not_kept() {
        let mut tree = FolderTree::default();
        let long = "x".repeat(60_000);
        for number in 0..60_000 {
            let name = if number % 1000 == 0 { format!("{long}{number}") } else { format!("folder {number}") };
            let line = format!("* LIST () \"/\" \"{name}\"\r\n");
            tree.take(&Response::parse(line.as_bytes()).unwrap().1);
        }
        assert!(tree.names.len() <= MOST && tree.bytes <= NAME_BYTES && tree.more);
        let Err(ServerError::Settled { what, .. }) = tree.find("Nowhere") else { panic!("found") };
        assert!(what.contains("not among the first"), "{what}");
        assert!(tree.find("folder 7").is_ok());
    }

    #[test]
    fn without_a_sign_of_a_prefix_the_plain_name_comes_first() {
        assert_eq!(tree('/', &["INBOX"]).candidates("DMARC/done"), ["DMARC/done", "INBOX/DMARC/done"]);
        assert_eq!(tree('.', &["INBOX", "Sent"]).candidates("DMARC/done"), ["DMARC.done", "DMARC/done"]);
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(name in "\\PC{0,20}") {
            let text = encode(&name);
            prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(decode(&text), name);
        }
    }
}
