//! The plugin that version 1 of the ABI was made for, written against its definitions alone.
//!
//! `handle` copies what it needs of the request and returns at once. Two seconds later a thread of
//! the plugin's own answers `OK: {method} {path}`. `../c/seed.c` and `../cpp/seed.cpp` are the same
//! in other languages; `../greeter` shows how much shorter it is with `define_plugin!`.

#![expect(unsafe_code, reason = "the definitions alone are what C has: pointers and lengths")]

use ringbox_abi::v1::{
    NrBytes, NrHostVTable, NrPluginInfo, NrPluginVTable, NrRequest, NrStatus, NrStr,
};
use std::ffi::c_void;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

/// How long an answer takes.
const WORK: Duration = Duration::from_secs(2);

/// What `init` brings: the host's context, and the functions that go with it.
struct Host {
    ctx: *mut c_void,
    vtable: NrHostVTable,
}

// SAFETY: the ABI lets any thread call the host's functions with its context, at the same time.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

static HOST: OnceLock<Host> = OnceLock::new();

impl Host {
    fn answer(&self, sid: u64, payload: &[u8]) {
        let payload = NrBytes { ptr: payload.as_ptr(), len: payload.len() as u64 };
        // SAFETY: the host's function with the context that came with it; `payload` is a view of a
        // slice that outlives the call, and the host copies what it keeps.
        unsafe { (self.vtable.send_result)(self.ctx, sid, NrStatus::Ok, payload) };
    }
}

unsafe extern "C" fn init(
    _plugin_ctx: *mut c_void,
    host_ctx: *mut c_void,
    host_vtable: *const NrHostVTable,
) -> NrStatus {
    if host_vtable.is_null() {
        return NrStatus::Invalid;
    }
    // SAFETY: not null, so the ABI says that it is the host's table, which can be read.
    let vtable = unsafe { *host_vtable };
    match HOST.set(Host { ctx: host_ctx, vtable }) {
        Ok(()) => NrStatus::Ok,
        Err(_) => NrStatus::Invalid,
    }
}

unsafe extern "C" fn handle(
    _plugin_ctx: *mut c_void,
    sid: u64,
    req: *const NrRequest,
    _payload: NrBytes,
) -> NrStatus {
    let Some(host) = HOST.get() else { return NrStatus::Invalid };
    if req.is_null() {
        return NrStatus::Invalid;
    }
    // SAFETY: not null, so the ABI says that it is a request, which can be read during this call.
    let req = unsafe { &*req };
    // SAFETY: the request's own view, which the host keeps valid during this call.
    let method = unsafe { text(req.method) };
    // SAFETY: as above.
    let path = unsafe { text(req.path) };
    // What is borrowed ends with this call, so the answer is made of it here.
    let answer = format!("OK: {method} {path}");
    let spawned = thread::Builder::new().spawn(move || {
        thread::sleep(WORK);
        host.answer(sid, answer.as_bytes());
    });
    match spawned {
        Ok(_) => NrStatus::Ok,
        Err(_) => NrStatus::Err,
    }
}

unsafe extern "C" fn shutdown(_plugin_ctx: *mut c_void) {
    // Threads that still sleep will answer calls that are over. The host drops such answers, and
    // it doesn't unmap a plugin that can't say when its threads have ended.
}

/// # Safety
/// A `view` that isn't empty points to `len` readable bytes, which rest for as long as the result
/// is in use.
unsafe fn text<'a>(view: NrStr) -> std::borrow::Cow<'a, str> {
    if view.len == 0 {
        return "".into(); // whatever the pointer is
    }
    // SAFETY: not empty, so the caller says that so many bytes are there, and rest.
    let bytes = unsafe { std::slice::from_raw_parts(view.ptr, view.len as usize) };
    String::from_utf8_lossy(bytes)
}

const fn view(text: &'static str) -> NrStr {
    NrStr { ptr: text.as_ptr(), len: text.len() as u32 }
}

static VTABLE: NrPluginVTable =
    NrPluginVTable { init: Some(init), handle: Some(handle), shutdown: Some(shutdown) };

static INFO: NrPluginInfo = NrPluginInfo {
    abi_version: 1,
    struct_size: size_of::<NrPluginInfo>() as u32,
    name: view("seed"),
    version: view(env!("CARGO_PKG_VERSION")),
    plugin_ctx: std::ptr::null_mut(),
    vtable: &raw const VTABLE,
};

/// The one symbol that a plugin exports.
#[unsafe(no_mangle)]
pub extern "C" fn nylon_ring_get_plugin_v1() -> *const NrPluginInfo {
    &raw const INFO
}
