//! The HTTP side of nginx's `on_publish` and the like: gives every request the same answer and keeps its form.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::{Context, Failure, Result};

/// How long one request may take to arrive. Both ends are on this machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// An HTTP server on a loopback port that ends when dropped.
pub struct Responder {
    address: SocketAddr,
    forms: Receiver<String>,
    thread: Option<JoinHandle<()>>,
}

impl Responder {
    /// Starts to answer every request with `status`, such as "403 Forbidden".
    pub fn start(status: &'static str) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a loopback port")?;
        let address = listener.local_addr()?;
        let (sender, forms) = channel();
        let thread = thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                match answer(stream, status) {
                    // That is how dropping the responder looks from here.
                    Ok(None) => break,
                    Ok(Some(form)) => drop(sender.send(form)),
                    // A client that broke off hears nothing; the test fails for want of its form.
                    Err(_) => {}
                }
            }
        });
        Ok(Self {
            address,
            forms,
            thread: Some(thread),
        })
    }

    /// Where requests go.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The form of the next request, as it was posted.
    pub fn next_form(&self, within: Duration) -> Result<String> {
        self.forms
            .recv_timeout(within)
            .map_err(|_| Failure::new(format!("nobody asked the HTTP responder within {within:?}")))
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let woken = TcpStream::connect_timeout(&self.address, PATIENCE).is_ok();
        if let Some(thread) = self.thread.take().filter(|_| woken) {
            let _ = thread.join();
        }
    }
}

/// Reads one request and answers it; gives its body, or `None` when the connection closed without a request.
fn answer(stream: TcpStream, status: &str) -> std::io::Result<Option<String>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(&stream);
    let mut length = 0;
    let mut any = false;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(any.then(String::new));
        }
        any = true;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = String::new();
    reader.take(length).read_to_string(&mut body)?;
    (&stream).write_all(
        format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes(),
    )?;
    Ok(Some(body))
}
