//! A store as it is after some days on which a zone and the reports changed.

use crate::dns_servers::Scripted;
use crate::workdir::WorkDir;
use jiff::ToSpan as _;
use jiff::civil::{Date, date};
use jiff::tz::Offset;

/// The first day, a Monday.
const FIRST: Date = date(2026, 9, 28);
const REPORTERS: [&str; 3] = ["one.example.org", "two.example.org", "three.example.org"];

/// What a reporter says of a domain on one day.
pub(super) struct PlantedReport {
    pub(super) domain: &'static str,
    /// Tags of the published policy, beside `p`.
    pub(super) tags: String,
    pub(super) rows: String,
}

/// A day by its number, from 0.
pub(super) fn day(number: i32) -> Date {
    FIRST.saturating_add(number.days())
}

/// A store with the reports of three reporters on so many days, in which `check --all` looked at the zone each morning.
pub(super) fn planted<R: IntoIterator<Item = PlantedReport>>(
    domains: &[&str],
    days: i32,
    reports: impl Fn(i32) -> R,
    zone: impl Fn(i32) -> String,
) -> WorkDir {
    let work = WorkDir::new();
    work.write("home/.config/dmarquet/config.toml", format!("domains = {domains:?}\n"));
    for number in 0..days {
        let begin = Offset::UTC.to_timestamp(day(number).at(0, 0, 0, 0)).unwrap().as_second();
        for PlantedReport { domain, tags, rows } in reports(number) {
            for reporter in REPORTERS {
                let report = format!(
                    "<feedback><report_metadata><org_name>{reporter}</org_name><email>d@{reporter}</email><report_id>{number}-{domain}\
                     </report_id><date_range><begin>{begin}</begin><end>{}</end></date_range></report_metadata><policy_published>\
                     <domain>{domain}</domain>{tags}<p>none</p></policy_published>{rows}</feedback>",
                    begin + 86_399
                );
                work.write(format!("reports/{number}-{reporter}-{domain}.xml"), report);
            }
        }
    }
    work.run(["ingest", "-q", "reports"]).quiet();
    for number in 0..days {
        let server = Scripted::start(&zone(number));
        let now = format!("{}T05:30:00Z", day(number));
        work.run(["check", "--all", "--server", &server.address.to_string(), "--now", &now]);
    }
    work
}
