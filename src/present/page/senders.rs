//! The senders in lines, failing first, and a word on those that have none.

use super::answers::matters;
use super::summary::SenderLine;
use crate::analyze::{Evidence, Rate, Sender, Summary};
use crate::present::wording::clean::Clean;
use crate::present::wording::numbers::{count, counted, percent};
use crate::present::wording::words;

/// How many senders a page lists.
const LISTED: usize = 25;

/// The lines, as many as a page has.
pub(super) fn senders(summary: &Summary) -> Vec<SenderLine> {
    summary.senders.iter().take(LISTED).map(sender).collect()
}

fn sender(sender: &Sender) -> SenderLine {
    let sums = &sender.sums;
    let share = |part| percent(Rate::of(part, sums.messages));
    let more = if sender.who.addresses > 1 { format!(" ({})", sender.who.addresses) } else { String::new() };
    // The cause of a suspect says already that nothing passes.
    let said = |evidence: &&Evidence| !matches!(evidence, Evidence::NothingPasses { .. });
    let evidence: Vec<String> = sender.evidence.iter().filter(said).take(3).map(words::evidence).collect();
    SenderLine {
        sender: format!("{}{more}", words::network(&sender.who)),
        name: words::identity(&sender.who).unwrap_or_default(),
        domain: Clean::new(&sender.who.policy_domain).to_string(),
        messages: count(sums.messages),
        pass: percent(sums.pass_rate()),
        dkim: share(sums.dkim_aligned),
        spf: share(sums.spf_aligned),
        other: count(sender.authenticated_unaligned),
        reporters: counted(sender.reporters, "reporter", "reporters"),
        seen: format!("{} to {}", sender.first_seen, sender.last_seen),
        role: words::role(sender.who.role),
        cause: words::why(sender.who.role, sender.cause),
        evidence: evidence.join("; "),
        fails: matters(sender),
    }
}

/// What the lines leave out.
pub(super) fn note(summary: &Summary) -> Vec<String> {
    let (all, mut lines) = (&summary.spoofing, Vec::new());
    if all.tail_messages > 0 {
        lines.push(format!(
            "Probably spoofed, in small numbers: {} from {}, {} of them blocked.",
            words::messages(all.tail_messages),
            counted(all.tail_addresses, "address", "addresses"),
            count(all.tail_blocked),
        ));
    }
    let more = summary.senders.len().saturating_sub(LISTED);
    if more > 0 {
        lines.push(format!(
            "And {}; --format csv lists every address.",
            counted(more as u64, "more sender", "more senders")
        ));
    }
    lines
}
