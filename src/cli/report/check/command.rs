//! `check`: checks the mail records of a domain in DNS, or judges a message as a receiver does. The checks themselves
//! are in `dns`.

use super::{consents, dns_history, observed, policy_files};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::{input, output};
use crate::cli::wiring::period::Stretch;
use crate::cli::wiring::run::CommandContext;
use crate::dns::finding;
use crate::dns::lookup::name;
use crate::dns::lookup::resolver::{self, Resolver};
use crate::dns::posture::domain::{self, Request};
use crate::limits::Limits;
use crate::{present, unpack};
use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Checks the DMARC, SPF, DKIM, MX, MTA-STS, TLS-RPT and TLSA records of each domain, and the reverse DNS names of its sources. docs/checks.md lists all findings.

A record under \"Publish\" replaces the records of its type at that name. Each proposal was checked: it has no fault, keeps what was right, and lists every source in the reports that would fail under it.

Examples:
  dmarquet check example.com            check DNS against the reports in the store
  dmarquet check example.com --selector s1 --ip 192.0.2.1
  dmarquet check --message saved.eml    judge a message as a receiver does
  dmarquet check --all                  check every domain and record what DNS contains (for cron)
  dmarquet check --diff 7d              what changed in DNS this week
  dmarquet check --consents             missing consents to receive reports

Exit codes: 0 no faults; 1 faults found; 2 something could not be looked up.";

/// Check the DNS records of a domain: DMARC, SPF, DKIM, MX and TLS
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Domains to check
    #[arg(required_unless_present_any = ["message", "codes", "all", "diff", "consents"], value_name = "DOMAIN")]
    domains: Vec<String>,
    /// DKIM selector to check, besides those in the reports; may be repeated
    #[arg(long, value_name = "NAME")]
    selector: Vec<String>,
    /// Show whether this address passes SPF, and through which term
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<IpAddr>,
    /// Message to judge as a receiver does, saved as .eml or .emlx, or alone in an mbox or archive; - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "domains")]
    message: Option<PathBuf>,
    /// DNS server to use instead of the system's, such as 127.0.0.1:5353; may be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = resolver::server)]
    server: Vec<SocketAddr>,
    /// Check every domain in the settings and every domain with passing mail, and keep the records as history
    #[arg(long, conflicts_with_all = ["domains", "message", "ip", "selector"])]
    all: bool,
    /// Show how the records of the domain have changed, as kept by --all; nothing is looked up
    #[arg(long, requires = "domains", conflicts_with_all = ["message", "ip", "selector", "all", "server"])]
    history: bool,
    /// Show what changed in the records of all domains during this time, such as 7d; nothing is looked up
    #[arg(long, value_name = "TIME", conflicts_with_all = ["domains", "message", "all", "history", "server"])]
    diff: Option<Stretch>,
    /// Show missing consents to receive reports about another organization's domains: those you must publish, and those to ask for
    #[arg(long, conflicts_with_all = ["domains", "message", "ip", "selector", "all", "history", "diff"])]
    consents: bool,
    /// Time to use instead of the clock, such as 2026-11-19T06:00:00Z
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
    /// For tests: where every MTA-STS policy is fetched from
    #[arg(long, hide = true, value_name = "ADDRESS")]
    policy_server: Option<SocketAddr>,
    /// For tests: one more trusted root, PEM, for policies
    #[arg(long, hide = true, value_name = "FILE")]
    policy_ca: Option<PathBuf>,
    /// List all finding codes and why each matters
    #[arg(long, conflicts_with_all = ["domains", "message"])]
    codes: bool,
    /// Output format: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: OutputFormat,
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &CheckArgs) -> anyhow::Result<Exit> {
    if args.codes {
        return codes();
    }
    let resolver = Resolver::of_servers(&args.server)?;
    if let Some(file) = &args.message {
        return message(args, file, &resolver);
    }
    let now = args.now.unwrap_or(run.now);
    let policies = policy_files::policies(&args.server, args.policy_server, args.policy_ca.as_deref())?;
    let policies = policies.as_deref();
    if args.all {
        let (postures, exit) = dns_history::look_at_all(run, &resolver, policies, now)?;
        output::answer(args.format, &postures, || present::postures(&postures))?;
        return Ok(exit);
    }
    let store = run.store()?;
    if args.consents {
        return consents::run(run.settings()?, &store, &resolver, args.format);
    }
    if let Some(stretch) = args.diff {
        return dns_history::show_since(&store, stretch, now, args.format);
    }
    let mut answers = Vec::new();
    let mut exit = Exit::Handled;
    for domain in &args.domains {
        let domain = name::domain(domain)
            .ok_or_else(|| anyhow!("check: expected a domain such as example.com, found {domain:?}"))?;
        if args.history {
            dns_history::show(&store, &domain, args.format)?;
            continue;
        }
        let seen = observed::last_months(&store, &domain, now)?;
        let request = Request { domain, selectors: args.selector.clone(), ip: args.ip };
        let posture = domain::check_with(&request, &resolver, policies, &seen);
        exit = exit.max(Exit::from_code(posture.exit_code()));
        answers.push(posture);
    }
    if !args.history {
        let text = || answers.iter().map(present::posture).collect::<Vec<_>>().join("\n");
        match &answers[..] {
            [one] => output::answer(args.format, one, text)?,
            all => output::answer(args.format, &all, text)?,
        }
    }
    Ok(exit)
}

fn message(args: &CheckArgs, file: &Path, resolver: &Resolver) -> anyhow::Result<Exit> {
    let name = file.file_name().map(|name| name.to_string_lossy());
    let limits = Limits::default();
    let bytes = input::read(file, limits.item_bytes).with_context(|| file.display().to_string())?;
    let bytes = unpack::single_mail(bytes, name.as_deref(), &limits)
        .map_err(|reason| anyhow!("{}: {reason}", file.display()))?;
    let checked =
        crate::dns::verify::message::check(&bytes, args.ip, resolver).with_context(|| file.display().to_string())?;
    output::answer(args.format, &checked, || present::message_check(&checked))?;
    Ok(Exit::from_code(checked.exit_code()))
}

fn codes() -> anyhow::Result<Exit> {
    let mut lines = String::new();
    for code in finding::ALL {
        // Writing to a `String` cannot fail.
        let _ = writeln!(lines, "{:<6}  {:<26}  {}", code.severity.as_str(), code.name, code.why);
    }
    output::data(lines.as_bytes())?;
    Ok(Exit::Handled)
}
