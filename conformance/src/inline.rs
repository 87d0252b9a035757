//! The first column: a plain Rust backend, with no wall around it. The oracle.

use crate::column::{Column, Hook, LoadFailure, Setup};
use crate::script::{self, Entry, Hands, Kept, Machine, Pause, Sent, status};
use ringbox_ring::{
    Attached, CallError, Delivery, EntryId, Invocation, Opening, PluginBackend, Port, RawStatus,
    Refusal, Request, Sid, StateError, Status, Target,
};
use std::any::Any;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex, MutexGuard, PoisonError};
use std::thread;

/// The column of the plain Rust backend.
#[derive(Debug, Copy, Clone, Default)]
pub struct Inline;

impl Column for Inline {
    fn name(&self) -> &'static str {
        "inline"
    }

    fn load(&self, setup: Setup) -> Result<Attached, LoadFailure> {
        let opening = Opening::new("inline", setup.limits)?;
        let plugin = Self::backend(opening.port(), setup.hook);
        Ok(opening.attach(plugin))
    }
}

impl Inline {
    /// The test plugin itself, for those who load it otherwise.
    pub fn backend(port: Port, hook: Hook) -> impl PluginBackend {
        TestPlugin(Arc::new(Inner {
            port,
            hook,
            calls: AtomicU64::new(0),
            cancelled: Mutex::default(),
            takes_data: Mutex::default(),
        }))
    }
}

/// The test plugin, in plain Rust.
struct TestPlugin(Arc<Inner>);

struct Inner {
    port: Port,
    hook: Hook,
    calls: AtomicU64,
    cancelled: Mutex<Vec<u64>>,
    takes_data: Mutex<HashSet<u64>>,
}

impl PluginBackend for TestPlugin {
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        self.0.calls.fetch_add(1, SeqCst);
        let entry = match call.target {
            Target::Entry(id) => {
                Entry::numbered(id.as_raw()).ok_or_else(|| Refusal::from(CallError::NoSuchEntry))?
            }
            Target::Request(request) if request.method == Request::CALL => {
                Entry::named(request.path).ok_or(Refusal::new(Status::Unsupported))?
            }
            Target::Request(request) => {
                let headers = request.headers.iter().map(|header| (header.name, header.value));
                let Request { method, path, query, .. } = request;
                let dump = script::dump(method, path, query, headers, call.payload);
                self.0.answer(sid.as_raw(), status::OK, &dump);
                return Ok(());
            }
        };
        match entry {
            Entry::Echo => {
                self.0.answer(sid.as_raw(), status::OK, call.payload);
                Ok(())
            }
            Entry::Run => self.run(Machine::new(sid.as_raw(), call.payload)),
        }
    }

    fn resolve(&self, name: &str) -> Option<EntryId> {
        Entry::named(name).map(|entry| EntryId::from_raw(entry.number()))
    }

    fn cancel(&self, sid: Sid) {
        lock(&self.0.cancelled).push(sid.as_raw());
    }

    fn stream_data(&self, sid: Sid, data: &[u8]) -> Result<(), CallError> {
        if !lock(&self.0.takes_data).contains(&sid.as_raw()) {
            return Err(CallError::Refused { status: Status::Unsupported });
        }
        match self.0.send_frame(sid.as_raw(), data) {
            Sent::Taken => Ok(()),
            Sent::Full => Err(CallError::Backpressure),
            Sent::Dropped => Err(CallError::StreamOver),
        }
    }

    fn stream_close(&self, sid: Sid) -> Result<(), CallError> {
        if !lock(&self.0.takes_data).remove(&sid.as_raw()) {
            return Err(CallError::Refused { status: Status::Unsupported });
        }
        self.0.answer(sid.as_raw(), status::STREAM_END, b"closed");
        Ok(())
    }

    fn shutdown(&self) {
        (self.0.hook)(b"shutdown");
    }
}

impl TestPlugin {
    fn run(&self, mut machine: Machine) -> Result<(), Refusal> {
        match self.0.contained(&mut machine) {
            Pause::Over(status::OK) => Ok(()),
            Pause::Over(raw) => Err(Refusal::new(RawStatus(raw).meaning())),
            Pause::Later => {
                let inner = self.0.clone();
                thread::spawn(move || {
                    while inner.contained(&mut machine) == Pause::Later {
                        thread::yield_now();
                    }
                });
                Ok(())
            }
        }
    }
}

impl Inner {
    /// Runs a script; a panic becomes the call's answer.
    fn contained(&self, machine: &mut Machine) -> Pause {
        let sid = machine.sid();
        catch_unwind(AssertUnwindSafe(|| machine.run(self))).unwrap_or_else(|panic| {
            self.answer(sid, status::PANIC, message(&*panic).as_bytes());
            Pause::Over(status::OK)
        })
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hands for Inner {
    fn answer(&self, sid: u64, status: u32, bytes: &[u8]) {
        let _ = self.port.answer(Sid::from_raw(sid), RawStatus(status), bytes);
    }

    fn calls(&self) -> u64 {
        self.calls.load(SeqCst)
    }

    fn send_frame(&self, sid: u64, bytes: &[u8]) -> Sent {
        match self.port.send_frame(Sid::from_raw(sid), RawStatus::OK, bytes) {
            Delivery::Taken => Sent::Taken,
            Delivery::Full => Sent::Full,
            Delivery::Dropped => Sent::Dropped,
        }
    }

    fn set_state(&self, sid: u64, key: &str, value: &[u8]) -> Kept {
        match self.port.set_state(Sid::from_raw(sid), key, value) {
            Ok(()) => Kept::Yes,
            Err(StateError::TooLarge { .. }) => Kept::TooLarge,
            Err(_) => Kept::NotOpen,
        }
    }

    fn state(&self, sid: u64, key: &str) -> Option<Vec<u8>> {
        self.port.state(Sid::from_raw(sid), key)
    }

    fn cancelled(&self) -> Vec<u64> {
        lock(&self.cancelled).clone()
    }

    fn take_data(&self, sid: u64) {
        lock(&self.takes_data).insert(sid);
    }

    fn hook(&self, bytes: &[u8]) -> Vec<u8> {
        (self.hook)(bytes)
    }

    fn race(&self, sid: u64, threads: u32) {
        let start = Arc::new(Barrier::new(threads as usize));
        for number in 0..threads {
            let (start, port) = (start.clone(), self.port);
            thread::spawn(move || {
                start.wait();
                let _ = port.answer(Sid::from_raw(sid), RawStatus::OK, &[number as u8]);
            });
        }
    }
}
