//! The DKIM keys of a run, each looked up once however many mails need it.
//!
//! Many threads may ask at the same time. Time, memory and retries are bounded: if DNS does not answer, a run must not
//! wait for it once per mail. "Not asked" never looks like "does not exist".

use super::answer::{Answer, Data, DnsQuestion, Failure, Lookup};
use super::resolver::{Resolver, ResolverError, ResolverOptions};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// How long one attempt may take; there are two.
const TRY: Duration = Duration::from_secs(2);
/// How long a question may take, over all attempts and servers.
const QUESTION: Duration = Duration::from_secs(5);
/// Consecutive questions without any answer after which DNS counts as unavailable, and is not asked any more.
const PATIENCE: u32 = 5;
/// Answers remembered: a mailbox full of invented names must not fill the memory.
const REMEMBERED: usize = 10_000;

type LookupSlot = Arc<OnceLock<Answer<Vec<Data>>>>;

/// Looks keys up, each once.
#[derive(Debug)]
pub struct Keyring {
    resolver: Resolver,
    known: Mutex<HashMap<DnsQuestion, LookupSlot>>,
    /// Unanswered questions since the last answer.
    silent: AtomicU32,
    failed: AtomicU64,
}

impl Keyring {
    /// Uses these servers, or the system's if empty. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ResolverError`] if the system's settings cannot be read or no runtime can be started.
    pub fn new(servers: Vec<SocketAddr>) -> Result<Self, ResolverError> {
        let options = ResolverOptions { servers, timeout: TRY, retries: 1, ..ResolverOptions::default() };
        let resolver = Resolver::new(&options)?;
        Ok(Self { resolver, known: Mutex::default(), silent: AtomicU32::new(0), failed: AtomicU64::new(0) })
    }

    /// How many keys could not be looked up.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// Whether DNS was given up.
    pub fn is_away(&self) -> bool {
        self.silent.load(Ordering::Relaxed) >= PATIENCE
    }

    fn slot(&self, question: &DnsQuestion) -> LookupSlot {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED && !known.contains_key(question) {
            known.clear();
        }
        known.entry(question.clone()).or_default().clone()
    }

    fn look_up(&self, question: &DnsQuestion) -> Answer<Vec<Data>> {
        if self.is_away() {
            return self.count(Answer::Failed(Failure::Other("DNS does not answer and is no longer queried".into())));
        }
        let answer = self.resolver.ask_within(question, QUESTION);
        match &answer {
            Answer::Failed(Failure::TimedOut | Failure::Other(_)) => _ = self.silent.fetch_add(1, Ordering::Relaxed),
            _ => self.silent.store(0, Ordering::Relaxed),
        }
        self.count(answer)
    }

    fn count(&self, answer: Answer<Vec<Data>>) -> Answer<Vec<Data>> {
        if answer.failure().is_some() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }
}

impl Lookup for Keyring {
    fn ask(&self, question: &DnsQuestion) -> Answer<Vec<Data>> {
        // Outside the lock: other threads look up their keys meanwhile, and those that want this key wait for it.
        self.slot(question).get_or_init(|| self.look_up(question)).clone()
    }
}
