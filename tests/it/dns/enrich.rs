//! Names for many addresses: a hundred lookups at once, killed halfway, resumed; none is looked up twice.

use crate::dns_servers::Scripted;
use dmarquet::dns::hosts::enrich::{Cache, EnrichOptions, HostLookup, enrich};
use dmarquet::dns::hosts::ptr::PtrName;
use dmarquet::dns::lookup::resolver;
use dmarquet::dns::lookup::resolver::Resolver;
use jiff::Timestamp;
use std::cell::Cell;
use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

#[derive(Default)]
struct Table(HashMap<IpAddr, HostLookup>);

impl Cache for Table {
    type Error = Infallible;

    fn holds(&mut self, address: IpAddr, now: Timestamp) -> Result<bool, Infallible> {
        Ok(self.0.get(&address).is_some_and(|looked| looked.until > now))
    }

    fn put(&mut self, looked: &[HostLookup]) -> Result<(), Infallible> {
        for looked in looked {
            assert!(self.0.insert(looked.address, looked.clone()).is_none(), "{} twice", looked.address);
        }
        Ok(())
    }
}

fn addresses(count: u32) -> impl Iterator<Item = IpAddr> {
    (0..count).map(|number| IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number)))
}

/// Every third has a confirmed name, every third an unconfirmed one, the rest none.
fn zone(count: u32) -> String {
    let mut text = String::new();
    for (number, address) in addresses(count).enumerate() {
        match number % 3 {
            0 => text += &format!("{address} PTR h{number}.example\nh{number}.example A {address}\n"),
            1 => text += &format!("{address} PTR x{number}.example\nx{number}.example A 192.0.2.1\n"),
            _ => {}
        }
    }
    text + "example A 192.0.2.1\n"
}

#[test]
fn a_run_that_was_stopped_continues_where_it_was() {
    const COUNT: u32 = 600;
    let server = Scripted::start(&zone(COUNT));
    let settings = resolver::ResolverOptions {
        servers: vec![server.address],
        in_flight: 100,
        ..resolver::ResolverOptions::default()
    };
    let resolver = Resolver::new(&settings).expect("a resolver");
    let options = EnrichOptions { per_second: 0, ..EnrichOptions::default() };
    let mut table = Table::default();
    let left = Cell::new(300);
    let stop = || left.replace(left.get() - 1) <= 0;
    let first = enrich(&resolver, addresses(COUNT), &mut table, &options, &Timestamp::now, &stop).unwrap();
    assert!((1..u64::from(COUNT)).contains(&first.looked_up()), "{first:?}");
    assert_eq!(first.looked_up(), table.0.len() as u64);

    let second = enrich(&resolver, addresses(COUNT), &mut table, &options, &Timestamp::now, &|| false).unwrap();
    assert_eq!(second.cached, first.looked_up());
    assert_eq!(first.looked_up() + second.looked_up(), u64::from(COUNT));
    assert_eq!((first.confirmed + second.confirmed, first.unconfirmed + second.unconfirmed), (200, 200));
    assert_eq!(first.failed + second.failed, 0);
    let third = enrich(&resolver, addresses(COUNT), &mut table, &options, &Timestamp::now, &|| false).unwrap();
    assert_eq!((third.cached, third.looked_up()), (u64::from(COUNT), 0));
    let named = &table.0[&addresses(1).next().unwrap()];
    assert_eq!(named.naming, Ok(PtrName::Confirmed(vec!["h0.example".into()])));
}

#[test]
fn an_unreachable_server_leaves_names_unknown_not_missing() {
    let settings = resolver::ResolverOptions {
        servers: vec!["127.0.0.1:9".parse().unwrap()],
        timeout: std::time::Duration::from_millis(200),
        retries: 0,
        in_flight: 100,
    };
    let resolver = Resolver::new(&settings).expect("a resolver");
    let mut table = Table::default();
    let options = EnrichOptions { per_second: 0, ..EnrichOptions::default() };
    let tally = enrich(&resolver, addresses(50), &mut table, &options, &Timestamp::now, &|| false).unwrap();
    assert_eq!((tally.failed, tally.nameless), (50, 0));
    assert!(table.0.values().all(|looked| looked.naming.is_err()));
}
