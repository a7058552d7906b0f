//! Requests and responses of HTTP/1.1, as much of it as a local page needs: a request has no body, and a connection one request.

use std::io::{self, ErrorKind, Read, Write};

/// Bytes of a request, all headers together.
const LARGEST: usize = 16 << 10;
/// Headers of a request.
const HEADERS: usize = 64;

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Whether the content is not wanted (HEAD).
    pub(super) is_head: bool,
    /// The path, as it was sent.
    pub(super) path: String,
    /// What stands behind the question mark, decoded.
    pub(super) query: Vec<(String, String)>,
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Response {
    pub(super) status: Status,
    /// HTML.
    pub(super) body: String,
}

/// The statuses that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Ok,
    NoContent,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    /// The request is for another host, as one that a foreign page makes by a name of its own that leads here.
    Misdirected,
    /// The files are not what the result was made of.
    Conflict,
    TooLarge,
    Failed,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::NoContent => "204 No Content",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::Misdirected => "421 Misdirected Request",
            Self::Conflict => "409 Conflict",
            Self::TooLarge => "431 Request Header Fields Too Large",
            Self::Failed => "500 Internal Server Error",
        }
    }
}

/// Reads a request for this port; `None` from a connection that was closed without one. One that is not whole when the connection's
/// time is over is not understood.
///
/// # Errors
/// The connection's; inside, the status of a request that is not answered.
pub(super) fn read(from: &mut impl Read, port: u16) -> io::Result<Option<Result<Request, Status>>> {
    let (mut bytes, mut chunk) = (Vec::new(), [0; 4096]);
    loop {
        let count = match from.read(&mut chunk) {
            Err(cause) if is_late(&cause) && !bytes.is_empty() => 0,
            count => count?,
        };
        bytes.extend_from_slice(&chunk[..count]);
        if bytes.len() > LARGEST {
            return Ok(Some(Err(Status::TooLarge)));
        }
        if let Some(found) = parse(&bytes, port) {
            return Ok(Some(found));
        }
        match count {
            0 if bytes.is_empty() => return Ok(None),
            0 => return Ok(Some(Err(Status::BadRequest))),
            _ => {}
        }
    }
}

fn is_late(cause: &io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// The request; `None` if more of it is needed.
fn parse(bytes: &[u8], port: u16) -> Option<Result<Request, Status>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) => return None,
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Some(Err(Status::TooLarge)),
        Err(_) => return Some(Err(Status::BadRequest)),
    }
    let mut hosts = request
        .headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("host"));
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => String::from_utf8_lossy(host.value).to_ascii_lowercase(),
        _ => return Some(Err(Status::BadRequest)),
    };
    if !is_own(&host, port) {
        return Some(Err(Status::Misdirected));
    }
    let is_head = match request.method {
        Some("GET") => false,
        Some("HEAD") => true,
        _ => return Some(Err(Status::MethodNotAllowed)),
    };
    let target = request.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = form_urlencoded::parse(query.as_bytes()).into_owned();
    Some(Ok(Request {
        is_head,
        path: path.to_owned(),
        query: query.collect(),
    }))
}

/// Whether a request for this host is one for the page.
fn is_own(host: &str, port: u16) -> bool {
    let names = ["127.0.0.1", "localhost"];
    names
        .iter()
        .any(|name| host == format!("{name}:{port}") || (port == 80 && host == *name))
}

/// Writes a response.
///
/// # Errors
/// The connection's.
pub(super) fn write(to: &mut impl Write, response: &Response, is_head: bool) -> io::Result<()> {
    let (line, length) = (response.status.line(), response.body.len());
    let allow = match response.status {
        Status::MethodNotAllowed => "Allow: GET, HEAD\r\n",
        _ => "",
    };
    // The page's own policy says it again; framing can be forbidden by a header alone.
    let head = format!(
        "HTTP/1.1 {line}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {length}\r\n{allow}\
         Content-Security-Policy: default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'\r\n\
         X-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\n\
         Cross-Origin-Opener-Policy: same-origin\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
    );
    to.write_all(head.as_bytes())?;
    if !is_head {
        to.write_all(response.body.as_bytes())?;
    }
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Result<Request, Status>> {
        parse(text.as_bytes(), 8080)
    }

    #[test]
    fn only_requests_for_this_host_by_get_are_answered() {
        let host = "Host: localhost:8080\r\n\r\n";
        let request = of(&format!(
            "GET /input/3?text=a%20b+c&page=2 HTTP/1.1\r\n{host}"
        ));
        let request = request.unwrap().unwrap();
        assert_eq!(request.path, "/input/3");
        assert_eq!(request.query[0], ("text".into(), "a b c".into()));
        let refused = |text: &str| of(text).unwrap().unwrap_err();
        let cases = [
            (
                format!("POST / HTTP/1.1\r\n{host}"),
                Status::MethodNotAllowed,
            ),
            (
                "GET / HTTP/1.1\r\nHost: evil.example:8080\r\n\r\n".into(),
                Status::Misdirected,
            ),
            (
                "GET / HTTP/1.1\r\nHost: 127.0.0.1:81\r\n\r\n".into(),
                Status::Misdirected,
            ),
            ("GET / HTTP/1.1\r\n\r\n".into(), Status::BadRequest),
            (
                format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n{host}"),
                Status::BadRequest,
            ),
            ("\u{1}\u{2}\r\n\r\n".into(), Status::BadRequest),
            (
                format!("GET / HTTP/1.1\r\n{}{host}", "A: b\r\n".repeat(HEADERS)),
                Status::TooLarge,
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(refused(&text), expected, "{text}");
        }
        assert!(of("GET / HT").is_none());
        assert_eq!(read(&mut io::empty(), 80).unwrap(), None);
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(LARGEST));
        assert_eq!(
            read(&mut long.as_bytes(), 80).unwrap(),
            Some(Err(Status::TooLarge))
        );
    }
}
