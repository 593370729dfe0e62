//! Notifies systemd (`sd_notify`) that the program is ready, still runs, and what it does.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A poll of a full mailbox may take long; after this time the program counts as stuck.
const STUCK: Duration = Duration::from_hours(1);

/// The service manager; does nothing if there is none.
#[derive(Debug, Clone)]
pub(crate) struct ServiceManager {
    socket: Option<Arc<UnixDatagram>>,
    beat: Arc<Mutex<Instant>>,
}

impl ServiceManager {
    /// The one that started the program, if any. Starts to notify it at the interval it asks for, as long as
    /// [`ServiceManager::beat`] is called now and then.
    pub(crate) fn of_environment() -> Self {
        let socket = std::env::var("NOTIFY_SOCKET").ok().and_then(|address| connect(&address)).map(Arc::new);
        let manager = Self { socket, beat: Arc::new(Mutex::new(Instant::now())) };
        let wanted = std::env::var("WATCHDOG_USEC").ok().and_then(|text| text.parse::<u64>().ok());
        if let Some(wanted) = wanted.filter(|wanted| *wanted > 0 && manager.socket.is_some()) {
            let manager = manager.clone();
            let pause = (Duration::from_micros(wanted) / 3).max(Duration::from_millis(10));
            // The thread ends with the program.
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

    /// Records that the program is not stuck.
    pub(crate) fn beat(&self) {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Notifies it that the program is ready.
    pub(crate) fn ready(&self) {
        self.say("READY=1");
    }

    /// Notifies it that the program is stopping.
    pub(crate) fn stopping(&self) {
        self.say("STOPPING=1");
    }

    /// Notifies it of the current state in one line.
    pub(crate) fn status(&self, text: &str) {
        self.say(&format!("STATUS={}", super::output::clean(text)));
    }

    fn say(&self, text: &str) {
        // Errors are ignored: the notification is optional.
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
