//! Commands for setup: `config`, `completions`, `man`.

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod man;
mod settings_page;
