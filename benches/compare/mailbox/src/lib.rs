//! A plugin's own thread, and how calls get to it: the same for both plugins.

#![expect(unsafe_code, reason = "the box's owner is told by a number beside it")]

use std::cell::UnsafeCell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};

/// More calls than are ever in flight.
const PLACES: usize = 64;

/// The most bytes that a call brings.
const BYTES: usize = 128;

/// Calls on their way from the one thread that calls to the plugin's own thread, which spins as
/// long as it is told to and sleeps otherwise.
pub struct Mailbox {
    places: [Place; PLACES],
    sent: AtomicU64,
    thread: OnceLock<Thread>,
    wanted: AtomicBool,
    working: AtomicBool,
}

#[repr(align(128))]
struct Place {
    /// 0 where nothing lies here.
    sid: AtomicU64,
    letter: UnsafeCell<(usize, [u8; BYTES])>,
}

// SAFETY: a letter is written while its `sid` is 0 by the thread that calls, and read while it is
// not by the plugin's own thread.
unsafe impl Sync for Mailbox {}

impl Default for Mailbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Mailbox {
    /// One that nobody works at.
    pub const fn new() -> Self {
        Self {
            places: [const { Place { sid: AtomicU64::new(0), letter: UnsafeCell::new((0, [0; BYTES])) } };
                PLACES],
            sent: AtomicU64::new(0),
            thread: OnceLock::new(),
            wanted: AtomicBool::new(false),
            working: AtomicBool::new(false),
        }
    }

    /// Leaves a call for the plugin's own thread. False: there is no room, or it is too long.
    ///
    /// One thread calls it.
    pub fn post(&self, sid: u64, payload: &[u8]) -> bool {
        let turn = self.sent.load(Ordering::Relaxed);
        let place = &self.places[turn as usize % PLACES];
        if payload.len() > BYTES || place.sid.load(Ordering::Acquire) != 0 {
            return false;
        }
        // SAFETY: the sid is 0, so the letter is this thread's.
        let letter = unsafe { &mut *place.letter.get() };
        letter.0 = payload.len();
        letter.1[..payload.len()].copy_from_slice(payload);
        place.sid.store(sid, Ordering::Release);
        self.sent.store(turn + 1, Ordering::Relaxed);
        true
    }

    /// Sets the thread to work, or to sleep, and returns when it does.
    pub fn set_working(&'static self, wanted: bool, answer: fn(u64, &[u8])) {
        let thread =
            self.thread.get_or_init(|| thread::spawn(move || self.work(answer)).thread().clone());
        self.wanted.store(wanted, Ordering::SeqCst);
        thread.unpark();
        while self.working.load(Ordering::SeqCst) != wanted {
            std::hint::spin_loop();
        }
    }

    fn work(&self, answer: fn(u64, &[u8])) {
        let mut turn = 0;
        loop {
            while !self.wanted.load(Ordering::SeqCst) {
                self.working.store(false, Ordering::SeqCst);
                thread::park();
            }
            self.working.store(true, Ordering::SeqCst);
            while self.wanted.load(Ordering::Relaxed) {
                let place = &self.places[turn % PLACES];
                let sid = place.sid.load(Ordering::Acquire);
                if sid == 0 {
                    std::hint::spin_loop();
                    continue;
                }
                // SAFETY: the sid is not 0, so the letter is this thread's.
                let (len, bytes) = unsafe { &*place.letter.get() };
                answer(sid, &bytes[..*len]);
                place.sid.store(0, Ordering::Release);
                turn += 1;
            }
        }
    }
}
