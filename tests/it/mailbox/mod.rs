//! `fetch` and `config check` against IMAP and POP3 servers.

pub(crate) mod imap;
mod imap_scenarios;
mod pop3;
