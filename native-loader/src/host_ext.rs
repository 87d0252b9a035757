//! What the host offers plugins with the extension.
//!
//! `host_call` is absent: there is nothing behind it yet, and a null function says so.

#![expect(unsafe_code, reason = "the functions that plugins call take what plugins give")]

use crate::callback::callback;
use crate::context::told;
use crate::given::Given;
use crate::log;
use crate::timer::{self, NoTimer};
use ringbox_abi::v1::{NrBytes, NrStr};
use ringbox_abi::{LogLevel, NrBufferLease, NrHostExt, NrVec, OwnedBytes, RawStatus};
use ringbox_ring::{Sid, StateError};
use std::time::Duration;

/// What plugins with the extension are handed.
pub(crate) static HOST_EXT: NrHostExt = NrHostExt {
    send_frame: Some(send_frame),
    send_owned: Some(send_owned),
    acquire_buffer: Some(acquire_buffer),
    commit_buffer: Some(commit_buffer),
    release_buffer: Some(release_buffer),
    wake_after: Some(wake_after),
    log: Some(log),
    state_set: Some(state_set),
    state_get: Some(state_get),
    ..NrHostExt::EMPTY
};

callback! {
    /// Answers, or sends a frame, and says how it went.
    send_frame(context, sid: u64, status: RawStatus, payload: NrBytes)
        -> RawStatus, else RawStatus::INVALID; {
        // SAFETY: the plugin's view, borrowed for this call.
        match unsafe { context.bytes(payload) } {
            Ok(bytes) => told(sid, context.port.send_frame(Sid::from_raw(sid), status, bytes)),
            Err(fault) => context.fault(sid, fault),
        }
    }
}

callback! {
    /// The same without a copy.
    send_owned(context, sid: u64, status: RawStatus; payload: NrVec => Given::vec)
        -> RawStatus, else RawStatus::INVALID; {
        payload.send(context, sid, status)
    }
}

callback! {
    /// Lends a buffer.
    acquire_buffer(context, sid: u64, capacity: u64, out: *mut NrBufferLease)
        -> RawStatus, else RawStatus::INVALID; {
        if out.is_null() || !out.is_aligned() || context.is_over() {
            return RawStatus::INVALID;
        }
        match context.acquire(sid, capacity) {
            Ok(lease) => {
                // SAFETY: neither null nor misaligned (checked), so the plugin's place for it.
                unsafe { out.write(lease) };
                RawStatus::OK
            }
            Err(reason) => reason.status(),
        }
    }
}

callback! {
    /// Answers with a lent buffer.
    commit_buffer(context, lease: NrBufferLease, status: RawStatus, len: u64)
        -> RawStatus, else RawStatus::INVALID; {
        context.commit(lease.token, None, status, len)
    }
}

callback! {
    /// Takes a lent buffer back.
    release_buffer(context, lease: NrBufferLease) -> RawStatus, else RawStatus::INVALID; {
        context.release(lease.token)
    }
}

callback! {
    /// Wakes the plugin later.
    wake_after(context, token: u64, nanos: u64) -> RawStatus, else RawStatus::ERR; {
        if !context.can_wake() {
            return RawStatus::UNSUPPORTED;
        }
        match timer::ask(context, token, Duration::from_nanos(nanos)) {
            Ok(()) => RawStatus::OK,
            Err(NoTimer::TooMany) => RawStatus::BACKPRESSURE,
            Err(NoTimer::NoThread) => RawStatus::ERR,
        }
    }
}

callback! {
    /// Writes to the log.
    log(context, level: u32, message: NrStr) -> (), else (); {
        let message = NrStr { len: message.len.min(log::MOST_BYTES as u32), ..message };
        // SAFETY: the beginning of the plugin's view, borrowed for this call.
        if let Ok(message) = unsafe { message.as_bytes() } {
            log::line(context, LogLevel::from_raw(level), message);
        }
    }
}

callback! {
    /// Keeps a value with a call. Err: it, or all of the call's together, would be too large.
    state_set(context, sid: u64, key: NrStr, value: NrBytes)
        -> RawStatus, else RawStatus::INVALID; {
        let limit = context.state_limit;
        if u64::from(key.len) > limit || value.len > limit {
            return RawStatus::ERR;
        }
        // SAFETY: the plugin's view, borrowed for this call.
        let Ok(key) = (unsafe { key.as_str() }) else { return RawStatus::INVALID };
        // SAFETY: as above.
        let Ok(value) = (unsafe { value.as_slice() }) else { return RawStatus::INVALID };
        match context.port.set_state(Sid::from_raw(sid), key, value) {
            Ok(()) => RawStatus::OK,
            Err(StateError::TooLarge { .. }) => RawStatus::ERR,
            Err(_) => RawStatus::INVALID,
        }
    }
}

callback! {
    /// Gives a copy of a kept value.
    state_get(context, sid: u64, key: NrStr, out: *mut NrVec)
        -> RawStatus, else RawStatus::INVALID; {
        if out.is_null() || !out.is_aligned() {
            return RawStatus::INVALID;
        }
        // SAFETY: the plugin's view, borrowed for this call.
        let Ok(key) = (unsafe { key.as_str() }) else { return RawStatus::INVALID };
        let Some(value) = context.port.state(Sid::from_raw(sid), key) else {
            return RawStatus::INVALID;
        };
        // SAFETY: neither null nor misaligned (checked), so the plugin's place for it.
        unsafe { out.write(OwnedBytes::from(value).into_raw()) };
        RawStatus::OK
    }
}
