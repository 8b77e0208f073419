//! What the relay tells about itself: a [`Snapshot`] for those who ask, a [`Notice`] at a time for those who listen.
//! Neither shows a stream's name by accident, since it often is the stream key.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gstrtmp::amf::Text;
use gstrtmp::session::ByKind;
use gstrtmp::transport::{self, ByteTotals};

/// Clients that have gone and are remembered.
const MAX_GONE: usize = 64;

/// Number of a client, counted from 1.
pub type ClientId = u64;

/// A stream's name: application and stream joined by a slash, without queries. `Debug` does not show it.
#[derive(Clone, Eq, Hash, PartialEq)]
pub struct Name(Arc<str>);

impl Name {
    /// Where the application ends and the stream begins is a matter of the client: `app/instance` and `key` name the
    /// same stream as `app` and `instance/key`.
    pub fn new(application: &Text, stream: &Text) -> Self {
        let parts = [application, stream].map(Text::to_str_lossy);
        let parts = parts.each_ref().map(|part| {
            let path = part.split_once('?').map_or(&**part, |(path, _)| path);
            path.trim_matches('/')
        });
        Self(parts.join("/").trim_matches('/').into())
    }

    /// The name itself, to be compared and not to be printed.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What a client does.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Role {
    /// Nothing yet, or nothing any more.
    #[default]
    Idle,
    /// Sends a stream.
    Publisher(Name),
    /// Gets a stream, or waits for its publisher.
    Player(Name),
}

/// Figures of a client.
#[derive(Clone, Debug)]
pub struct Client {
    /// What the client does.
    pub role: Role,
    /// Bytes that crossed the socket.
    pub totals: ByteTotals,
    /// Messages that came from the client.
    pub messages_in: ByKind,
    /// Messages that were queued for the client.
    pub messages_out: ByKind,
}

/// Why a client is gone.
#[derive(Clone, Debug)]
pub enum Reason {
    /// It closed the connection in good order.
    Left,
    /// It was refused at connect, with a status of this code.
    Refused(String),
    /// It took its stream more slowly than it came; so many bytes were waiting.
    TooSlow(usize),
    /// The connection failed.
    Failed(transport::Error),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("closed the connection"),
            Self::Refused(code) => write!(f, "was refused: {code}"),
            Self::TooSlow(queued) => write!(f, "was too slow: {queued} bytes were waiting"),
            Self::Failed(error) => write!(f, "{error}"),
        }
    }
}

/// A client that has gone.
#[derive(Clone, Debug)]
pub struct Gone {
    /// Its number.
    pub id: ClientId,
    /// What it did last.
    pub role: Role,
    /// Why it is gone.
    pub reason: Reason,
    /// Bytes that crossed the socket.
    pub totals: ByteTotals,
}

/// The relay at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Those connected, by number.
    pub clients: BTreeMap<ClientId, Client>,
    /// The last of those that have gone, in the order of their going.
    pub gone: VecDeque<Gone>,
    /// Connections that were turned away because there were too many.
    pub turned_away: u64,
}

impl Snapshot {
    /// The publisher of `name`, such as `live/key`.
    pub fn publisher(&self, name: &str) -> Option<&Client> {
        self.clients
            .values()
            .find(|client| matches!(&client.role, Role::Publisher(of) if of.expose() == name))
    }

    /// The players of `name`, those that wait for its publisher included.
    pub fn players<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Client> {
        self.clients
            .values()
            .filter(move |client| matches!(&client.role, Role::Player(of) if of.expose() == name))
    }
}

/// The snapshot of now, and the way to wait for another.
#[derive(Debug, Default)]
pub struct Board {
    snapshot: Mutex<Snapshot>,
    changed: Condvar,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Snapshot> {
        self.snapshot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The snapshot of now.
    pub fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    /// Waits for a snapshot that is as wished, at most `within`.
    pub fn wait_for(
        &self,
        within: Duration,
        mut is_wished: impl FnMut(&Snapshot) -> bool,
    ) -> Result<Snapshot, Overdue> {
        let (snapshot, waited) = self
            .changed
            .wait_timeout_while(self.lock(), within, |snapshot| !is_wished(snapshot))
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            Err(Overdue(snapshot.clone()))
        } else {
            Ok(snapshot.clone())
        }
    }

    pub(super) fn update(&self, id: ClientId, client: Client) {
        self.lock().clients.insert(id, client);
        self.changed.notify_all();
    }

    pub(super) fn remove(&self, gone: Gone) {
        let mut snapshot = self.lock();
        snapshot.clients.remove(&gone.id);
        if snapshot.gone.len() == MAX_GONE {
            snapshot.gone.pop_front();
        }
        snapshot.gone.push_back(gone);
        drop(snapshot);
        self.changed.notify_all();
    }

    pub(super) fn turn_away(&self) {
        self.lock().turned_away += 1;
        self.changed.notify_all();
    }
}

/// What was waited for has not come about. Holds the snapshot of the end of the wait.
#[derive(Debug)]
pub struct Overdue(pub Snapshot);

impl fmt::Display for Overdue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the relay did not do in time what was awaited of it; it is at {:#?}",
            self.0
        )
    }
}

impl std::error::Error for Overdue {}

/// Something that has happened, in a line. URLs are redacted.
#[derive(Debug)]
pub enum Notice {
    /// Somebody has connected.
    Connected { client: ClientId, peer: SocketAddr },
    /// A client publishes.
    Publishes { client: ClientId, url: String },
    /// A client plays, or waits for the publisher.
    Plays { client: ClientId, url: String },
    /// A client has ended its stream and stays connected.
    Stopped { client: ClientId },
    /// What a client asked for was refused, with a status of this code.
    Refused {
        client: ClientId,
        what: &'static str,
        code: String,
    },
    /// A client is gone.
    Gone {
        client: ClientId,
        reason: Reason,
        totals: ByteTotals,
    },
    /// Somebody was not let in because there are too many clients.
    TurnedAway { peer: SocketAddr },
    /// Nobody can be let in for a moment.
    AcceptFailed(io::Error),
    /// The relay has ended: the system would not let it wait for its sockets.
    Failed(io::Error),
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connected { client, peer } => write!(f, "client {client} connected from {peer}"),
            Self::Publishes { client, url } => write!(f, "client {client} publishes {url}"),
            Self::Plays { client, url } => write!(f, "client {client} plays {url}"),
            Self::Stopped { client } => write!(f, "client {client} ended its stream"),
            Self::Refused { client, what, code } => write!(f, "client {client} was refused {what}: {code}"),
            Self::Gone {
                client,
                reason,
                totals: ByteTotals { received, sent },
            } => {
                write!(
                    f,
                    "client {client} gone: {reason} ({received} bytes received, {sent} sent)"
                )
            }
            Self::TurnedAway { peer } => write!(f, "{peer} turned away: too many clients"),
            Self::AcceptFailed(error) => write!(f, "cannot let anybody in just now: {error}"),
            Self::Failed(error) => write!(f, "the relay has failed: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_however_it_is_cut_in_two() {
        for (application, stream) in [
            ("live/room", "key"),
            ("live", "room/key"),
            ("live/room/", "/key"),
            ("live/room?vhost=x", "key?token=a/b"),
            ("live/room/key", ""),
        ] {
            let name = Name::new(&application.into(), &stream.into());
            assert_eq!(name.expose(), "live/room/key", "{application} {stream}");
            assert_eq!(format!("{name:?}"), "***");
        }
    }

    #[test]
    fn those_who_have_gone_are_remembered_up_to_a_bound() {
        let board = Board::default();
        let count = MAX_GONE as u64 + 3;
        for id in 1..=count {
            board.remove(Gone {
                id,
                role: Role::Idle,
                reason: Reason::Left,
                totals: ByteTotals::default(),
            });
        }
        let gone = board.snapshot().gone;
        assert_eq!((gone.len(), gone[0].id), (MAX_GONE, 4));
    }

    #[test]
    fn waiting_ends_with_the_wish_or_with_the_time() {
        let board = Board::default();
        assert!(
            board
                .wait_for(Duration::ZERO, |snapshot| snapshot.turned_away == 1)
                .is_err()
        );
        std::thread::scope(|scope| {
            scope.spawn(|| board.turn_away());
            board
                .wait_for(Duration::from_secs(30), |snapshot| snapshot.turned_away == 1)
                .unwrap();
        });
    }
}
