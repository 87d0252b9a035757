//! Bytes that a plugin gives away: adopted at once, passed on without a copy, freed once.

#![expect(unsafe_code, reason = "adopts foreign memory")]

use crate::context::{Context, GivenCount, told};
use ringbox_abi::v1::NrBytes;
use ringbox_abi::{NrOwnedBytes, NrVec, OwnedBytes, RawStatus};
use ringbox_ring::Sid;

/// Up to so many bytes are copied, into a buffer that is there anyway: that costs less than
/// keeping them.
const WORTH_KEEPING: usize = 1024;

/// Bytes that came with a call. Dropped unsent, they are freed.
pub(crate) struct Given(Option<Raw>);

enum Raw {
    Vec(NrVec),
    Owned(NrOwnedBytes),
}

impl Given {
    /// # Safety
    /// As [`OwnedBytes::adopt`], for as many bytes as an answer may have.
    #[inline(always)]
    pub(crate) unsafe fn vec(raw: NrVec) -> Self {
        Self(Some(Raw::Vec(raw)))
    }

    /// # Safety
    /// As [`OwnedBytes::adopt_owned`], for as many bytes as an answer may have.
    #[inline(always)]
    pub(crate) unsafe fn owned(raw: NrOwnedBytes) -> Self {
        Self(Some(Raw::Owned(raw)))
    }

    /// Sends them as an answer or a frame.
    #[inline]
    pub(crate) fn send(
        mut self,
        context: &'static Context,
        sid: u64,
        status: RawStatus,
    ) -> RawStatus {
        let raw = self.0.take().unwrap_or(Raw::Vec(NrVec::EMPTY));
        let (ptr, len) = raw.place();
        if let Raw::Vec(NrVec { owned, .. }) = raw
            && owned != 1
        {
            // SAFETY: lent by the plugin for this call (`vec`).
            return match unsafe { context.bytes(NrBytes { ptr, len }) } {
                Ok(bytes) => told(sid, context.port.send_frame(Sid::from_raw(sid), status, bytes)),
                Err(fault) => context.fault(sid, fault),
            };
        }
        match raw.adopt(context.answer_limit()) {
            Ok(bytes) => pass_on(bytes, context, sid, status),
            Err(error) => context.fault(sid, context.bad_view(ptr, len, error)),
        }
    }
}

fn pass_on(bytes: OwnedBytes, context: &'static Context, sid: u64, status: RawStatus) -> RawStatus {
    let (port, to) = (context.port, Sid::from_raw(sid));
    if bytes.len() <= WORTH_KEEPING {
        return told(sid, port.send_frame(to, status, &bytes));
    }
    let kept = Kept { bytes, _count: context.count_given() };
    told(sid, port.send_frame_owned(to, status, Box::new(kept)))
}

impl Raw {
    fn place(&self) -> (*const u8, u64) {
        match self {
            Self::Vec(raw) => (raw.ptr, raw.len),
            Self::Owned(raw) => (raw.ptr, raw.len),
        }
    }

    fn adopt(self, limit: u64) -> Result<OwnedBytes, ringbox_abi::ViewError> {
        match self {
            // SAFETY: asked of whoever made the `Given`, which gives its raw bytes up but once.
            Self::Vec(raw) => unsafe { OwnedBytes::adopt(raw, limit) },
            // SAFETY: as above.
            Self::Owned(raw) => unsafe { OwnedBytes::adopt_owned(raw, limit) },
        }
    }
}

impl Drop for Given {
    #[inline]
    fn drop(&mut self) {
        if let Some(raw) = self.0.take() {
            // Nothing is read for a limit of 0, and what was given is freed either way.
            drop(raw.adopt(0));
        }
    }
}

/// A plugin's bytes in a reply. The fields are dropped in this order.
struct Kept {
    bytes: OwnedBytes,
    _count: GivenCount,
}

// SAFETY: `OwnedBytes` has the same bytes until it is dropped. Dropping it calls the plugin's
// `release`, of which the ABI asks the same as this trait does.
unsafe impl ringbox_ring::OwnedBytes for Kept {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
