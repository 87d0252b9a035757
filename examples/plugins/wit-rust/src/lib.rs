//! A plugin for the sandbox by the WIT and nothing else: no code of Ringbox's is in it.
//!
//! ```text
//! cargo build --release --target wasm32-wasip2     or     cargo component build --release
//! ```

use exports::nylon::ring::guest::{Guest, Request};
use nylon::ring::host::send_result;
use nylon::ring::types::Status;

wit_bindgen::generate!({ path: "../../../wit/nylon-ring", world: "nylon:ring/plugin@1.0.0" });

struct Plugin;

export!(Plugin);

impl Guest for Plugin {
    fn init() -> Status {
        Status::Ok
    }

    fn handle(sid: u64, request: Request, payload: Vec<u8>) -> Status {
        match (request.method.as_str(), request.path.as_str()) {
            ("CALL", "echo") => send_result(sid, Status::Ok, &payload),
            ("CALL", "words") => words(sid, &payload),
            // Of an entry that isn't there. The caller hears of it at once.
            ("CALL", _) => return Status::Unsupported,
            (method, path) => {
                send_result(sid, Status::Ok, format!("OK: {method} {path}").as_bytes());
            }
        }
        Status::Ok
    }

    fn shutdown() {}
}

/// A stream: a frame for each word, and its end.
fn words(sid: u64, text: &[u8]) {
    for word in text.split(|byte| *byte == b' ').filter(|word| !word.is_empty()) {
        send_result(sid, Status::Ok, word);
    }
    send_result(sid, Status::StreamEnd, b"");
}
