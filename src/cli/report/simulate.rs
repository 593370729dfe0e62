//! `simulate`: shows what a change of the policy or of DNS would do to the stored mail. The evaluation itself is in
//! `simulate`.

use crate::analyze::{Adder, AttributedMail, Period, Question};
use crate::cli::settings::{local_path, near};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::fault::Hint as _;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::terminal::{input, output, pager};
use crate::cli::wiring::run::CommandContext;
use crate::cli::wiring::selection;
use crate::dns::dmarc::Policy;
use crate::dns::lookup::name;
use crate::dns::lookup::resolver::{self, Resolver};
use crate::model::utc_day;
use crate::present;
use crate::simulate::{NotAsked, PatientLookup, SimulationRequest, TagChanges, Tolerance, ZoneFile, simulate};
use crate::store::{Filter, Store};
use anyhow::{Context as _, anyhow};
use clap::ValueEnum;
use clap::builder::PossibleValue;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan as _};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Judges the mail of the last complete weeks twice: by the current record, as the newest reports show it, and by the proposed one. An option changes only what it names. --policy applies to all mail: it removes pct and t, and changes sp too if it equals p. Nothing is published.

Examples:
  dmarquet simulate example.com --policy quarantine
  dmarquet simulate example.com --policy reject --sp quarantine --aspf s --tolerate 0.1%
  dmarquet simulate example.com --drop-include _spf.esp.example --remove-selector s1
  dmarquet simulate example.com --spf 'v=spf1 ip4:192.0.2.0/26 -all'
  dmarquet simulate example.com --from-zone example.com.zone      a CI gate for DNS as code

Exit codes: 0 at most --tolerate messages would be lost; 1 more would be; 2 could not run, or the result depends on a failed lookup.";

/// Days of history used to classify senders.
const JUDGED_DAYS: i32 = 56;

/// Maximum size of a zone file.
const ZONE_BYTES: u64 = 64 << 20;

/// Show what a stricter policy or another DNS record would do to your mail
#[derive(Debug, clap::Args)]
#[command(
    after_help = EXAMPLES,
    override_usage = "dmarquet simulate [OPTIONS] DOMAIN",
    group = clap::ArgGroup::new("proposal").required(true).multiple(true).args([
        "policy", "sp", "np", "adkim", "aspf", "spf", "drop_include", "remove_selector", "from_zone",
    ])
)]
pub(crate) struct SimulateArgs {
    /// Domain to simulate a change for
    domain: String,
    /// DMARC policy (p) for all mail: none, quarantine or reject
    #[arg(long, value_enum, hide_possible_values = true, help_heading = "Proposed changes")]
    policy: Option<Policy>,
    /// DMARC policy for subdomains (sp)
    #[arg(long, value_enum, value_name = "POLICY", hide_possible_values = true, help_heading = "Proposed changes")]
    sp: Option<Policy>,
    /// DMARC policy for subdomains that do not exist (np); looks them up
    #[arg(long, value_enum, value_name = "POLICY", hide_possible_values = true, help_heading = "Proposed changes")]
    np: Option<Policy>,
    /// DKIM alignment: r (relaxed) or s (strict)
    #[arg(long, value_enum, value_name = "MODE", hide_possible_values = true, help_heading = "Proposed changes")]
    adkim: Option<AlignmentWord>,
    /// SPF alignment: r (relaxed) or s (strict)
    #[arg(long, value_enum, value_name = "MODE", hide_possible_values = true, help_heading = "Proposed changes")]
    aspf: Option<AlignmentWord>,
    /// SPF record of the domain, such as 'v=spf1 ip4:192.0.2.0/24 -all'
    #[arg(long, value_name = "RECORD", help_heading = "Proposed changes")]
    spf: Option<String>,
    /// Include to remove from the domain's SPF record; may be repeated
    #[arg(long, value_name = "NAME", help_heading = "Proposed changes")]
    drop_include: Vec<String>,
    /// DKIM selector of the domain whose key to remove; may be repeated
    #[arg(long, value_name = "NAME", help_heading = "Proposed changes")]
    remove_selector: Vec<String>,
    /// Zone file: the whole zone if it has an SOA record, else only its records; - reads standard input
    #[arg(long, value_name = "FILE", help_heading = "Proposed changes")]
    from_zone: Option<PathBuf>,
    /// Number of complete ISO weeks to judge, up to --now
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=104))]
    weeks: u16,
    /// Simulate as of this time, such as 2026-11-23T06:00:00Z, ignoring later reports [default: now]
    #[arg(long, value_name = "TIME")]
    now: Option<Timestamp>,
    /// Messages that may be lost: a number such as 20, or a share of all such as 0.1%
    #[arg(long, value_name = "N|N%", default_value = "0")]
    tolerate: Tolerance,
    /// Read a folder of Parquet files, as `export --out` writes it, instead of the store
    #[arg(long, value_name = "DIR", value_parser = local_path::local_path())]
    records: Option<PathBuf>,
    /// DNS server to use instead of the system's, such as 127.0.0.1:5353; may be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = resolver::server)]
    server: Vec<SocketAddr>,
    /// Output format: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: OutputFormat,
}

impl ValueEnum for Policy {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::None, Self::Quarantine, Self::Reject]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.as_str()))
    }
}

/// An alignment mode on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum AlignmentWord {
    /// Relaxed.
    R,
    /// Strict.
    S,
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &SimulateArgs) -> anyhow::Result<Exit> {
    let domain = name::domain(&args.domain)
        .ok_or_else(|| anyhow!("expected a domain such as example.com, found {:?}", args.domain))?;
    let now = args.now.unwrap_or(run.now);
    let days = window(now, args.weeks)?;
    let request = request(args, domain, days)?;
    let store = run.store_or(args.records.as_deref())?;
    let mail = read(run, &store, &request, now)?;
    if !mail.rows.iter().any(|row| days.0 <= row.day && row.day <= days.1) {
        return Err(no_mail(&store, &request)?);
    }
    let asks_dns = request.needs_dns() || !args.server.is_empty();
    let answer = if asks_dns {
        let resolver = Resolver::of_servers(&args.server)?;
        simulate(&request, &mail, &PatientLookup::new(&resolver), (args.tolerate, asks_dns))
    } else {
        simulate(&request, &mail, &NotAsked, (args.tolerate, asks_dns))
    };
    let answer = answer.with_context(|| format!("simulate {}", request.domain))?;
    match args.format {
        OutputFormat::Text => {
            pager::show(&present::simulation(&answer, &pager::style(run.common.color)))?;
        }
        OutputFormat::Json => output::data(present::json(&answer).as_bytes())?,
    }
    Ok(Exit::from_code(answer.exit_code()))
}

/// The last complete weeks before `now`.
fn window(now: Timestamp, weeks: u16) -> anyhow::Result<(Date, Date)> {
    let last = Period::last_complete_week(now);
    let from = last.to().checked_sub((i64::from(weeks) * 7 - 1).days());
    from.map(|from| (from, last.to()))
        .with_context(|| format!("--now {now}: expected a day of the calendar {weeks} weeks later"))
}

fn request(args: &SimulateArgs, domain: String, days: (Date, Date)) -> anyhow::Result<SimulationRequest> {
    let strict = |mode: Option<AlignmentWord>| mode.map(|mode| mode == AlignmentWord::S);
    let zone = args.from_zone.as_deref().map(|file| zone(file, &domain)).transpose()?;
    let suffix = format!("._domainkey.{domain}");
    let selector = |name: &String| {
        let name = name.trim_end_matches('.');
        name.strip_suffix(&suffix).unwrap_or(name).to_owned()
    };
    Ok(SimulationRequest {
        days,
        weeks: args.weeks,
        tags: TagChanges {
            p: args.policy,
            sp: args.sp,
            np: args.np,
            adkim_strict: strict(args.adkim),
            aspf_strict: strict(args.aspf),
        },
        spf: args.spf.clone(),
        dropped_includes: args.drop_include.clone(),
        removed_selectors: args.remove_selector.iter().map(selector).collect(),
        zone,
        domain,
    })
}

fn zone(file: &Path, domain: &str) -> anyhow::Result<ZoneFile> {
    let bytes = input::read(file, ZONE_BYTES).with_context(|| file.display().to_string())?;
    if bytes.len() as u64 > ZONE_BYTES {
        return Err(anyhow!("{}: expected a zone file of up to {} MiB, found more", file.display(), ZONE_BYTES >> 20));
    }
    ZoneFile::parse(&bytes, domain).with_context(|| file.display().to_string())
}

/// Reads the mail of the domain up to the day before `now`: the weeks to evaluate, and the eight weeks used to classify
/// senders.
fn read(
    run: &CommandContext,
    store: &Store,
    request: &SimulationRequest,
    now: Timestamp,
) -> anyhow::Result<AttributedMail> {
    let settings = run.settings()?;
    let today = utc_day(now);
    let yesterday = today.saturating_sub(1.days());
    let from = today.saturating_sub(JUDGED_DAYS.days()).min(request.days.0);
    let mut question = Question {
        period: Some(Period::new(from, yesterday)?),
        domains: vec![request.domain.as_str().into()],
        today: Some(run.today()),
        services: settings.services()?,
        confirmed: settings.confirmed.clone(),
        weekly: true,
        ..Question::default()
    };
    selection::add_store(store, &mut question)?;
    let filter =
        Filter { from: Some(from), to: Some(yesterday), domains: vec![request.domain.clone()], ..Filter::default() };
    let adder = Adder::new(&question);
    selection::add_rows(store, &filter, &question, &adder)?;
    Ok(adder.attribute())
}

/// Explains why there is nothing to evaluate: probably another domain or other weeks were meant.
fn no_mail(store: &Store, request: &SimulationRequest) -> anyhow::Result<anyhow::Error> {
    let mut known: BTreeMap<String, Date> = BTreeMap::new();
    store.heads(&Filter::default(), &mut |head| {
        let last = known.entry(head.policy.domain.as_str().to_owned()).or_insert(head.day);
        *last = head.day.max(*last);
    })?;
    let (domain, (from, to)) = (&request.domain, request.days);
    if let Some(last) = known.get(domain) {
        let error = anyhow!("simulate {domain}: no mail from {from} to {to}; its newest report is about {last}");
        return Ok(error.hint("--weeks N looks further back, and --now TIME moves the weeks"));
    }
    let near = known.keys().map(|other| (near::distance(domain, other), other)).min();
    let error = anyhow!("simulate {domain}: expected a domain with reports in the store, found none about it");
    if let Some((_, near)) = near.filter(|(distance, _)| *distance <= 2) {
        return Ok(error.hint(format!("did you mean {near}?")));
    }
    if let Some(above) = known.keys().find(|above| name::is_within(domain, above)) {
        return Ok(error.hint(format!(
            "its mail is judged by the policy of {above}; simulate that one, with --sp for its subdomains"
        )));
    }
    Ok(error.hint("`dmarquet summary` lists the domains with reports; --store DIR names another store"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weeks_are_complete_before_now() {
        for (now, weeks, expected) in [
            ("2026-11-23T06:00:00Z", 8, "2026-09-28..2026-11-22"),
            ("2026-11-22T23:59:59Z", 1, "2026-11-09..2026-11-15"),
            ("2026-11-25T00:00:00Z", 2, "2026-11-09..2026-11-22"),
        ] {
            let (from, to) = window(now.parse().unwrap(), weeks).unwrap();
            assert_eq!(format!("{from}..{to}"), expected, "{now}");
        }
        assert!(window(Timestamp::MIN, 104).is_err());
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_number_of_weeks_and_no_clock_panic(weeks: u16, now in Timestamp::MIN.as_second()..=Timestamp::MAX.as_second()) {
            if let Ok((from, to)) = window(Timestamp::from_second(now).unwrap(), weeks) {
                proptest::prop_assert!(weeks == 0 || from <= to);
            }
        }
    }
}
