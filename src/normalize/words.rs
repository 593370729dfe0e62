//! The keywords of a report: white space and case are folded, aliases of known reporters mapped, all others kept.
//! `docs/standards.md` section 2.2 lists the aliases.

use super::bounded::{WORD, bounded};
use crate::model::{Disposition, DkimResult, Evaluated, ReasonType, SpfResult, SpfScope, Text};
use crate::parse::scan::trim;
use std::borrow::Cow;
use std::fmt::Display;

/// A vocabulary, as `normalize` needs it.
pub(super) trait Word: Sized + Clone + Display {
    /// The standard keyword with exactly this spelling: nearly every value is one.
    fn standard(text: &str) -> Option<Self>;

    /// The keyword for trimmed lower-case text, and whether it is standard.
    fn read(word: &str) -> (Self, bool);
}

/// Reads a keyword; `None` if the text is empty. The flag says whether it needs a finding.
pub(super) fn word<W: Word>(text: &str) -> Option<(W, bool)> {
    if let Some(word) = W::standard(text) {
        return Some((word, false));
    }
    let text = trim(text);
    if text.is_empty() {
        return None;
    }
    let (word, standard) = if text.bytes().any(|byte| byte.is_ascii_uppercase() || !byte.is_ascii()) {
        W::read(&text.to_lowercase())
    } else {
        W::read(text)
    };
    Some((word, !standard))
}

/// Trimmed text in lower case; `None` if it is empty.
pub(super) fn lower(text: &str) -> Option<Text> {
    let text = trim(text);
    let is_lower = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    // Cut after folding: a lower-case letter may be longer than its upper-case form.
    let folded = if is_lower { Cow::Borrowed(text) } else { Cow::Owned(text.to_lowercase()) };
    (!text.is_empty()).then(|| Text::from(bounded(&folded, WORD)))
}

/// Implements the trait: aliases first, then the standard keywords.
macro_rules! word {
    ($name:ident { $($($alias:literal)|+ => $word:ident,)* }) => {
        impl Word for $name {
            fn standard(text: &str) -> Option<Self> {
                match text {
                    $($($alias)|+ => None,)*
                    _ => Self::known(text),
                }
            }

            fn read(word: &str) -> (Self, bool) {
                match word {
                    $($($alias)|+ => (Self::$word, false),)*
                    _ => Self::known(word).map_or_else(|| (Self::Other(bounded(word, WORD).into()), false), |word| (word, true)),
                }
            }
        }
    };
}

word!(Disposition {});
word!(Evaluated {});
word!(ReasonType {});
word!(DkimResult {
    // OpenDMARC writes SPF's keywords for DKIM, and one of its own.
    "softfail" | "hardfail" => Fail,
    "error" | "permfail" => PermError,
    "tempfail" => TempError,
    "unknown" => Unknown,
});
word!(SpfResult {
    "hardfail" => Fail,
    // `unknown` and `error` are aliases by the comments of RFC 7489's schema.
    "unknown" | "tempfail" => TempError,
    "error" | "permfail" => PermError,
});
word!(SpfScope {
    "mailfrom" | "mail from" => MailFrom,
    "ehlo" => Helo,
});

#[cfg(test)]
mod tests {
    use super::*;

    fn spf(text: &str) -> Option<(String, bool)> {
        word::<SpfResult>(text).map(|(word, odd)| (word.as_str().to_owned(), odd))
    }

    fn dkim(text: &str) -> Option<(String, bool)> {
        word::<DkimResult>(text).map(|(word, odd)| (word.as_str().to_owned(), odd))
    }

    #[test]
    fn case_and_white_space_cause_no_finding() {
        assert_eq!(spf(" Pass\n"), Some(("pass".into(), false)));
        assert_eq!(dkim("TempError"), Some(("temperror".into(), false)));
    }

    #[test]
    fn aliases_are_mapped_with_a_finding() {
        for (alias, standard) in [
            ("hardfail", "fail"),
            ("unknown", "temperror"),
            ("error", "permerror"),
            ("tempfail", "temperror"),
            ("permfail", "permerror"),
        ] {
            assert_eq!(spf(alias), Some((standard.into(), true)), "{alias}");
        }
        for (alias, standard) in
            [("hardfail", "fail"), ("softfail", "fail"), ("unknown", "unknown"), ("error", "permerror")]
        {
            assert_eq!(dkim(alias), Some((standard.into(), true)), "{alias}");
        }
    }

    #[test]
    fn soft_fail_and_policy_are_words_of_spf() {
        assert_eq!(spf("softfail"), Some(("softfail".into(), false)));
        assert_eq!(spf("policy"), Some(("policy".into(), false)));
    }

    #[test]
    fn unknown_words_are_kept() {
        assert_eq!(spf("Maybe"), Some(("maybe".into(), true)));
        assert_eq!(word::<Disposition>("softfail"), Some((Disposition::Other("softfail".into()), true)));
        assert_eq!(word::<ReasonType>("sealed"), Some((ReasonType::Other("sealed".into()), true)));
    }

    #[test]
    fn no_text_is_no_word() {
        assert_eq!(spf(" "), None);
        assert_eq!(word::<Evaluated>(""), None);
    }
}
