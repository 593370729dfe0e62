//! Writes or mails each customer's summary, reading the store only once.

use super::args::SummaryArgs;
use super::rhythm::Extent;
use crate::analyze::{Adder, Summary};
use crate::cli::settings::Customer;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::SummaryForm;
use crate::cli::wiring::logo::branding;
use crate::cli::wiring::mail_summary;
use crate::cli::wiring::repairs;
use crate::cli::wiring::run::{CommandContext, is_busy};
use crate::present::{self, Branding, Style};
use crate::send::Outbox;
use crate::store::{ExportFolder, Store, StoreError, Writer};
use anyhow::Context as _;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long to wait for another run that has the store open for writing, before recording a mail fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where the summaries go.
pub(crate) struct Digests<'a> {
    pub(crate) run: &'a CommandContext,
    /// The store that is summarized; `None`: files.
    pub(crate) store: Option<&'a Store>,
    pub(crate) args: &'a SummaryArgs,
    pub(crate) style: Style,
    /// `None`: no mail.
    pub(crate) mailing: Option<Mailing>,
}

/// The state of mailing summaries.
pub(crate) struct Mailing {
    outbox: Outbox,
    /// Whether to send again what was already sent.
    resend: bool,
    /// Earlier recipients: pairs of customer and address, by period.
    mailed: BTreeMap<String, BTreeSet<(String, String)>>,
}

impl Mailing {
    /// Uses `[smtp]` in the settings; the store must be writable.
    pub(crate) fn new(run: &CommandContext, resend: bool) -> anyhow::Result<Self> {
        // Before the first mail: one that cannot be recorded would be sent again by the next run.
        writing(run, |_| Ok(()))?;
        Ok(Self { outbox: mail_summary::outbox(run)?, resend, mailed: BTreeMap::new() })
    }

    /// The customer's addresses that were not yet mailed about a period.
    fn due(&mut self, run: &CommandContext, customer: &Customer, period: &str) -> anyhow::Result<Vec<String>> {
        if self.resend {
            return Ok(customer.mail_to.clone());
        }
        if !self.mailed.contains_key(period) {
            let mailed = run.store()?.mailed(period)?;
            self.mailed.insert(period.to_owned(), mailed);
        }
        let was_mailed = |address: &String| {
            let key = (customer.name.clone(), address.clone());
            self.mailed.get(period).is_some_and(|mailed| mailed.contains(&key))
        };
        Ok(customer.mail_to.iter().filter(|address| !was_mailed(address)).cloned().collect())
    }
}

/// Opens the store for writing, waiting for other runs, and runs `write`.
fn writing(run: &CommandContext, write: impl Fn(&mut Writer) -> Result<(), StoreError>) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        match run.writer(run.now).and_then(|mut writer| Ok(write(&mut writer)?)) {
            Err(error) if is_busy(&error) && Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(200));
            }
            other => return other,
        }
    }
}

impl Digests<'_> {
    /// Writes or mails each customer's summary. An error for one customer does not stop the others.
    pub(crate) fn make(mut self, sums: impl Iterator<Item = (usize, Adder)>) -> anyhow::Result<Exit> {
        let mut exit = Exit::Handled;
        let folder =
            self.args.out.as_deref().map(|out| ExportFolder::open(out).with_context(|| out.display().to_string()));
        let folder = folder.transpose()?;
        for (owner, adder) in sums {
            let customer = &self.run.settings()?.customers[owner];
            let mut summary = adder.finish();
            repairs::count(self.store, &mut summary)?;
            // A missing logo is reported, but the summary is still sent.
            let branding = branding(Some(customer)).unwrap_or_else(|error| {
                self.run.console.error(&error);
                exit = Exit::Failed;
                let (title, footer) = (Some(customer.title.clone()), customer.footer.clone());
                Branding { title, logo: None, footer }
            });
            if let Some(folder) = &folder
                && let Err(error) = self.write(folder, customer, &summary, &branding)
            {
                self.run.console.error(&error.context(customer.name.clone()));
                exit = Exit::Failed;
            }
            if let Err(error) = self.mail(customer, &summary, &branding) {
                self.run.console.error(&error.context(customer.name.clone()));
                exit = Exit::Failed;
            }
        }
        Ok(exit)
    }

    fn write(
        &self,
        folder: &ExportFolder,
        customer: &Customer,
        summary: &Summary,
        branding: &Branding,
    ) -> anyhow::Result<()> {
        let path = Path::new(&customer.folder).join(format!("summary.{}", self.args.format.extension()));
        let bytes = rendered(summary, branding, self.args.format, &self.style)?;
        let written = folder.write(&path, |file| file.write_all(&bytes));
        written.with_context(|| folder.path().join(&path).display().to_string())
    }

    fn mail(&mut self, customer: &Customer, summary: &Summary, branding: &Branding) -> anyhow::Result<()> {
        let Some(mailing) = &mut self.mailing else { return Ok(()) };
        let period = mail_summary::period(summary);
        let to = mailing.due(self.run, customer, &period)?;
        if to.is_empty() {
            let why = if customer.mail_to.is_empty() { "has no mail_to" } else { "was mailed already" };
            self.run.console.note(&format!("{}: {why}", customer.name));
            return Ok(());
        }
        let extent = self.args.rhythm.extent(summary);
        if extent == Extent::Nothing {
            self.run.console.note(&format!("{}: all is well, no mail", customer.name));
            return Ok(());
        }
        let mail = mail_summary::compose(self.run, summary, &to, Some(customer), branding, extent == Extent::Line)?;
        let refused = mailing.outbox.send(&mail).with_context(|| format!("not sent to {}", to.join(", ")))?;
        let taken = mail_summary::taken(&to, &refused);
        writing(self.run, |writer| writer.note_mailed(&customer.name, &period, &taken, self.run.now))
            .with_context(|| format!("sent to {}, but that could not be recorded", taken.join(", ")))?;
        self.run.console.note(&format!("{}: sent to {}", customer.name, taken.join(", ")));
        mail_summary::none_refused(&refused)
    }
}

/// Renders a summary.
pub(crate) fn rendered(
    summary: &Summary,
    branding: &Branding,
    form: SummaryForm,
    style: &Style,
) -> anyhow::Result<Vec<u8>> {
    Ok(match form {
        SummaryForm::Text => present::text(summary, branding, style).into_bytes(),
        SummaryForm::Markdown => present::markdown(summary, branding).into_bytes(),
        SummaryForm::Html => present::html(summary, branding).into_bytes(),
        SummaryForm::Json => {
            let mut bytes = Vec::new();
            present::write_json(summary, &mut bytes)?;
            bytes
        }
        SummaryForm::Csv => {
            let mut bytes = Vec::new();
            present::write_csv(summary, &mut bytes)?;
            bytes
        }
    })
}
