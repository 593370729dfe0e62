//! `[alert]`: what counts as an event, and who is notified.

use super::reader::Section;
use super::secret;
use crate::alert::AlertRules;
use crate::analyze::{EventKind, EventSeverity};
use crate::fetch::mailbox::Secret;
use std::path::{Path, PathBuf};

/// The `[alert]` table.
#[derive(Debug, Clone, Default)]
pub(crate) struct AlertSettings {
    /// What counts as an event.
    pub(crate) rules: AlertRules,
    /// Recipients of mails.
    pub(crate) mail_to: Vec<String>,
    /// Webhooks to post to.
    pub(crate) webhooks: Vec<WebhookSettings>,
    /// Programs to run.
    pub(crate) commands: Vec<CommandSettings>,
}

/// A `[[alert.webhook]]`.
#[derive(Debug, Clone)]
pub(crate) struct WebhookSettings {
    /// Its name in messages and in the outbox.
    pub(crate) name: String,
    /// The URL, a secret: anyone who knows it can post.
    pub(crate) url: Secret,
    /// A token for the `Authorization` header.
    pub(crate) token: Option<Secret>,
    /// The format of the posted message.
    pub(crate) format: WebhookFormat,
    /// One more trusted root, PEM.
    pub(crate) ca_file: Option<PathBuf>,
}

/// The format of the posted message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum WebhookFormat {
    /// The documented JSON.
    Json,
    /// `{"text": "..."}`, accepted by Slack, Mattermost, Rocket.Chat and others.
    Slack,
    /// Plain text with the headers of ntfy.
    Ntfy,
    /// A user's template and its content type.
    Template {
        /// The template.
        template: String,
        /// Its `Content-Type`.
        content_type: String,
    },
}

/// An `[[alert.command]]`.
#[derive(Debug, Clone)]
pub(crate) struct CommandSettings {
    /// Its name.
    pub(crate) name: String,
    /// The program and its arguments.
    pub(crate) program: Vec<String>,
}

/// Default of `wave`: messages that each of two reporters must see.
const WAVE: f64 = 200.0;

impl AlertSettings {
    /// Reads the table.
    pub(super) fn of(section: &mut Section<'_>, folder: &Path) -> Self {
        let mut settings = Self { mail_to: section.text_or_texts("mail_to"), ..Self::default() };
        let rules = &mut settings.rules;
        let words = EventKind::ALL.map(EventKind::word).join(", ");
        for word in section.text_or_texts("ignore") {
            match EventKind::from_word(&word) {
                Some(kind) => rules.ignored.push(kind),
                None => section.fault("ignore", &format!("expected kinds of events ({words}), found {word:?}")),
            }
        }
        let severities =
            [("info", EventSeverity::Info), ("warning", EventSeverity::Warning), ("critical", EventSeverity::Critical)];
        rules.least = section.choice("severity", &severities).unwrap_or(EventSeverity::Info);
        if let Some(messages) = section.number("sender_messages", 1..=1_000_000) {
            rules.sender_messages = messages.into();
        }
        if let Some(messages) = section.number("wave_messages", 1..=1_000_000) {
            rules.wave_scale = f64::from(messages) / WAVE;
        }
        section.tables("webhook", |section| {
            if let Some(webhook) = WebhookSettings::of(section, folder) {
                section.check_name(&webhook.name, settings.webhooks.iter().map(|earlier| &earlier.name));
                settings.webhooks.push(webhook);
            }
        });
        section.tables("command", |section| {
            let name = section.needed_text("name", "a name, such as \"apprise\"").map(str::to_owned);
            if !section.has("program") {
                section.fault(
                    "program",
                    "expected the program and its arguments, as [\"apprise\", \"...\"], found no such key",
                );
            }
            if let (Some(name), Some(program)) = (name, section.texts("program")) {
                section.check_name(&name, settings.commands.iter().map(|earlier| &earlier.name));
                settings.commands.push(CommandSettings { name, program });
            }
        });
        settings
    }
}

impl WebhookSettings {
    fn of(section: &mut Section<'_>, folder: &Path) -> Option<Self> {
        // `None`: a template, which has keys of its own.
        let formats = [
            ("json", Some(WebhookFormat::Json)),
            ("slack", Some(WebhookFormat::Slack)),
            ("ntfy", Some(WebhookFormat::Ntfy)),
            ("template", None),
        ];
        let name = section.needed_text("name", "a name, such as \"operations\"").map(str::to_owned);
        let url = secret::read(section, &secret::URL, folder);
        if url.is_none() && !secret::URL.are_in(section) {
            section.fault(
                "url_command",
                &format!("expected one of {}, found none: anyone who knows the address can post", secret::URL.names()),
            );
        }
        let token = secret::read(section, &secret::TOKEN, folder);
        let ca_file = section.path("ca_file", folder);
        let format = match section.choice("format", &formats).unwrap_or(Some(WebhookFormat::Json)) {
            None => {
                let template =
                    section.needed_text("template", "the text to post, such as \"{{ text }}\"").map(str::to_owned);
                let content_type = section.text("content_type").unwrap_or("application/json").to_owned();
                if let Some(why) = template.as_deref().and_then(crate::present::alert_template_fault) {
                    section.fault("template", &format!("expected a template, found: {why}"));
                }
                WebhookFormat::Template { template: template?, content_type }
            }
            Some(format) => {
                section.refuse(
                    &["template", "content_type"],
                    "expected only with format = \"template\", found another format",
                );
                format
            }
        };
        Some(Self { name: name?, url: url?, token, format, ca_file })
    }
}
