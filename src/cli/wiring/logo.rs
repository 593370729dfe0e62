//! A customer's logo, read for a page or mail.

use crate::cli::settings::Customer;
use crate::present::{Branding, Logo};
use anyhow::{Context as _, anyhow};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use std::io::Read as _;

/// Maximum size of a logo: it is part of every page and mail.
const LOGO_BYTES: u64 = 256 << 10;

/// The branding of a customer's summary; none if it is of all domains.
///
/// # Errors
/// If the logo cannot be read, is too large, or is not in a supported format.
pub(crate) fn branding(customer: Option<&Customer>) -> anyhow::Result<Branding> {
    let Some(customer) = customer else { return Ok(Branding::default()) };
    let logo = customer.logo.as_ref().map(|path| {
        let read = || -> anyhow::Result<Logo> {
            let mut bytes = Vec::new();
            std::fs::File::open(path)?.take(LOGO_BYTES + 1).read_to_end(&mut bytes)?;
            if bytes.len() as u64 > LOGO_BYTES {
                return Err(anyhow!("expected a picture of up to {} KiB, found a larger file", LOGO_BYTES >> 10));
            }
            let media_type = media_type(&bytes)
                .ok_or_else(|| anyhow!("expected a picture (PNG, JPEG, GIF, WebP or SVG), found something else"))?;
            let data_uri = format!("data:{media_type};base64,{}", STANDARD.encode(&bytes));
            Ok(Logo { media_type, bytes, data_uri })
        };
        read().with_context(|| format!("logo of {:?}: {}", customer.name, path.display()))
    });
    Ok(Branding { title: Some(customer.title.clone()), logo: logo.transpose()?, footer: customer.footer.clone() })
}

/// The media type of a picture, from its first bytes.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => std::str::from_utf8(bytes).ok().filter(|text| text.contains("<svg")).map(|_| "image/svg+xml"),
    }
}

#[cfg(test)]
mod tests {
    use super::media_type;

    #[test]
    fn a_picture_is_known_by_its_bytes() {
        assert_eq!(media_type(b"\x89PNG\r\n\x1a\n"), Some("image/png"));
        assert_eq!(media_type(b"<?xml version=\"1.0\"?>\n<svg/>"), Some("image/svg+xml"));
        assert_eq!(media_type(b"<html></html>"), None);
        assert_eq!(media_type(b""), None);
    }
}
