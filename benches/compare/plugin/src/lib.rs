//! Our plugin: version 1 and its extension, written by hand. Its entries do what the peer's do.

#![expect(unsafe_code, reason = "it is the ABI's other side")]

use compare_mailbox::Mailbox;
use ringbox_abi::raw::{HostVTable, NR_ABI_VERSION, PluginInfo, PluginVTable};
use ringbox_abi::v1::{NrBytes, NrPluginInfo, NrRequest, NrStr};
use ringbox_abi::{NR_NO_ENTRY, NrPluginExt, RawStatus};
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

/// How many frames a stream has.
const FRAMES: usize = 60;

static CTX: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static HOST: AtomicPtr<HostVTable> = AtomicPtr::new(null_mut());
static MAILBOX: Mailbox = Mailbox::new();

static VTABLE: PluginVTable =
    PluginVTable { init: Some(init), handle: Some(handle), shutdown: Some(shutdown) };

static INFO: PluginInfo = PluginInfo {
    abi_version: NR_ABI_VERSION,
    struct_size: size_of::<PluginInfo>() as u32,
    name: text("compare-plugin"),
    version: text("0.1.0"),
    plugin_ctx: null_mut(),
    vtable: &raw const VTABLE,
};

static EXT: NrPluginExt = NrPluginExt {
    resolve_entry: Some(resolve_entry),
    handle_entry: Some(handle_entry),
    ..NrPluginExt::EMPTY
};

const fn text(text: &'static str) -> NrStr {
    NrStr { ptr: text.as_ptr(), len: text.len() as u32 }
}

/// Version 1's export.
#[unsafe(no_mangle)]
pub extern "C" fn nylon_ring_get_plugin_v1() -> *const NrPluginInfo {
    (&raw const INFO).cast()
}

/// The extension's export.
#[unsafe(no_mangle)]
pub extern "C" fn nylon_ring_get_plugin_ext_v1() -> *const NrPluginExt {
    &raw const EXT
}

/// It contains its own panics, as its ABI says: so `handle_entry` jumps to it, as in plugins that
/// `define_plugin!` makes.
type Entry = extern "C" fn(u64, NrBytes) -> RawStatus;

static ENTRIES: [(&str, Entry); 6] = [
    ("echo", echo),
    ("nothing", nothing),
    ("frames", frames),
    ("later", later),
    ("work", work),
    ("rest", rest),
];

fn send(sid: u64, status: RawStatus, payload: NrBytes) {
    // SAFETY: `init` came first, and the host's table stays.
    let host = unsafe { &*HOST.load(Relaxed) };
    // SAFETY: the host's function, its own context, and bytes that live for the call.
    unsafe { (host.send_result)(CTX.load(Relaxed), sid, status, payload) };
}

fn bytes<'a>(payload: NrBytes) -> &'a [u8] {
    // SAFETY: the host's view, used before the entry returns.
    unsafe { payload.as_slice() }.unwrap_or_default()
}

extern "C" fn echo(sid: u64, payload: NrBytes) -> RawStatus {
    contain(|| {
        send(sid, RawStatus::OK, payload);
        RawStatus::OK
    })
}

extern "C" fn nothing(_: u64, _: NrBytes) -> RawStatus {
    RawStatus::OK
}

extern "C" fn frames(sid: u64, payload: NrBytes) -> RawStatus {
    contain(|| {
        for _ in 0..FRAMES {
            send(sid, RawStatus::OK, payload);
        }
        send(sid, RawStatus::STREAM_END, NrBytes::from_slice(b""));
        RawStatus::OK
    })
}

extern "C" fn later(sid: u64, payload: NrBytes) -> RawStatus {
    contain(|| if MAILBOX.post(sid, bytes(payload)) { RawStatus::OK } else { RawStatus::ERR })
}

extern "C" fn work(_: u64, _: NrBytes) -> RawStatus {
    set_working(true)
}

extern "C" fn rest(_: u64, _: NrBytes) -> RawStatus {
    set_working(false)
}

fn set_working(wanted: bool) -> RawStatus {
    contain(|| {
        MAILBOX.set_working(wanted, |sid, bytes| {
            send(sid, RawStatus::OK, NrBytes::from_slice(bytes));
        });
        RawStatus::OK
    })
}

/// Reads every header, and answers with what they add up to.
fn request(sid: u64, request: &NrRequest) -> RawStatus {
    let mut sum = 0u64;
    for at in 0..request.headers_len as usize {
        // SAFETY: the host lends as many headers as it says.
        let header = unsafe { &*request.headers.add(at) };
        for text in [header.key, header.value] {
            sum = name(text).iter().fold(sum, |sum, byte| sum.wrapping_add(u64::from(*byte)));
        }
    }
    send(sid, RawStatus::OK, NrBytes::from_slice(&sum.to_le_bytes()));
    RawStatus::OK
}

fn name<'a>(text: NrStr) -> &'a [u8] {
    if text.ptr.is_null() {
        return &[];
    }
    // SAFETY: the host's view, used before the entry returns.
    unsafe { std::slice::from_raw_parts(text.ptr, text.len as usize) }
}

/// As the peer's macro does it: nothing unwinds into the host.
#[inline(always)]
fn contain(body: impl FnOnce() -> RawStatus) -> RawStatus {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(RawStatus::PANIC)
}

unsafe extern "C" fn init(
    _: *mut c_void,
    host_ctx: *mut c_void,
    host: *const HostVTable,
) -> RawStatus {
    CTX.store(host_ctx, Relaxed);
    HOST.store(host.cast_mut(), Relaxed);
    RawStatus::OK
}

unsafe extern "C" fn shutdown(_: *mut c_void) {}

unsafe extern "C" fn handle(
    _: *mut c_void,
    sid: u64,
    req: *const NrRequest,
    payload: NrBytes,
) -> RawStatus {
    // SAFETY: null, or the host's request, lent for this call.
    let Some(req) = (unsafe { req.as_ref() }) else { return RawStatus::INVALID };
    match name(req.path) {
        b"echo" => echo(sid, payload),
        b"nothing" => nothing(sid, payload),
        b"frames" => frames(sid, payload),
        b"later" => later(sid, payload),
        b"work" => work(sid, payload),
        b"rest" => rest(sid, payload),
        b"/request" => contain(|| request(sid, req)),
        _ => RawStatus::UNSUPPORTED,
    }
}

unsafe extern "C" fn resolve_entry(_: *mut c_void, wanted: NrStr) -> u32 {
    let wanted = name(wanted);
    let at = ENTRIES.iter().position(|(entry, _)| wanted == entry.as_bytes());
    at.map_or(NR_NO_ENTRY, |at| at as u32)
}

unsafe extern "C" fn handle_entry(
    _: *mut c_void,
    entry: u32,
    sid: u64,
    payload: NrBytes,
) -> RawStatus {
    match ENTRIES.get(entry as usize) {
        Some((_, call)) => call(sid, payload),
        None => RawStatus::INVALID,
    }
}
