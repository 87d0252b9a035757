//! std's primitives, or loom's, under one name: the models check the code that ships.

#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64};
pub(crate) use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicU64};

#[cfg(loom)]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(loom)]
pub(crate) use loom::cell::UnsafeCell;

/// `std::cell::UnsafeCell` with loom's interface.
#[cfg(not(loom))]
#[repr(transparent)]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }
    #[inline(always)]
    pub(crate) fn with<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        f(self.0.get())
    }
    #[inline(always)]
    pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
    /// As `with_mut`, for the hot path: a closure is inlined only where the optimizer likes.
    #[inline(always)]
    pub(crate) fn get_mut(&self) -> MutPtr<T> {
        MutPtr(self.0.get())
    }
}

/// loom's `MutPtr`, which watches the cell for as long as it lives.
#[cfg(not(loom))]
pub(crate) struct MutPtr<T>(*mut T);

#[cfg(not(loom))]
impl<T> MutPtr<T> {
    /// # Safety
    /// Nobody else touches the cell for as long as the reference lives.
    #[inline(always)]
    #[expect(clippy::mut_from_ref, reason = "loom's interface")]
    #[expect(unsafe_code, reason = "the cell's user decides who may touch it")]
    pub(crate) unsafe fn deref(&self) -> &mut T {
        // SAFETY: as required above.
        unsafe { &mut *self.0 }
    }
}

/// One step of a short wait for another thread that is in the middle of a copy.
///
/// It spins first and then gives the core away, so a preempted holder can finish.
#[inline]
pub(crate) fn backoff(turn: &mut u32) {
    #[cfg(loom)]
    {
        *turn += 1;
        loom::thread::yield_now();
    }
    #[cfg(not(loom))]
    {
        *turn += 1;
        if *turn < 64 {
            std::hint::spin_loop();
        } else {
            std::thread::yield_now();
        }
    }
}
