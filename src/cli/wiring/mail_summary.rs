//! A summary as a mail with text and HTML, sent as configured or written as an `.eml`.

use super::run::CommandContext;
use crate::analyze::{Action, Summary, SummaryPeriod};
use crate::cli::settings::{Customer, Outlet, Smtp};
use crate::cli::terminal::fault::Hint as _;
use crate::fetch::mailbox::account;
use crate::present::{self, Branding, Logo};
use crate::send::{
    ComposedMail, InlinePicture, Login, LoginKind, Outbox, OutgoingMail, RefusedRecipient, Route, Server, mail,
};
use anyhow::{Context as _, anyhow};
use jiff::Timestamp;
use std::time::{Duration, SystemTime};

/// Builds the mail of a customer's summary, or of one about all domains. A `heartbeat` is one line, because all is well.
pub(crate) fn compose(
    run: &CommandContext,
    summary: &Summary,
    to: &[String],
    customer: Option<&Customer>,
    branding: &Branding,
    heartbeat: bool,
) -> anyhow::Result<ComposedMail> {
    let subject = match customer {
        Some(customer) => subject_of(&customer.subject, &customer.name, summary),
        None if heartbeat => present::heartbeat(summary).0,
        None => present::mail_subject(summary),
    };
    let (text, html, pictures) = if heartbeat {
        let line = present::heartbeat(summary).1;
        (format!("{line}\n"), format!("<p>{line}</p>\n"), Vec::new())
    } else {
        let (branding, pictures) = for_mail(branding);
        // The archive has the pages of all, so a customer's mail does not link to it.
        let site = run.settings()?.site.as_deref().filter(|_| customer.is_none());
        let present::SummaryMail { text, html, .. } = present::mail(summary, &branding, site);
        (text, html, pictures)
    };
    let outgoing = OutgoingMail {
        from: smtp(run)?.from.clone(),
        to: to.to_owned(),
        reply_to: customer.and_then(|customer| customer.reply_to.clone()),
        subject,
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

/// The `[smtp]` settings, which must exist.
fn smtp(run: &CommandContext) -> anyhow::Result<&Smtp> {
    run.settings()?.smtp.as_ref().ok_or_else(|| {
        anyhow!("settings: expected an [smtp] section to send mail with, found none")
            .hint("`dmarquet config init --stdout` shows an example")
    })
}

/// Sends mails as `[smtp]` in the settings says.
pub(crate) fn outbox(run: &CommandContext) -> anyhow::Result<Outbox> {
    Ok(Outbox::new(route(&smtp(run)?.outlet)?))
}

/// Sends a test mail.
pub(crate) fn send_test(run: &CommandContext, to: &str) -> anyhow::Result<()> {
    let file = run.settings()?.file.as_ref().map(|file| file.display().to_string()).unwrap_or_default();
    let text = format!(
        "dmarquet sent this mail with the [smtp] settings in {file}.\n\nIf you can read it, summaries and alerts arrive here, too.\n"
    );
    let outgoing = OutgoingMail {
        from: smtp(run)?.from.clone(),
        to: vec![to.to_owned()],
        reply_to: None,
        subject: "Test mail from dmarquet".to_owned(),
        html: "<p>dmarquet sent this mail.</p>\n<p>If you can read it, summaries and alerts arrive here, too.</p>\n"
            .to_owned(),
        text,
        date: written(run.now),
        pictures: Vec::new(),
    };
    none_refused(&outbox(run)?.send(&outgoing.compose()?)?)
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
fn subject_of(pattern: &str, customer: &str, summary: &Summary) -> String {
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
pub(crate) fn route(outlet: &Outlet) -> anyhow::Result<Route> {
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
