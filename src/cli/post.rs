//! A summary as a mail: text and HTML in one, sent by the way out of the settings, or written as an `.eml`.

use super::Run;
use super::fault::Hint as _;
use super::output;
use super::settings::{Outlet, Settings};
use crate::analyze::{Days, Summary};
use crate::fetch::imap;
use crate::present::{self, Branding, Style};
use crate::send::{self, Letter, Route, Security, Server};
use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use std::time::{Duration, SystemTime};

/// Send a summary, or with `dry_run` write the mail to standard output.
pub(super) fn send(
    run: &Run,
    settings: &Settings,
    to: &[String],
    summary: &Summary,
    dry_run: bool,
) -> anyhow::Result<()> {
    let smtp = settings.smtp.as_ref().ok_or_else(|| {
        anyhow!("settings: expected [smtp] for --mail-to, found none")
            .hint("`dmarquet config init --stdout` shows what it takes")
    })?;
    let (style, brand) = (Style::default(), Branding::default());
    let letter = Letter {
        from: smtp.from.clone(),
        to: to.to_vec(),
        subject: subject(summary),
        text: present::text(summary, &brand, &style),
        html: present::html(summary, &brand, &style),
        date: written(run.now),
    };
    let mail = letter.compose()?;
    if dry_run {
        return output::data(mail.bytes());
    }
    mail.send(&route(&smtp.outlet)?)?;
    run.talk.note(&format!("sent to {}", to.join(", ")));
    Ok(())
}

fn subject(summary: &Summary) -> String {
    let Days { from, to, week } = &summary.period;
    match (week, from.zip(*to)) {
        (Some(week), _) => format!("DMARC summary {week}"),
        (None, Some((from, to))) => format!("DMARC summary {from} to {to}"),
        (None, None) => "DMARC summary: no reports".to_owned(),
    }
}

/// The time for the mail's `Date`; a clock before 1970 is none.
fn written(now: Timestamp) -> SystemTime {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The way out, with its secret.
fn route(outlet: &Outlet) -> anyhow::Result<Route> {
    match outlet {
        Outlet::Sendmail(program) => Ok(Route::Sendmail { program: program.clone(), patience: send::PROGRAM_PATIENCE }),
        Outlet::Server { host, port, security, ehlo_name, ca_file, login } => {
            let secret = login.as_ref().map(|(user, secret)| {
                let password = secret.reveal().map_err(anyhow::Error::msg).context("smtp")?;
                anyhow::Ok((user.clone(), password))
            });
            Ok(Route::Server(Server {
                host: host.clone(),
                port: *port,
                security: match security {
                    imap::Security::Tls => Security::Tls,
                    imap::Security::StartTls => Security::StartTls,
                    imap::Security::None => Security::None,
                },
                ca_file: ca_file.clone(),
                login: secret.transpose()?,
                hello: ehlo_name.clone(),
                patience: send::PATIENCE,
            }))
        }
    }
}
