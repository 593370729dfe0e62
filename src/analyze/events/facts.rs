//! Adds up the rows and reports of the last weeks for the rules: who saw which key, return path and sender on which
//! day.

use super::by_source::{BySource, EventFact, MailFact, Room};
use crate::analyze::period::number;
use crate::analyze::sums::interner::{IdMap, Interner};
use crate::judge::organizational;
use crate::model::{ColumnSet, Flags, ReportHead, Rows, SenderAuth, SignatureColumns, SourceAddress, Text, Words};
use jiff::civil::Date;
use std::collections::BTreeMap;

/// Days before today that are examined.
pub(crate) const WEEKS_DAYS: i32 = 56;

/// What distinguishes the senders of a domain: the network, and the domains that authenticate the mail.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct SenderMarks {
    pub(crate) network: SourceAddress,
    /// The domain's own keys that verify: signing domain and selector.
    pub(crate) keys: Vec<(u32, u32)>,
    /// Other organizations whose signature verifies.
    pub(crate) signers: Vec<u32>,
    /// Another organization whose return path SPF proves.
    pub(crate) path: Option<u32>,
    /// SPF proves the domain's own return path.
    pub(crate) own_path: bool,
}

/// A policy in one report; omitted tags have their defaults.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ShownPolicy {
    pub(crate) day: i32,
    pub(crate) reporter: u32,
    pub(crate) values: [String; 6],
}

/// The tags of [`ShownPolicy::values`].
pub(crate) const TAGS: [&str; 6] = ["p", "sp", "np", "adkim", "aspf", "pct"];

/// Everything the rules examine.
#[derive(Debug, Default)]
pub struct EventFacts {
    today: i32,
    pub(super) room: Room,
    names: Interner<Text>,
    /// The organization of each name.
    organizations: Vec<u32>,
    reporters: Interner<Text>,
    /// A reporter's display name, by its mail domain.
    pub(crate) shown_names: BTreeMap<u32, Text>,
    /// The reporter behind a name in the rows.
    by_name: IdMap<Text, u32>,
    /// By domain, signing domain and selector.
    pub(crate) keys: BTreeMap<(u32, u32, u32), BySource<EventFact>>,
    /// By domain and return path.
    pub(crate) paths: BTreeMap<(u32, u32), BySource<EventFact>>,
    /// By domain.
    pub(crate) mail: BTreeMap<u32, BySource<MailFact>>,
    /// By domain.
    pub(crate) senders: BTreeMap<u32, BTreeMap<SenderMarks, BySource<EventFact>>>,
    /// By domain.
    pub(crate) policies: BTreeMap<u32, Vec<ShownPolicy>>,
    /// The newest day covered by each reporter's reports.
    pub(crate) newest_of_reporter: BTreeMap<u32, i32>,
    /// The newest day covered by reports about each domain.
    pub(crate) newest_on_domain: BTreeMap<u32, i32>,
    /// The domains that each reporter reports on.
    pub(crate) reported: BTreeMap<u32, std::collections::BTreeSet<u32>>,
}

/// Identifies who sent a report: the domain of its mail address, because spellings of the name vary; without an
/// address, its name.
pub fn reporter_identity(org_email: Option<&str>, org_name: &str) -> Text {
    let domain =
        org_email.and_then(|email| email.rsplit_once('@')).map(|(_, domain)| domain.trim().trim_end_matches('.'));
    match domain.filter(|domain| !domain.is_empty()) {
        Some(domain) => Text::from(organizational(&domain.to_lowercase())),
        None => Text::from(org_name.to_lowercase()),
    }
}

impl EventFacts {
    /// Empty facts. Reports must be added before rows.
    pub fn new(today: Date) -> Self {
        Self { today: number(today), ..Self::default() }
    }

    /// The first day that is examined.
    pub fn first_day(today: Date) -> Date {
        crate::analyze::period::date(number(today) - WEEKS_DAYS)
    }

    /// The columns that the rules need.
    pub const COLUMNS: ColumnSet = ColumnSet::DAY
        .with(ColumnSet::SOURCE)
        .with(ColumnSet::COUNT)
        .with(ColumnSet::ALIGNMENT)
        .with(ColumnSet::POLICY_DOMAIN)
        .with(ColumnSet::ORG_NAME)
        .with(ColumnSet::DISPOSITION)
        .with(ColumnSet::DKIM_DOMAIN)
        .with(ColumnSet::DKIM_SELECTOR)
        .with(ColumnSet::DKIM_RESULT)
        .with(ColumnSet::SPF_DOMAIN)
        .with(ColumnSet::SPF_RESULT)
        .with(ColumnSet::SENDER_AUTH)
        .with(ColumnSet::SIGNATURES);

    pub(crate) fn today(&self) -> i32 {
        self.today
    }

    pub(crate) fn name(&self, id: u32) -> &Text {
        self.names.get(id)
    }

    /// Whether any mail of a domain from an address passes DMARC.
    pub(crate) fn passes(&self, domain: u32, source: SourceAddress) -> bool {
        let facts = self.mail.get(&domain).and_then(|mail| mail.get(source));
        facts.is_some_and(|facts| facts.iter().any(|fact| fact.passed > 0))
    }

    /// The ID of a reporter's mail domain.
    pub(crate) fn reporter_id(&self, reporter: &str) -> Option<u32> {
        self.reporters.find(reporter)
    }

    /// The ID of a name.
    pub(crate) fn name_id(&self, name: &str) -> Option<u32> {
        self.names.find(name)
    }

    /// Whether there were more names or addresses than are told apart.
    pub(crate) fn is_crowded(&self) -> bool {
        self.room.is_used_up()
    }

    /// A name in a row. One that is new when there is no room has only an organization, if that is known.
    fn row_name(&mut self, name: &str) -> RowName {
        let known = self.names.find(name);
        let id = known.or_else(|| self.room.take(NAME + name.len()).then(|| self.id(name)));
        let organization = id.map_or_else(|| self.names.find(organizational(name)), |id| Some(self.organization(id)));
        RowName { id, organization }
    }

    fn id(&mut self, name: &str) -> u32 {
        let id = self.names.id(name, || name.into());
        if id as usize >= self.organizations.len() {
            self.organizations.push(id);
            let organization = organizational(name).to_owned();
            let of = self.names.id(&organization, || organization.as_str().into());
            if of as usize >= self.organizations.len() {
                self.organizations.push(of);
            }
            self.organizations[id as usize] = of;
        }
        id
    }

    fn organization(&self, id: u32) -> u32 {
        self.organizations[id as usize]
    }

    /// Adds a report.
    pub fn head(&mut self, head: &ReportHead) {
        let identity = reporter_identity(head.org_email.as_deref(), &head.org_name);
        let reporter = self.reporters.id(&identity, || identity.clone());
        self.by_name.insert(head.org_name.clone(), reporter);
        self.shown_names.insert(reporter, head.org_name.clone());
        let day = number(head.day);
        if head.sender_auth == SenderAuth::Fail || day > self.today {
            return;
        }
        let domain = self.id(head.policy.domain.as_str());
        self.reported.entry(reporter).or_default().insert(domain);
        let newest = self.newest_of_reporter.entry(reporter).or_insert(day);
        *newest = day.max(*newest);
        let newest = self.newest_on_domain.entry(domain).or_insert(day);
        *newest = day.max(*newest);
        let policy = &head.policy;
        let Some(p) = &policy.p else { return };
        let lower = |text: &Text| text.as_str().to_lowercase();
        let p = lower(p);
        let sp = policy.sp.as_ref().map_or_else(|| p.clone(), lower);
        let np = policy.np.as_ref().map_or_else(|| sp.clone(), lower);
        let mode = |mode: Option<&Text>| mode.map_or_else(|| "r".to_owned(), lower);
        let pct = policy.pct.unwrap_or(100).to_string();
        let values = [p, sp, np, mode(policy.adkim.as_ref()), mode(policy.aspf.as_ref()), pct];
        self.policies.entry(domain).or_default().push(ShownPolicy { day, reporter, values });
    }

    /// Adds rows.
    pub fn rows(&mut self, rows: &Rows) {
        let names = |facts: &mut Self, words: &Words| -> Vec<RowName> {
            words.dictionary.iter().map(|word| facts.row_name(word)).collect()
        };
        let domains: Vec<u32> = rows.policy_domain.dictionary.iter().map(|domain| self.id(domain)).collect();
        let (dkim_domains, selectors) = (names(self, &rows.dkim_domain), names(self, &rows.dkim_selector));
        let spf_domains = names(self, &rows.spf_domain);
        let reporters: Vec<u32> = rows.org_name.dictionary.iter().map(|name| self.reporter_of(name)).collect();
        for row in 0..rows.len {
            let day = rows.day[row];
            let forged = rows.sender_auth.get(row) == Some(SenderAuth::Fail.as_str());
            let (Some(domain), Some(reporter)) =
                (at(&domains, &rows.policy_domain, row), at(&reporters, &rows.org_name, row))
            else {
                continue;
            };
            if forged || day > self.today || day < self.today - WEEKS_DAYS {
                continue;
            }
            let count = rows.count[row].max(0).unsigned_abs();
            let pass = rows.flags[row].has(Flags::PASS);
            let mut signatures = Vec::new();
            if let Some(lines) = rows.signatures.get(row) {
                for one in SignatureColumns::all(lines) {
                    let (domain, selector) = (self.row_name(one.domain), self.row_name(one.selector));
                    signatures.push(RowSignature::new(domain, selector, Some(one.result)));
                }
            } else if let Some(d) = at(&dkim_domains, &rows.dkim_domain, row) {
                let selector = at(&selectors, &rows.dkim_selector, row).unwrap_or_else(|| self.row_name(""));
                signatures.push(RowSignature::new(d, selector, rows.dkim_result.get(row)));
            }
            let path = at(&spf_domains, &rows.spf_domain, row).map(|path| (path, outcome(rows.spf_result.get(row))));
            let blocked = matches!(rows.disposition.get(row), Some("reject" | "quarantine"));
            let seen = EventRow { domain, source: rows.source[row], day, reporter, count, pass, blocked };
            self.add(&seen, &signatures, path);
        }
    }

    /// The reporter with a name. One without a known report is identified by its name.
    fn reporter_of(&mut self, name: &str) -> u32 {
        if let Some(known) = self.by_name.get(name) {
            return *known;
        }
        let identity = reporter_identity(None, name);
        let id = self.reporters.id(&identity, || identity.clone());
        self.by_name.insert(name.into(), id);
        self.shown_names.entry(id).or_insert_with(|| name.into());
        id
    }

    fn add(&mut self, seen: &EventRow, signatures: &[RowSignature], path: Option<(RowName, Option<bool>)>) {
        let &EventRow { domain, source, day, reporter, count, pass, blocked } = seen;
        let own = self.organization(domain);
        let signers = signatures.iter().filter(|one| one.works == Some(true)).filter_map(|one| one.organization);
        let owner = path.filter(|(_, works)| *works == Some(true)).and_then(|(path, _)| path.organization);
        let voucher = signers.chain(owner).find(|name| *name != own);
        let fact = |works: bool| EventFact {
            day,
            reporter,
            good: if works { count } else { 0 },
            bad: if works { 0 } else { count },
            lost: if works || pass { 0 } else { count },
            voucher,
        };
        let mut marks = SenderMarks {
            network: crate::analyze::sums::shards::network(source),
            keys: Vec::new(),
            signers: Vec::new(),
            path: None,
            own_path: false,
        };
        let mut signed_as_own = false;
        // There was no room for the name of something that authenticates the mail: it is no sender of its own.
        let mut is_nameless = false;
        let mut done: Vec<(u32, u32)> = Vec::new();
        for RowSignature { key, organization, works } in signatures {
            if *organization != Some(own) {
                if *works == Some(true) {
                    is_nameless |= organization.is_none();
                    marks.signers.extend(organization);
                }
                continue;
            }
            signed_as_own = true;
            let Some(works) = *works else { continue };
            let Some(key) = *key else {
                is_nameless |= works;
                continue;
            };
            // Of two signatures with one key, the one that works counts.
            let best = signatures.iter().any(|other| (other.key, other.works) == (Some(key), Some(true)));
            if done.contains(&key) || works != best {
                continue;
            }
            done.push(key);
            if works {
                marks.keys.push(key);
            }
            if let Some(facts) = self.room.entry(&mut self.keys, (domain, key.0, key.1)) {
                facts.add(source, fact(works), &mut self.room);
            }
        }
        if let Some((path, works)) = path {
            let is_own = path.organization == Some(own);
            match works {
                Some(works) if is_own => {
                    marks.own_path = works;
                    if let Some(path) = path.id
                        && let Some(facts) = self.room.entry(&mut self.paths, (domain, path))
                    {
                        facts.add(source, fact(works), &mut self.room);
                    }
                }
                Some(true) => {
                    is_nameless |= path.organization.is_none();
                    marks.path = path.organization;
                }
                _ => {}
            }
        }
        let vouched = is_nameless
            || !marks.keys.is_empty()
            || !marks.signers.is_empty()
            || marks.path.is_some()
            || marks.own_path;
        let alone = if pass || vouched || signed_as_own { 0 } else { count };
        let mail = MailFact {
            day,
            reporter,
            passed: if pass { count } else { 0 },
            failed: if pass { 0 } else { count },
            unauthenticated: alone,
            blocked: if blocked { alone } else { 0 },
        };
        self.mail.entry(domain).or_default().add(source, mail, &mut self.room);
        if vouched && !is_nameless {
            marks.keys.sort_unstable();
            marks.signers.sort_unstable();
            marks.signers.dedup();
            if let Some(facts) = self.room.entry(self.senders.entry(domain).or_default(), marks) {
                facts.add(source, fact(pass), &mut self.room);
            }
        }
    }
}

/// Bytes of a name beside its text, and of its organization's.
const NAME: usize = 64;

/// A name in a row: its ID, if it is told apart, and its organization's, if that is.
#[derive(Debug, Clone, Copy)]
struct RowName {
    id: Option<u32>,
    organization: Option<u32>,
}

/// A signature of a row: its signing domain and selector, if both are told apart.
struct RowSignature {
    key: Option<(u32, u32)>,
    organization: Option<u32>,
    works: Option<bool>,
}

impl RowSignature {
    fn new(domain: RowName, selector: RowName, result: Option<&str>) -> Self {
        Self { key: domain.id.zip(selector.id), organization: domain.organization, works: outcome(result) }
    }
}

/// What a row's word was translated to.
fn at<T: Copy>(translated: &[T], words: &Words, row: usize) -> Option<T> {
    translated.get(words.codes[row] as usize).copied()
}

/// A number of messages as a float.
#[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
pub(crate) fn float(messages: u64) -> f64 {
    messages as f64
}

/// The parts of a row that all rules need.
struct EventRow {
    domain: u32,
    source: SourceAddress,
    day: i32,
    reporter: u32,
    count: u64,
    pass: bool,
    blocked: bool,
}

/// Whether an authentication worked; `None` if the result says nothing: a temporary error is not a failure.
fn outcome(result: Option<&str>) -> Option<bool> {
    match result {
        Some("pass") => Some(true),
        None | Some("temperror" | "none" | "unknown" | "") => None,
        Some(_) => Some(false),
    }
}
