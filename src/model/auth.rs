//! Raw authentication results, one a signature or check, before any alignment.

use super::{DkimResult, Domain, SpfResult, SpfScope, Text};

/// One DKIM signature as the reporter saw it (`auth_results/dkim`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimAuth {
    /// The signing domain, `d=`.
    pub domain: Option<Domain>,
    /// The selector, `s=`, as written.
    pub selector: Option<Text>,
    /// Null where absent or empty.
    pub result: Option<DkimResult>,
    /// Free text; empty text where the element is there but empty.
    pub human_result: Option<Text>,
}

/// One SPF check (`auth_results/spf`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpfAuth {
    /// The domain checked.
    pub domain: Option<Domain>,
    /// Which identity was checked; absent in RFC 7489 reports of many, and then MAIL FROM.
    pub scope: Option<SpfScope>,
    /// Null where absent or empty.
    pub result: Option<SpfResult>,
    /// Free text; empty text where the element is there but empty.
    pub human_result: Option<Text>,
}
