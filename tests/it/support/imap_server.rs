//! A small IMAP server for tests: it behaves well, and on demand in ways that no good server would.
//!
//! It takes folders with mails, a [`Manner`] and faults, and gives a port on loopback, every command it received, and
//! the folders as they are afterward. One thread per connection, no TLS, one user.

#![allow(dead_code, reason = "the library's tests and the program's use different halves")]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard},
    thread,
    time::Duration,
};

/// How the server behaves.
#[derive(Debug, Clone)]
pub(crate) struct Manner {
    pub(crate) capabilities: Vec<String>,
    pub(crate) delimiter: char,
    pub(crate) prefix: String,
    pub(crate) no_inferiors: Vec<String>,
    pub(crate) refuse_chars: String,
    pub(crate) read_only: bool,
    /// Writes replies in pieces of this size.
    pub(crate) chunk_bytes: Option<usize>,
    /// Answers BYE if one FETCH names more mails.
    pub(crate) largest_set: usize,
    /// Answers BYE if a command line is longer.
    pub(crate) longest_line: usize,
    /// How much it adds to a mail's size.
    pub(crate) size_factor: f64,
    /// Answers FETCH with the last mail first, and the UID after the body.
    pub(crate) backwards: bool,
    /// Sent before every answer to a FETCH.
    pub(crate) interjection: String,
    /// Instead of the true answer to a FETCH of a body: UID to bytes.
    pub(crate) instead: BTreeMap<u32, Vec<u8>>,
    /// How it states the number of mails when a folder is opened; `#` stands for the number.
    pub(crate) exists: String,
    /// Sent instead of the greeting.
    pub(crate) greeting: Option<Vec<u8>>,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            capabilities: ["IMAP4rev1", "UIDPLUS", "MOVE"].map(str::to_owned).to_vec(),
            delimiter: '/',
            prefix: String::new(),
            no_inferiors: Vec::new(),
            refuse_chars: String::new(),
            read_only: false,
            chunk_bytes: None,
            largest_set: usize::MAX,
            longest_line: 8000,
            size_factor: 1.0,
            backwards: false,
            interjection: String::new(),
            instead: BTreeMap::new(),
            exists: "* # EXISTS\r\n".to_owned(),
            greeting: None,
        }
    }
}

/// What goes wrong, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// The connection ends after this many bytes of the answer.
    DropAfter(usize),
    /// A literal announces more than is sent, and then nothing follows.
    ShortLiteral { promise: usize, send: usize },
    /// The server sends BYE instead of an answer.
    Bye,
    /// The connection ends instead of an answer.
    Close,
    /// There is no answer, and the connection stays open.
    Silence,
    /// The command is carried out, and the connection ends before the answer.
    CloseAfter,
}

/// When something goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum When {
    /// At the command of this number, counted over all connections from 0.
    Command(usize),
    /// When a body of this UID is fetched.
    Body(u32),
    /// At the first command that begins so.
    Line(String),
}

/// A mail in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mail {
    pub(crate) uid: u32,
    pub(crate) flags: Vec<String>,
    pub(crate) bytes: Vec<u8>,
}

/// A folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Folder {
    pub(crate) validity: u32,
    pub(crate) next: u32,
    pub(crate) mails: Vec<Mail>,
}

impl Folder {
    /// A folder with these mails, UIDs from 1.
    pub(crate) fn of(mails: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut folder = Self { validity: 7, next: 1, mails: Vec::new() };
        for bytes in mails {
            folder.add(bytes);
        }
        folder
    }

    /// One more mail.
    pub(crate) fn add(&mut self, bytes: Vec<u8>) {
        self.mails.push(Mail { uid: self.next, flags: Vec::new(), bytes });
        self.next += 1;
    }
}

/// State shared by all connections.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) folders: BTreeMap<String, Folder>,
    pub(crate) manner: Manner,
    pub(crate) faults: Vec<(When, Wrong)>,
    /// Every command line, without its tag.
    pub(crate) commands: Vec<String>,
    pub(crate) connections: usize,
}

/// A running server. It ends with the test's process.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub(crate) port: u16,
    world: Arc<Mutex<World>>,
}

impl Server {
    /// Starts one.
    pub(crate) fn start(manner: Manner, folders: impl IntoIterator<Item = (String, Folder)>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let folders = folders.into_iter().collect();
        let world = Arc::new(Mutex::new(World { folders, manner, ..World::default() }));
        let server = Self { port, world };
        let shared = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = shared.clone();
                thread::spawn(move || server.serve(stream));
            }
        });
        server
    }

    /// A server with one INBOX.
    pub(crate) fn with_inbox(manner: Manner, mails: impl IntoIterator<Item = Vec<u8>>) -> Self {
        Self::start(manner, [("INBOX".to_owned(), Folder::of(mails))])
    }

    /// The shared state, to look at or change.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no connection panics")
    }

    /// The contents of a folder by UID; empty if there is no such folder.
    pub(crate) fn folder(&self, name: &str) -> Folder {
        self.world().folders.get(name).cloned().unwrap_or_default()
    }

    fn serve(&self, stream: TcpStream) {
        let greeting = {
            let mut world = self.world();
            world.connections += 1;
            world.manner.greeting.clone()
        };
        let mut session = Session { server: self.clone(), writer: stream, selected: None };
        let greeting = greeting.unwrap_or_else(|| b"* OK ready\r\n".to_vec());
        if session.write(&greeting).is_none() {
            return;
        }
        let Ok(reader) = session.writer.try_clone() else { return };
        let mut lines = BufReader::new(reader);
        let mut line = String::new();
        while {
            line.clear();
            matches!(lines.read_line(&mut line), Ok(1..))
        } {
            if session.command(line.trim_end(), &mut lines).is_none() {
                let _ = session.writer.shutdown(Shutdown::Both);
                return;
            }
        }
    }
}

struct Session {
    server: Server,
    writer: TcpStream,
    selected: Option<String>,
}

impl Session {
    fn write(&mut self, bytes: &[u8]) -> Option<()> {
        let size = self.server.world().manner.chunk_bytes.unwrap_or(usize::MAX).min(bytes.len().max(1));
        let _ = self.writer.set_nodelay(true);
        for chunk in bytes.chunks(size) {
            self.writer.write_all(chunk).ok()?;
            if size < bytes.len() {
                thread::sleep(Duration::from_millis(1));
            }
        }
        Some(())
    }

    /// Carries out one command; `None` if the connection ends.
    fn command(&mut self, line: &str, lines: &mut impl BufRead) -> Option<()> {
        let (tag, command) = line.split_once(' ').unwrap_or((line, ""));
        let (wrong, longest) = {
            let mut world = self.server.world();
            let number = world.commands.len();
            world.commands.push(command.to_owned());
            let at = world.faults.iter().position(|(when, _)| match when {
                When::Command(wanted) => *wanted == number,
                When::Line(start) => command.starts_with(start.as_str()),
                When::Body(_) => false,
            });
            (at.map(|at| world.faults.remove(at).1), world.manner.longest_line)
        };
        if line.len() > longest {
            self.write(b"* BYE your line is too long\r\n")?;
            return None;
        }
        match wrong {
            Some(Wrong::Bye) => {
                self.write(b"* BYE not today\r\n")?;
                return None;
            }
            Some(Wrong::Silence) => return self.stay_silent(),
            Some(Wrong::CloseAfter) => {
                let mut unheard = Session {
                    server: self.server.clone(),
                    writer: TcpStream::connect(("127.0.0.1", sinkhole())).ok()?,
                    selected: self.selected.clone(),
                };
                let _ = unheard.answer(tag, command, lines);
                return None;
            }
            Some(_) => return None,
            None => {}
        }
        self.answer(tag, command, lines)
    }

    /// Until the client hangs up.
    fn stay_silent(&mut self) -> Option<()> {
        let mut rest = Vec::new();
        let _ = self.writer.read_to_end(&mut rest);
        None
    }

    fn answer(&mut self, tag: &str, command: &str, lines: &mut impl BufRead) -> Option<()> {
        let words = words(command);
        let word = |at: usize| words.get(at).map_or("", String::as_str);
        match word(0).to_ascii_uppercase().as_str() {
            "CAPABILITY" => {
                let all = self.server.world().manner.capabilities.join(" ");
                self.write(format!("* CAPABILITY {all}\r\n{tag} OK done\r\n").as_bytes())
            }
            "LOGIN" => self.write(format!("{tag} OK welcome\r\n").as_bytes()),
            "AUTHENTICATE" => {
                self.write(b"+ \r\n")?;
                lines.read_line(&mut String::new()).ok()?;
                self.write(format!("{tag} OK welcome\r\n").as_bytes())
            }
            "LIST" => self.list(tag, word(2)),
            "CREATE" => self.create(tag, word(1)),
            "SELECT" | "EXAMINE" => self.select(tag, word(1), word(0).eq_ignore_ascii_case("SELECT")),
            "UID" => self.uid(tag, &words),
            "LOGOUT" => {
                self.write(format!("* BYE come again\r\n{tag} OK done\r\n").as_bytes())?;
                None
            }
            "NOOP" | "SUBSCRIBE" | "ID" => self.write(format!("{tag} OK done\r\n").as_bytes()),
            _ => self.write(format!("{tag} BAD unknown command\r\n").as_bytes()),
        }
    }

    fn list(&mut self, tag: &str, pattern: &str) -> Option<()> {
        let text = {
            let world = self.server.world();
            let delimiter = world.manner.delimiter;
            let mut names: Vec<&String> = world.folders.keys().chain(&world.manner.no_inferiors).collect();
            names.dedup();
            let line = |name: &String| {
                let attribute = if world.manner.no_inferiors.contains(name) { "\\NoInferiors" } else { "" };
                format!("* LIST ({attribute}) \"{delimiter}\" \"{name}\"\r\n")
            };
            match pattern {
                "" => format!("* LIST (\\Noselect) \"{delimiter}\" \"\"\r\n"),
                _ => names.into_iter().map(line).collect(),
            }
        };
        self.write(format!("{text}{tag} OK done\r\n").as_bytes())
    }

    fn create(&mut self, tag: &str, name: &str) -> Option<()> {
        let refusal = {
            let mut world = self.server.world();
            let manner = &world.manner;
            let childless = |parent: &String| name.starts_with(&format!("{parent}{}", manner.delimiter));
            let refusal = if !name.starts_with(&manner.prefix) {
                Some("outside the namespace")
            } else if name.chars().any(|character| manner.refuse_chars.contains(character)) {
                Some("a character is not allowed")
            } else if manner.no_inferiors.iter().any(childless) {
                Some("the parent takes no children")
            } else {
                None
            };
            if refusal.is_none() {
                world.folders.insert(name.to_owned(), Folder::of([]));
            }
            refusal
        };
        let answer = refusal.map_or("OK done".to_owned(), |why| format!("NO {why}"));
        self.write(format!("{tag} {answer}\r\n").as_bytes())
    }

    fn select(&mut self, tag: &str, name: &str, write: bool) -> Option<()> {
        let folder = {
            let world = self.server.world();
            world.folders.get(name).map(|folder| (folder.clone(), world.manner.read_only))
        };
        let exists = self.server.world().manner.exists.clone();
        let Some((folder, read_only)) = folder else {
            return self.write(format!("{tag} NO there is no such folder\r\n").as_bytes());
        };
        self.selected = Some(name.to_owned());
        let code = if write && !read_only { "READ-WRITE" } else { "READ-ONLY" };
        let (count, validity, next) = (folder.mails.len(), folder.validity, folder.next);
        let exists = exists.replace('#', &count.to_string());
        self.write(
            format!(
                "* FLAGS (\\Seen \\Deleted)\r\n{exists}* {count} RECENT\r\n* OK [UIDVALIDITY {validity}] ok\r\n\
                 * OK [UIDNEXT {next}] ok\r\n{tag} OK [{code}] done\r\n"
            )
            .as_bytes(),
        )
    }

    fn uid(&mut self, tag: &str, words: &[String]) -> Option<()> {
        let argument = |at: usize| words.get(at).map_or("", String::as_str);
        let Some(folder) = self.selected.clone() else {
            return self.write(format!("{tag} BAD no folder is open\r\n").as_bytes());
        };
        let uids = self.expand(&folder, argument(2));
        match argument(1).to_ascii_uppercase().as_str() {
            "FETCH" => return self.fetch(tag, &folder, &uids, &words[3..].join(" ").to_ascii_uppercase()),
            "STORE" => {
                let mut world = self.server.world();
                let flag = argument(4).trim_matches(['(', ')']).to_owned();
                let mails = &mut world.folders.get_mut(&folder)?.mails;
                mails.iter_mut().filter(|mail| uids.contains(&mail.uid)).for_each(|mail| mail.flags.push(flag.clone()));
            }
            "EXPUNGE" => {
                let mut world = self.server.world();
                let flagged = |mail: &Mail| mail.flags.iter().any(|flag| flag == "\\Deleted");
                world.folders.get_mut(&folder)?.mails.retain(|mail| !uids.contains(&mail.uid) || !flagged(mail));
            }
            verb @ ("COPY" | "MOVE") => {
                let mut world = self.server.world();
                if !world.folders.contains_key(argument(3)) {
                    drop(world);
                    return self.write(format!("{tag} NO [TRYCREATE] there is no such folder\r\n").as_bytes());
                }
                let mails = &mut world.folders.get_mut(&folder)?.mails;
                let copies: Vec<Mail> = mails.iter().filter(|mail| uids.contains(&mail.uid)).cloned().collect();
                if verb == "MOVE" {
                    mails.retain(|mail| !uids.contains(&mail.uid));
                }
                let target = world.folders.get_mut(argument(3))?;
                for mail in copies {
                    target.add(mail.bytes);
                }
            }
            _ => return self.write(format!("{tag} BAD unknown command\r\n").as_bytes()),
        }
        self.write(format!("{tag} OK done\r\n").as_bytes())
    }

    /// The existing UIDs of a set; `n:*` always includes the last.
    fn expand(&self, folder: &str, set: &str) -> Vec<u32> {
        let world = self.server.world();
        let all: Vec<u32> = world.folders[folder].mails.iter().map(|mail| mail.uid).collect();
        let last = all.last().copied().unwrap_or(0);
        let number = |text: &str| if text == "*" { last } else { text.parse().unwrap_or(0) };
        let wanted: Vec<(u32, u32)> = set
            .split(',')
            .map(|part| part.split_once(':').map_or((number(part), number(part)), |(a, b)| (number(a), number(b))))
            .map(|(a, b)| (a.min(b), a.max(b)))
            .collect();
        all.into_iter().filter(|&uid| wanted.iter().any(|&(first, end)| (first..=end).contains(&uid))).collect()
    }

    fn fetch(&mut self, tag: &str, folder: &str, uids: &[u32], items: &str) -> Option<()> {
        let (mails, manner) = {
            let world = self.server.world();
            let all = &world.folders[folder].mails;
            let mails = all.iter().enumerate().filter(|(_, mail)| uids.contains(&mail.uid));
            (mails.map(|(at, mail)| (at + 1, mail.clone())).collect::<Vec<_>>(), world.manner.clone())
        };
        let body = items.contains("BODY.PEEK[]");
        if body && mails.len() > manner.largest_set {
            self.write(b"* BYE that is too much\r\n")?;
            return None;
        }
        let mut mails = mails;
        if manner.backwards {
            mails.reverse();
        }
        for (number, mail) in mails {
            self.write(manner.interjection.as_bytes())?;
            if body {
                self.give(number, &mail, &manner)?;
                continue;
            }
            let mut parts = vec![format!("UID {}", mail.uid)];
            if items.contains("RFC822.SIZE") {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::cast_precision_loss,
                    reason = "small"
                )]
                let size = (mail.bytes.len() as f64 * manner.size_factor) as u64;
                parts.push(format!("RFC822.SIZE {size}"));
            }
            if items.contains("INTERNALDATE") {
                parts.push("INTERNALDATE \"25-Nov-2026 06:00:00 +0000\"".to_owned());
            }
            if items.contains("FLAGS") {
                parts.push(format!("FLAGS ({})", mail.flags.join(" ")));
            }
            self.write(format!("* {number} FETCH ({})\r\n", parts.join(" ")).as_bytes())?;
        }
        self.write(format!("{tag} OK done\r\n").as_bytes())
    }

    fn give(&mut self, number: usize, mail: &Mail, manner: &Manner) -> Option<()> {
        let wrong = {
            let mut world = self.server.world();
            let at = world.faults.iter().position(|(when, _)| *when == When::Body(mail.uid));
            at.map(|at| world.faults.remove(at).1)
        };
        if let Some(bytes) = manner.instead.get(&mail.uid) {
            return self.write(bytes);
        }
        let (uid, size) = (mail.uid, mail.bytes.len());
        let (head, tail) = if manner.backwards {
            (format!("* {number} FETCH (BODY[] {{{size}}}\r\n"), format!(" UID {uid})\r\n"))
        } else {
            (format!("* {number} FETCH (UID {uid} BODY[] {{{size}}}\r\n"), ")\r\n".to_owned())
        };
        match wrong {
            Some(Wrong::DropAfter(bytes)) => {
                let all = [head.as_bytes(), &mail.bytes].concat();
                self.write(&all[..bytes.min(all.len())])?;
                None
            }
            Some(Wrong::ShortLiteral { promise, send }) => {
                self.write(format!("* {number} FETCH (UID {uid} BODY[] {{{promise}}}\r\n").as_bytes())?;
                self.write(&mail.bytes[..send.min(size)])?;
                self.stay_silent()
            }
            Some(Wrong::Bye) => {
                self.write(b"* BYE this mail is bad\r\n")?;
                None
            }
            Some(Wrong::Silence) => self.stay_silent(),
            Some(_) => None,
            None => self.write(&[head.as_bytes(), &mail.bytes, tail.as_bytes()].concat()),
        }
    }
}

/// A port whose listener accepts connections and never answers.
fn sinkhole() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let port = listener.local_addr().expect("it is bound").port();
    thread::spawn(move || {
        if let Ok((mut stream, _)) = listener.accept() {
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
        }
    });
    port
}

/// Splits a command at its spaces, except in quoted strings.
fn words(command: &str) -> Vec<String> {
    let (mut words, mut quoted) = (vec![String::new()], false);
    for character in command.chars() {
        match character {
            '"' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().expect("there is a first").push(character),
        }
    }
    words
}
