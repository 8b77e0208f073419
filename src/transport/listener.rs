//! A listening TCP socket: where peers connect to us.

use std::io;
use std::net::SocketAddr;
#[cfg(unix)]
use std::os::fd::{AsFd, BorrowedFd};
#[cfg(windows)]
use std::os::windows::io::{AsSocket, BorrowedSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Type};

use super::tcp::{self, Interest, Ready, Socket, TcpOptions};
use super::wake::Wake;

/// Connections that the system holds for us until they are accepted.
const BACKLOG: i32 = 128;

/// A nonblocking listening socket.
#[derive(Debug)]
pub struct Listener {
    inner: socket2::Socket,
}

impl Listener {
    /// Listens on `address`; port 0 lets the system choose one, and `[::]` takes IPv4 peers as well.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let inner = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // Lets a restarted pipeline listen again while its old connections linger. On Windows the same option
        // would let anybody take the port over.
        #[cfg(not(windows))]
        inner.set_reuse_address(true)?;
        if address.is_ipv6() && address.ip().is_unspecified() {
            inner.set_only_v6(false)?;
        }
        inner.set_nonblocking(true)?;
        inner.bind(&address.into())?;
        inner.listen(BACKLOG)?;
        Ok(Self { inner })
    }

    /// The next connection; [`io::ErrorKind::WouldBlock`] when there is none. After any other error, such as being
    /// out of file descriptors, the connection still waits and [`Listener::poll`] still returns at once: pause
    /// before trying again.
    pub fn accept(&self, options: &TcpOptions) -> io::Result<Socket> {
        loop {
            match tcp::uninterrupted(|| self.inner.accept()) {
                Ok((inner, peer)) => {
                    // One that cannot be set up has died while it waited.
                    if let (Ok(()), Some(peer)) = (options.apply(&inner), peer.as_socket()) {
                        return Ok(Socket::new(inner, peer));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until there is a connection to accept (`readable`), `wake` is awake or `timeout` has passed (none:
    /// for ever).
    pub fn poll(&self, wake: &Wake, timeout: Option<Duration>) -> io::Result<Ready> {
        tcp::watch(&self.inner, Interest::READ, wake, timeout)
    }

    /// The address that peers connect to, with the port that the system chose.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        tcp::local_addr(&self.inner)
    }
}

/// For those who poll it together with descriptors of their own.
#[cfg(unix)]
impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

/// For those who poll it together with sockets of their own.
#[cfg(windows)]
impl AsSocket for Listener {
    fn as_socket(&self) -> BorrowedSocket<'_> {
        self.inner.as_socket()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::race::connect;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::time::Instant;

    fn deadline() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn accepts_each_connection_once_and_then_would_block() {
        let wake = Wake::new().unwrap();
        let options = TcpOptions::default();
        let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        assert_eq!(
            listener.accept(&options).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        assert_eq!(
            listener.poll(&wake, Some(Duration::ZERO)).unwrap(),
            Ready::default()
        );
        for _ in 0..2 {
            let client = connect(&[listener.local_addr().unwrap()], &options, &wake, deadline()).unwrap();
            assert!(listener.poll(&wake, None).unwrap().readable);
            assert_eq!(
                listener.accept(&options).unwrap().peer_addr(),
                client.local_addr().unwrap()
            );
            assert_eq!(
                listener.accept(&options).unwrap_err().kind(),
                io::ErrorKind::WouldBlock
            );
        }
    }

    #[test]
    fn waking_ends_the_wait_for_a_connection() {
        let wake = Wake::new().unwrap();
        let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        wake.wake();
        assert_eq!(
            listener.poll(&wake, None).unwrap(),
            Ready {
                woken: true,
                ..Ready::default()
            }
        );
    }

    #[test]
    fn the_port_can_be_taken_again_after_a_connection_was_closed_on_it() {
        let wake = Wake::new().unwrap();
        let options = TcpOptions::default();
        let rebind = || {
            let listener = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
            let address = listener.local_addr().unwrap();
            let client = connect(&[address], &options, &wake, deadline()).unwrap();
            assert!(listener.poll(&wake, None).unwrap().readable);
            // Closed first at this end, so that it is this end that lingers.
            drop(listener.accept(&options).unwrap());
            drop(listener);
            drop(client);
            Listener::bind(address)
        };
        // Another test may be given the port while it is free; not ten times in a row.
        assert!((0..10).any(|_| rebind().is_ok()));
    }

    #[test]
    fn a_taken_port_is_refused() {
        let first = Listener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
        let error = Listener::bind(first.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn the_unspecified_ipv6_address_takes_ipv4_peers() {
        let wake = Wake::new().unwrap();
        let Ok(listener) = Listener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))) else {
            eprintln!("skipped: this machine has no IPv6");
            return;
        };
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port()));
        connect(&[address], &TcpOptions::default(), &wake, deadline()).unwrap();
        assert!(listener.poll(&wake, None).unwrap().readable);
    }
}
