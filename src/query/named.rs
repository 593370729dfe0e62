//! The built-in queries. Each is one SELECT for which DuckDB gives the same result on an export.

use jiff::civil::{Date, ISOWeekDate};

/// The default period of a named query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultPeriod {
    /// Those of the last complete ISO week.
    LastWeek,
    /// Everything stored.
    All,
}

/// A built-in query.
#[derive(Debug, Clone, Copy)]
pub struct NamedQuery {
    /// Its name.
    pub name: &'static str,
    /// What it answers, in a phrase.
    pub answers: &'static str,
    /// Its default period.
    pub period: DefaultPeriod,
    /// The SELECT; `{week}` stands for an ISO week such as `2026-W47`, `{from}` and `{to}` for its first and last day.
    sql: &'static str,
}

impl NamedQuery {
    /// Finds a query by its name.
    pub fn find(name: &str) -> Option<&'static Self> {
        NAMED_QUERIES.iter().find(|query| query.name == name)
    }

    /// The SELECT for a week, given by a day of it; `None` means everything that is stored.
    pub fn sql(&self, week: Option<Date>) -> String {
        let (from, to, name) = match week.map(Date::iso_week_date) {
            Some(week) => (
                week.first_of_week().map_or(Date::MIN, ISOWeekDate::date),
                week.last_of_week().map_or(Date::MAX, ISOWeekDate::date),
                format!("{:04}-W{:02}", week.year(), week.week()),
            ),
            None => (Date::constant(1, 1, 1), Date::constant(9999, 12, 31), String::new()),
        };
        self.sql.replace("{from}", &from.to_string()).replace("{to}", &to.to_string()).replace("{week}", &name)
    }
}

/// The queries, in the order of the list.
pub const NAMED_QUERIES: &[NamedQuery] = &[
    NamedQuery {
        name: "spoofers",
        answers: "addresses that use your domains without any sign of being yours",
        period: DefaultPeriod::LastWeek,
        sql: "SELECT address AS source_ip, SUM(messages) AS messages, COUNT(DISTINCT policy_domain) AS domains \
              FROM senders WHERE week = '{week}' AND role = 'suspect' \
              GROUP BY address ORDER BY messages DESC, source_ip",
    },
    NamedQuery {
        name: "lost",
        answers: "domains whose own mail is blocked, or would be under a stricter policy",
        period: DefaultPeriod::LastWeek,
        sql: "SELECT policy_domain, SUM(lost_now) AS lost_now, SUM(would_be_lost) AS would_be_lost \
              FROM senders WHERE week = '{week}' \
              GROUP BY policy_domain HAVING SUM(lost_now) + SUM(would_be_lost) > 0 \
              ORDER BY lost_now DESC, would_be_lost DESC, policy_domain",
    },
    NamedQuery {
        name: "pass-rate",
        answers: "messages by week and how many of them pass DMARC",
        period: DefaultPeriod::All,
        sql: "SELECT STRFTIME(date, '%G-W%V') AS week, SUM(count) AS messages, \
              SUM(CASE WHEN dmarc_pass THEN count ELSE 0 END) AS pass_messages \
              FROM records WHERE date BETWEEN CAST('{from}' AS DATE) AND CAST('{to}' AS DATE) \
              GROUP BY STRFTIME(date, '%G-W%V') ORDER BY week",
    },
    NamedQuery {
        name: "daily",
        answers: "messages by day: all, passing, quarantined and rejected",
        period: DefaultPeriod::All,
        sql: "SELECT date, SUM(count) AS messages, SUM(CASE WHEN dmarc_pass THEN count ELSE 0 END) AS pass_messages, \
              SUM(CASE WHEN disposition = 'quarantine' THEN count ELSE 0 END) AS quarantined, \
              SUM(CASE WHEN disposition = 'reject' THEN count ELSE 0 END) AS rejected \
              FROM records WHERE date BETWEEN CAST('{from}' AS DATE) AND CAST('{to}' AS DATE) \
              GROUP BY date ORDER BY date",
    },
    NamedQuery {
        name: "senders",
        answers: "who sends as your domains, in which role, and how much of it passes",
        period: DefaultPeriod::LastWeek,
        sql: "SELECT policy_domain, address, signs_as, role, cause, messages, pass_messages \
              FROM senders WHERE week = '{week}' \
              ORDER BY messages DESC, policy_domain, address, signs_as",
    },
    NamedQuery {
        name: "readiness",
        answers: "whether each domain can publish a stricter policy",
        period: DefaultPeriod::LastWeek,
        sql: "SELECT policy_domain, policy, readiness, messages, pass_messages, reporters \
              FROM domains WHERE week = '{week}' ORDER BY messages DESC, policy_domain",
    },
    NamedQuery {
        name: "new-sources",
        answers: "source addresses that were never seen before",
        period: DefaultPeriod::LastWeek,
        sql: "SELECT source_ip, MIN(date) AS first_day, SUM(count) AS messages, \
              SUM(CASE WHEN dmarc_pass THEN count ELSE 0 END) AS pass_messages \
              FROM records WHERE source_ip IS NOT NULL AND date <= CAST('{to}' AS DATE) \
              GROUP BY source_ip HAVING MIN(date) >= CAST('{from}' AS DATE) \
              ORDER BY messages DESC, source_ip",
    },
    NamedQuery {
        name: "causes",
        answers: "why messages fail or only just pass, by domain",
        period: DefaultPeriod::LastWeek,
        sql: "SELECT policy_domain, cause, SUM(count) AS messages \
              FROM records WHERE date BETWEEN CAST('{from}' AS DATE) AND CAST('{to}' AS DATE) \
              GROUP BY policy_domain, cause ORDER BY messages DESC, policy_domain, cause",
    },
    NamedQuery {
        name: "selectors",
        answers: "DKIM keys in use: signing domain, selector and result",
        period: DefaultPeriod::LastWeek,
        sql: "SELECT dkim_domain, dkim_selector, dkim_result, SUM(count) AS messages \
              FROM records WHERE dkim_domain IS NOT NULL AND date BETWEEN CAST('{from}' AS DATE) AND CAST('{to}' AS DATE) \
              GROUP BY dkim_domain, dkim_selector, dkim_result \
              ORDER BY messages DESC, dkim_domain, dkim_selector, dkim_result",
    },
    NamedQuery {
        name: "header-from",
        answers: "domains in the From header, and what receivers did with their mail",
        period: DefaultPeriod::LastWeek,
        sql: "SELECT header_from, policy_domain, SUM(count) AS messages, \
              SUM(CASE WHEN dmarc_pass THEN count ELSE 0 END) AS pass_messages, \
              SUM(CASE WHEN disposition IN ('quarantine', 'reject') THEN count ELSE 0 END) AS blocked \
              FROM records WHERE date BETWEEN CAST('{from}' AS DATE) AND CAST('{to}' AS DATE) \
              GROUP BY header_from, policy_domain ORDER BY messages DESC, header_from, policy_domain",
    },
    NamedQuery {
        name: "overrides",
        answers: "failing messages that receivers did not block although the policy asks for it",
        period: DefaultPeriod::LastWeek,
        sql: "SELECT org_name, policy_domain, p, SUM(count) AS messages \
              FROM records WHERE NOT dmarc_pass AND p IN ('quarantine', 'reject') AND disposition = 'none' \
              AND date BETWEEN CAST('{from}' AS DATE) AND CAST('{to}' AS DATE) \
              GROUP BY org_name, policy_domain, p ORDER BY messages DESC, org_name, policy_domain, p",
    },
    NamedQuery {
        name: "mismatches",
        answers: "reporters whose results disagree with what they report as evidence",
        period: DefaultPeriod::LastWeek,
        sql: "SELECT org_name, mismatch, COUNT(*) AS records, SUM(count) AS messages \
              FROM records WHERE mismatch IS NOT NULL \
              AND date BETWEEN CAST('{from}' AS DATE) AND CAST('{to}' AS DATE) \
              GROUP BY org_name, mismatch ORDER BY messages DESC, org_name, mismatch",
    },
    NamedQuery {
        name: "tls-failures",
        answers: "sessions that could not be encrypted, by MX host and kind of failure",
        period: DefaultPeriod::LastWeek,
        sql: "SELECT policy_domain, receiving_mx_hostname, result_type, SUM(failed_sessions) AS failed_sessions, \
              COUNT(DISTINCT org_name) AS reporters \
              FROM tls_failures WHERE date BETWEEN CAST('{from}' AS DATE) AND CAST('{to}' AS DATE) \
              GROUP BY policy_domain, receiving_mx_hostname, result_type \
              ORDER BY failed_sessions DESC, policy_domain, receiving_mx_hostname, result_type",
    },
    NamedQuery {
        name: "reporters",
        answers: "who reports: reports, messages and the newest day of each",
        period: DefaultPeriod::All,
        sql: "SELECT org_name, COUNT(*) AS reports, SUM(messages) AS messages, MAX(date) AS newest_day \
              FROM reports WHERE date BETWEEN CAST('{from}' AS DATE) AND CAST('{to}' AS DATE) \
              GROUP BY org_name ORDER BY reports DESC, org_name",
    },
];

#[cfg(test)]
mod tests {
    use super::{DefaultPeriod, NAMED_QUERIES, NamedQuery};
    use crate::query::SelectQuery;
    use jiff::civil::date;
    use std::fmt::Write as _;
    use std::path::Path;

    /// `DMARQUET_UPDATE_DOCS=1` writes the page.
    #[test]
    fn the_page_describes_each_of_them() {
        const MARK: &str = "<!-- generated -->\n";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/query.md");
        let page = std::fs::read_to_string(&path).unwrap();
        let (written, found) = page.split_once(MARK).expect("the mark that stands before what is generated");
        let mut made = String::new();
        for query in NAMED_QUERIES {
            let about = if query.period == DefaultPeriod::LastWeek { "last week" } else { "everything" };
            let sql = query.sql.split_whitespace().collect::<Vec<_>>().join(" ");
            let sql = [" FROM ", " WHERE ", " GROUP BY ", " HAVING ", " ORDER BY "]
                .iter()
                .fold(sql, |sql, word| sql.replace(word, &format!("\n{}", word.trim_start())));
            write!(
                made,
                "\n### {}\n\nAnswers: {}. Without `--week` about **{about}**.\n\n```sql\n{sql}\n```\n",
                query.name, query.answers
            )
            .unwrap();
        }
        if std::env::var_os("DMARQUET_UPDATE_DOCS").is_some() {
            return std::fs::write(&path, format!("{written}{MARK}{made}")).unwrap();
        }
        assert!(
            found == made,
            "docs/query.md is stale; run DMARQUET_UPDATE_DOCS=1 cargo test --features query --lib query::named"
        );
    }

    #[test]
    fn each_is_a_select_with_its_week_filled_in() {
        assert!(NAMED_QUERIES.len() >= 12);
        for query in NAMED_QUERIES {
            for week in [None, Some(date(2026, 11, 18))] {
                let sql = query.sql(week);
                assert!(!sql.contains('{') && SelectQuery::parse(&sql).is_ok(), "{sql}");
            }
            assert!(query.name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", query.name);
        }
        let sql = NamedQuery::find("spoofers").unwrap().sql(Some(date(2027, 1, 1)));
        assert!(sql.contains("week = '2026-W53'"), "{sql}");
        let sql = NamedQuery::find("daily").unwrap().sql(Some(date(2026, 11, 22)));
        assert!(sql.contains("CAST('2026-11-16' AS DATE) AND CAST('2026-11-22' AS DATE)"), "{sql}");
    }
}
