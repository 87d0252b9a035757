//! A fence that costs one side nothing: the hot side's is for the compiler alone, and the rare
//! side makes every core of the process run a full barrier (Linux's `membarrier`).
//!
//! Use it as a pair. Each side stores, fences, then loads what the other one stores; then at
//! least one of the two sees the other's store. Where the system call is missing both sides
//! run an ordinary `SeqCst` fence. Under loom that is what both of them are.

#![cfg_attr(
    all(target_os = "linux", not(loom)),
    expect(unsafe_code, reason = "membarrier has no safe wrapper in std")
)]

/// The hot side's half.
#[inline(always)]
pub(crate) fn light() {
    #[cfg(loom)]
    loom::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    #[cfg(not(loom))]
    {
        use std::sync::atomic::{Ordering, compiler_fence, fence};
        if imp::ASYMMETRIC.load(Ordering::Relaxed) {
            compiler_fence(Ordering::SeqCst);
        } else {
            fence(Ordering::SeqCst);
        }
    }
}

/// The rare side's half.
pub(crate) fn heavy() {
    #[cfg(loom)]
    loom::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    #[cfg(not(loom))]
    imp::heavy();
}

#[cfg(not(loom))]
mod imp {
    use std::sync::Once;
    use std::sync::atomic::{AtomicBool, Ordering, fence};

    /// Set once, before the first `heavy` returns, and only if the kernel took the registration.
    ///
    /// A thread that still reads `false` runs a real fence, which pairs with either half.
    pub(super) static ASYMMETRIC: AtomicBool = AtomicBool::new(false);
    static REGISTER: Once = Once::new();

    pub(super) fn heavy() {
        super::prepare();
        if ASYMMETRIC.load(Ordering::Relaxed) {
            barrier_everywhere();
        } else {
            fence(Ordering::SeqCst);
        }
    }

    pub(super) fn register_once() {
        REGISTER.call_once(|| ASYMMETRIC.store(register(), Ordering::SeqCst));
    }

    #[cfg(target_os = "linux")]
    fn membarrier(command: libc::c_int) -> bool {
        // SAFETY: membarrier takes three integers and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
    }

    #[cfg(target_os = "linux")]
    fn register() -> bool {
        membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
    }

    #[cfg(target_os = "linux")]
    fn barrier_everywhere() {
        fence(Ordering::SeqCst);
        if membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) {
            return;
        }
        // Denied after it was granted: a system call filter was put on meanwhile. From here on
        // both sides fence; a store made before that leaves its core's buffer in far less time
        // than this sleep.
        ASYMMETRIC.store(false, Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(20));
        fence(Ordering::SeqCst);
    }

    #[cfg(not(target_os = "linux"))]
    fn register() -> bool {
        false
    }

    #[cfg(not(target_os = "linux"))]
    fn barrier_everywhere() {
        fence(Ordering::SeqCst);
    }
}

/// Finds out once whether the cheap half may be used. Runs when the first plugin is linked.
pub(crate) fn prepare() {
    #[cfg(not(loom))]
    imp::register_once();
}
