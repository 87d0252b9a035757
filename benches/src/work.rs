//! The work that is timed, and the floor under it.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The same bytes, as far as the optimizer can tell any. It hides how many there are: a slice that
/// is hidden whole has its two halves stored and then read back in one piece, which the processor
/// cannot forward (10 ns, and on one side only, wherever the two were not read back one by one).
#[inline(always)]
pub fn hidden(bytes: &[u8]) -> &[u8] {
    &bytes[..black_box(bytes.len())]
}

/// Does `work` so many times, keeps what comes of it, and says how long it took.
#[inline]
pub fn count_to(turns: u64, mut work: impl FnMut() -> u64) -> Duration {
    let start = Instant::now();
    let mut sum = 0u64;
    for _ in 0..turns {
        sum = sum.wrapping_add(work());
    }
    black_box(sum);
    start.elapsed()
}

/// Payloads that lie elsewhere in a page for each round.
///
/// A payload that lies at the same place of a page as something that the call writes (a slot, a count,
/// the stack) is copied several times slower on some processors, since reading it waits for that write.
/// So does about one place of ten. A row's median over places is none of them.
#[derive(Debug)]
pub struct Payloads {
    bytes: Vec<u8>,
    len: usize,
    at: AtomicUsize,
}

/// From one place to the next: all that allocators return come by, and neighbours are far apart.
const STRIDE: usize = 53 * 16;
const PAGE: usize = 4096;

impl Payloads {
    /// Each has so many bytes.
    #[must_use]
    pub fn new(len: usize) -> Self {
        Self { bytes: vec![7; PAGE + len], len, at: AtomicUsize::new(0) }
    }

    /// [`count_to`] of what is done with one of them.
    #[inline]
    pub fn count(&self, turns: u64, mut work: impl FnMut(&[u8]) -> u64) -> Duration {
        let at = self.at.fetch_add(STRIDE, Ordering::Relaxed) % PAGE;
        let payload = &self.bytes[at..at + self.len];
        count_to(turns, || work(hidden(payload)))
    }
}

/// Runs a future that is ready without waiting, or polls it until it is.
#[inline(always)]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        std::hint::spin_loop();
    }
}

/// The most that the floor copies.
const ROOM: usize = 4096;

/// Room for a reply, used again for each. It begins at a cache line, as the ring's buffers do: what
/// an allocator returns lies elsewhere now and then, and 128 bytes that are read back after they were
/// copied there take 9 ns in place of 4.
#[repr(align(64))]
pub struct Room {
    bytes: [u8; ROOM],
    len: usize,
}

impl Room {
    /// Nothing is in it.
    #[must_use]
    pub const fn new() -> Self {
        Self { bytes: [0; ROOM], len: 0 }
    }

    /// What was copied last.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Copies these in the place of what was there.
    ///
    /// # Panics
    /// There is no room for so many.
    #[inline]
    pub fn copy(&mut self, bytes: &[u8]) {
        self.bytes[..bytes.len()].copy_from_slice(bytes);
        self.len = bytes.len();
    }
}

impl Default for Room {
    fn default() -> Self {
        Self::new()
    }
}

/// The least that a call over a wall can be: one virtual call that copies the bytes.
pub trait Floor {
    /// Copies `payload` to `reply`.
    fn call(&self, entry: u32, payload: &[u8], reply: &mut Room);
}

/// An implementation that the optimizer cannot see through.
pub fn floor() -> Box<dyn Floor + Sync> {
    struct Copy;
    impl Floor for Copy {
        #[inline(never)]
        fn call(&self, entry: u32, payload: &[u8], reply: &mut Room) {
            black_box(entry);
            reply.copy(payload);
        }
    }
    black_box(Box::new(Copy))
}
