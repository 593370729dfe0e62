//! The alert channels in the settings. Secrets are read when they are needed.

use crate::alert::{AlertDelivery, AlertEvent, AlertMessage, DeliveryFailure};
use crate::cli::settings::file::Settings;
use crate::cli::settings::{CommandSettings, Smtp, WebhookFormat, WebhookSettings};
use crate::cli::wiring::mail_summary;
use crate::fetch::mailbox::Secret;
use crate::present::{self, EventText};
use crate::send::{self, OutgoingMail, WebMessage, Webhook};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Timeout for a program.
const PROGRAM: Duration = Duration::from_mins(1);

/// The names of the channels in the outbox.
pub(super) fn names(settings: &Settings) -> Vec<String> {
    deliveries(settings).into_iter().map(|delivery| delivery.channel).collect()
}

/// The channels, ready to deliver messages.
pub(super) fn deliveries(settings: &Settings) -> Vec<AlertDelivery<'_>> {
    let alert = &settings.alert;
    let mut deliveries: Vec<AlertDelivery<'_>> = Vec::new();
    // Each recipient is a channel: a refused one is retried alone.
    for to in &alert.mail_to {
        deliveries.push(AlertDelivery {
            channel: format!("mail {to}"),
            send: Box::new(move |message, key| mail(settings.smtp.as_ref(), to, message, key)),
        });
    }
    for webhook in &alert.webhooks {
        deliveries.push(AlertDelivery {
            channel: format!("webhook {}", webhook.name),
            send: Box::new(move |message, key| post_to(webhook, message, key)),
        });
    }
    for command in &alert.commands {
        deliveries.push(AlertDelivery {
            channel: format!("command {}", command.name),
            send: Box::new(move |message, key| feed(command, message, key)),
        });
    }
    deliveries
}

fn settled(why: impl std::fmt::Display) -> DeliveryFailure {
    DeliveryFailure { why: format!("{why:#}"), again: false }
}

fn event_texts(message: &AlertMessage) -> Vec<EventText> {
    let text = |event: &AlertEvent| EventText {
        level: if event.state == "resolved" { event.state.clone() } else { event.severity.clone() },
        id: event.id.clone(),
        kind: event.kind.clone(),
        policy_domain: event.policy_domain.clone(),
        since: event.since.clone(),
        text: event.text.clone(),
        action: event.action.clone(),
    };
    message.events.iter().map(text).collect()
}

fn json(message: &AlertMessage) -> Result<String, DeliveryFailure> {
    serde_json::to_string(message).map_err(settled)
}

fn mail(smtp: Option<&Smtp>, to: &str, message: &AlertMessage, key: &str) -> Result<(), DeliveryFailure> {
    let smtp =
        smtp.ok_or_else(|| settled("settings: expected an [smtp] section for mail_to in [alert], found none"))?;
    let events = event_texts(message);
    let outgoing = OutgoingMail {
        from: smtp.from.clone(),
        to: vec![to.to_owned()],
        reply_to: None,
        subject: present::alert_title(&events),
        text: present::alert_plain(&events),
        html: present::alert_html(&events),
        pictures: Vec::new(),
        date: SystemTime::now(),
    };
    let route = mail_summary::route(&smtp.outlet).map_err(settled)?;
    let mail = outgoing.compose_as(key).map_err(settled)?;
    let refused = mail.send(&route).map_err(|error| DeliveryFailure { why: error.to_string(), again: true })?;
    match &refused[..] {
        [] => Ok(()),
        refused => Err(settled(format!("the server {}", refused[0].why))),
    }
}

fn post_to(settings: &WebhookSettings, message: &AlertMessage, key: &str) -> Result<(), DeliveryFailure> {
    let secret = |secret: &Secret| secret.reveal().map_err(settled);
    let webhook = Webhook {
        url: secret(&settings.url)?,
        token: settings.token.as_ref().map(secret).transpose()?,
        ca_file: settings.ca_file.clone(),
        patience: send::WEB_PATIENCE,
    };
    let events = event_texts(message);
    let of_json = |body| WebMessage { content_type: "application/json".to_owned(), body, headers: Vec::new() };
    let mut posted = match &settings.format {
        WebhookFormat::Json => of_json(json(message)?),
        WebhookFormat::Slack => of_json(present::alert_slack(&events)),
        WebhookFormat::Ntfy => {
            let worst =
                ["critical", "warning", "info"].iter().find(|level| events.iter().any(|event| event.level == **level));
            let (priority, tags) = match worst {
                Some(&"critical") => ("5", "rotating_light"),
                Some(&"warning") => ("4", "warning"),
                Some(_) => ("3", "information_source"),
                None => ("3", "white_check_mark"),
            };
            let title: String = present::alert_title(&events).chars().filter(char::is_ascii).collect();
            let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
            WebMessage {
                content_type: "text/plain; charset=utf-8".to_owned(),
                headers: vec![header("Title", &title), header("Priority", priority), header("Tags", tags)],
                body: present::alert_plain(&events),
            }
        }
        WebhookFormat::Template { template, content_type } => WebMessage {
            content_type: content_type.clone(),
            body: present::alert_templated(template, content_type, &events)
                .map_err(|why| settled(format!("template: {why}")))?,
            headers: Vec::new(),
        },
    };
    posted.headers.push(("Idempotency-Key".to_owned(), key.to_owned()));
    webhook.post(&posted).map_err(|failure| DeliveryFailure { why: failure.why, again: failure.again })
}

fn feed(settings: &CommandSettings, message: &AlertMessage, key: &str) -> Result<(), DeliveryFailure> {
    let [program, arguments @ ..] = settings.program.as_slice() else {
        return Err(settled("expected a program, found none"));
    };
    let mut command = Command::new(program);
    command.args(arguments).env("DMARQUET_ALERT_KEY", key);
    let input = json(message)? + "\n";
    send::feed(command, input.as_bytes(), PROGRAM, "the alert may not have been delivered")
        .map_err(|why| DeliveryFailure { why: format!("{program} {why}"), again: true })
}
