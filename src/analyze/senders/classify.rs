//! Whose mail is it? Assigns each row of a source an identity, and from it a role and a cause. An address may have
//! several identities: customers share addresses.

use super::Role;
use super::auth_pattern::{AuthPattern, Breakage, Declared, PathResult, SigningKey};
use super::history::{History, Share, Voucher, is_listed, vouches_alone};
use super::reporter_set::ReporterSet;
use super::view::{SourceFact, View, by_source};
use crate::analyze::Confirmed;
use crate::analyze::sums::interner::IdMap;
use crate::analyze::sums::shards::network;
use crate::analyze::sums::{DayCounts, Messages};
use crate::analyze::thresholds::{BOUNCE_NAME, ENOUGH_REPORTERS, KNOWN_BY_SPF, SHARED, STAYING_WEEKS, WORTH_A_LINE};
use crate::judge::is_within;
use crate::model::{Cause, SourceAddress, is_in_network};
use std::collections::{BTreeMap, BTreeSet};

/// Whose mail a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Identity {
    /// The domain itself: its own authentication passes, or would without a fault.
    Itself,
    /// Mail of the domain that was changed in transit.
    PassedOn,
    /// A copy of unsigned mail of the domain, forwarded.
    ForwardedCopy,
    /// Another domain that authenticates it: a signing domain, or the organization of the return path.
    Voucher(u32),
    /// It is unauthenticated.
    Nobody,
}

/// A row, judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JudgedRow {
    pub(crate) identity: Identity,
    pub(crate) role: Role,
    pub(crate) cause: Cause,
    /// The source shares a network with an own sender.
    pub(crate) neighbor: bool,
    /// The index of the user's statement, in the question's list.
    pub(crate) confirmed: Option<usize>,
    /// Nothing proves the sender, but it returns as spoofers seldom do, if only for one reporter.
    pub(crate) steady: bool,
}

/// The context for judging all rows of a domain in one network.
pub(crate) struct NetworkContext<'a> {
    view: &'a View<'a>,
    history: &'a History,
    /// The network's share of the messages of each key.
    shares: IdMap<SigningKey, Share>,
    /// An own sender is in it, and no other mail comes from it.
    own: bool,
}

/// The context for judging the rows of one source.
struct SourceContext {
    source: SourceAddress,
    listed: bool,
    verified: BTreeSet<SigningKey>,
    /// The domain's own return paths that passed SPF here.
    paths: BTreeMap<u32, Messages>,
    /// Whether its unauthenticated mail returns, whoever sees it, and the role of that mail.
    nobody: (bool, Role),
}

impl<'a> NetworkContext<'a> {
    /// For the rows of one domain and network.
    pub(crate) fn new(view: &'a View<'a>, history: &'a History, items: &[SourceFact<'_>]) -> Self {
        let of = network(items[0].source);
        let mut any_listed = false;
        let mut shares: IdMap<SigningKey, Share> = IdMap::default();
        for items in by_source(items) {
            let listed = is_listed(items);
            any_listed |= listed;
            for item in items.iter().filter(|item| item.judged.0 > 0) {
                for key in &item.pattern.verified {
                    let share = shares.entry(*key).or_default();
                    share.verified += item.judged;
                    share.listed |= listed;
                }
                for broken in &item.pattern.broken {
                    shares.entry(broken.key).or_default().unverified += item.judged;
                }
            }
        }
        let mut context = Self { view, history, shares, own: false };
        let home = |item: &SourceFact<'_>| {
            item.judged.0 > 0 && item.pattern.verified.iter().any(|key| context.is_home(item, *key))
        };
        let own = of != SourceAddress::UNKNOWN && (any_listed || items.iter().any(home));
        context.own = own && !is_shared(view, items);
        context
    }

    /// The shares of a key's messages that the network has, and those with the return path of a row.
    fn shares(&self, item: &SourceFact<'_>, key: SigningKey) -> (Share, Share) {
        let of_network = self.shares.get(&key).copied().unwrap_or_default();
        (of_network, self.history.of_owner(item.domain(), key, item.pattern.path_owner))
    }

    /// Whether a row from this network with this key comes from the sender itself.
    fn is_home(&self, item: &SourceFact<'_>, key: SigningKey) -> bool {
        let (of_network, of_owner) = self.shares(item, key);
        self.history.key(item.domain(), key).is_some_and(|known| known.is_home(of_network, of_owner))
    }

    /// Judges the rows of one source, in order.
    pub(crate) fn judge(&self, items: &[SourceFact<'_>]) -> Vec<JudgedRow> {
        let mut source = SourceContext {
            source: items[0].source,
            listed: is_listed(items),
            verified: BTreeSet::new(),
            paths: BTreeMap::new(),
            nobody: (false, Role::Suspect),
        };
        for item in items.iter().filter(|item| item.judged.0 > 0) {
            source.verified.extend(&item.pattern.verified);
            if item.pattern.path == PathResult::OwnPass {
                *source.paths.entry(item.pattern.return_path).or_default() += item.judged;
            }
        }
        let identities: Vec<Identity> = items.iter().map(|item| self.identity(item, &source)).collect();
        let nobody = || items.iter().zip(&identities).filter(|(_, identity)| **identity == Identity::Nobody);
        source.nobody = self.nobody(source.source, nobody().map(|(item, _)| item));
        let mut judged: Vec<JudgedRow> =
            items.iter().zip(&identities).map(|(item, identity)| self.row(item, *identity, &source)).collect();
        declared_forwarders(items, &mut judged);
        judged
    }

    fn identity(&self, item: &SourceFact<'_>, source: &SourceContext) -> Identity {
        let (pattern, domain) = (item.pattern, item.domain());
        if pattern.passes || pattern.own_pass() || pattern.transient {
            return Identity::Itself;
        }
        if !pattern.broken.is_empty() {
            // A forwarder can change mail, but cannot make a key disappear.
            let itself = pattern.broken.iter().any(|broken| {
                broken.breakage == Breakage::NoKey
                    || source.verified.contains(&broken.key)
                    || !self.history.key(domain, broken.key).is_some_and(super::history::KeyUse::ever_verified)
            });
            return if itself { Identity::Itself } else { Identity::PassedOn };
        }
        if let Some(name) = pattern.foreign().filter(|_| vouches_alone(pattern)) {
            return Identity::Voucher(name);
        }
        let path = pattern.return_path;
        if matches!(pattern.path, PathResult::OwnFail | PathResult::OwnError) {
            if source.paths.get(&path).is_some_and(|messages| messages.0 >= KNOWN_BY_SPF) {
                return Identity::Itself;
            }
            if pattern.bounce_name && self.history.bounce_name(domain, path).0 >= BOUNCE_NAME {
                return Identity::ForwardedCopy;
            }
        }
        Identity::Nobody
    }

    /// Whether an unauthenticated address stays, and its role.
    fn nobody<'i>(&self, source: SourceAddress, items: impl Iterator<Item = &'i SourceFact<'i>>) -> (bool, Role) {
        let (mut days, mut reporters) = (DayCounts::default(), ReporterSet::default());
        for item in items.filter(|item| item.judged.0 > 0) {
            days.add(item.fact.day, Messages(0), item.judged);
            reporters.insert(item.fact.reporter);
        }
        // Spoofers seldom stay: an address that does may be a forgotten server.
        let stays =
            days.all().1.0 >= WORTH_A_LINE && days.bad_weeks() >= STAYING_WEEKS && source != SourceAddress::UNKNOWN;
        let several = reporters.len() >= ENOUGH_REPORTERS;
        (stays, if self.own || stays && several { Role::Unclear } else { Role::Suspect })
    }

    fn row(&self, item: &SourceFact<'_>, identity: Identity, source: &SourceContext) -> JudgedRow {
        let pattern = item.pattern;
        let confirmed = if pattern.passes { None } else { self.confirmed(item) };
        let said = confirmed.map(|at| self.view.added.question.confirmed[at].mine);
        let unsaid = pattern.pattern.cause == Cause::Unknown && !pattern.unaligned && identity == Identity::Nobody;
        let role = match (said, identity) {
            (Some(true), _) => Role::Own,
            (Some(false), _) => Role::Suspect,
            (None, Identity::Itself) => self.itself(item, source),
            (None, Identity::PassedOn) if pattern.foreign().is_some() || pattern.declared == Declared::List => {
                Role::List
            }
            (None, Identity::PassedOn | Identity::ForwardedCopy) => Role::Forwarder,
            (None, Identity::Voucher(name)) => {
                self.history.voucher(item.domain(), name).and_then(|voucher| voucher.role).unwrap_or(Role::Suspect)
            }
            (None, Identity::Nobody) if unsaid => Role::Unclear,
            (None, Identity::Nobody) => source.nobody.1,
        };
        let neighbor = identity == Identity::Nobody && self.own;
        let steady = said.is_none()
            && match identity {
                Identity::Voucher(name) => self.history.voucher(item.domain(), name).is_some_and(Voucher::is_steady),
                Identity::Nobody => source.nobody.0,
                _ => false,
            };
        JudgedRow { identity, role, cause: cause(pattern, identity, role, neighbor), neighbor, confirmed, steady }
    }

    fn itself(&self, item: &SourceFact<'_>, source: &SourceContext) -> Role {
        let (pattern, domain) = (item.pattern, item.domain());
        if source.listed {
            return Role::Own;
        }
        let broken = || pattern.broken.iter().map(|broken| broken.key);
        if pattern.verified.iter().copied().chain(broken()).any(|key| self.is_home(item, key)) {
            return Role::Own;
        }
        if !pattern.verified.is_empty() {
            return Role::Forwarder;
        }
        let known = broken().filter_map(|key| Some((key, self.history.key(domain, key)?)));
        let never = known.into_iter().find(|(_, known)| !known.ever_verified());
        match never {
            Some((key, known)) => {
                let (of_network, of_owner) = self.shares(item, key);
                known.never_verified(of_network, of_owner)
            }
            // A key that verifies elsewhere, from an address that is not one of its homes.
            None if !pattern.broken.is_empty() => Role::Forwarder,
            // The reporter passed it without saying why, or the domain's own record could temporarily not be looked up.
            None if pattern.passes => Role::Own,
            None => Role::Unclear,
        }
    }

    /// What the user said about the sender of a row: the first matching entry.
    fn confirmed(&self, item: &SourceFact<'_>) -> Option<usize> {
        self.view.added.question.confirmed.iter().position(|said| self.fits(said, item))
    }

    fn fits(&self, said: &Confirmed, item: &SourceFact<'_>) -> bool {
        let pattern = item.pattern;
        let of_domain = said.domain.as_ref().is_none_or(|domain| domain == self.view.word(item.domain()));
        let in_network = said.network.is_none_or(|(network, bits)| {
            item.source.address().is_some_and(|address| is_in_network(address, network, bits))
        });
        let signs = said.signs_as.as_ref().is_none_or(|domain| {
            let vouches = |name: &u32| is_within(self.view.name(*name), domain);
            let path = matches!(pattern.path, PathResult::OwnPass | PathResult::OtherPass)
                && is_within(self.view.word(pattern.pattern.return_path), domain);
            pattern.vouchers.iter().any(vouches) || pattern.verified.iter().any(|(name, _)| vouches(name)) || path
        });
        of_domain && in_network && signs && (said.network.is_some() || said.signs_as.is_some())
    }
}

/// A suspect, or an unclear unauthenticated sender, is a forwarder if receivers say on all its rows that the mail was
/// forwarded.
fn declared_forwarders(items: &[SourceFact<'_>], judged: &mut [JudgedRow]) {
    let doubtful = |one: &JudgedRow| {
        let unclear = one.role == Role::Unclear && one.identity == Identity::Nobody;
        (one.role == Role::Suspect || unclear) && one.confirmed.is_none()
    };
    // By identity: whether all its rows are declared as forwarded, and whether any as from a list.
    let mut declared: IdMap<Identity, (bool, bool)> = IdMap::default();
    for (item, one) in items.iter().zip(judged.iter()).filter(|(_, one)| doubtful(one)) {
        let said = item.pattern.declared;
        let is = said != Declared::Nothing || item.pattern.pattern.cause == Cause::ForwardedDeclared;
        let known = declared.entry(one.identity).or_insert((true, false));
        *known = (known.0 && is, known.1 || said == Declared::List);
    }
    for one in judged.iter_mut().filter(|one| doubtful(one)) {
        if let Some((true, list)) = declared.get(&one.identity) {
            one.role = if *list { Role::List } else { Role::Forwarder };
            one.cause = Cause::ForwardedDeclared;
            one.neighbor = false;
        }
    }
}

/// The cause of a row, once its sender is known.
fn cause(pattern: &AuthPattern, identity: Identity, role: Role, neighbor: bool) -> Cause {
    let stored = pattern.pattern.cause;
    if pattern.passes {
        return stored;
    }
    if pattern.transient {
        return Cause::Transient;
    }
    if pattern.from_unsaid {
        return Cause::Unknown;
    }
    if pattern.own_pass() {
        // Strict alignment does not accept it, or the reporter judged it differently; older stores do not say.
        let strict = matches!(stored, Cause::StrictAlignment | Cause::Unknown);
        return if strict { Cause::StrictAlignment } else { Cause::AuthenticatedUnaligned };
    }
    if stored == Cause::ForwardedDeclared {
        return stored;
    }
    match identity {
        Identity::Itself if pattern.broken.is_empty() => Cause::SpfGap,
        Identity::Itself => Cause::OwnSigningBroken,
        Identity::PassedOn => Cause::ListOrModifyingForwarder,
        Identity::Voucher(_) => Cause::AuthenticatedUnaligned,
        Identity::ForwardedCopy => Cause::Unauthenticated,
        Identity::Nobody if neighbor || role == Role::Own => Cause::SpfGap,
        Identity::Nobody if role == Role::Suspect => Cause::SpoofSuspect,
        Identity::Nobody if stored == Cause::Unknown && role == Role::Unclear => Cause::Unknown,
        Identity::Nobody => Cause::Unauthenticated,
    }
}

/// Whether a network also sends other mail: a service's, or mail that other domains authenticate.
fn is_shared(view: &View<'_>, items: &[SourceFact<'_>]) -> bool {
    let services = &view.added.question.services;
    let mut others = Messages(0);
    for item in items.iter().filter(|item| item.pattern.foreign().is_some()) {
        others += item.judged;
    }
    if others.0 >= SHARED {
        return true;
    }
    by_source(items).any(|items| {
        items[0].source.address().is_some_and(|address| services.of_address(address, view.host(address)).is_some())
    })
}
