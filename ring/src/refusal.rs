//! `Refusal`: why a backend did not take a call, in one word.
//!
//! A dispatch returns it or nothing, so it comes in a register: the plugin's own status, or where to find
//! what else there is to say. (`std::io::Error` is made alike.) A status is the word as it came, so that
//! [`Refusal::unless_ok`] does nothing at all.
//!
//! Of a call by number a status alone comes, as from the plugin's own function. What else there is to say
//! is left for the thread to [`find`].

#![expect(unsafe_code, reason = "one word is a number or a box, as its size says")]

use crate::error::CallError;
use ringbox_abi::{RawStatus, Status};
use std::cell::Cell;
use std::fmt;
use std::mem::ManuallyDrop;
use std::num::NonZero;
use std::ptr::{NonNull, without_provenance_mut};

/// What a word is that refuses with the status 0, which is [`Status::Ok`]'s. Smaller ones are statuses,
/// larger ones boxes.
const ZERO: usize = 1 << 32;

/// Added to a box's address, which might be smaller.
const BOXED: usize = 1 << 63;

const _: () = assert!(size_of::<Result<(), Refusal>>() == size_of::<usize>());

/// Why a backend did not take a call. It never saw the sid again after saying so.
///
/// It is the plugin's own status ([`Refusal::new`]), or what the backend has to say itself: any
/// [`CallError`], which is then what the caller sees.
pub struct Refusal(NonNull<CallError>);

// SAFETY: it is a number, or a box of what is `Send`.
unsafe impl Send for Refusal {}
// SAFETY: as above, of what is `Sync`.
unsafe impl Sync for Refusal {}

impl Refusal {
    /// The plugin itself said no.
    #[inline(always)]
    #[must_use]
    pub fn new(status: Status) -> Self {
        Self::from_raw(status.raw())
    }

    /// The same, with its number as it came.
    #[inline(always)]
    #[must_use]
    pub fn from_raw(status: RawStatus) -> Self {
        Self::unless_ok(status).err().unwrap_or(Self(at(ZERO)))
    }

    /// Nothing where the plugin took the call, and else its own no, with its number as it came.
    ///
    /// # Errors
    /// The status is not [`RawStatus::OK`].
    #[inline(always)]
    pub fn unless_ok(status: RawStatus) -> Result<(), Self> {
        match NonNull::new(without_provenance_mut(status.0 as usize)) {
            None => Ok(()),
            Some(word) => Err(Self(word)),
        }
    }

    /// What the plugin itself said, if it was the plugin.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        let word = self.0.addr().get();
        // Cut to nothing where it is the word for 0.
        (word <= ZERO).then(|| RawStatus(word as u32).meaning())
    }

    /// What the backend said, where it wasn't the plugin.
    fn error(&self) -> Option<&CallError> {
        // SAFETY: larger than any status, it is the box of `from`, which this value owns.
        (self.0.addr().get() > ZERO).then(|| unsafe { unboxed(self.0).as_ref() })
    }
}

/// What [`leave`] returns where there is a refusal. A plugin may say it too, and then nothing is left.
const LEFT: RawStatus = RawStatus(u32::MAX);

thread_local! {
    /// The refusal of the dispatch that this thread comes back from. It needs no destructor: whoever
    /// called the dispatch takes it at once.
    static HERE: Cell<Option<ManuallyDrop<Refusal>>> = const { Cell::new(None) };
}

/// What a dispatch came to, as the plugin's own function would return it: a refusal is left for
/// [`find`], which comes next on this thread.
#[inline(always)]
pub(crate) fn leave(result: Result<(), Refusal>) -> RawStatus {
    match result {
        Ok(()) => RawStatus::OK,
        Err(refusal) => {
            HERE.set(Some(ManuallyDrop::new(refusal)));
            LEFT
        }
    }
}

/// What a dispatch came to that returned this: the plugin's function, or [`leave`].
#[inline(always)]
pub(crate) fn find(status: RawStatus) -> Result<(), Refusal> {
    if status == RawStatus::OK { Ok(()) } else { Err(found(status)) }
}

#[cold]
#[inline(never)]
fn found(status: RawStatus) -> Refusal {
    match HERE.take() {
        Some(refusal) if status == LEFT => ManuallyDrop::into_inner(refusal),
        _ => Refusal::from_raw(status),
    }
}

const fn at(word: usize) -> NonNull<CallError> {
    NonNull::without_provenance(NonZero::new(word).expect("no word is 0"))
}

/// The box of a word that is no status.
fn unboxed(word: NonNull<CallError>) -> NonNull<CallError> {
    let boxed = word.as_ptr().map_addr(|address| address.wrapping_sub(BOXED));
    NonNull::new(boxed).expect("no box lies at 0")
}

impl From<CallError> for Refusal {
    #[cold]
    fn from(error: CallError) -> Self {
        let boxed = NonNull::from(Box::leak(Box::new(error)));
        let word = boxed.as_ptr().map_addr(|address| address.wrapping_add(BOXED));
        assert!(word.addr() > ZERO, "no box lies so high");
        // SAFETY: as was just seen, it is not null.
        Self(unsafe { NonNull::new_unchecked(word) })
    }
}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        match refusal.status() {
            Some(status) => Self::Refused { status },
            None => {
                let error = unboxed(refusal.0);
                std::mem::forget(refusal);
                // SAFETY: the box of `from`, which nobody owns any more.
                *unsafe { Box::from_raw(error.as_ptr()) }
            }
        }
    }
}

impl Drop for Refusal {
    fn drop(&mut self) {
        if self.error().is_some() {
            // SAFETY: the box of `from`, which this value owns.
            drop(unsafe { Box::from_raw(unboxed(self.0).as_ptr()) });
        }
    }
}

impl Clone for Refusal {
    fn clone(&self) -> Self {
        self.error().map_or_else(|| Self(self.0), |error| Self::from(error.clone()))
    }
}

impl PartialEq for Refusal {
    fn eq(&self, other: &Self) -> bool {
        (self.status(), self.error()) == (other.status(), other.error())
    }
}

impl Eq for Refusal {}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tuple = f.debug_tuple("Refusal");
        match self.status() {
            Some(status) => tuple.field(&status),
            None => tuple.field(&self.error()),
        };
        tuple.finish()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        CallError::from(self.clone()).fmt(f)
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{BadRequest, Fault};

    #[test]
    fn a_status_comes_back_as_it_was() {
        for raw in [0, 1, 2, 7, 1 << 31, u32::MAX] {
            let refusal = Refusal::from_raw(RawStatus(raw));
            assert_eq!(refusal.status(), Some(RawStatus(raw).meaning()));
            assert_eq!(refusal, refusal.clone());
            let status = RawStatus(raw).meaning();
            assert_eq!(CallError::from(refusal), CallError::Refused { status });
        }
    }

    #[test]
    fn what_a_dispatch_came_to_is_found_where_it_was_left() {
        for refusal in [Refusal::new(Status::Ok), Refusal::from(CallError::QueueFull)] {
            assert_eq!(find(leave(Err(refusal.clone()))), Err(refusal));
        }
        assert_eq!(find(leave(Ok(()))), Ok(()));
        // What a plugin says by itself is its own.
        for raw in [1, 77, LEFT.0] {
            assert_eq!(find(RawStatus(raw)), Err(Refusal::from_raw(RawStatus(raw))));
        }
    }

    #[test]
    fn a_reason_comes_back_as_it_was_and_is_freed_once() {
        let box_of_its_own = BadRequest { part: "path", len: 9, limit: 8 };
        for error in [
            CallError::QueueFull,
            CallError::Fault(Box::new(Fault::Unanswered)),
            CallError::BadRequest(Box::new(box_of_its_own)),
        ] {
            let refusal = Refusal::from(error.clone());
            assert_eq!(refusal.status(), None);
            assert_eq!(refusal.to_string(), error.to_string());
            let another = refusal.clone();
            assert!(refusal == another && refusal != Refusal::new(Status::Invalid));
            drop(another);
            assert_eq!(CallError::from(refusal), error);
        }
    }
}
