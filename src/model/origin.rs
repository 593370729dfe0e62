//! Who operates the server at a source address, and what proves it.

use super::words::keywords;

/// The name of a source address, and how strong the proof is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceOrigin {
    /// The service, or the proving domain.
    pub name: String,
    /// The kind of proof, strongest first:
    ///
    /// 1. another domain signs its mail, or is its return path, and passes;
    /// 2. the domain's own DNS delegates to it: the alias of a selector that verifies, the alias or MX of a return path that
    ///    passes, the name servers of a subdomain with one of them, an include of the SPF record that passes;
    /// 3. it is in the ranges a service publishes;
    /// 4. its host name resolves back to it;
    /// 5. the owner of its network.
    ///
    /// Only the first two are evidence of who sent a message.
    pub rung: u8,
    /// What kind of network it is in; `None` if no rule says.
    pub class: Option<SourceClass>,
}

impl SourceOrigin {
    /// Whether the proof is evidence of who sent a message.
    pub const fn is_evidence(&self) -> bool {
        self.rung <= 2
    }
}

/// A kind of network, and the rule that determined it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceClass {
    /// The kind.
    pub class: NetworkClass,
    /// The rule, such as `host name under amazonaws.com`.
    pub ground: String,
}

keywords! {
    /// What kind of network an address is in.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum NetworkClass {
        /// Servers of a sending service.
        MailService = "mail_service",
        /// Servers that anybody can rent.
        RentedHost = "rented_host",
        /// Lines of an internet provider's customers.
        Isp = "isp",
    }
}
