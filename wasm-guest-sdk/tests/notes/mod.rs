//! A host that answers nobody: it takes notes.

#![expect(unsafe_code, reason = "it is the ABI's other side")]
#![expect(unreachable_pub, reason = "it is one test program's")]

use ringbox_abi::raw::{HostVTable, PluginInfo};
use ringbox_abi::v1::{NrBytes, NrPluginInfo, NrStr};
use ringbox_abi::{Headers, NrHostExt, NrPluginExt, NrVec, OwnedBytes, RawStatus, Request};
use std::ffi::c_void;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// An answer, or a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub sid: u64,
    pub status: u32,
    pub bytes: String,
}

/// A timer that was asked for.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Ask {
    pub token: u64,
    pub nanos: u64,
}

struct Notes {
    said: Vec<Said>,
    asked: Vec<Ask>,
    logged: Vec<String>,
    frames: usize,
    timers: usize,
}

/// One plugin that runs.
pub struct Driver {
    notes: &'static Mutex<Notes>,
    info: &'static PluginInfo,
    ext: &'static NrPluginExt,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// # Safety
/// As the host's functions get it: the address of notes.
unsafe fn notes<'a>(ctx: *mut c_void) -> MutexGuard<'a, Notes> {
    // SAFETY: asked of the caller; the notes are leaked.
    lock(unsafe { &*ctx.cast::<Mutex<Notes>>() })
}

unsafe extern "C" fn send_result(ctx: *mut c_void, sid: u64, status: RawStatus, payload: NrBytes) {
    // SAFETY: the plugin's view, borrowed for this call.
    let bytes = unsafe { payload.as_slice() }.unwrap();
    let bytes = String::from_utf8_lossy(bytes).into_owned();
    // SAFETY: the context that this host handed over.
    unsafe { notes(ctx) }.said.push(Said { sid, status: status.0, bytes });
}

unsafe extern "C" fn send_owned(
    ctx: *mut c_void,
    sid: u64,
    status: RawStatus,
    payload: NrVec,
) -> RawStatus {
    // SAFETY: the plugin has given it away.
    let bytes = unsafe { OwnedBytes::adopt(payload, u64::MAX) }.unwrap().to_vec();
    let bytes = String::from_utf8_lossy(&bytes).into_owned();
    // SAFETY: the context that this host handed over.
    unsafe { notes(ctx) }.said.push(Said { sid, status: status.0, bytes });
    RawStatus::OK
}

unsafe extern "C" fn send_frame(
    ctx: *mut c_void,
    sid: u64,
    status: RawStatus,
    payload: NrBytes,
) -> RawStatus {
    // SAFETY: the context that this host handed over.
    let mut notes = unsafe { notes(ctx) };
    if notes.frames == 0 {
        return RawStatus::BACKPRESSURE;
    }
    notes.frames -= 1;
    drop(notes);
    // SAFETY: as this function was called.
    unsafe { send_result(ctx, sid, status, payload) };
    RawStatus::OK
}

unsafe extern "C" fn wake_after(ctx: *mut c_void, token: u64, nanos: u64) -> RawStatus {
    // SAFETY: the context that this host handed over.
    let mut notes = unsafe { notes(ctx) };
    if notes.asked.len() >= notes.timers {
        return RawStatus::BACKPRESSURE;
    }
    notes.asked.push(Ask { token, nanos });
    RawStatus::OK
}

unsafe extern "C" fn log(ctx: *mut c_void, _: u32, message: NrStr) {
    // SAFETY: the plugin's view, borrowed for this call.
    let message = unsafe { message.as_str() }.unwrap().to_owned();
    // SAFETY: the context that this host handed over.
    unsafe { notes(ctx) }.logged.push(message);
}

static VTABLE: HostVTable = HostVTable { send_result };

static EXT: NrHostExt = NrHostExt {
    send_frame: Some(send_frame),
    send_owned: Some(send_owned),
    wake_after: Some(wake_after),
    log: Some(log),
    ..NrHostExt::EMPTY
};

impl Driver {
    pub fn start(info: *const NrPluginInfo, ext: *const NrPluginExt) -> Self {
        let notes = Notes {
            said: Vec::new(),
            asked: Vec::new(),
            logged: Vec::new(),
            frames: usize::MAX,
            timers: 1024,
        };
        let driver = Self {
            notes: Box::leak(Box::new(Mutex::new(notes))),
            // SAFETY: the plugin's static table.
            info: unsafe { &*info.cast::<PluginInfo>() },
            // SAFETY: as above.
            ext: unsafe { &*ext },
        };
        let (plugin, host) = (driver.info.plugin_ctx, driver.ctx());
        // SAFETY: the plugin's function, with the host's table and its context.
        let attached = unsafe { driver.ext.attach.unwrap()(plugin, host, &raw const EXT) };
        assert_eq!(attached, RawStatus::OK);
        // SAFETY: as above.
        let started = unsafe { driver.table().init.unwrap()(plugin, host, &raw const VTABLE) };
        assert_eq!(started, RawStatus::OK);
        driver
    }

    fn ctx(&self) -> *mut c_void {
        std::ptr::from_ref(self.notes).cast_mut().cast()
    }

    fn table(&self) -> &'static ringbox_abi::raw::PluginVTable {
        // SAFETY: the plugin's static table.
        unsafe { &*self.info.vtable }
    }

    pub fn stop(&self) {
        // SAFETY: no other function of the plugin runs.
        unsafe { self.table().shutdown.unwrap()(self.info.plugin_ctx) };
    }

    /// Calls an entry by its name, and by its number if it has one. What dispatch returned.
    pub fn call(&self, entry: &str, sid: u64, payload: &str) -> u32 {
        self.call_bytes(entry, sid, payload.as_bytes())
    }

    pub fn call_bytes(&self, entry: &str, sid: u64, payload: &[u8]) -> u32 {
        let plugin = self.info.plugin_ctx;
        let name = NrStr::try_from_str(entry).unwrap();
        // SAFETY: the plugin's function, with a view that is borrowed for it.
        let number = unsafe { self.ext.resolve_entry.unwrap()(plugin, name) };
        let payload = NrBytes::from_slice(payload);
        // Each way in turn: they must not differ.
        if number != u32::MAX && sid.is_multiple_of(2) {
            let handle_entry = self.ext.handle_entry.unwrap();
            // SAFETY: as above.
            return unsafe { handle_entry(plugin, number, sid, payload) }.0;
        }
        let request = Request::call(entry).unwrap();
        let handle = self.table().handle.unwrap();
        // SAFETY: as above.
        unsafe { handle(plugin, sid, request.as_raw(), payload) }.0
    }

    pub fn request(
        &self,
        sid: u64,
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> u32 {
        let texts = headers.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        let headers = Headers::new(texts.collect()).unwrap();
        let request = Request::new(path, method, query, &headers).unwrap();
        let handle = self.table().handle.unwrap();
        let body = NrBytes::from_slice(body.as_bytes());
        // SAFETY: the plugin's function, with views that are borrowed for it.
        unsafe { handle(self.info.plugin_ctx, sid, request.as_raw(), body) }.0
    }

    pub fn data(&self, sid: u64, data: &str) -> u32 {
        let data = NrBytes::from_slice(data.as_bytes());
        // SAFETY: the plugin's function, with a view that is borrowed for it.
        unsafe { self.ext.stream_data.unwrap()(self.info.plugin_ctx, sid, data) }.0
    }

    pub fn close(&self, sid: u64) -> u32 {
        // SAFETY: the plugin's function.
        unsafe { self.ext.stream_close.unwrap()(self.info.plugin_ctx, sid) }.0
    }

    pub fn cancel(&self, sid: u64) {
        // SAFETY: the plugin's function.
        unsafe { self.ext.cancel.unwrap()(self.info.plugin_ctx, sid) };
    }

    fn wake(&self, ask: Ask) {
        // SAFETY: the plugin's function.
        unsafe { self.ext.wake.unwrap()(self.info.plugin_ctx, ask.token) };
    }

    /// Gives the plugin all wakes that it has asked for so far. How many there were.
    pub fn turn(&self) -> usize {
        let asked = std::mem::take(&mut lock(self.notes).asked);
        asked.iter().for_each(|ask| self.wake(*ask));
        asked.len()
    }

    /// Gives it the first.
    pub fn turn_one(&self) {
        let first = lock(self.notes).asked.remove(0);
        self.wake(first);
    }

    pub fn said(&self) -> Vec<Said> {
        std::mem::take(&mut lock(self.notes).said)
    }

    pub fn logged(&self) -> Vec<String> {
        std::mem::take(&mut lock(self.notes).logged)
    }

    /// What was asked for and hasn't come.
    pub fn asked(&self) -> Vec<Ask> {
        lock(self.notes).asked.clone()
    }

    pub fn asked_nanos(&self) -> Vec<u64> {
        self.asked().iter().map(|ask| ask.nanos).collect()
    }

    pub fn allow_frames(&self, frames: usize) {
        lock(self.notes).frames = frames;
    }

    pub fn allow_timers(&self, timers: usize) {
        lock(self.notes).timers = timers;
    }
}
