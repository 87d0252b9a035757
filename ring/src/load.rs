//! `LoadId`: which load of which plugin, and which instance of it, in one word that is never used
//! again.
//!
//! ```text
//!  63                      34 33              18 17             6 5  0
//! [ load of the number, 30 bits ][ instance, 16 bits ][ number, 12 bits ][ 0 ]
//! ```
//!
//! The number stands where it is its place's distance from the first one's, in bytes.
//!
//! Handles and ports *are* such words. So they point to nothing, and whoever keeps one for ever
//! keeps no memory. What is known of a plugin lies in a place of its number's ([`LinkCell`]), and
//! says whose it is now.
//!
//! A number's loads begin at 1, so 0 is no load's. One whose loads are used up is retired.
//!
//! [`LinkCell`]: crate::link::LinkCell

use crate::lane::MAX_LINKS;
use crate::tally::gate;
use std::ptr;

const NUMBER_BITS: u32 = 12;
const INSTANCE_BITS: u32 = 16;

/// The bytes of a place, and of a tally: what is found by a number is found by adding.
pub(crate) const NUMBER_ONE: u64 = 64;
const INSTANCE_ONE: u64 = NUMBER_ONE << NUMBER_BITS;
const LOAD_ONE: u64 = INSTANCE_ONE << INSTANCE_BITS;

const NUMBER: u64 = INSTANCE_ONE - NUMBER_ONE;
const INSTANCE: u64 = LOAD_ONE - INSTANCE_ONE;

/// How many instances a load can have beside the plugin itself.
pub(crate) const MAX_INSTANCES: u32 = (1 << INSTANCE_BITS) - 1;

const _: () = assert!(MAX_LINKS == 1 << NUMBER_BITS);
const _: () = assert!(gate::DRAINING == INSTANCE_ONE && gate::GONE < LOAD_ONE);
const _: () = assert!(usize::BITS == 64, "a load is named by what fits into a pointer");

#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) struct LoadId(u64);

impl LoadId {
    /// A number's first load.
    pub(crate) const fn first(number: usize) -> Self {
        Self(LOAD_ONE + number as u64 * NUMBER_ONE)
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
        self.offset() / NUMBER_ONE as usize
    }

    /// How many bytes its place is from the first one.
    #[inline(always)]
    pub(crate) const fn offset(self) -> usize {
        (self.0 & NUMBER) as usize
    }

    /// The plugin itself, whichever instance this is.
    #[inline(always)]
    pub(crate) const fn plugin(self) -> Self {
        Self(self.0 & !INSTANCE)
    }

    /// An instance of it: from 1 to [`MAX_INSTANCES`].
    pub(crate) const fn instance(self, which: u32) -> Self {
        Self(self.plugin().0 | (which as u64 * INSTANCE_ONE) & INSTANCE)
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

    /// How far the plugin is closed, as its place says it: in the field of the instance, of which
    /// the plugin itself has none.
    #[inline(always)]
    pub(crate) const fn closed(self, gate: u64) -> u64 {
        self.0 + gate
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
        assert!(last.number() == 4095 && last.plugin() == load && last != load);
        assert!(load.instance(1) != load.instance(2));
        let next = last.next().unwrap();
        assert!(next.number() == 4095 && next.plugin() == next && next != load);
        // A place that is another's is closed to all that came before, and to all that comes after.
        for gate in [gate::SERVING, gate::DRAINING, gate::SHUT, gate::GONE] {
            assert!(next.closed(gate) > load.closed(gate::GONE));
            assert!(load.closed(gate).wrapping_sub(next.as_raw()) > gate::GONE);
        }
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
