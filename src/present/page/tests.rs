//! The page of every planted week.

use super::summary::page;
use crate::analyze::weeks;

/// Everything a page claims of the planted weeks, to be read by a person: of most of them next to nothing.
#[test]
fn the_planted_weeks_are_told_in_these_words() {
    let mut told = String::new();
    for planted in weeks::planted() {
        let page = page(&planted.world.summary(), &crate::present::wording::branding::Branding::default());
        told.extend(["# ", planted.event, "\n"]);
        let answers = page.answers.iter().map(|answer| format!("{} {}", answer.question, answer.text));
        let actions = page.actions.iter().map(|todo| format!("Do: {} {}: {}", todo.change, todo.cause, todo.evidence));
        let doubts = page.doubts.iter().map(|doubt| format!("Doubt: {} {}", doubt.text, doubt.lines.join(" / ")));
        let domains = page.domains.iter().flat_map(|domain| {
            let details = domain.details.iter().map(|line| format!("{}: {line}", domain.domain));
            [format!("{}: {}, {}, {}", domain.domain, domain.policy, domain.usual, domain.readiness)]
                .into_iter()
                .chain(details)
        });
        let changes = page.changes.iter().map(|line| format!("Changed: {line}"));
        let quality = page.quality.iter().map(|line| format!("Quality: {line}"));
        for line in answers.chain(actions).chain(doubts).chain(changes).chain(domains).chain(quality) {
            told.extend(["  ", &line, "\n"]);
        }
    }
    insta::assert_snapshot!(told);
}
