//! The functions that C is given. All of them go through [`edge`]: the context is checked, a panic
//! is caught, and there is an answer to fall back on. (Calls go through [`call_edge`] and [`answer`],
//! which do the same in two halves.)

#![expect(unsafe_code, reason = "these functions are the boundary: they take what C hands them")]

use std::{
    any::Any,
    ffi::c_void,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
};

use super::{
    lifecycle::{Cx, Entry, Plugin, Spec},
    reply::{Reply, Taken},
};
use crate::{
    CALL_METHOD, LogLevel, NR_ABI_VERSION, NR_EXT_VERSION, NR_NO_ENTRY, NrHostExt, NrPluginExt,
    RawStatus, RequestView, Status, raw,
    v1::{self, NrBytes, NrRequest, NrStr},
};

/// What `define_plugin!` makes.
pub trait DefinedPlugin: 'static {
    /// The author's state.
    type State: Send + Sync + 'static;

    /// What the plugin is told to be. A constant, so that a function which looks an entry up knows
    /// their names when it is compiled.
    const SPEC: Spec<Self::State>;

    /// The plugin itself.
    fn plugin() -> &'static Plugin<Self::State>;

    /// What `nylon_ring_get_plugin_v1` returns.
    fn info() -> *const v1::NrPluginInfo;

    /// What `nylon_ring_get_plugin_ext_v1` returns.
    fn ext() -> *const NrPluginExt;
}

/// The tables of the plugin `P`.
#[derive(Debug)]
pub struct Edge<P>(PhantomData<P>);

impl<P: DefinedPlugin> Edge<P> {
    /// The functions of version 1.
    const VTABLE: raw::PluginVTable = raw::PluginVTable {
        init: Some(init::<P>),
        handle: Some(handle::<P>),
        shutdown: Some(shutdown::<P>),
    };

    /// The functions of the extension.
    pub const EXT: NrPluginExt = NrPluginExt {
        struct_size: size_of::<NrPluginExt>() as u32,
        version: NR_EXT_VERSION,
        attach: Some(attach::<P>),
        resolve_entry: Some(resolve_entry::<P>),
        handle_entry: Some(handle_entry::<P>),
        stream_data: Some(stream_data::<P>),
        stream_close: Some(stream_close::<P>),
        cancel: Some(cancel::<P>),
        wake: Some(wake::<P>),
        host_call_done: Some(host_call_done::<P>),
        quiescent: Some(quiescent::<P>),
    };

    /// The plugin's info.
    #[must_use]
    pub const fn info(
        name: &'static str,
        version: &'static str,
        plugin: *const Plugin<P::State>,
    ) -> raw::PluginInfo {
        raw::PluginInfo {
            abi_version: NR_ABI_VERSION,
            struct_size: size_of::<raw::PluginInfo>() as u32,
            name: NrStr::from_str(name),
            version: NrStr::from_str(version),
            plugin_ctx: plugin.cast_mut().cast(),
            vtable: &Self::VTABLE,
        }
    }
}

/// Runs `body` with the plugin that `ctx` names; `otherwise` when it names none, or after a panic.
#[inline]
fn edge<P: DefinedPlugin, R: Copy>(
    ctx: *mut c_void,
    otherwise: R,
    body: impl FnOnce(&'static Plugin<P::State>) -> R,
) -> R {
    let plugin = P::plugin();
    if !ptr::eq(ctx, ptr::from_ref(plugin).cast()) {
        return otherwise;
    }
    contain(|| body(plugin)).unwrap_or(otherwise)
}

/// The same for what runs handlers of calls. [`answer`] contains those, and nothing else in there
/// panics: to contain it all once more would be felt by every call.
#[inline]
fn call_edge<P: DefinedPlugin>(
    ctx: *mut c_void,
    body: impl FnOnce(&Cx<P::State>) -> RawStatus,
) -> RawStatus {
    let plugin = P::plugin();
    if !ptr::eq(ctx, ptr::from_ref(plugin).cast()) {
        return RawStatus::INVALID;
    }
    // SAFETY: by contract `shutdown` isn't called before this function has returned.
    match unsafe { plugin.cx() } {
        Some(cx) => body(cx),
        None => RawStatus::INVALID,
    }
}

/// An entry's number is its place.
#[inline]
fn entries<P: DefinedPlugin>() -> &'static [Entry<P::State>] {
    P::SPEC.entries.unwrap_or_default()
}

/// Runs `body`; the message of its panic if it has one. For what a plugin runs beside its handlers,
/// which are contained anyway.
///
/// # Errors
///
/// The message.
#[inline]
pub fn contain<R>(body: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(body)).map_err(message)
}

#[cold]
fn message(panic: Box<dyn Any + Send>) -> String {
    let text = if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    };
    // What was thrown may itself panic when dropped; what that throws is left alone.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
        std::mem::forget(again);
    }
    text
}

/// Runs a handler that answers `sid`; its panic is an answer too. It is a part of each entry, so that
/// an entry that never returns some kind of reply has no code for it.
#[doc(hidden)]
#[inline]
pub fn answer<S>(cx: &Cx<S>, sid: u64, handler: impl FnOnce() -> Reply) -> RawStatus {
    let reply = contain(handler).unwrap_or_else(|message| panicked(&message));
    match reply {
        Reply::Later => {}
        Reply::Refused(status) => return refusal(cx, status),
        Reply::Now { status, payload: std::borrow::Cow::Borrowed(payload) } => {
            cx.host().send_result(sid, status, payload);
        }
        Reply::Now { status, payload: std::borrow::Cow::Owned(payload) } => {
            cx.host().send_owned(sid, status, payload);
        }
    }
    RawStatus::OK
}

/// What `handle` returns for it. It must not say Ok, and no number that the host may not know.
#[cold]
fn refusal<S>(cx: &Cx<S>, status: Status) -> RawStatus {
    let status =
        if cx.host().has_extension() { status.raw() } else { super::host::first_four(status) };
    if status == RawStatus::OK { RawStatus::ERR } else { status }
}

#[cold]
fn panicked(message: &str) -> Reply {
    Reply::new(Status::Panic, message.as_bytes().to_vec())
}

/// Runs a handler of a stream, whose failure ends the stream.
fn take<S>(cx: &Cx<S>, sid: u64, handler: impl FnOnce() -> Taken) -> RawStatus {
    match contain(handler) {
        Ok(Taken::Status(status)) => status.raw(),
        Ok(Taken::Failed(reason)) => {
            cx.host().send_result(sid, Status::Err, reason.as_bytes());
            RawStatus::OK
        }
        Err(message) => {
            cx.host().send_result(sid, Status::Panic, message.as_bytes());
            RawStatus::PANIC
        }
    }
}

/// Runs a handler whose failure concerns no call any more: it goes to the log.
fn note<S>(cx: &Cx<S>, handler: impl FnOnce() -> Taken) {
    match contain(handler) {
        Ok(Taken::Status(_)) => {}
        Ok(Taken::Failed(reason)) => cx.host().log(LogLevel::Warn, &reason),
        Err(message) => cx.host().log(LogLevel::Error, &message),
    }
}

unsafe extern "C" fn attach<P: DefinedPlugin>(
    ctx: *mut c_void,
    host_ctx: *mut c_void,
    host_ext: *const NrHostExt,
) -> RawStatus {
    edge::<P, _>(ctx, RawStatus::INVALID, |plugin| {
        // SAFETY: by contract null, or the host's table that goes with `host_ctx`.
        unsafe { plugin.attach(host_ctx, host_ext) }
    })
}

unsafe extern "C" fn init<P: DefinedPlugin>(
    ctx: *mut c_void,
    host_ctx: *mut c_void,
    host_vtable: *const raw::HostVTable,
) -> RawStatus {
    edge::<P, _>(ctx, RawStatus::INVALID, |plugin| {
        // SAFETY: by contract null, or the host's table that goes with `host_ctx`.
        unsafe { plugin.start(&P::SPEC, host_ctx, host_vtable) }
    })
}

unsafe extern "C" fn shutdown<P: DefinedPlugin>(ctx: *mut c_void) {
    edge::<P, _>(ctx, (), |plugin| {
        // SAFETY: by contract the host has left every other function and enters none.
        unsafe { plugin.stop(&P::SPEC) }
    });
}

unsafe extern "C" fn handle<P: DefinedPlugin>(
    ctx: *mut c_void,
    sid: u64,
    request: *const NrRequest,
    payload: NrBytes,
) -> RawStatus {
    call_edge::<P>(ctx, |cx| {
        // SAFETY: by contract the payload is the host's and rests for this call.
        let Ok(payload) = (unsafe { payload.as_slice() }) else { return RawStatus::INVALID };
        // SAFETY: by contract null, or a request that is the host's and rests for this call.
        let entry = match unsafe { called(request) } {
            Ok(Some(name)) => entries::<P>().iter().find(|entry| entry.is_named(name)),
            Ok(None) => None,
            Err(status) => return status,
        };
        if let Some(entry) = entry {
            return (entry.call)(cx, sid, payload);
        }
        // SAFETY: as for `called`.
        unsafe { whole_request::<P>(cx, sid, request, payload) }
    })
}

/// A request that is no call of an entry. Not a part of `handle`: what it needs would be made room for
/// in each call.
///
/// # Safety
///
/// As [`RequestView::read`], for as long as this runs.
#[inline(never)]
unsafe fn whole_request<P: DefinedPlugin>(
    cx: &Cx<P::State>,
    sid: u64,
    request: *const NrRequest,
    payload: &[u8],
) -> RawStatus {
    // SAFETY: asked of the caller.
    let Ok(request) = (unsafe { RequestView::read(request) }) else {
        return RawStatus::INVALID;
    };
    match P::SPEC.fallback {
        Some(fallback) => fallback(cx, sid, request, payload),
        None => RawStatus::UNSUPPORTED,
    }
}

/// The entry's name when the request is a call of one.
///
/// # Safety
///
/// As [`RequestView::read`], for as long as the result is in use.
#[inline]
unsafe fn called<'a>(request: *const NrRequest) -> Result<Option<&'a [u8]>, RawStatus> {
    if request.is_null() || !request.is_aligned() {
        return Err(RawStatus::INVALID);
    }
    // SAFETY: neither null nor misaligned (checked), so readable, says the contract.
    let NrRequest { method, path, .. } = unsafe { request.read() };
    // SAFETY: a view of the request's, whose memory rests by contract.
    let method = unsafe { method.as_bytes() }.map_err(|_| RawStatus::INVALID)?;
    if method != CALL_METHOD.as_bytes() {
        return Ok(None);
    }
    // SAFETY: as above.
    unsafe { path.as_bytes() }.map(Some).map_err(|_| RawStatus::INVALID)
}

unsafe extern "C" fn resolve_entry<P: DefinedPlugin>(ctx: *mut c_void, name: NrStr) -> u32 {
    edge::<P, _>(ctx, NR_NO_ENTRY, |_| {
        // SAFETY: by contract the name is the host's and rests for this call.
        let Ok(name) = (unsafe { name.as_bytes() }) else { return NR_NO_ENTRY };
        let number = entries::<P>().iter().position(|entry| entry.is_named(name));
        number.and_then(|number| u32::try_from(number).ok()).unwrap_or(NR_NO_ENTRY)
    })
}

unsafe extern "C" fn handle_entry<P: DefinedPlugin>(
    ctx: *mut c_void,
    entry: u32,
    sid: u64,
    payload: NrBytes,
) -> RawStatus {
    call_edge::<P>(ctx, |cx| {
        // SAFETY: by contract the payload is the host's and rests for this call.
        let Ok(payload) = (unsafe { payload.as_slice() }) else { return RawStatus::INVALID };
        let Some(entry) = entries::<P>().get(entry as usize) else { return RawStatus::INVALID };
        (entry.call)(cx, sid, payload)
    })
}

unsafe extern "C" fn stream_data<P: DefinedPlugin>(
    ctx: *mut c_void,
    sid: u64,
    data: NrBytes,
) -> RawStatus {
    edge::<P, _>(ctx, RawStatus::INVALID, |plugin| {
        // SAFETY: by contract `shutdown` isn't called before this function has returned.
        let Some(cx) = (unsafe { plugin.cx() }) else { return RawStatus::INVALID };
        // SAFETY: by contract the data is the host's and rests for this call.
        let Ok(data) = (unsafe { data.as_slice() }) else { return RawStatus::INVALID };
        match P::SPEC.stream_data {
            Some(handler) => take(cx, sid, || handler(cx, sid, data)),
            None => RawStatus::UNSUPPORTED,
        }
    })
}

unsafe extern "C" fn stream_close<P: DefinedPlugin>(ctx: *mut c_void, sid: u64) -> RawStatus {
    edge::<P, _>(ctx, RawStatus::INVALID, |plugin| {
        // SAFETY: by contract `shutdown` isn't called before this function has returned.
        let Some(cx) = (unsafe { plugin.cx() }) else { return RawStatus::INVALID };
        match P::SPEC.stream_close {
            Some(handler) => take(cx, sid, || handler(cx, sid)),
            None => RawStatus::UNSUPPORTED,
        }
    })
}

unsafe extern "C" fn cancel<P: DefinedPlugin>(ctx: *mut c_void, sid: u64) {
    edge::<P, _>(ctx, (), |plugin| {
        // SAFETY: by contract `shutdown` isn't called before this function has returned.
        if let (Some(cx), Some(handler)) = (unsafe { plugin.cx() }, P::SPEC.cancel) {
            note(cx, || handler(cx, sid));
        }
    });
}

unsafe extern "C" fn wake<P: DefinedPlugin>(ctx: *mut c_void, token: u64) {
    edge::<P, _>(ctx, (), |plugin| {
        // SAFETY: by contract `shutdown` isn't called before this function has returned.
        if let (Some(cx), Some(handler)) = (unsafe { plugin.cx() }, P::SPEC.wake) {
            note(cx, || handler(cx, token));
        }
    });
}

unsafe extern "C" fn host_call_done<P: DefinedPlugin>(
    ctx: *mut c_void,
    token: u64,
    status: RawStatus,
    payload: NrBytes,
) {
    edge::<P, _>(ctx, (), |plugin| {
        // SAFETY: by contract `shutdown` isn't called before this function has returned.
        let Some(cx) = (unsafe { plugin.cx() }) else { return };
        // SAFETY: by contract the payload is the host's and rests for this call.
        let Ok(payload) = (unsafe { payload.as_slice() }) else { return };
        if let Some(handler) = P::SPEC.host_call_done {
            note(cx, || handler(cx, token, status.meaning(), payload));
        }
    });
}

unsafe extern "C" fn quiescent<P: DefinedPlugin>(ctx: *mut c_void) -> u32 {
    edge::<P, _>(ctx, 0, |plugin| u32::from(plugin.quiescent(&P::SPEC)))
}
