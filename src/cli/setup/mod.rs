//! The commands that set the program up: `config`, `completions`, `man`.

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod man;
mod settings_page;
