//! The originals: zip packs of reports as they arrived, with a manifest.

pub(crate) mod manifest;
pub(crate) mod zip;
