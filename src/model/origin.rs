//! Who operates the server at a source address, and what proves it.

/// The name of a source address, and how strong the proof is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceOrigin {
    /// The service, or the proving domain.
    pub name: String,
    /// The kind of proof, strongest first:
    ///
    /// 1. another domain signs its mail, or is its return path, and passes;
    /// 2. the domain's own DNS delegates to it: the alias of a selector that verifies, the MX of a return path that
    ///    passes, an include of the SPF record that passes;
    /// 3. it is in the ranges a service publishes;
    /// 4. its host name resolves back to it;
    /// 5. the owner of its network.
    ///
    /// Only the first two are evidence of who sent a message.
    pub rung: u8,
}
