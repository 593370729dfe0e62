//! The settings file: found, read, and checked as a whole.

use super::alert::AlertSettings;
use super::customer::{self, Customer};
use super::reader::{self, Section};
use super::smtp::Smtp;
use super::{confirmed, mailbox, senders};
use crate::analyze::{Confirmed, Services};
use crate::cli::terminal::fault::{Hint as _, Several};
use crate::fetch::mailbox::Mailbox;
use crate::model::Owners;
use crate::store::Access;
use anyhow::{Context as _, anyhow};
use std::io;
use std::path::{Path, PathBuf};

/// The contents of a settings file. Without a file, all defaults.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    /// The data folder.
    pub(crate) store: Option<PathBuf>,
    /// The group that may read the data folder.
    pub(crate) group: Option<String>,
    /// The user's domains, in lower case; reports about other domains are stored and marked.
    pub(crate) domains: Vec<String>,
    /// Authentication service IDs whose `Authentication-Results` are trusted.
    pub(crate) trusted_authserv_id: Vec<String>,
    /// Whether the signatures of report mails are verified against DNS.
    pub(crate) verify: bool,
    /// A file that defines more mail services.
    pub(crate) senders: Option<PathBuf>,
    /// Network databases.
    pub(crate) geoip: Vec<PathBuf>,
    /// The user's statements about senders, in file order.
    pub(crate) confirmed: Vec<Confirmed>,
    /// The mailboxes to poll, in file order.
    pub(crate) mailboxes: Vec<Mailbox>,
    /// The customers, in file order.
    pub(crate) customers: Vec<Customer>,
    /// How mail is sent.
    pub(crate) smtp: Option<Smtp>,
    /// What counts as an event, and who is notified.
    pub(crate) alert: AlertSettings,
    /// Where the archive of static pages is published.
    pub(crate) site: Option<String>,
    /// The file the settings were read from.
    pub(crate) file: Option<PathBuf>,
}

impl Settings {
    /// Reads the file given by `--config`, which must exist, else the first existing default file, else returns the
    /// defaults.
    pub(crate) fn load(file: Option<&Path>) -> anyhow::Result<Self> {
        if let Some(file) = file {
            return Self::read(file)?.map_err(|error| {
                let missing = error.kind() == io::ErrorKind::NotFound;
                let error = unreadable(file, error);
                if missing { error.hint("write one with `dmarquet config init`") } else { error }
            });
        }
        for file in usual_places() {
            match Self::read(&file)? {
                Ok(settings) => return Ok(settings),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => return Err(unreadable(&file, error)),
            }
        }
        Ok(Self::default())
    }

    /// Reads a file: the outer error is about its contents, the inner one about reading it.
    fn read(file: &Path) -> anyhow::Result<io::Result<Self>> {
        let bytes = match std::fs::read(file) {
            Ok(bytes) => bytes,
            Err(error) => return Ok(Err(error)),
        };
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.split(|byte| *byte == b'\n').count();
            anyhow!("{} line {line}: expected UTF-8 text, found other bytes", file.display())
                .hint("save the file in UTF-8")
        })?;
        Self::parse(&text, file).map(Ok)
    }

    /// Who may read the data folder.
    pub(crate) fn access(&self) -> anyhow::Result<Access> {
        let Some(name) = &self.group else { return Ok(Access::PRIVATE) };
        let found = nix::unistd::Group::from_name(name).with_context(|| format!("settings: group {name:?}"))?;
        found.map(|group| Access::shared_with(group.gid.as_raw())).ok_or_else(|| {
            anyhow!("settings: group: expected a group of this system, found {name:?}")
                .hint("`getent group` lists them; without `group` the store is for its owner alone")
        })
    }

    /// Whose each domain is.
    pub(crate) fn owners(&self) -> Owners {
        customer::owners(&self.customers)
    }

    /// The organizational domains of all customers. A source is named after none of them.
    pub(crate) fn organizations(&self) -> Owners {
        customer::organizations(&self.customers)
    }

    /// All domains in the settings, without duplicates: `domains`, and those of customers.
    pub(crate) fn named_domains(&self) -> Vec<String> {
        let of_customers = self.customers.iter().flat_map(|customer| &customer.domains);
        let mut named: Vec<String> = self.domains.iter().chain(of_customers).cloned().collect();
        named.sort();
        named.dedup();
        named
    }

    /// The known mail services; those from the user's file come first.
    pub(crate) fn services(&self) -> anyhow::Result<Services> {
        let Some(file) = &self.senders else { return Ok(Services::default()) };
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).with_context(|| name.clone()).context("senders")?;
        Ok(Services::with(senders::parse(&text, &name)?))
    }

    /// Parses the text of a file. Paths in it are relative to its folder.
    pub(crate) fn parse(text: &str, file: &Path) -> anyhow::Result<Self> {
        let name = file.display().to_string();
        let (settings, faults) = reader::read(text, &name, |root| {
            let folder = file.parent().unwrap_or(Path::new(""));
            Self::of(root, folder)
        });
        if faults.is_empty() {
            return Ok(Self { file: Some(file.to_owned()), ..settings });
        }
        Err(Several(faults).into())
    }

    fn of(root: &mut Section<'_>, folder: &Path) -> Self {
        let mut settings = Self {
            store: root.path("store", folder),
            group: root.text("group").map(str::to_owned),
            domains: root.texts("domains").into_iter().flatten().map(|domain| domain.to_lowercase()).collect(),
            trusted_authserv_id: root.text_or_texts("trusted_authserv_id"),
            verify: root.flag("verify").unwrap_or(false),
            senders: root.path("senders", folder),
            geoip: root.paths("geoip", folder),
            ..Self::default()
        };
        root.tables("mailbox", |section| {
            if let Some(mailbox) = mailbox::read(section, folder) {
                section.check_name(&mailbox.name, settings.mailboxes.iter().map(|earlier| &earlier.name));
                settings.mailboxes.push(mailbox);
            }
        });
        root.tables("confirmed", |section| settings.confirmed.extend(confirmed::read(section)));
        settings.alert = root.table("alert", |section| AlertSettings::of(section, folder)).unwrap_or_default();
        root.tables("customer", |section| customer::read(section, folder, &mut settings.customers));
        let owners = settings.owners();
        let rules = &mut settings.alert.rules;
        rules.mailboxes = settings.mailboxes.iter().map(|mailbox| mailbox.name.clone()).collect();
        rules.customers = settings.customers.iter().map(|customer| customer.name.clone()).collect();
        rules.owners = owners;
        settings.site = root.table("site", site).flatten();
        settings.smtp = root.table("smtp", |section| Smtp::of(section, folder)).flatten();
        settings
    }
}

/// Reads `[site]`: where its pages are published.
fn site(section: &mut Section<'_>) -> Option<String> {
    let url = section.text("url")?;
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    if !is_web || url.contains(['"', '<', '>', ' ']) {
        section.fault(
            "url",
            "expected the web address of the pages, such as \"https://dmarc.example.com/\", found something else",
        );
    }
    Some(url.to_owned())
}

/// The error for a file that cannot be read.
fn unreadable(file: &Path, error: io::Error) -> anyhow::Error {
    anyhow!(error).context(file.display().to_string()).context("settings")
}

/// The default paths of the settings file, in order.
fn usual_places() -> Vec<PathBuf> {
    let own = folder_of("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("dmarquet/config.toml"));
    own.into_iter().chain([PathBuf::from("/etc/dmarquet/config.toml")]).collect()
}

/// The path that `config init` writes to.
pub(crate) fn usual_place() -> PathBuf {
    usual_places().swap_remove(0)
}

/// The default data folder.
pub(crate) fn usual_store() -> Option<PathBuf> {
    folder_of("XDG_DATA_HOME", ".local/share").map(|folder| folder.join("dmarquet"))
}

/// A base folder according to the XDG specification: the variable if it is absolute, else a folder in the home folder.
fn folder_of(variable: &str, fallback: &str) -> Option<PathBuf> {
    let named = std::env::var_os(variable).map(PathBuf::from).filter(|folder| folder.is_absolute());
    named.or_else(|| {
        std::env::var_os("HOME").filter(|home| !home.is_empty()).map(|home| Path::new(&home).join(fallback))
    })
}
