//! What the results of a row mean for the domain in its From: which of its signatures verify and which do not, whose
//! return path passes SPF, which other domain authenticates it. Each [`Pattern`] is interpreted once for all its rows.

use crate::analyze::sums::adder::CollectedSums;
use crate::analyze::sums::facts::Pattern;
use crate::analyze::sums::interner::{Interner, NONE, OTHER};
use crate::judge::organizational;
use crate::model::{Cause, Flags, SignatureColumns, Text};

/// A signing domain and its selector, as IDs of the view's names.
pub(crate) type SigningKey = (u32, u32);

/// What is wrong with a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Breakage {
    /// `permerror`: the key cannot be found or read.
    NoKey,
    /// `policy`, `neutral`: it is not accepted.
    Refused,
    /// `fail`: the signature does not match the mail and the key.
    Mismatch,
    /// `fail`, and the reporter's text says that the body was changed.
    Body,
}

/// A signature of the domain that does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BrokenSignature {
    pub(crate) key: SigningKey,
    pub(crate) breakage: Breakage,
}

/// The return path of some mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathResult {
    /// Unknown, or a temporary error.
    Unsaid,
    /// The domain's own organization, and SPF passes.
    OwnPass,
    /// The domain's own organization, and the address is not authorized, or there is no record.
    OwnFail,
    /// The domain's own organization, and its record cannot be evaluated.
    OwnError,
    /// Another organization, and SPF passes.
    OtherPass,
    /// Another organization, and SPF does not pass.
    OtherFail,
}

impl PathResult {
    /// Whether it is the domain's own organization, whatever SPF says.
    pub(crate) fn is_own(self) -> bool {
        matches!(self, Self::OwnPass | Self::OwnFail | Self::OwnError)
    }
}

/// What the receiver says about the mail's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declared {
    /// Nothing.
    Nothing,
    /// Forwarded, or from a forwarder it trusts, or its ARC chain passes.
    Forwarded,
    /// From a mailing list.
    List,
}

impl Declared {
    /// From an override reason: it says little about legitimacy, but much about the path of a mail (`docs/judging.md`).
    pub(crate) fn of(reason: &str) -> Self {
        if reason.starts_with("mailing_list") {
            Self::List
        } else if reason.starts_with("forwarded")
            || reason.starts_with("trusted_forwarder")
            || reason.contains("arc=pass")
        {
            Self::Forwarded
        } else {
            Self::Nothing
        }
    }
}

/// An interpreted pattern.
#[expect(clippy::struct_excessive_bools, reason = "each answers a question of its own")]
#[derive(Debug, Clone)]
pub(crate) struct AuthPattern {
    pub(crate) pattern: Pattern,
    /// It is from the requested period, not from the history.
    pub(crate) current: bool,
    pub(crate) passes: bool,
    /// Only a temporary error of the domain's own result prevents a pass.
    pub(crate) transient: bool,
    /// The domain's signatures that verify, aligned or not.
    pub(crate) verified: Box<[SigningKey]>,
    /// The domain's signatures that do not.
    pub(crate) broken: Box<[BrokenSignature]>,
    pub(crate) path: PathResult,
    /// The domain's own return path, as an ID of the sums' words; [`NONE`] for any other, and beyond the bounds.
    pub(crate) return_path: u32,
    /// The return path is in the domain's own organization, but is neither the From domain nor the policy domain.
    pub(crate) bounce_name: bool,
    /// Other signing domains that verify, most specific first.
    pub(crate) vouchers: Box<[u32]>,
    /// The organization of a return path of another that passes SPF.
    pub(crate) path_owner: Option<u32>,
    /// The organization of a return path that passes SPF, own or other.
    pub(crate) returns_to: Option<u32>,
    pub(crate) declared: Declared,
    /// Fails, but passes something for another domain.
    pub(crate) unaligned: bool,
    /// The receiver rejected or quarantined it.
    pub(crate) blocked: bool,
    /// It was sent as a name below the policy domain.
    pub(crate) as_subdomain: bool,
    /// The report does not name the From domain.
    pub(crate) from_unsaid: bool,
}

impl AuthPattern {
    /// Whether something of the domain's own organization passes, aligned or not.
    pub(crate) fn own_pass(&self) -> bool {
        !self.verified.is_empty() || self.path == PathResult::OwnPass
    }

    /// The other domain that authenticates it: the signing domain, else the organization of the return path.
    pub(crate) fn foreign(&self) -> Option<u32> {
        self.vouchers.first().copied().or(self.path_owner)
    }

    /// Whether it has a signature of the domain's own organization, good or broken.
    pub(crate) fn signed(&self) -> bool {
        !self.verified.is_empty() || !self.broken.is_empty()
    }

    /// Whether it fails, and not just temporarily.
    pub(crate) fn fails(&self) -> bool {
        !self.passes && !self.transient
    }
}

/// Interprets a pattern. `is_service` recognizes mail services, which many senders share.
pub(crate) fn understand(
    added: &CollectedSums,
    pattern: Pattern,
    names: &mut Interner<Text>,
    is_service: impl Fn(&str) -> bool,
) -> AuthPattern {
    let word = |id: u32| added.common.texts.text(id);
    let (header_from, domain, path) = (word(pattern.header_from), word(pattern.domain), word(pattern.return_path));
    let own = organizational(if header_from.is_empty() { domain } else { header_from });
    let spf = word(pattern.spf_result);
    let passes = pattern.flags.has(Flags::PASS);
    let (mut verified, mut broken, mut vouchers, mut temporary) = (Vec::new(), Vec::new(), Vec::new(), false);
    for signature in signatures(word(pattern.signatures), &pattern, word) {
        let is_own = organizational(signature.domain) == own;
        match (is_own, signature.result) {
            (_, _) if signature.domain.is_empty() => {}
            (true, "pass") => verified.push(key(names, &signature)),
            (true, "temperror") => temporary = true,
            (true, result) => {
                let Some(breakage) = breakage(result, signature.body) else { continue };
                broken.push(BrokenSignature { key: key(names, &signature), breakage });
            }
            (false, "pass") => vouchers.push(signature.domain),
            (false, _) => {}
        }
    }
    // A customer's signature is more specific than that of its service.
    vouchers.sort_by_key(|domain| is_service(domain));
    let owner = organizational(path);
    let path_result = path_result(owner, own, spf);
    temporary |= owner == own && spf == "temperror";
    let returns_to = matches!(path_result, PathResult::OwnPass | PathResult::OtherPass).then(|| names.word(owner));
    AuthPattern {
        current: pattern.window == added.scope.current,
        passes,
        transient: !passes && (temporary || pattern.cause == Cause::Transient),
        bounce_name: owner == own && path != header_from && path != domain,
        unaligned: !passes && (!vouchers.is_empty() || spf == "pass" || !verified.is_empty()),
        path_owner: returns_to.filter(|_| path_result == PathResult::OtherPass),
        returns_to,
        vouchers: vouchers.into_iter().take(MOST).map(|domain| names.word(domain)).collect(),
        verified: first_of(verified),
        broken: first_of(broken),
        path: path_result,
        return_path: if path_result.is_own() { pattern.return_path } else { NONE },
        declared: Declared::of(word(pattern.reason)),
        blocked: matches!(word(pattern.disposition), "quarantine" | "reject"),
        from_unsaid: header_from.is_empty(),
        as_subdomain: pattern.header_from != pattern.domain && !header_from.is_empty(),
        pattern,
    }
}

/// Domain, selector and result of each signature of a pattern, from the columns.
pub(crate) fn reported_signatures<'a>(
    added: &'a CollectedSums,
    pattern: &Pattern,
) -> impl Iterator<Item = (&'a str, &'a str, &'a str)> {
    let word = |id: u32| added.common.texts.text(id);
    signatures(word(pattern.signatures), pattern, word)
        .filter(|signature| !signature.domain.is_empty())
        .map(|signature| (signature.domain, signature.selector, signature.result))
}

/// The key of a signature; selectors beyond the bounds share one.
fn key(names: &mut Interner<Text>, signature: &SignatureColumns<'_>) -> SigningKey {
    if signature.selector == OTHER {
        return (names.word(OTHER), names.word(OTHER));
    }
    (names.word(signature.domain), names.word(signature.selector))
}

/// Signatures kept of each kind: enough to identify the sender; more are only added to fill memory.
const MOST: usize = 4;

/// The first few, each once.
fn first_of<T: PartialEq>(all: Vec<T>) -> Box<[T]> {
    let mut first = Vec::with_capacity(all.len().min(MOST));
    for one in all {
        if first.len() < MOST && !first.contains(&one) {
            first.push(one);
        }
    }
    first.into()
}

/// All signatures of a row, or the deciding one if that is all.
fn signatures<'a>(
    all: &'a str,
    pattern: &Pattern,
    word: impl Fn(u32) -> &'a str,
) -> impl Iterator<Item = SignatureColumns<'a>> {
    let deciding = all.is_empty().then(|| SignatureColumns {
        domain: word(pattern.dkim_domain),
        selector: word(pattern.dkim_selector),
        result: word(pattern.dkim_result),
        body: false,
    });
    deciding.into_iter().chain(SignatureColumns::all(all))
}

/// What is wrong according to a result; `None` if it says nothing about the signature.
fn breakage(result: &str, body: bool) -> Option<Breakage> {
    match result {
        "permerror" => Some(Breakage::NoKey),
        "policy" | "neutral" => Some(Breakage::Refused),
        "fail" if body => Some(Breakage::Body),
        "fail" => Some(Breakage::Mismatch),
        _ => None,
    }
}

fn path_result(owner: &str, own: &str, result: &str) -> PathResult {
    match (owner.is_empty(), owner == own, result) {
        (true, ..) | (_, _, "" | "temperror") => PathResult::Unsaid,
        (_, true, "pass") => PathResult::OwnPass,
        (_, true, "permerror") => PathResult::OwnError,
        (_, true, _) => PathResult::OwnFail,
        (_, false, "pass") => PathResult::OtherPass,
        (_, false, _) => PathResult::OtherFail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_a_return_path_is_goes_by_the_organization() {
        let of = |path: &str, result: &str| path_result(organizational(path), "example.com", result);
        assert_eq!(of("bounce.example.com", "softfail"), PathResult::OwnFail);
        assert_eq!(of("example.com", "none"), PathResult::OwnFail);
        assert_eq!(of("example.com", "permerror"), PathResult::OwnError);
        assert_eq!(of("example.com", "temperror"), PathResult::Unsaid);
        assert_eq!(of("b.esp.example", "pass"), PathResult::OtherPass);
        assert_eq!(of("", "pass"), PathResult::Unsaid);
    }

    #[test]
    fn an_inconclusive_result_breaks_no_signature() {
        assert_eq!(breakage("permerror", false), Some(Breakage::NoKey));
        assert_eq!(breakage("fail", true), Some(Breakage::Body));
        assert_eq!(breakage("none", false), None);
    }

    #[test]
    fn the_receivers_reason_shows_the_path() {
        assert_eq!(Declared::of("forwarded"), Declared::Forwarded);
        assert_eq!(Declared::of("local_policy arc=pass"), Declared::Forwarded);
        assert_eq!(Declared::of("mailing_list"), Declared::List);
        assert_eq!(Declared::of("local_policy"), Declared::Nothing);
    }
}
