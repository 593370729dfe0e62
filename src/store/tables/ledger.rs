//! The tables of the ledger, as SQL, and its version.
//!
//! Days are those since 1970-01-01, times milliseconds.

/// The version of the data folder: that of [`TABLES`], plus one for each step of [`ADDED`].
pub(crate) const VERSION: i64 = FIRST_WITH_STEPS + steps(ADDED);

/// How many steps there are; a ledger counts its version in 64 bits.
#[expect(clippy::cast_possible_wrap, reason = "a constant list of a few")]
const fn steps(added: &[&str]) -> i64 {
    added.len() as i64
}

/// The version of [`TABLES`] alone.
pub(crate) const FIRST_WITH_STEPS: i64 = 3;

/// What later versions added, one entry per version, in order: a new ledger runs all of them, an older one those it
/// lacks. A released entry is never edited.
pub(crate) const ADDED: &[&str] = &[EVENTS, OUTBOX, MAILED, UIDLS, DNS_HISTORY, VERDICTS, super::tls::TABLES];

/// The tables of the first version with steps.
pub(crate) const TABLES: &str = "
CREATE TABLE batches (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    committed INTEGER NOT NULL,     -- ms since 1970, UTC; so are all times here
    reports INTEGER NOT NULL,
    records INTEGER NOT NULL
);
CREATE TABLE writer (               -- who may write: every transaction checks that it is of this generation
    id INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL,
    owner TEXT,                     -- JSON; null while nobody writes
    seen INTEGER NOT NULL           -- when the owner last wrote
);
INSERT INTO writer VALUES (1, 0, NULL, 0);
CREATE TABLE intents (              -- what is still to be done to a file, see intents.rs
    path TEXT PRIMARY KEY,          -- below the root
    step TEXT NOT NULL,             -- write, publish, retire, remove
    generation INTEGER NOT NULL     -- of the writer
) WITHOUT ROWID;
CREATE TABLE files (                -- parts and packs
    path TEXT PRIMARY KEY,          -- below the root
    kind TEXT NOT NULL,
    month TEXT NOT NULL,
    batch INTEGER NOT NULL,
    records INTEGER NOT NULL,
    reports INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    hash BLOB                       -- BLAKE3; null of files that a ledger of version 1 listed
) WITHOUT ROWID;
CREATE TABLE reports (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    content BLOB NOT NULL,
    day INTEGER NOT NULL,           -- days since 1970-01-01
    begin INTEGER NOT NULL,
    end INTEGER NOT NULL,
    org_name TEXT NOT NULL,
    org_email TEXT,
    extra_contact_info TEXT,
    report_id TEXT NOT NULL,
    errors TEXT,                    -- JSON array
    generator TEXT,
    version TEXT,
    policy_domain TEXT NOT NULL,
    p TEXT, sp TEXT, np TEXT, adkim TEXT, aspf TEXT, pct INTEGER, fo TEXT, testing TEXT, discovery_method TEXT,
    records INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    dmarc_pass INTEGER NOT NULL,
    origin TEXT NOT NULL,
    attachment TEXT,
    message_id TEXT,
    mail_date TEXT,
    from_domain TEXT,
    authentication_results TEXT,
    sender_auth TEXT NOT NULL,
    arrival INTEGER NOT NULL,
    ingested INTEGER NOT NULL,
    findings TEXT,                  -- JSON array of {code, detail}
    batch INTEGER NOT NULL
);
CREATE INDEX reports_by_day ON reports (day);
CREATE TABLE totals (               -- kept sums of reports
    month TEXT PRIMARY KEY,
    reports INTEGER NOT NULL,
    records INTEGER NOT NULL,
    messages INTEGER NOT NULL,
    dmarc_pass INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE reporters (
    org_name TEXT PRIMARY KEY,
    reports INTEGER NOT NULL,
    newest_end INTEGER NOT NULL,
    newest_arrival INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE seen (                 -- items by the hash of their bytes, and how their contents counted
    hash BLOB PRIMARY KEY,
    reports INTEGER NOT NULL,
    tls_rpt INTEGER NOT NULL,
    failure INTEGER NOT NULL,
    bounce INTEGER NOT NULL,
    other INTEGER NOT NULL,
    rejected INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE rejected (
    hash BLOB PRIMARY KEY,          -- of the bytes; of origin and reason where they were never fetched
    origin TEXT NOT NULL,
    attachment TEXT,
    reason TEXT NOT NULL,
    arrival INTEGER NOT NULL,
    ingested INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    file TEXT                       -- below the root; null where the bytes are not kept
) WITHOUT ROWID;
CREATE INDEX rejected_by_time ON rejected (ingested);
CREATE INDEX rejected_unread ON rejected (origin) WHERE file IS NULL;
CREATE TABLE conflicts (
    key BLOB NOT NULL,
    content BLOB NOT NULL,
    origin TEXT NOT NULL,
    attachment TEXT,
    org_name TEXT NOT NULL,
    report_id TEXT NOT NULL,
    policy_domain TEXT NOT NULL,
    arrival INTEGER NOT NULL,
    ingested INTEGER NOT NULL,
    file TEXT NOT NULL,             -- empty where the quota let the bytes go
    PRIMARY KEY (key, content)
) WITHOUT ROWID;
CREATE INDEX conflicts_kept ON conflicts (ingested) WHERE file <> '';
CREATE TABLE folders (              -- how far each folder of a mailbox was read
    mailbox TEXT NOT NULL,
    folder TEXT NOT NULL,
    uid_validity INTEGER NOT NULL,
    last_uid INTEGER NOT NULL,
    read_at INTEGER NOT NULL,
    PRIMARY KEY (mailbox, folder)
) WITHOUT ROWID;
CREATE TABLE pending (              -- messages that are safe, of which the server was not told yet
    mailbox TEXT NOT NULL,
    folder TEXT NOT NULL,
    uid_validity INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    fate TEXT NOT NULL,
    PRIMARY KEY (mailbox, folder, uid_validity, uid)
) WITHOUT ROWID;
CREATE TABLE done (                 -- ranges of UIDs beyond last_uid that are dealt with too, both ends inside
    mailbox TEXT NOT NULL,
    folder TEXT NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (mailbox, folder, first)
) WITHOUT ROWID;
CREATE TABLE lookups (              -- what DNS said of an address or a name, for as long as it holds
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    answer TEXT,                    -- JSON
    looked_up INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    PRIMARY KEY (name, kind)
) WITHOUT ROWID;
";

/// Acknowledged actions, and alerts.
const EVENTS: &str = "
CREATE TABLE events (               -- actions that were acknowledged, and alerts
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,             -- of an action its change, as repair_key; of an alert as key_broken
    state TEXT NOT NULL,            -- action; of an alert: known, new, resolved
    policy_domain TEXT,
    subject TEXT NOT NULL,          -- what it is about, beside the domain
    since INTEGER,                  -- the first day that shows it
    seen INTEGER,                   -- the last
    told INTEGER,                   -- when it was told
    ended INTEGER,                  -- when its end was told
    body TEXT,                      -- of an alert, JSON: all that is told
    note TEXT,                      -- what was said when it was acknowledged
    acknowledged INTEGER,
    evidence INTEGER                -- messages that showed it then
) WITHOUT ROWID;
";

/// What alerts remember, and messages that are not sent yet.
const OUTBOX: &str = "
CREATE TABLE alert_heard (          -- days on which a run of `alert` saw new reports
    kind TEXT NOT NULL,             -- reporter or domain
    name TEXT NOT NULL,
    run INTEGER NOT NULL,
    PRIMARY KEY (kind, name, run)
) WITHOUT ROWID;
CREATE TABLE alert_senders (        -- what senders of a domain are known by
    policy_domain TEXT NOT NULL,
    mark TEXT NOT NULL,
    last INTEGER NOT NULL,          -- the last day it was seen
    PRIMARY KEY (policy_domain, mark)
) WITHOUT ROWID;
CREATE TABLE alert_state (          -- reports, rejected: up to where they were looked at
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE outbox (               -- what a way out was not told yet
    way TEXT NOT NULL,
    event TEXT NOT NULL,
    state TEXT NOT NULL,            -- new or resolved
    body TEXT NOT NULL,             -- JSON
    queued INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    next INTEGER NOT NULL,          -- not tried again before
    PRIMARY KEY (way, event, state)
) WITHOUT ROWID;
CREATE TABLE mailbox_runs (         -- how the last reading of a mailbox went
    mailbox TEXT PRIMARY KEY,
    read_at INTEGER NOT NULL,       -- the last success; 0: none yet
    failing_since INTEGER,
    failures INTEGER NOT NULL,      -- in a row
    error TEXT
) WITHOUT ROWID;
";

/// Mailed summaries.
const MAILED: &str = "
CREATE TABLE mailed (               -- summaries that a mail server took
    customer TEXT NOT NULL,         -- its name in the settings
    period TEXT NOT NULL,           -- as 2026-W47
    address TEXT NOT NULL,
    mailed INTEGER NOT NULL,
    PRIMARY KEY (customer, period, address)
) WITHOUT ROWID;
CREATE INDEX reports_by_domain ON reports (policy_domain, \"end\");
";

/// POP3.
const UIDLS: &str = "
CREATE TABLE uidls (                -- messages of POP3 mailboxes that are dealt with, by their unique ids
    mailbox TEXT NOT NULL,
    uidl TEXT NOT NULL,
    octets INTEGER,                 -- as the server listed it; null where it did not
    pending INTEGER NOT NULL,       -- 1 where its reports are safe, and the server was not told yet
    PRIMARY KEY (mailbox, uidl)
) WITHOUT ROWID;
";

/// The history of DNS.
const DNS_HISTORY: &str = "
CREATE TABLE dns_names (            -- names looked up on behalf of a domain
    domain TEXT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,             -- TXT, MX, CNAME, TLSA, MTA-STS
    since INTEGER NOT NULL,         -- the first successful lookup, ms since 1970
    last INTEGER NOT NULL,          -- the last successful lookup
    PRIMARY KEY (domain, name, type)
) WITHOUT ROWID;
CREATE TABLE dns_records (          -- what lookups found, and when
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    meaning TEXT NOT NULL,          -- the record without what makes no difference
    value TEXT NOT NULL,            -- as published
    first_seen INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    ended INTEGER,                  -- the first lookup that did not find it; null while it is there
    PRIMARY KEY (name, type, meaning, first_seen)
) WITHOUT ROWID;
";

/// Verdicts of weeks.
const VERDICTS: &str = "
CREATE TABLE verdicts (             -- of complete ISO weeks, see verdicts.rs
    monday INTEGER PRIMARY KEY,     -- days since 1970-01-01
    settings BLOB NOT NULL,         -- hash of what they rest on beside reports
    batch INTEGER NOT NULL,         -- the last that brought a report they rest on
    answer TEXT NOT NULL            -- JSON: senders, domains
);
";
