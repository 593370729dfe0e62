//! The options of `summary`.

use super::rhythm::RhythmArgs;
use crate::cli::settings::local_path;
use crate::cli::terminal::format::SummaryForm;
use crate::cli::wiring::customers::CustomerChoice;
use crate::cli::wiring::period::Choice;
use clap::ValueEnum as _;
use jiff::Timestamp;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Without a period: the last complete week (Monday to Sunday) of the store, or everything in the given files. All days are UTC.

Examples:
  dmarquet summary                                     last week, of the store
  dmarquet summary --week 2026-W47 --domain example.com
  dmarquet summary ~/dmarc-reports                     from files, without storing anything
  dmarquet summary --explain 192.0.2.7                 rows and reasoning behind one source
  dmarquet summary --format html > week.html
  dmarquet summary --mail-to postmaster@example.com    mail it, as [smtp] in the settings says
  dmarquet summary --each-customer --mail              mail each [[customer]] its own
  dmarquet summary --overview                          one line per domain, worst first";

/// Show who sends mail as your domains, what passes, and why the rest fails
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SummaryArgs {
    /// Report files, mails and folders to summarize instead of the store
    #[arg(value_name = "PATH", value_parser = local_path::local_path())]
    pub(super) paths: Vec<PathBuf>,
    /// Read a folder of Parquet files, as `export --out` writes it, instead of the store
    #[arg(long, value_name = "DIR", value_parser = local_path::local_path(), conflicts_with = "paths")]
    pub(super) records: Option<PathBuf>,
    #[command(flatten)]
    pub(super) choice: Choice,
    /// Time to use instead of the clock, such as 2026-11-19T06:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) now: Option<Timestamp>,
    /// Output format: text, markdown, html, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    pub(super) format: SummaryForm,
    /// Width of the text, 80 to 200 columns [default: the terminal's, else 80]
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(80..=200))]
    pub(super) width: Option<u16>,
    /// Leave out reports whose mail was proven to be forged; they still count under data quality
    #[arg(long)]
    pub(super) authentic: bool,
    /// Use only ASCII characters [default: if the locale is not UTF-8]
    #[arg(long)]
    pub(super) ascii: bool,
    /// Print the JSON Schema of --format json, and exit
    #[arg(long, conflicts_with_all = ["paths", "explain", "mail_to"])]
    pub(super) schema: bool,
    /// Show the rows and the reasoning behind one source or network: 192.0.2.7, 192.0.2.0/24, or 'unknown'
    #[arg(long, value_name = "SOURCE")]
    pub(super) explain: Option<String>,
    /// Mail the summary, as text and HTML, to this address; may be repeated
    #[arg(long, value_name = "ADDRESS", conflicts_with = "explain")]
    pub(super) mail_to: Vec<String>,
    /// With --mail-to: print the mail instead of sending it
    #[arg(long, requires = "mail_to")]
    pub(super) dry_run: bool,
    /// Show one line per domain instead, worst first, for all domains in reports or settings
    #[arg(long, conflicts_with_all = ["explain", "mail_to", "mail", "each_customer", "schema"])]
    pub(super) overview: bool,
    #[command(flatten)]
    pub(super) rhythm: RhythmArgs,
    #[command(flatten)]
    pub(super) customers: CustomerChoice,
    /// Mail it to the customer's `mail_to`, or to each customer's; addresses that already got this week's are skipped
    #[arg(long, help_heading = "Customers", conflicts_with_all = ["mail_to", "explain", "paths", "records", "domain"])]
    pub(super) mail: bool,
    /// With --mail: send again to addresses that already got it
    #[arg(long, help_heading = "Customers", requires = "mail")]
    pub(super) resend: bool,
    /// With --each-customer: folder to write to, with one folder per customer in it
    #[arg(long, value_name = "DIR", value_parser = local_path::local_path(), help_heading = "Customers", requires = "each_customer", conflicts_with = "explain")]
    pub(super) out: Option<PathBuf>,
}

impl SummaryArgs {
    /// The error for an option on the command line that this form of the summary would ignore. In the environment, an
    /// option is meant for the forms that have it.
    pub(crate) fn ignored_option(&self, is_typed: impl Fn(&str) -> bool) -> Option<String> {
        let option = ["width", "ascii"].into_iter().find(|id| is_typed(id)).map(|id| format!("--{id}"))?;
        if self.mail || !self.mail_to.is_empty() {
            let mail = if self.mail { "--mail" } else { "--mail-to" };
            return Some(format!("{option}: expected without {mail}, found with it; mail has its own layout"));
        }
        let form = self.format.to_possible_value()?;
        let expected = format!("{option}: expected with --format text, found --format {}", form.get_name());
        (self.format != SummaryForm::Text).then_some(expected)
    }
}
