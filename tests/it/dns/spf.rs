//! The cases of `tests/dns/spf.cases` over a real resolver, compared with mail-auth's evaluator.
//!
//! If the two differ, the case says so (`mail-auth WORD`). A new difference fails the test, so that someone examines it.

use crate::dns_servers::Scripted;
use dmarquet::dns::lookup::resolver::{Resolver, ResolverOptions};
use dmarquet::dns::spf::{SpfInput, check_host};
use mail_auth::hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::{MessageAuthenticator, spf::verify::SpfParameters};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_millis(300);

fn other(server: SocketAddr) -> MessageAuthenticator {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let config = ResolverConfig::from_name_servers(vec![NameServerConfig::new(server.ip(), true, connections.into())]);
    let mut options = ResolverOpts::default();
    options.timeout = TIMEOUT;
    options.attempts = 0;
    MessageAuthenticator::new(config, options).expect("mail-auth starts")
}

#[test]
fn our_evaluator_and_mail_auth_agree_with_known_exceptions() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (mut checks, mut same, mut wrong) = (0, 0, Vec::new());
    for case in include_str!("../../dns/spf.cases").split("\n== ").skip(1) {
        let (title, body) = case.split_once('\n').expect("a title");
        let (checked, zone): (Vec<&str>, Vec<&str>) =
            body.lines().filter(|line| !line.is_empty()).partition(|line| line.starts_with('>'));
        let server = Scripted::start(&zone.join("\n"));
        let options = ResolverOptions { servers: vec![server.address], timeout: TIMEOUT, retries: 0, in_flight: 8 };
        let resolver = Resolver::new(&options).expect("a resolver");
        let peer = other(server.address);
        for line in checked {
            checks += 1;
            let (given, expected) = line[1..].split_once(" = ").expect("a result");
            let words: Vec<&str> = given.split_whitespace().collect();
            let ip: IpAddr = words[0].parse::<IpAddr>().expect("an address").to_canonical();
            let sender = if words[1] == "-" { "" } else { words[1] };
            let domain = sender.rsplit_once('@').map_or(words[2], |(_, domain)| domain);
            let expected: Vec<&str> = expected.split_whitespace().collect();
            let ours = check_host(&resolver, domain, &SpfInput { ip, sender, helo: words[2] }).result.as_str();
            if ours != expected[0] {
                wrong.push(format!("{title}\n  {line}\n  ours over the wire: {ours}"));
            }
            let known = expected.iter().position(|word| *word == "mail-auth").map(|at| expected[at + 1]);
            let theirs = runtime.block_on(peer.check_host(mail_auth::Parameters::new(SpfParameters::new(
                ip,
                domain,
                words[2],
                "receiver.example.net",
                sender,
            ))));
            let theirs = theirs.result().to_string().to_ascii_lowercase();
            if theirs == ours {
                same += 1;
            } else if known != Some("any") && known != Some(theirs.as_str()) {
                wrong.push(format!("{title}\n  {line}\n  mail-auth: {theirs}"));
            }
        }
    }
    eprintln!("{checks} checks, mail-auth gives the same in {same}");
    assert!(wrong.is_empty(), "{} of {checks} wrong:\n{}", wrong.len(), wrong.join("\n"));
}
