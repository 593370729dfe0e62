//! Tests of the pages of all synthetic weeks.

use super::summary::page;
use crate::analyze::RepeatedReports;
use crate::analyze::tests::weeks;

/// All statements about the synthetic weeks, to be reviewed by a person.
#[test]
fn the_planted_weeks_are_described_in_these_words() {
    let mut told = String::new();
    for planted in weeks::planted() {
        let page = page(&planted.world.summary(), &crate::present::wording::branding::Branding::default());
        told.extend(["# ", planted.event, "\n"]);
        let lead = page.lead.iter().map(|line| format!("Lead: {line}"));
        let tiles = page
            .tiles
            .iter()
            .map(|tile| format!("{}: {} [{:?} {}] {}", tile.label, tile.number, tile.mark, tile.state, tile.note));
        let actions = page.actions.iter().flat_map(|todo| {
            let facts: Vec<String> = todo.facts.iter().map(|(label, value)| format!("{label}: {value}")).collect();
            let record: Vec<String> =
                todo.record.iter().map(|part| format!("{}: {}", part.label, part.value)).collect();
            [
                format!("Do: {}. {} {}", todo.title, todo.how, todo.why),
                format!("    {} / {}", record.join(", "), facts.join(", ")),
            ]
        });
        let doubts = page.doubts.iter().map(|doubt| format!("Doubt: {} {}", doubt.text, doubt.lines.join(" / ")));
        let domains = page.domains.iter().flat_map(|domain| {
            let details = domain.details.iter().map(|line| format!("{}: {line}", domain.domain));
            [format!(
                "{}: {}, {}, [{:?} {}] {}",
                domain.domain, domain.policy, domain.usual, domain.mark, domain.state, domain.why
            )]
            .into_iter()
            .chain(details)
        });
        let changes = page.changes.iter().map(|news| format!("Changed: {}: {}", news.head, news.text));
        let quality = page.quality.iter().map(|line| format!("Quality: {line}"));
        let lines = lead.chain(tiles).chain(actions).chain(doubts).chain(changes).chain(domains).chain(quality);
        for line in lines {
            told.extend(["  ", &line, "\n"]);
        }
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_lone_reporter_is_named_beside_the_step_and_among_the_limits_of_the_data() {
    let mut world = weeks::World::new();
    for line in &mut world.lines {
        let is_own = line.source == "192.0.2.10".parse().ok() && line.reporter == "GMX";
        if is_own && line.day.to_string() >= weeks::day(0) {
            *line = line.clone().dkim("example.com", "mail", "fail").spf("example.com", "fail");
            *line = line.clone().verdict(0, crate::model::Cause::OwnSigningBroken);
        }
    }
    let mut summary = world.summary();
    summary.quality.repeated_reports.push(RepeatedReports {
        org_name: summary.quality.lone_reporters[0].org_name.clone(),
        policy_domain: summary.quality.lone_reporters[0].policy_domain.clone(),
        reports: 2,
        messages: 1,
        days: Vec::new(),
    });
    let page = page(&summary, &crate::present::wording::branding::Branding::default());
    let step = page.actions.iter().find(|action| action.step).unwrap();
    let said = "GMX alone reports that 314 messages of yours fail there this week. It would quarantine them. The other \
                receivers see this mail pass, so they do not count against this step.";
    assert!(step.why.ends_with(said), "{}", step.why);
    assert_eq!(page.domains[0].why, "No mail of yours would be lost, except perhaps at GMX");
    for line in [
        "GMX sees mail of example.com fail that passes at the other receivers (314 messages). Verdicts ignore its reports \
         of this period about this domain.",
        "GMX sent 2 reports about example.com again under another ID (1 message): verdicts count the same rows once.",
    ] {
        assert!(page.quality.iter().any(|said| said == line), "{:?}", page.quality);
    }
}
