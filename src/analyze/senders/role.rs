//! What a sender is for a domain, and the evidence for it.

use crate::analyze::Foreign;
use serde::Serialize;

/// What a sender is for the domain it sends as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The domain's own: authorized by SPF, confirmed by the user, or signing as it.
    Own,
    /// A service that sends steadily as the domain, authenticated with its own domain: it may be the user's.
    Vendor,
    /// Forwards other senders' mail.
    Forwarder,
    /// A mailing list, or a forwarder that changes mail.
    List,
    /// Not enough is known.
    Unclear,
    /// Nothing proves it has to do with the domain.
    Suspect,
}

impl Role {
    /// All, in order.
    pub const ALL: [Self; 6] = [Self::Own, Self::Vendor, Self::Forwarder, Self::List, Self::Unclear, Self::Suspect];

    /// Its name in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Vendor => "vendor",
            Self::Forwarder => "forwarder",
            Self::List => "list",
            Self::Unclear => "unclear",
            Self::Suspect => "suspect",
        }
    }
}

/// The roles of the senders at one source: customers share addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Roles(u8);

impl Roles {
    /// Adds one.
    pub(crate) fn add(&mut self, role: Role) {
        self.0 |= 1 << role as u8;
    }

    /// All of them, in order.
    pub fn iter(self) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.0 & 1 << *role as u8 != 0)
    }
}

impl Serialize for Roles {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// The evidence for a sender's role. Messages are those of the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Evidence {
    /// The user said so.
    Confirmed {
        /// It is the user's.
        mine: bool,
        /// Why, in the user's words.
        note: Option<Foreign>,
    },
    /// SPF authorizes it for the domain.
    Authorized,
    /// The domain's signature verifies on its mail.
    Signs {
        /// The number of messages.
        messages: u64,
    },
    /// It signs as the domain with a key that never verified anywhere.
    WrongKey {
        /// The number of messages.
        messages: u64,
    },
    /// The domain's signature verifies although SPF does not list the address, as with plain forwarding.
    SignatureSurvives {
        /// The number of messages.
        messages: u64,
    },
    /// The domain's signature broke in transit.
    SignatureChanged {
        /// The number of messages.
        messages: u64,
    },
    /// Unsigned mail with one of the organization's bounce domains, which passes SPF elsewhere.
    ForwardedCopy {
        /// The number of messages.
        messages: u64,
    },
    /// Receivers say that the mail was forwarded.
    SaidForwarded {
        /// The number of messages.
        messages: u64,
    },
    /// Receivers say that the mail came from a mailing list.
    SaidList {
        /// The number of messages.
        messages: u64,
    },
    /// It authenticates as another domain.
    AuthenticatesAs {
        /// The domain.
        domain: Foreign,
        /// The number of messages.
        messages: u64,
    },
    /// It shares a network with a sender that the domain authorized.
    Neighbor,
    /// It sends steadily.
    Steady {
        /// Days from the first to the last in the period.
        days: i32,
        /// Earlier periods in which it was seen.
        periods: u64,
        /// Reporters in the period.
        reporters: u64,
    },
    /// Nothing that the domain's owner controls passes.
    NothingPasses {
        /// The number of messages.
        messages: u64,
    },
}
