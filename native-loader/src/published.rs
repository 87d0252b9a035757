//! What the host offers plugins made for published nylon-ring.

#![expect(unsafe_code, reason = "the functions that plugins call take what plugins give")]

use crate::callback::callback;
use crate::given::Given;
use ringbox_abi::published::{v01, v02};
use ringbox_abi::{NrBufferLease, NrOwnedBytes, NrVec, RawStatus};

/// What plugins of 0.2 are handed.
pub(crate) static HOST_02: v02::HostVTable =
    v02::HostVTable { send_result, send_result_owned, acquire_result_buffer, commit_result_buffer };

/// What plugins of 0.1 are handed.
pub(crate) static HOST_01: v01::HostVTable = v01::HostVTable { send_result };

callback! {
    /// Answers, or sends a frame.
    send_result(context, sid: u64, status: RawStatus; payload: NrVec => Given::vec)
        -> RawStatus, else RawStatus::INVALID; {
        payload.send(context, sid, status)
    }
}

callback! {
    /// The same for bytes with an owner.
    send_result_owned(context, sid: u64, status: RawStatus; payload: NrOwnedBytes => Given::owned)
        -> RawStatus, else RawStatus::INVALID; {
        payload.send(context, sid, status)
    }
}

callback! {
    /// Lends a buffer.
    acquire_result_buffer(context, sid: u64, capacity: u64)
        -> NrBufferLease, else NrBufferLease::NONE; {
        if context.is_over() {
            return NrBufferLease::NONE;
        }
        context.acquire(sid, capacity).unwrap_or(NrBufferLease::NONE)
    }
}

callback! {
    /// Answers with a lent buffer.
    commit_result_buffer(context, sid: u64, status: RawStatus, token: u64, initialized_len: u64)
        -> RawStatus, else RawStatus::INVALID; {
        context.commit(token, Some(sid), status, initialized_len)
    }
}
