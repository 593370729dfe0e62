//! Tests for every output format.

use super::wording::clean;
use super::wording::style::Style;
use crate::analyze::Summary;
use crate::analyze::tests::fixtures::Line;
use crate::analyze::tests::tls::{failing, row as tls_row};
use crate::analyze::tests::weeks::{World, day};
use crate::model::Cause;
use crate::present::*;

const HOSTILE: &str = "<script>alert(1)</script>\u{1b}]0;x\u{7}\u{202e}|`*_[a](http://x.example)=1+1\u{9b}2J\"'&amp;";

/// A summary with hostile text in every field a reporter controls.
pub(crate) fn hostile() -> Summary {
    let mut tls = tls_row(&day(1), HOSTILE, (HOSTILE, HOSTILE), (10, 8));
    tls.policy.policy_strings = vec![HOSTILE.into(), "mode: enforce".into()];
    let mut tls = failing(failing(tls, HOSTILE, HOSTILE, 5), "certificate-expired", HOSTILE, 3);
    tls.policy.failures.iter_mut().for_each(|failure| failure.reason_code = Some(HOSTILE.into()));
    let mut world = World::new();
    for line in &mut world.lines {
        if line.reporter == "Yahoo" {
            line.reporter = HOSTILE.into();
        }
    }
    world.lines.retain(|line| !(line.reporter == HOSTILE && line.day.to_string() >= day(0)));
    world.add(0..6, |day| {
        let line = Line::new(day, "198.51.100.77", 50).dkim(HOSTILE, HOSTILE, "pass").spf(HOSTILE, "pass");
        line.verdict(0, Cause::AuthenticatedUnaligned)
    });
    world
        .lines
        .iter_mut()
        .filter(|line| line.source == "192.0.2.10".parse().ok())
        .for_each(|line| line.header_from = HOSTILE.into());
    let mut adder = crate::analyze::Adder::new(&World::question());
    adder.rows(&crate::analyze::tests::fixtures::rows(&world.lines));
    adder.heads(&world.heads());
    adder.tls(&tls_row(&day(-7), HOSTILE, (HOSTILE, HOSTILE), (10, 0)));
    adder.tls(&tls);
    let summary = adder.finish();
    assert!(summary.tls[0].causes.len() == 2 && summary.tls[0].causes[0].new);
    summary
}

#[test]
fn the_summary_of_a_day_names_it_once_and_calls_no_mail_yours_that_is_not() {
    let mut summary = hostile();
    summary.period.week = None;
    summary.period.from = summary.period.to;
    let day = summary.period.to.unwrap();
    let told = |summary: &Summary| text(summary, &Branding::default(), &Style::default()).replace('\n', " ");
    assert!(told(&summary).contains(&format!(", {} (UTC)", day.year())) && !told(&summary)[..60].contains(" to "));
    assert!(mail_subject(&summary).starts_with(&format!("DMARC {day}: ")), "{}", mail_subject(&summary));
    // Of a domain that sends nothing.
    summary.senders.clear();
    for domain in &mut summary.domains {
        (domain.readiness.legitimate, domain.readiness.lost_now) = (0, 0);
    }
    assert!(told(&summary).contains("None of this mail is known to be yours."));
    summary.domains[0].readiness.legitimate = 1;
    assert!(told(&summary).contains("All your senders pass."));
}

#[test]
fn hostile_text_is_inert_in_every_rendering() {
    let (summary, style) = (hostile(), Style::default());
    let renderings = [
        text(&summary, &Branding::default(), &style),
        markdown(&summary, &Branding::default()),
        html(&summary, &Branding::default()),
        json(&summary),
        csv(&summary),
    ];
    for rendering in &renderings {
        let wrong = rendering.chars().find(|char| !matches!(char, '\n' | '\r') && !clean::is_shown(*char));
        assert_eq!(wrong, None, "{rendering}");
    }
    let [text, markdown, html, _, _] = renderings;
    assert!(text.contains("<script>"), "the text says what was written");
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;"), "{html}");
    assert!(
        !markdown.contains("<script") && !markdown.replace("\\]", "").contains("](") && !markdown.contains("http://"),
        "{markdown}"
    );
}

#[test]
fn the_page_loads_nothing_from_elsewhere() {
    let html = html(&hostile(), &Branding::default());
    for reach in ["src=", "@import", "<script", "<link", "<img", "<iframe", " onload"] {
        assert!(!html.contains(reach), "{reach}");
    }
    // Links and patterns refer to the page itself.
    for (before, place) in [("href=\"", '#'), ("url(", '#')] {
        assert!(html.split(before).skip(1).all(|rest| rest.starts_with(place)), "{before}");
    }
}

#[test]
fn no_data_is_no_data_in_every_rendering() {
    let summary = crate::analyze::Adder::new(&crate::analyze::Question::default()).finish();
    let (style, brand) = (Style::default(), Branding::default());
    let renderings = [text(&summary, &brand, &style), markdown(&summary, &brand), html(&summary, &brand)];
    for rendering in renderings {
        assert!(rendering.contains("No data"), "{rendering}");
        assert!(!rendering.contains(" 0%") && !rendering.contains(">0%"), "{rendering}");
    }
    assert_eq!(csv(&summary).lines().count(), 1);
}
