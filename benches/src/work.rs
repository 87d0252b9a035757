//! The work that is timed, and the floor under it.

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
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

/// The least that a call over a wall can be: one virtual call that copies the bytes.
pub trait Floor {
    /// Copies `payload` to `reply`.
    fn call(&self, entry: u32, payload: &[u8], reply: &mut Vec<u8>);
}

/// An implementation that the optimizer cannot see through.
pub fn floor() -> Box<dyn Floor + Sync> {
    struct Copy;
    impl Floor for Copy {
        #[inline(never)]
        fn call(&self, entry: u32, payload: &[u8], reply: &mut Vec<u8>) {
            black_box(entry);
            reply.clear();
            reply.extend_from_slice(payload);
        }
    }
    black_box(Box::new(Copy))
}
