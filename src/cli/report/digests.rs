//! Writes or mails each customer's summary, reading the store only once.

use super::rhythm::{Extent, RhythmArgs};
use crate::analyze::{Adder, Summary};
use crate::cli::settings::Customer;
use crate::cli::settings::file::Settings;
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::format::SummaryForm;
use crate::cli::wiring::logo::branding;
use crate::cli::wiring::mail_summary::{self, Addressing};
use crate::cli::wiring::repairs;
use crate::cli::wiring::run::CommandContext;
use crate::cli::wiring::selection::From;
use crate::present::{self, Branding, Style};
use crate::send::Outbox;
use crate::store::{ExportFolder, Store, StoreError};
use anyhow::Context as _;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long to wait for another run that has the store open for writing, before recording a mail fails.
const PATIENCE: Duration = Duration::from_mins(1);

/// Where the summaries go.
pub(crate) struct Digests<'a> {
    pub(crate) run: &'a CommandContext,
    pub(crate) settings: &'a Settings,
    pub(crate) source: &'a From<'a>,
    pub(crate) form: SummaryForm,
    pub(crate) style: Style,
    /// The folder with one folder per customer; `None`: no files.
    pub(crate) out: Option<&'a Path>,
    /// `None`: no mail.
    pub(crate) mailing: Option<Mailing>,
    /// What is mailed if all is well.
    pub(crate) rhythm: RhythmArgs,
}

/// The state of mailing summaries.
pub(crate) struct Mailing {
    outbox: Outbox,
    /// The data folder, which records who was mailed.
    store: PathBuf,
    /// Whether to send again what was already sent.
    resend: bool,
    /// Earlier recipients: pairs of customer and address, by period.
    mailed: BTreeMap<String, BTreeSet<(String, String)>>,
}

impl Mailing {
    /// Uses `[smtp]` in the settings; the store must be writable.
    pub(crate) fn new(run: &CommandContext, settings: &Settings, store: &Store, resend: bool) -> anyhow::Result<Self> {
        // Before the first mail: one that cannot be recorded would be sent again by the next run.
        writing(run, settings, store.dir(), |_| Ok(()))?;
        Ok(Self {
            outbox: mail_summary::outbox(settings)?,
            store: store.dir().to_owned(),
            resend,
            mailed: BTreeMap::new(),
        })
    }

    /// The customer's addresses that were not yet mailed about a period.
    fn due(&mut self, customer: &Customer, period: &str) -> anyhow::Result<Vec<String>> {
        if self.resend {
            return Ok(customer.mail_to.clone());
        }
        if !self.mailed.contains_key(period) {
            let mailed = Store::open(&self.store)?.mailed(period)?;
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
fn writing(
    run: &CommandContext,
    settings: &Settings,
    store: &Path,
    write: impl Fn(&mut crate::store::Writer) -> Result<(), StoreError>,
) -> anyhow::Result<()> {
    let end = Instant::now() + PATIENCE;
    loop {
        let written = CommandContext::writer(settings, store, run.now).and_then(|mut writer| Ok(write(&mut writer)?));
        match written {
            Err(error) if matches!(error.downcast_ref(), Some(StoreError::Busy { .. })) && Instant::now() < end => {
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
        let folder = self.out.map(|out| ExportFolder::open(out).with_context(|| out.display().to_string()));
        let folder = folder.transpose()?;
        for (owner, adder) in sums {
            let customer = &self.settings.customers[owner];
            let mut summary = adder.finish();
            repairs::count(self.source, &mut summary)?;
            // A missing logo is reported, but the summary is still sent.
            let branding = branding(customer).unwrap_or_else(|error| {
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
            if let Err(error) = self.mail(customer, &summary, branding) {
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
        let path = Path::new(&customer.folder).join(format!("summary.{}", self.form.extension()));
        let bytes = rendered(summary, branding, self.form, &self.style)?;
        let written = folder.write(&path, |file| file.write_all(&bytes));
        written.with_context(|| folder.path().join(&path).display().to_string())
    }

    fn mail(&mut self, customer: &Customer, summary: &Summary, branding: Branding) -> anyhow::Result<()> {
        let Some(mailing) = &mut self.mailing else { return Ok(()) };
        let period = mail_summary::period(summary);
        let to = mailing.due(customer, &period)?;
        if to.is_empty() {
            let why = if customer.mail_to.is_empty() { "has no mail_to" } else { "was mailed already" };
            self.run.console.note(&format!("{}: {why}", customer.name));
            return Ok(());
        }
        let extent = self.rhythm.extent(summary);
        if extent == Extent::Nothing {
            self.run.console.note(&format!("{}: all is well, no mail", customer.name));
            return Ok(());
        }
        let heartbeat = extent == Extent::Line;
        let subject = mail_summary::subject_of(&customer.subject, &customer.name, summary);
        let addressing = Addressing {
            to: to.clone(),
            subject,
            reply_to: customer.reply_to.as_deref(),
            branding,
            heartbeat,
            site: None,
        };
        let mail = mail_summary::compose(self.run, self.settings, summary, &addressing)?;
        let refused = mailing.outbox.send(&mail).with_context(|| format!("not sent to {}", to.join(", ")))?;
        let taken = mail_summary::taken(&to, &refused);
        let note =
            |writer: &mut crate::store::Writer| writer.note_mailed(&customer.name, &period, &taken, self.run.now);
        writing(self.run, self.settings, &mailing.store, note)
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
