//! Which page answers a request.

use loclin_report::explorer::{Notice, failure};

use super::http::{Request, Response, Status};
use super::query::Query;
use super::source::Source;
use super::{input, list};
use crate::program::errors;

/// The page that a request asks for. Nothing but numbers is taken from a path, and no path leads to a file.
pub(super) fn answer(source: &Source, request: Result<Request, Status>) -> Response {
    let request = match request {
        Ok(request) => request,
        Err(status) => return refusal(status),
    };
    let query = Query::of(&request.query);
    let lines = source.rows.not_understood(&query);
    if !lines.is_empty() {
        let title = "The list cannot be searched like this".into();
        return Response {
            status: Status::BadRequest,
            body: failure(&Notice { title, lines }, Some("/")),
        };
    }
    let page = match &request.path[..] {
        "/" => list::page(source, &query).map(|page| (Status::Ok, page)),
        "/favicon.ico" => Ok((Status::NoContent, String::new())),
        path => {
            let number = path.strip_prefix("/input/");
            let number = number.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let row = number
                .and_then(|text| text.parse().ok())
                .and_then(|number| source.rows.of_input(number));
            match row {
                Some(row) => input::page(source, row, &query, &request.query),
                None => return refusal(Status::NotFound),
            }
        }
    };
    match page {
        Ok((status, body)) => Response { status, body },
        Err(cause) => {
            let notice = Notice {
                title: "The page cannot be made".into(),
                lines: vec![errors::describe(&cause)],
            };
            Response {
                status: Status::Failed,
                body: failure(&notice, Some(&query.href("/"))),
            }
        }
    }
}

fn refusal(status: Status) -> Response {
    let (title, line) = match status {
        Status::NotFound => (
            "There is no such page",
            "The list is at /, an input at /input/NUMBER.",
        ),
        Status::Misdirected => (
            "Not for this host",
            "Open the address that the program printed, by 127.0.0.1 or localhost.",
        ),
        Status::MethodNotAllowed => ("Pages can only be read", "Ask by GET."),
        _ => (
            "Not understood",
            "The request is no request of HTTP/1.1, or too long.",
        ),
    };
    let notice = Notice {
        title: title.into(),
        lines: vec![line.into()],
    };
    // A page for another host tells nothing, and has no way on.
    let back = (status == Status::NotFound).then_some("/");
    Response {
        status,
        body: failure(&notice, back),
    }
}
