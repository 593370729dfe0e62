//! `[alert]`: what counts as an event, and who is told.

use super::reader::Section;
use crate::alert::AlertRules;
use crate::analyze::{EventKind, Severity};

/// What `[alert]` says.
#[derive(Debug, Clone, Default)]
pub(crate) struct AlertSettings {
    /// What counts as an event.
    pub(crate) rules: AlertRules,
    /// Who gets a mail.
    pub(crate) mail_to: Vec<String>,
}

/// Messages that each of two reporters sees of a wave of spoofing, where none are given.
const WAVE: f64 = 200.0;

impl AlertSettings {
    /// Read the table.
    pub(super) fn of(section: &mut Section<'_>) -> Self {
        let mut settings = Self { mail_to: section.text_or_texts("mail_to"), ..Self::default() };
        let rules = &mut settings.rules;
        let words = EventKind::ALL.map(|kind| kind.word()).join(", ");
        for word in section.text_or_texts("ignore") {
            match EventKind::from_word(&word) {
                Some(kind) => rules.ignored.push(kind),
                None => section.fault("ignore", &format!("expected kinds of events ({words}), found {word:?}")),
            }
        }
        let severities = [("info", Severity::Info), ("warning", Severity::Warning), ("critical", Severity::Critical)];
        rules.least = section.choice("severity", &severities).unwrap_or(Severity::Info);
        if let Some(messages) = section.number("sender_messages", 1..=1_000_000) {
            rules.sender_messages = messages.into();
        }
        if let Some(messages) = section.number("wave_messages", 1..=1_000_000) {
            rules.wave_scale = f64::from(messages) / WAVE;
        }
        settings
    }
}
