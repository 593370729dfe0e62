//! Formats of events for webhooks and mails. Each format escapes its input, so hostile text is harmless.

use crate::present::wording::numbers::counted;
use minijinja::{AutoEscape, Environment, context, value::Serde};
use serde::Serialize;

/// The fields of an event used by these formats. All texts are clean.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct EventText {
    /// `critical`, `warning`, `info`, or `resolved`.
    pub level: String,
    /// Its ID.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// Its domain.
    pub policy_domain: Option<String>,
    /// The first day it was seen.
    pub since: String,
    /// What happens.
    pub text: String,
    /// What to do.
    pub action: String,
}

/// `2 DMARC alerts: 1 critical`, for subjects and titles.
pub fn alert_title(events: &[EventText]) -> String {
    let (resolved, new): (Vec<_>, Vec<_>) = events.iter().partition(|event| event.level == "resolved");
    let mut domains: Vec<&str> = events.iter().filter_map(|event| event.policy_domain.as_deref()).collect();
    domains.sort_unstable();
    domains.dedup();
    let critical = new.iter().filter(|event| event.level == "critical").count();
    let mut title = match new.len() as u64 {
        0 => counted(resolved.len() as u64, "DMARC alert resolved", "DMARC alerts resolved"),
        new => counted(new, "DMARC alert", "DMARC alerts"),
    };
    if critical > 0 {
        title = format!("{title}, {critical} critical");
    }
    match domains.as_slice() {
        [] => {}
        [one] => title = format!("{title}: {one}"),
        [one, rest @ ..] => {
            title = format!("{title}: {one} and {}", counted(rest.len() as u64, "more domain", "more domains"));
        }
    }
    title
}

/// Plain text: one paragraph per event.
pub fn alert_plain(events: &[EventText]) -> String {
    let paragraph = |event: &EventText| {
        let domain = event.policy_domain.as_deref().map(|domain| format!(" {domain}")).unwrap_or_default();
        let action = if event.level == "resolved" { String::new() } else { format!("\n  {}", event.action) };
        format!("{}{domain}: {}{action}\n  {} {}\n", event.level.to_uppercase(), event.text, event.kind, event.id)
    };
    events.iter().map(paragraph).collect()
}

const PAGE: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{{ title }}</title></head>
<body style=\"font-family:sans-serif;max-width:44em\">
{% for event in events %}<p><strong>{{ event.level|upper }}{% if event.policy_domain %} {{ event.policy_domain }}{% endif %}</strong>: {{ event.text }}\
{% if event.level != \"resolved\" %}<br>{{ event.action }}{% endif %}<br><small>{{ event.kind }} {{ event.id }}</small></p>
{% endfor %}<p><small>dmarquet ack ID --note TEXT acknowledges an alert; dmarquet alert list shows all open alerts.</small></p>
</body></html>
";

/// The same as HTML.
///
/// # Panics
/// Never: the template is part of the program, and tested.
pub fn alert_html(events: &[EventText]) -> String {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let values = context! { title => alert_title(events), events => Serde(events) };
    environment.render_str(PAGE, values).expect("the template is tested")
}

/// Text for Slack and compatible services, where `&`, `<` and `>` would be markup.
pub fn alert_slack(events: &[EventText]) -> String {
    let text = format!("{}\n{}", alert_title(events), alert_plain(events));
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    // Text that would become a mention, a link or bold.
    let text: String = text.chars().map(lookalike).collect();
    serde_json::json!({ "text": text }).to_string()
}

/// A similar character without meaning as markup.
fn lookalike(char: char) -> char {
    match char {
        '*' => '\u{2217}',
        '_' => '\u{ff3f}',
        '~' => '\u{223c}',
        '`' => '\u{2bb}',
        other => other,
    }
}

/// Why a template is invalid; `None` if it is valid.
pub fn alert_template_fault(template: &str) -> Option<String> {
    Environment::new().template_from_str(template).err().map(|error| error.to_string())
}

/// Renders a user's template. If the result is JSON, texts are escaped for use between quotes; if it is HTML, for HTML.
///
/// # Errors
/// If the template cannot be filled in.
pub fn alert_templated(template: &str, content_type: &str, events: &[EventText]) -> Result<String, String> {
    let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let is_json = kind.ends_with("json");
    let escaped = |text: &str| {
        let quoted = serde_json::Value::from(text).to_string();
        if is_json { quoted[1..quoted.len() - 1].to_owned() } else { text.to_owned() }
    };
    let events: Vec<EventText> = events
        .iter()
        .map(|event| EventText {
            level: escaped(&event.level),
            id: escaped(&event.id),
            kind: escaped(&event.kind),
            policy_domain: event.policy_domain.as_deref().map(escaped),
            since: escaped(&event.since),
            text: escaped(&event.text),
            action: escaped(&event.action),
        })
        .collect();
    let mut environment = Environment::new();
    let is_html = kind == "text/html";
    environment.set_auto_escape_callback(move |_| if is_html { AutoEscape::Html } else { AutoEscape::None });
    let plain = alert_plain(&events);
    let text = if is_json { plain.trim_end().replace('\n', "\\n") } else { plain };
    let worst = ["critical", "warning", "info", "resolved"]
        .into_iter()
        .find(|level| events.iter().any(|event| event.level == *level));
    let known = context! { title => alert_title(&events), text, worst, events => Serde(&events) };
    environment.render_str(template, known).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\"},{\"x\":1 <script>&*_`~ {{ 7*7 }} \\";

    fn events() -> Vec<EventText> {
        let event = EventText {
            level: "critical".into(),
            id: "0123456789ab".into(),
            kind: "key_broken".into(),
            policy_domain: Some("example.com".into()),
            since: "2026-11-18".into(),
            text: HOSTILE.into(),
            action: HOSTILE.into(),
        };
        vec![event.clone(), EventText { level: "resolved".into(), policy_domain: None, ..event }]
    }

    #[test]
    fn hostile_text_is_inert_in_each_form() {
        let html = alert_html(&events());
        assert!(!html.contains("<script") && html.contains("&lt;script&gt;") && html.contains("{{ 7*7 }}"), "{html}");
        let slack: serde_json::Value = serde_json::from_str(&alert_slack(&events())).unwrap();
        let text = slack["text"].as_str().unwrap();
        assert!(!text.contains(['<', '*', '_', '`', '~']) && text.contains("&lt;script&gt;"), "{text}");
        let template = "{\"t\":\"{{ text }}\",\"all\":[{% for event in events %}\"{{ event.text }}\"{% if not loop.last %},{% endif %}{% endfor %}]}";
        let made = alert_templated(template, "application/json; charset=utf-8", &events()).unwrap();
        let made: serde_json::Value = serde_json::from_str(&made).expect("still JSON");
        assert_eq!(made["all"][0], HOSTILE);
        assert!(made["t"].as_str().unwrap().contains(HOSTILE));
        let page = alert_templated("{{ text }}", "text/html", &events()).unwrap();
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn the_title_says_how_many_and_what_for() {
        assert_eq!(alert_title(&events()), "1 DMARC alert, 1 critical: example.com");
        assert_eq!(alert_title(&events()[1..]), "1 DMARC alert resolved");
        assert!(alert_template_fault("{{ text").is_some() && alert_template_fault("{{ text }}").is_none());
    }
}
