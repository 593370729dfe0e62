//! Which of two reports with the same key counts: the authentic one, else the more complete one, else the first.

use crate::model::{Report, SenderAuth, TlsPolicy};
use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// What becomes of a report whose key another report has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rivalry {
    /// No value differs: it is the same report with other white space, or sent in another way.
    Same,
    /// The stored one stays.
    Stays,
    /// It replaces the stored one.
    Replaces,
}

/// Compares a report with the stored one of the same key, each with what is known about its mail.
///
/// A report whose mail is proven replaces one whose mail is not. If neither is better proven, one that has all rows of
/// the other and more replaces it: some reporters send a part first, then the whole.
pub fn rivalry(new: (&Report, SenderAuth), stored: (&Report, SenderAuth)) -> Rivalry {
    let (report, other) = (new.0, stored.0);
    let same_head = report.metadata == other.metadata && report.policy == other.policy;
    of_rows((&report.records, new.1), (&other.records, stored.1), same_head)
}

/// The same for two TLS reports with one key, by what they say of policies.
pub fn tls_rivalry(new: (&[TlsPolicy], SenderAuth), stored: (&[TlsPolicy], SenderAuth)) -> Rivalry {
    of_rows(new, stored, true)
}

/// The rule for both: `same_head` says whether everything but the rows is the same.
fn of_rows<T: PartialEq + Debug>(new: (&[T], SenderAuth), stored: (&[T], SenderAuth), same_head: bool) -> Rivalry {
    let (new_standing, standing) = (standing(new.1), standing(stored.1));
    if new_standing == SenderStanding::Proven && standing != SenderStanding::Proven {
        Rivalry::Replaces
    } else if same_head && new.0 == stored.0 {
        Rivalry::Same
    } else if new_standing >= standing && holds_more(new.0, stored.0) {
        Rivalry::Replaces
    } else {
        Rivalry::Stays
    }
}

/// How trustworthy a report mail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum SenderStanding {
    /// Refuted.
    Forged,
    /// Neither proven nor refuted.
    Unproven,
    Proven,
}

fn standing(auth: SenderAuth) -> SenderStanding {
    match auth {
        SenderAuth::Pass => SenderStanding::Proven,
        SenderAuth::None | SenderAuth::Unknown => SenderStanding::Unproven,
        SenderAuth::Fail => SenderStanding::Forged,
    }
}

/// Whether some rows include all of the others, each as often, and more.
fn holds_more<T: PartialEq + Debug>(rows: &[T], others: &[T]) -> bool {
    if rows.len() <= others.len() {
        return false;
    }
    let hash = |record: &T| {
        // The debug form of a row shows every value.
        let mut hasher = DefaultHasher::new();
        format!("{record:?}").hash(&mut hasher);
        hasher.finish()
    };
    let mut left: HashMap<u64, Vec<&T>> = HashMap::new();
    for record in rows {
        left.entry(hash(record)).or_default().push(record);
    }
    others.iter().all(|record| {
        let alike = left.get_mut(&hash(record));
        alike.is_some_and(|alike| {
            let place = alike.iter().position(|other| *other == record);
            place.map(|place| alike.swap_remove(place)).is_some()
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::{Context, Read, reports};
    use SenderAuth::{Fail, None, Pass, Unknown};

    /// A report whose rows have these message counts.
    fn report(counts: &[i64]) -> Report {
        let rows: Vec<String> = counts
            .iter()
            .map(|count| format!("<record><row><source_ip>192.0.2.7</source_ip><count>{count}</count></row></record>"))
            .collect();
        let xml = format!(
            "<feedback><report_metadata><org_name>receiver.example</org_name><report_id>1</report_id><date_range>\
             <begin>1772496000</begin><end>1772582399</end></date_range></report_metadata><policy_published>\
             <domain>example.com</domain></policy_published>{}</feedback>",
            rows.concat()
        );
        let context = Context { attachment: Option::None, arrival: "2026-03-04T02:00:00Z".parse().unwrap() };
        let Read::Report { report, .. } =
            reports(xml.as_bytes(), &context, &crate::limits::Limits::default()).remove(0)
        else {
            panic!("a report")
        };
        report
    }

    fn found(new: (&[i64], SenderAuth), stored: (&[i64], SenderAuth)) -> Rivalry {
        rivalry((&report(new.0), new.1), (&report(stored.0), stored.1))
    }

    #[test]
    fn the_proven_report_counts_whatever_it_contains() {
        for other in [Fail, None, Unknown] {
            assert_eq!(found((&[1], Pass), (&[7, 8], other)), Rivalry::Replaces, "{other:?}");
            assert_eq!(found((&[7, 8, 9], other), (&[7, 8], Pass)), Rivalry::Stays, "{other:?}");
            assert_eq!(found((&[7], Pass), (&[7], other)), Rivalry::Replaces, "the same, now proven");
            assert_eq!(found((&[7], other), (&[7], Pass)), Rivalry::Same, "{other:?}");
        }
    }

    #[test]
    fn between_equals_the_more_complete_report_counts() {
        for (new, stored) in [(Pass, Pass), (Unknown, None), (None, Unknown), (Fail, Fail), (Unknown, Fail)] {
            assert_eq!(found((&[1, 2, 2], new), (&[2, 1], stored)), Rivalry::Replaces, "{new:?} {stored:?}");
            assert_eq!(found((&[1, 2], new), (&[1, 2, 3], stored)), Rivalry::Stays);
            assert_eq!(found((&[1, 2, 3], new), (&[1, 4], stored)), Rivalry::Stays, "a row is missing");
            assert_eq!(found((&[1, 2, 3], new), (&[1, 1], stored)), Rivalry::Stays, "a row is there once only");
        }
        assert_eq!(found((&[1, 2], Fail), (&[1], Unknown)), Rivalry::Stays, "a forger adds rows");
        assert_eq!(found((&[1, 2], Unknown), (&[1, 2], Fail)), Rivalry::Same);
    }
}
