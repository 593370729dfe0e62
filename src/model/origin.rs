//! Whose mail server a source address is, and what proves it.

/// What names a source address, and how strong the proof is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceOrigin {
    /// The service, or the domain that proves it.
    pub name: String,
    /// The kind of proof, strongest first:
    ///
    /// 1. another domain signs its mail, or is its return path, and passes;
    /// 2. DNS of the own domain delegates to it: the alias of a selector that verifies, the MX of a return path that
    ///    passes, an include of the SPF record that passes;
    /// 3. it lies in the ranges a service publishes;
    /// 4. its host name leads back to it;
    /// 5. the owner of its network.
    ///
    /// Only the first two are evidence of who sent a message.
    pub rung: u8,
}
