//! The peer's plugin: its macro, and entries that do what ours do. `echo` answers with a vector, `lend` in
//! the way that is fastest for bytes which have to be written.

#![expect(unsafe_code, reason = "the peer's macro takes unsafe functions")]
#![expect(
    missing_docs,
    clippy::undocumented_unsafe_blocks,
    clippy::missing_safety_doc,
    reason = "what the peer's macro makes"
)]

use compare_mailbox::Mailbox;
use nylon_ring::{NrBytes, NrHostVTable, NrStatus, NrVec, define_plugin};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

const FRAMES: usize = 60;

static CTX: AtomicPtr<c_void> = AtomicPtr::new(null_mut());
static HOST: AtomicPtr<NrHostVTable> = AtomicPtr::new(null_mut());
static MAILBOX: Mailbox = Mailbox::new();

unsafe fn init(ctx: *mut c_void, host: *const NrHostVTable) -> NrStatus {
    CTX.store(ctx, Relaxed);
    HOST.store(host.cast_mut(), Relaxed);
    NrStatus::Ok
}

fn shutdown() {}

fn host() -> &'static NrHostVTable {
    unsafe { &*HOST.load(Relaxed) }
}

fn send(sid: u64, status: NrStatus, bytes: &[u8]) -> NrStatus {
    let payload = if bytes.is_empty() { NrVec::default() } else { NrVec::from_vec(bytes.to_vec()) };
    unsafe { (host().send_result)(CTX.load(Relaxed), sid, status, payload) }
}

fn lease(sid: u64, bytes: &[u8]) -> NrStatus {
    let ctx = CTX.load(Relaxed);
    let lease = unsafe { (host().acquire_result_buffer)(ctx, sid, bytes.len() as u64) };
    if lease.is_failed() {
        return send(sid, NrStatus::Ok, bytes);
    }
    unsafe { lease.ptr.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    let len = bytes.len() as u64;
    unsafe { (host().commit_result_buffer)(ctx, sid, NrStatus::Ok, lease.token, len) }
}

fn bytes<'a>(payload: NrBytes) -> &'a [u8] {
    unsafe { payload.as_slice() }.unwrap_or_default()
}

/// By `send_result`, with a vector.
unsafe fn echo(sid: u64, payload: NrBytes) -> NrStatus {
    send(sid, NrStatus::Ok, bytes(payload))
}

/// Into a buffer that the host lends.
unsafe fn lend(sid: u64, payload: NrBytes) -> NrStatus {
    let bytes = bytes(payload);
    if bytes.is_empty() { send(sid, NrStatus::Ok, bytes) } else { lease(sid, bytes) }
}

unsafe fn nothing(_: u64, _: NrBytes) -> NrStatus {
    NrStatus::Ok
}

unsafe fn frames(sid: u64, payload: NrBytes) -> NrStatus {
    let bytes = bytes(payload);
    for _ in 0..FRAMES {
        send(sid, NrStatus::Ok, bytes);
    }
    send(sid, NrStatus::StreamEnd, b"");
    NrStatus::Ok
}

unsafe fn later(sid: u64, payload: NrBytes) -> NrStatus {
    if MAILBOX.post(sid, bytes(payload)) { NrStatus::Ok } else { NrStatus::Err }
}

unsafe fn work(_: u64, _: NrBytes) -> NrStatus {
    set_working(true)
}

unsafe fn rest(_: u64, _: NrBytes) -> NrStatus {
    set_working(false)
}

fn set_working(wanted: bool) -> NrStatus {
    MAILBOX.set_working(wanted, |sid, bytes| {
        send(sid, NrStatus::Ok, bytes);
    });
    NrStatus::Ok
}

define_plugin! {
    init: init,
    shutdown: shutdown,
    entries: {
        "echo" => echo,
        "lend" => lend,
        "nothing" => nothing,
        "frames" => frames,
        "later" => later,
        "work" => work,
        "rest" => rest,
    }
}
