//! A host as small as can be, written with the raw tables only.

use std::{
    ffi::c_void,
    sync::{Condvar, Mutex, MutexGuard},
    time::Duration,
};

use ringbox_abi::{
    ExtView, NrBufferLease, NrHostExt, NrPluginExt, NrVec, OwnedBytes, RawStatus, Request, raw,
    v1::{NrBytes, NrPluginInfo, NrRequest, NrStr},
};

/// What a plugin did to its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub by: &'static str,
    pub sid: u64,
    pub status: RawStatus,
    pub bytes: Vec<u8>,
}

#[derive(Default)]
pub struct Record {
    seen: Mutex<Vec<Seen>>,
    more: Condvar,
    /// What the functions that return a status return.
    pub verdict: Mutex<Option<RawStatus>>,
    buffer: Mutex<Vec<u8>>,
}

impl Record {
    fn note(&self, by: &'static str, sid: u64, status: RawStatus, bytes: &[u8]) -> RawStatus {
        self.seen.lock().unwrap().push(Seen { by, sid, status, bytes: bytes.to_vec() });
        self.more.notify_all();
        self.verdict.lock().unwrap().unwrap_or(RawStatus::OK)
    }

    pub fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The next thing that the plugin did, waited for.
    pub fn next(&self) -> Seen {
        let mut seen: MutexGuard<'_, Vec<Seen>> = self.seen.lock().unwrap();
        loop {
            if !seen.is_empty() {
                return seen.remove(0);
            }
            let (guard, timeout) = self.more.wait_timeout(seen, Duration::from_secs(20)).unwrap();
            assert!(!timeout.timed_out(), "the plugin did nothing");
            seen = guard;
        }
    }
}

fn record<'a>(ctx: *mut c_void) -> &'a Record {
    // SAFETY: every context handed out in these tests is a leaked `Record`.
    unsafe { &*ctx.cast::<Record>() }
}

fn bytes<'a>(view: NrBytes) -> &'a [u8] {
    // SAFETY: the plugins in these tests send views that live for the call.
    unsafe { view.as_slice() }.unwrap()
}

fn text<'a>(view: NrStr) -> &'a str {
    // SAFETY: as in `bytes`.
    unsafe { view.as_str() }.unwrap()
}

unsafe extern "C" fn send_result(ctx: *mut c_void, sid: u64, status: RawStatus, payload: NrBytes) {
    record(ctx).note("send_result", sid, status, bytes(payload));
}

unsafe extern "C" fn send_frame(
    ctx: *mut c_void,
    sid: u64,
    status: RawStatus,
    payload: NrBytes,
) -> RawStatus {
    record(ctx).note("send_frame", sid, status, bytes(payload))
}

unsafe extern "C" fn send_owned(
    ctx: *mut c_void,
    sid: u64,
    status: RawStatus,
    payload: NrVec,
) -> RawStatus {
    // SAFETY: the plugin gave the bytes to this very call.
    let payload = unsafe { OwnedBytes::adopt(payload, 1 << 20) }.unwrap();
    record(ctx).note("send_owned", sid, status, &payload)
}

unsafe extern "C" fn acquire_buffer(
    ctx: *mut c_void,
    sid: u64,
    capacity: u64,
    out: *mut NrBufferLease,
) -> RawStatus {
    let mut buffer = record(ctx).buffer.lock().unwrap();
    buffer.resize(capacity as usize, 0);
    let lease = NrBufferLease { ptr: buffer.as_mut_ptr(), cap: capacity, token: sid };
    // SAFETY: the plugin passes a place to write to.
    unsafe { out.write(lease) };
    RawStatus::OK
}

unsafe extern "C" fn commit_buffer(
    ctx: *mut c_void,
    lease: NrBufferLease,
    status: RawStatus,
    len: u64,
) -> RawStatus {
    let written = record(ctx).buffer.lock().unwrap()[..len as usize].to_vec();
    record(ctx).note("commit_buffer", lease.token, status, &written)
}

unsafe extern "C" fn release_buffer(ctx: *mut c_void, lease: NrBufferLease) -> RawStatus {
    record(ctx).note("release_buffer", lease.token, RawStatus::OK, &[])
}

unsafe extern "C" fn host_call(
    ctx: *mut c_void,
    sid: u64,
    name: NrStr,
    _payload: NrBytes,
    token_out: *mut u64,
) -> RawStatus {
    // SAFETY: the plugin passes a place to write to.
    unsafe { token_out.write(77) };
    record(ctx).note("host_call", sid, RawStatus::OK, text(name).as_bytes())
}

unsafe extern "C" fn wake_after(ctx: *mut c_void, token: u64, nanos: u64) -> RawStatus {
    record(ctx).note("wake_after", token, RawStatus::OK, &nanos.to_le_bytes())
}

unsafe extern "C" fn log(ctx: *mut c_void, level: u32, message: NrStr) {
    record(ctx).note("log", u64::from(level), RawStatus::OK, text(message).as_bytes());
}

unsafe extern "C" fn state_set(
    ctx: *mut c_void,
    sid: u64,
    key: NrStr,
    value: NrBytes,
) -> RawStatus {
    let pair = [text(key).as_bytes(), b"=", bytes(value)].concat();
    record(ctx).note("state_set", sid, RawStatus::OK, &pair)
}

unsafe extern "C" fn state_get(
    _ctx: *mut c_void,
    _sid: u64,
    key: NrStr,
    out: *mut NrVec,
) -> RawStatus {
    if text(key) != "kept" {
        return RawStatus::INVALID;
    }
    let value = OwnedBytes::from(b"value".to_vec()).into_raw();
    // SAFETY: the plugin passes a place to write to.
    unsafe { out.write(value) };
    RawStatus::OK
}

pub static VTABLE: raw::HostVTable = raw::HostVTable { send_result };

pub static EXT: NrHostExt = NrHostExt {
    send_frame: Some(send_frame),
    send_owned: Some(send_owned),
    acquire_buffer: Some(acquire_buffer),
    commit_buffer: Some(commit_buffer),
    release_buffer: Some(release_buffer),
    host_call: Some(host_call),
    wake_after: Some(wake_after),
    log: Some(log),
    state_set: Some(state_set),
    state_get: Some(state_get),
    ..NrHostExt::EMPTY
};

/// A plugin as a host holds it.
pub struct Loaded {
    pub info: raw::PluginInfo,
    pub ext: Option<ExtView<NrPluginExt>>,
    pub host: &'static Record,
}

impl Loaded {
    pub fn new(info: *const NrPluginInfo, ext: Option<*const NrPluginExt>) -> Self {
        // SAFETY: returned by a plugin of this program.
        let info = unsafe { raw::PluginInfo::read(info.cast(), ringbox_abi::NR_ABI_VERSION) };
        // SAFETY: as above.
        let ext = ext.map(|ext| unsafe { ExtView::read(ext) }.unwrap());
        Self { info: info.unwrap(), ext, host: Box::leak(Box::default()) }
    }

    /// Attached when it has the extension, and started.
    pub fn started(info: *const NrPluginInfo, ext: Option<*const NrPluginExt>) -> Self {
        let loaded = Self::new(info, ext);
        if loaded.ext.is_some() {
            assert_eq!(loaded.attach(&EXT), RawStatus::OK);
        }
        assert_eq!(loaded.init(), RawStatus::OK);
        loaded
    }

    pub fn host_ctx(&self) -> *mut c_void {
        std::ptr::from_ref(self.host).cast_mut().cast()
    }

    pub fn vtable(&self) -> &raw::PluginVTable {
        // SAFETY: a static of a plugin of this program.
        unsafe { &*self.info.vtable }
    }

    pub fn table(&self) -> &NrPluginExt {
        self.ext.as_ref().unwrap()
    }

    pub fn attach(&self, ext: *const NrHostExt) -> RawStatus {
        // SAFETY: the plugin's function with its context and a static table or null.
        unsafe { self.table().attach.unwrap()(self.info.plugin_ctx, self.host_ctx(), ext) }
    }

    pub fn init(&self) -> RawStatus {
        // SAFETY: the plugin's function with its context and a static table.
        unsafe { self.vtable().init.unwrap()(self.info.plugin_ctx, self.host_ctx(), &VTABLE) }
    }

    pub fn shutdown(&self) {
        // SAFETY: the plugin's function with its context; the tests call nothing meanwhile.
        unsafe { self.vtable().shutdown.unwrap()(self.info.plugin_ctx) };
    }

    pub fn handle_raw(&self, sid: u64, request: *const NrRequest, payload: NrBytes) -> RawStatus {
        // SAFETY: the plugin's function with its context; requests here live or are null.
        unsafe { self.vtable().handle.unwrap()(self.info.plugin_ctx, sid, request, payload) }
    }

    pub fn call(&self, sid: u64, entry: &str, payload: &[u8]) -> RawStatus {
        let request = Request::call(entry).unwrap();
        self.handle_raw(sid, request.as_raw(), NrBytes::from_slice(payload))
    }

    pub fn resolve(&self, entry: &str) -> u32 {
        let resolve = self.table().resolve_entry.unwrap();
        // SAFETY: the plugin's function with its context; the name lives.
        unsafe { resolve(self.info.plugin_ctx, NrStr::from_str(entry)) }
    }

    pub fn call_by_id(&self, sid: u64, entry: u32, payload: &[u8]) -> RawStatus {
        let handle = self.table().handle_entry.unwrap();
        // SAFETY: the plugin's function with its context; the payload lives.
        unsafe { handle(self.info.plugin_ctx, entry, sid, NrBytes::from_slice(payload)) }
    }

    pub fn stream_data(&self, sid: u64, data: NrBytes) -> RawStatus {
        // SAFETY: the plugin's function with its context; the data lives or is null.
        unsafe { self.table().stream_data.unwrap()(self.info.plugin_ctx, sid, data) }
    }

    pub fn stream_close(&self, sid: u64) -> RawStatus {
        // SAFETY: the plugin's function with its context.
        unsafe { self.table().stream_close.unwrap()(self.info.plugin_ctx, sid) }
    }

    pub fn cancel(&self, sid: u64) {
        // SAFETY: the plugin's function with its context.
        unsafe { self.table().cancel.unwrap()(self.info.plugin_ctx, sid) };
    }

    pub fn wake(&self, token: u64) {
        // SAFETY: the plugin's function with its context.
        unsafe { self.table().wake.unwrap()(self.info.plugin_ctx, token) };
    }

    pub fn host_call_done(&self, token: u64, status: RawStatus, payload: &[u8]) {
        let done = self.table().host_call_done.unwrap();
        // SAFETY: the plugin's function with its context; the payload lives.
        unsafe { done(self.info.plugin_ctx, token, status, NrBytes::from_slice(payload)) };
    }

    pub fn quiescent(&self) -> u32 {
        // SAFETY: the plugin's function with its context.
        unsafe { self.table().quiescent.unwrap()(self.info.plugin_ctx) }
    }
}

pub fn seen(by: &'static str, sid: u64, status: RawStatus, bytes: &[u8]) -> Seen {
    Seen { by, sid, status, bytes: bytes.to_vec() }
}
