//! WASI without anything granted that waits: streams that take all and are empty, clocks, random
//! numbers, the environment. Every function returns at once, on any thread.

use super::Wasi;
use super::trap::WasiTrap;
use wasmtime::Result;
use wasmtime::component::{HasData, Resource};
use wasmtime_wasi::p2::bindings::{cli, clocks, io, random, sync};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, DynPollable, StreamError, StreamResult};

/// How the linker reaches a store's WASI.
pub(super) struct Inert;

impl HasData for Inert {
    type Data<'a> = &'a mut Wasi;
}

/// The streams and pollables that a plugin may hold at once.
pub(super) const MOST_HANDLES: usize = 1024;
/// What a stream takes at once, as it tells the plugin.
const MOST_WRITTEN: u64 = 64 << 10;
/// What WASI allows in one call that writes and flushes.
const MOST_FLUSHED: u64 = 4096;
/// What random functions give in one call.
const MOST_RANDOM: u64 = 1 << 20;

/// The handles that a plugin holds. There is one standard input, so its streams need no state, and
/// are only counted; outputs are told apart by their number.
#[derive(Debug, Default)]
pub(super) struct Pollables {
    streams: usize,
    deadlines: Vec<Option<Deadline>>,
    free: Vec<u32>,
}

/// What a pollable waits for.
#[derive(Debug, Clone, Copy)]
enum Deadline {
    /// Nothing: streams are always ready.
    None,
    /// A moment of the monotonic clock.
    At(u64),
}

const STDIN: u32 = 0;
const STDOUT: u32 = 1;
const STDERR: u32 = 2;

impl Pollables {
    fn room(&self) -> Result<(), WasiTrap> {
        if self.streams + (self.deadlines.len() - self.free.len()) >= MOST_HANDLES {
            return Err(WasiTrap::TooManyHandles { most: MOST_HANDLES });
        }
        Ok(())
    }

    fn stream(&mut self) -> Result<(), WasiTrap> {
        self.room()?;
        self.streams += 1;
        Ok(())
    }

    fn push(&mut self, deadline: Deadline) -> Result<Resource<DynPollable>, WasiTrap> {
        self.room()?;
        let at = self.free.pop().unwrap_or_else(|| {
            self.deadlines.push(None);
            // No more than MOST_HANDLES are ever held.
            (self.deadlines.len() - 1) as u32
        });
        self.deadlines[at as usize] = Some(deadline);
        Ok(Resource::new_own(at))
    }

    fn get(&self, pollable: &Resource<DynPollable>) -> Deadline {
        self.deadlines.get(pollable.rep() as usize).copied().flatten().unwrap_or(Deadline::None)
    }

    fn remove(&mut self, pollable: &Resource<DynPollable>) {
        let at = pollable.rep();
        if self.deadlines.get_mut(at as usize).and_then(Option::take).is_some() {
            self.free.push(at);
        }
    }
}

impl Wasi {
    fn print(&mut self, stream: &Resource<DynOutputStream>, bytes: &[u8]) {
        match stream.rep() {
            STDERR => self.stderr.print(bytes),
            _ => self.stdout.print(bytes),
        }
    }

    fn zeroes(&mut self, stream: &Resource<DynOutputStream>, len: u64) {
        let zeroes = [0; 4096];
        let mut left = len;
        while left > 0 {
            let part = left.min(zeroes.len() as u64);
            self.print(stream, &zeroes[..part as usize]);
            left -= part;
        }
    }

    fn is_ready(&self, pollable: &Resource<DynPollable>) -> bool {
        match self.pollables.get(pollable) {
            Deadline::None => true,
            Deadline::At(when) => self.clock.has_come(when),
        }
    }
}

fn at_most(function: &'static str, found: u64, most: u64) -> Result<(), WasiTrap> {
    if found > most { Err(WasiTrap::TooMuch { function, found, most }) } else { Ok(()) }
}

fn at_most_written(function: &'static str, found: u64, most: u64) -> StreamResult<()> {
    at_most(function, found, most).map_err(|trap| StreamError::Trap(trap.into()))
}

impl io::error::Host for Wasi {}

impl io::error::HostError for Wasi {
    // Our streams end or trap, so no error is ever handed out.
    fn to_debug_string(&mut self, _: Resource<wasmtime::Error>) -> Result<String> {
        Ok(String::new())
    }

    fn drop(&mut self, _: Resource<wasmtime::Error>) -> Result<()> {
        Ok(())
    }
}

impl sync::io::poll::Host for Wasi {
    fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> Result<Vec<u32>> {
        if pollables.is_empty() {
            let rule = "the list has to name a pollable";
            return Err(WasiTrap::Misuse { function: "poll", rule }.into());
        }
        if !pollables.iter().any(|pollable| self.is_ready(pollable)) {
            let first =
                pollables.iter().filter_map(|pollable| match self.pollables.get(pollable) {
                    Deadline::At(when) => Some(when),
                    Deadline::None => None,
                });
            self.clock.wait(first.min().unwrap_or(0))?;
        }
        Ok((0..).zip(&pollables).filter(|(_, one)| self.is_ready(one)).map(|(at, _)| at).collect())
    }
}

impl sync::io::poll::HostPollable for Wasi {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> Result<bool> {
        Ok(self.is_ready(&pollable))
    }

    fn block(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        if let Deadline::At(when) = self.pollables.get(&pollable) {
            self.clock.wait(when)?;
        }
        Ok(())
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> Result<()> {
        self.pollables.remove(&pollable);
        Ok(())
    }
}

impl sync::io::streams::Host for Wasi {
    fn convert_stream_error(
        &mut self,
        error: StreamError,
    ) -> Result<sync::io::streams::StreamError> {
        match error {
            StreamError::Closed => Ok(sync::io::streams::StreamError::Closed),
            StreamError::LastOperationFailed(error) | StreamError::Trap(error) => Err(error),
        }
    }
}

impl sync::io::streams::HostInputStream for Wasi {
    fn read(&mut self, _: Resource<DynInputStream>, _: u64) -> StreamResult<Vec<u8>> {
        Err(StreamError::Closed)
    }

    fn blocking_read(&mut self, _: Resource<DynInputStream>, _: u64) -> StreamResult<Vec<u8>> {
        Err(StreamError::Closed)
    }

    fn skip(&mut self, _: Resource<DynInputStream>, _: u64) -> StreamResult<u64> {
        Err(StreamError::Closed)
    }

    fn blocking_skip(&mut self, _: Resource<DynInputStream>, _: u64) -> StreamResult<u64> {
        Err(StreamError::Closed)
    }

    fn subscribe(&mut self, _: Resource<DynInputStream>) -> Result<Resource<DynPollable>> {
        Ok(self.pollables.push(Deadline::None)?)
    }

    fn drop(&mut self, _: Resource<DynInputStream>) -> Result<()> {
        self.pollables.streams = self.pollables.streams.saturating_sub(1);
        Ok(())
    }
}

impl sync::io::streams::HostOutputStream for Wasi {
    fn check_write(&mut self, _: Resource<DynOutputStream>) -> StreamResult<u64> {
        Ok(MOST_WRITTEN)
    }

    fn write(&mut self, stream: Resource<DynOutputStream>, bytes: Vec<u8>) -> StreamResult<()> {
        at_most_written("write", bytes.len() as u64, MOST_WRITTEN)?;
        self.print(&stream, &bytes);
        Ok(())
    }

    fn blocking_write_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        bytes: Vec<u8>,
    ) -> StreamResult<()> {
        at_most_written("blocking-write-and-flush", bytes.len() as u64, MOST_FLUSHED)?;
        self.print(&stream, &bytes);
        Ok(())
    }

    fn flush(&mut self, _: Resource<DynOutputStream>) -> StreamResult<()> {
        Ok(())
    }

    fn blocking_flush(&mut self, _: Resource<DynOutputStream>) -> StreamResult<()> {
        Ok(())
    }

    fn subscribe(&mut self, _: Resource<DynOutputStream>) -> Result<Resource<DynPollable>> {
        Ok(self.pollables.push(Deadline::None)?)
    }

    fn write_zeroes(&mut self, stream: Resource<DynOutputStream>, len: u64) -> StreamResult<()> {
        at_most_written("write-zeroes", len, MOST_WRITTEN)?;
        self.zeroes(&stream, len);
        Ok(())
    }

    fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<DynOutputStream>,
        len: u64,
    ) -> StreamResult<()> {
        at_most_written("blocking-write-zeroes-and-flush", len, MOST_FLUSHED)?;
        self.zeroes(&stream, len);
        Ok(())
    }

    fn splice(
        &mut self,
        _: Resource<DynOutputStream>,
        _: Resource<DynInputStream>,
        _: u64,
    ) -> StreamResult<u64> {
        Err(StreamError::Closed)
    }

    fn blocking_splice(
        &mut self,
        _: Resource<DynOutputStream>,
        _: Resource<DynInputStream>,
        _: u64,
    ) -> StreamResult<u64> {
        Err(StreamError::Closed)
    }

    fn drop(&mut self, _: Resource<DynOutputStream>) -> Result<()> {
        self.pollables.streams = self.pollables.streams.saturating_sub(1);
        Ok(())
    }
}

impl cli::stdin::Host for Wasi {
    fn get_stdin(&mut self) -> Result<Resource<DynInputStream>> {
        self.pollables.stream()?;
        Ok(Resource::new_own(STDIN))
    }
}

impl cli::stdout::Host for Wasi {
    fn get_stdout(&mut self) -> Result<Resource<DynOutputStream>> {
        self.pollables.stream()?;
        Ok(Resource::new_own(STDOUT))
    }
}

impl cli::stderr::Host for Wasi {
    fn get_stderr(&mut self) -> Result<Resource<DynOutputStream>> {
        self.pollables.stream()?;
        Ok(Resource::new_own(STDERR))
    }
}

impl cli::environment::Host for Wasi {
    fn get_environment(&mut self) -> Result<Vec<(String, String)>> {
        Ok(self.environment.clone())
    }

    fn get_arguments(&mut self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> Result<Option<String>> {
        Ok(None)
    }
}

impl cli::exit::Host for Wasi {
    fn exit(&mut self, status: Result<(), ()>) -> Result<()> {
        Err(WasiTrap::Exited { code: u8::from(status.is_err()) }.into())
    }

    fn exit_with_code(&mut self, code: u8) -> Result<()> {
        Err(WasiTrap::Exited { code }.into())
    }
}

impl clocks::monotonic_clock::Host for Wasi {
    fn now(&mut self) -> Result<u64> {
        Ok(self.clock.monotonic())
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        Ok(self.pollables.push(Deadline::At(when))?)
    }

    fn subscribe_duration(&mut self, duration: u64) -> Result<Resource<DynPollable>> {
        let when = self.clock.monotonic().saturating_add(duration);
        Ok(self.pollables.push(Deadline::At(when))?)
    }
}

impl clocks::wall_clock::Host for Wasi {
    fn now(&mut self) -> Result<clocks::wall_clock::Datetime> {
        let now = self.clock.wall();
        Ok(clocks::wall_clock::Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() })
    }

    fn resolution(&mut self) -> Result<clocks::wall_clock::Datetime> {
        Ok(clocks::wall_clock::Datetime { seconds: 0, nanoseconds: 1 })
    }
}

impl Wasi {
    fn random_bytes(&mut self, function: &'static str, len: u64) -> Result<Vec<u8>> {
        at_most(function, len, MOST_RANDOM)?;
        let mut bytes = vec![0; len as usize];
        self.random.fill(&mut bytes)?;
        Ok(bytes)
    }
}

impl random::random::Host for Wasi {
    fn get_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        self.random_bytes("get-random-bytes", len)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        Ok(self.random.number()?)
    }
}

impl random::insecure::Host for Wasi {
    fn get_insecure_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        self.random_bytes("get-insecure-random-bytes", len)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        Ok(self.random.number()?)
    }
}

impl random::insecure_seed::Host for Wasi {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        Ok((self.random.number()?, self.random.number()?))
    }
}
