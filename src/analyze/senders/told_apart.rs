//! Limits the identities that are distinguished to those with most messages. A forged report can contain as many
//! made-up keys and domains as rows fit into a mail, and each takes memory; everything beyond the bound is one
//! identity, [`OTHER`], with exact sums.

use super::auth_pattern::{AuthPattern, BrokenSignature, SigningKey};
use crate::analyze::sums::common::PatternSums;
use crate::analyze::sums::interner::{IdMap, IdSet, Interner, NONE, OTHER};
use crate::model::Text;
use std::cmp::Reverse;

/// An identity of a sender, with its policy domain.
type Identifier = (u32, Named);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Named {
    /// The key of a signature of the domain.
    Key(SigningKey),
    /// Another's name: a signing domain, or the organization of a return path.
    Voucher(u32),
    /// An own return path.
    Path(u32),
}

/// Keeps at most this many identities, the largest, over all policy domains. Returns the ID of [`OTHER`].
pub(super) fn tell_apart(
    patterns: &mut [AuthPattern],
    sums: &[PatternSums],
    (texts, names): (&Interner<Text>, &mut Interner<Text>),
    most: usize,
) -> u32 {
    let other = names.word(OTHER);
    let mut messages: IdMap<Identifier, u64> = IdMap::default();
    for (pattern, sums) in patterns.iter().zip(sums) {
        // Unproven reports must not push out others.
        let weight = if pattern.pattern.unproven { 0 } else { sums.messages };
        each(pattern, |named| {
            let sum = messages.entry((pattern.pattern.domain, named)).or_default();
            *sum = sum.saturating_add(weight);
        });
    }
    if messages.len() <= most {
        return other;
    }
    let words = |(domain, named): &Identifier| match named {
        Named::Key((signer, selector)) => (texts.text(*domain), 0, names.text(*signer), names.text(*selector)),
        Named::Voucher(voucher) => (texts.text(*domain), 1, names.text(*voucher), ""),
        Named::Path(path) => (texts.text(*domain), 2, texts.text(*path), ""),
    };
    let mut ranked: Vec<(Identifier, u64)> = messages.into_iter().collect();
    let order =
        |a: &(Identifier, u64), b: &(Identifier, u64)| (Reverse(a.1), words(&a.0)).cmp(&(Reverse(b.1), words(&b.0)));
    ranked.select_nth_unstable_by(most, order);
    ranked.truncate(most);
    let kept: IdSet<Identifier> = ranked.into_iter().map(|(identifier, _)| identifier).collect();
    for pattern in patterns {
        let domain = pattern.pattern.domain;
        fold(pattern, other, |named| kept.contains(&(domain, named)));
    }
    other
}

/// Every identity of a pattern's sender.
fn each(pattern: &AuthPattern, mut tell: impl FnMut(Named)) {
    pattern.verified.iter().for_each(|key| tell(Named::Key(*key)));
    pattern.broken.iter().for_each(|broken| tell(Named::Key(broken.key)));
    pattern.vouchers.iter().chain(&pattern.returns_to).for_each(|name| tell(Named::Voucher(*name)));
    if pattern.path.is_own() {
        tell(Named::Path(pattern.return_path));
    }
}

/// Replaces every identity that is not kept with [`OTHER`].
fn fold(pattern: &mut AuthPattern, other: u32, keeps: impl Fn(Named) -> bool) {
    let key = |key: SigningKey| if keeps(Named::Key(key)) { key } else { (other, other) };
    let name = |name: u32| if keeps(Named::Voucher(name)) { name } else { other };
    pattern.verified.iter_mut().for_each(|one| *one = key(*one));
    pattern.broken.iter_mut().for_each(|one| *one = BrokenSignature { key: key(one.key), ..*one });
    pattern.vouchers.iter_mut().for_each(|one| *one = name(*one));
    pattern.path_owner = pattern.path_owner.map(name);
    pattern.returns_to = pattern.returns_to.map(name);
    if pattern.path.is_own() && !keeps(Named::Path(pattern.return_path)) {
        pattern.return_path = NONE;
    }
}
