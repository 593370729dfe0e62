//! Verifies report mails against DNS while they are ingested, connecting `ingest` with `dns`.
//!
//! Without `--verify`, or `verify` in the settings, nothing here uses the network.

use super::ingest_run::count;
use super::trial::Trials;
use crate::cli::terminal::output::Console;
use crate::dns::lookup::keyring::Keyring;
use crate::dns::lookup::resolver::{self, ResolverError};
use crate::dns::verify::proof;
use crate::ingest::{IngestOptions, MailVerifier, Trial};
use crate::model::{Proof, RawMail, ReportKind};
use jiff::Timestamp;
use std::net::SocketAddr;
use std::sync::Arc;

/// Options of the commands that read reports.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// Verify the DKIM signatures of report mails in DNS, and store whether each mail was authentic
    #[arg(long)]
    verify: bool,
    /// DNS server for these lookups instead of the system's, such as 127.0.0.1:5353; may be repeated
    #[arg(long, value_name = "ADDRESS", value_parser = resolver::server)]
    pub(crate) server: Vec<SocketAddr>,
}

/// Verifies mails with the DKIM keys in DNS.
impl MailVerifier for Keyring {
    fn proof(&self, mail: &RawMail, arrival: Timestamp, kind: ReportKind) -> Proof {
        proof::proof(mail, arrival, kind, self)
    }
}

/// The verification of mails in a run; does nothing unless enabled.
#[derive(Debug, Default)]
pub(crate) struct Verification {
    keys: Option<Arc<Keyring>>,
    /// DNS servers to ask; if empty, the system's.
    servers: Vec<SocketAddr>,
}

impl Verification {
    /// Enabled by the command line or the settings.
    pub(crate) fn of(args: &VerifyArgs, by_settings: bool) -> Result<Self, ResolverError> {
        if !args.verify && !by_settings {
            return Ok(Self::default());
        }
        let servers = args.server.clone();
        Ok(Self { keys: Some(Arc::new(Keyring::new(servers.clone())?)), servers })
    }

    /// Adds verification to the options of a run.
    pub(crate) fn of_run(&self, options: IngestOptions) -> IngestOptions {
        let Some(keys) = self.keys.clone() else { return options };
        // Items that may have crashed a run are tried with verification, too.
        let trial = Arc::new(Trials::verifying(&self.servers)) as Arc<dyn Trial>;
        IngestOptions { verifier: Some(keys), trial: Some(trial), ..options }
    }

    /// Reports failed lookups: those mails are neither proven authentic nor forged.
    pub(crate) fn tell(&self, console: &Console) {
        let Some(keys) = &self.keys else { return };
        if keys.failed() > 0 {
            let told =
                format!("{} could not be looked up, so the mails remain unverified", count(keys.failed(), "DKIM key"));
            if keys.is_away() {
                console.warning(&format!("{told}; DNS did not answer, so the run stopped asking"));
            } else {
                console.note(&told);
            }
        }
    }
}
