//! Whose network an address belongs to, according to the user's own database, kept in the ledger beside its name.
//!
//! The answers are renewed with every run that has a database.

use super::database::Ledger;
use super::lookups::by_address;
use crate::store::error::StoreError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The kind of lookup in the ledger.
pub(crate) const KIND: &str = "network";

/// What a database says about the network of an address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredNetwork {
    /// The number of the autonomous system that announces it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_name: Option<String>,
    /// The country, by its code of two letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

impl StoredNetwork {
    /// The form stored in the ledger; `None` if the database says nothing.
    pub(crate) fn answer(&self) -> Option<String> {
        (*self != Self::default()).then(|| serde_json::to_string(self).expect("a number and two texts serialize"))
    }
}

pub(crate) fn networks(ledger: &Ledger) -> Result<BTreeMap<IpAddr, StoredNetwork>, StoreError> {
    by_address(ledger, KIND, |answer| serde_json::from_str(answer).ok(), "reading the networks")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::read::store::Store;
    use crate::store::write::writer::Writer;
    use jiff::Timestamp;

    #[test]
    fn a_network_is_kept_until_a_database_says_otherwise() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path(), Timestamp::UNIX_EPOCH).unwrap();
        let address: IpAddr = "192.0.2.7".parse().unwrap();
        let kept = || Store::open(folder.path()).unwrap().networks().unwrap();
        let network = StoredNetwork { asn: Some(64_500), as_name: Some("EXAMPLE-AS".into()), country: None };
        writer.keep_networks(&[(address, network.clone())], Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(kept(), BTreeMap::from([(address, network)]));
        assert_eq!(Store::open(folder.path()).unwrap().names().unwrap(), [], "a network is no name");
        assert!(!writer.name_holds(address, Timestamp::UNIX_EPOCH).unwrap());
        writer.keep_networks(&[(address, StoredNetwork::default())], Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(kept(), BTreeMap::new());
    }
}
