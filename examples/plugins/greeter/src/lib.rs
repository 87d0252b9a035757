//! A plugin by `define_plugin!`: entries, a stream each way, state, a timer and whole requests, all
//! of it in safe Rust.

#![forbid(unsafe_code)]

use ringbox_abi::plugin::{Cx, Host, Later, Refused, Reply};
use ringbox_abi::{RequestView, Status, define_plugin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// What the entry `slow` takes.
const SLOW: Duration = Duration::from_millis(500);

/// One for each load of the plugin.
struct Greeter {
    greeted: AtomicU64,
}

fn start(_host: Host) -> Result<Greeter, String> {
    // A panic is answered with its message, so it needn't be printed too. The hook is this
    // plugin's own, as the whole of its standard library is.
    std::panic::set_hook(Box::new(|_| {}));
    Ok(Greeter { greeted: AtomicU64::new(0) })
}

/// Answers with bytes that are only borrowed, inside the call.
fn echo(cx: &Cx<Greeter>, sid: u64, payload: &[u8]) -> Later {
    cx.answer(sid, payload)
}

/// An error becomes the answer too, with the status `Err`.
fn greet(cx: &Cx<Greeter>, _sid: u64, payload: &[u8]) -> Result<String, std::str::Utf8Error> {
    let name = std::str::from_utf8(payload)?;
    cx.state().greeted.fetch_add(1, Ordering::Relaxed);
    Ok(format!("Hello, {name}!"))
}

fn greeted(cx: &Cx<Greeter>, _sid: u64, _payload: &[u8]) -> String {
    cx.state().greeted.load(Ordering::Relaxed).to_string()
}

/// Answers with its payload half a second later, without a thread: the host keeps the payload with
/// the call, and wakes the plugin.
fn slow(cx: &Cx<Greeter>, sid: u64, payload: &[u8]) -> Result<Later, Refused> {
    cx.host().state_set(sid, "answer", payload)?;
    cx.host().wake_after(sid, SLOW)?;
    Ok(Later)
}

/// The token is the sid that asked to be woken.
fn woken(cx: &Cx<Greeter>, sid: u64) -> Result<(), Refused> {
    let answer = match cx.host().state(sid, "answer") {
        Ok(answer) => answer,
        // The caller has left meanwhile, so nothing is owed.
        Err(Refused { status: Status::Invalid }) => return Ok(()),
        Err(refused) => return Err(refused),
    };
    cx.host().send_result(sid, Status::Ok, &answer);
    Ok(())
}

/// Sends as many numbered frames as the payload says, and waits where the reader is behind.
fn count(cx: &Cx<Greeter>, sid: u64, payload: &[u8]) -> Result<Later, String> {
    let text = std::str::from_utf8(payload).map_err(|error| error.to_string())?;
    let frames: u32 = text.parse().map_err(|error| format!("how many is {text:?}? {error}"))?;
    let responder = cx.responder(sid);
    thread::spawn(move || {
        for number in 0..frames {
            while let Err(refused) = responder.frame(&number.to_le_bytes()) {
                if !refused.is_backpressure() {
                    return; // the reader has left
                }
                thread::yield_now();
            }
        }
        responder.end();
    });
    Ok(Later)
}

/// A stream that takes data, and sends it back in capitals.
fn shout(_sid: u64, _payload: &[u8]) -> Later {
    Later
}

fn data(cx: &Cx<Greeter>, sid: u64, data: &[u8]) -> Status {
    match cx.host().send_frame(sid, Status::Ok, &data.to_ascii_uppercase()) {
        Ok(()) => Status::Ok,
        Err(Refused { status }) => status,
    }
}

fn close(cx: &Cx<Greeter>, sid: u64) {
    cx.host().send_result(sid, Status::StreamEnd, b"");
}

/// Owes an answer and never gives it. The host knows how long its caller waits.
fn never(_sid: u64, _payload: &[u8]) -> Later {
    Later
}

fn panics(_sid: u64, _payload: &[u8]) -> Status {
    panic!("the plugin lost its composure")
}

/// Takes whole requests. Calls of entries that aren't there come here too, and are handed back.
fn request(_sid: u64, request: RequestView<'_>, _payload: &[u8]) -> Reply {
    match request.method() {
        "CALL" => Reply::Refused(Status::Unsupported),
        method => Reply::ok(format!("OK: {method} {}", request.path()).into_bytes()),
    }
}

define_plugin! {
    name: "greeter",
    state: Greeter,
    init: start,
    entries: {
        "echo" => echo,
        "greet" => greet,
        "greeted" => greeted,
        "slow" => slow,
        "count" => count,
        "shout" => shout,
        "never" => never,
        "panic" => panics,
    },
    fallback: request,
    wake: woken,
    stream_data: data,
    stream_close: close,
}
