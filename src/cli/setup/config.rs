//! `config`: writes an initial settings file, or checks one.

use crate::cli::settings::file::{self, Settings};
use crate::cli::settings::{self, Outlet, Smtp};
use crate::cli::terminal::exit::Exit;
use crate::cli::terminal::fault::Hint as _;
use crate::cli::terminal::interrupt::Interrupt;
use crate::cli::terminal::output;
use crate::cli::wiring::ingest_run::{count, grouped};
use crate::cli::wiring::run::CommandContext;
use crate::cli::wiring::{mail_summary, mailbox_survey};
use crate::fetch::mailbox::{Mailbox, Protocol, Secret};
use anyhow::{Context as _, anyhow};
use clap::Subcommand;
use std::fmt::Write as _;
use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// What `config init` writes: every key with its meaning.
const TEMPLATE: &str = include_str!("../../../samples/config/config.toml");

const EXAMPLES: &str = "\
Examples:
  dmarquet config init            write ~/.config/dmarquet/config.toml to fill in
  dmarquet config check           check the settings, mailboxes and mail server
  dmarquet config test-mail postmaster@example.com";

/// Write a settings file, or check the existing one
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    act: ConfigAction,
}

#[derive(Debug, Subcommand)]
enum ConfigAction {
    /// Write a commented settings file; an existing one is not overwritten
    Init {
        /// Write to standard output instead
        #[arg(long)]
        stdout: bool,
    },
    /// Check the settings and the store, log in to each mailbox and the mail server, and show what fetch would do
    Check {
        /// Check the file only; connect nowhere
        #[arg(long)]
        offline: bool,
    },
    /// Send a short mail with the [smtp] settings, to see that it arrives
    TestMail {
        /// The recipient, such as postmaster@example.com
        address: String,
    },
}

/// Runs the command.
pub(crate) fn run(run: &CommandContext, args: &ConfigArgs) -> anyhow::Result<Exit> {
    match &args.act {
        ConfigAction::Init { stdout: true } => output::data(TEMPLATE.as_bytes()).map(|()| Exit::Handled),
        ConfigAction::Init { stdout: false } => init(run),
        ConfigAction::Check { offline } => check(run, *offline),
        ConfigAction::TestMail { address } => test_mail(run, address),
    }
}

fn init(run: &CommandContext) -> anyhow::Result<Exit> {
    let file = run.common.config.clone().unwrap_or_else(file::usual_place);
    write_new(&file).with_context(|| format!("{}", file.display())).context("settings")?;
    run.console.note(&format!("{}: written; fill it in, then run `dmarquet config check`", file.display()));
    Ok(Exit::Handled)
}

/// Writes the file, but never overwrites one.
fn write_new(file: &Path) -> anyhow::Result<()> {
    let taken = || anyhow!("already exists; not overwritten").hint("use --config FILE to write another file");
    if file.symlink_metadata().is_ok() {
        return Err(taken());
    }
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Under another name first: half a file would be taken for the settings, and never overwritten. As with any new file,
    // the umask decides who may read it.
    let mut fresh =
        tempfile::Builder::new().prefix(".dmarquet-").permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
    fresh.write_all(TEMPLATE.as_bytes())?;
    fresh.as_file().sync_all()?;
    match fresh.persist_noclobber(file) {
        Ok(_) => Ok(()),
        Err(failed) if failed.error.kind() == std::io::ErrorKind::AlreadyExists => Err(taken()),
        // Some file systems can neither rename without replacing nor link. Nothing is there, as far as can be told.
        Err(failed) if is_missing(file) => failed.file.persist(file).map(drop).map_err(|failed| failed.error.into()),
        Err(failed) => Err(failed.error.into()),
    }
}

fn is_missing(file: &Path) -> bool {
    file.symlink_metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

fn check(run: &CommandContext, offline: bool) -> anyhow::Result<Exit> {
    let settings = run.settings()?;
    let Some(file) = &settings.file else {
        return Err(anyhow!("settings: no settings file found").hint("run `dmarquet config init` to write one"));
    };
    let store = run.store_dir()?;
    settings.access()?;
    output::data(description(settings, file, &store).as_bytes())?;
    for warning in secrets_of(settings).into_iter().filter_map(settings::warning) {
        run.console.warning(&warning);
    }
    if offline {
        return Ok(Exit::Handled);
    }
    let exit = check_store(run, &store);
    let interrupt = Interrupt::listen(&run.console)?;
    let options = mailbox_survey::poll_options(None, None, run.now, &interrupt);
    let exit = exit.max(mailbox_survey::show(run, &settings.mailboxes, &options)?);
    Ok(exit.max(check_smtp(run, settings)?))
}

/// Checks whether the user may write to the data folder, or create it.
fn check_store(run: &CommandContext, store: &Path) -> Exit {
    let Err(error) = try_to_write(store) else { return Exit::Handled };
    run.console.error(&error);
    Exit::Failed
}

fn try_to_write(store: &Path) -> anyhow::Result<()> {
    let there = store.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("."));
    let written = tempfile::Builder::new().prefix(".dmarquet-check-").tempfile_in(there);
    written.map(drop).with_context(|| format!("store {}: cannot write to {}", store.display(), there.display()))?;
    let ledger = store.join("ledger.sqlite");
    if ledger.exists() {
        let opened = std::fs::OpenOptions::new().append(true).open(&ledger);
        opened.with_context(|| format!("store {}: cannot write to its ledger", store.display()))?;
    }
    Ok(())
}

/// Connects to the mail server and logs in, or checks that the sendmail program exists. Sends nothing.
fn check_smtp(run: &CommandContext, settings: &Settings) -> anyhow::Result<Exit> {
    let Some(smtp) = &settings.smtp else { return Ok(Exit::Handled) };
    let checked = mail_summary::outbox(run).and_then(|mut outbox| Ok(outbox.check()?));
    if let Err(error) = checked {
        run.console.error(&error);
        return Ok(Exit::Failed);
    }
    let line = match &smtp.outlet {
        Outlet::Server { host, port, login: Some((user, _)), .. } => {
            format!("smtp {host}:{port}: logged in as {user}; nothing was sent\n")
        }
        Outlet::Server { host, port, .. } => format!("smtp {host}:{port}: connected; nothing was sent\n"),
        Outlet::Sendmail(path) => format!("smtp {}: can be run; nothing was sent\n", path.display()),
    };
    output::data(output::clean_lines(&line).as_bytes())?;
    Ok(Exit::Handled)
}

fn test_mail(run: &CommandContext, address: &str) -> anyhow::Result<Exit> {
    mail_summary::send_test(run, address)?;
    output::data(output::clean_lines(&format!("sent to {address}\n")).as_bytes())?;
    Ok(Exit::Handled)
}

/// Describes the settings.
fn description(settings: &Settings, file: &Path, store: &Path) -> String {
    let mut out = String::new();
    // Writing to a `String` cannot fail.
    let _ = writeln!(out, "settings   {}", file.display());
    let _ = writeln!(out, "store      {}", store.display());
    if let Some(group) = &settings.group {
        let _ = writeln!(out, "group      {group} (may read the store)");
    }
    if !settings.domains.is_empty() {
        let _ = writeln!(out, "domains    {}", settings.domains.join(", "));
    }
    if !settings.customers.is_empty() {
        let domains: usize = settings.customers.iter().map(|customer| customer.domains.len()).sum();
        let (customers, domains) = (settings.customers.len() as u64, domains as u64);
        let _ = writeln!(out, "customers  {} ({})", grouped(customers), count(domains, "domain"));
    }
    for mailbox in &settings.mailboxes {
        let _ = writeln!(out, "mailbox    {}: {}", mailbox.name, place(mailbox));
    }
    if let Some(smtp) = &settings.smtp {
        let _ = writeln!(out, "smtp       {}", way_out(smtp));
    }
    output::clean_lines(&out)
}

fn place(mailbox: &Mailbox) -> String {
    let server = format!("{} on {}:{}", mailbox.user, mailbox.host, mailbox.port);
    match mailbox.protocol {
        Protocol::Imap => format!("{server}, folders {}", mailbox.folders.join(", ")),
        Protocol::Pop3 => format!("{server} by POP3"),
    }
}

fn way_out(smtp: &Smtp) -> String {
    match &smtp.outlet {
        Outlet::Server { host, port, .. } => format!("{} by {host}:{port}", smtp.from),
        Outlet::Sendmail(path) => format!("{} by {}", smtp.from, path.display()),
    }
}

/// All secrets in the settings.
fn secrets_of(settings: &Settings) -> Vec<&Secret> {
    let of_mailboxes = settings.mailboxes.iter().flat_map(|mailbox| settings::secrets_of(&mailbox.auth));
    let of_smtp = settings.smtp.iter().filter_map(|smtp| match &smtp.outlet {
        Outlet::Server { login: Some((_, auth)), .. } => Some(settings::secrets_of(auth)),
        _ => None,
    });
    of_mailboxes.chain(of_smtp.flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::TEMPLATE;
    use crate::cli::settings::file::Settings;
    use std::path::Path;

    #[test]
    fn the_template_is_accepted_as_it_is() {
        let settings = Settings::parse(TEMPLATE, Path::new("config.toml")).unwrap();
        assert_eq!(settings.mailboxes.len(), 1);
    }

    #[test]
    fn every_set_up_page_is_accepted() {
        for page in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/samples/config")).unwrap() {
            let path = page.unwrap().path();
            if path.extension() != Some("toml".as_ref()) {
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            Settings::parse(&text, &path).unwrap_or_else(|error| panic!("{error:#}"));
        }
    }
}
