//! An HTTPS server on loopback that answers by host, and presents an expired or unknown certificate on request.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

/// What the server sends for a host: head and body.
pub(crate) type Answers = Arc<Mutex<BTreeMap<String, String>>>;

/// The server; it runs as long as the tests.
pub(crate) struct HttpsServer {
    pub(crate) address: SocketAddr,
    /// The certificate to trust, and the one that has expired.
    pub(crate) ca_file: PathBuf,
    pub(crate) answers: Answers,
    /// The hosts asked for.
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

impl HttpsServer {
    /// Serves these hosts, with certificates created in the folder. A host that begins with `mta-sts.expired` or
    /// `mta-sts.stranger` has a bad one; the good one is not valid for `mta-sts.misnamed.example`.
    pub(crate) fn start(folder: &Path, hosts: &[String]) -> Self {
        let named: Vec<&str> = hosts.iter().map(String::as_str).filter(|host| !host.contains("misnamed")).collect();
        let good = certificate(folder, "good", &named, ("20200101000000Z", "20990101000000Z"));
        let expired = certificate(folder, "expired", &named, ("20200101000000Z", "20210101000000Z"));
        let stranger = certificate(folder, "stranger", &named, ("20200101000000Z", "20990101000000Z"));
        let ca_file = folder.join("ca.pem");
        let trusted = ["good.pem", "expired.pem"].map(|name| std::fs::read_to_string(folder.join(name)).unwrap());
        std::fs::write(&ca_file, trusted.concat()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::new(ByName {
            good,
            expired,
            stranger,
        }));
        let config = Arc::new(config);
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port on loopback");
        let address = listener.local_addr().expect("a bound address");
        let (answers, asked) = (Answers::default(), Arc::new(Mutex::new(Vec::new())));
        let (served, noted) = (answers.clone(), asked.clone());
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (config, served, noted) = (config.clone(), served.clone(), noted.clone());
                std::thread::spawn(move || serve(socket, config, &served, &noted));
            }
        });
        Self { address, ca_file, answers, asked }
    }

    pub(crate) fn answer(&self, host: &str, answer: &str) {
        self.answers.lock().unwrap().insert(host.to_owned(), answer.to_owned());
    }
}

/// A client that disconnects or rejects the certificate gets nothing.
fn serve(socket: TcpStream, config: Arc<ServerConfig>, answers: &Answers, asked: &Mutex<Vec<String>>) -> Option<()> {
    let mut stream = BufReader::new(StreamOwned::new(ServerConnection::new(config).ok()?, socket));
    let (mut host, mut line) = (String::new(), String::new());
    while stream.read_line(&mut line).ok()? > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("host:") {
            value.trim().clone_into(&mut host);
        }
        line.clear();
    }
    asked.lock().unwrap().push(host.clone());
    let answer = answers.lock().unwrap().get(&host).cloned()?;
    // A large body may be cut off by the client.
    let _ = stream.get_mut().write_all(answer.as_bytes());
    stream.get_mut().conn.send_close_notify();
    stream.get_mut().flush().ok()
}

#[derive(Debug)]
struct ByName {
    good: Arc<CertifiedKey>,
    expired: Arc<CertifiedKey>,
    stranger: Arc<CertifiedKey>,
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name()?;
        Some(match name.split('.').nth(1)? {
            "expired" => self.expired.clone(),
            "stranger" => self.stranger.clone(),
            _ => self.good.clone(),
        })
    }
}

/// A new certificate: one that is checked in would expire.
fn certificate(folder: &Path, name: &str, hosts: &[&str], (from, to): (&str, &str)) -> Arc<CertifiedKey> {
    let names: Vec<String> = hosts.iter().map(|host| format!("DNS:{host}")).collect();
    let settings = format!(
        "[ca]\ndefault_ca = d\n[d]\ndatabase = {0}/{name}.index\nnew_certs_dir = {0}\nserial = {0}/{name}.serial\n\
         default_md = sha256\npolicy = p\nx509_extensions = x\n[p]\ncommonName = supplied\n[x]\n\
         basicConstraints = critical, CA:FALSE\nsubjectAltName = {1}\n[req]\ndistinguished_name = n\n[n]\n",
        folder.display(),
        names.join(",")
    );
    let file = |ending: &str| folder.join(format!("{name}.{ending}"));
    std::fs::write(file("cnf"), settings).unwrap();
    std::fs::write(file("index"), "").unwrap();
    std::fs::write(file("serial"), "01").unwrap();
    let run = |command: &mut Command| {
        let made = command.output().expect("openssl is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    run(Command::new("openssl")
        .args(["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj"])
        .arg(format!("/CN={name}.example"))
        .arg("-config")
        .arg(file("cnf"))
        .arg("-keyout")
        .arg(file("key"))
        .arg("-out")
        .arg(file("csr")));
    run(Command::new("openssl")
        .args(["ca", "-selfsign", "-batch", "-notext", "-startdate", from, "-enddate", to, "-config"])
        .arg(file("cnf"))
        .arg("-keyfile")
        .arg(file("key"))
        .arg("-in")
        .arg(file("csr"))
        .arg("-out")
        .arg(file("pem")));
    let chain = vec![CertificateDer::from_pem_file(file("pem")).expect("a certificate")];
    let key = PrivateKeyDer::from_pem_file(file("key")).expect("a key");
    Arc::new(CertifiedKey::new(chain, any_supported_type(&key).expect("a key that can sign")))
}
