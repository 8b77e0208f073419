//! What carries the bytes between a peer and what it measures, by the protocol variant: TCP, TLS over it, or HTTP
//! requests. All of it blocks, and costs as little as it can.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Buf as _, BytesMut};
use gstrtmp::tunnel::server::{Connection, Limits, Sessions, Step, Turn};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::terms::Terms;

/// Bytes asked of the kernel at once: rustls alone would ask for 4 kB.
const READ_SIZE: usize = 256 << 10;

/// Bytes that wait for the requests of a tunnel's client before whoever writes them has to wait as well.
const MAX_WAITING: usize = 512 << 10;

/// Files in the folder of certificates.
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

/// Writes a certificate for this machine and its key into `folder`.
pub(crate) fn write_certificate(folder: &Path) -> io::Result<()> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).map_err(io::Error::other)?;
    fs::write(folder.join(CERTIFICATE), made.cert.pem())?;
    fs::write(folder.join(KEY), made.signing_key.serialize_pem())
}

fn certificate(terms: &Terms) -> CertificateDer<'static> {
    let file = Path::new(terms.text("certificates")).join(CERTIFICATE);
    CertificateDer::from_pem_file(file).expect("the runner has written a certificate")
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A socket that is read in large pieces.
pub(crate) struct Buffered {
    reader: BufReader<TcpStream>,
}

impl Buffered {
    fn new(stream: TcpStream) -> Self {
        Self {
            reader: BufReader::with_capacity(READ_SIZE, stream),
        }
    }
}

impl Read for Buffered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let there = self.reader.fill_buf()?;
        let taken = there.len().min(buffer.len());
        buffer[..taken].copy_from_slice(&there[..taken]);
        self.reader.consume(taken);
        Ok(taken)
    }
}

impl Write for Buffered {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.reader.get_mut().write(bytes)
    }

    fn write_vectored(&mut self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.reader.get_mut().write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The end of a connection that a peer has.
pub(crate) enum Wire {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, Buffered>>),
    Tunnel(Box<Tunnel>),
}

impl From<TcpStream> for Wire {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(stream)
    }
}

impl Wire {
    /// Over `stream`, which `listener` has accepted, as the scheme of `terms` has it.
    pub(crate) fn accepted(stream: TcpStream, listener: TcpListener, terms: &Terms) -> Self {
        match terms.text("scheme") {
            "rtmps" => {
                let key = Path::new(terms.text("certificates")).join(KEY);
                let key = PrivateKeyDer::from_pem_file(key).expect("the runner has written a key");
                let mut config = ServerConfig::builder_with_provider(provider())
                    .with_safe_default_protocol_versions()
                    .expect("ring has suites for both versions")
                    .with_no_client_auth()
                    .with_single_cert(vec![certificate(terms)], key)
                    .expect("the key is that of the certificate");
                // librtmp on GnuTLS takes a ticket behind the handshake for an error.
                config.send_tls13_tickets = 0;
                let connection = ServerConnection::new(Arc::new(config)).expect("there are random bytes");
                Self::Tls(Box::new(StreamOwned::new(connection, Buffered::new(stream))))
            }
            "rtmpt" => Self::Tunnel(Box::new(Tunnel::new(stream, listener))),
            _ => Self::Tcp(stream),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            // Most clients end without a word of TLS.
            Self::Tls(stream) => stream.read(buffer).or_else(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => Ok(0),
                _ => Err(error),
            }),
            Self::Tunnel(tunnel) => tunnel.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
            Self::Tunnel(tunnel) => tunnel.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
            Self::Tunnel(_) => Ok(()),
        }
    }
}

/// The client's end of a connection without RTMP, by the same means as the elements have.
pub(crate) enum PlainWire {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, Buffered>>),
}

impl PlainWire {
    pub(crate) fn connect(port: u16, terms: &Terms) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        if terms.text("scheme") != "rtmps" {
            return Ok(Self::Tcp(stream));
        }
        let mut roots = RootCertStore::empty();
        roots.add(certificate(terms)).map_err(io::Error::other)?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
        let connection = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(connection, Buffered::new(stream));
        // The handshake is not to be measured.
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(Self::Tls(Box::new(stream)))
    }

    /// Nothing more is written.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.shutdown(std::net::Shutdown::Write),
            Self::Tls(stream) => {
                stream.conn.send_close_notify();
                stream.flush()
            }
        }
    }
}

impl Read for PlainWire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for PlainWire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// The server's end of one RTMPT session. A request is answered when the next is looked for, so that what was written
/// meanwhile is in the answer.
pub(crate) struct Tunnel {
    listener: TcpListener,
    stream: TcpStream,
    connection: Connection,
    sessions: Sessions,
    /// The request that waits for its answer.
    turn: Option<Turn>,
    /// Of the connection.
    input: BytesMut,
    /// Of the session.
    incoming: BytesMut,
    outgoing: BytesMut,
    buffer: Vec<u8>,
}

impl Tunnel {
    fn new(stream: TcpStream, listener: TcpListener) -> Self {
        Self {
            listener,
            stream,
            connection: Connection::new(),
            sessions: Sessions::new(Limits::default()),
            turn: None,
            input: BytesMut::new(),
            incoming: BytesMut::new(),
            outgoing: BytesMut::new(),
            buffer: vec![0; READ_SIZE],
        }
    }

    /// Answers the last request, and takes the next or at least some bytes of it.
    fn pump(&mut self) -> io::Result<()> {
        if let Some(turn) = self.turn.take() {
            let answer = self.sessions.answer(&turn, &mut self.outgoing, false);
            self.connection.answer(&answer);
        }
        if let Some(request) = self.connection.handle_input(&mut self.input) {
            let address = Ipv4Addr::LOCALHOST.into();
            match self
                .sessions
                .handle_request(Instant::now(), address, request, [7; 16])
            {
                Step::Answered(answer) | Step::Closed(_, answer) => self.connection.answer(&answer),
                Step::Opened(opened) => self.connection.answer(&opened.answer),
                Step::Taken(turn, bytes) => {
                    self.incoming.unsplit(bytes);
                    self.turn = Some(turn);
                }
            }
            return self.write_answers();
        }
        self.write_answers()?;
        match self.stream.read(&mut self.buffer)? {
            0 => {
                (self.stream, _) = self.listener.accept()?;
                self.stream.set_nodelay(true)?;
                self.connection = Connection::new();
                self.input.clear();
            }
            taken => self.input.extend_from_slice(&self.buffer[..taken]),
        }
        Ok(())
    }

    fn write_answers(&mut self) -> io::Result<()> {
        let answers = self.connection.output();
        if !answers.is_empty() {
            self.stream.write_all(answers)?;
            answers.clear();
        }
        Ok(())
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.incoming.is_empty() {
            self.pump()?;
        }
        let taken = self.incoming.len().min(buffer.len());
        self.incoming.copy_to_slice(&mut buffer[..taken]);
        Ok(taken)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        while self.outgoing.len() > MAX_WAITING {
            self.pump()?;
        }
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }
}
