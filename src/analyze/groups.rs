//! Facts folded by sender: the addresses of one network that send as one domain and prove the same identities. In: the
//! facts, part by part. Out: [`Group`]s.

use super::{
    Sums,
    diagnosis::Causes,
    facts::Fact,
    interner::Table,
    question::HISTORY,
    seen::{Reporters, Sets},
    shards::{Part, network},
    signing::Signing,
    view::{Declared, Path, Shape, Signed, View, organization},
};
use crate::model::{Cause, Flags, Source, Text};
use std::cmp::Reverse;

/// The most windows there are: the history's, and the period asked for.
pub(crate) const WINDOWS: usize = HISTORY as usize + 1;

/// From so many messages a source that proves nothing is more than a drop in the tail.
pub(crate) const NOTABLE: u64 = 50;

/// One sender of one domain.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    /// Id of the policy domain.
    pub(crate) domain: u32,
    pub(crate) network: Source,
    /// The organization that signs, by what its signatures say in most messages.
    pub(crate) signer: Option<Text>,
    /// The organization of the return path that SPF proves in most messages.
    pub(crate) returns_to: Option<Text>,
    /// Addresses seen in the period.
    pub(crate) addresses: u64,
    /// Those with most messages in the period; without any, those of the history.
    pub(crate) largest: Vec<(Reverse<u64>, Source)>,
    /// Messages and passing ones by window; the period asked for is the last in use.
    pub(crate) windows: [(u64, u64); WINDOWS],
    /// Of the period.
    pub(crate) sums: Sums,
    /// Of the period.
    pub(crate) causes: Causes,
    /// Of the period, by what tells the kinds of senders apart.
    pub(crate) signs: Signs,
    /// Of the period.
    pub(crate) reporters: Reporters,
    /// Of the history.
    pub(crate) past_reporters: Reporters,
    /// The first day, history included.
    pub(crate) first: i32,
    /// The last day, history included.
    pub(crate) last: i32,
    /// The first and last day of the period.
    pub(crate) asked: (i32, i32),
    /// Messages that ever passed with SPF: the domain's owner authorized the address.
    pub(crate) authorized: u64,
    /// Messages that ever passed.
    pub(crate) passed: u64,
    /// Another of the domains whose owner authorized its addresses.
    pub(crate) elsewhere: Option<u32>,
    /// The reader named it.
    pub(crate) known: bool,
    /// Messages whose signature is one that broke here: it was good before, or the address is authorized.
    pub(crate) broke: u64,
    /// Proves nothing, and is big enough to be told on its own.
    alone: bool,
}

/// Messages of the period by what tells senders, forwarders, lists and spoofers apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Signs {
    /// An own signature that verifies.
    pub(crate) signed: u64,
    /// An own signature that does not.
    pub(crate) broken: u64,
    /// Failing, and passing something for another organization.
    pub(crate) unaligned: u64,
    /// The same, with a signature of the other organization.
    pub(crate) other_signature: u64,
    /// The own return path, from an address that is not authorized.
    pub(crate) unauthorized: u64,
    /// Failing, and the receiver says it was forwarded.
    pub(crate) said_forwarded: u64,
    /// Failing, and the receiver says it came from a list.
    pub(crate) said_list: u64,
    /// Failing, and put aside or refused.
    pub(crate) stopped: u64,
    /// Failing, as a name below the policy domain that is not the domain itself.
    pub(crate) as_subdomain: u64,
}

impl Signs {
    fn add(&mut self, shape: &Shape, messages: u64) {
        let fails = !shape.passes;
        for (sum, holds) in [
            (&mut self.signed, shape.signed == Signed::OwnPass),
            (
                &mut self.broken,
                shape.signed == Signed::OwnBroken || shape.pattern.cause == Cause::ListOrModifyingForwarder,
            ),
            (&mut self.unaligned, shape.unaligned),
            (&mut self.other_signature, shape.unaligned && shape.signed == Signed::OtherPass),
            (&mut self.unauthorized, matches!(shape.path, Path::OwnFail | Path::OwnError)),
            (&mut self.said_forwarded, fails && shape.declared == Declared::Forwarded),
            (&mut self.said_list, fails && shape.declared == Declared::List),
            (&mut self.stopped, fails && shape.stopped),
            (&mut self.as_subdomain, fails && shape.pattern.header_from != shape.pattern.domain),
        ] {
            *sum = sum.saturating_add(if holds { messages } else { 0 });
        }
    }

    fn merge(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.signed, other.signed),
            (&mut self.broken, other.broken),
            (&mut self.unaligned, other.unaligned),
            (&mut self.other_signature, other.other_signature),
            (&mut self.unauthorized, other.unauthorized),
            (&mut self.said_forwarded, other.said_forwarded),
            (&mut self.said_list, other.said_list),
            (&mut self.stopped, other.stopped),
            (&mut self.as_subdomain, other.as_subdomain),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

/// A fact with all that is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Item<'a> {
    pub(crate) source: Source,
    pub(crate) shape: &'a Shape,
    pub(crate) fact: &'a Fact,
    sets: &'a Sets,
}

impl<'a> Item<'a> {
    /// A fact of a part.
    pub(crate) fn new(view: &'a View<'_>, part: &'a Part, fact: &'a Fact) -> Self {
        Self { source: part.sources[fact.source() as usize], shape: view.shape(fact.pattern()), fact, sets: &part.sets }
    }

    /// Add who reported it to a set.
    pub(crate) fn reporters(&self, to: &mut Reporters) {
        self.fact.reporters(self.sets, to);
    }
}

/// The facts of a part, sorted so that those of a domain and network are together, and in them those of a source.
pub(crate) fn items<'a>(view: &'a View<'_>, part: &'a Part) -> Vec<Item<'a>> {
    let mut items: Vec<Item<'a>> = part.facts.iter().map(|fact| Item::new(view, part, fact)).collect();
    // Addresses of a network are neighbors in their order: no need to sort by network too.
    items.sort_unstable_by_key(|item| (item.shape.pattern.domain, item.source));
    items
}

/// Which sources pass with SPF as which domains, with how many messages, the history included.
#[derive(Debug, Default)]
pub(crate) struct Authorized(Table<Source, Vec<(u32, u64)>>);

impl Authorized {
    /// Of some sources.
    pub(crate) fn of(items: &[Item<'_>]) -> Self {
        let mut authorized = Self::default();
        let passes = |Item { shape, fact, .. }: &Item<'_>| {
            shape.pattern.flags.has(Flags::SPF) && !shape.pattern.unproven && fact.messages > 0
        };
        // The unknown source may be anybody.
        let counts = |item: &&Item<'_>| passes(item) && item.source.address().is_some();
        for Item { source, shape, fact, .. } in items.iter().filter(counts) {
            let domains = authorized.0.entry(*source).or_default();
            match domains.iter_mut().find(|(domain, _)| *domain == shape.pattern.domain) {
                Some((_, messages)) => *messages = messages.saturating_add(fact.messages),
                None => domains.push((shape.pattern.domain, fact.messages)),
            }
        }
        authorized
    }

    /// The domain other than this one that a source sends most as.
    fn elsewhere(&self, view: &View<'_>, source: Source, domain: u32) -> Option<u32> {
        let others = self.0.get(&source)?.iter().filter(|(other, _)| *other != domain);
        others.min_by_key(|(other, messages)| (Reverse(*messages), view.word(*other))).map(|(other, _)| *other)
    }
}

/// The senders of one domain in one network: its sources, put together where they prove the same. On the way `signing`
/// looks at each source.
pub(crate) fn groups<'a>(
    view: &View<'_>,
    sources: impl Iterator<Item = &'a [Item<'a>]>,
    authorized: &Authorized,
    signing: &mut Signing,
) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for source in sources {
        let broke = signing.look(view, source);
        let mut group = Group::of(view, source, broke);
        group.elsewhere = authorized.elsewhere(view, source[0].source, group.domain);
        match groups.iter_mut().find(|known| same_sender(known, &group)) {
            Some(known) => known.merge(group),
            None => groups.push(group),
        }
    }
    groups
}

/// Neighbors that prove nothing may be strangers to each other: a big one stands alone.
fn same_sender(a: &Group, b: &Group) -> bool {
    let same = a.signer == b.signer && a.returns_to == b.returns_to && a.elsewhere.is_some() == b.elsewhere.is_some();
    same && !a.alone && !b.alone
}

/// The word that most messages have; ties go to the one that sorts first.
fn prevailing<'a>(facts: &[Item<'a>], word: impl Fn(&'a Shape) -> Option<&'a str>) -> Option<Text> {
    let mut sums: Vec<(&str, u64)> = Vec::new();
    for Item { shape, fact, .. } in facts {
        let Some(word) = word(shape) else { continue };
        match sums.iter_mut().find(|(known, _)| *known == word) {
            Some((_, sum)) => *sum = sum.saturating_add(fact.messages),
            None => sums.push((word, fact.messages)),
        }
    }
    sums.into_iter().min_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0))).map(|(word, _)| word.into())
}

impl Group {
    /// The group of one source alone.
    fn of(view: &View<'_>, facts: &[Item<'_>], broke: u64) -> Self {
        let source = facts[0].source;
        let mut group = Self {
            domain: facts[0].shape.pattern.domain,
            network: network(source),
            signer: prevailing(facts, |shape| match shape.signed {
                Signed::OwnPass | Signed::OtherPass => shape.signer.as_deref(),
                // Broken or not, the signature names the sender.
                Signed::OwnBroken => Some(organization(view.word(shape.pattern.dkim_domain))),
                Signed::No | Signed::OtherBroken => None,
            }),
            returns_to: prevailing(facts, |shape| shape.returns_to.as_deref()),
            addresses: 0,
            largest: Vec::new(),
            windows: [(0, 0); WINDOWS],
            sums: Sums::default(),
            causes: Causes::default(),
            signs: Signs::default(),
            reporters: Reporters::default(),
            past_reporters: Reporters::default(),
            first: i32::MAX,
            last: i32::MIN,
            asked: (i32::MAX, i32::MIN),
            authorized: 0,
            passed: 0,
            elsewhere: None,
            known: false,
            broke,
            alone: false,
        };
        for item in facts {
            group.add(item);
        }
        group.known = facts.iter().any(|item| view.is_known(source, item.shape));
        // Such mail looks like a list's where another signature passes: here it is known better.
        group.causes.turn(Cause::ListOrModifyingForwarder, Cause::OwnSigningBroken, broke);
        group.alone = group.signer.is_none() && group.returns_to.is_none() && group.sums.messages >= NOTABLE;
        group.addresses = u64::from(group.sums.records > 0);
        group.largest.push((Reverse(group.sums.messages), source));
        group
    }

    fn add(&mut self, item: &Item<'_>) {
        let Item { shape, fact, .. } = item;
        let messages = fact.messages;
        let (all, passing) = &mut self.windows[usize::from(shape.pattern.window)];
        *all = all.saturating_add(messages);
        self.first = self.first.min(fact.first);
        self.last = self.last.max(fact.last);
        if shape.passes {
            *passing = passing.saturating_add(messages);
            if !shape.pattern.unproven {
                self.passed = self.passed.saturating_add(messages);
                let authorized = shape.pattern.flags.has(Flags::SPF);
                self.authorized = self.authorized.saturating_add(if authorized { messages } else { 0 });
            }
        }
        if shape.asked {
            self.sums.add(shape.pattern.flags, messages, u64::from(fact.records));
            self.causes.add(shape.pattern.cause, messages);
            self.signs.add(shape, messages);
            item.reporters(&mut self.reporters);
            self.asked = (self.asked.0.min(fact.first), self.asked.1.max(fact.last));
        } else {
            item.reporters(&mut self.past_reporters);
        }
    }

    fn merge(&mut self, other: Self) {
        self.addresses += other.addresses;
        self.largest.extend(other.largest);
        self.largest.sort_unstable();
        self.largest.truncate(3);
        for (window, more) in self.windows.iter_mut().zip(other.windows) {
            *window = (window.0.saturating_add(more.0), window.1.saturating_add(more.1));
        }
        self.sums.merge(&other.sums);
        self.causes.merge(&other.causes);
        self.signs.merge(&other.signs);
        self.reporters.merge(&other.reporters);
        self.past_reporters.merge(&other.past_reporters);
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
        self.asked = (self.asked.0.min(other.asked.0), self.asked.1.max(other.asked.1));
        self.authorized = self.authorized.saturating_add(other.authorized);
        self.passed = self.passed.saturating_add(other.passed);
        self.known |= other.known;
        self.broke = self.broke.saturating_add(other.broke);
    }

    /// The diagnosis of the period. A sender that ever passed, or that the reader named, is confirmed; so is one that
    /// another of the domains authorized, where it uses this one's return path.
    pub(crate) fn cause(&self) -> Cause {
        let shared = self.elsewhere.is_some() && self.signs.unauthorized > 0;
        self.causes.diagnosis(self.passed > 0 || self.known || shared)
    }

    /// The windows of the history, the latest first, with whether the sender passed there.
    pub(crate) fn past(&self, asked: u8) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.windows[..usize::from(asked)].iter().rev().copied()
    }

    /// In how many windows of the history it was seen.
    pub(crate) fn windows_seen(&self, asked: u8) -> usize {
        self.past(asked).filter(|(messages, _)| *messages > 0).count()
    }

    /// Days from its first to its last in the period; none where only the history saw it, whose last is before its first.
    pub(crate) fn days(&self) -> i32 {
        self.asked.1.saturating_sub(self.asked.0).saturating_add(1).max(0)
    }
}
