//! The port: a thread for each connection, and an end when a signal asks for it.

use std::io::{self, Read};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use super::http::{self, Request, Response, Status};
use crate::program::stop::{self, Stopped};

/// Connections at the same time; others wait.
const MOST: usize = 16;
/// How often signals are looked for.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes of a refused request that are read and thrown away.
const UNREAD: u64 = 1 << 20;
/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(5);

/// Opens a port of this machine alone; any that is free for 0.
///
/// # Errors
/// A port that is taken.
pub(super) fn open(port: u16) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let named = || format!("--port {port}: cannot be opened; 0 takes one that is free");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(named)?;
    let address = listener.local_addr().with_context(named)?;
    listener.set_nonblocking(true).with_context(named)?;
    Ok((listener, address))
}

/// Answers until a signal comes.
///
/// # Errors
/// The signal, or a port that no longer works.
pub(super) fn answer(
    listener: &TcpListener,
    port: u16,
    to: impl Fn(Result<Request, Status>) -> Response + Send + Sync + 'static,
) -> anyhow::Result<()> {
    let (to, open) = (Arc::new(to), Arc::new(AtomicUsize::new(0)));
    loop {
        stop::check().map_err(Stopped::without_results)?;
        if open.load(Ordering::Acquire) >= MOST {
            thread::sleep(PAUSE);
            continue;
        }
        match listener.accept() {
            Ok((stream, _)) => {
                open.fetch_add(1, Ordering::AcqRel);
                let guard = Guard(Arc::clone(&open));
                let to = Arc::clone(&to);
                // Nobody waits for these threads: a process that ends need not finish its answers.
                thread::spawn(move || {
                    let _guard = guard;
                    if let Err(cause) = one(stream, port, &*to) {
                        tracing::debug!("a connection broke: {cause}");
                    }
                });
            }
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => thread::sleep(PAUSE),
            // A connection that was closed before it was accepted, or too many files open for a moment.
            Err(cause) => {
                tracing::debug!("a connection was not accepted: {cause}");
                thread::sleep(PAUSE);
            }
        }
    }
}

/// Counts a connection for as long as it is open.
struct Guard(Arc<AtomicUsize>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn one(
    mut stream: TcpStream,
    port: u16,
    to: &impl Fn(Result<Request, Status>) -> Response,
) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))?;
    let Some(request) = http::read(&mut stream, port)? else {
        return Ok(());
    };
    let is_head = request.as_ref().is_ok_and(|request| request.is_head);
    let is_refused = request.is_err();
    http::write(&mut stream, &to(request), is_head)?;
    if is_refused {
        // A connection that is closed with bytes unread is reset, and the answer lost with it.
        stream.shutdown(Shutdown::Write)?;
        io::copy(&mut stream.take(UNREAD), &mut io::sink())?;
    }
    Ok(())
}
