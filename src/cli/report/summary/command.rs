//! `summary`: shows who sends as the user's domains, what passes, and why the rest fails: on a terminal, as a page, or
//! by mail.

use super::args::SummaryArgs;
use super::digests::{Digests, Mailing, rendered};
use super::overview;
use super::rhythm::Extent;
use crate::analyze::{Adder, Explainer, Overview, Question, Summary, Watched};
use crate::cli::settings::Customer;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::fault::Hint as _;
use crate::cli::terminal::format::SummaryForm;
use crate::cli::terminal::{output, pager};
use crate::cli::wiring::customers::{self, KnownDomains};
use crate::cli::wiring::mail_summary;
use crate::cli::wiring::run::CommandContext;
use crate::cli::wiring::selection::{self, From, Selection};
use crate::cli::wiring::shares::Shares;
use crate::cli::wiring::{logo, repairs};
use crate::model::parse_network;
use crate::present::{self, Branding, Style};
use anyhow::anyhow;

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
    let chosen = args.customers.chosen(settings)?;
    check_use(args, chosen.is_some())?;
    let choice = args.rhythm.choice(&args.choice, run.now, run.today())?;
    let mut selection = Selection::new(run, &choice, &args.paths)?;
    let source = if args.paths.is_empty() {
        From::Store(Box::new(run.store_or(args.records.as_deref())?))
    } else {
        From::Paths(&args.paths)
    };
    selection.question.authentic = args.authentic;
    selection::add_settings(settings, &mut selection.question)?;
    selection.question.own.extend(args.choice.domains.iter().map(|own| own.as_str().into()));
    if let From::Store(store) = &source {
        selection::add_store(store, &mut selection.question)?;
    }
    let usual = pager::style(run.common.color);
    let ascii = args.ascii || (args.format == SummaryForm::Text && usual.ascii);
    let style = Style { width: args.width.unwrap_or(usual.width), ascii, ..usual };
    let questions = questions(run, args, &mut selection, &source, chosen.as_deref())?;
    if let Some(name) = &args.explain {
        return explain(run, (name, args.format), (&selection, &source), questions, &style);
    }
    let finish = |adder: Adder, owner: Option<usize>| -> anyhow::Result<()> {
        let mut summary = adder.finish();
        repairs::count(source.store(), &mut summary)?;
        let customer = owner.map(|owner| &settings.customers[owner]);
        let branding = logo::branding(customer)?;
        if args.overview {
            let domains = overview::domains(settings, &source, &summary, owner, &args.choice.domains)?;
            overview::show(&Overview::new(&summary, &domains), args.format, &style)
        } else if args.mail_to.is_empty() {
            show(&summary, &branding, args.format, &style)
        } else {
            send(run, args, &summary, customer, &branding)
        }
    };
    let Some(questions) = questions else {
        let (adder, exit) = selection.gather(run, &source, Adder::new(&selection.question))?;
        finish(adder, None)?;
        return Ok(exit);
    };
    let sums = Adder::several(questions.iter().map(|(_, question)| question));
    let sums = questions.iter().map(|(owner, _)| *owner).zip(sums);
    let sums = Shares::new(settings.owners(), args.choice.domains.clone(), sums);
    let mailing = args.mail.then(|| Mailing::new(run, args.resend)).transpose()?;
    let (sums, exit) = selection.gather(run, &source, sums)?;
    if args.out.is_some() || args.mail {
        let digests = Digests { run, store: source.store(), args, style, mailing };
        return digests.make(sums.into_sums()).map(|made| exit.max(made));
    }
    for (owner, adder) in sums.into_sums() {
        finish(adder, Some(owner))?;
    }
    Ok(exit)
}

/// Mails the summary, or the heartbeat if all is well.
fn send(
    run: &CommandContext,
    args: &SummaryArgs,
    summary: &Summary,
    customer: Option<&Customer>,
    branding: &Branding,
) -> anyhow::Result<()> {
    let extent = args.rhythm.extent(summary);
    if extent == Extent::Nothing {
        run.console.note("all is well, no mail");
        return Ok(());
    }
    let mail = mail_summary::compose(run, summary, &args.mail_to, customer, branding, extent == Extent::Line)?;
    if args.dry_run {
        return output::data(mail.bytes());
    }
    let refused = mail_summary::outbox(run)?.send(&mail)?;
    run.console.note(&format!("sent to {}", mail_summary::taken(&args.mail_to, &refused).join(", ")));
    mail_summary::none_refused(&refused)
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
    run: &CommandContext,
    args: &SummaryArgs,
    selection: &mut Selection,
    source: &From<'_>,
    chosen: Option<&[usize]>,
) -> anyhow::Result<Option<Vec<(usize, Question)>>> {
    let settings = run.settings()?;
    let (domains, one) = (&args.choice.domains, chosen.filter(|chosen| chosen.len() == 1));
    if let Some([owner]) = one {
        customers::check_owned(domains, settings, *owner)?;
    }
    if let From::Store(store) = source
        && (!domains.is_empty() || one.is_some())
    {
        let known = KnownDomains::of_store(settings, store)?;
        known.check(domains, &run.console)?;
        if let (Some([owner]), true) = (one, domains.is_empty()) {
            selection.read_only(known.of_customer(&settings.owners(), *owner, settings));
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
    questions: Option<Vec<(usize, Question)>>,
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
            let (shares, exit) = selection.gather(run, source, Shares::new(run.settings()?.owners(), domains, one))?;
            let explainer = shares.into_sums().next().map(|(_, explainer)| explainer);
            (explainer.ok_or_else(|| anyhow!("--customer: expected one"))?, exit)
        }
        _ => selection.gather(run, source, Explainer::new(&selection.question, watched))?,
    };
    let mut explanation = explainer.finish();
    if let Some(store) = source.store() {
        repairs::count_actions(store, &mut explanation.actions, &explanation.period)?;
    }
    match form {
        SummaryForm::Json => output::data(present::json(&explanation).as_bytes())?,
        _ => pager::show(&present::explain(&explanation, style))?,
    }
    Ok(exit)
}
