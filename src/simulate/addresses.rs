//! Names senders by address, or by network if there are many.

use crate::model::SourceAddress;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Maximum number of addresses of a sender listed separately.
const ONE_BY_ONE: usize = 4;

/// The data of each address of a sender: unchanged for few, merged for many, with the address or network and the number
/// of addresses.
pub(super) fn by_address<T>(
    addresses: BTreeMap<SourceAddress, T>,
    merge: impl Fn(&mut T, T),
) -> Vec<(Option<String>, u64, T)> {
    if addresses.len() <= ONE_BY_ONE {
        return addresses.into_iter().map(|(source, at)| (network_of(source, source), 1, at)).collect();
    }
    let (number, first, last) = (addresses.len() as u64, addresses.keys().next(), addresses.keys().last());
    let network = first.zip(last).and_then(|(first, last)| network_of(*first, *last));
    let all = addresses.into_values().reduce(|mut all, more| {
        merge(&mut all, more);
        all
    });
    all.map(|all| (network, number, all)).into_iter().collect()
}

/// The address, or the smallest network that contains both.
fn network_of(first: SourceAddress, last: SourceAddress) -> Option<String> {
    let (first_address, last_address) = (first.address()?, last.address()?);
    if first == last {
        return Some(first_address.to_string());
    }
    let bits = (first.0 ^ last.0).leading_zeros();
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    let network = SourceAddress(first.0 & mask);
    let both_v4 = first_address.is_ipv4() && last_address.is_ipv4();
    match network.address()? {
        IpAddr::V4(address) if both_v4 => Some(format!("{address}/{}", bits - 96)),
        address => Some(format!("{address}/{bits}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_addresses_are_named_by_their_smallest_network() {
        let of = |first: &str, last: &str| {
            let source = |text: &str| SourceAddress::from(text.parse::<IpAddr>().ok());
            network_of(source(first), source(last)).unwrap_or_default()
        };
        assert_eq!(of("192.0.2.7", "192.0.2.7"), "192.0.2.7");
        assert_eq!(of("192.0.2.64", "192.0.2.127"), "192.0.2.64/26");
        assert_eq!(of("192.0.2.1", "192.0.2.200"), "192.0.2.0/24");
        assert_eq!(of("2001:db8::1", "2001:db8::f"), "2001:db8::/124");
        assert_eq!(of("no address", "192.0.2.1"), "");
    }
}
