//! Loopback ports for servers that cannot be asked which port they got.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::{Context, Result, wait};

/// `N` different ports that were free a moment ago. Whoever listens on them next must be ready to find one taken.
pub fn free<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    // All are held until the last is known, so that no two are the same.
    let mut held = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a loopback port")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

/// Whether something listens on a loopback port.
pub fn answers(port: u16) -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok_and(|stream| {
        // Linux may pick the very port that is tried as the source port: then this is a connection to itself.
        stream.local_addr().ok() != Some(address)
    })
}

/// Whether something listens on a loopback port, found out without connecting: there are servers that serve nobody
/// but the first.
pub fn is_listened_on(port: u16) -> Result<bool> {
    const LISTEN: &str = "0A";
    let sockets = std::fs::read_to_string("/proc/net/tcp").context("looking for a listening socket")?;
    let port = format!(":{port:04X}");
    Ok(sockets.lines().any(|line| {
        let mut fields = line.split_whitespace().skip(1);
        fields.next().is_some_and(|local| local.ends_with(&port)) && fields.nth(1) == Some(LISTEN)
    }))
}

/// Waits until something listens on a loopback port that serves but one client.
pub fn wait_for_listener(port: u16) -> Result<()> {
    wait::until("a server to listen", wait::LONG, || match is_listened_on(port) {
        Ok(false) => None,
        result => Some(result.map(drop)),
    })?
}
