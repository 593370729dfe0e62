//! `check`: what DNS says of a domain, or what a receiver makes of a mail.
//!
//! Comes in: domains or a mail, the servers to ask, what the store has seen. Goes out: text or JSON, and whether there
//! are faults. The checking itself is `dns`'s.

mod seen;

use super::Run;
use super::args::Format;
use super::exit::Exit;
use super::output;
use crate::dns::finding;
use crate::dns::name;
use crate::dns::posture::{self, Request};
use crate::dns::resolver::{self, Resolver};
use crate::{present, store::Store};
use anyhow::{Context as _, anyhow};
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  dmarquet check example.com                         with what the store has seen
  dmarquet check example.com --selector s1 --ip 192.0.2.1
  dmarquet check --message saved.eml                 retell what a receiver makes of a mail

Exit codes: 0 no fault (advice allowed); 1 faults found; 2 something could not be looked up.";

/// What DNS says of a domain: DMARC, SPF, DKIM, MX, and the names of the sources seen
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The domains
    #[arg(required_unless_present_any = ["message", "codes"], value_name = "DOMAIN")]
    domains: Vec<String>,
    /// A DKIM selector to check, beside those the store has seen; may be repeated
    #[arg(long, value_name = "NAME")]
    selector: Vec<String>,
    /// Say whether this address passes SPF, and by which term
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<IpAddr>,
    /// A mail to judge as a receiver would, saved as .eml
    #[arg(long, value_name = "FILE", conflicts_with = "domains")]
    message: Option<PathBuf>,
    /// A DNS server to ask, as 127.0.0.1:5353, instead of the system's; may be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = resolver::server)]
    server: Vec<SocketAddr>,
    /// List every code of a finding, and why it matters
    #[arg(long, conflicts_with_all = ["domains", "message"])]
    codes: bool,
    /// text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: Format,
}

/// Do it.
pub(super) fn run(run: &Run, args: &Args) -> anyhow::Result<Exit> {
    if args.codes {
        return codes();
    }
    let options = resolver::Options { servers: args.server.clone(), ..resolver::Options::default() };
    let resolver = Resolver::new(&options)?;
    if let Some(file) = &args.message {
        return message(args, file, &resolver);
    }
    let store = Store::open(&run.store(&run.settings()?)?)?;
    let mut answers = Vec::new();
    let mut exit = Exit::Handled;
    for domain in &args.domains {
        let named = name::canonical(domain).filter(|name| name::is_domain(name));
        let domain = named.ok_or_else(|| anyhow!("check: expected a domain, as example.com, found {domain:?}"))?;
        let seen = seen::of(&store, &domain, run.now)?;
        let request = Request { domain, selectors: args.selector.clone(), ip: args.ip };
        let posture = posture::check(&request, &resolver, &seen);
        exit = exit.max(of_code(posture.exit_code()));
        answers.push(posture);
    }
    match args.format {
        Format::Text => output::data(answers.iter().map(present::posture).collect::<Vec<_>>().join("\n").as_bytes())?,
        Format::Json if answers.len() == 1 => output::json(&answers[0])?,
        Format::Json => output::json(&answers)?,
    }
    Ok(exit)
}

fn message(args: &Args, file: &std::path::Path, resolver: &Resolver) -> anyhow::Result<Exit> {
    let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
    let letter = crate::dns::message::check(&bytes, args.ip, resolver).with_context(|| file.display().to_string())?;
    match args.format {
        Format::Text => output::data(present::letter(&letter).as_bytes())?,
        Format::Json => output::json(&letter)?,
    }
    Ok(of_code(letter.exit_code()))
}

fn codes() -> anyhow::Result<Exit> {
    let mut lines = String::new();
    for code in finding::ALL {
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "{:<6}  {:<26}  {}", code.severity.as_str(), code.name, code.why);
    }
    output::data(lines.as_bytes())?;
    Ok(Exit::Handled)
}

const fn of_code(code: u8) -> Exit {
    match code {
        0 => Exit::Handled,
        1 => Exit::Attention,
        _ => Exit::Failed,
    }
}
