//! Plain words for what the answers say: the same in every rendering.

use crate::model::Cause;

/// A cause in a short phrase, for a table.
pub(crate) const fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::PassBoth => "passes",
        Cause::PassDkimOnly => "passes by DKIM alone",
        Cause::PassSpfOnly => "passes by SPF alone",
        Cause::Transient => "temporary error while checking",
        Cause::ForwardedDeclared => "forwarded, the receiver says",
        Cause::SampledOrTesting => "policy sampled or in test mode",
        Cause::ListOrModifyingForwarder => "mailing list, or a forwarder that changes mail",
        Cause::OwnSigningBroken => "your DKIM signature does not verify",
        Cause::AuthenticatedUnaligned => "authenticated, but as another domain",
        Cause::Unauthenticated => "nothing authenticates it",
        Cause::SpfGap => "your sender, but neither in SPF nor signed",
        Cause::SpoofSuspect => "nothing proves it is you: likely spoofed",
        Cause::Unknown => "the reports do not say enough",
    }
}
