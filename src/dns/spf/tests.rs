//! Runs `tests/dns/spf.cases` over a table. The same file runs over a real server, beside mail-auth's evaluator, in
//! `tests/it/dns/spf.rs`.

use super::{SpfInput, check_host};
use crate::dns::lookup::test_zone::Zone;

#[test]
fn the_rules_of_rfc_7208_hold() {
    let text = include_str!("../../../tests/dns/spf.cases");
    let (mut checks, mut wrong) = (0, Vec::new());
    for case in text.split("\n== ").skip(1) {
        let (title, body) = case.split_once('\n').unwrap();
        let (checked, lines): (Vec<&str>, Vec<&str>) =
            body.lines().filter(|line| !line.is_empty()).partition(|line| line.starts_with('>'));
        let zone = Zone::new(&lines.join("\n"));
        for line in checked {
            checks += 1;
            if let Err(why) = one(&zone, line) {
                wrong.push(format!("{title}\n  {line}\n  {why}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {checks} wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(checks > 150, "only {checks} checks were read");
}

/// `> ip sender helo = result [lookups N] [voids N] [by DOMAIN TERM] [says TEXT]`.
fn one(zone: &Zone, line: &str) -> Result<(), String> {
    let (given, expected) = line[1..].split_once(" = ").ok_or("no result")?;
    let words: Vec<&str> = given.split_whitespace().collect();
    let [ip, sender, helo] = words[..] else { return Err("expected three facts".into()) };
    let sender = if sender == "-" { "" } else { sender };
    let domain = sender.rsplit_once('@').map_or(helo, |(_, domain)| domain);
    let ip: std::net::IpAddr = ip.parse().map_err(|_| "no address")?;
    let got = check_host(zone, domain, &SpfInput { ip: ip.to_canonical(), sender, helo });

    let (expected, says) = expected.split_once(" says ").map_or((expected, None), |(head, says)| (head, Some(says)));
    let mut words = expected.split_whitespace();
    let result = words.next().unwrap_or_default();
    if got.result.as_str() != result {
        return Err(format!("expected {result}, found {got:?}"));
    }
    if got.explanation.as_deref() != says {
        return Err(format!("expected the explanation {says:?}, found {:?}", got.explanation));
    }
    while let Some(word) = words.next() {
        let mut number = || words.next().and_then(|word| word.parse::<usize>().ok());
        let right = match word {
            "lookups" => number() == Some(got.lookups),
            "voids" => number() == Some(got.voids),
            "mail-auth" => words.next().is_some(),
            "by" => {
                let last = got.path.last().map(|step| (step.domain.as_str(), step.term.as_str()));
                last == words.next().zip(words.next())
            }
            _ => false,
        };
        if !right {
            return Err(format!("`{word}` differs: {got:?}"));
        }
    }
    Ok(())
}
