//! Whether a thread has the stack that a guest may take.
//!
//! wasmtime lets a guest use so many bytes below the stack pointer, and does not look whether they
//! are there: where they aren't, the process ends.

#![expect(unsafe_code, reason = "asks the system where the thread's stack is")]

use std::cell::Cell;
use std::thread;

/// What host functions that a guest calls may take below what the guest may.
const MARGIN: usize = 128 << 10;

/// What threads are given that are made to have room.
pub(crate) const THREAD: usize = 1 << 20;

thread_local! {
    /// The lowest and the highest address of this thread's stack, once it was asked for.
    static BOUNDS: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Whether a guest that may take `wasm` bytes of stack can run on this thread, here.
#[inline(always)]
pub(crate) fn has_room(wasm: usize) -> bool {
    let here = 0_u8;
    let at = (&raw const here).addr();
    let (low, high) = BOUNDS.with(|bounds| match bounds.get() {
        (_, 0) => ask(bounds),
        known => known,
    });
    fits(at, low, high, wasm)
}

/// Whether the guest fits below `at`, on a stack from `low` to `high`.
#[inline(always)]
fn fits(at: usize, low: usize, high: usize, wasm: usize) -> bool {
    // A stack that isn't the thread's own (a coroutine's, say) may have any size.
    at < high && at.saturating_sub(low) >= wasm + MARGIN
}

#[cold]
#[inline(never)]
fn ask(bounds: &Cell<(usize, usize)>) -> (usize, usize) {
    let known = system().unwrap_or((usize::MAX, usize::MAX));
    bounds.set(known);
    known
}

#[cfg(target_os = "linux")]
fn system() -> Option<(usize, usize)> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: the thread is this one.
    let this = unsafe { libc::pthread_self() };
    // SAFETY: `attributes` is a place for what is written there.
    if unsafe { libc::pthread_getattr_np(this, attributes.as_mut_ptr()) } != 0 {
        return None;
    }
    let (mut low, mut size) = (std::ptr::null_mut(), 0);
    // SAFETY: the attributes were written above, and both places are this function's own.
    let found =
        unsafe { libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut low, &raw mut size) };
    // SAFETY: they were written above, and are not used again.
    unsafe { libc::pthread_attr_destroy(attributes.as_mut_ptr()) };
    (found == 0).then(|| (low.addr(), low.addr().saturating_add(size)))
}

/// Where the system isn't asked, every call is a runner's.
#[cfg(not(target_os = "linux"))]
fn system() -> Option<(usize, usize)> {
    None
}

/// Runs `f` where a guest has room: here, or on a thread that is made for it, which this one waits
/// for.
///
/// # Errors
/// The system gives no such thread.
pub(crate) fn with_room<R: Send>(wasm: usize, f: impl FnOnce() -> R + Send) -> std::io::Result<R> {
    if has_room(wasm) {
        return Ok(f());
    }
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("ringbox-room".into()).stack_size(wasm + THREAD);
        let done = thread.spawn_scoped(scope, f)?.join();
        Ok(done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_a_stack_of(bytes: usize) -> (bool, bool) {
        let ask = || (has_room(256 << 10), with_room(256 << 10, || has_room(256 << 10)).unwrap());
        thread::Builder::new().stack_size(bytes).spawn(ask).unwrap().join().unwrap()
    }

    #[test]
    fn a_small_stack_has_no_room_and_a_thread_that_is_made_for_it_has() {
        assert_eq!(on_a_stack_of(128 << 10), (false, true));
        assert_eq!(on_a_stack_of(2 << 20), (true, true));
    }
    #[test]
    fn the_host_functions_that_a_guest_calls_have_room_too() {
        const WASM: usize = 256 << 10;
        let (low, high) = (1 << 20, 3 << 20);
        let fits = |left: usize| fits(low + left, low, high, WASM);
        assert_eq!(MARGIN, 128 << 10);
        assert!(fits(WASM + MARGIN) && !fits(WASM + MARGIN - 1));
        // It is below or above the stack, so it is another one's.
        assert!(!super::fits(low - 1, low, high, WASM) && !super::fits(high, low, high, WASM));
    }
}
