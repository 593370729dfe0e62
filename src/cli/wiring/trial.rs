//! Tries items that may crash the program in a child process with limits on memory and time, and reports whether it
//! survives.
//!
//! The child is this program, started with a special first argument that is not in the help. It reads items from
//! standard input, each with a line of JSON before its bytes, and answers each with a line.

use crate::dns::lookup::keyring::Keyring;
use crate::ingest::{self, IngestOptions, MailVerifier, StoreJob, StoredAlone, Survival, Trial, TrialItem};
use crate::store::Writer;
use jiff::Timestamp;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit};
use std::io::{self, BufRead, BufReader, Read as _, Write};
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

/// The first argument of a child.
const MARK: &str = "--trial-of-items";
/// The line of a child that is ready.
const READY: &str = "ready\n";
/// A report that every program can read.
const HARMLESS: &[u8] = b"<feedback><report_metadata><org_name>example.com</org_name><report_id>1</report_id><date_range>\
    <begin>0</begin><end>86399</end></date_range></report_metadata><policy_published><domain>example.com</domain>\
    <p>none</p></policy_published><record><row><source_ip>192.0.2.1</source_ip><count>1</count></row></record></feedback>";
/// The answer to an item that did no harm.
const SURVIVED: &str = "survived\n";
/// Address space of a child in bytes: one GiB reserved by the allocator, and half a GiB to work in. No item within the
/// limits needs a third of a GiB.
const MEMORY: u64 = 3 << 29;
/// Processor time of a child, in seconds: ten for each of the 64 MiB that an item may have.
const TIME: u64 = 640;
/// Seconds from the signal that the time is over to the kill, which says nothing about an item.
const UNTIL_KILLED: u64 = 10;

/// Whether this process is a child of [`Trials`].
pub(crate) fn is_child() -> bool {
    std::env::args_os().nth(1).is_some_and(|first| first == MARK)
}

/// The argument of a child that puts items into a store, before what it needs to know for that.
const STORE: &str = "store";
/// The argument for a child that verifies signatures, followed by the DNS servers to ask.
const VERIFY: &str = "verify";
/// The exit code of an uncaught panic.
const PANICKED: u8 = 101;

/// Runs the child: processes items until there are no more, on a thread with the same stack size as in a run, so that
/// what the child survives the run survives too.
pub(crate) fn child() -> ExitCode {
    limit_child();
    std::thread::spawn(work).join().unwrap_or_else(|_| ExitCode::from(PANICKED))
}

/// Limits this process. It does so itself, because a container need not have a shell that could. If the run that waits
/// has a limit of memory, the child gets less of what it leaves, because the run holds more than one item: what the
/// child survives rarely ends the run. A system that lacks one of these limits still has the others.
fn limit_child() {
    let own = getrlimit(Resource::RLIMIT_AS).map_or(RLIM_INFINITY, |(soft, _)| soft);
    let taken = address_space();
    let memory = if own == RLIM_INFINITY { MEMORY } else { MEMORY.min(taken + own.saturating_sub(taken) / 4 * 3) };
    let _ = setrlimit(Resource::RLIMIT_AS, memory, memory);
    let _ = setrlimit(Resource::RLIMIT_CPU, TIME, TIME + UNTIL_KILLED);
}

/// Address space of this process in bytes, much of which the allocator reserves in advance; 0 if the system does not
/// say.
fn address_space() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")?.trim().strip_suffix(" kB")?.parse().ok());
    size.unwrap_or(0u64) << 10
}

/// Additional arguments of a child.
#[derive(Debug, Default, Clone)]
struct ChildArgs {
    /// The store that it adds items to.
    job: Option<StoreJob>,
    /// The servers that it asks for the keys of signatures; `None`: it verifies none.
    servers: Option<Vec<SocketAddr>>,
}

impl ChildArgs {
    /// As arguments, which [`ChildArgs::read`] reads.
    fn written(&self) -> io::Result<Vec<String>> {
        let mut args = Vec::new();
        if let Some(job) = &self.job {
            args.extend([STORE.to_owned(), serde_json::to_string(job)?]);
        }
        if let Some(servers) = &self.servers {
            args.push(VERIFY.to_owned());
            args.extend(servers.iter().map(ToString::to_string));
        }
        Ok(args)
    }

    fn read(args: impl Iterator<Item = String>) -> io::Result<Self> {
        let mut args = args.peekable();
        let mut read = Self::default();
        if args.next_if(|arg| arg == STORE).is_some() {
            read.job = Some(serde_json::from_str(&args.next().unwrap_or_default())?);
        }
        if args.next_if(|arg| arg == VERIFY).is_some() {
            read.servers = Some(args.filter_map(|server| server.parse().ok()).collect());
        }
        Ok(read)
    }

    /// How the child works on items: as the run that waits does.
    fn options(&self) -> IngestOptions {
        let keys = self.servers.clone().and_then(|servers| Keyring::new(servers).ok());
        let verifier = keys.map(|keys| Arc::new(keys) as Arc<dyn MailVerifier>);
        let (now, trust) = match &self.job {
            Some(job) => (Timestamp::from_millisecond(job.now).unwrap_or_default(), job.trust.clone()),
            None => Default::default(),
        };
        IngestOptions { workers: Some(1), verifier, now, trust, ..IngestOptions::default() }
    }
}

fn work() -> ExitCode {
    match work_off() {
        Ok(()) => ExitCode::SUCCESS,
        // The disk, the pipe, the store: nothing that an item did.
        Err(_) => ExitCode::from(2),
    }
}

fn work_off() -> io::Result<()> {
    let args = ChildArgs::read(std::env::args().skip(2))?;
    let options = args.options();
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    // Try a harmless item first: a child without room for that says nothing about any item.
    let arrival = Timestamp::UNIX_EPOCH;
    let harmless = TrialItem { origin: "", name: Some("report.xml"), bytes: HARMLESS, arrival };
    ingest::attempt(&harmless, &options).map_err(io::Error::other)?;
    let open = |job: &StoreJob| Writer::open_as(&job.dir, options.now, job.access);
    let mut writer = args.job.as_ref().map(open).transpose().map_err(io::Error::other)?;
    answer(&mut output, READY)?;
    while let Some(item) = read_item(&mut input)? {
        let tried =
            TrialItem { origin: &item.origin, name: item.name.as_deref(), bytes: &item.bytes, arrival: item.arrival };
        if let Some(writer) = &mut writer {
            let stored = ingest::store_alone(&tried, writer, &options).map_err(io::Error::other)?;
            answer(&mut output, &(serde_json::to_string(&stored)? + "\n"))?;
        } else {
            let options = IngestOptions { now: item.arrival, ..options.clone() };
            ingest::attempt(&tried, &options).map_err(io::Error::other)?;
            answer(&mut output, SURVIVED)?;
        }
    }
    Ok(())
}

fn answer(output: &mut impl Write, line: &str) -> io::Result<()> {
    output.write_all(line.as_bytes())?;
    output.flush()
}

/// A line with origin, name, time of arrival and number of bytes, then the bytes.
fn write_item(item: &TrialItem<'_>, mut to: impl Write) -> io::Result<()> {
    let TrialItem { origin, name, bytes, arrival } = item;
    let head = serde_json::to_string(&(origin, name, arrival.as_second(), bytes.len()))? + "\n";
    to.write_all(head.as_bytes())?;
    to.write_all(bytes)?;
    to.flush()
}

/// An item as it comes out of the pipe.
struct TrialInput {
    origin: String,
    name: Option<String>,
    bytes: Vec<u8>,
    arrival: Timestamp,
}

fn read_item(from: &mut impl BufRead) -> io::Result<Option<TrialInput>> {
    let mut head = String::new();
    if from.read_line(&mut head)? == 0 {
        return Ok(None);
    }
    let (origin, name, arrival, length): (String, Option<String>, i64, u64) = serde_json::from_str(&head)?;
    let arrival = Timestamp::from_second(arrival).unwrap_or_default();
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes)?;
    Ok(Some(TrialInput { origin, name, bytes, arrival }))
}

/// Sends items to a child, one at a time, and starts a new one after it died.
#[derive(Debug, Default)]
pub(crate) struct Trials {
    running: Mutex<Option<Running>>,
    args: ChildArgs,
}

impl Trials {
    /// With a child that verifies signatures as the run does, asking these servers.
    pub(crate) fn verifying(servers: &[SocketAddr]) -> Self {
        let args = ChildArgs { servers: Some(servers.to_vec()), ..ChildArgs::default() };
        Self { running: Mutex::default(), args }
    }
}

#[derive(Debug)]
struct Running {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// It has already processed an item, whose leftovers in memory may be what kills it on the next one.
    used: bool,
}

impl Running {
    /// Starts a child, which limits itself.
    fn start(args: &ChildArgs) -> io::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(MARK)
            .args(args.written()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or_else(|| io::Error::other("a child without pipes"))?;
        let mut running = Self { child, input, output: BufReader::new(output), used: false };
        if running.answer().is_ok_and(|line| line == READY) {
            return Ok(running);
        }
        let status = running.end()?;
        Err(io::Error::other(format!("it ended with {status} before it was given anything")))
    }

    /// Lets the child process an item, and returns its answer.
    fn attempt(&mut self, item: &TrialItem<'_>) -> io::Result<String> {
        write_item(item, &mut self.input)?;
        let answer = self.answer()?;
        self.used = true;
        Ok(answer)
    }

    /// The next line of the child.
    fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        if line.ends_with('\n') { Ok(line) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Waits for a child that no longer answers, and returns its exit status.
    fn end(mut self) -> io::Result<ExitStatus> {
        drop((self.input, self.output));
        self.child.wait()
    }
}

/// Lets a child process an item, the running one or a new one, and returns its answer.
fn with_child(running: &mut Option<Running>, args: &ChildArgs, item: &TrialItem<'_>) -> Result<String, Survival> {
    loop {
        let mut child = match running.take().map_or_else(|| Running::start(args), Ok) {
            Ok(child) => child,
            Err(error) => return Err(Survival::Unknown(format!("cannot start a process for it: {error}"))),
        };
        if let Ok(answer) = child.attempt(item) {
            *running = Some(child);
            return Ok(answer);
        }
        let used = child.used;
        match child.end() {
            Ok(_) if used => {}
            Ok(status) => return Err(ended(status)),
            Err(error) => return Err(Survival::Unknown(format!("its process is lost: {error}"))),
        }
    }
}

fn unknown_answer() -> Survival {
    Survival::Unknown("its process gave an unknown answer".to_owned())
}

impl Trial for Trials {
    fn survives(&self, item: &TrialItem<'_>) -> Survival {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match with_child(&mut running, &self.args, item) {
            Ok(answer) if answer == SURVIVED => Survival::Survived,
            Ok(_) => unknown_answer(),
            Err(how) => how,
        }
    }

    fn store(&self, job: &StoreJob, items: &[TrialItem<'_>]) -> Vec<Result<StoredAlone, Survival>> {
        let args = ChildArgs { job: Some(job.clone()), ..self.args.clone() };
        let mut running = None;
        let mut store = |item| {
            let answer = with_child(&mut running, &args, item)?;
            serde_json::from_str(&answer).map_err(|_| unknown_answer())
        };
        let outcomes = items.iter().map(&mut store).collect();
        // The store is free again when the child has ended.
        running.into_iter().for_each(|child| drop(child.end()));
        outcomes
    }
}

impl Drop for Trials {
    fn drop(&mut self) {
        if let Some(child) = self.running.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // The child ends at the end of its input.
            let _ = child.end();
        }
    }
}

/// Signals that a process causes itself: a fault, an abort when memory runs out, processor time used up.
const OWN_SIGNALS: &[(i32, &str)] = &[
    (4, "an illegal instruction"),
    (5, "a trap"),
    (6, "an abort, for example because memory ran out"),
    (7, "a bus error"),
    (8, "an arithmetic fault"),
    (11, "a segmentation fault, for example because the stack ran out"),
    (24, "it used up its processor time"),
    (31, "a forbidden system call"),
];
/// What the end of a child says about its item. A kill may come from anybody and says nothing.
fn ended(status: ExitStatus) -> Survival {
    let own = status.signal().and_then(|signal| OWN_SIGNALS.iter().find(|(own, _)| *own == signal));
    match (own, status.code()) {
        (Some((_, what)), _) => Survival::Died((*what).to_owned()),
        (None, Some(code)) if code == i32::from(PANICKED) => Survival::Died("a panic".to_owned()),
        (None, _) => Survival::Unknown(format!("the process that worked on it ended with {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_comes_out_of_the_pipe_as_it_went_in() {
        let arrival = Timestamp::from_second(1_795_600_000).unwrap();
        for (name, bytes) in [(Some("a.xml"), &b"content"[..]), (None, b""), (Some(""), b"\0\n")] {
            let mut pipe = Vec::new();
            write_item(&TrialItem { origin: "a > b", name, bytes, arrival }, &mut pipe).unwrap();
            let mut from = pipe.as_slice();
            let found = read_item(&mut from).unwrap().unwrap();
            assert_eq!((found.origin.as_str(), found.name.as_deref()), ("a > b", name));
            assert_eq!((found.bytes.as_slice(), found.arrival), (bytes, arrival));
            assert!(read_item(&mut from).unwrap().is_none());
        }
        assert!(read_item(&mut &[1_u8, 2][..]).is_err(), "a head that is cut");
    }

    #[test]
    fn only_a_signal_from_the_process_itself_counts_against_its_item() {
        let signal = |number: i32| ended(ExitStatus::from_raw(number));
        for own in [6, 11, 24] {
            assert!(matches!(signal(own), Survival::Died(_)), "signal {own}");
        }
        for from_outside in [1, 2, 3, 9, 15] {
            assert!(matches!(signal(from_outside), Survival::Unknown(_)), "signal {from_outside}");
        }
        assert!(matches!(ended(ExitStatus::from_raw(i32::from(PANICKED) << 8)), Survival::Died(_)));
        assert!(matches!(ended(ExitStatus::from_raw(127 << 8)), Survival::Unknown(_)), "no program to run");
    }
}
