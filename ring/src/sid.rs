//! `Sid`: the number that names one call, and where its slot is.
//!
//! ```text
//!  63       62                          20 19                 0
//! [notify][ generation, 43 bits          ][ slot index, 20 bits ]
//! ```
//!
//! A slot's generation grows by one with every call that it serves, so a sid never comes back:
//! a slot whose generations are used up is retired. Generations begin at 1, so 0 is no sid.
//! Sids of calls that expect no answer have the top bit set and no slot at all: what follows is the number
//! of the lane that they come from, and which of that lane's they are.

use std::fmt;

/// How many bits of a sid name the slot.
pub(crate) const INDEX_BITS: u32 = 20;
pub(crate) const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
pub(crate) const NOTIFY: u64 = 1 << 63;
/// Below this is which of its lane's calls without an answer one is.
pub(crate) const NOTIFY_LANE: u32 = 44;
pub(crate) const GENERATION_MASK: u64 = !INDEX_MASK & !NOTIFY;
pub(crate) const GENERATION_ONE: u64 = 1 << INDEX_BITS;

const _: () = assert!(NOTIFY | GENERATION_MASK | INDEX_MASK == u64::MAX);
const _: () = assert!(NOTIFY & GENERATION_MASK == 0 && GENERATION_MASK & INDEX_MASK == 0);

/// The most calls and streams that can be open in a process at one time: 2^20.
pub const MAX_OPEN: usize = 1 << INDEX_BITS;

/// The name of one call, unique for the life of the process. (Of calls that expect no answer, as long as no
/// thread makes 2^44 of them: after that some may share a number, by which nothing is ever looked up.)
#[repr(transparent)]
#[derive(Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sid(u64);

impl Sid {
    /// Takes any number a plugin may have sent. What it names is looked up when it is used.
    #[inline(always)]
    pub const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }

    /// The number as plugins see it.
    #[inline(always)]
    pub const fn as_raw(self) -> u64 {
        self.0
    }

    /// Whether this names a call that expects no answer.
    #[inline(always)]
    pub const fn is_notify(self) -> bool {
        self.0 & NOTIFY != 0
    }

    /// A number that stays the same while one thread makes calls that expect no answer, and differs from
    /// one thread to another: for who keeps what serves a caller near it. Of other calls it says nothing.
    #[inline(always)]
    pub const fn origin(self) -> usize {
        if self.is_notify() {
            ((self.0 & !NOTIFY) >> NOTIFY_LANE) as usize
        } else {
            self.0 as u32 as usize
        }
    }

    #[inline(always)]
    pub(crate) const fn index(self) -> usize {
        (self.0 & INDEX_MASK) as usize
    }

    /// The generation, in place: comparable with the generation part of a slot's word.
    #[inline(always)]
    pub(crate) const fn generation(self) -> u64 {
        self.0 & GENERATION_MASK
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_notify() {
            return write!(f, "Sid(notify {})", self.0 & !NOTIFY);
        }
        write!(f, "Sid({}@{})", self.index(), self.generation() >> INDEX_BITS)
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#018x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_fields_do_not_overlap() {
        let sid = Sid::from_raw(7 << INDEX_BITS | 5);
        assert_eq!((sid.index(), sid.generation() >> INDEX_BITS, sid.is_notify()), (5, 7, false));
        assert_eq!(format!("{sid:?}"), "Sid(5@7)");
        let notify = Sid::from_raw(NOTIFY | 3);
        assert!(notify.is_notify());
        assert_eq!(format!("{notify:?}"), "Sid(notify 3)");
    }
}
