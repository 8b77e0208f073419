//! A path of some length between the client and the peer: bytes arrive as long after they were sent as light takes.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use crate::clock;

/// Lays a path with `delay` nanoseconds each way before `stream` and gives its far end. Connecting has taken no time.
pub(crate) fn lay(stream: TcpStream, delay: u64) -> io::Result<TcpStream> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let inner = TcpStream::connect(listener.local_addr()?)?;
    let (far, _) = listener.accept()?;
    for socket in [&stream, &inner] {
        socket.set_nodelay(true)?;
    }
    carry(stream.try_clone()?, inner.try_clone()?, delay);
    carry(inner, stream, delay);
    Ok(far)
}

/// One way, on two threads: so bytes can be on their way while others are read.
fn carry(mut from: TcpStream, mut to: TcpStream, delay: u64) {
    let (send, receive) = mpsc::channel::<(u64, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(taken @ 1..) = from.read(&mut buffer) {
            if send
                .send((clock::now() + delay, buffer[..taken].to_vec()))
                .is_err()
            {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, bytes) in receive {
            clock::sleep_until(due);
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
    });
}
