//! The greeter again, as a backend that is part of the program: what a wall costs is the difference.

use ringbox::{
    Delivery, EntryId, Invocation, PluginBackend, Port, RawStatus, Refusal, Sid, Status, Target,
};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What one slow call takes.
pub(crate) const SLOW: Duration = Duration::from_millis(500);

/// What the plugin's own thread is to do.
enum Job {
    Answer { sid: Sid, bytes: Vec<u8>, at: Instant },
    Count { sid: Sid, frames: u32 },
}

pub(crate) struct InRust {
    port: Port,
    jobs: Mutex<Sender<Job>>,
}

impl InRust {
    pub(crate) fn start(port: Port) -> Self {
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
        let _ = self.jobs.lock().unwrap_or_else(PoisonError::into_inner).send(job);
    }

    fn answer(&self, sid: Sid, status: RawStatus, bytes: &[u8]) {
        let _ = self.port.answer(sid, status, bytes);
    }
}

/// Sends numbered frames, and waits where the reader is behind.
fn count(port: Port, sid: Sid, frames: u32) {
    for number in 0..frames {
        while port.send_frame(sid, RawStatus::OK, &number.to_le_bytes()) == Delivery::Full {
            thread::yield_now();
        }
    }
    let _ = port.answer(sid, RawStatus::STREAM_END, b"");
}

impl PluginBackend for InRust {
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        let entry = match call.target {
            // `resolve` knows one entry.
            Target::Entry(_) => "echo",
            Target::Request(request) if request.method == "CALL" => request.path,
            Target::Request(request) => {
                let answer = format!("OK: {} {}", request.method, request.path);
                self.answer(sid, RawStatus::OK, answer.as_bytes());
                return Ok(());
            }
        };
        match entry {
            "echo" => self.answer(sid, RawStatus::OK, call.payload),
            "slow" => {
                let bytes = call.payload.to_vec();
                self.later(Job::Answer { sid, bytes, at: Instant::now() + SLOW });
            }
            "never" => {}
            "count" => {
                let text = std::str::from_utf8(call.payload).unwrap_or_default();
                let frames = text.parse().map_err(|_| Refusal::new(Status::Invalid))?;
                self.later(Job::Count { sid, frames });
            }
            // A wall contains its plugin's panics, and says so in the plugin's place. Here is none.
            "panic" => self.answer(sid, RawStatus::PANIC, b"the plugin lost its composure"),
            _ => return Err(Refusal::new(Status::Unsupported)),
        }
        Ok(())
    }

    fn resolve(&self, name: &str) -> Option<EntryId> {
        (name == "echo").then(|| EntryId::from_raw(0))
    }
}
