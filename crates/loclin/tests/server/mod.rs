//! A web server of this process on 127.0.0.1, as well or badly behaved as a test wants it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

/// What the server says to one request.
pub(crate) struct Reply {
    /// HTTP status.
    pub(crate) status: u16,
    /// The length that the header promises, where it is not the body's.
    pub(crate) promised: Option<usize>,
    /// What is sent.
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The body, all of it, with status 200.
    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            promised: None,
            body: body.into(),
        }
    }

    /// Nothing but a status.
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            promised: None,
            body: Vec::new(),
        }
    }

    /// Half of the body, although all of it is promised.
    pub(crate) fn half(body: &[u8]) -> Self {
        Self {
            status: 200,
            promised: Some(body.len()),
            body: body[..body.len() / 2].to_vec(),
        }
    }
}

/// Starts a server that answers each path by `reply`, until the process ends; its address.
pub(crate) fn serve(
    mut reply: impl FnMut(&str) -> Reply + Send + 'static,
) -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            let mut reader = BufReader::new(&stream);
            let mut request = String::new();
            while reader.read_line(&mut request).is_ok_and(|n| n > 2) {}
            let path = request.split(' ').nth(1).unwrap_or_default();
            let Reply {
                status,
                promised,
                body,
            } = reply(path);
            let length = promised.unwrap_or(body.len());
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            // A client that hangs up early is one of the cases under test.
            let _ = stream
                .write_all(head.as_bytes())
                .and_then(|()| stream.write_all(&body));
        }
    });
    Ok(address)
}

/// An address where nobody listens.
pub(crate) fn nobody() -> std::io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    Ok(format!("http://{}", listener.local_addr()?))
}
