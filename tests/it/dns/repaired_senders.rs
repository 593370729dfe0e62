//! A repair at some addresses is none at others: neither the action nor the sender is called repaired before all of them pass.

use super::planted_days::{PlantedReport, planted};
use crate::workdir::WorkDir;

const DAYS: i32 = 28;
/// Tuesday and Wednesday of the last week.
const NO_KEY: std::ops::Range<i32> = 22..24;
const WEEK: &str = "2026-W43";

/// A row of a server in one network: its last number, the messages, and the signature.
fn row(server: u8, messages: u32, (domain, selector, result): (&str, &str, &str)) -> String {
    let dmarc = if domain == "example.com" && result == "pass" { "pass" } else { "fail" };
    format!(
        "<record><row><source_ip>198.51.100.{server}</source_ip><count>{messages}</count><policy_evaluated>\
         <disposition>none</disposition><dkim>{dmarc}</dkim><spf>fail</spf></policy_evaluated></row><identifiers>\
         <header_from>example.com</header_from></identifiers><auth_results><dkim><domain>{domain}</domain>\
         <selector>{selector}</selector><result>{result}</result></dkim><spf><domain>{domain}</domain><result>none</result></spf>\
         </auth_results></record>"
    )
}

/// Three servers sign with a key that is missing for two days; a fourth, smaller one with the old key may go on failing. A
/// service sends from the same network.
fn store(fourth_recovers: bool) -> WorkDir {
    let reports = |day: i32| {
        let broken = NO_KEY.contains(&day);
        let result = if broken { "permerror" } else { "pass" };
        let fourth = if day >= NO_KEY.end && !fourth_recovers { "fail" } else { result };
        let mut rows: String = [60, 61, 62].map(|server| row(server, 40, ("example.com", "inv1", result))).concat();
        rows += &row(63, 4, ("example.com", "inv1", fourth));
        rows += &row(64, 5, ("esp.example", "s", "pass"));
        [PlantedReport { domain: "example.com", tags: String::new(), rows }]
    };
    let zone = |day: i32| {
        let mut zone =
            String::from("example.com TXT v=spf1 ip4:192.0.2.10 -all\n_dmarc.example.com TXT v=DMARC1; p=none\n");
        if !NO_KEY.contains(&day) {
            zone +=
                "inv1._domainkey.example.com TXT v=DKIM1; k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=\n";
        }
        zone
    };
    planted(&["example.com"], DAYS, reports, zone)
}

/// State and repair's failing messages of the action on the key, and the summary as text in one line.
fn told(work: &WorkDir) -> (String, u64, String) {
    let summary = work.run(["summary", "--week", WEEK, "--format", "json"]).json();
    let actions = summary["actions"].as_array().unwrap();
    let action = actions.iter().find(|action| action["change"] == "repair_key").expect("an action on the key");
    assert_eq!((action["addresses"].as_u64(), action["sources"].as_array().map(Vec::len)), (Some(4), Some(3)));
    let text = work.run(["summary", "--week", WEEK, "--format", "text", "--width", "200"]).quiet();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (action["state"].as_str().unwrap().to_owned(), action["repair"]["failing"].as_u64().unwrap(), text)
}

#[test]
fn an_address_that_goes_on_failing_keeps_its_action_and_its_sender_open() {
    let (state, failing, text) = told(&store(false));
    assert_eq!((state.as_str(), failing), ("published", 3 * 4 * 3));
    assert!(text.contains("! 198.51.100.0/24 (4 addresses)") && !text.contains("until the repair"), "{text}");
}

#[test]
fn a_service_in_the_network_of_a_repaired_sender_is_not_repaired() {
    let (state, failing, text) = told(&store(true));
    assert_eq!((state.as_str(), failing), ("fixed", 0));
    assert!(text.contains("\u{2713} 198.51.100.0/24 (4 addresses)") && text.contains("! esp.example"), "{text}");
    let lead = "One of your senders fails DMARC as example.com. Another of your senders failed DMARC as example.com until the repair";
    assert!(text.contains(lead) && text.contains("Senders to fix 1 "), "{text}");
}
