//! One thread per process that serves the connections nobody drives just now: it answers pings, sends
//! acknowledgements, reads what the server says and notices when it is gone, while an element is paused,
//! waits for data or is held back by what is downstream.
//!
//! It runs only while there are connections. A connection that is being driven is skipped, so the thread
//! costs one look at a lock per connection and [`INTERVAL`].

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::connection::Connection;

/// How often every connection is looked at. Servers allow seconds for a ping's answer.
const INTERVAL: Duration = Duration::from_millis(100);

struct Registry {
    connections: Vec<Weak<Connection>>,
    thread: Option<JoinHandle<()>>,
}

static REGISTRY: Mutex<Registry> = Mutex::new(Registry {
    connections: Vec::new(),
    thread: None,
});
static CHANGED: Condvar = Condvar::new();

/// Has `connection` served from now on.
pub(super) fn register(connection: &Arc<Connection>) -> io::Result<()> {
    let mut registry = lock();
    // One that a panic has ended does not count.
    if registry.thread.as_ref().is_none_or(JoinHandle::is_finished) {
        registry.thread = Some(thread::Builder::new().name("rtmp-keepalive".into()).spawn(run)?);
    }
    registry.connections.push(Arc::downgrade(connection));
    Ok(())
}

/// Leaves `connection` alone from now on. With the last one the thread ends before this returns.
pub(super) fn deregister(connection: &Connection) {
    let ended = {
        let mut registry = lock();
        registry
            .connections
            .retain(|other| !std::ptr::eq(other.as_ptr(), connection) && other.strong_count() > 0);
        if registry.connections.is_empty() {
            registry.thread.take()
        } else {
            None
        }
    };
    if let Some(thread) = ended {
        CHANGED.notify_all();
        if thread.thread().id() != thread::current().id() {
            // It holds no lock that we hold and never waits for anything but its interval.
            drop(thread.join());
        }
    }
}

fn lock() -> MutexGuard<'static, Registry> {
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run() {
    let me = thread::current().id();
    // Another thread may have been started since this one was told to end.
    let is_mine = |registry: &Registry| {
        registry
            .thread
            .as_ref()
            .is_some_and(|own| own.thread().id() == me)
    };
    // Kept, so that a look allocates nothing.
    let mut connections = Vec::new();
    let mut registry = lock();
    while is_mine(&registry) {
        connections.extend(registry.connections.iter().filter_map(Weak::upgrade));
        drop(registry);
        for connection in connections.drain(..) {
            connection.service();
        }
        registry = lock();
        if is_mine(&registry) {
            registry = CHANGED
                .wait_timeout(registry, INTERVAL)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// Whether the connection at `address` is registered.
#[cfg(test)]
pub(super) fn looks_after(address: *const Connection) -> bool {
    lock()
        .connections
        .iter()
        .any(|other| std::ptr::eq(other.as_ptr(), address))
}
