//! Bytes with many owners, kept in memory once: a file may be rejected, or be in conflict, a thousand times over.

use super::{Hash, Original};
use sha2::{Digest, Sha256};
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

/// Shared bytes. Cloning is cheap, and the hash is computed once for all clones.
#[derive(Clone)]
pub struct SharedBytes(Arc<Inner>);

struct Inner {
    original: Arc<Original>,
    hash: OnceLock<Hash>,
}

impl SharedBytes {
    /// Their SHA-256.
    pub fn sha256(&self) -> Hash {
        *self.0.hash.get_or_init(|| Hash(Sha256::digest(&**self).into()))
    }

    /// Whether both are the same bytes in memory, not just equal ones.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl From<Vec<u8>> for SharedBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Arc::new(Original::Plain(bytes)))
    }
}

impl From<Arc<Original>> for SharedBytes {
    fn from(original: Arc<Original>) -> Self {
        Self(Arc::new(Inner { original, hash: OnceLock::new() }))
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.original.bytes()
    }
}

impl PartialEq for SharedBytes {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || **self == **other
    }
}

impl Eq for SharedBytes {}

impl std::fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_share_the_bytes_and_equal_bytes_are_equal() {
        let one = SharedBytes::from(b"report".to_vec());
        let other = SharedBytes::from(Arc::new(Original::Plain(b"report".to_vec())));
        assert!(one.is_same(&one.clone()) && !one.is_same(&other));
        assert_eq!(one, other);
        assert_eq!(one.sha256(), other.sha256());
        assert_eq!(one.as_ptr(), one.clone().as_ptr());
    }
}
