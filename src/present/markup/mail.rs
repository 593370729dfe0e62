//! The summary as a mail: a subject with the state, text, and HTML for mail clients, with tables, inline styles, and
//! neither variables, SVG nor external resources.

use super::html::rendered;
use crate::analyze::{Summary, TlsSummary};
use crate::present::page::shared::to_do;
use crate::present::page::summary::page;
use crate::present::text::summary::text;
use crate::present::wording::branding::Branding;
use crate::present::wording::instructions;
use crate::present::wording::numbers::{count, counted, percent};
use crate::present::wording::style::Style;
use crate::present::wording::words;
use minijinja::{context, value::Serde};
use serde::Serialize;

/// The parts of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SummaryMail {
    /// The subject, one line.
    pub subject: String,
    /// The text form.
    pub text: String,
    /// The HTML, less than 100 KB: Gmail cuts off the rest.
    pub html: String,
}

/// Limits on the content of a mail.
#[derive(Debug, Clone, Copy, Serialize)]
struct MailBounds {
    actions: usize,
    changes: usize,
    domains: usize,
    senders: usize,
    tls: usize,
}

const BOUNDS: MailBounds = MailBounds { actions: 6, changes: 12, domains: 20, senders: 12, tls: 6 };

/// The summary as a mail. `site` is the address of the archive of static pages, if there is one.
///
/// # Panics
/// Never: the template is part of the program, and tested.
pub fn mail(summary: &Summary, branding: &Branding, site: Option<&str>) -> SummaryMail {
    let page = page(summary, branding);
    let site = site.map(|site| format!("{}/", site.trim_end_matches('/')));
    let week = site.as_ref().and_then(|site| Some(format!("{site}weeks/{}.html", summary.period.week.as_ref()?)));
    let html = rendered(
        "mail.html",
        context! { page => Serde(&page), most => Serde(BOUNDS), site => &site, week => &week, preheader => preheader(summary) },
    );
    let mut text = text(summary, branding, &Style::default());
    if let Some(week) = week.as_ref().or(site.as_ref()) {
        text = format!("{text}\nThe same with charts and history: {week}\n");
    }
    SummaryMail { subject: subject(summary), text, html }
}

/// `DMARC 2026-W47: 5 things to do, 4,132 spoofed messages not blocked, 83.7% pass`.
pub fn subject(summary: &Summary) -> String {
    let period = format!("DMARC {}", words::period(&summary.period));
    let period = period.trim_end();
    let of_tls = summary.tls.iter().any(TlsSummary::is_failing);
    if summary.totals.sums.messages == 0 {
        let what = match summary.totals.reports {
            _ if of_tls => "TLS sessions failed",
            0 => "no reports",
            _ => "no messages",
        };
        return format!("{period}: {what}");
    }
    let actions = (to_do(summary).count() as u64).saturating_add(summary.more_actions);
    let open = summary.spoofing.not_blocked();
    let parts = [
        (actions > 0).then(|| counted(actions, "thing to do", "things to do")),
        (open > 0).then(|| format!("{} not blocked", counted(open, "spoofed message", "spoofed messages"))),
        of_tls.then(|| "TLS sessions failed".to_owned()),
        Some(format!("{} pass", percent(summary.totals.sums.pass_rate()))),
    ];
    format!("{period}: {}", parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// The subject and the one line of a mail that only shows that all is well, and that dmarquet runs.
pub fn heartbeat(summary: &Summary) -> (String, String) {
    let (period, totals) = (words::period(&summary.period), &summary.totals);
    let line = format!(
        "All well, {period}: {} from {} about {}; {} of {} pass DMARC. dmarquet is running, and sends the full summary when \
         there is something to do.",
        counted(totals.reports, "report", "reports"),
        counted(totals.reporters, "reporter", "reporters"),
        counted(summary.domains.len() as u64, "domain", "domains"),
        percent(totals.sums.pass_rate()),
        words::messages(totals.sums.messages),
    );
    (format!("DMARC summary {period}: all well"), line)
}

/// The preview that clients show after the subject.
fn preheader(summary: &Summary) -> String {
    let first = to_do(summary).next().map(instructions::title);
    let first = first.map(|title| format!("First: {title}. ")).unwrap_or_default();
    let totals = &summary.totals;
    format!(
        "{first}{} messages, {} from {}.",
        count(totals.sums.messages),
        counted(totals.reports, "report", "reports"),
        counted(totals.reporters, "reporter", "reporters")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyze::ActionState;
    use crate::analyze::tests::{fixtures::Line, weeks};

    #[test]
    fn the_subject_carries_the_state() {
        let mut world = weeks::World::new();
        assert_eq!(subject(&world.summary()), "DMARC 2026-W47: 1 thing to do, 99.3% pass");
        let mut summary = world.summary();
        summary.actions[0].tracking.state = ActionState::Fixed;
        assert_eq!(subject(&summary), "DMARC 2026-W47: 99.3% pass", "what is fixed is not to be done");
        assert!(!preheader(&summary).contains("First"));
        world.lines.clear();
        assert_eq!(subject(&world.summary()), "DMARC 2026-W47: no reports");
    }

    #[test]
    fn a_mail_about_hundreds_of_domains_is_not_cut_off() {
        let mut world = weeks::World::new();
        for number in 0..300 {
            let domain = format!("the-long-name-of-a-customer-{number:03}.example");
            world.add(-14..7, |day| Line::new(day, "192.0.2.10", 30).domain(&domain).unauthenticated());
        }
        let size = mail(&world.summary(), &Branding::default(), Some("https://dmarc.example.com")).html.len();
        assert!(size < 100_000, "{size} bytes");
    }

    #[test]
    fn a_mail_links_to_the_archive_if_there_is_one() {
        let summary = weeks::World::new().summary();
        let with = mail(&summary, &Branding::default(), Some("https://dmarc.example.com/"));
        for part in [&with.text, &with.html] {
            assert!(part.contains("https://dmarc.example.com/weeks/2026-W47.html"), "{part}");
        }
        assert!(!mail(&summary, &Branding::default(), None).html.contains("href="));
    }
}
