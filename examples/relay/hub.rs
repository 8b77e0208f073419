//! The relay's loop: waits for all sockets at once, serves those that are ready, and passes media from publishers
//! to players. Everything happens on one thread, so there are no locks but the board's.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use gstrtmp::amf::Text;
use gstrtmp::session::{
    self, Capabilities, Event, Level, Media, MediaKind, Request, ServerConfig, Session, Status,
};
use gstrtmp::transport::listener::Listener;
use gstrtmp::transport::reception::{Guest, Key, Limits, Reception, TunnelLimits};
use gstrtmp::transport::tcp::{Interest, TcpOptions};
use gstrtmp::transport::{Driver, Error};
use gstrtmp::url::redact;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::board::{self, ClientId, Gone, Name, Notice, Reason, Role};
use super::cache::{Cache, Purpose, classify};
use super::vod::{Playback, Recording};
use super::{Options, Shared};

/// How long a client may leave what is sent to it unread, however little that is.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client that was refused at connect may take to close the connection itself.
const LINGER: Duration = Duration::from_secs(2);

/// Connections accepted before those that are there get their turn.
const MAX_ACCEPTS: usize = 16;

/// Connections beyond two for each client, one to come and one of HTTP, that are taken in.
const SPARE_CONNECTIONS: usize = 16;

/// How long nobody is accepted after the system would not, for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The application that plays recordings.
const VOD: &str = "vod";

/// Longest name of a stream, application included, in bytes.
const MAX_NAME: usize = 1024;

/// Longest single wait, below what any system's poll takes.
const MAX_WAIT: Duration = Duration::from_secs(3600);

/// See the module.
pub struct Hub {
    listener: Listener,
    /// Connections that are no clients, or not yet.
    reception: Reception,
    address: SocketAddr,
    options: Options,
    shared: Arc<Shared>,
    clients: BTreeMap<ClientId, Client>,
    streams: HashMap<Name, Stream>,
    last_id: ClientId,
    /// Until when nobody is accepted.
    paused: Option<Instant>,
    /// Clients with something to do: they are ready, or something was queued for them.
    busy: BTreeSet<ClientId>,
}

struct Client {
    driver: Driver,
    application: Text,
    role: Role,
    /// A player that drops pictures until a key frame comes.
    awaits_key_frame: bool,
    /// A player of a live stream that has paused.
    is_paused: bool,
    /// A player of a recording.
    playback: Option<Playback>,
    farewell: Option<Farewell>,
}

/// A connection that has ended but for the peer's closing it.
struct Farewell {
    reason: Reason,
    until: Instant,
}

/// A name that somebody publishes or waits for.
struct Stream {
    publisher: Option<ClientId>,
    players: Vec<ClientId>,
    cache: Cache,
}

impl Hub {
    pub fn new(listener: Listener, address: SocketAddr, options: Options, shared: Arc<Shared>) -> Self {
        let limits = Limits {
            connections: options
                .max_clients
                .saturating_mul(2)
                .saturating_add(SPARE_CONNECTIONS),
            tunnels: TunnelLimits {
                sessions: options.max_clients,
                per_address: options.max_clients,
                ..TunnelLimits::default()
            },
            ..Limits::default()
        };
        Self {
            listener,
            reception: Reception::new(limits, options.tls.clone()),
            address,
            options,
            shared,
            clients: BTreeMap::new(),
            streams: HashMap::new(),
            last_id: 0,
            paused: None,
            busy: BTreeSet::new(),
        }
    }

    /// Serves until it is told to stop.
    pub fn run(mut self) {
        loop {
            let (can_accept, ready) = match self.wait() {
                Ok(found) => found,
                Err(error) => return (self.options.listen)(Notice::Failed(error)),
            };
            if self.shared.stop.is_awake() {
                return self.stop();
            }
            let now = Instant::now();
            if can_accept {
                self.accept(now);
            }
            self.reception.handle_ready(now, ready);
            while let Some(guest) = self.reception.poll_guest() {
                self.welcome(guest, now);
            }
            self.find_due(now);
            // Twice, since publishers make their players busy. Who still is, as a client that asks and asks, comes
            // after the others.
            for _ in 0..2 {
                for id in std::mem::take(&mut self.busy) {
                    self.serve(id, now);
                }
            }
            // What is said to a request of a tunnel is in the answer to it.
            self.reception.answer(now);
        }
    }

    /// Waits until somebody is busy. True when there is a connection to accept; and the connections of the reception
    /// that are ready.
    fn wait(&mut self) -> io::Result<(bool, Vec<Key>)> {
        let now = Instant::now();
        self.paused = self.paused.filter(|until| now < *until);
        let listens = if self.paused.is_some() {
            PollFlags::empty()
        } else {
            PollFlags::IN
        };
        let mut fds = vec![
            PollFd::new(&self.shared.stop, PollFlags::IN),
            PollFd::new(&self.listener, listens),
        ];
        let mut watched = Vec::with_capacity(self.clients.len());
        let rest = if self.busy.is_empty() {
            MAX_WAIT
        } else {
            Duration::ZERO
        };
        let due = self.reception.poll_timeout(now);
        let mut until = now
            .checked_add(rest)
            .into_iter()
            .chain(self.paused)
            .chain(due)
            .min();
        for (id, client) in &self.clients {
            until = until.into_iter().chain(client.timeout(now)).min();
            let flags = flags(client.driver.interest(now));
            if let (false, Some(socket)) = (flags.is_empty(), client.driver.socket()) {
                watched.push(*id);
                fds.push(PollFd::new(socket, flags));
            }
        }
        let clients = watched.len();
        let mut visitors = Vec::new();
        for (key, socket, interest) in self.reception.watched() {
            let flags = flags(interest);
            if !flags.is_empty() {
                visitors.push(key);
                fds.push(PollFd::new(socket, flags));
            }
        }
        let timeout = until.map_or(MAX_WAIT, |until| until.saturating_duration_since(now));
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let is_ready = |fd: &PollFd<'_>| !fd.revents().is_empty();
        let ready = watched
            .iter()
            .zip(fds.iter().skip(2))
            .filter(|(_, fd)| is_ready(fd));
        self.busy.extend(ready.map(|(id, _)| *id));
        let ready = visitors
            .iter()
            .zip(fds.iter().skip(2 + clients))
            .filter(|(_, fd)| is_ready(fd));
        let ready = ready.map(|(key, _)| *key).collect();
        let can_accept = self.paused.is_none() && fds.get(1).is_some_and(is_ready);
        Ok((can_accept, ready))
    }

    /// Adds the clients for whom time has made something due to those that are ready.
    fn find_due(&mut self, now: Instant) {
        let due = |client: &Client| client.timeout(now).is_some_and(|due| due <= now);
        self.busy.extend(
            self.clients
                .iter()
                .filter(|(_, client)| due(client))
                .map(|(id, _)| *id),
        );
    }

    fn accept(&mut self, now: Instant) {
        for _ in 0..MAX_ACCEPTS {
            match self.listener.accept(&TcpOptions::default()) {
                Ok(socket) => {
                    let peer = socket.peer_addr();
                    if !self.reception.receive(now, socket) {
                        self.turn_away(peer);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    self.paused = now.checked_add(ACCEPT_PAUSE);
                    return self.notify(Notice::AcceptFailed(error));
                }
            }
        }
    }

    fn turn_away(&mut self, peer: SocketAddr) {
        self.shared.board.turn_away();
        self.notify(Notice::TurnedAway { peer });
    }

    fn welcome(&mut self, guest: Guest, now: Instant) {
        let peer = guest.peer;
        if self.clients.len() >= self.options.max_clients {
            return self.turn_away(peer);
        }
        let mut entropy = [0; 32];
        if let Err(error) = getrandom::fill(&mut entropy) {
            return self.notify(Notice::AcceptFailed(error.into()));
        }
        let config = ServerConfig {
            chunk_size: self.options.chunk_size,
            enhanced: Some(Capabilities::forwarding()),
            rtmpe: self.options.rtmpe,
            swf: self.options.swf.clone(),
            ..ServerConfig::new(entropy)
        };
        let session = Session::server(Arc::new(config), now);
        self.last_id += 1;
        let client = Client {
            driver: guest.drive(session, Some(WRITE_TIMEOUT), now),
            application: Text::default(),
            role: Role::Idle,
            awaits_key_frame: false,
            is_paused: false,
            playback: None,
            farewell: None,
        };
        self.clients.insert(self.last_id, client);
        self.busy.insert(self.last_id);
        self.notify(Notice::Connected {
            client: self.last_id,
            peer,
        });
    }

    /// Moves the bytes of one client and does what its messages ask for.
    fn serve(&mut self, id: ClientId, now: Instant) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        client.driver.service(now);
        while let Some(event) = self
            .clients
            .get_mut(&id)
            .and_then(|client| client.driver.poll_event())
        {
            self.handle_event(id, event, now);
        }
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        if let Err(error) = client.feed(now) {
            return self.remove(id, Reason::Failed(error), now);
        }
        let queued = client.driver.queued();
        if let Some(error) = client.driver.failure() {
            let reason = match (client.farewell.take(), error) {
                (Some(farewell), _) => farewell.reason,
                (None, Error::Closed) => Reason::Left,
                // Many players leave without reading what came last, which resets the connection.
                (None, Error::Io { .. }) if client.role == Role::Idle => Reason::Left,
                (None, error) => Reason::Failed(error.clone()),
            };
            return self.remove(id, reason, now);
        }
        if queued > self.options.max_queue {
            return self.remove(id, Reason::TooSlow(queued), now);
        }
        if let Some(farewell) = &client.farewell {
            if now >= farewell.until {
                let reason = farewell.reason.clone();
                return self.remove(id, reason, now);
            }
            if queued == 0 {
                // The peer reads the refusal and then our end; its own end is awaited, since closing on unread
                // bytes could reset the connection before that. It fails only where there is no connection left.
                let _ = client.driver.shut_down();
            }
        }
        self.shared.board.update(id, client.figures());
    }

    fn handle_event(&mut self, id: ClientId, event: Event, now: Instant) {
        match event {
            Event::Requested(request) => self.decide(id, &request, now),
            Event::Receives(kind, wanted) => {
                if let (Some(client), true) = (self.clients.get_mut(&id), wanted && kind == MediaKind::Video)
                {
                    client.awaits_key_frame = client.playback.is_none();
                }
            }
            Event::Media(media) => self.distribute(id, media, now),
            Event::Eof => {
                self.end(id, now);
                self.notify(Notice::Stopped { client: id });
            }
            // It has been told so, and may go on its own.
            Event::Closed(Err(status)) => {
                if let Some(client) = self.clients.get_mut(&id) {
                    client.dismiss(status.code, now);
                }
            }
            // The driver's failure says the rest.
            Event::Closed(Ok(()))
            | Event::Connected
            | Event::Ready
            | Event::Status(_)
            | Event::SwfVerification(_)
            | Event::TokenWanted
            | Event::Idle => {}
            // What players hear.
            Event::Sought(_) | Event::Resumed | Event::Switched | Event::Recorded(_) => {}
        }
    }

    /// Answers a request and does what it asks for.
    fn decide(&mut self, id: ClientId, request: &Request, now: Instant) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let verdict = (self.options.admit)(request);
        let (what, verdict, role) = match request {
            Request::Connect { application, .. } => {
                client.application = application.clone();
                ("connect", verdict, Role::Idle)
            }
            Request::Publish { stream, .. } => {
                let name = Name::new(&client.application, stream);
                let is_taken = self
                    .streams
                    .get(&name)
                    .is_some_and(|stream| stream.publisher.is_some());
                let verdict = verdict.and_then(|()| match is_taken {
                    true => Err(bad_name(
                        "NetStream.Publish.BadName",
                        "somebody publishes this stream already",
                    )),
                    false => check(&name, "NetStream.Publish.BadName"),
                });
                ("publish", verdict, Role::Publisher(name))
            }
            Request::Play {
                stream,
                start,
                length,
            } => {
                let name = Name::new(&client.application, stream);
                let verdict = verdict.and_then(|()| check(&name, "NetStream.Play.StreamNotFound"));
                let found = verdict.and_then(|()| find(&self.options, &client.application, stream));
                let verdict = found.map(|recording| {
                    let lead = self.options.vod_lead;
                    client.playback =
                        recording.map(|recording| Playback::new(recording, *start, *length, lead, now));
                });
                ("play", verdict, Role::Player(name))
            }
            Request::Seek { position } => {
                let refused = || bad_name("NetStream.Seek.Failed", "a live stream cannot seek");
                let playback = client.playback.as_mut().ok_or_else(refused);
                let verdict = verdict.and(playback.and_then(|playback| playback.go_to(*position, now)));
                ("seek", verdict, client.role.clone())
            }
            Request::Pause { paused, .. } => {
                if verdict.is_ok() {
                    client.pause(*paused, now);
                }
                ("pause", verdict, client.role.clone())
            }
            Request::Switch(switch) => {
                let name = Name::new(&client.application, &switch.stream.0);
                let known = ["switch", "swap", "reset"].map(Text::from);
                let refused = || bad_name("NetStream.Play.Failed", "only one stream after the other");
                let known = known
                    .contains(&switch.transition)
                    .then_some(())
                    .ok_or_else(refused);
                let verdict = verdict
                    .and(known)
                    .and_then(|()| check(&name, "NetStream.Play.StreamNotFound"));
                let found = verdict.and_then(|()| find(&self.options, &client.application, &switch.stream.0));
                let (lead, start) = (self.options.vod_lead, switch.start.unwrap_or_default());
                let next = found.map(|recording| {
                    recording.map(|recording| Playback::new(recording, start, -1.0, lead, now))
                });
                let verdict = match next {
                    Ok(playback) => {
                        self.end(id, now);
                        if let Some(client) = self.clients.get_mut(&id) {
                            client.playback = playback;
                        }
                        Ok(())
                    }
                    Err(status) => Err(status),
                };
                ("play2", verdict, Role::Player(name))
            }
            Request::Length { stream } => {
                let found = find(&self.options, &client.application, stream).ok().flatten();
                let seconds = found.map_or(0.0, |recording| recording.length().as_secs_f64());
                // What fails is told by the connection.
                let _ = client.driver.session_mut().answer_length(now, seconds);
                client.driver.resume(now);
                self.busy.insert(id);
                return;
            }
        };
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        let refusal = verdict.as_ref().err().map(|status| status.code.clone());
        // What came behind the request has been waiting for the answer; it may say that some media is not wanted.
        if let Err(error) = client.driver.answer(now, request, verdict) {
            return self.remove(id, Reason::Failed(error), now);
        }
        if let Some(code) = refusal {
            if let Request::Connect { .. } = request {
                client.dismiss(code.clone(), now);
            }
            self.notify(Notice::Refused {
                client: id,
                what,
                code,
            });
        } else if !matches!(request, Request::Seek { .. } | Request::Pause { .. }) {
            self.start(id, role, now);
        }
        self.busy.insert(id);
    }

    /// Takes up a role that was granted.
    fn start(&mut self, id: ClientId, role: Role, now: Instant) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        client.role = role.clone();
        client.is_paused = false;
        if let Some(playback) = &client.playback {
            client.driver.session_mut().tell_recorded(now);
            for media in playback.prologue() {
                client.send(now, media);
            }
            return;
        }
        let empty = || Stream {
            publisher: None,
            players: Vec::new(),
            cache: Cache::new(self.options.gop_cache),
        };
        match role {
            Role::Idle => {}
            Role::Publisher(name) => {
                let url = url(self.address, &name);
                self.streams.entry(name).or_insert_with(empty).publisher = Some(id);
                self.notify(Notice::Publishes { client: id, url });
            }
            Role::Player(name) => {
                let url = url(self.address, &name);
                let stream = self.streams.entry(name).or_insert_with(empty);
                stream.players.push(id);
                client.awaits_key_frame = stream.cache.awaits_key_frame();
                for media in stream.cache.prologue() {
                    client.send(now, media);
                }
                self.notify(Notice::Plays { client: id, url });
            }
        }
    }

    /// Passes a message on to the players of the stream.
    fn distribute(&mut self, from: ClientId, media: Media, now: Instant) {
        let Some(Client {
            role: Role::Publisher(name),
            ..
        }) = self.clients.get(&from)
        else {
            return;
        };
        let Some(stream) = self.streams.get_mut(name) else {
            return;
        };
        let Ok((media, purpose)) = classify(media) else {
            return;
        };
        stream.cache.push(&media, purpose);
        for id in &stream.players {
            if let Some(player) = self.clients.get_mut(id) {
                player.offer(now, &media, purpose);
                self.busy.insert(*id);
            }
        }
    }

    /// Takes a client out of the stream that it publishes or plays.
    fn end(&mut self, id: ClientId, now: Instant) {
        let Some(client) = self.clients.get_mut(&id) else {
            return;
        };
        client.playback = None;
        match std::mem::take(&mut client.role) {
            Role::Idle => {}
            Role::Publisher(name) => {
                let players = self.streams.remove(&name).map(|stream| stream.players);
                for id in players.unwrap_or_default() {
                    if let Some(player) = self.clients.get_mut(&id) {
                        player.role = Role::Idle;
                        player.driver.session_mut().end_stream(now);
                        self.busy.insert(id);
                    }
                }
            }
            Role::Player(name) => {
                if let Some(stream) = self.streams.get_mut(&name) {
                    stream.players.retain(|player| *player != id);
                    if stream.players.is_empty() && stream.publisher.is_none() {
                        self.streams.remove(&name);
                    }
                }
            }
        }
    }

    /// Closes a connection.
    fn remove(&mut self, id: ClientId, reason: Reason, now: Instant) {
        let role = self
            .clients
            .get(&id)
            .map(|client| client.role.clone())
            .unwrap_or_default();
        self.end(id, now);
        let Some(client) = self.clients.remove(&id) else {
            return;
        };
        let totals = client.driver.totals();
        // Before the board tells, so that whoever hears of it there finds it done.
        drop(client);
        self.notify(Notice::Gone {
            client: id,
            reason: reason.clone(),
            totals,
        });
        self.shared.board.remove(Gone {
            id,
            role,
            reason,
            totals,
        });
    }

    fn stop(mut self) {
        if !self.shared.in_good_order.load(Ordering::SeqCst) {
            return;
        }
        let now = Instant::now();
        for client in self.clients.values_mut() {
            client.driver.session_mut().close(now);
            client.driver.service(now);
        }
    }

    fn notify(&mut self, notice: Notice) {
        (self.options.listen)(notice);
    }
}

impl Client {
    /// When there is something to do for it though its socket is not ready.
    fn timeout(&self, now: Instant) -> Option<Instant> {
        let farewell = self.farewell.as_ref().map(|farewell| farewell.until);
        // One that reads slowly has its turn when it has read.
        let is_fed = self.driver.queued() == 0;
        let due = self.playback.as_ref().filter(|_| is_fed).and_then(Playback::due);
        let timeouts = self.driver.poll_timeout(now).into_iter();
        timeouts.chain(farewell).chain(due).min()
    }

    /// Sends what is due of a recording.
    fn feed(&mut self, now: Instant) -> Result<(), Error> {
        let Some(playback) = &mut self.playback else {
            return Ok(());
        };
        while let Some(media) = playback.next(self.driver.queued(), now) {
            // As in send().
            let _ = self.driver.send(now, media);
        }
        if playback.ends() {
            let seconds = playback.length().as_secs_f64();
            self.driver.session_mut().complete_stream(now, seconds)?;
        }
        self.driver.service(now);
        Ok(())
    }

    /// Stops, or goes on: a recording where it stopped, a live stream where it is by then.
    fn pause(&mut self, is_paused: bool, now: Instant) {
        match &mut self.playback {
            Some(playback) => playback.pause(is_paused, now),
            None => {
                self.is_paused = is_paused;
                self.awaits_key_frame |= !is_paused;
            }
        }
    }

    /// Gives a client that was refused for good the time to read so.
    fn dismiss(&mut self, code: String, now: Instant) {
        self.farewell = Some(Farewell {
            reason: Reason::Refused(code),
            until: now.checked_add(LINGER).unwrap_or(now),
        });
    }

    /// Sends a message unless it makes no sense to this player yet.
    fn offer(&mut self, now: Instant, media: &Media, purpose: Purpose) {
        if self.is_paused && !matches!(purpose, Purpose::Metadata | Purpose::Header(_)) {
            return;
        }
        if self.awaits_key_frame {
            match purpose {
                Purpose::KeyFrame => self.awaits_key_frame = false,
                Purpose::DeltaFrame => return,
                Purpose::Metadata | Purpose::Header(_) | Purpose::Other => {}
            }
        }
        self.send(now, media.clone());
    }

    fn send(&mut self, now: Instant, media: Media) {
        // Refused only when the player has just ended its stream, of which the event is still to come.
        let _ = self.driver.send(now, media);
    }

    fn figures(&self) -> board::Client {
        let session::Stats {
            messages_in,
            messages_out,
            ..
        } = self.driver.session().stats();
        board::Client {
            role: self.role.clone(),
            totals: self.driver.totals(),
            messages_in,
            messages_out,
        }
    }
}

fn flags(interest: Interest) -> PollFlags {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::IN, interest.readable);
    flags.set(PollFlags::OUT, interest.writable);
    flags
}

/// The recording of a name, where there are any; `None` for a live stream.
fn find(options: &Options, application: &Text, stream: &Text) -> Result<Option<Recording>, Status> {
    let (Some(folder), true) = (&options.vod, *application == VOD) else {
        return Ok(None);
    };
    let name = stream.to_str_lossy();
    let name = name.split_once('?').map_or(&*name, |(name, _)| name);
    Recording::find(folder, name)
        .map(Some)
        .map_err(|_| bad_name("NetStream.Play.StreamNotFound", "there is no such recording"))
}

fn check(name: &Name, code: &str) -> Result<(), Status> {
    match name.expose().len() {
        1..=MAX_NAME => Ok(()),
        _ => Err(bad_name(code, "no name for a stream")),
    }
}

fn bad_name(code: &str, description: &str) -> Status {
    Status::new(Level::Error, code, description)
}

/// The URL of a stream, fit to be shown.
fn url(address: SocketAddr, name: &Name) -> String {
    redact(&format!("rtmp://{address}/{}", name.expose()))
}
