//! Answering by number, as the contracts below do: nothing here sees to it that a call is answered
//! once, or at all. The host drops what is too much.
//!
//! For plugins that keep their own accounts. Others have [`Responder`](crate::Responder).

use crate::{Host, Refused, Reply, Sid, Status, reply::Kind};

/// Answers a call, or sends a frame of its stream, without hearing how it fared.
pub fn answer(host: &Host, sid: Sid, status: Status, payload: &[u8]) {
    host.wire.answer(sid, status, payload);
}

/// Sends a frame of a stream.
///
/// # Errors
/// [`Refused::Full`]: try again later; [`Refused::Over`]: nobody reads it any more.
pub fn frame(host: &Host, sid: Sid, frame: &[u8]) -> Result<(), Refused> {
    host.frame(sid, frame)
}

/// What a handler returns whose call is answered by [`answer`].
#[must_use]
pub fn elsewhere() -> Reply<'static> {
    Reply(Kind::Elsewhere)
}
