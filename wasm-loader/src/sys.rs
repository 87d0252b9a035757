//! What the system is asked directly.
#![expect(unsafe_code, reason = "libc's functions, which take and return numbers only")]

/// Gives this thread what no other wants. It is a wish: a system that refuses it changes nothing.
///
/// Niceness, rather than `SCHED_IDLE`: a load waits for the thread, and on a machine that is always
/// busy it would wait for ever.
pub(crate) fn lower_priority() {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: it takes three numbers and touches no memory of ours. On Linux `PRIO_PROCESS`
        // with 0 means the calling thread alone.
        unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 19) };
    }
}

/// Who this process is, for the files that it makes.
pub(crate) fn user() -> u32 {
    // SAFETY: it takes nothing, touches no memory of ours, and cannot fail.
    unsafe { libc::geteuid() }
}
