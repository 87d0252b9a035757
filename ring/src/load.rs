//! `LoadId`: which load of which plugin, and which instance of it, in one word that is never used
//! again.
//!
//! ```text
//!  63                          28 27                  12 11                 0
//! [ load of the number, 36 bits ][ instance, 16 bits    ][ number, 12 bits    ]
//! ```
//!
//! Handles and ports *are* such words. So they point to nothing, and whoever keeps one for ever
//! keeps no memory. What is known of a plugin lies in a place of its number's ([`LinkCell`]), and
//! says whose it is now.
//!
//! A number's loads begin at 1, so 0 is no load's. One whose loads are used up is retired.
//!
//! [`LinkCell`]: crate::link::LinkCell

use crate::lane::MAX_LINKS;
use std::ptr;

const NUMBER_BITS: u32 = 12;
const INSTANCE_BITS: u32 = 16;

const NUMBER: u64 = (1 << NUMBER_BITS) - 1;
const LOAD: u64 = !0 << (NUMBER_BITS + INSTANCE_BITS);

/// The first instance but one.
const INSTANCE_ONE: u64 = 1 << NUMBER_BITS;
/// The first load of a number.
const LOAD_ONE: u64 = 1 << (NUMBER_BITS + INSTANCE_BITS);

/// How many instances a load can have beside the plugin itself.
pub(crate) const MAX_INSTANCES: u32 = (1 << INSTANCE_BITS) - 1;

const _: () = assert!(MAX_LINKS == 1 << NUMBER_BITS);
const _: () = assert!(usize::BITS == 64, "a load is named by what fits into a pointer");

#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) struct LoadId(u64);

impl LoadId {
    /// A number's first load.
    pub(crate) const fn first(number: usize) -> Self {
        Self(LOAD_ONE | number as u64 & NUMBER)
    }

    /// The same number's next load, if there is one more.
    pub(crate) const fn next(self) -> Option<Self> {
        let plugin = self.plugin();
        match plugin.0.checked_add(LOAD_ONE) {
            Some(next) => Some(Self(next)),
            None => None,
        }
    }

    /// Which place it has.
    #[inline(always)]
    pub(crate) const fn number(self) -> usize {
        (self.0 & NUMBER) as usize
    }

    /// The load alone: what [`closed`](crate::link::LinkCell::closed) is counted from.
    #[inline(always)]
    pub(crate) const fn load(self) -> u64 {
        self.0 & LOAD
    }

    /// The plugin itself, whichever instance this is.
    #[inline(always)]
    pub(crate) const fn plugin(self) -> Self {
        Self(self.0 & (LOAD | NUMBER))
    }

    /// An instance of it: from 1 to [`MAX_INSTANCES`].
    pub(crate) const fn instance(self, which: u32) -> Self {
        Self(self.plugin().0 | (which as u64 * INSTANCE_ONE) & !(LOAD | NUMBER))
    }

    /// As what slots say who owns their call. It is no address.
    #[inline(always)]
    pub(crate) const fn as_owner(self) -> *mut () {
        ptr::without_provenance_mut(self.0 as usize)
    }

    /// Whose a slot is. Null is nobody's.
    #[inline(always)]
    pub(crate) fn from_owner(owner: *mut ()) -> Self {
        Self(owner.addr() as u64)
    }

    #[inline(always)]
    pub(crate) const fn as_raw(self) -> u64 {
        self.0
    }

    #[inline(always)]
    pub(crate) const fn from_raw(raw: u64) -> Self {
        Self(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_fields_do_not_overlap() {
        let load = LoadId::first(4095);
        let last = load.instance(MAX_INSTANCES);
        assert_eq!((last.number(), last.load(), last.plugin() == load), (4095, load.load(), true));
        assert!(last != load && load.instance(1) != load.instance(2));
        let next = last.next().unwrap();
        assert_eq!((next.number(), next.load()), (4095, 2 * load.load()));
        assert!(next.plugin() == next);
        assert!(LoadId::from_owner(last.as_owner()) == last);
        assert!(LoadId::first(0).as_raw() != 0);
    }

    #[test]
    fn a_number_whose_loads_are_used_up_has_no_next() {
        let last = LoadId::from_raw(u64::MAX);
        assert!(last.next().is_none());
        assert!(LoadId::from_raw(u64::MAX - LOAD_ONE).next().is_some());
    }
}
