//! How long a thread has computed.

#![expect(unsafe_code, reason = "the thread's clock has no safe wrapper in std")]

/// Nanoseconds that the calling thread has been on a processor. It costs about as much as a call
/// into a guest, so it is read from a call's first tick on, and not before.
pub(crate) fn thread_time() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a timespec that this function owns, and the clock exists on every Unix
    // that the crate builds for.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    (time.tv_sec as u64) * 1_000_000_000 + time.tv_nsec as u64
}
