//! A plugin for both walls that looks at requests before they go on to a server: it refuses what must
//! not get there, and answers the others with the headers that they go on with.

#![forbid(unsafe_code)]

use ringbox_guest::{Error, Host, Plugin, Reply, Request, Status};

/// What is let through.
const METHODS: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/// What is between two neighbours, and is none of the server's business.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What lies below needs to say who it is.
const PRIVATE: &str = "/admin";

/// What is added. A client that says so itself is not believed.
const SEAL: &str = "x-filtered-by";

struct Filter;

impl Plugin for Filter {
    fn new(_host: &Host) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Filter {
    fn request(&self, request: Request<'_>) -> Reply<'static> {
        if !METHODS.contains(&request.method()) {
            return Reply::new(Status::Unsupported, &b"this method is not let through"[..]);
        }
        if !request.headers().all(|(name, value)| is_name(name) && is_value(value)) {
            return Reply::new(Status::Invalid, &b"a header's name or value cannot be one"[..]);
        }
        if is_private(request.path()) && request.header("authorization").is_none() {
            return Reply::new(Status::Err, &b"authorization is needed here"[..]);
        }
        let mut kept = String::new();
        for (name, value) in request.headers() {
            if !stays_here(&request, name) {
                for part in [name, ": ", value, "\r\n"] {
                    kept.push_str(part);
                }
            }
        }
        kept.push_str(SEAL);
        kept.push_str(": ringbox\r\n");
        Reply::ok(kept.into_bytes())
    }
}

/// The path itself and what is below it, not what only begins alike.
fn is_private(path: &str) -> bool {
    path.strip_prefix(PRIVATE).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a header isn't passed on: nobody is to, or the client names it in `connection`.
fn stays_here(request: &Request<'_>, name: &str) -> bool {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    HOP_BY_HOP.into_iter().any(is)
        || is(SEAL)
        || request
            .headers()
            .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
            .flat_map(|(_, named)| named.split(','))
            .any(|named| is(named.trim()))
}

fn is_name(name: &str) -> bool {
    let may = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(may)
}

/// No line may end within a value: what follows would be a header of its own.
fn is_value(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'\t' || !byte.is_ascii_control())
}

ringbox_guest::plugin! {
    type: Filter,
    name: "headers",
    requests: Filter::request,
}
