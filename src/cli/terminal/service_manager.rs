//! What systemd wants to hear (`sd_notify`): that the program is ready, that it still runs, and what it does.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A poll of a full mailbox may take long; after this the program counts as stuck.
const STUCK: Duration = Duration::from_hours(1);

/// The service manager; silent where there is none.
#[derive(Debug, Clone)]
pub(crate) struct ServiceManager {
    socket: Option<Arc<UnixDatagram>>,
    beat: Arc<Mutex<Instant>>,
}

impl ServiceManager {
    /// The one that started the program, if any. From now on it hears that the program runs, as often as it wants to,
    /// while [`ServiceManager::beat`] is called now and then.
    pub(crate) fn of_environment() -> Self {
        let socket = std::env::var("NOTIFY_SOCKET").ok().and_then(|address| connect(&address)).map(Arc::new);
        let manager = Self { socket, beat: Arc::new(Mutex::new(Instant::now())) };
        let wanted = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse::<u64>().ok());
        if let Some(wanted) = wanted.filter(|wanted| *wanted > 0 && manager.socket.is_some()) {
            let manager = manager.clone();
            let pause = (Duration::from_micros(wanted) / 3).max(Duration::from_millis(10));
            // It ends with the program.
            std::thread::spawn(move || {
                loop {
                    if manager.last_beat().elapsed() < STUCK {
                        manager.say("WATCHDOG=1");
                    }
                    std::thread::sleep(pause);
                }
            });
        }
        manager
    }

    fn last_beat(&self) -> Instant {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Note that the program is not stuck.
    pub(crate) fn beat(&self) {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Say that the program is ready.
    pub(crate) fn ready(&self) {
        self.say("READY=1");
    }

    /// Say that the program is about to end.
    pub(crate) fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// Say what it does, in a line.
    pub(crate) fn status(&self, text: &str) {
        self.say(&format!("STATUS={}", super::output::clean(text)));
    }

    fn say(&self, text: &str) {
        // Who does not listen is not told.
        let _ = self.socket.as_ref().map(|socket| socket.send(text.as_bytes()));
    }
}

fn connect(address: &str) -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    match address.strip_prefix('@') {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt as _;
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name.as_bytes()).ok()?;
            socket.connect_addr(&address).ok()?;
        }
        #[cfg(not(target_os = "linux"))]
        Some(_) => return None,
        None => socket.connect(Path::new(address)).ok()?,
    }
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}
