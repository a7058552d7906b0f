//! The port: a thread for each connection, and an end when a signal asks for it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use super::http::{self, Request, Response, Status};
use crate::program::process;
use crate::program::stop::{self, Stopped};

/// Connections at the same time; others wait.
const MOST: usize = 16;
/// How often signals are looked for.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes of a refused request that are read and thrown away, and for how long at most.
const UNREAD: (u64, Duration) = (1 << 20, Duration::from_secs(2));
/// How long a connection may be silent.
const SILENCE: Duration = Duration::from_secs(5);
/// How long a request may take to arrive.
const ARRIVING: Duration = Duration::from_secs(10);
/// How long an answer may take to be sent.
const SENDING: Duration = Duration::from_secs(60);

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
                let answer = move || {
                    let _guard = guard;
                    if let Err(cause) = one(stream, port, &*to) {
                        tracing::debug!("a connection broke: {cause}");
                    }
                };
                let thread = thread::Builder::new().stack_size(process::STACK);
                if let Err(cause) = thread.spawn(answer) {
                    tracing::warn!("a connection is not answered: {cause}");
                }
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

/// A connection whose other side may neither be silent for long nor take longer than this for all that it sends or takes.
struct Timed<'a> {
    stream: &'a TcpStream,
    end: Instant,
}

impl<'a> Timed<'a> {
    fn new(stream: &'a TcpStream, time: Duration) -> Self {
        let end = Instant::now() + time;
        Self { stream, end }
    }

    /// How long may be waited now.
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.end.saturating_duration_since(Instant::now());
        match left.is_zero() {
            true => Err(io::ErrorKind::TimedOut.into()),
            false => Ok(Some(left.min(SILENCE))),
        }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(into)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

fn one(
    stream: TcpStream,
    port: u16,
    to: &impl Fn(Result<Request, Status>) -> Response,
) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    let Some(request) = http::read(&mut Timed::new(&stream, ARRIVING), port)? else {
        return Ok(());
    };
    let is_head = request.as_ref().is_ok_and(|request| request.is_head);
    let is_refused = request.is_err();
    let response = to(request);
    http::write(&mut Timed::new(&stream, SENDING), &response, is_head)?;
    if is_refused {
        // A connection that is closed with bytes unread is reset, and the answer lost with it.
        stream.shutdown(Shutdown::Write)?;
        let (most, time) = UNREAD;
        io::copy(&mut Timed::new(&stream, time).take(most), &mut io::sink())?;
    }
    Ok(())
}
