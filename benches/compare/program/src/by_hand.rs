//! One instance that two threads' callers call, with no host: wasmtime, and a row of letters.
//!
//! One thread has the instance. It makes a call of its own and then those whose letters lie there, as our
//! host does. The other thread looks through its letters until all are answered. Nobody is woken, nobody
//! can leave, and nothing is limited: so it is the least that such calls take.

#![expect(unsafe_code, reason = "a letter's state says who may touch its bytes")]

use crate::sandbox::{Called, entry};
use ringbox_benches::{checksum, hidden};
use std::cell::UnsafeCell;
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many calls of the second thread's are open at a time.
const LETTERS: usize = 8;

/// Nothing is asked: the bytes are the second thread's.
const NOTHING: u32 = 0;
/// They are the first one's.
const ASKED: u32 = 1;
/// They are the second one's again, and the reply.
const ANSWERED: u32 = 2;

pub(crate) struct ByHand {
    called: Mutex<Called>,
    letters: [Letter; LETTERS],
    /// Whether the second thread has had all its answers.
    is_done: AtomicBool,
}

#[repr(C, align(64))]
struct Letter {
    state: AtomicU32,
    bytes: UnsafeCell<[u8; 128]>,
}

// SAFETY: the bytes are of one thread at a time, as `state` says.
unsafe impl Sync for Letter {}

impl ByHand {
    pub(crate) fn new(called: Called) -> Self {
        Self {
            called: Mutex::new(called),
            letters: std::array::from_fn(|_| Letter {
                state: AtomicU32::new(NOTHING),
                bytes: UnsafeCell::new([0; 128]),
            }),
            is_done: AtomicBool::new(false),
        }
    }

    /// The thread that has the instance makes so many calls, and all that the other one asks for.
    pub(crate) fn first(&self, turns: u64) {
        let mut called = self.called.lock().unwrap_or_else(PoisonError::into_inner);
        let payload = [7u8; 128];
        for _ in 0..turns {
            black_box(called.by_name(entry("echo"), hidden(&payload)));
            self.answer(&mut called);
        }
        while !self.is_done.swap(false, Ordering::Acquire) {
            self.answer(&mut called);
        }
    }

    fn answer(&self, called: &mut Called) {
        for (at, letter) in self.letters.iter().enumerate() {
            if letter.state.load(Ordering::Acquire) != ASKED {
                continue;
            }
            if let Some(next) = self.letters.get(at + 1) {
                next.bring_near();
            }
            // SAFETY: it is ASKED, so the bytes are this thread's.
            let bytes = unsafe { &mut *letter.bytes.get() };
            called.copy_by_name(entry("echo"), bytes);
            letter.state.store(ANSWERED, Ordering::Release);
        }
    }

    /// The other thread has so many calls made.
    pub(crate) fn second(&self, turns: u64) {
        let payload = [7u8; 128];
        let (mut asked, mut answered, mut sum) = (0, 0, 0u64);
        while answered < turns {
            for letter in &self.letters {
                let state = letter.state.load(Ordering::Acquire);
                if state == ASKED {
                    continue;
                }
                // SAFETY: it is not ASKED, so the bytes are this thread's.
                let bytes = unsafe { &mut *letter.bytes.get() };
                if state == ANSWERED {
                    sum = sum.wrapping_add(checksum(bytes));
                    answered += 1;
                }
                if asked < turns {
                    bytes.copy_from_slice(hidden(&payload));
                    asked += 1;
                    letter.state.store(ASKED, Ordering::Release);
                } else {
                    letter.state.store(NOTHING, Ordering::Relaxed);
                }
            }
            spin_loop();
        }
        black_box(sum);
        self.is_done.store(true, Ordering::Release);
    }
}

impl Letter {
    /// As our host does with the next call while a guest runs.
    fn bring_near(&self) {
        #[cfg(target_arch = "x86_64")]
        for line in (0..size_of::<Self>()).step_by(64) {
            let line = std::ptr::from_ref(self).wrapping_byte_add(line);
            // SAFETY: a hint changes nothing that a program sees, and no address makes it fail.
            unsafe {
                std::arch::asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags));
            }
        }
    }
}
