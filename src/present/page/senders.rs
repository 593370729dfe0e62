//! The senders by role: the user's own, services, forwarders and lists, unclear ones; suspects in one line.

use super::shared::{Mark, share};
use crate::analyze::{Evidence, Role, Sender, Summary};
use crate::model::Cause;
use crate::present::wording::clean::Clean;
use crate::present::wording::numbers::{count, counted, percent};
use crate::present::wording::words;
use serde::Serialize;
use std::net::IpAddr;

/// Maximum number of senders on a page.
const LISTED: usize = 40;

/// Maximum number of suspects on a page.
const SUSPECTS: usize = 10;

/// Senders of one kind.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SenderList {
    pub(crate) head: &'static str,
    /// Their number, and a note.
    pub(crate) note: String,
    pub(crate) lines: Vec<SenderLine>,
}

/// A sender in a line.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SenderLine {
    /// Its name if it has one, else its address or network.
    pub(crate) name: String,
    /// Its address if `name` is not one, and the number of addresses.
    pub(crate) address: String,
    pub(crate) domain: String,
    pub(crate) messages: String,
    pub(crate) pass: String,
    pub(crate) dkim: String,
    pub(crate) spf: String,
    pub(crate) reporters: String,
    /// `Oct 6 to Nov 22`.
    pub(crate) seen: String,
    /// Its role and the reasons, separated by commas.
    pub(crate) role: &'static str,
    pub(crate) mark: Mark,
    pub(crate) state: String,
    pub(crate) why: String,
    /// Its messages in percent of those of the largest sender.
    pub(crate) size: u64,
    /// Its page in an archive; empty if there is none.
    pub(crate) href: String,
    /// Its address, and how many leading bits count.
    #[serde(skip)]
    pub(crate) source: (Option<IpAddr>, u8),
}

/// Mail that is probably spoofed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SuspectFold {
    pub(crate) mark: Mark,
    /// `4,268 messages from 64 addresses; receivers blocked 136 of them`.
    pub(crate) text: String,
    pub(crate) lines: Vec<SuspectLine>,
    /// A note about omitted lines; empty if there are none.
    pub(crate) note: String,
}

/// A source of spoofed mail.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SuspectLine {
    pub(crate) source: String,
    pub(crate) about: String,
    pub(crate) domain: String,
    pub(crate) messages: String,
    pub(crate) blocked: String,
    pub(crate) reporters: String,
    pub(crate) seen: String,
}

/// The lists, limited to the senders of a page.
pub(super) fn lists(summary: &Summary) -> Vec<SenderList> {
    let listed = |sender: &&Sender| sender.who.role != Role::Suspect;
    let senders: Vec<&Sender> = summary.senders.iter().filter(listed).collect();
    let most = senders.iter().map(|sender| sender.sums.messages).max().unwrap_or(0);
    let shown = &senders[..senders.len().min(LISTED)];
    let kinds: [(&'static str, &[Role], Option<&str>); 4] = [
        ("Yours", &[Role::Own], None),
        ("Services", &[Role::Vendor], Some("probably yours")),
        ("Forwarders and mailing lists", &[Role::Forwarder, Role::List], Some("nothing to fix on your side")),
        ("Unclear", &[Role::Unclear], Some("too little is known of them")),
    ];
    let list = |(head, roles, remark): (&'static str, &[Role], Option<&str>)| {
        let is = |sender: &&&Sender| roles.contains(&sender.who.role);
        let all = senders.iter().filter(is).count() as u64;
        if all == 0 {
            return None;
        }
        let failing = senders.iter().filter(is).filter(|sender| sender.needs_repair()).count() as u64;
        let to_fix = (failing > 0).then(|| format!("{} to fix", count(failing)));
        let parts = [Some(counted(all, "sender", "senders")), to_fix, remark.map(str::to_owned)];
        let note = parts.into_iter().flatten().collect::<Vec<_>>().join("; ");
        let lines = shown.iter().filter(is).map(|sender| line(sender, most)).collect();
        Some(SenderList { head, note, lines })
    };
    kinds.into_iter().filter_map(list).collect()
}

/// Describes a sender.
pub(crate) fn sender_line(sender: &Sender) -> SenderLine {
    line(sender, sender.sums.messages)
}

fn line(sender: &Sender, most: u64) -> SenderLine {
    let (sums, who) = (&sender.sums, &sender.who);
    let name = words::identity(who);
    let network = words::network(who.address, who.prefix);
    let many = words::several_addresses(who.addresses);
    let (name, address) = match name {
        Some(name) => (name, many.map_or(network.clone(), |many| format!("{network}, {many}"))),
        None => (network, many.unwrap_or_default()),
    };
    let (mark, state) = state(sender);
    SenderLine {
        name,
        address,
        domain: Clean::new(&who.policy_domain).to_string(),
        messages: count(sums.messages),
        pass: percent(sums.pass_rate()),
        dkim: share(sums.dkim_aligned, sums.messages),
        spf: share(sums.spf_aligned, sums.messages),
        reporters: counted(sender.reporters, "reporter", "reporters"),
        seen: words::days_between(sender.first_seen, sender.last_seen),
        role: words::role(who.role),
        mark,
        state,
        why: why(sender),
        href: String::new(),
        source: (who.address, who.prefix),
        size: u64::try_from(u128::from(sums.messages) * 100 / u128::from(most.max(1))).unwrap_or(100),
    }
}

fn state(sender: &Sender) -> (Mark, String) {
    let (sums, role) = (&sender.sums, sender.who.role);
    let passes = sums.failing() == 0;
    match role {
        _ if sender.needs_repair() => {
            let mostly = sums.dmarc_pass > sums.failing();
            let state = match (role, mostly) {
                (_, true) => "Mostly passes",
                (Role::Vendor, _) => "Fix, if it is yours",
                _ => "Fix",
            };
            (Mark::Fix, state.to_owned())
        }
        Role::Own | Role::Vendor => {
            if let Some(day) = sender.repaired.filter(|_| sender.was_repaired()) {
                return (Mark::Good, format!("Repaired on {}", words::month_day(day)));
            }
            let state = match sender.cause {
                Cause::PassDkimOnly if passes => "Passes by DKIM alone",
                Cause::PassSpfOnly if passes => "Passes by SPF alone",
                _ if passes => "Passes",
                _ if sums.dmarc_pass > 0 => "Passes, except for a few messages",
                _ => "Fails, in small numbers",
            };
            (if passes || sums.dmarc_pass > 0 { Mark::Good } else { Mark::Calm }, state.to_owned())
        }
        Role::Forwarder | Role::List | Role::Unclear | Role::Suspect => {
            let state = words::capital(words::role(role));
            (Mark::Calm, if passes { format!("{state}, passes") } else { state })
        }
    }
}

/// The cause of failures, the evidence for the role, and what receivers did with failing mail.
fn why(sender: &Sender) -> String {
    let (failing, role) = (sender.sums.failing(), sender.who.role);
    let mut sentences = Vec::new();
    // Do not repeat the cause.
    let names = |evidence: &Evidence| matches!(evidence, Evidence::AuthenticatesAs { .. });
    let named = sender.cause == Cause::AuthenticatedUnaligned && sender.evidence.iter().any(names);
    if failing > 0 && !named {
        sentences.push(words::why(role, sender.cause).to_owned());
    }
    let said = |evidence: &&Evidence| match evidence {
        Evidence::NothingPasses { .. } => false,
        Evidence::SaidForwarded { .. } | Evidence::SaidList { .. } => sender.cause != Cause::ForwardedDeclared,
        Evidence::Neighbor => sender.cause != Cause::SpfGap,
        _ => true,
    };
    let room = if failing > 0 { 2 } else { 1 };
    sentences.extend(sender.evidence.iter().filter(said).take(room).map(words::evidence));
    if failing > 0 && sender.blocked > 0 {
        let all = sender.blocked >= failing;
        sentences.push(if all {
            "receivers blocked all that fail".to_owned()
        } else {
            format!("receivers blocked {} of {} that fail", count(sender.blocked), count(failing))
        });
    }
    if let Some(reporter) = &sender.fails_only_at {
        sentences.push(format!("only {} sees it fail", Clean::new(reporter)));
    }
    words::capital(&sentences.join("; "))
}

/// The line about suspects; `None` if there are none.
pub(super) fn suspects(summary: &Summary) -> Option<SuspectFold> {
    let spoofing = &summary.spoofing;
    if spoofing.messages == 0 {
        return None;
    }
    let blocked = match (spoofing.messages, spoofing.not_blocked()) {
        (1, 0) => "receivers blocked it".to_owned(),
        (_, 0) => "receivers blocked all of them".to_owned(),
        (all, open) if open == all => "receivers blocked none".to_owned(),
        _ => format!("receivers blocked {} of them", count(spoofing.blocked)),
    };
    let listed: Vec<&Sender> = summary.senders.iter().filter(|sender| sender.who.role == Role::Suspect).collect();
    let line = |sender: &&Sender| SuspectLine {
        source: words::network(sender.who.address, sender.who.prefix),
        about: words::identity(&sender.who)
            .into_iter()
            .chain(words::several_addresses(sender.who.addresses))
            .collect::<Vec<_>>()
            .join(", "),
        domain: Clean::new(&sender.who.policy_domain).to_string(),
        messages: count(sender.sums.messages),
        blocked: count(sender.blocked),
        reporters: count(sender.reporters),
        seen: words::days_between(sender.first_seen, sender.last_seen),
    };
    let lines: Vec<SuspectLine> = listed.iter().take(SUSPECTS).map(line).collect();
    let more = listed.iter().skip(SUSPECTS).fold((0_u64, 0_u64, 0_u64), |(messages, blocked, addresses), sender| {
        (
            messages.saturating_add(sender.sums.failing()),
            blocked.saturating_add(sender.blocked),
            addresses.saturating_add(sender.who.addresses),
        )
    });
    let messages = more.0.saturating_add(spoofing.tail_messages);
    let addresses = more.2.saturating_add(spoofing.tail_addresses);
    let note = if messages == 0 {
        String::new()
    } else {
        format!(
            "{}{} from {}, a few messages each; receivers blocked {}.",
            if lines.is_empty() { "" } else { "And " },
            words::messages(messages),
            counted(addresses, "address", "addresses"),
            count(more.1.saturating_add(spoofing.tail_blocked)),
        )
    };
    Some(SuspectFold {
        mark: if spoofing.not_blocked() > 0 { Mark::Spoof } else { Mark::Calm },
        text: format!(
            "{} from {}; {blocked}",
            words::messages(spoofing.messages),
            counted(spoofing.addresses, "address", "addresses")
        ),
        lines,
        note,
    })
}

/// Notes about omitted senders.
pub(super) fn note(summary: &Summary) -> Vec<String> {
    let all = summary.senders.iter().filter(|sender| sender.who.role != Role::Suspect).count();
    let more = all.saturating_sub(LISTED) as u64;
    if more == 0 {
        return Vec::new();
    }
    vec![format!("And {}; --format csv lists every address.", counted(more, "more sender", "more senders"))]
}
