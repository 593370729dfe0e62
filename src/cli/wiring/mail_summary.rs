//! A summary as a mail with text and HTML, sent as configured or written as an `.eml`.

use super::run::CommandContext;
use crate::analyze::{Action, Summary, SummaryPeriod};
use crate::cli::settings::Outlet;
use crate::cli::settings::file::Settings;
use crate::cli::terminal::fault::Hint as _;
use crate::cli::terminal::output;
use crate::fetch::mailbox::account;
use crate::present::{self, Branding, Logo};
use crate::send::{
    ComposedMail, InlinePicture, Login, LoginKind, Outbox, OutgoingMail, RefusedRecipient, Route, Server, mail,
};

use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use std::time::{Duration, SystemTime};

/// Recipients and headers of a summary.
#[derive(Debug, Default)]
pub(crate) struct Addressing<'a> {
    /// The recipients; at least one.
    pub(crate) to: Vec<String>,
    pub(crate) subject: String,
    pub(crate) reply_to: Option<&'a str>,
    pub(crate) branding: Branding,
    /// Whether to send only one line, because all is well.
    pub(crate) heartbeat: bool,
    /// The URL of the archive that the mail links to. It has the pages of all, so a customer's mail has none.
    pub(crate) site: Option<&'a str>,
}

/// Sends a summary, or with `dry_run` writes the mail to standard output.
pub(crate) fn send(
    run: &CommandContext,
    settings: &Settings,
    summary: &Summary,
    addressing: &Addressing<'_>,
    dry_run: bool,
) -> anyhow::Result<()> {
    let mail = compose(run, settings, summary, addressing)?;
    if dry_run {
        return output::data(mail.bytes());
    }
    let refused = outbox(settings)?.send(&mail)?;
    run.console.note(&format!("sent to {}", taken(&addressing.to, &refused).join(", ")));
    none_refused(&refused)
}

/// Builds the mail.
pub(crate) fn compose(
    run: &CommandContext,
    settings: &Settings,
    summary: &Summary,
    addressing: &Addressing<'_>,
) -> anyhow::Result<ComposedMail> {
    let smtp = settings.smtp.as_ref().ok_or_else(no_smtp)?;
    let Addressing { to, subject, reply_to, branding, heartbeat, site } = addressing;
    let (branding, pictures) = if *heartbeat { (Branding::default(), Vec::new()) } else { for_mail(branding) };
    let (text, html) = if *heartbeat {
        let line = present::heartbeat(summary).1;
        (format!("{line}\n"), format!("<p>{line}</p>\n"))
    } else {
        let present::SummaryMail { text, html, .. } = present::mail(summary, &branding, *site);
        (text, html)
    };
    let outgoing = OutgoingMail {
        from: smtp.from.clone(),
        to: to.clone(),
        reply_to: reply_to.map(str::to_owned),
        subject: subject.clone(),
        text,
        html,
        pictures,
        date: written(run.now),
    };
    Ok(outgoing.compose()?)
}

/// Mail programs show attached pictures but not those embedded in the page, and no SVG.
fn for_mail(branding: &Branding) -> (Branding, Vec<InlinePicture>) {
    const ID: &str = "logo";
    let logo = branding.logo.clone().filter(|logo| logo.media_type != "image/svg+xml");
    let pictures =
        logo.iter().map(|logo| InlinePicture { id: ID, media_type: logo.media_type, bytes: logo.bytes.clone() });
    let pictures = pictures.collect();
    let logo = logo.map(|logo| Logo { data_uri: format!("cid:{ID}"), ..logo });
    (Branding { logo, ..branding.clone() }, pictures)
}

fn no_smtp() -> anyhow::Error {
    anyhow!("settings: expected an [smtp] section to send mail with, found none")
        .hint("`dmarquet config init --stdout` shows an example")
}

/// The `[smtp]` settings, which must exist.
pub(crate) fn outbox(settings: &Settings) -> anyhow::Result<Outbox> {
    let smtp = settings.smtp.as_ref().ok_or_else(no_smtp)?;
    Ok(Outbox::new(route(&smtp.outlet)?))
}

/// Sends a test mail.
pub(crate) fn send_test(run: &CommandContext, settings: &Settings, to: &str) -> anyhow::Result<()> {
    let smtp = settings.smtp.as_ref().ok_or_else(no_smtp)?;
    let file = settings.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    let text = format!(
        "dmarquet sent this mail with the [smtp] settings in {file}.\n\nIf you can read it, summaries and alerts arrive here, too.\n"
    );
    let outgoing = OutgoingMail {
        from: smtp.from.clone(),
        to: vec![to.to_owned()],
        reply_to: None,
        subject: "Test mail from dmarquet".to_owned(),
        html: "<p>dmarquet sent this mail.</p>\n<p>If you can read it, summaries and alerts arrive here, too.</p>\n"
            .to_owned(),
        text,
        date: written(run.now),
        pictures: Vec::new(),
    };
    none_refused(&outbox(settings)?.send(&outgoing.compose()?)?)
}

/// The recipients that the server took. An address may be written as `IT <it@example.com>`.
pub(crate) fn taken<'a>(to: &'a [String], refused: &[RefusedRecipient]) -> Vec<&'a str> {
    let is_of = |refused: &RefusedRecipient, address: &str| {
        address == refused.address || address.ends_with(&format!("<{}>", refused.address))
    };
    to.iter().map(String::as_str).filter(|address| !refused.iter().any(|refused| is_of(refused, address))).collect()
}

/// Fails with the refused addresses and the reasons.
pub(crate) fn none_refused(refused: &[RefusedRecipient]) -> anyhow::Result<()> {
    let one = |refused: &RefusedRecipient| format!("{}: the server {}", refused.address, refused.why);
    let all: Vec<String> = refused.iter().map(one).collect();
    if all.is_empty() { Ok(()) } else { Err(anyhow!("not sent to {}", all.join("; "))) }
}

/// The subject of a customer's mail, with its placeholders filled in.
pub(crate) fn subject_of(pattern: &str, customer: &str, summary: &Summary) -> String {
    // A fixed action is worth a mail, but it is no longer a thing to fix.
    let status = match tasks(summary, Action::is_to_do) {
        0 => "all well".to_owned(),
        1 => "1 thing to fix".to_owned(),
        more => format!("{more} things to fix"),
    };
    // The name is replaced last: it may contain braces.
    pattern.replace("{week}", &period(summary)).replace("{status}", &status).replace("{customer}", customer)
}

/// Number of open tasks: actions that nobody acknowledged, and domains without reports or whose reports stopped.
pub(crate) fn things_to_fix(summary: &Summary) -> u64 {
    tasks(summary, |action| !action.tracking.folded)
}

fn tasks(summary: &Summary, counts: fn(&Action) -> bool) -> u64 {
    let silent = summary.quality.unreported_domains.len() + summary.changes.silent_domains.len();
    let actions = summary.actions.iter().filter(|action| counts(action)).count();
    summary.more_actions.saturating_add((actions + silent) as u64)
}

/// The period of a summary as one word: `2026-W47`, else the first and the last day.
pub(crate) fn period(summary: &Summary) -> String {
    summary.period.week.clone().or_else(|| days(summary)).unwrap_or_else(|| "no reports".to_owned())
}

fn days(summary: &Summary) -> Option<String> {
    let SummaryPeriod { from, to, .. } = &summary.period;
    from.zip(*to).map(|(from, to)| format!("{from} to {to}"))
}

/// The time for the `Date` header; before 1970, the epoch.
fn written(now: Timestamp) -> SystemTime {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The route for sending mail, including the secret.
pub(super) fn route(outlet: &Outlet) -> anyhow::Result<Route> {
    match outlet {
        Outlet::Sendmail(program) => Ok(Route::Sendmail { program: program.clone(), patience: mail::PROGRAM_PATIENCE }),
        Outlet::Server { host, port, security, ehlo_name, ca_file, login } => {
            let login = login.as_ref().map(|(user, auth)| {
                let secret = auth.reveal(ca_file.as_deref()).map_err(anyhow::Error::msg).context("smtp")?;
                let kind = match auth {
                    account::Auth::Password(_) => LoginKind::Password,
                    account::Auth::XOAuth2(_) => LoginKind::XOAuth2,
                    account::Auth::OAuthBearer(_) => LoginKind::OAuthBearer,
                };
                anyhow::Ok(Login { user: user.clone(), secret, kind })
            });
            Ok(Route::Server(Server {
                host: host.clone(),
                port: *port,
                security: *security,
                ca_file: ca_file.clone(),
                login: login.transpose()?,
                hello: ehlo_name.clone(),
                patience: mail::PATIENCE,
            }))
        }
    }
}
