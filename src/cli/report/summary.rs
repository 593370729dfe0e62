//! `summary`: shows who sends as the user's domains, what passes, and why the rest fails: on a terminal, as a page, or
//! by mail.

use super::digests::{Digests, Mailing, rendered};
use super::overview::{self, OverviewScope};
use super::rhythm::{Extent, RhythmArgs};
use crate::analyze::{Adder, Explainer, Question, Summary, Watched};
use crate::cli::settings::file::Settings;
use crate::cli::settings::local_path;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::fault::Hint as _;
use crate::cli::terminal::format::SummaryForm;
use crate::cli::terminal::{output, pager};
use crate::cli::wiring::customers::{self, CustomerChoice, KnownDomains};
use crate::cli::wiring::mail_summary::{self, Addressing};
use crate::cli::wiring::period::Choice;
use crate::cli::wiring::run::CommandContext;
use crate::cli::wiring::selection::{self, From, Selection};
use crate::cli::wiring::shares::Shares;
use crate::cli::wiring::{logo, repairs};
use crate::model::parse_network;
use crate::present::{self, Branding, Style};
use anyhow::anyhow;
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
    paths: Vec<PathBuf>,
    /// Read a folder of Parquet files, as `export --out` writes it, instead of the store
    #[arg(long, value_name = "DIR", value_parser = local_path::local_path(), conflicts_with = "paths")]
    records: Option<PathBuf>,
    #[command(flatten)]
    choice: Choice,
    /// Time to use instead of the clock, such as 2026-11-19T06:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) now: Option<Timestamp>,
    /// Output format: text, markdown, html, json or csv
    #[arg(long, value_enum, default_value_t, hide_possible_values = true)]
    format: SummaryForm,
    /// Width of the text, 80 to 200 columns [default: the terminal's, else 80]
    #[arg(long, value_name = "COLUMNS", value_parser = clap::value_parser!(u16).range(80..=200))]
    width: Option<u16>,
    /// Leave out reports whose mail was proven to be forged; they still count under data quality
    #[arg(long)]
    authentic: bool,
    /// Use only ASCII characters [default: if the locale is not UTF-8]
    #[arg(long)]
    ascii: bool,
    /// Print the JSON Schema of --format json, and exit
    #[arg(long, conflicts_with_all = ["paths", "explain", "mail_to"])]
    schema: bool,
    /// Show the rows and the reasoning behind one source or network: 192.0.2.7, 192.0.2.0/24, or 'unknown'
    #[arg(long, value_name = "SOURCE")]
    explain: Option<String>,
    /// Mail the summary, as text and HTML, to this address; may be repeated
    #[arg(long, value_name = "ADDRESS", conflicts_with = "explain")]
    mail_to: Vec<String>,
    /// With --mail-to: print the mail instead of sending it
    #[arg(long, requires = "mail_to")]
    dry_run: bool,
    /// Show one line per domain instead, worst first, for all domains in reports or settings
    #[arg(long, conflicts_with_all = ["explain", "mail_to", "mail", "each_customer", "schema"])]
    overview: bool,
    #[command(flatten)]
    rhythm: RhythmArgs,
    #[command(flatten)]
    customers: CustomerChoice,
    /// Mail it to the customer's `mail_to`, or to each customer's; addresses that already got this week's are skipped
    #[arg(long, help_heading = "Customers", conflicts_with_all = ["mail_to", "explain", "paths", "records", "domain"])]
    mail: bool,
    /// With --mail: send again to addresses that already got it
    #[arg(long, help_heading = "Customers", requires = "mail")]
    resend: bool,
    /// With --each-customer: folder to write to, with one folder per customer in it
    #[arg(long, value_name = "DIR", value_parser = local_path::local_path(), help_heading = "Customers", requires = "each_customer", conflicts_with = "explain")]
    out: Option<PathBuf>,
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

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &SummaryArgs) -> anyhow::Result<Exit> {
    if args.schema {
        output::data(present::SCHEMA.as_bytes())?;
        return Ok(Exit::Handled);
    }
    if !args.mail_to.is_empty() && !matches!(args.format, SummaryForm::Text | SummaryForm::Html) {
        let error = anyhow!("--format: expected text or html with --mail-to, found another format");
        return Err(error.hint("a mail contains both; to send another format, pipe the output to your mail program"));
    }
    let settings = run.settings()?;
    let chosen = args.customers.chosen(&settings)?;
    check_use(args, chosen.is_some())?;
    let choice = args.rhythm.choice(&args.choice, run.now, run.today())?;
    let mut selection = Selection::new(run, &choice, &args.paths)?;
    let source = if args.paths.is_empty() {
        From::Store(Box::new(run.opened(&settings, args.records.as_deref())?))
    } else {
        From::Paths(&args.paths)
    };
    selection.question.authentic = args.authentic;
    selection::add_settings(&settings, &mut selection.question)?;
    selection.question.own.extend(args.choice.domains.iter().map(|own| own.as_str().into()));
    if let From::Store(store) = &source {
        selection::add_store(store, &mut selection.question)?;
    }
    let usual = pager::style(run.common.color);
    let ascii = args.ascii || (args.format == SummaryForm::Text && usual.ascii);
    let style = Style { width: args.width.unwrap_or(usual.width), ascii, ..usual };
    let overview = |summary: &Summary, owner: Option<usize>| {
        let (settings, source, domains) = (&settings, &source, &args.choice.domains[..]);
        overview::show(summary, &OverviewScope { settings, source, owner, domains }, (args.format, &style))
    };
    let questions = questions(args, &settings, (&mut selection, &source), chosen.as_deref(), run)?;
    if let Some(name) = &args.explain {
        return explain(run, (name, args.format), (&selection, &source), (&settings, questions), &style);
    }
    let Some(questions) = questions else {
        let (adder, exit) = selection.gather(run, &source, Adder::new(&selection.question))?;
        let mut summary = adder.finish();
        repairs::count(&source, &mut summary)?;
        if args.overview {
            overview(&summary, None)?;
        } else if args.mail_to.is_empty() {
            show(&summary, &Branding::default(), args.format, &style)?;
        } else {
            let heartbeat = args.rhythm.extent(&summary) == Extent::Line;
            let subject = if heartbeat { present::heartbeat(&summary).0 } else { present::mail_subject(&summary) };
            let site = settings.site.as_deref();
            let addressing = Addressing { to: args.mail_to.clone(), subject, site, ..Addressing::default() };
            send(run, &settings, args, &summary, addressing)?;
        }
        return Ok(exit);
    };
    let sums = Adder::several(questions.iter().map(|(_, question)| question));
    let sums = questions.iter().map(|(owner, _)| *owner).zip(sums);
    let sums = Shares::new(settings.owners(), args.choice.domains.clone(), sums);
    let mailing = match &source {
        From::Store(store) if args.mail => Some(Mailing::new(run, &settings, store, args.resend)?),
        _ => None,
    };
    let (sums, exit) = selection.gather(run, &source, sums)?;
    if args.out.is_some() || args.mail {
        let digests = Digests {
            run,
            settings: &settings,
            source: &source,
            form: args.format,
            style,
            out: args.out.as_deref(),
            mailing,
            rhythm: args.rhythm,
        };
        return digests.make(sums.into_sums()).map(|made| exit.max(made));
    }
    for (owner, adder) in sums.into_sums() {
        let mut summary = adder.finish();
        repairs::count(&source, &mut summary)?;
        let branding = logo::branding(&settings.customers[owner])?;
        if args.overview {
            overview(&summary, Some(owner))?;
        } else if args.mail_to.is_empty() {
            show(&summary, &branding, args.format, &style)?;
        } else {
            let customer = &settings.customers[owner];
            let subject = mail_summary::subject_of(&customer.subject, &customer.name, &summary);
            let (to, reply_to) = (args.mail_to.clone(), customer.reply_to.as_deref());
            let addressing = Addressing { to, subject, reply_to, branding, ..Addressing::default() };
            send(run, &settings, args, &summary, addressing)?;
        }
    }
    Ok(exit)
}

/// Mails the summary, or the heartbeat if all is well.
fn send(
    run: &CommandContext,
    settings: &Settings,
    args: &SummaryArgs,
    summary: &Summary,
    addressing: Addressing<'_>,
) -> anyhow::Result<()> {
    let heartbeat = match args.rhythm.extent(summary) {
        Extent::Nothing => {
            run.console.note("all is well, no mail");
            return Ok(());
        }
        extent => extent == Extent::Line,
    };
    mail_summary::send(run, settings, summary, &Addressing { heartbeat, ..addressing }, args.dry_run)
}

/// Rejects options that do not go together.
fn check_use(args: &SummaryArgs, of_customers: bool) -> anyhow::Result<()> {
    if args.customers.each_customer && args.out.is_none() && !args.mail {
        let error = anyhow!("--each-customer needs --out DIR or --mail");
        return Err(error.hint("each customer's summary goes to its own folder or mail"));
    }
    if args.customers.each_customer && (args.explain.is_some() || !args.mail_to.is_empty()) {
        return Err(anyhow!(
            "--each-customer cannot be combined with --explain or --mail-to; choose one customer with --customer NAME"
        ));
    }
    if args.rhythm.wants_mail() && args.mail_to.is_empty() && !args.mail {
        return Err(anyhow!("--quiet-if-well and --heartbeat need --mail-to or --mail"));
    }
    if args.resend && !args.mail {
        return Err(anyhow!("--resend needs --mail"));
    }
    if args.mail && !of_customers {
        return Err(anyhow!("--mail needs --each-customer or --customer NAME")
            .hint("--mail-to ADDRESS sends the summary of all domains"));
    }
    Ok(())
}

/// The question for each requested customer with its number; `None` for the operator.
fn questions(
    args: &SummaryArgs,
    settings: &Settings,
    (selection, source): (&mut Selection, &From<'_>),
    chosen: Option<&[usize]>,
    run: &CommandContext,
) -> anyhow::Result<Option<Vec<(usize, Question)>>> {
    if let Some([owner]) = chosen {
        customers::check_owned(&args.choice, settings, *owner)?;
    }
    if let From::Store(store) = source {
        let one = chosen.filter(|chosen| chosen.len() == 1);
        if !args.choice.domains.is_empty() || one.is_some() {
            let known = KnownDomains::of_store(settings, store)?;
            for domain in known.check(&args.choice.domains)? {
                run.console.warning(&format!("{domain}: no report is about it, and the settings do not name it"));
            }
            if let (Some([owner]), true) = (one, args.choice.domains.is_empty()) {
                selection.read_only(known.of_customer(&settings.owners(), *owner, settings));
            }
        }
    }
    let withheld = customers::withheld(settings);
    let question = |owner: &usize| (*owner, customers::question_of(&selection.question, withheld(*owner)));
    Ok(chosen.map(|chosen| chosen.iter().map(question).collect()))
}

/// Writes a summary to standard output.
fn show(summary: &Summary, branding: &Branding, form: SummaryForm, style: &Style) -> anyhow::Result<()> {
    match form {
        SummaryForm::Text => pager::show(&present::text(summary, branding, style)),
        SummaryForm::Json => output::stream(|out| present::write_json(summary, out)),
        SummaryForm::Csv => output::stream(|out| present::write_csv(summary, out)),
        _ => output::data(&rendered(summary, branding, form, style)?),
    }
}

/// Shows the rows and the reasoning behind one source or network.
fn explain(
    run: &CommandContext,
    (name, form): (&str, SummaryForm),
    (selection, source): (&Selection, &From<'_>),
    (settings, questions): (&Settings, Option<Vec<(usize, Question)>>),
    style: &Style,
) -> anyhow::Result<Exit> {
    if !matches!(form, SummaryForm::Text | SummaryForm::Json) {
        return Err(anyhow!("--format: expected text or json with --explain, found another format"));
    }
    let watched = match name {
        "unknown" => Watched::Unknown,
        name => parse_network(name).map(|(network, bits)| Watched::Network(network, bits)).ok_or_else(|| {
            anyhow!("--explain {name}: expected an address, a network such as 192.0.2.0/24, or 'unknown'")
                .hint("`dmarquet summary --format csv` lists the sources")
        })?,
    };
    let (explainer, exit) = match questions.as_deref() {
        Some([(owner, question)]) => {
            let domains = question.domains.iter().map(ToString::to_string).collect();
            let one = [(*owner, Explainer::new(question, watched))];
            let (shares, exit) = selection.gather(run, source, Shares::new(settings.owners(), domains, one))?;
            let explainer = shares.into_sums().next().map(|(_, explainer)| explainer);
            (explainer.ok_or_else(|| anyhow!("--customer: expected one"))?, exit)
        }
        _ => selection.gather(run, source, Explainer::new(&selection.question, watched))?,
    };
    let mut explanation = explainer.finish();
    if let From::Store(store) = source {
        repairs::count_actions(store, &mut explanation.actions, &explanation.period)?;
    }
    match form {
        SummaryForm::Json => output::data(present::json(&explanation).as_bytes())?,
        _ => pager::show(&present::explain(&explanation, style))?,
    }
    Ok(exit)
}
