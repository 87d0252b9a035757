//! `Refusal`: why a backend did not take a call, in one word.
//!
//! Every dispatch returns it or nothing, so it comes in a register: the plugin's own status, or the
//! address of what else there is to say. (`std::io::Error` is made alike.)

#![expect(unsafe_code, reason = "one word is a number or a box, as its lowest bit says")]

use crate::error::CallError;
use ringbox_abi::{RawStatus, Status};
use std::fmt;
use std::ptr::{NonNull, without_provenance_mut};

/// Set where the word is a status and not a box, which lies at an even address.
const IS_STATUS: usize = 1;

const _: () = assert!(align_of::<CallError>() > IS_STATUS);
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
        let word = (status.0 as usize) << 1 | IS_STATUS;
        // SAFETY: the lowest bit is set.
        Self(unsafe { NonNull::new_unchecked(without_provenance_mut(word)) })
    }

    /// What the plugin itself said, if it was the plugin.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        let word = self.0.addr().get();
        (word & IS_STATUS != 0).then(|| RawStatus((word >> 1) as u32).meaning())
    }

    /// What the backend said, where it wasn't the plugin.
    fn error(&self) -> Option<&CallError> {
        if self.0.addr().get() & IS_STATUS != 0 {
            return None;
        }
        // SAFETY: without the bit it is the box of `from`, which this value owns.
        Some(unsafe { self.0.as_ref() })
    }
}

impl From<CallError> for Refusal {
    #[cold]
    fn from(error: CallError) -> Self {
        Self(NonNull::from(Box::leak(Box::new(error))))
    }
}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        match refusal.status() {
            Some(status) => Self::Refused { status },
            None => {
                let error = refusal.0;
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
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
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
