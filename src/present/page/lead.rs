//! What happened, in two or three sentences: first spoofing, then the user's own mail, then what to do first.

use super::shared::{names, to_do};
use super::tls;
use crate::analyze::{DomainSummary, Sender, Summary};
use crate::present::wording::instructions::title;
use crate::present::wording::numbers::count;
use crate::present::wording::words;

/// The sentences.
pub(super) fn lead(summary: &Summary) -> Vec<String> {
    if summary.totals.sums.messages == 0 {
        return [Some(no_data(summary)), tls::lead(summary)].into_iter().flatten().collect();
    }
    let said = [Some(spoofing(summary)), Some(own_mail(summary)), unclear(summary), tls::lead(summary)];
    let mut lead: Vec<String> = said.into_iter().flatten().collect();
    if summary.quality.unfinished {
        lead.insert(0, "This period is not over; all numbers will grow.".to_owned());
    }
    if let Some(action) = to_do(summary).next() {
        lead.push(format!("First: {}.", title(action)));
    }
    lead
}

fn no_data(summary: &Summary) -> String {
    if summary.totals.reports > 0 {
        return "No data: the reports about these days contain no messages.".to_owned();
    }
    if !summary.tls.is_empty() {
        return "There are no DMARC reports about these days.".to_owned();
    }
    "No data: there are no reports about these days. If you expected some, check that the mailbox receives them and that \
     rua= in your DMARC records names it."
        .to_owned()
}

fn spoofing(summary: &Summary) -> String {
    let spoofing = &summary.spoofing;
    let open = spoofing.not_blocked();
    if spoofing.messages == 0 {
        return "No message looks spoofed.".to_owned();
    }
    // If some were not blocked, only those matter.
    let of = |domain: &DomainSummary| if open > 0 { domain.spoofing.not_blocked() } else { domain.spoofing.messages };
    let mut domains: Vec<&DomainSummary> = summary.domains.iter().filter(|domain| of(domain) > 0).collect();
    domains.sort_by_key(|domain| std::cmp::Reverse(of(domain)));
    let names = names(words::each_shown(domains.iter().map(|domain| &domain.policy_domain)), "domains");
    match (spoofing.messages, open) {
        (1, 0) => format!("Receivers blocked the only message that probably spoofs {names}."),
        (all, 0) => format!("Receivers blocked all {} that probably spoof {names}.", words::messages(all)),
        (_, 1) => format!("Receivers did not block 1 message that probably spoofs {names}."),
        _ => format!("Receivers did not block {} that probably spoof {names}.", words::messages(open)),
    }
}

fn own_mail(summary: &Summary) -> String {
    let failing: Vec<&Sender> = summary.senders.iter().filter(|sender| sender.needs_repair()).collect();
    let repaired: Vec<&Sender> = summary.senders.iter().filter(|sender| sender.was_repaired()).collect();
    match (failing.is_empty(), repaired.is_empty()) {
        (true, true) => {}
        (false, true) => return fail(&failing),
        (true, false) => return failed(&repaired, false),
        (false, false) => return format!("{} {}", fail(&failing), failed(&repaired, true)),
    }
    let lost = summary.domains.iter().map(|domain| domain.readiness.lost_now).fold(0, u64::saturating_add);
    let has_own = summary.domains.iter().any(|domain| domain.readiness.legitimate > 0);
    match lost {
        0 if !has_own => "None of this mail is known to be yours.".to_owned(),
        0 => "All your senders pass.".to_owned(),
        lost => format!("Your senders pass, except for {} that receivers blocked.", words::messages(lost)),
    }
}

/// Senders that fail.
fn fail(senders: &[&Sender]) -> String {
    let who = match senders.len() {
        1 => "One of your senders fails".to_owned(),
        number => format!("{} of your senders fail", capital_number(number)),
    };
    format!("{who} DMARC as {}{}.", domains(senders), fate(senders))
}

/// Senders that failed in the period, until a change in DNS repaired them; beside others that still fail.
fn failed(senders: &[&Sender], beside: bool) -> String {
    let who = match (senders.len(), beside) {
        (1, true) => "Another of your senders".to_owned(),
        (1, false) => "One of your senders".to_owned(),
        (number, true) => format!("{} others of your senders", capital_number(number)),
        (number, false) => format!("{} of your senders", capital_number(number)),
    };
    let last = senders.iter().filter_map(|sender| sender.repaired).max().map_or(String::new(), |day| {
        let repair = if senders.len() == 1 { "the repair" } else { "the last repair" };
        format!(" until {repair} on {}", words::weekday(day))
    });
    format!("{who} failed DMARC as {}{last}{}.", domains(senders), fate(senders))
}

fn domains(senders: &[&Sender]) -> String {
    names(words::each_shown(senders.iter().map(|sender| &sender.who.policy_domain)), "domains")
}

/// What receivers did with the failing mail of these senders.
fn fate(senders: &[&Sender]) -> String {
    let blocked = senders.iter().map(|sender| sender.blocked).fold(0, u64::saturating_add);
    let all = senders.iter().map(|sender| sender.sums.failing()).fold(0, u64::saturating_add);
    match blocked {
        0 => String::new(),
        blocked if blocked >= all => ", and receivers blocked all of that mail".to_owned(),
        blocked => {
            let whose = if senders.len() == 1 { "its" } else { "their" };
            format!(", and receivers blocked {} of {whose} messages", count(blocked))
        }
    }
}

/// A small number as a word.
fn capital_number(number: usize) -> String {
    const WORDS: [&str; 11] = ["None", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten"];
    WORDS.get(number).map_or_else(|| count(number as u64), |word| (*word).to_owned())
}

/// Mail from senders that cannot be classified yet, if it is a significant amount.
fn unclear(summary: &Summary) -> Option<String> {
    let point = summary.trend.last()?;
    let unclear = point.failing?.unclear;
    let much = unclear >= 10 && unclear.saturating_mul(100) >= point.messages;
    much.then(|| {
        format!(
            "{} from unclear senders {}, too.",
            words::messages(unclear),
            if unclear == 1 { "fails" } else { "fail" }
        )
    })
}
