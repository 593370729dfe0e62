//! A census of the reporters: what software makes their reports, how they find the policy, what they say went wrong,
//! and what was wrong with their reports.

use super::foreign::Foreign;
use crate::model::{FindingCode, ReportNotes, Text};
use jiff::civil::Date;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Maximum number of reporters counted separately; a stranger can report under any name.
const REPORTERS: usize = 5_000;
/// Maximum number of texts of one kind counted separately per reporter.
const TEXTS: usize = 20;
/// Characters kept of a text.
const TEXT_CHARS: usize = 200;

/// The reporters of a store.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Census {
    /// Reports.
    pub reports: u64,
    /// The newest day that any is about.
    pub newest: Option<Date>,
    /// Those with most reports first.
    pub reporters: Vec<ReporterCensus>,
    /// Reports of reporters beyond the first 5,000.
    pub more_reports: u64,
    /// Of the domains asked about: who reports on them, and how each finds the policy.
    pub methods: Vec<DomainMethod>,
}

/// One reporter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReporterCensus {
    /// Its name.
    pub org_name: Foreign,
    /// Its reports.
    pub reports: u64,
    /// The newest day they are about.
    pub newest: Date,
    /// How it finds the policy: `psl`, `treewalk`, `other`, or `unsaid`. Only RFC 9990 has it.
    pub discovery_methods: Vec<CountedText>,
    /// The software that made its reports.
    pub generators: Vec<CountedText>,
    /// What it says went wrong.
    pub errors: Vec<CountedText>,
    /// What was wrong with its reports: codes of findings.
    pub defects: Vec<CountedText>,
}

/// A text, and in how many reports it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CountedText {
    /// The text, cut to 200 characters.
    pub text: Foreign,
    /// How many reports.
    pub reports: u64,
    /// The newest day they are about.
    pub newest: Date,
}

/// How a reporter finds the policy of a domain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DomainMethod {
    /// The policy domain in its reports.
    pub policy_domain: Foreign,
    /// The method, as in [`ReporterCensus`].
    pub method: &'static str,
    /// The reporter.
    pub org_name: Foreign,
    /// How many reports.
    pub reports: u64,
    /// The newest day they are about.
    pub newest: Date,
}

/// How often, and the newest day.
#[derive(Debug, Clone, Copy)]
struct Tally(u64, Date);

impl Tally {
    const NONE: Self = Self(0, Date::MIN);

    fn add(&mut self, day: Date) {
        self.0 += 1;
        self.1 = self.1.max(day);
    }
}

#[derive(Debug)]
struct ReporterTally {
    all: Tally,
    methods: BTreeMap<&'static str, Tally>,
    /// Generators, errors, defects.
    texts: [BTreeMap<Text, Tally>; 3],
}

/// Adds reports up to a [`Census`].
#[derive(Debug, Default)]
pub struct CensusTaker {
    reports: u64,
    newest: Option<Date>,
    reporters: HashMap<Text, ReporterTally>,
    more_reports: u64,
    current: BTreeSet<Text>,
    methods: BTreeMap<(Text, &'static str, Text), Tally>,
}

impl CensusTaker {
    /// A census that also says who reports on these domains, and how each finds their policy.
    pub fn new(current: impl IntoIterator<Item = Text>) -> Self {
        Self { current: current.into_iter().collect(), ..Self::default() }
    }

    /// Adds a report.
    pub fn add(&mut self, notes: &ReportNotes) {
        self.reports += 1;
        self.newest = self.newest.max(Some(notes.day));
        if self.reporters.len() >= REPORTERS && !self.reporters.contains_key(&notes.org_name) {
            self.more_reports += 1;
            return;
        }
        let reporter = self.reporters.entry(notes.org_name.clone()).or_insert_with(|| ReporterTally {
            all: Tally::NONE,
            methods: BTreeMap::new(),
            texts: Default::default(),
        });
        let method = method(notes.discovery_method.as_deref());
        reporter.all.add(notes.day);
        reporter.methods.entry(method).or_insert(Tally::NONE).add(notes.day);
        let defects: BTreeSet<&Text> = notes.findings.iter().filter(|code| is_defect(code)).collect();
        let errors: BTreeSet<&Text> = notes.errors.iter().collect();
        let [of_generators, of_errors, of_defects] = &mut reporter.texts;
        notes.generator.iter().for_each(|generator| count(of_generators, generator, notes.day));
        errors.into_iter().for_each(|error| count(of_errors, error, notes.day));
        defects.into_iter().for_each(|code| count(of_defects, code, notes.day));
        if self.current.contains(&notes.policy_domain) {
            let key = (notes.policy_domain.clone(), method, notes.org_name.clone());
            self.methods.entry(key).or_insert(Tally::NONE).add(notes.day);
        }
    }

    /// The census.
    pub fn finish(self) -> Census {
        let one = |(org_name, tally): (Text, ReporterTally)| {
            let [generators, errors, defects] = tally.texts.map(counted);
            ReporterCensus {
                org_name: org_name.into(),
                reports: tally.all.0,
                newest: tally.all.1,
                discovery_methods: counted(tally.methods.into_iter().map(|(word, tally)| (word.into(), tally))),
                generators,
                errors,
                defects,
            }
        };
        let mut reporters: Vec<ReporterCensus> = self.reporters.into_iter().map(one).collect();
        reporters.sort_by(|a, b| (b.reports, &a.org_name).cmp(&(a.reports, &b.org_name)));
        let methods = self.methods.into_iter().map(|((policy_domain, method, org_name), tally)| DomainMethod {
            policy_domain: policy_domain.into(),
            method,
            org_name: org_name.into(),
            reports: tally.0,
            newest: tally.1,
        });
        Census {
            reports: self.reports,
            newest: self.newest,
            reporters,
            more_reports: self.more_reports,
            methods: methods.collect(),
        }
    }
}

/// The word for how a reporter found the policy.
fn method(said: Option<&str>) -> &'static str {
    match said.map(|word| word.trim().to_ascii_lowercase()).as_deref() {
        Some("psl") => "psl",
        Some("treewalk") => "treewalk",
        None | Some("") => "unsaid",
        Some(_) => "other",
    }
}

/// Whether a finding is a fault of the reporter: not those about the mail around a report, a domain that is not the
/// user's, or our limits.
fn is_defect(code: &str) -> bool {
    let known = FindingCode::ALL.iter().find(|known| known.as_str() == code);
    let others = [FindingCode::DOMAIN_FOREIGN, FindingCode::FINDINGS_MORE, FindingCode::LIMIT_DROPPED];
    known.is_some_and(|code| !code.is_of_mail() && !others.contains(code))
}

fn count(texts: &mut BTreeMap<Text, Tally>, text: &Text, day: Date) {
    let text: Text = text.chars().take(TEXT_CHARS).collect();
    if texts.len() < TEXTS || texts.contains_key(&text) {
        texts.entry(text).or_insert(Tally::NONE).add(day);
    }
}

fn counted(texts: impl IntoIterator<Item = (Text, Tally)>) -> Vec<CountedText> {
    let one = |(text, tally): (Text, Tally)| CountedText { text: text.into(), reports: tally.0, newest: tally.1 };
    let mut counted: Vec<CountedText> = texts.into_iter().map(one).collect();
    counted.sort_by_key(|counted| Reverse(counted.reports));
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(org_name: &str, day: &str) -> ReportNotes {
        ReportNotes {
            org_name: org_name.into(),
            policy_domain: "example.com".into(),
            day: day.parse().unwrap(),
            generator: None,
            discovery_method: None,
            errors: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn taken(current: &[&str], reports: &[ReportNotes]) -> Census {
        let mut taker = CensusTaker::new(current.iter().map(|domain| Text::from(*domain)));
        reports.iter().for_each(|notes| taker.add(notes));
        taker.finish()
    }

    fn told(texts: &[CountedText]) -> Vec<String> {
        texts.iter().map(|one| format!("{} {} {}", one.text.as_written(), one.reports, one.newest)).collect()
    }

    #[test]
    fn reporters_are_counted_by_software_method_and_errors() {
        let walks = |day| ReportNotes { discovery_method: Some("TreeWalk".into()), ..notes("one.example", day) };
        let odd = ReportNotes {
            generator: Some("reportd 2.1".into()),
            errors: vec!["no answer".into(), "no answer".into()],
            findings: ["period.unit", "period.unit", "mail.unproven", "domain.foreign"].map(Text::from).to_vec(),
            ..notes("two.example", "2026-11-20")
        };
        let census = taken(
            &["example.com"],
            &[walks("2026-11-19"), walks("2026-11-21"), notes("one.example", "2026-11-01"), odd],
        );
        assert_eq!((census.reports, census.newest), (4, "2026-11-21".parse().ok()));
        let [one, two] = &census.reporters[..] else { panic!("{census:?}") };
        assert_eq!(told(&one.discovery_methods), ["treewalk 2 2026-11-21", "unsaid 1 2026-11-01"]);
        assert!(one.defects.is_empty() && one.errors.is_empty());
        assert_eq!(told(&two.generators), ["reportd 2.1 1 2026-11-20"]);
        assert_eq!(told(&two.errors), ["no answer 1 2026-11-20"], "once a report");
        assert_eq!(told(&two.defects), ["period.unit 1 2026-11-20"]);
        let methods: Vec<_> =
            census.methods.iter().map(|of| (of.method, of.org_name.as_written(), of.reports)).collect();
        assert_eq!(
            methods,
            [("treewalk", "one.example", 2), ("unsaid", "one.example", 1), ("unsaid", "two.example", 1)]
        );
        assert!(taken(&["example.org"], &[notes("one.example", "2026-11-19")]).methods.is_empty());
    }

    #[test]
    fn the_number_of_made_up_names_is_bounded() {
        let mut reports: Vec<ReportNotes> =
            (0..REPORTERS + 7).map(|number| notes(&format!("r{number}"), "2026-11-20")).collect();
        reports.extend((0..TEXTS + 5).map(|number| ReportNotes {
            errors: vec![format!("{number}{}", "x".repeat(5000)).into()],
            ..notes("r0", "2026-11-20")
        }));
        let census = taken(&[], &reports);
        assert_eq!((census.reporters.len(), census.more_reports), (REPORTERS, 7));
        let errors = &census.reporters[0].errors;
        assert_eq!(errors.len(), TEXTS);
        assert!(errors.iter().all(|error| error.text.as_written().len() == TEXT_CHARS));
    }
}
