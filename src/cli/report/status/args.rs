//! The options of `status`.

use crate::cli::settings::local_path;
use crate::cli::terminal::format::OutputFormat;
use crate::cli::wiring::period::Stretch;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  dmarquet status
  dmarquet status --max-age 3d                 for cron: prints only mailboxes without a report
                                               for three days, and then exits 1
  dmarquet status --reporters                  software, methods and defects of each reporter
  dmarquet status --by-domain --max-age 7d     the same for each domain's reports";

/// Show mailboxes, newest reports, silent reporters and rejected items
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct StatusArgs {
    /// Read a folder of Parquet files, as `export --out` writes it, instead of the store
    #[arg(long, value_name = "DIR", value_parser = local_path::local_path())]
    pub(super) records: Option<PathBuf>,
    /// Output format: text or json
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) format: OutputFormat,
    /// Exit 1 if a mailbox (or, without mailboxes, the store) got no report for this long, such as 3d; with --customer, if
    /// the customer got none; with --by-domain, if the newest report about a domain ends before that. Also exit 1 if only
    /// TLS reports still come
    #[arg(long, value_name = "TIME")]
    pub(super) max_age: Option<Stretch>,
    /// Show each domain's newest report, for the domains in the settings and below them, or for all domains
    #[arg(long)]
    pub(super) by_domain: bool,
    /// Show what each reporter is like: software, how it finds the policy, errors it states, defects of its reports
    #[arg(long, conflicts_with_all = ["records", "max_age", "by_domain"])]
    pub(super) reporters: bool,
    /// Only this customer of the settings
    #[arg(long, value_name = "NAME")]
    pub(super) customer: Option<String>,
}
