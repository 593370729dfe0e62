//! Every threshold of the judgment, with its unit and its reason. `docs/judging.md` explains them.

/// Days that readiness, and who a sender is, are judged by, ending with the period: eight weeks hold two runs of anything
/// monthly.
pub(crate) const JUDGED_DAYS: i32 = 56;

/// Days of reports before a verdict: one run of anything monthly.
pub(crate) const ENOUGH_DAYS: i32 = 28;

/// Days without any report after which the days of reports begin anew: nobody's mail is so rare that a month passes
/// between two runs, so reports were lost, or the first one came by chance.
pub(crate) const LONGEST_GAP: i32 = 31;

/// Legitimate messages before a verdict: no stray mail.
pub(crate) const ENOUGH_MESSAGES: u64 = 100;

/// Reporters before anything is claimed: one alone may be the one that is wrong.
pub(crate) const ENOUGH_REPORTERS: usize = 2;

/// Messages from which a loss or a fault is more than chance.
pub(crate) const NO_CHANCE: u64 = 10;

/// At most one in this many TLS sessions fails by chance: connections break, and servers restart. 1%.
pub(crate) const TLS_CHANCE_ONE_IN: u64 = 100;

/// Addresses of an action, those with most messages, whose mail must pass before it is said that a repair worked.
pub(crate) const FOLLOWED: usize = 20;

/// Messages from which a sender is worth a line.
pub(crate) const WORTH_A_LINE: u64 = 20;

/// Messages from which a sender that was seen in one week only is no stray mail.
pub(crate) const NO_STRAY: u64 = 100;

/// One in this many legitimate messages is a visible loss: less looks like the noise of forwarding.
pub(crate) const VISIBLE_ONE_IN: u64 = 500;

/// More than one in this many messages that pass through lists and forwarders is a loss that people notice: 0.5%.
pub(crate) const NOTICED_ONE_IN: u64 = 200;

/// Days without a failure after which a sender is repaired: two of each weekly run.
pub(crate) const REPAIRED_DAYS: i32 = 14;

/// Days on which a steady sender was seen, at least.
pub(crate) const STEADY_DAYS: usize = 3;

/// Calendar weeks in which a service was seen, at least: a campaign is over after one, a service returns.
pub(crate) const STEADY_WEEKS: usize = 2;

/// Weeks after which an unknown sender is more than a passing spoofer.
pub(crate) const STAYING_WEEKS: usize = 4;

/// A network, or the organization of a return path, with one in this many of a selector's verified messages is a home
/// of the selector, if no source listed in SPF signs with it: 20%.
pub(crate) const HOME_ONE_IN: u64 = 5;

/// The same if listed sources do sign with it: forwarding from one place is seldom 10% of a sender's mail.
pub(crate) const SECOND_HOME_ONE_IN: u64 = 10;

/// Messages of one address with a return path that passed SPF, from which the address is known by it.
pub(crate) const KNOWN_BY_SPF: u64 = 10;

/// Messages with a return path that pass SPF, from which mail with this return path from elsewhere is a forwarded copy:
/// spoofers do not guess the names of bounce domains.
pub(crate) const BOUNCE_NAME: u64 = 20;

/// Messages of a source seen by two other reporters, from which on it shows whether a third one sees what nobody else
/// sees.
pub(crate) const SEEN_BY_OTHERS: u64 = 5;

/// At most one in this many of them fails if a source is healthy: 95% pass.
pub(crate) const HEALTHY_ONE_IN: u64 = 20;

/// One in this many broken signatures is a fault of the sender, not damage in transit: 5%.
pub(crate) const BROKEN_ONE_IN: u64 = 20;

/// At most one in this many messages is signed if a sender does not sign: 95% are unsigned.
pub(crate) const UNSIGNED_ONE_IN: u64 = 20;

/// At most one in this many messages passes if a sender fails as a whole.
pub(crate) const WHOLE_ONE_IN: u64 = 10;

/// Foreign authenticated messages in a network, from which it is taken to be shared with others.
pub(crate) const SHARED: u64 = 10;

/// Spoofed messages from which a week is a wave.
pub(crate) const WAVE: u64 = 100;

/// A wave has more than this many times the median of the seven periods before.
pub(crate) const WAVE_TIMES: u64 = 4;

/// At least one in this many messages of a wave was not blocked: only then is it an alert.
pub(crate) const WAVE_NOT_BLOCKED_ONE_IN: u64 = 5;

/// A reporter that saw one in this many messages is missed when it falls silent.
pub(crate) const MISSED_ONE_IN: u64 = 10;

/// A domain that authenticates failing mail, and one in this many of whose messages has a signature of the domain's
/// other senders, is a forwarder: 5%.
pub(crate) const PASSED_ON_ONE_IN: u64 = 20;
