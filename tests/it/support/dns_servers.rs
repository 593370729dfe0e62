//! DNS on loopback: Unbound in front of NSD with the zone file, and a small scripted server that lies on demand.
//!
//! Without NSD or Unbound the tests that need them say so and pass, unless `DMARQUET_TEST_DNS` is set (CI).

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// NSD and Unbound, until the value is dropped.
pub(crate) struct Servers {
    children: Vec<Child>,
    _folder: tempfile::TempDir,
    pub(crate) resolver: SocketAddr,
    pub(crate) authority: SocketAddr,
}

impl Servers {
    /// Serves a zone file, and additional zones by name and text, behind a resolver.
    pub(crate) fn start(zones: &[(&str, &str)]) -> Option<Self> {
        let there = ["/usr/sbin/nsd", "/usr/sbin/unbound"].iter().all(|program| Path::new(program).exists());
        if !there && std::env::var_os("DMARQUET_TEST_DNS").is_none() {
            eprintln!("skipped: no NSD or Unbound (apt-get install nsd unbound)");
            return None;
        }
        let folder = tempfile::Builder::new().prefix("dmarquet-dns-").tempdir().expect("a temporary folder");
        let (authority, resolver) = (free_port(), free_port());
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut nsd = format!(
            "server:\n ip-address: 127.0.0.1@{}\n username: \"\"\n zonesdir: \"{}\"\n pidfile: \"{}\"\n xfrdfile: \"{}\"\n \
             zonelistfile: \"{}\"\n xfrdir: \"{}\"\n server-count: 1\n rrl-ratelimit: 0\n\
             remote-control:\n control-enable: no\n",
            authority.port(),
            folder.path().display(),
            at("nsd.pid"),
            at("xfrd.state"),
            at("zone.list"),
            folder.path().display(),
        );
        let mut unbound = format!(
            "server:\n interface: 127.0.0.1\n port: {}\n outgoing-interface: 127.0.0.1\n do-not-query-localhost: no\n \
             username: \"\"\n chroot: \"\"\n directory: \"{}\"\n pidfile: \"\"\n use-syslog: no\n do-ip6: no\n verbosity: 0\n \
             module-config: \"iterator\"\n num-threads: 1\n unknown-server-time-limit: 2000\n \
             outbound-msg-retry: 10\n local-zone: \".\" static\n",
            resolver.port(),
            folder.path().display(),
        );
        for (name, text) in zones {
            std::fs::write(at(&format!("{name}.zone")), text).expect("a zone file can be written");
            nsd += &format!("zone:\n name: \"{name}\"\n zonefile: \"{name}.zone\"\n");
            unbound += &format!(" local-zone: \"{name}.\" transparent\n");
        }
        for (name, _) in zones {
            unbound += &format!("stub-zone:\n name: \"{name}\"\n stub-addr: 127.0.0.1@{}\n", authority.port());
        }
        unbound += "remote-control:\n control-enable: no\n";
        let children = vec![
            start("/usr/sbin/nsd", &at("nsd.conf"), &nsd),
            start("/usr/sbin/unbound", &at("unbound.conf"), &unbound),
        ];
        let servers = Self { children, _folder: folder, resolver, authority };
        wait_for(authority, zones[0].0);
        wait_for(resolver, zones[0].0);
        Some(servers)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }
}

fn start(program: &str, file: &str, settings: &str) -> Child {
    std::fs::write(file, settings).expect("settings can be written");
    Command::new(program).args(["-d", "-c", file]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect(program)
}

/// A port that was just free for both protocols.
fn free_port() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
    socket.local_addr().expect("it is bound")
}

/// Queries the zone's SOA until there is an answer.
fn wait_for(server: SocketAddr, zone: &str) {
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    query.extend(wire_name(zone));
    query.extend([0, 6, 0, 1]);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(20) {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a time-out can be set");
        socket.send_to(&query, server).expect("loopback takes packets");
        let mut answer = [0; 512];
        if socket.recv(&mut answer).is_ok_and(|length| length > 12 && answer[3] % 16 == 0) {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("no answer from {server} for {zone}");
}

/// How a scripted name answers every query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trick {
    ServFail,
    Refused,
    /// Never answers.
    Silent,
    /// Refers to other servers, without an SOA.
    Lame,
    /// Answers for another name.
    OtherName,
    /// Sends bytes that are not an answer.
    Garbage,
    /// Truncates the answer over UDP; complete over TCP.
    Truncated,
    /// Truncates the answer over both.
    AlwaysTruncated,
    /// Answers "no data" without an SOA.
    Bare,
}

/// A server of a table as in `tests/dns/spf.cases`, with faults: `name SERVFAIL`, `name TRUNCATED` and so on.
pub(crate) struct Scripted {
    pub(crate) address: SocketAddr,
    /// Queries answered, both protocols.
    pub(crate) asked: Arc<AtomicUsize>,
    /// The names asked for.
    pub(crate) names: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Scripted {
    pub(crate) fn start(text: &str) -> Self {
        let zone = Arc::new(Zone::read(text));
        let (udp, tcp) = both();
        let address = udp.local_addr().expect("it is bound");
        let server = Self { address, asked: Arc::default(), names: Arc::default(), stop: Arc::default() };
        let (asked, names, stop) = (server.asked.clone(), server.names.clone(), server.stop.clone());
        let of_udp = zone.clone();
        udp.set_read_timeout(Some(Duration::from_millis(100))).expect("a time-out can be set");
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while !stop.load(Ordering::Relaxed) {
                let Ok((length, from)) = udp.recv_from(&mut buffer) else { continue };
                asked.fetch_add(1, Ordering::Relaxed);
                names.lock().expect("nobody panics with it").push(question(&buffer[..length]).0);
                if let Some(answer) = of_udp.answer(&buffer[..length], false) {
                    let _ = udp.send_to(&answer, from);
                }
            }
        });
        let (asked, stop) = (server.asked.clone(), server.stop.clone());
        tcp.set_nonblocking(true).expect("a listener can be told not to block");
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let Ok((stream, _)) = tcp.accept() else {
                    std::thread::sleep(Duration::from_millis(5));
                    continue;
                };
                let (zone, asked) = (zone.clone(), asked.clone());
                std::thread::spawn(move || over_tcp(stream, &zone, &asked));
            }
        });
        server
    }
}

fn both() -> (UdpSocket, TcpListener) {
    for _ in 0..50 {
        let udp = UdpSocket::bind("127.0.0.1:0").expect("a loopback port");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("it is bound")) {
            return (udp, tcp);
        }
    }
    panic!("no port for both protocols");
}

fn over_tcp(mut stream: std::net::TcpStream, zone: &Zone, asked: &AtomicUsize) {
    let _ = stream.set_nonblocking(false);
    let mut length = [0; 2];
    while stream.read_exact(&mut length).is_ok() {
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        if stream.read_exact(&mut query).is_err() {
            return;
        }
        asked.fetch_add(1, Ordering::Relaxed);
        if let Some(answer) = zone.answer(&query, true) {
            let length = u16::try_from(answer.len()).expect("answers are small");
            let _ = stream.write_all(&[&length.to_be_bytes()[..], &answer].concat());
        }
    }
}

/// Records by name and type number, and names with a fault.
struct Zone {
    records: BTreeMap<(String, u16), Vec<Vec<u8>>>,
    aliases: BTreeMap<String, String>,
    tricks: BTreeMap<String, Trick>,
}

impl Zone {
    fn read(text: &str) -> Self {
        let mut zone = Self { records: BTreeMap::new(), aliases: BTreeMap::new(), tricks: BTreeMap::new() };
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            zone.add(line);
        }
        zone
    }

    fn add(&mut self, line: &str) {
        let mut words = line.splitn(3, ' ');
        let name = words.next().expect("a name").trim_end_matches('.').to_ascii_lowercase();
        let kind = words.next().expect("a type");
        let data = words.next().unwrap_or_default();
        let trick = match kind {
            "SERVFAIL" => Some(Trick::ServFail),
            "REFUSED" => Some(Trick::Refused),
            "TIMEOUT" => Some(Trick::Silent),
            "LAME" => Some(Trick::Lame),
            "OTHERNAME" => Some(Trick::OtherName),
            "GARBAGE" => Some(Trick::Garbage),
            "TRUNCATED" => Some(Trick::Truncated),
            "ALWAYSTRUNCATED" => Some(Trick::AlwaysTruncated),
            "BARE" => Some(Trick::Bare),
            _ => None,
        };
        if let Some(trick) = trick {
            self.tricks.insert(name, trick);
            return;
        }
        let (name, number, wire) = match kind {
            "A" => (name, 1, data.parse::<Ipv4Addr>().expect(line).octets().to_vec()),
            "AAAA" => (name, 28, data.parse::<std::net::Ipv6Addr>().expect(line).octets().to_vec()),
            "TXT" => (name, 16, strings(data)),
            "SPF" => (name, 99, strings(data)),
            "MX" => {
                let (preference, host) = data.split_once(' ').expect(line);
                let preference: u16 = preference.parse().expect(line);
                (name, 15, [&preference.to_be_bytes()[..], &wire_name(host)].concat())
            }
            "NS" => (name, 2, wire_name(data)),
            "PTR" => (reverse(name.parse().expect(line)), 12, wire_name(data)),
            "CNAME" => {
                self.aliases.insert(name.clone(), data.trim_end_matches('.').to_ascii_lowercase());
                (name, 5, wire_name(data))
            }
            other => panic!("type {other}: {line}"),
        };
        self.records.entry((name, number)).or_default().push(wire);
    }

    fn exists(&self, name: &str) -> bool {
        let within = |other: &str| other == name || other.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        self.records.keys().any(|(other, _)| within(other))
    }

    /// The records for a question, and the response code if there are none.
    fn find(&self, name: &str, kind: u16) -> Result<&[Vec<u8>], u8> {
        if let Some(records) = self.records.get(&(name.to_owned(), kind)) {
            return Ok(records);
        }
        if self.exists(name) {
            return Err(0);
        }
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            if self.exists(parent) {
                let star = format!("*.{parent}");
                let code = if self.exists(&star) { 0 } else { 3 };
                return self.records.get(&(star, kind)).map(Vec::as_slice).ok_or(code);
            }
            rest = parent;
        }
        Err(3)
    }

    fn answer(&self, query: &[u8], tcp: bool) -> Option<Vec<u8>> {
        let (name, kind, end) = question(query);
        let trick = self.tricks.get(&name).copied();
        let plain = |code: u8| Some(message(query, end, code, &[], false));
        match trick {
            Some(Trick::Silent) => return None,
            Some(Trick::ServFail) => return plain(2),
            Some(Trick::Refused) => return plain(5),
            Some(Trick::Garbage) => return Some(vec![query[0], query[1], 0x80, 0, 0xff, 0xff, 0, 1]),
            Some(Trick::Bare) => {
                let mut bare = message(query, end, 0, &[], false);
                bare.truncate(end);
                bare[9] = 0;
                return Some(bare);
            }
            Some(Trick::Lame) => {
                let mut lame = message(query, end, 0, &[], false);
                lame.truncate(end);
                lame[2] &= !4;
                lame[9] = 1;
                lame.extend([0, 0, 2, 0, 1, 0, 0, 1, 44]);
                let target = wire_name("a.root.example");
                lame.extend(u16::try_from(target.len()).expect("short").to_be_bytes());
                lame.extend(target);
                return Some(lame);
            }
            _ => {}
        }
        let mut records = Vec::new();
        let mut owner = name.clone();
        if kind != 5 {
            while let Some(target) = self.aliases.get(&owner) {
                records.push((owner.clone(), 5, wire_name(target)));
                owner = target.clone();
                if self.tricks.get(&owner) == Some(&Trick::ServFail) {
                    return plain(2);
                }
            }
        }
        let code = match self.find(&owner, kind) {
            Ok(found) => {
                records.extend(found.iter().map(|wire| (owner.clone(), kind, wire.clone())));
                0
            }
            Err(code) => code,
        };
        if trick == Some(Trick::OtherName) {
            records.iter_mut().for_each(|(owner, ..)| "elsewhere.example".clone_into(owner));
        }
        let cut = trick == Some(Trick::AlwaysTruncated) || (trick == Some(Trick::Truncated) && !tcp);
        Some(message(query, end, code, if cut { &[] } else { &records }, cut))
    }
}

/// The queried name and type, and where the question ends.
fn question(query: &[u8]) -> (String, u16, usize) {
    let (mut at, mut labels) = (12, Vec::new());
    while query[at] != 0 {
        let length = usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..=at + length]).to_ascii_lowercase());
        at += length + 1;
    }
    (labels.join("."), u16::from_be_bytes([query[at + 1], query[at + 2]]), at + 5)
}

/// A response to a query; without records it has the SOA that says how long that is valid.
fn message(query: &[u8], end: usize, code: u8, records: &[(String, u16, Vec<u8>)], cut: bool) -> Vec<u8> {
    let mut message = query[..end].to_vec();
    message[2] = 0x84 | (query[2] & 1) | if cut { 2 } else { 0 };
    message[3] = 0x80 | code;
    message[4..12].fill(0);
    message[5] = 1;
    message[6..8].copy_from_slice(&u16::try_from(records.len()).expect("few").to_be_bytes());
    for (owner, kind, wire) in records {
        message.extend(wire_name(owner));
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 1, 44]);
        message.extend(u16::try_from(wire.len()).expect("short").to_be_bytes());
        message.extend(wire);
    }
    if records.is_empty() && (code == 0 || code == 3) && !cut {
        message[9] = 1;
        let soa = [wire_name("ns.example"), wire_name("hostmaster.example"), [[0, 0, 0, 60]; 5].concat()].concat();
        message.extend([0, 0, 6, 0, 1, 0, 0, 0, 60]);
        message.extend(u16::try_from(soa.len()).expect("short").to_be_bytes());
        message.extend(soa);
    }
    message
}

fn wire_name(name: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).expect("a label is short"));
        wire.extend(label.as_bytes());
    }
    wire.push(0);
    wire
}

fn strings(data: &str) -> Vec<u8> {
    let parts: Vec<&str> =
        if data.starts_with('"') { data.trim_matches('"').split("\" \"").collect() } else { vec![data] };
    let chunks = parts
        .iter()
        .flat_map(|part| if part.is_empty() { vec![&b""[..]] } else { part.as_bytes().chunks(255).collect() });
    chunks.flat_map(|chunk| [&[u8::try_from(chunk.len()).expect("255 at most")][..], chunk].concat()).collect()
}

fn reverse(address: IpAddr) -> String {
    dmarquet::dns::lookup::answer::reverse_name(address)
}
