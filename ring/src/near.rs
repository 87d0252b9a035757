//! Has the processor bring near what is about to be touched, while it does something else.
//!
//! A cache line that another core wrote last takes a hundred nanoseconds to come, and a locked
//! instruction waits for it.

#![expect(unsafe_code, reason = "the processor's hints have no safe wrapper")]

/// A cache line's size, or a part of it.
const LINE: usize = 64;

/// So many bytes from `first` on will be written. They need not be there.
#[inline]
pub(crate) fn will_write<T>(first: *const T, bytes: usize) {
    for line in lines(first, bytes) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: a hint changes nothing that a program sees, no address makes it fail, and to a
        // processor that lacks it the instruction is none.
        unsafe {
            core::arch::asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags));
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = line;
    }
}

/// Memory that will be written to, if it is there yet when that comes.
#[derive(Debug, Copy, Clone)]
pub(crate) struct Room {
    first: usize,
    bytes: usize,
}

impl Room {
    /// None that is known.
    pub(crate) const UNKNOWN: Self = Self { first: 0, bytes: 0 };

    pub(crate) fn of<T>(first: *const T, bytes: usize) -> Self {
        Self { first: first.addr(), bytes }
    }

    #[inline]
    pub(crate) fn bring_near(self) {
        will_write(std::ptr::without_provenance::<u8>(self.first), self.bytes);
    }
}

/// An address in each line that has some of the bytes.
#[inline]
fn lines<T>(first: *const T, bytes: usize) -> impl Iterator<Item = *const u8> {
    let first = first.cast::<u8>();
    let before = first.addr() % LINE;
    let end = if bytes == 0 { 0 } else { before + bytes };
    (0..end).step_by(LINE).map(move |at| first.wrapping_sub(before).wrapping_add(at))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::ptr::without_provenance;

    #[test]
    fn every_line_is_fetched_once_and_no_other() {
        let all =
            [(0, 64, 1), (0, 65, 2), (63, 1, 1), (63, 2, 2), (1, 256, 5), (0, 0, 0), (1, 0, 0)];
        for (first, bytes, count) in all {
            let first = without_provenance::<u8>(640 + first);
            let fetched: Vec<_> = lines(first, bytes).map(<*const u8>::addr).collect();
            assert_eq!(fetched, (0..count).map(|at| 640 + at * LINE).collect::<Vec<_>>());
            // Nothing is at that address.
            Room::of(first, bytes).bring_near();
        }
    }
}
