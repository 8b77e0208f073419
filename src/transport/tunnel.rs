//! The client's end of a tunnel in the world: its HTTP connections, one after the other.
//!
//! The first is made by [`Tunnel::open`], which waits until the server has opened a session. Servers and proxies
//! close them when they like; the next is then made on a thread of its own, by the same steps as the first, to the
//! same address, since the session is known there.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::{Buf as _, BytesMut};

use super::dial::{Target, dial_stream};
use super::error::{Error, Phase};
use super::stream::Stream;
use super::tcp::{Interest, Socket, poll};
use super::wake::{Wake, WakeOnDrop};
use crate::session;
use crate::session::redirect::Redirects;
use crate::tunnel::{self, Client, Config};
use crate::url::{Proxy, Scheme};

/// Bytes read from the connection at a time.
const READ_SIZE: usize = 64 << 10;

/// RTMP bytes that are read ahead of the session.
const MAX_RECEIVED: usize = 1 << 20;

/// See the module. Calls never block but for `open`.
pub struct Tunnel {
    client: Client,
    link: Link,
    /// HTTP that has come and was not understood yet.
    input: BytesMut,
    route: Arc<Route>,
    /// Whether everything is to be answered before the tunnel counts as flushed.
    is_finishing: bool,
}

/// How connections are made.
struct Route {
    target: Target,
    timeout: Option<Duration>,
    /// Where the first one has led, to the server or to the proxy.
    address: SocketAddr,
}

/// The HTTP connection.
enum Link {
    Up(Stream),
    Dialling(Dialling),
    Down,
}

/// A connection being made.
struct Dialling {
    thread: JoinHandle<Result<Stream, Error>>,
    done: Arc<Wake>,
    /// Ends the attempt with the tunnel.
    _cancel: WakeOnDrop,
}

/// What a tunnel is waited for by.
pub(super) enum Watched<'a> {
    /// A socket.
    Socket(&'a Socket),
    /// A connection that is being made.
    Dialling(&'a Wake),
    /// Nothing but time.
    Nothing,
}

impl Tunnel {
    /// Connects to `target` and asks for a session, until `cancel` is awake. Each step may take `timeout`. The server may
    /// send us on to another place of its own and, since whoever is there will be told the stream's name and more, to
    /// other hosts only if `redirects` name them.
    pub(super) fn open(
        target: &Target,
        redirects: &Redirects,
        timeout: Option<Duration>,
        cancel: &Wake,
    ) -> Result<Self, Error> {
        let mut tunnel = Self::dial(target, None, timeout, cancel)?;
        tunnel.wait_until_open(cancel)?;
        if let Some(redirect) = tunnel.client.redirect() {
            let is_trusted = redirects.trusts(&redirect.host);
            if !redirects.follow || !is_trusted && !redirect.host.eq_ignore_ascii_case(&target.host) {
                return Err(Error::Tunnel(tunnel::Error::Elsewhere));
            }
            // RTMPTE stays that, whatever it goes through: it is the session that knows.
            let scheme = if redirect.is_secure {
                Scheme::Rtmpts
            } else {
                target.scheme
            };
            let target = target.redirected(scheme, &redirect.host, redirect.port, is_trusted);
            tunnel = Self::dial(&target, Some(redirect), timeout, cancel)?;
            tunnel.wait_until_open(cancel)?;
        }
        Ok(tunnel)
    }

    fn dial(
        target: &Target,
        redirect: Option<&tunnel::Redirect>,
        timeout: Option<Duration>,
        cancel: &Wake,
    ) -> Result<Self, Error> {
        let stream = dial_stream(target, None, timeout, cancel)?;
        let config = Config {
            host: target.host.clone(),
            port: target.port,
            is_secure: target.scheme == Scheme::Rtmpts,
            absolute_form: target.http_proxy().is_some(),
            proxy_authorization: target
                .http_proxy()
                .and_then(Proxy::basic_authorization)
                .map(|authorization| authorization.expose().to_owned()),
            timeout,
        };
        let mut client = match redirect {
            Some(redirect) => Client::redirected(&config, redirect),
            None => Client::new(&config),
        };
        client.handle_connected();
        let route = Route {
            target: target.clone(),
            timeout,
            address: stream.socket().peer_addr(),
        };
        Ok(Self {
            client,
            link: Link::Up(stream),
            input: BytesMut::new(),
            route: Arc::new(route),
            is_finishing: false,
        })
    }

    /// Waits until there is a session, or a redirect.
    fn wait_until_open(&mut self, cancel: &Wake) -> Result<(), Error> {
        let failed = |source: io::Error| match Error::io(session::Phase::Handshake, source) {
            Error::TimedOut(_) => Error::TimedOut(Phase::Tunnel),
            Error::Session(session::Error::Disconnected(_)) => Error::Tunnel(tunnel::Error::Disconnected),
            error => error,
        };
        loop {
            let now = Instant::now();
            self.flush(now).map_err(failed)?;
            self.handle_timeout(now).map_err(failed)?;
            if self.client.is_open() || self.client.redirect().is_some() {
                return Ok(());
            }
            let timeout = if self.has_input() {
                Some(Duration::ZERO)
            } else {
                self.poll_timeout()
                    .map(|until| until.saturating_duration_since(now))
            };
            let interest = self.interest(Interest::READ);
            let woken = match self.watched() {
                Watched::Socket(socket) => {
                    let ready = poll(Some((socket, interest)), cancel, timeout).map_err(failed)?;
                    ready.woken
                }
                Watched::Dialling(done) => {
                    let deadline = timeout.and_then(|timeout| now.checked_add(timeout));
                    cancel
                        .wait(&mut [cancel.entry(), done.entry()], deadline)
                        .map_err(failed)?
                }
                Watched::Nothing => poll(None, cancel, timeout).map_err(failed)?.woken,
            };
            if woken {
                return Err(Error::Closed);
            }
        }
    }

    /// Receives bytes of the session and appends them to `buffer`. `Ok(0)` is the end of the session.
    pub(super) fn read(&mut self, now: Instant, buffer: &mut BytesMut, max: usize) -> io::Result<usize> {
        if self.client.received() == 0 {
            self.receive(now)?;
        }
        match self.client.poll_input(max) {
            Some(bytes) => {
                let count = bytes.len();
                buffer.unsplit(bytes);
                Ok(count)
            }
            None if self.client.has_ended() => Ok(0),
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Takes the front of `slices` for the next request; 0 bytes of it if the server has taken some of the last one, and
    /// there is no room for more nevertheless.
    pub(super) fn write_vectored(&mut self, now: Instant, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.is_finishing {
            // Replies to what came with the last answers: nobody would hear them behind the /close.
            return Ok(slices.iter().map(|slice| slice.len()).sum());
        }
        let mut taken = self.client.write(slices);
        let mut has_progress = false;
        if taken == 0 {
            has_progress = self.flush(now)?;
            taken = self.client.write(slices);
        }
        match taken {
            0 if self.client.has_ended() => Err(io::ErrorKind::BrokenPipe.into()),
            0 if !has_progress => Err(io::ErrorKind::WouldBlock.into()),
            taken => Ok(taken),
        }
    }

    /// Takes the answer if it has come, and sends the next request if one is due. Whether bytes of one have left.
    pub(super) fn flush(&mut self, now: Instant) -> io::Result<bool> {
        let mut has_progress = false;
        loop {
            self.collect()?;
            self.receive(now)?;
            let transmit = self.client.poll_transmit(now);
            let Link::Up(stream) = &mut self.link else {
                self.dial_again()?;
                return Ok(has_progress);
            };
            let is_all = transmit.is_none();
            let written = match transmit {
                Some(transmit) => {
                    let mut slices = [IoSlice::new(&[]); 2];
                    let filled = transmit.chunks_vectored(&mut slices);
                    let written = stream.write_vectored(slices.get(..filled).unwrap_or_default());
                    if let Ok(count) = &written {
                        transmit.advance(*count);
                    }
                    written
                }
                None if stream.has_output() => stream.flush().map(|()| 0),
                None => return Ok(has_progress),
            };
            match written {
                Ok(count) => {
                    self.client.handle_sent(now);
                    has_progress = true;
                    if is_all || count == 0 {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(has_progress),
                Err(error) => {
                    // The server may have said why, or it has closed a connection that was not in use.
                    self.receive(now)?;
                    if let Link::Up(_) = self.link {
                        self.lose(now, Some(error))?;
                    }
                }
            }
        }
    }

    /// Reads answers until there is nothing to read, or enough.
    fn receive(&mut self, now: Instant) -> io::Result<()> {
        while !self.is_full() {
            if self.client.is_spent() {
                return self.lose(now, None);
            }
            let Link::Up(stream) = &mut self.link else {
                return Ok(());
            };
            match stream.read(&mut self.input, READ_SIZE) {
                Ok(0) => return self.lose(now, None),
                Ok(_) => self.client.handle_input(now, &mut self.input)?,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return self.lose(now, Some(error)),
            }
        }
        Ok(())
    }

    /// Gives up the connection, because of `error` if there was one.
    fn lose(&mut self, now: Instant, error: Option<io::Error>) -> io::Result<()> {
        self.link = Link::Down;
        self.input.clear();
        self.client
            .handle_disconnected(now)
            .map_err(|lost| error.unwrap_or_else(|| lost.into()))
    }

    /// Begins to make another connection if one is wanted.
    fn dial_again(&mut self) -> io::Result<()> {
        if !matches!(self.link, Link::Down) || !self.client.wants_connection() {
            return Ok(());
        }
        let (cancel, done) = (Arc::new(Wake::new()?), Arc::new(Wake::new()?));
        let thread = thread::Builder::new().name("rtmp-connect".into()).spawn({
            let (cancel, done) = (Arc::clone(&cancel), WakeOnDrop(Arc::clone(&done)));
            let route = Arc::clone(&self.route);
            move || {
                let _done = done;
                dial_stream(&route.target, Some(route.address), route.timeout, &cancel)
            }
        })?;
        self.link = Link::Dialling(Dialling {
            thread,
            done,
            _cancel: WakeOnDrop(cancel),
        });
        Ok(())
    }

    /// Takes a connection that has been made.
    fn collect(&mut self) -> io::Result<()> {
        if !matches!(&self.link, Link::Dialling(dialling) if dialling.done.is_awake()) {
            return Ok(());
        }
        if let Link::Dialling(dialling) = std::mem::replace(&mut self.link, Link::Down) {
            let made = dialling.thread.join().unwrap_or(Err(Error::Closed));
            self.link = Link::Up(made.map_err(io::Error::other)?);
            self.client.handle_connected();
        }
        Ok(())
    }

    /// Whether a request has not been written whole or, when the tunnel is finishing, not everything was answered.
    pub(super) fn has_output(&self) -> bool {
        self.client.has_unwritten() || self.is_finishing && self.client.has_unanswered()
    }

    /// Whether reading gives something though nothing has come.
    pub(super) fn has_input(&self) -> bool {
        let is_held = matches!(&self.link, Link::Up(stream) if stream.has_input());
        self.client.received() > 0 || self.client.has_ended() || is_held
    }

    /// What [`watched`](Self::watched) has to be ready for.
    pub(super) fn interest(&self, wish: Interest) -> Interest {
        let Link::Up(stream) = &self.link else {
            return Interest::default();
        };
        stream.interest(Interest {
            // The answer makes room for what is to be written, and the end of a connection that is not in use is to
            // be known before the next request.
            readable: !self.is_full() && (wish.readable || wish.writable),
            writable: self.client.has_unwritten() || stream.has_output(),
        })
    }

    /// When [`handle_timeout`](Self::handle_timeout) or [`flush`](Self::flush) have something to do.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        (!self.is_full()).then(|| self.client.poll_timeout()).flatten()
    }

    /// Does what time has made due. It is no silence of the server's if it is us who did not listen.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> io::Result<()> {
        if self.client.poll_timeout().is_none_or(|due| now < due) {
            return Ok(());
        }
        self.receive(now)?;
        if self.is_full() {
            return Ok(());
        }
        Ok(self.client.handle_timeout(now)?)
    }

    /// Whether nothing is read before the session has taken something.
    fn is_full(&self) -> bool {
        self.client.received() >= MAX_RECEIVED
    }

    /// Has the session closed behind what was written, once all of it is answered.
    pub(super) fn finish(&mut self) {
        self.client.close();
        self.is_finishing = true;
    }

    pub(super) fn watched(&self) -> Watched<'_> {
        match &self.link {
            Link::Up(stream) => Watched::Socket(stream.socket()),
            Link::Dialling(dialling) => Watched::Dialling(&dialling.done),
            Link::Down => Watched::Nothing,
        }
    }
}

/// A server would keep a session of which nobody speaks any more for half a minute. Other than closing a TCP
/// connection this has to be said, and is if it can be without waiting.
impl Drop for Tunnel {
    fn drop(&mut self) {
        if let (Link::Up(stream), Some(transmit)) = (&mut self.link, self.client.abandon()) {
            let mut slices = [IoSlice::new(&[]); 2];
            let filled = transmit.chunks_vectored(&mut slices);
            let _ = stream.write_vectored(slices.get(..filled).unwrap_or_default());
            let _ = stream.flush();
        }
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};

    use socket2::SockRef;

    use super::*;
    use crate::transport::tcp::TcpOptions;

    const LONG: Duration = Duration::from_secs(20);

    /// A tunnel whose server has opened a session, and the server's end. Neither end buffers much.
    fn open() -> (Tunnel, TcpStream) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        SockRef::from(&listener).set_recv_buffer_size(4096).unwrap();
        let target = Target {
            scheme: Scheme::Rtmpt,
            host: "127.0.0.1".to_owned(),
            port: listener.local_addr().unwrap().port(),
            tcp: TcpOptions::default(),
            proxy: None,
            tls: None,
        };
        let server = thread::spawn(move || {
            let (mut server, _) = listener.accept().unwrap();
            request(&mut server);
            answer(&mut server, b"id\n");
            server
        });
        let tunnel = Tunnel::open(&target, &Redirects::default(), Some(LONG), &Wake::new().unwrap()).unwrap();
        let Link::Up(stream) = &tunnel.link else {
            panic!("a connection");
        };
        SockRef::from(stream.socket()).set_send_buffer_size(4096).unwrap();
        (tunnel, server.join().unwrap())
    }

    /// Reads the head of a request.
    fn request(server: &mut TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            server.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
    }

    fn answer(server: &mut TcpStream, body: &[u8]) {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        server.write_all(head.as_bytes()).unwrap();
        server.write_all(body).unwrap();
    }

    /// Writes until there is no more room and the server has to read before a request is out whole.
    fn fill(tunnel: &mut Tunnel, now: Instant) {
        let mut is_full = false;
        while !is_full || !tunnel.client.has_unwritten() {
            assert!(now.elapsed() < LONG);
            is_full = tunnel.write_vectored(now, &[IoSlice::new(&[0; 4096])]).is_err();
        }
    }

    #[test]
    fn a_server_that_takes_a_request_slowly_makes_progress() {
        let (mut tunnel, mut server) = open();
        let start = Instant::now();
        // The handshake goes by itself.
        assert_eq!(
            tunnel.write_vectored(start, &[IoSlice::new(&[3; 1537])]).unwrap(),
            1537
        );
        tunnel.flush(start).unwrap();
        request(&mut server);
        server.read_exact(&mut [0; 1537]).unwrap();
        answer(&mut server, b"\x01");
        fill(&mut tunnel, start);
        while tunnel.client.has_unwritten() {
            server.read_exact(&mut [0; 1024]).unwrap();
            match tunnel.write_vectored(Instant::now(), &[IoSlice::new(&[0; 4096])]) {
                Ok(0) => return,
                Ok(_) => panic!("there is no room"),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        panic!("nothing was told of the progress");
    }

    #[test]
    fn a_server_is_not_silent_because_nobody_listens() {
        let (mut tunnel, mut server) = open();
        let start = Instant::now();
        tunnel.write_vectored(start, &[IoSlice::new(&[3; 1537])]).unwrap();
        tunnel.flush(start).unwrap();
        request(&mut server);
        let body = vec![1; 2 * MAX_RECEIVED];
        let length = body.len() - 1;
        let server = thread::spawn(move || {
            answer(&mut server, &body);
            server
        });
        while !tunnel.is_full() {
            assert!(start.elapsed() < LONG);
            tunnel.flush(start).unwrap();
        }
        // Its answer is here for half, and the session takes nothing for an hour.
        let late = start + Duration::from_secs(3600);
        assert_eq!(tunnel.poll_timeout(), None);
        tunnel.handle_timeout(late).unwrap();
        let mut received = BytesMut::new();
        while received.len() < length {
            assert!(start.elapsed() < LONG);
            match tunnel.read(late, &mut received, READ_SIZE) {
                Ok(count) => assert!(count > 0),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        server.join().unwrap();
    }

    #[test]
    fn what_is_said_behind_the_good_bye_is_for_nobody() {
        let (mut tunnel, _server) = open();
        tunnel.finish();
        // More than there is room for.
        let pongs = vec![0; 1 << 20];
        assert_eq!(
            tunnel
                .write_vectored(Instant::now(), &[IoSlice::new(&pongs)])
                .unwrap(),
            pongs.len()
        );
    }
}
