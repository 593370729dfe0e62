//! Encodes reports like a commit and discards the result, to find out whether it is possible.

use crate::model::Accepted;
use crate::store::error::StoreError;
use crate::store::pack::manifest::Standing;
use crate::store::pack::zip::PackContents;
use crate::store::parquet::encode;
use jiff::Timestamp;
use std::path::Path;

/// Encodes reports like a commit, without a store.
///
/// # Errors
/// If the encoder fails.
pub fn rehearse(accepted: &[Accepted]) -> Result<(), StoreError> {
    if accepted.is_empty() {
        return Ok(());
    }
    let nowhere = Path::new("nowhere");
    encode::encode(accepted, |_| Timestamp::UNIX_EPOCH).map_err(StoreError::parquet(nowhere, "encoding the rows"))?;
    let all: Vec<_> = accepted.iter().map(Into::into).collect();
    let contents =
        PackContents::of(&all, &|_| Standing { ingested: Timestamp::UNIX_EPOCH, replaced: 0, promoted: false });
    contents.write(std::io::sink()).map_err(StoreError::io(nowhere, "packing the originals"))
}
