//! Whole requests: what the caller wrote is what the plugin reads.

use crate::ground::{Answer, Counts, Ground, answer, rest};
use crate::script::{dump, pattern};
use ringbox_ring::{Fault, Header, Invocation, Request, Status};

fn dump_of(request: &Request<'_>, body: &[u8]) -> Vec<u8> {
    let headers = request.headers.iter().map(|header| (header.name, header.value));
    dump(request.method, request.path, request.query, headers, body)
}

#[track_caller]
fn arrives(ground: &Ground, request: Request<'_>, body: &[u8]) {
    let plugin = ground.plugin();
    let call = plugin.link.call(&Invocation::request(request, body)).unwrap();
    assert!(answer(call) == Ok(Answer::ok(dump_of(&request, body))), "{request:?}");
}

/// No headers at all.
pub fn a_request_without_headers_arrives_whole(ground: &Ground) {
    arrives(ground, Request::new("GET", "/"), b"");
    let request = Request { query: "a=1&b=%20", ..Request::new("POST", "/a/longer/path") };
    arrives(ground, request, b"and a body");
}

/// One header.
pub fn a_request_with_one_header_arrives_whole(ground: &Ground) {
    let headers = [Header { name: "content-type", value: "text/plain; charset=utf-8" }];
    arrives(ground, Request { headers: &headers, ..Request::new("PUT", "/one") }, b"\0\xff");
}

/// As many headers as nobody should send, in order, some of them twice.
pub fn a_request_with_200_headers_arrives_whole(ground: &Ground) {
    let names: Vec<_> = (0..200).map(|i| format!("x-header-{}", i / 2)).collect();
    let values: Vec<_> = (0..200).map(|i| "v".repeat(i)).collect();
    let headers: Vec<_> =
        names.iter().zip(&values).map(|(name, value)| Header { name, value }).collect();
    arrives(ground, Request { headers: &headers, ..Request::new("GET", "/many") }, b"body");
}

/// Every string may be empty.
pub fn empty_strings_arrive_empty(ground: &Ground) {
    let headers = [Header { name: "", value: "" }, Header { name: "a", value: "" }];
    arrives(ground, Request { headers: &headers, ..Request::new("", "") }, b"");
}

/// Strings are UTF-8, of every width, and may hold a zero.
pub fn strings_beyond_ascii_arrive_whole(ground: &Ground) {
    let headers = [
        Header { name: "größe", value: "日本語" },
        Header { name: "zero\0inside", value: "🦀\u{10ffff}\u{7f}\u{80}" },
    ];
    let query = "ключ=значение";
    let request = Request { query, headers: &headers, ..Request::new("ПОСТ", "/ü/語/🦀") };
    arrives(ground, request, "körper".as_bytes());
}

/// A body of 16 MiB.
pub fn a_request_with_a_large_body_arrives_whole(ground: &Ground) {
    let headers = [Header { name: "content-length", value: "16777216" }];
    let request = Request { headers: &headers, ..Request::new("POST", "/large") };
    arrives(ground, request, &pattern(7, 16 << 20));
}

/// A request is not only for calls. (The plugin's answer, `Ok`, is a frame on a stream.)
pub fn a_request_may_be_a_stream_or_a_notification(ground: &Ground) {
    let plugin = ground.plugin();
    let request = Request::new("GET", "/stream");
    let invocation = Invocation::request(request, b"body");
    plugin.link.notify(&invocation).unwrap();
    let deadline = std::time::Duration::from_millis(20);
    let mut stream = plugin.link.stream(&invocation).unwrap().deadline(deadline);
    let (frames, fault) = rest(&mut stream);
    assert_eq!(frames.len(), 1);
    assert_eq!((frames[0].status, &frames[0].bytes), (Status::Ok, &dump_of(&request, b"body")));
    let fault = fault.expect("nothing of the plugin's ends the stream");
    assert!(matches!(fault.fault(), Some(Fault::Deadline { .. } | Fault::Unanswered)), "{fault}");
    plugin.expect(Counts { faults: 1, ..Counts::default() });
}
