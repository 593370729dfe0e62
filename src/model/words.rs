//! Keywords and their spellings. Those of a report may be others than the standard's, which are kept as text.

use super::Text;

/// Defines a closed set of keywords, each with its spelling in columns and JSON.
macro_rules! keywords {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$word_meta:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        pub enum $name {
            $($(#[$word_meta])* $word,)+
        }

        impl $name {
            /// All there are, in order.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$word),+];

            /// The word as stored in columns and used in answers.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$word => $text,)+
                }
            }

            /// The keyword with this spelling.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|keyword| keyword.as_str() == word)
            }
        }
    };
}

pub(super) use keywords;

/// Defines an open set of keywords: the known ones with their spelling, and `Other` for the rest.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$word_doc])* $word,)+
            /// A nonstandard word, trimmed and in lower case.
            Other(Text),
        }

        impl $name {
            /// The word as stored in the columns.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$word => $text,)+
                    Self::Other(text) => text,
                }
            }

            /// Parses a known word, already trimmed and in lower case. `normalize` handles aliases.
            pub fn known(word: &str) -> Option<Self> {
                match word {
                    $($text => Some(Self::$word),)+
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// `policy_evaluated/disposition`: what the receiver did.
    Disposition {
        /// No action because of DMARC.
        None = "none",
        /// Treated as suspicious.
        Quarantine = "quarantine",
        /// Rejected.
        Reject = "reject",
        /// RFC 9990: passed DMARC under an enforcing policy.
        Pass = "pass",
    }
}

words! {
    /// `policy_evaluated/dkim` and `/spf`: the reporter's aligned result. Anything but `pass` does not pass.
    Evaluated {
        /// Passed and aligned.
        Pass = "pass",
        /// Did not pass, or did not align.
        Fail = "fail",
    }
}

words! {
    /// A raw DKIM result (RFC 8601 section 2.7.1).
    DkimResult {
        /// Not signed.
        None = "none",
        /// The signature verified.
        Pass = "pass",
        /// The signature did not verify.
        Fail = "fail",
        /// Not accepted by local policy, for example because the key is too weak.
        Policy = "policy",
        /// Could not be processed.
        Neutral = "neutral",
        /// May pass later.
        TempError = "temperror",
        /// Will not pass, for example because the key is missing or malformed.
        PermError = "permerror",
        /// What `OpenDMARC` writes if it could not tell.
        Unknown = "unknown",
    }
}

words! {
    /// A raw SPF result (RFC 7208 section 2.6, RFC 9990).
    SpfResult {
        /// No record.
        None = "none",
        /// The record makes no statement about the address.
        Neutral = "neutral",
        /// The address is authorized.
        Pass = "pass",
        /// The address is not authorized.
        Fail = "fail",
        /// Probably not authorized.
        SoftFail = "softfail",
        /// May pass later.
        TempError = "temperror",
        /// The record cannot be evaluated.
        PermError = "permerror",
        /// RFC 8601: overridden by local policy.
        Policy = "policy",
    }
}

words! {
    /// Which identity SPF checked.
    SpfScope {
        /// RFC5321.MailFrom.
        MailFrom = "mfrom",
        /// The HELO or EHLO name.
        Helo = "helo",
    }
}

words! {
    /// `reason/type`: why the disposition differs from the published policy.
    ReasonType {
        /// RFC 7489: known to be forwarded.
        Forwarded = "forwarded",
        /// RFC 7489: outside the `pct` sample.
        SampledOut = "sampled_out",
        /// From a forwarder the receiver trusts.
        TrustedForwarder = "trusted_forwarder",
        /// From a mailing list.
        MailingList = "mailing_list",
        /// A local rule; the comment may say `arc=pass`.
        LocalPolicy = "local_policy",
        /// RFC 9990: `t=y`.
        PolicyTestMode = "policy_test_mode",
        /// Something else, or an empty or absent type.
        Unspecified = "other",
    }
}
