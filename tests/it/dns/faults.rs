//! A server that fails, is silent, truncates, refers elsewhere or lies: each is distinguished, and none is mistaken for
//! absence.

use crate::dns_servers::Scripted;
use dmarquet::dns::lookup::answer::{Answer, Failure, Lookup as _};
use dmarquet::dns::lookup::resolver::{Resolver, ResolverOptions};
use dmarquet::dns::posture::domain;
use dmarquet::dns::posture::domain::Request;
use dmarquet::dns::seen::Observed;
use std::time::{Duration, Instant};

fn resolver(server: &Scripted) -> Resolver {
    let options = ResolverOptions {
        servers: vec![server.address],
        timeout: Duration::from_millis(400),
        retries: 1,
        in_flight: 32,
    };
    Resolver::new(&options).expect("a resolver")
}

#[test]
fn every_kind_of_answer_is_distinguished() {
    let server = Scripted::start(
        "there.example TXT hello\nempty.example A 192.0.2.1\nbelow.nothing.example A 192.0.2.1\nfail.example SERVFAIL\n\
         refused.example REFUSED\nsilent.example TIMEOUT\nlame.example LAME\ngarbage.example GARBAGE\n\
         other.example TXT stolen\nother.example OTHERNAME\nbare.example BARE\n\
         cut.example TXT whole\ncut.example TRUNCATED\nalways.example TXT never\nalways.example ALWAYSTRUNCATED",
    );
    let resolver = resolver(&server);
    let text = |name: &str| match resolver.txt(name) {
        Answer::Found(texts) => Ok(texts[0].text()),
        Answer::NoData => Err("no data".to_owned()),
        Answer::NxDomain => Err("nxdomain".to_owned()),
        Answer::Failed(failure) => Err(format!("{failure:?}")),
    };
    assert_eq!(text("there.example"), Ok("hello".into()));
    assert_eq!(text("empty.example"), Err("no data".into()));
    assert_eq!(text("nothing.example"), Err("no data".into()), "an empty name between is no NXDOMAIN");
    assert_eq!(text("gone.example"), Err("nxdomain".into()));
    assert_eq!(text("fail.example"), Err("ServFail".into()));
    assert_eq!(text("refused.example"), Err("Refused".into()));
    assert_eq!(text("lame.example"), Err("Lame".into()));
    assert_eq!(text("bare.example"), Err("no data".into()), "RFC 2308 type 3");
    assert_eq!(text("cut.example"), Ok("whole".into()), "fetched over TCP");
    assert_eq!(text("always.example"), Err("Malformed".into()));
    assert_eq!(text("silent.example"), Err("TimedOut".into()));
    let garbage = text("garbage.example").unwrap_err();
    assert!(!["no data", "nxdomain"].contains(&garbage.as_str()), "{garbage}");
    assert_ne!(text("other.example"), Ok("stolen".into()), "an answer for another name is none");
}

#[test]
fn a_silent_server_costs_a_bounded_time() {
    let server = Scripted::start("silent.example TIMEOUT");
    let begun = Instant::now();
    assert_eq!(resolver(&server).txt("silent.example"), Answer::Failed(Failure::TimedOut));
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn no_failure_becomes_a_finding() {
    let good = "d.example MX 10 mx.d.example\nmx.d.example A 192.0.2.1\nd.example TXT v=spf1 mx include:inc.example -all\n\
                inc.example TXT v=spf1 ip4:192.0.2.9 -all\n_dmarc.d.example TXT v=DMARC1; p=reject; rua=mailto:r@reports.test\n\
                reports.test MX 1 mx.d.example\nd.example._report._dmarc.reports.test TXT v=DMARC1\n\
                s1._domainkey.d.example TXT v=DKIM1; k=ed25519; p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    let request = Request { domain: "d.example".into(), selectors: vec!["s1".into()], ip: None };
    let check = |zone: &str| domain::check(&request, &resolver(&Scripted::start(zone)), &Observed::default());
    let whole = check(good);
    assert_eq!((whole.findings.as_slice(), whole.exit_code()), (&[][..], 0));
    let names = [
        "d.example",
        "_dmarc.d.example",
        "inc.example",
        "mx.d.example",
        "reports.test",
        "d.example._report._dmarc.reports.test",
        "s1._domainkey.d.example",
    ];
    for trick in ["SERVFAIL", "REFUSED", "LAME", "TIMEOUT", "ALWAYSTRUNCATED"] {
        for name in names {
            let posture = check(&format!("{good}{name} {trick}"));
            let codes: Vec<_> = posture.findings.iter().map(|finding| finding.code.name).collect();
            assert_eq!((codes.as_slice(), posture.exit_code()), (&[][..], 2), "{name} {trick}");
        }
    }
}
