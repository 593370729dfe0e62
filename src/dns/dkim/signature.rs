//! Parses a mail's DKIM signatures and verifies them against the keys in DNS (RFC 6376, RFC 8301, RFC 8463).
//!
//! mail-auth does the cryptography. It gets the keys that were looked up here, so it sends nothing itself.

use super::key::{Key, KeyKind, LEAST_BITS, key_name};
use crate::dns::lookup::answer::{Answer, Lookup, Txt as Text};
use crate::model::ReportKind;
use futures::FutureExt as _;
use mail_auth::common::cache::NoCache;
use mail_auth::common::crypto::{Algorithm, CryptoError, HashAlgorithm};
use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::common::verify::DomainKey;
use mail_auth::dkim::{Canonicalization, DkimError, Signature as Signed};
use mail_auth::hickory_resolver::config::{ResolverConfig, ResolverOpts};
use mail_auth::hickory_resolver::proto::op::ResponseCode;
use mail_auth::{
    AuthenticatedMessage, DkimResult, DnsError, Error, MX, MessageAuthenticator, Parameters, RecordSet, ResolverCache,
    Txt,
};
use serde::Serialize;
use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Signatures examined; a mail may have any number.
const SIGNATURE_LIMIT: usize = 20;
/// The service type of keys for TLS reports.
const TLS_SERVICE: &str = "tlsrpt";

/// Verifying could not begin.
#[derive(Debug, thiserror::Error)]
#[error("verifying: {0}")]
pub struct VerifyError(String);

/// One DKIM-Signature.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// The signing domain.
    pub d: String,
    /// The selector.
    pub s: String,
    /// The algorithm.
    pub a: String,
    /// Canonicalization of header and body.
    pub c: String,
    /// The agent, if given.
    pub i: String,
    /// The header fields signed.
    pub h: Vec<String>,
    /// The hash of the body, base64.
    pub bh: String,
    /// The signature, base64.
    pub b: String,
    /// When signed, seconds since 1970; 0 if not given.
    pub t: u64,
    /// When it expires; 0 if not given.
    pub x: u64,
    /// Signed bytes of the body; 0 means all.
    pub l: u64,
    /// `pass`, `fail`, `permerror`, `temperror` or `neutral`.
    pub result: &'static str,
    /// Why it does not pass.
    pub why: Option<String>,
    /// The body, a signed field or the signature itself was changed: it fails whatever DNS says later.
    #[serde(skip)]
    pub broken: bool,
    /// Whether it passes and aligns with From.
    pub aligned: bool,
}

/// Parses the signatures and verifies them, with keys for mail or for mail with TLS reports.
///
/// # Errors
///
/// [`VerifyError`] if the library could not be set up.
pub(in super::super) fn signatures(
    mail: &AuthenticatedMessage<'_>,
    lookup: &dyn Lookup,
    kind: ReportKind,
) -> Result<Vec<Signature>, VerifyError> {
    let mut keys = KeyCache::default();
    for header in mail.dkim_headers.iter().take(SIGNATURE_LIMIT) {
        keys.look_up(&header.header, lookup, kind);
    }
    // Without name servers, anything missing from `keys` is an error, and nothing can be sent.
    let nowhere = ResolverConfig::from_name_servers(Vec::new());
    let authenticator =
        MessageAuthenticator::new(nowhere, ResolverOpts::default()).map_err(|error| VerifyError(error.to_string()))?;
    let parameters = Parameters {
        params: mail,
        cache_txt: Some(&keys),
        cache_mx: None::<&NoCache<Box<str>, RecordSet<MX>>>,
        cache_ptr: None::<&NoCache<IpAddr, RecordSet<Box<str>>>>,
        cache_ipv4: None::<&NoCache<Box<str>, RecordSet<Ipv4Addr>>>,
        cache_ipv6: None::<&NoCache<Box<str>, RecordSet<Ipv6Addr>>>,
    };
    let outputs = authenticator.verify_dkim(parameters).now_or_never().unwrap_or_default();
    let retold = outputs.iter().take(SIGNATURE_LIMIT).map(|output| {
        let (mut result, mut why) = words(output.result());
        if let Some(reason) = output.signature().and_then(unacceptable).filter(|_| result == "pass") {
            (result, why) = ("permerror", Some(reason.to_owned()));
        }
        let signature = output.signature().map(taken_apart).unwrap_or_default();
        Signature { result, why, broken: is_broken(output.result()), ..signature }
    });
    Ok(retold.collect())
}

fn words(result: &DkimResult) -> (&'static str, Option<String>) {
    match result {
        DkimResult::Pass => ("pass", None),
        DkimResult::TempError(error) => ("temperror", Some(error.to_string())),
        DkimResult::PermError(error) => ("permerror", Some(error.to_string())),
        DkimResult::Fail(error) | DkimResult::Neutral(error) => ("fail", Some(error.to_string())),
        DkimResult::None => ("none", None),
    }
}

/// Whether the mail or the signature was changed. Being expired or having no key is different.
fn is_broken(result: &DkimResult) -> bool {
    match result {
        DkimResult::Neutral(error) | DkimResult::Fail(error) => {
            let broken = Error::Crypto(CryptoError::FailedVerification);
            *error == broken || matches!(error, Error::Dkim(DkimError::FailedBodyHashMatch))
        }
        _ => false,
    }
}

/// Why a verified signature must not count.
fn unacceptable(signature: &Signed) -> Option<&'static str> {
    if signature.a == Algorithm::RsaSha1 {
        Some("rsa-sha1 must not be used (RFC 8301)")
    } else if !signature.h.iter().any(|field| field.eq_ignore_ascii_case("from")) {
        Some("From is not signed (RFC 6376 section 5.4)")
    } else {
        None
    }
}

fn taken_apart(signature: &Signed) -> Signature {
    use base64::Engine as _;
    let base64 = |bytes: &[u8]| base64::engine::general_purpose::STANDARD.encode(bytes);
    let mode = |mode: Canonicalization| if mode == Canonicalization::Simple { "simple" } else { "relaxed" };
    let a = match (signature.a, HashAlgorithm::from(signature.a)) {
        (Algorithm::Ed25519Sha256, _) => "ed25519-sha256",
        (_, HashAlgorithm::Sha1) => "rsa-sha1",
        _ => "rsa-sha256",
    };
    Signature {
        d: signature.d.to_ascii_lowercase(),
        s: signature.s.clone(),
        a: a.to_owned(),
        c: format!("{}/{}", mode(signature.ch), mode(signature.cb)),
        i: signature.i.clone(),
        h: signature.h.clone(),
        bh: base64(&signature.bh),
        b: base64(&signature.b),
        t: signature.t,
        x: signature.x,
        l: signature.l,
        ..Signature::default()
    }
}

/// The keys of a mail, looked up beforehand. Anything else is answered with an error at once.
#[derive(Default)]
struct KeyCache(HashMap<Box<str>, Txt>);

impl KeyCache {
    fn look_up(&mut self, signature: &Signed, lookup: &dyn Lookup, kind: ReportKind) {
        let name = key_name(&signature.s, &signature.d);
        let found = match lookup.txt(&name) {
            Answer::Found(texts) => match texts.iter().map(|text| key(text, kind)).reduce(Result::or) {
                Some(Ok(key)) => Txt::DomainKey(key.into()),
                Some(Err(error)) => Txt::Error(error),
                None => Txt::Error(Error::ParseError),
            },
            Answer::NoData | Answer::NxDomain => {
                Txt::Error(Error::Dns(DnsError::RecordNotFound(ResponseCode::NXDomain)))
            }
            Answer::Failed(failure) => Txt::Error(Error::Dns(DnsError::Resolver(failure.to_string()))),
        };
        self.0.insert(format!("{name}.").into(), found);
    }
}

/// The key of a record, if verifiers may use it. One for TLS reports alone (RFC 8460 section 3) is for no other mail
/// (RFC 6376 section 3.6.1).
fn key(txt: &Text, kind: ReportKind) -> mail_auth::Result<DomainKey> {
    match Key::parse(&txt.text()) {
        Ok(key) if !(key.is_for_mail() || kind == ReportKind::Tls && key.is_for(TLS_SERVICE)) => {
            Err(Error::Dns(DnsError::RecordNotFound(ResponseCode::NXDomain)))
        }
        Ok(Key { kind: KeyKind::Rsa(bits), .. }) if bits < LEAST_BITS => {
            Err(Error::Dkim(DkimError::UnsupportedKeyType))
        }
        _ => DomainKey::parse(&txt.strings.concat()),
    }
}

impl ResolverCache<Box<str>, Txt> for KeyCache {
    fn get<Q: Hash + Eq + ?Sized>(&self, name: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        let unknown = || Txt::Error(Error::Dns(DnsError::RecordNotFound(ResponseCode::NXDomain)));
        Some(self.0.get(name).cloned().unwrap_or_else(unknown))
    }

    fn remove<Q: Hash + Eq + ?Sized>(&self, _: &Q) -> Option<Txt>
    where
        Box<str>: Borrow<Q>,
    {
        None
    }

    fn insert(&self, _: Box<str>, _: Txt, _: std::time::Instant) {}
}
