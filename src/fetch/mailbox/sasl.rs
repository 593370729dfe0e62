//! The messages of SASL mechanisms used by every protocol, before encoding.

use secrecy::{ExposeSecret as _, SecretString};

/// RFC 4616.
pub(crate) fn plain(user: &str, password: &str) -> Vec<u8> {
    format!("\0{user}\0{password}").into_bytes()
}

/// Google's and Microsoft's.
pub(crate) fn xoauth2(user: &str, token: &SecretString) -> Vec<u8> {
    format!("user={user}\x01auth=Bearer {}\x01\x01", token.expose_secret()).into_bytes()
}

/// RFC 7628.
pub(crate) fn oauthbearer(user: &str, (host, port): (&str, u16), token: &SecretString) -> Vec<u8> {
    // RFC 5801: comma and equals sign are escaped in the authorization identity.
    let identity = user.replace('=', "=3D").replace(',', "=2C");
    let token = token.expose_secret();
    format!("n,a={identity},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01").into_bytes()
}
