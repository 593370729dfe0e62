//! The published policy as receivers saw it, day by day. Reporters omit tags and see changes late: a value counts when
//! most reports that state it say so on the last two days with reports, and a change is reported when it lasts. The
//! next period starts from the value at this period's end, so that no change is reported twice and none is missed.

use crate::analyze::foreign::Foreign;
use crate::analyze::period::date;
use crate::analyze::senders::View;
use crate::analyze::sums::heads::PolicySeen;
use jiff::civil::Date;
use serde::Serialize;
use std::collections::BTreeMap;

/// A tag of the policy that changed in the period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicyChange {
    /// The domain.
    pub policy_domain: Foreign,
    /// The tag, such as `p`.
    pub tag: &'static str,
    /// The old value as seen; `None` if the tag was absent.
    pub from: Option<Foreign>,
    /// The new value; `None` if the tag is absent.
    pub to: Option<Foreign>,
    /// The first day a report shows the new value.
    pub day: Date,
    /// Reports about that day: each may contain mail judged by either policy (RFC 9990).
    pub mixed_reports: u64,
}

/// A tag, the value that stands for its absence, and how to read it.
struct PolicyTag {
    name: &'static str,
    absent: Option<&'static str>,
    read: fn(&PolicySeen) -> Option<Foreign>,
}

const TAGS: [PolicyTag; 7] = [
    PolicyTag { name: "p", absent: None, read: |policy| policy.p.clone() },
    PolicyTag { name: "sp", absent: None, read: |policy| policy.sp.clone().or_else(|| policy.p.clone()) },
    PolicyTag { name: "np", absent: None, read: |policy| policy.np.clone() },
    PolicyTag { name: "adkim", absent: Some("r"), read: |policy| policy.adkim.clone() },
    PolicyTag { name: "aspf", absent: Some("r"), read: |policy| policy.aspf.clone() },
    PolicyTag { name: "pct", absent: Some("100"), read: |policy| policy.pct.map(|pct| pct.to_string().into()) },
    PolicyTag { name: "t", absent: Some("n"), read: |policy| policy.testing.clone() },
];

/// The policies a record can ask for, the mildest first.
pub(crate) const STRICTNESS: [&str; 3] = ["none", "quarantine", "reject"];

/// The place of a policy among [`STRICTNESS`]; `None` for any other word.
pub(crate) fn strictness(policy: &str) -> Option<usize> {
    STRICTNESS.iter().position(|known| *known == policy)
}

/// Reports by policy, of one domain, by day.
type PolicyDays<'a> = BTreeMap<i32, Vec<(&'a PolicySeen, u64)>>;

fn days<'a>(view: &'a View<'_>, domain: u32) -> PolicyDays<'a> {
    let mut days: PolicyDays<'a> = BTreeMap::new();
    for (day, policy, reports) in view.added.common.heads.policies(domain) {
        days.entry(day).or_default().push((policy, reports));
    }
    days
}

/// The value of a tag that most reports of some days state; ties go to the value that sorts first.
fn prevailing<'a>(tag: &PolicyTag, days: impl Iterator<Item = &'a Vec<(&'a PolicySeen, u64)>>) -> Option<Foreign> {
    let mut values: BTreeMap<Foreign, u64> = BTreeMap::new();
    for (policy, reports) in days.flatten() {
        if let Some(value) = (tag.read)(policy) {
            *values.entry(value).or_default() += reports;
        }
    }
    let most = *values.values().max()?;
    values.into_iter().find(|(_, reports)| *reports == most).map(|(value, _)| value)
}

/// How many days back the first report of a change is searched: one that arrived late belongs to the period before.
const LATE: i32 = 7;

/// The last two days with reports, of some days.
fn last_two<'a, 'd>(
    days: impl DoubleEndedIterator<Item = (&'d i32, &'d Vec<(&'a PolicySeen, u64)>)>,
) -> Vec<&'d Vec<(&'a PolicySeen, u64)>>
where
    'a: 'd,
{
    days.rev().take(2).map(|(_, seen)| seen).collect()
}

/// The policy at the period's end.
pub(crate) fn now(view: &View<'_>, domain: u32) -> Option<PolicySeen> {
    let days = days(view, domain);
    let last = last_two(days.iter().filter(|(day, _)| view.is_current(**day)));
    (!last.is_empty()).then(|| seen(&last))
}

/// The policy in the reports of each day.
pub(crate) fn by_day(view: &View<'_>, domain: u32) -> Vec<(Date, PolicySeen)> {
    days(view, domain).iter().map(|(day, shown)| (date(*day), seen(&[shown]))).collect()
}

/// What most reports of some days state, tag by tag.
fn seen(days: &[&Vec<(&PolicySeen, u64)>]) -> PolicySeen {
    let most = |tag: usize| prevailing(&TAGS[tag], days.iter().copied());
    let stated_sp = PolicyTag { name: "sp", absent: None, read: |policy| policy.sp.clone() };
    let (p, followed) = (most(0), most(1));
    let rank = |policy: Option<&Foreign>| policy.and_then(|policy| strictness(policy.as_written()));
    // Most reports that leave `sp` out say that it follows `p`. A few that state a stricter one are no proof of it: the
    // next step of `p` would not be judged by mail of subdomains.
    let is_proven = |sp: &Foreign| followed.as_ref() == Some(sp) || rank(Some(sp)) < rank(p.as_ref());
    let sp = prevailing(&stated_sp, days.iter().copied()).filter(is_proven);
    let pct = most(5).and_then(|pct| pct.as_written().parse().ok());
    PolicySeen { sp, np: most(2), adkim: most(3), aspf: most(4), pct, testing: most(6), p }
}

/// The `p` at the end of each period of this many days; `None` if no report says.
pub(crate) fn by_period(
    view: &View<'_>,
    domain: u32,
    starts: impl Iterator<Item = i32>,
    length: i32,
) -> Vec<Option<Foreign>> {
    let days = days(view, domain);
    let at_end = |start: i32| {
        let last = last_two(days.range(start..start.saturating_add(length)));
        prevailing(&TAGS[0], last.into_iter())
    };
    starts.map(at_end).collect()
}

/// What changed in the period, in the order of the tags.
pub(crate) fn changes(view: &View<'_>, domain: u32) -> Vec<PolicyChange> {
    let days = days(view, domain);
    let current: Vec<i32> = days.keys().copied().filter(|day| view.is_current(*day)).collect();
    let (Some(first), Some(last)) = (current.first(), current.last()) else { return Vec::new() };
    let mut before = last_two(days.range(..*first));
    if before.is_empty() {
        before = days.get(first).into_iter().collect();
    }
    let after = last_two(days.range(*first..=*last));
    let mut changes = Vec::new();
    for tag in &TAGS {
        let (from, to) = (prevailing(tag, before.iter().copied()), prevailing(tag, after.iter().copied()));
        let written = |value: Option<&Foreign>| value.map(Foreign::as_written).or(tag.absent).map(str::to_owned);
        // If no report states a tag without a default, nothing is known about it.
        let (Some(was), Some(is)) = (written(from.as_ref()), written(to.as_ref())) else { continue };
        let shows = |seen: &[(&PolicySeen, u64)]| {
            seen.iter().any(|(policy, _)| written((tag.read)(policy).as_ref()).as_ref() == Some(&is))
        };
        let since = days.range(first - LATE..=*last).find(|(_, seen)| shows(seen)).map(|(day, _)| *day);
        // A subdomain policy that only follows `p` is not a separate change.
        let is_same = |change: &PolicyChange| change.tag == "p" && change.to == to;
        let follows = tag.name == "sp" && changes.iter().any(is_same);
        if let Some(day) = since.filter(|_| was != is && !follows) {
            let mixed_reports = days.get(&day).into_iter().flatten().map(|(_, reports)| reports).sum();
            let (policy_domain, day) = (view.foreign(domain), date(day));
            changes.push(PolicyChange { policy_domain, tag: tag.name, from, to, day, mixed_reports });
        }
    }
    changes
}
