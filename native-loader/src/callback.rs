//! The one way in for plugins, and version 1's only function.

#![expect(unsafe_code, reason = "the functions that plugins call take what plugins give")]

use crate::context::Context;
use ringbox_abi::RawStatus;
use ringbox_abi::raw::HostVTable;
use ringbox_abi::v1::NrBytes;
use ringbox_ring::Sid;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Declares a function that plugins call. Owned arguments (after the semicolon) are adopted before
/// anything else; then the context is checked; then the body runs, and what panics in it (a waker,
/// a subscriber to the log) stays in it.
macro_rules! callback {
    ($(#[$meta:meta])* $name:ident($context:ident $(, $arg:ident: $ty:ty)*
        $(; $owned:ident: $raw:ty => $adopt:path)?) -> $ret:ty, else $default:expr; $body:block) => {
        $(#[$meta])*
        ///
        /// # Safety
        /// The context is the plugin's own (or null), and the arguments are what the ABI says.
        pub(crate) unsafe extern "C" fn $name(
            host_ctx: *mut ::std::ffi::c_void
            $(, $arg: $ty)*
            $(, $owned: $raw)?
        ) -> $ret {
            $(
                // SAFETY: given by the plugin with this call, to be adopted once, here.
                let $owned = unsafe { $adopt($owned) };
            )?
            // SAFETY: the plugin hands back what it was handed, says the ABI.
            let context = unsafe { $crate::context::Context::from_raw(host_ctx) };
            $crate::callback::contain(context, $default, |$context| $body)
        }
    };
}
pub(crate) use callback;

/// Runs the body for a context that there is, and keeps its panics in.
#[inline(always)]
pub(crate) fn contain<R>(
    context: Option<&'static Context>,
    default: R,
    body: impl FnOnce(&'static Context) -> R,
) -> R {
    let Some(context) = context else { return default };
    match catch_unwind(AssertUnwindSafe(|| body(context))) {
        Ok(result) => result,
        Err(panic) => {
            // Dropping it could panic again.
            std::mem::forget(panic);
            default
        }
    }
}

/// What version 1 plugins are handed.
pub(crate) static HOST: HostVTable = HostVTable { send_result };

callback! {
    /// Answers, or sends a frame.
    send_result(context, sid: u64, status: RawStatus, payload: NrBytes) -> (), else (); {
        // SAFETY: the plugin's view, borrowed for this call.
        match unsafe { context.plain(payload) } {
            Some(bytes) => {
                let _ = context.port.answer(Sid::from_raw(sid), status, bytes);
            }
            None => answer_oddly(context, sid, status, payload),
        }
    }
}

/// Answers with a view that is empty or no answer. Apart, since what such a view comes to lies in
/// memory, and other answers don't.
#[cold]
#[inline(never)]
fn answer_oddly(context: &'static Context, sid: u64, status: RawStatus, payload: NrBytes) {
    match context.odd_bytes(payload) {
        Ok(bytes) => {
            let _ = context.port.answer(Sid::from_raw(sid), status, bytes);
        }
        Err(fault) => {
            context.fault(sid, fault);
        }
    }
}
