//! The originals: zip packs of reports as they came, with a manifest.

pub(crate) mod zip;
