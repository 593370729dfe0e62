//! `enrich`: looks up the host names of recent sources and stores them in the ledger.
//!
//! Answers are saved a few at a time, so that an interrupted run resumes where it stopped. The lookups themselves are in
//! `dns`.

use super::geoip::{GeoIp, installed};
use super::origins;
use crate::cli::report::check::dns_history::{AFTER_FETCH, brief_resolver};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::interrupt::Interrupt;
use crate::cli::terminal::output;
use crate::cli::wiring::ingest_run::{count, grouped};
use crate::cli::wiring::run::CommandContext;
use crate::dns::hosts::enrich::{self, Cache, EnrichOptions, EnrichTally, HostLookup};
use crate::dns::hosts::ptr;
use crate::dns::lookup::bounded::BoundedLookup;
use crate::dns::lookup::resolver::{self, Resolver};
use crate::model::{ColumnSet, SourceAddress, utc_day};
use crate::store::{Filter, LookedUp, Store, StoreError, StoredName, StoredNetwork, Writer};
use anyhow::anyhow;
use clap::builder::{OsStringValueParser, TypedValueParser};
use jiff::{Timestamp, ToSpan};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Instant;

const EXAMPLES: &str = "\
Names are kept as long as DNS allows, a day to a week. An interrupted run resumes where it stopped. Also determines which service operates each source and, if a network database is installed or given by --geoip or `geoip` in the settings, which network it is in.

Examples:
  dmarquet enrich
  dmarquet enrich --weeks 26 --rate 50 --server 127.0.0.1
  dmarquet enrich --geoip GeoLite2-ASN.mmdb --geoip GeoLite2-Country.mmdb
  dmarquet enrich --geoip ip2asn-combined.tsv.gz

Exit codes: 0 done; 2 interrupted, or DNS did not answer at all.";

/// Networks stored per transaction.
const PLACED: usize = 100_000;

/// Default of `--weeks`.
const WEEKS: u16 = 8;

/// Look up the host names of recent sources
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct EnrichArgs {
    /// Look up the sources seen in this many weeks
    #[arg(long, value_name = "N", default_value_t = WEEKS, value_parser = clap::value_parser!(u16).range(1..=520))]
    weeks: u16,
    /// Start at most this many lookups per second
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// DNS server to use instead of the system's, such as 127.0.0.1:5353; may be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = resolver::server)]
    server: Vec<SocketAddr>,
    /// Network database whose answer for each source is stored too: an .mmdb file, or a table from iptoasn.com;
    /// may be repeated. Without FILE: one that is installed, which is also the default
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "", value_parser = path())]
    geoip: Vec<PathBuf>,
}

/// A path, or nothing if the option has no value.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &EnrichArgs) -> anyhow::Result<Exit> {
    let geoip = databases(run, &args.geoip)?;
    let interrupt = Interrupt::listen(&run.console)?;
    let mut writer = run.writer(run.now)?;
    let addresses = sources(&run.store()?, args.weeks, run.now)?;
    place(&geoip, &addresses, &mut writer, run.now)?;
    let tally = look_up(addresses, &mut writer, args, &interrupt)?;
    output::data(tally_line(&tally).as_bytes())?;
    if !interrupt.is_set() && !all_failed(&tally) {
        origins::keep(run, &since(args.weeks, run.now), &Resolver::of_servers(&args.server)?, &mut writer)?;
    }
    if interrupt.is_set() {
        run.console.warning("interrupted: what was looked up so far is kept, and the next run continues");
        return Ok(Exit::Failed);
    }
    Ok(if all_failed(&tally) { Exit::Failed } else { Exit::Handled })
}

/// Runs at the end of a `fetch`, after its mails are stored. An unreachable DNS server or an unreadable database is
/// only a warning.
pub(crate) fn after_fetch(
    run: &CommandContext,
    writer: &mut Writer,
    servers: &[SocketAddr],
    interrupt: &Interrupt,
) -> anyhow::Result<()> {
    let args = EnrichArgs { weeks: WEEKS, rate: 100, server: servers.to_vec(), geoip: Vec::new() };
    let addresses = sources(&run.store()?, args.weeks, run.now)?;
    let placed = databases(run, &[]).and_then(|geoip| place(&geoip, &addresses, writer, run.now));
    if let Err(error) = placed {
        run.console.warning(&format!("{error:#}"));
    }
    let tally = look_up(addresses, writer, &args, interrupt)?;
    if all_failed(&tally) {
        run.console.warning("no source could be looked up: DNS does not answer");
    } else if !interrupt.is_set() {
        // Names may all be known while DNS is away: then this gives up, and other mails need not wait for it.
        let kept = brief_resolver(servers).and_then(|resolver| {
            let is_stopped = || interrupt.is_set();
            let bounded = BoundedLookup::new(&resolver, Instant::now() + AFTER_FETCH, &is_stopped);
            origins::keep(run, &since(args.weeks, run.now), &bounded, writer)
        });
        if let Err(error) = kept {
            run.console.warning(&format!("{error:#}"));
        }
    }
    run.console.note(tally_line(&tally).trim_end());
    Ok(())
}

fn all_failed(tally: &EnrichTally) -> bool {
    tally.failed > 0 && tally.failed == tally.looked_up()
}

fn tally_line(tally: &EnrichTally) -> String {
    format!(
        "{} looked up: {} with a confirmed name, {} with an unconfirmed one, {} without a name, {} failed; {} already known\n",
        count(tally.looked_up(), "source"),
        grouped(tally.confirmed),
        grouped(tally.unconfirmed),
        grouped(tally.nameless),
        grouped(tally.failed),
        grouped(tally.cached),
    )
}

/// The databases from the command line, else from the settings, else installed ones. An installed one that cannot be
/// read is only a warning.
fn databases(run: &CommandContext, named: &[PathBuf]) -> anyhow::Result<GeoIp> {
    let is_given = |path: &&PathBuf| !path.as_os_str().is_empty();
    let given: Vec<PathBuf> = named.iter().filter(is_given).cloned().collect();
    let set = &run.settings()?.geoip;
    if !given.is_empty() {
        return GeoIp::open(&given);
    }
    if named.is_empty() && !set.is_empty() {
        return GeoIp::open(set);
    }
    let folders = installed::folders();
    let found = installed::databases(&folders);
    if found.is_empty() && !named.is_empty() {
        let folders: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
        let hint = "hint: name a file, such as ip2asn-combined.tsv.gz of https://iptoasn.com";
        return Err(anyhow!("geoip: no database is installed in {}\n{hint}", folders.join(", ")));
    }
    match GeoIp::open(&found) {
        Ok(geoip) => Ok(geoip),
        Err(error) if named.is_empty() => {
            run.console.warning(&format!("{error:#}"));
            GeoIp::open(&[])
        }
        Err(error) => Err(error),
    }
}

/// Stores the networks of the addresses according to the databases.
fn place(geoip: &GeoIp, addresses: &[IpAddr], writer: &mut Writer, now: Timestamp) -> anyhow::Result<()> {
    if geoip.is_empty() {
        return Ok(());
    }
    for some in addresses.chunks(PLACED) {
        let found: Vec<(IpAddr, StoredNetwork)> = some.iter().copied().zip(geoip.networks(some)?).collect();
        writer.keep_networks(&found, now)?;
    }
    Ok(())
}

fn look_up(
    addresses: Vec<IpAddr>,
    writer: &mut Writer,
    args: &EnrichArgs,
    interrupt: &Interrupt,
) -> anyhow::Result<EnrichTally> {
    let options = EnrichOptions { per_second: args.rate, ..EnrichOptions::default() };
    let servers = args.server.clone();
    let resolver = Resolver::new(&resolver::ResolverOptions {
        servers,
        in_flight: options.in_flight,
        ..resolver::ResolverOptions::default()
    })?;
    let mut ledger = NameCache(writer);
    Ok(enrich::enrich(&resolver, addresses, &mut ledger, &options, &Timestamp::now, &|| interrupt.is_set())?)
}

fn since(weeks: u16, now: Timestamp) -> Filter {
    let from = utc_day(now).saturating_sub(i64::from(weeks).weeks());
    Filter { from: Some(from), ..Filter::default() }
}

/// The sources of the last weeks, those with the most messages first, so that a run that is stopped has covered these.
fn sources(store: &Store, weeks: u16, now: Timestamp) -> Result<Vec<IpAddr>, StoreError> {
    let filter = since(weeks, now);
    let mut sums: HashMap<SourceAddress, i64> = HashMap::new();
    store.rows(&filter, ColumnSet::DAY.with(ColumnSet::SOURCE).with(ColumnSet::COUNT), &mut |rows| {
        for (source, messages) in rows.source.iter().zip(&rows.count) {
            let sum = sums.entry(*source).or_default();
            *sum = sum.saturating_add(*messages);
        }
    })?;
    let mut sums: Vec<(SourceAddress, i64)> = sums.into_iter().collect();
    sums.sort_unstable_by_key(|(source, messages)| (Reverse(*messages), *source));
    Ok(sums.into_iter().filter_map(|(source, _)| source.address()).collect())
}

/// Caches names between runs in the ledger.
struct NameCache<'a>(&'a mut Writer);

impl Cache for NameCache<'_> {
    type Error = StoreError;

    fn holds(&mut self, address: IpAddr, now: Timestamp) -> Result<bool, StoreError> {
        self.0.name_holds(address, now)
    }

    fn put(&mut self, looked: &[HostLookup]) -> Result<(), StoreError> {
        let kept: Vec<LookedUp> = looked
            .iter()
            .map(|looked| LookedUp {
                address: looked.address,
                naming: looked.naming.as_ref().ok().map(naming),
                at: looked.at,
                until: looked.until,
            })
            .collect();
        self.0.keep_names(&kept)
    }
}

fn naming(naming: &ptr::PtrName) -> StoredName {
    match naming {
        ptr::PtrName::Confirmed(names) => StoredName { names: names.clone(), confirmed: true },
        ptr::PtrName::Unconfirmed(names) => StoredName { names: names.clone(), confirmed: false },
        ptr::PtrName::Nameless => StoredName::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_number_of_weeks_and_no_clock_panic(weeks: u16, now in Timestamp::MIN.as_second()..=Timestamp::MAX.as_second()) {
            let now = Timestamp::from_second(now).unwrap();
            proptest::prop_assert!(since(weeks, now).from <= Some(utc_day(now)));
        }
    }
}
