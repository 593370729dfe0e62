//! Several customers in one store: nothing of one appears in another's output, and each gets all of its own.

use crate::dns_servers::Scripted;
use crate::workdir::{WorkDir, files_below};
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A customer, and the words that only its reports and settings contain.
struct Owner {
    name: &'static str,
    domains: &'static [&'static str],
    mail_to: &'static str,
    selector: &'static str,
    comment: &'static str,
    reporter: &'static str,
    address: &'static str,
    title: &'static str,
    footer: &'static str,
}

const ALDER: Owner = Owner {
    name: "Alder & Co",
    domains: &["alder.example", "alder-shop.example"],
    mail_to: "it@alder.example",
    selector: "qaldersel",
    comment: "qalderword",
    reporter: "Qalder Post",
    address: "2001:db8:a1de::25",
    title: "Qalder title",
    footer: "Qalder footer",
};

const BIRCH: Owner = Owner {
    name: "Birch",
    domains: &["birch.example"],
    mail_to: "it@birch.example",
    selector: "qbirchsel",
    comment: "qbirchword",
    reporter: "Qbirch Post",
    address: "2001:db8:b12c::25",
    title: "Qbirch title",
    footer: "Qbirch footer",
};

impl Owner {
    fn secrets(&self) -> Vec<&'static str> {
        let network = self.address.trim_end_matches("::25");
        let mut all =
            vec![self.name, self.selector, self.comment, self.reporter, network, self.title, self.footer, self.mail_to];
        all.extend(self.domains);
        all
    }

    fn settings(&self) -> String {
        let Self { name, domains, mail_to, title, footer, .. } = self;
        format!(
            "[[customer]]\nname = {name:?}\ndomains = {domains:?}\nmail_to = [{mail_to:?}]\ntitle = {title:?}\n\
             footer = {footer:?}\nsubject = \"{{customer}} {{week}}: {{status}}\"\n"
        )
    }
}

const SHARED: [&str; 2] = ["North Post", "South Post"];
/// The address of a vendor that sends for both, and a server of Alder that spoofs Birch.
const VENDOR: &str = "198.51.100.60";
const SERVER: &str = "203.0.113.20";
pub(super) const WEEK: [&str; 2] = ["--week", "2026-W47"];

/// One row: address, messages, DKIM domain, selector and result, SPF result, override comment.
pub(super) type ReportRow<'a> = (&'a str, u32, &'a str, &'a str, &'a str, &'a str, &'a str);

pub(super) fn report(reporter: &str, domain: &str, day: u32, rows: &[ReportRow<'_>]) -> String {
    // 2026-09-21, the Monday eight weeks before the week that is asked for.
    let begin = 1_789_948_800 + u64::from(day) * 86_400;
    let mut xml = format!(
        "<feedback><report_metadata><org_name>{reporter}</org_name><email>a@post.test</email>\
         <report_id>{domain}-{day}</report_id><date_range><begin>{begin}</begin><end>{}</end></date_range>\
         </report_metadata><policy_published><domain>{domain}</domain><adkim>r</adkim><aspf>r</aspf><p>reject</p>\
         <pct>100</pct></policy_published>",
        begin + 86_399
    );
    for (address, count, dkim_domain, selector, dkim, spf, comment) in rows {
        let aligned = *dkim == "pass" && dkim_domain == &domain;
        let (dkim_verdict, disposition) = if aligned { ("pass", "none") } else { ("fail", "reject") };
        let reason = if comment.is_empty() {
            String::new()
        } else {
            format!("<reason><type>local_policy</type><comment>{comment}</comment></reason>")
        };
        let _ = write!(
            xml,
            "<record><row><source_ip>{address}</source_ip><count>{count}</count><policy_evaluated>\
             <disposition>{disposition}</disposition><dkim>{dkim_verdict}</dkim><spf>fail</spf>{reason}\
             </policy_evaluated></row><identifiers><header_from>{domain}</header_from></identifiers><auth_results>\
             <dkim><domain>{dkim_domain}</domain><selector>{selector}</selector><result>{dkim}</result></dkim>\
             <spf><domain>bounce.test</domain><result>{spf}</result></spf></auth_results></record>"
        );
    }
    xml + "</feedback>\n"
}

/// A store with reports of both customers and of domains without one, with settings.
pub(super) fn town(smtp_port: Option<u16>) -> WorkDir {
    let work = WorkDir::new();
    for day in 0..63 {
        for (owner, spoofed) in [(&ALDER, false), (&BIRCH, true)] {
            let domain = owner.domains[0];
            let result = if day >= 58 && !spoofed { "permerror" } else { "pass" };
            let mut rows = vec![
                (owner.address, 30, domain, owner.selector, result, "fail", owner.comment),
                (VENDOR, 9, "esp.example", "s1", "pass", "pass", ""),
            ];
            rows.push(if spoofed {
                (SERVER, 7, "junk.test", "x", "fail", "fail", "")
            } else {
                (SERVER, 7, domain, "s1", "pass", "fail", "")
            });
            for reporter in SHARED.iter().chain([&owner.reporter]) {
                let name = format!("xml/{}!{domain}!{day}.xml", reporter.replace(' ', "_"));
                work.write(name, report(reporter, domain, day, &rows));
            }
        }
        let rows = [("2001:db8:ffff::1", 3, "stray.example", "straysel", "pass", "fail", "")];
        work.write(format!("xml/stray-{day}.xml"), report("North Post", "stray.example", day, &rows));
        let rows = [("2001:db8:ffff::2", 2, "below.alder.example", "straysel", "pass", "fail", "")];
        work.write(format!("xml/below-{day}.xml"), report("North Post", "below.alder.example", day, &rows));
    }
    work.write("xml/Qalder.test!alder.example!1789948800!1790035199.xml", "<feedback>cut");
    work.write("xml/attachment.xml", "<feedback>cut too");
    let smtp = smtp_port.map_or_else(String::new, |port| {
        format!("[smtp]\nhost = \"127.0.0.1\"\nport = {port}\nsecurity = \"none\"\nfrom = \"dmarc@msp.example\"\n")
    });
    let confirmed = "[[confirmed]]\nsender = \"mine\"\nsigns_as = \"esp.example\"\ndomain = \"alder.example\"\n\
                     note = \"qalderword\"\n";
    // The longer match of a domain wins.
    let third = "[[customer]]\nname = \"Clover\"\ndomains = [\"below.alder.example\"]\n";
    work.write("dmarquet.toml", format!("{confirmed}{smtp}{}{}{third}", ALDER.settings(), BIRCH.settings()));
    let done = run(&work, &["ingest", "xml"]);
    assert_eq!(done.code, Some(1), "two items cannot be read: {done:#?}");
    work
}

pub(super) fn run(work: &WorkDir, args: &[&str]) -> crate::workdir::Done {
    work.run(args.iter().copied().chain(["--config", "dmarquet.toml"]))
}

/// The output for one customer has its own words, and none of the other's or of domains without a customer.
#[track_caller]
fn assert_bounded(owner: &Owner, text: &str, what: &str) {
    let other = if owner.name == ALDER.name { &BIRCH } else { &ALDER };
    let flat = text.to_lowercase().replace(['\n', '\r', '\u{200b}'], "");
    for secret in other.secrets().into_iter().chain(["stray", "2001:db8:ffff", "clover"]) {
        assert!(!flat.contains(&secret.to_lowercase()), "{what} for {} holds {secret:?}:\n{text}", owner.name);
    }
}

#[test]
fn nothing_of_one_customer_reaches_another() {
    let work = town(None);
    for owner in [&ALDER, &BIRCH] {
        for format in ["text", "markdown", "html", "json", "csv"] {
            let made = run(&work, &["summary", "--customer", owner.name, WEEK[0], WEEK[1], "--format", format]).quiet();
            assert_bounded(owner, &made, format);
            let shown = if format == "csv" { owner.address.trim_end_matches("::25") } else { owner.domains[0] };
            assert!(made.contains(shown), "{format} has what is its own: {made}");
        }
        for source in [VENDOR, SERVER] {
            let args = ["summary", "--customer", owner.name, WEEK[0], WEEK[1], "--explain", source];
            assert_bounded(owner, &run(&work, &args).quiet(), "explain");
        }
        for format in ["text", "json"] {
            assert_bounded(
                owner,
                &run(&work, &["status", "--customer", owner.name, "--format", format]).quiet(),
                "status",
            );
        }
        for format in ["csv", "ndjson"] {
            let rows = run(&work, &["export", "--customer", owner.name, "--format", format]).quiet();
            assert_bounded(owner, &rows, format);
            assert!(rows.contains(owner.selector) && rows.contains(owner.reporter), "{format}");
        }
    }
}

#[test]
fn an_archive_of_one_customer_leads_to_its_own_pages() {
    let work = town(None);
    let settings = std::fs::read_to_string(work.path("dmarquet.toml")).unwrap();
    work.write("dmarquet.toml", format!("{settings}[site]\nurl = \"https://dmarc.msp.example\"\n"));
    let site = |args: &[&str]| {
        let now = ["site", "--weeks", "2", "--now", "2026-11-25T06:00:00Z"];
        assert_eq!(run(&work, &[&now, args].concat()).code, Some(0));
    };
    site(&["--each-customer", "--out", "all"]);
    for (owner, folder) in [(&ALDER, "alder---co"), (&BIRCH, "birch")] {
        for file in files_below(&work.path("all").join(folder)) {
            assert_bounded(
                owner,
                &std::fs::read_to_string(&file).unwrap(),
                file.to_str().unwrap().trim_start_matches('/'),
            );
        }
        let feed = std::fs::read_to_string(work.path("all").join(folder).join("feed.xml")).unwrap();
        let links: Vec<&str> = feed.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        let own = format!("https://dmarc.msp.example/{folder}/");
        assert!(links.len() > 2 && links.iter().all(|link| link.starts_with(&own)), "{links:?}");
    }
    site(&["--customer", "birch", "--out", "one"]);
    let feed = std::fs::read_to_string(work.path("one/feed.xml")).unwrap();
    assert!(!feed.contains("msp.example"), "the address in the settings has the pages of all: {feed}");
}

#[test]
fn a_table_without_rows_replaces_the_one_that_an_earlier_export_left() {
    let work = town(None);
    let dns = Scripted::start("");
    let geoip = work.write("ip2asn-v4.tsv", format!("{SERVER}\t{SERVER}\t64500\tDE\tEXAMPLE-CLOUD\n"));
    let server = dns.address.to_string();
    run(&work, &["enrich", "--weeks", "520", "--server", &server, "--geoip", geoip.to_str().unwrap()]).quiet();
    let export = |args: &[&str]| run(&work, &[&["export", "--format", "csv", "--out", "out"], args].concat()).quiet();
    let rows =
        |table: &str| std::fs::read_to_string(work.path(format!("out/{table}.csv"))).unwrap().lines().count() - 1;
    export(&["--customer", "Birch"]);
    assert!(rows("records") > 0 && rows("sources") > 0 && rows("senders") > 0);
    // None of its days has a row, and it has no verdicts.
    export(&["--customer", "Clover", "--from", "2020-01-01", "--to", "2020-01-07"]);
    assert_eq!(["records", "sources", "senders", "domains", "tls_reports"].map(rows), [0; 5]);
    export(&["--customer", "Birch"]);
    export(&["--since-run", "1000"]);
    assert_eq!(["records", "senders", "domains"].map(rows), [0; 3]);
    export(&["--customer", "Birch", "--bom"]);
    export(&["--since-run", "1000"]);
    assert_eq!(["records", "senders", "domains"].map(rows), [0; 3], "with a byte order mark, too");
    let lines = |name: &str| std::fs::read_to_string(work.path(format!("out/{name}"))).unwrap().lines().count();
    run(&work, &["export", "--format", "ndjson", "--out", "out", "--customer", "Birch"]).quiet();
    assert!(lines("senders.ndjson") > 0 && lines("domains.ndjson") > 0);
    run(&work, &["export", "--format", "ndjson", "--out", "out", "--since-run", "1000"]).quiet();
    assert_eq!(["senders.ndjson", "domains.ndjson"].map(lines), [0; 2]);
}

#[test]
fn a_file_of_the_users_own_stays_where_an_export_has_no_such_table() {
    let work = town(None);
    let own = [
        ("domains.csv", "domain,registrar\nbirch.example,a\n"),
        ("dns.csv", ""),
        ("sources.arrow", "ARROW1"),
        ("domains.ndjson", "{\"domain\":\"birch.example\",\"week\":1}\n"),
    ];
    for (name, text) in own {
        work.write(format!("out/{name}"), text);
    }
    for format in ["csv", "ndjson", "ipc"] {
        run(&work, &["export", "--format", format, "--out", "out", "--since-run", "1000"]).quiet();
    }
    for (name, text) in own {
        assert_eq!(std::fs::read_to_string(work.path(format!("out/{name}"))).unwrap(), text, "{name}");
    }
}

#[test]
fn a_file_for_one_customer_holds_no_bytes_of_another_even_where_no_reader_looks() {
    let work = town(None);
    // One part of all owners: a row group and its dictionaries are everybody's.
    run(&work, &["compact"]);
    run(&work, &["export", "--each-customer", "--out", "ipc", "--format", "ipc"]).quiet();
    run(&work, &["export", "--each-customer", "--out", "lake"]).quiet();
    for (owner, folder) in [(&ALDER, "alder---co"), (&BIRCH, "birch")] {
        let file = std::fs::read(work.path("ipc").join(folder).join("records.arrow")).unwrap();
        let text = String::from_utf8_lossy(&file);
        assert_bounded(owner, &text, "Arrow, which is not compressed,");
        assert!(text.contains(owner.selector));
        // The pages of Parquet are compressed; a small file of a few rows shows what its dictionaries hold as Arrow.
        let lake = work.path("lake").join(folder);
        let lake = lake.to_str().unwrap();
        run(&work, &["export", "--records", lake, "--format", "ipc", "--out", "again"]).quiet();
        let again = std::fs::read(work.path("again/records.arrow")).unwrap();
        assert_bounded(owner, &String::from_utf8_lossy(&again), "Parquet");
        for file in files_below(&work.path("lake").join(folder)) {
            assert_bounded(owner, file.strip_prefix(work.path("")).unwrap().to_str().unwrap(), "the name of a file");
        }
    }
}

#[test]
fn a_part_of_a_file_has_the_same_rows_as_the_whole() {
    let work = town(None);
    run(&work, &["compact"]);
    let all = run(&work, &["export", "--format", "ndjson"]).quiet();
    let all: Vec<&str> = all.lines().filter(|row| row.contains("\"policy_domain\":\"birch.example\"")).collect();
    run(&work, &["export", "--domain", "birch.example", "--out", "cut"]).quiet();
    let cut = run(&work, &["export", "--records", "cut", "--format", "ndjson"]).quiet();
    let (mut all, mut cut): (Vec<String>, Vec<String>) =
        (all.into_iter().map(str::to_owned).collect(), cut.lines().map(str::to_owned).collect());
    all.sort();
    cut.sort();
    assert_eq!(all, cut);
}

#[test]
fn sums_quality_and_verdicts_are_those_of_the_customer() {
    let work = town(None);
    let summary =
        |args: &[&str]| run(&work, &[&["summary", "--format", "json", WEEK[0], WEEK[1]], args].concat()).json();
    let alder = summary(&["--customer", ALDER.name]);
    assert_eq!(alder["totals"]["messages"], (30 + 9 + 7) * 3 * 7);
    assert_eq!(alder["totals"]["reporters"], 3);
    let birch = summary(&["--customer", "birch"]);
    assert_eq!(birch["totals"]["messages"], (30 + 9 + 7) * 3 * 7);
    assert_eq!(summary(&["--customer", "Clover"])["totals"]["messages"], 2 * 7, "the longer match of a domain wins");
    let all = summary(&[]);
    for (answer, domain) in [(&birch, "birch.example"), (&all, "birch.example")] {
        let roles: Vec<&str> = answer["senders"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|sender| sender["policy_domain"] == domain && sender["address"] == SERVER)
            .map(|sender| sender["role"].as_str().unwrap())
            .collect();
        assert!(!roles.is_empty() && roles.iter().all(|role| !["own", "vendor"].contains(role)), "{roles:?}");
    }
    // Confirmed for one is confirmed for that one.
    let vendor = |answer: &serde_json::Value, domain: &str| {
        let senders = answer["senders"].as_array().unwrap();
        let found = senders.iter().find(|sender| sender["policy_domain"] == domain && sender["address"] == VENDOR);
        found.map(|sender| sender["role"].as_str().unwrap().to_owned())
    };
    assert_eq!(vendor(&all, "alder.example").as_deref(), Some("own"));
    assert_ne!(vendor(&all, "birch.example").as_deref(), Some("own"));
    let status = |args: &[&str]| run(&work, &[&["status", "--format", "json"], args].concat()).json();
    for (args, rejected) in [(&[][..], 2), (&["--customer", ALDER.name][..], 1), (&["--customer", "birch"][..], 0)] {
        assert_eq!(status(args)["rejected"], rejected, "{args:?}");
    }
    let ids = |answer: &serde_json::Value| -> Vec<String> {
        answer["actions"].as_array().unwrap().iter().map(|action| action["id"].as_str().unwrap().to_owned()).collect()
    };
    let known = ids(&all);
    assert!(!ids(&alder).is_empty() && ids(&alder).iter().all(|id| known.contains(id)), "one id for all readers");
}

#[test]
fn an_unknown_name_is_an_error_that_suggests_the_right_one() {
    let work = town(None);
    for (args, meant) in [
        (&["summary", "--customer", "Bich"][..], "did you mean \"Birch\"?"),
        (&["status", "--customer", "Alder & Coo"], "did you mean \"Alder & Co\"?"),
        (&["export", "--customer", "nobody knows", "--format", "csv"], "there is Alder & Co, Birch"),
        (&["summary", "--domain", "brich.example"], "did you mean birch.example?"),
        (&["export", "--domain", "aldr.example", "--out", "lake"], "did you mean alder.example?"),
        (&["summary", "--customer", "Birch", "--domain", "alder.example"], "its domains are birch.example"),
    ] {
        let done = run(&work, args);
        assert_eq!(done.code, Some(2), "{args:?}: {done:#?}");
        assert!(done.stderr.contains(meant), "{args:?}: {}", done.stderr);
    }
    assert!(!work.path("lake").exists());
    let silent = run(&work, &["summary", "--domain", "alder-shop.example", WEEK[0], WEEK[1]]);
    assert_eq!(silent.code, Some(0), "{silent:#?}");
    assert!((silent.stdout + &silent.stderr).contains("alder-shop.example"), "it is said that there is nothing");
}

#[test]
fn the_overview_has_a_row_for_every_domain_and_names_the_worst_first() {
    let work = town(None);
    let rows = run(&work, &["summary", "--overview", WEEK[0], WEEK[1], "--format", "json"]).json();
    let told: Vec<(&str, &str)> = rows["domains"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["policy_domain"].as_str().unwrap(), row["state"].as_str().unwrap()))
        .collect();
    assert_eq!(told[0], ("alder.example", "loses"), "{told:?}");
    assert!(
        told.contains(&("alder-shop.example", "never_reported")) && told.contains(&("stray.example", "well")),
        "{told:?}"
    );
    assert_eq!(told.len(), 5, "{told:?}");
    for format in ["text", "markdown", "html", "csv"] {
        let made = run(&work, &["summary", "--overview", WEEK[0], WEEK[1], "--format", format]).quiet();
        assert!(told.iter().all(|(domain, _)| made.contains(domain) || format == "markdown"), "{format}: {made}");
    }
    let own = run(&work, &["summary", "--overview", "--customer", "Birch", WEEK[0], WEEK[1]]).quiet();
    assert_bounded(&BIRCH, &own, "overview");
}

#[test]
fn monitoring_names_the_domains_that_went_silent() {
    let work = town(None);
    let silent = run(&work, &["status", "--by-domain", "--max-age", "1d"]);
    assert_eq!(silent.code, Some(1), "{silent:#?}");
    assert!(
        silent
            .stderr
            .contains("alder-shop.example (Alder & Co): no report in the last 1 day; there has never been one")
    );
    assert!(!silent.stderr.contains("stray.example"), "a stranger's domain is nobody's business: {}", silent.stderr);
    let own = run(&work, &["status", "--by-domain", "--customer", "Birch", "--max-age", "100y"]);
    assert_eq!((own.code, own.stdout.as_str()), (Some(0), ""), "{own:#?}");
}

/// What a mail server accepted: recipients and text of each mail.
type Mails = Arc<Mutex<Vec<(Vec<String>, String)>>>;

/// A mail server that refuses some recipients: its port, what it accepted, and the number of sessions.
fn mail_server(refused: &'static str) -> (u16, Mails, Arc<Mutex<usize>>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (mails, sessions) = (Mails::default(), Arc::new(Mutex::new(0)));
    let (taken, begun) = (mails.clone(), sessions.clone());
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            *begun.lock().unwrap() += 1;
            let taken = taken.clone();
            std::thread::spawn(move || talk(socket.unwrap(), refused, &taken));
        }
    });
    (port, mails, sessions)
}

fn talk(mut socket: TcpStream, refused: &str, mails: &Mails) {
    let mut lines = BufReader::new(socket.try_clone().unwrap());
    let (mut to, mut line) = (Vec::new(), String::new());
    let _ = socket.write_all(b"220 post.test\r\n");
    while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
        let answer = match line.get(..4).unwrap_or_default() {
            "EHLO" => "250-post.test\r\n250 8BITMIME",
            "RCPT" if !refused.is_empty() && line.contains(refused) => "550 no such mailbox",
            "RCPT" => {
                to.push(line.split(['<', '>']).nth(1).unwrap().to_owned());
                "250 ok"
            }
            "DATA" => {
                let _ = socket.write_all(b"354 go on\r\n");
                let mut text = String::new();
                while !text.ends_with("\r\n.\r\n") && lines.read_line(&mut text).is_ok_and(|read| read > 0) {}
                mails.lock().unwrap().push((std::mem::take(&mut to), text));
                "250 taken"
            }
            "QUIT" => {
                let _ = socket.write_all(b"221 bye\r\n");
                return drop(lines.read_to_end(&mut Vec::new()));
            }
            _ => "250 ok",
        };
        let _ = socket.write_all(format!("{answer}\r\n").as_bytes());
        line.clear();
    }
}

#[test]
fn each_customer_is_mailed_once_and_a_refused_one_stops_no_other() {
    let (port, mails, sessions) = mail_server("it@alder.example");
    let work = town(Some(port));
    let args = ["summary", "--each-customer", "--mail", WEEK[0], WEEK[1]];
    let first = run(&work, &args);
    assert_eq!(first.code, Some(2), "{first:#?}");
    assert!(first.stderr.contains("Alder & Co") && first.stderr.contains("it@alder.example"), "{}", first.stderr);
    let taken = mails.lock().unwrap().drain(..).collect::<Vec<_>>();
    assert_eq!(taken.len(), 1, "{taken:#?}");
    let (to, mail) = &taken[0];
    assert_eq!(to, &["it@birch.example"]);
    assert!(
        mail.contains("Subject: Birch 2026-W47: ") && mail.contains(BIRCH.title) && mail.contains(BIRCH.footer),
        "{mail}"
    );
    assert_bounded(&BIRCH, &mail.replace("=\r\n", ""), "mail");
    assert_eq!(*sessions.lock().unwrap(), 1, "one conversation for all");

    let (port, mails, _) = mail_server("");
    let settings = std::fs::read_to_string(work.path("dmarquet.toml")).unwrap();
    let old = settings.lines().find(|line| line.starts_with("port = ")).unwrap().to_owned();
    work.write("dmarquet.toml", settings.replace(&old, &format!("port = {port}")));
    let sent = |more: &[&str]| {
        let done = run(&work, &[&args, more].concat());
        assert_eq!(done.code, Some(0), "{done:#?}");
        let to: Vec<String> = mails.lock().unwrap().drain(..).flat_map(|(to, _)| to).collect();
        to
    };
    assert_eq!(sent(&[]), ["it@alder.example"], "only who failed is due");
    assert_eq!(sent(&[]), [""; 0], "nobody is mailed twice");
    assert_eq!(sent(&["--resend"]), ["it@alder.example", "it@birch.example"]);
}
