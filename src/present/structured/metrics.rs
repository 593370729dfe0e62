//! Metrics in the Prometheus text format. Hostile label values are harmless.

use crate::present::wording::clean::Clean;
use std::fmt::Write as _;

/// One metric with its samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its description in a sentence.
    pub help: &'static str,
    /// Label names and values, and the value.
    pub samples: Vec<(Vec<(&'static str, String)>, f64)>,
}

impl Metric {
    /// A metric without samples.
    pub fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, samples: Vec::new() }
    }

    /// Adds a sample.
    #[must_use]
    pub fn with(mut self, labels: Vec<(&'static str, String)>, value: f64) -> Self {
        self.samples.push((labels, value));
        self
    }

    /// A metric of one sample without labels.
    pub fn single(name: &'static str, help: &'static str, value: f64) -> Self {
        Self::new(name, help).with(Vec::new(), value)
    }
}

/// The text format, version 0.0.4. All metrics are gauges: they describe the current state, not a count since start.
pub fn metrics(metrics: &[Metric]) -> String {
    let mut out = String::new();
    for Metric { name, help, samples } in metrics.iter().filter(|metric| !metric.samples.is_empty()) {
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "# HELP {name} {}\n# TYPE {name} gauge", help.replace('\\', "\\\\").replace('\n', "\\n"));
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.iter().map(|(label, text)| format!("{label}=\"{}\"", escaped(text))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(out, "{name}{labels} {value}");
        }
    }
    out
}

fn escaped(text: &str) -> String {
    let clean = Clean::new(&text.into()).to_string();
    clean.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_label_forges_no_sample() {
        let label = "a\"} 1\ndmarquet_forged 1\u{1b}[31m\\".to_owned();
        let text = metrics(&[
            Metric::new("dmarquet_x", "What.").with(vec![("policy_domain", label)], 3.0),
            Metric::new("dmarquet_none", "Nothing."),
        ]);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.ends_with("\\\\\"} 3\n") && text.chars().all(|char| char == '\n' || !char.is_control()), "{text}");
    }
}
