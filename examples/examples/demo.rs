//! Every way to call a plugin, a hundred calls at once, and what faults look like.
//!
//! `cargo xtask demo`, or `cargo run --release --package ringbox-examples --example demo`
//!
//! The plugin is a plain Rust one, right here: what is shown is the routing core that plugins
//! behind any wall share.

#![expect(clippy::print_stdout, reason = "a demo shows what it does")]

use anyhow::{Result, ensure};
use ringbox_examples::{block_on, join_all};
use ringbox_ring::{
    Header, Invocation, Limits, Link, Opening, PluginBackend, Port, RawStatus, Refusal, Request,
    Sid, Status, Target,
};
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// What one slow call takes.
const SLOW: Duration = Duration::from_millis(500);

pub(crate) fn main() -> Result<()> {
    let opening = Opening::new("demo", Limits::default())?;
    let plugin = Plugin::start(opening.port());
    let attached = opening.attach(plugin);
    let link = attached.link();

    println!("One plugin, every way to call it:\n");
    println!("{:<46} {:<44} {:>10}", "call", "what came of it", "took");
    show("echo, answered at once", || {
        text(&link.call(&Invocation::entry("echo", b"hello"))?.now()?)
    })?;
    show("a whole request with two headers", || whole_request(link))?;
    show("fire and forget", || {
        link.notify(&Invocation::entry("echo", b"unheard"))?;
        Ok("taken".into())
    })?;
    show("a stream of a thousand frames", || block_on(stream(link)))?;
    show("a slow call, blocking this thread", || {
        text(&link.call(&Invocation::entry("slow", b"there you are"))?.wait()?)
    })?;
    show("a hundred slow calls, one thread", || block_on(hundred(link)))?;
    show("a call that is never answered, 50 ms allowed", || {
        let call = link.call(&Invocation::entry("never", b""))?;
        let error = call.deadline(Duration::from_millis(50)).wait().unwrap_err();
        ensure!(error.is_deadline(), "{error}");
        Ok("ended by its deadline".into())
    })?;
    show("a call whose caller leaves", || {
        drop(link.call(&Invocation::entry("slow", b"nobody reads this"))?);
        Ok("cancelled, the late answer dropped".into())
    })?;
    show("an entry that the plugin doesn't have", || {
        Ok(link.call(&Invocation::entry("nonsense", b"")).unwrap_err().to_string())
    })?;
    show("a plugin that panics", || {
        let reply = block_on(link.call(&Invocation::entry("panic", b""))?)?;
        Ok(format!("{}: {}", reply.status(), String::from_utf8_lossy(&reply)))
    })?;
    show("a hundred thousand echoes", || {
        let entry = link.resolve("echo")?;
        for _ in 0..100_000 {
            let reply = link.call(&Invocation::entry_id(entry, b"again"))?.now()?;
            ensure!(&reply[..] == b"again");
        }
        Ok("all answered".into())
    })?;

    thread::sleep(SLOW); // so that the answer to the caller who left is counted below
    let metrics = link.metrics();
    println!(
        "\n{} calls: {} finished, {} expected no answer, {} in flight; {} cancelled, {} refused, \
         {} faults, {} late answers dropped.",
        metrics.calls,
        metrics.finished,
        metrics.notified,
        metrics.in_flight,
        metrics.cancelled,
        metrics.refused,
        metrics.faults.total(),
        metrics.late,
    );
    ensure!(metrics.calls == metrics.finished + metrics.notified && metrics.in_flight == 0);
    link.unload(Duration::from_secs(1))?;
    println!("unloaded: {}", link.call(&Invocation::entry("echo", b"")).unwrap_err());
    Ok(())
}

fn show(what: &str, act: impl FnOnce() -> Result<String>) -> Result<()> {
    let start = Instant::now();
    let outcome = act()?;
    println!("{what:<46} {outcome:<44} {:>10.1?}", start.elapsed());
    Ok(())
}

fn text(reply: &ringbox_ring::Reply) -> Result<String> {
    Ok(format!("{}: {}", reply.status(), std::str::from_utf8(reply)?))
}

fn whole_request(link: Link) -> Result<String> {
    let headers =
        [Header { name: "host", value: "example.com" }, Header { name: "accept", value: "*/*" }];
    let request = Request { headers: &headers, query: "q=1", ..Request::new("GET", "/hello") };
    text(&link.call(&Invocation::request(request, b""))?.now()?)
}

async fn stream(link: Link) -> Result<String> {
    let mut stream = link.stream(&Invocation::entry("count", b"1000"))?;
    let (mut frames, mut bytes) = (0, 0);
    while let Some(frame) = stream.recv().await? {
        match frame.status() {
            Status::Ok => (frames, bytes) = (frames + 1, bytes + frame.len()),
            end => return Ok(format!("{frames} frames, {bytes} bytes, then {end}")),
        }
    }
    Ok("ended without a last frame".into())
}

async fn hundred(link: Link) -> Result<String> {
    let mut calls = Vec::new();
    for i in 0..100u32 {
        calls.push(link.call(&Invocation::entry("slow", &i.to_le_bytes()))?);
    }
    for (i, reply) in (0..100u32).zip(join_all(calls).await) {
        ensure!(reply?[..] == i.to_le_bytes(), "answer {i} went astray");
    }
    Ok("each its own answer".into())
}

/// What the plugin's own thread is to do.
enum Job {
    Answer { sid: Sid, bytes: Vec<u8>, at: Instant },
    Count { sid: Sid, frames: u32 },
}

struct Plugin {
    port: Port,
    jobs: Mutex<Sender<Job>>,
}

impl Plugin {
    fn start(port: Port) -> Self {
        let (jobs, todo) = mpsc::channel();
        thread::spawn(move || {
            for job in todo {
                match job {
                    Job::Answer { sid, bytes, at } => {
                        thread::sleep(at.saturating_duration_since(Instant::now()));
                        let _ = port.answer_vec(sid, RawStatus::OK, bytes);
                    }
                    Job::Count { sid, frames } => count(port, sid, frames),
                }
            }
        });
        Self { port, jobs: Mutex::new(jobs) }
    }

    /// Hands a job to the plugin's thread, which outlives every call.
    fn later(&self, job: Job) {
        let jobs = self.jobs.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let _ = jobs.send(job);
    }
}

/// Sends numbered frames, and waits where the reader is behind.
fn count(port: Port, sid: Sid, frames: u32) {
    for i in 0..frames {
        let bytes = i.to_le_bytes();
        while port.send_frame(sid, RawStatus::OK, &bytes) == ringbox_ring::Delivery::Full {
            thread::yield_now();
        }
    }
    let _ = port.answer(sid, RawStatus::STREAM_END, b"");
}

impl PluginBackend for Plugin {
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        let answer = |status, bytes: &[u8]| {
            let _ = self.port.answer(sid, status, bytes);
        };
        let request = match call.target {
            Target::Request(request) => request,
            // `resolve` knows one entry.
            Target::Entry(_) => Request::new(Request::CALL, "echo"),
        };
        if request.method != Request::CALL {
            let said = format!("{} {}?{}", request.method, request.path, request.query);
            let said = format!("{said}, {} headers", request.headers.len());
            answer(RawStatus::OK, said.as_bytes());
            return Ok(());
        }
        match request.path {
            "echo" => answer(RawStatus::OK, call.payload),
            "slow" => {
                let bytes = call.payload.to_vec();
                self.later(Job::Answer { sid, bytes, at: Instant::now() + SLOW });
            }
            "never" => {}
            "count" => {
                let text = String::from_utf8_lossy(call.payload);
                self.later(Job::Count { sid, frames: text.parse().unwrap_or(0) });
            }
            // A wall contains its plugin's panics, and says so in the plugin's place.
            "panic" => answer(RawStatus::PANIC, b"the plugin lost its composure"),
            _ => return Err(Refusal::Status(Status::Unsupported)),
        }
        Ok(())
    }

    fn resolve(&self, name: &str) -> Option<ringbox_ring::EntryId> {
        (name == "echo").then(|| ringbox_ring::EntryId::from_raw(0))
    }
}
