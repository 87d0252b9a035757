//! State that a plugin keeps with a call, gone when the call is.

use crate::error::StateError;
use crate::sid::{GENERATION_MASK, Sid};
use crate::slot::{STATE, Slot, is_busy, is_open};
use crate::sync::{Acquire, Relaxed};
use std::sync::{MutexGuard, PoisonError};

/// What one call's plugin keeps. It knows whose it is, since a plugin that sets state while the
/// call ends can leave it behind in the slot.
pub(crate) struct SidState {
    sid: Sid,
    entries: Vec<(Box<str>, Vec<u8>)>,
    bytes: usize,
}

/// The most keys that a call's state can have: they are looked through one by one.
pub(crate) const MAX_KEYS: usize = 256;

fn lock(slot: &Slot) -> MutexGuard<'_, Option<Box<SidState>>> {
    slot.state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether `sid` is open in `slot`, and `owner`'s.
fn is_here(slot: &Slot, sid: Sid, owner: *mut ()) -> bool {
    let now = slot.word.load(Acquire);
    now & GENERATION_MASK == sid.generation()
        && (is_open(now) || is_busy(now))
        && slot.owner.load(Relaxed) == owner
}

pub(crate) fn set(
    slot: &Slot,
    sid: Sid,
    owner: *mut (),
    key: &str,
    value: &[u8],
    limit: usize,
) -> Result<(), StateError> {
    let mut state = lock(slot);
    if !is_here(slot, sid, owner) {
        return Err(StateError::NotOpen);
    }
    let kept = match &mut *state {
        Some(kept) if kept.sid == sid => kept,
        other => other.insert(Box::new(SidState { sid, entries: Vec::new(), bytes: 0 })),
    };
    let old = kept.entries.iter().position(|(name, _)| **name == *key);
    let freed = old.map_or(0, |at| key.len() + kept.entries[at].1.len());
    let len = kept.bytes - freed + key.len() + value.len();
    if len > limit {
        return Err(StateError::TooLarge { len, limit });
    }
    if old.is_none() && kept.entries.len() == MAX_KEYS {
        return Err(StateError::TooManyKeys);
    }
    kept.bytes = len;
    match old {
        Some(at) => kept.entries[at].1 = value.to_vec(),
        None => kept.entries.push((key.into(), value.to_vec())),
    }
    slot.marks.fetch_or(STATE, Relaxed);
    Ok(())
}

pub(crate) fn with<R>(
    slot: &Slot,
    sid: Sid,
    owner: *mut (),
    key: &str,
    f: impl FnOnce(&[u8]) -> R,
) -> Option<R> {
    let state = lock(slot);
    if !is_here(slot, sid, owner) {
        return None;
    }
    let kept = state.as_deref().filter(|kept| kept.sid == sid)?;
    kept.entries.iter().find(|(name, _)| **name == *key).map(|(_, value)| f(value))
}

/// Forgets what the call that is being released left.
#[cold]
#[inline(never)]
pub(crate) fn clear(slot: &Slot) {
    let mut state = lock(slot);
    slot.marks.fetch_and(!STATE, Relaxed);
    *state = None;
}
