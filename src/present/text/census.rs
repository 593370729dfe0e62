//! The census of reporters as text: faults first, then how policies are found, then software.

use super::layout::{line, section};
use crate::analyze::{Census, CountedText, DomainMethod, ReporterCensus};
use crate::model::{FindingCode, counted};
use crate::present::wording::clean::Clean;
use crate::present::wording::words;

/// Lines of a section; JSON has all.
const NAMED: usize = 15;

/// The census. `differing` are domains that the two ways to find a policy judge differently, and how; `unreadable` whose
/// reports could not be read, and how many.
pub fn census(census: &Census, differing: &[(&str, String)], unreadable: &[(&str, u64)]) -> String {
    let mut text = String::new();
    let newest = census.newest.map_or_else(String::new, |day| format!(", the newest about {day}"));
    let reporters = counted(census.reporters.len() as u64, "reporter", "reporters");
    line(&mut text, 0, &format!("{} from {reporters}{newest}", counted(census.reports, "report", "reports")));
    if census.more_reports > 0 {
        line(&mut text, 0, &format!("{} from others", counted(census.more_reports, "more report", "more reports")));
    }
    listed(
        &mut text,
        "Defects in reports",
        &of_each(
            census,
            |reporter| &reporter.defects,
            |code| {
                let meaning = FindingCode::ALL.iter().find(|known| known.as_str() == code).map(|known| known.meaning());
                format!("{code}: {}", meaning.unwrap_or_default().trim_end_matches('.'))
            },
        ),
    );
    let unreadable = unreadable
        .iter()
        .map(|(receiver, items)| format!("{}: {}", Clean::new(&(*receiver).into()), counted(*items, "item", "items")));
    listed(&mut text, "Could not be read, by the name in their file names", &unreadable.collect::<Vec<_>>());
    listed(
        &mut text,
        "Errors that reporters state",
        &of_each(census, |reporter| &reporter.errors, |error| format!("\"{}\"", Clean::new(&error.into()))),
    );
    methods(&mut text, census);
    listed(&mut text, "Judged differently by tree walk and suffix list", &differing_lines(census, differing));
    listed(
        &mut text,
        "Software",
        &of_each(census, |reporter| &reporter.generators, |name| Clean::new(&name.into()).to_string()),
    );
    text
}

/// One line per text of each reporter, those in most reports first.
fn of_each(
    census: &Census,
    texts: impl Fn(&ReporterCensus) -> &Vec<CountedText>,
    say: impl Fn(&str) -> String,
) -> Vec<String> {
    let all = census.reporters.iter().flat_map(|reporter| texts(reporter).iter().map(move |text| (reporter, text)));
    let mut all: Vec<(&ReporterCensus, &CountedText)> = all.collect();
    all.sort_by_key(|(_, text)| std::cmp::Reverse(text.reports));
    let one = |(reporter, text): (&ReporterCensus, &CountedText)| {
        let (name, amount) = (Clean::new(&reporter.org_name), counted(text.reports, "report", "reports"));
        format!("{name}: {} ({amount}, the newest about {})", say(text.text.as_written()), text.newest)
    };
    all.into_iter().map(one).collect()
}

fn listed(text: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    section(text, title);
    lines.iter().take(NAMED).for_each(|words| line(text, 1, words));
    if let Some(more) = lines.len().checked_sub(NAMED).filter(|more| *more > 0) {
        line(text, 1, &format!("... and {more} more; --format json lists all"));
    }
}

/// How the reporters find policies, by what their newest reports say.
fn methods(text: &mut String, census: &Census) {
    let newest = |reporter: &ReporterCensus| {
        let latest = reporter.discovery_methods.iter().max_by_key(|method| (method.newest, method.reports));
        latest.map(|method| method.text.as_written().to_owned()).unwrap_or_default()
    };
    let of = |word: &str| census.reporters.iter().filter(|reporter| newest(reporter) == word).collect::<Vec<_>>();
    let mut lines = Vec::new();
    for (word, title) in [("treewalk", "by the tree walk"), ("psl", "by the suffix list"), ("other", "in another way")]
    {
        let reporters = of(word);
        if !reporters.is_empty() {
            let names = words::each_shown(reporters.iter().take(NAMED).map(|reporter| &reporter.org_name));
            let more = reporters.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            lines.push(format!("{title}: {}{more}", names.join(", ")));
        }
    }
    if !lines.is_empty() {
        lines.push(format!("not said: {}", counted(of("unsaid").len() as u64, "reporter", "reporters")));
    }
    listed(text, "How reporters find the policy", &lines);
}

fn differing_lines(census: &Census, differing: &[(&str, String)]) -> Vec<String> {
    let mut lines: Vec<String> =
        differing.iter().map(|(domain, how)| format!("{}: {how}", Clean::new(&(*domain).into()))).collect();
    let mut methods: Vec<&DomainMethod> = census.methods.iter().filter(|method| method.method == "psl").collect();
    methods.sort_by_key(|method| std::cmp::Reverse((method.newest, method.reports)));
    lines.extend(methods.into_iter().map(|method| {
        format!(
            "{} still uses the suffix list for {} ({}, the newest about {})",
            Clean::new(&method.org_name),
            Clean::new(&method.policy_domain),
            counted(method.reports, "report", "reports"),
            method.newest
        )
    }));
    lines
}
