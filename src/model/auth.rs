//! Raw authentication results, one per signature or check, before any alignment.

use super::{DkimResult, Domain, SpfResult, SpfScope, Text};

/// One DKIM signature as the reporter saw it (`auth_results/dkim`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimAuth {
    /// The signing domain, `d=`.
    pub domain: Option<Domain>,
    /// The selector, `s=`, as written.
    pub selector: Option<Text>,
    /// `None` if absent or empty.
    pub result: Option<DkimResult>,
    /// Free text; empty text if the element is present but empty.
    pub human_result: Option<Text>,
}

/// One SPF check (`auth_results/spf`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpfAuth {
    /// The domain checked.
    pub domain: Option<Domain>,
    /// Which identity was checked; many RFC 7489 reports do not say, and mean MAIL FROM.
    pub scope: Option<SpfScope>,
    /// `None` if absent or empty.
    pub result: Option<SpfResult>,
    /// Free text; empty text if the element is present but empty.
    pub human_result: Option<Text>,
}
