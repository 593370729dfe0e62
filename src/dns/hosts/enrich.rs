//! Looks up the host names of many addresses, with a bounded number in flight and a cache that makes it resumable.
//!
//! The ledger implements [`Cache`]. Memory does not grow with the number of addresses, and a failure is never cached as
//! "has no name".

use super::ptr::{self, PtrName};
use crate::dns::lookup::answer::{Data, DnsQuestion, Failure, Family};
use crate::dns::lookup::resolver::{AnswerWithTtl, Resolver};
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use std::net::IpAddr;
use std::time::Duration;

/// The result of looking up an address, as stored in a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostLookup {
    /// The address.
    pub address: IpAddr,
    /// Its name, or why it could not be looked up.
    pub naming: Result<PtrName, String>,
    /// When it was looked up.
    pub at: Timestamp,
    /// Until when this is valid: the TTL from DNS, within bounds.
    pub until: Timestamp,
}

/// Where names are kept between runs.
pub trait Cache {
    /// Why it cannot be written.
    type Error;

    /// Whether the address was looked up and the result is still valid at this time.
    ///
    /// # Errors
    ///
    /// If the cache cannot be read.
    fn holds(&mut self, address: IpAddr, now: Timestamp) -> Result<bool, Self::Error>;

    /// Stores these durably: after a kill they are not looked up again.
    ///
    /// # Errors
    ///
    /// If the cache cannot be written.
    fn put(&mut self, looked: &[HostLookup]) -> Result<(), Self::Error>;
}

/// How to look up many addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrichOptions {
    /// Addresses looked up at the same time.
    pub in_flight: usize,
    /// Addresses per second at most; 0 means as fast as the server answers.
    pub per_second: u32,
    /// Results stored in the cache at once.
    pub batch: usize,
}

impl Default for EnrichOptions {
    fn default() -> Self {
        Self { in_flight: 100, per_second: 500, batch: 100 }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EnrichTally {
    /// Addresses the cache had.
    pub cached: u64,
    /// Those with a name that resolves back.
    pub confirmed: u64,
    /// Those with names, none of which resolves back.
    pub unconfirmed: u64,
    /// Those without a name.
    pub nameless: u64,
    /// Those that could not be looked up.
    pub failed: u64,
}

impl EnrichTally {
    /// Addresses that were looked up in this run.
    pub const fn looked_up(&self) -> u64 {
        self.confirmed + self.unconfirmed + self.nameless + self.failed
    }

    const fn count(&mut self, looked: &HostLookup) {
        match &looked.naming {
            Ok(PtrName::Confirmed(_)) => self.confirmed += 1,
            Ok(PtrName::Unconfirmed(_)) => self.unconfirmed += 1,
            Ok(PtrName::Nameless) => self.nameless += 1,
            Err(_) => self.failed += 1,
        }
    }
}

/// Looks up the names of all addresses that are not in the cache. `clock` returns the time; `stop` is checked between
/// results, and finished work is kept.
///
/// # Errors
///
/// The cache's.
pub fn enrich<C: Cache>(
    resolver: &Resolver,
    addresses: impl IntoIterator<Item = IpAddr>,
    cache: &mut C,
    options: &EnrichOptions,
    clock: &dyn Fn() -> Timestamp,
    stop: &dyn Fn() -> bool,
) -> Result<EnrichTally, C::Error> {
    let mut tally = EnrichTally::default();
    let mut addresses = addresses.into_iter();
    while !stop() {
        let wanted = next_wanted(&mut addresses, cache, clock(), &mut tally)?;
        if wanted.is_empty() {
            break;
        }
        resolver.block_on(look_up(resolver, wanted, cache, options, clock, stop, &mut tally))?;
    }
    Ok(tally)
}

/// Addresses taken from the list at once, so that the cache is queried between the lookups, not for all beforehand.
const STRETCH: usize = 10_000;

fn next_wanted<C: Cache>(
    addresses: &mut impl Iterator<Item = IpAddr>,
    cache: &mut C,
    now: Timestamp,
    tally: &mut EnrichTally,
) -> Result<Vec<IpAddr>, C::Error> {
    let mut wanted = Vec::new();
    for address in addresses {
        if cache.holds(address, now)? {
            tally.cached += 1;
        } else {
            wanted.push(address);
            if wanted.len() == STRETCH {
                break;
            }
        }
    }
    Ok(wanted)
}

async fn look_up<C: Cache>(
    resolver: &Resolver,
    wanted: Vec<IpAddr>,
    cache: &mut C,
    options: &EnrichOptions,
    clock: &dyn Fn() -> Timestamp,
    stop: &dyn Fn() -> bool,
    tally: &mut EnrichTally,
) -> Result<(), C::Error> {
    let pace = Duration::from_secs(1).checked_div(options.per_second).unwrap_or_default();
    let begun = tokio::time::Instant::now();
    let mut results = futures::stream::iter(wanted.into_iter().zip(0_u32..))
        .map(|(address, index)| async move {
            tokio::time::sleep_until(begun + pace * index).await;
            name_now(resolver, address, clock).await
        })
        .buffer_unordered(options.in_flight.max(1));
    let mut batch = Vec::with_capacity(options.batch);
    while let Some(looked) = results.next().await {
        tally.count(&looked);
        batch.push(looked);
        if batch.len() >= options.batch {
            cache.put(&batch)?;
            batch.clear();
        }
        if stop() {
            break;
        }
    }
    cache.put(&batch)
}

async fn name_now(resolver: &Resolver, address: IpAddr, clock: &dyn Fn() -> Timestamp) -> HostLookup {
    let found = resolver.ask_now(&DnsQuestion::ptr(address)).await;
    let mut ttl = found.ttl;
    let names = found.answer.pick(Data::name);
    let kind = Family::of(address).query_type();
    let mut back = Vec::new();
    for name in ptr::first_names(&names) {
        let AnswerWithTtl { answer, ttl: other } = resolver.ask_now(&DnsQuestion::new(name, kind)).await;
        ttl = ttl.into_iter().chain(other).min();
        back.push(answer.pick(Data::address));
    }
    let naming = ptr::judge(address, names, &back);
    let at = clock();
    HostLookup { address, until: until(at, &naming, ttl), naming: naming.map_err(|failure| failure.to_string()), at }
}

/// A name is valid for a day to a week, its absence for an hour to a day, a failure for an hour.
fn until(at: Timestamp, naming: &Result<PtrName, Failure>, ttl: Option<u32>) -> Timestamp {
    const HOUR: i64 = 3600;
    let ttl = i64::from(ttl.unwrap_or(0));
    let seconds = match naming {
        Ok(PtrName::Nameless) => ttl.clamp(HOUR, 24 * HOUR),
        Ok(_) => ttl.clamp(24 * HOUR, 7 * 24 * HOUR),
        Err(_) => HOUR,
    };
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_kept_within_bounds() {
        let at = Timestamp::UNIX_EPOCH;
        let hours = |naming, ttl| until(at, &naming, ttl).as_second() / 3600;
        assert_eq!(hours(Ok(PtrName::Confirmed(vec![])), Some(60)), 24);
        assert_eq!(hours(Ok(PtrName::Unconfirmed(vec![])), Some(u32::MAX)), 168);
        assert_eq!(hours(Ok(PtrName::Nameless), None), 1);
        assert_eq!(hours(Err(Failure::TimedOut), Some(86_400)), 1);
    }
}
