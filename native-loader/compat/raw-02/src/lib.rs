//! A plugin for nylon-ring 0.2 that drives the ABI itself: every function of the host's table.

use nylon_ring::{NrBytes, NrHostVTable, NrOwnedBytes, NrStatus, NrVec, define_plugin};
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering::SeqCst};

static CTX: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static HOST: AtomicPtr<NrHostVTable> = AtomicPtr::new(std::ptr::null_mut());
static COUNT: AtomicU64 = AtomicU64::new(0);

unsafe fn init(ctx: *mut c_void, host: *const NrHostVTable) -> NrStatus {
    CTX.store(ctx, SeqCst);
    HOST.store(host.cast_mut(), SeqCst);
    NrStatus::Ok
}

fn shutdown() {
    HOST.store(std::ptr::null_mut(), SeqCst);
}

fn host() -> &'static NrHostVTable {
    unsafe { &*HOST.load(SeqCst) }
}

fn send(sid: u64, status: NrStatus, bytes: Vec<u8>) -> NrStatus {
    unsafe { (host().send_result)(CTX.load(SeqCst), sid, status, NrVec::from_vec(bytes)) }
}

fn bytes(payload: NrBytes) -> Vec<u8> {
    unsafe { payload.as_slice() }.unwrap().to_vec()
}

unsafe fn echo(sid: u64, payload: NrBytes) -> NrStatus {
    send(sid, NrStatus::Ok, bytes(payload))
}

unsafe fn count(sid: u64, _: NrBytes) -> NrStatus {
    let now = COUNT.fetch_add(1, SeqCst) + 1;
    send(sid, NrStatus::Ok, now.to_le_bytes().to_vec())
}

unsafe fn later(sid: u64, payload: NrBytes) -> NrStatus {
    let bytes = bytes(payload);
    std::thread::spawn(move || send(sid, NrStatus::Ok, bytes));
    NrStatus::Ok
}

unsafe fn owned(sid: u64, _: NrBytes) -> NrStatus {
    let bytes = NrOwnedBytes::from_static(&[b'o'; 10_000]);
    unsafe { (host().send_result_owned)(CTX.load(SeqCst), sid, NrStatus::Ok, bytes) }
}

unsafe fn lease(sid: u64, _: NrBytes) -> NrStatus {
    let ctx = CTX.load(SeqCst);
    let lease = unsafe { (host().acquire_result_buffer)(ctx, sid, 9000) };
    unsafe { lease.ptr.write_bytes(b'l', 8000) };
    let wrong = unsafe { (host().commit_result_buffer)(ctx, sid, NrStatus::Ok, lease.token, 9001) };
    assert_eq!(wrong, NrStatus::Invalid);
    unsafe { (host().commit_result_buffer)(ctx, sid, NrStatus::Ok, lease.token, 8000) }
}

unsafe fn panics(_: u64, _: NrBytes) -> NrStatus {
    panic!("as asked")
}

unsafe fn frames(sid: u64, payload: NrBytes) -> NrStatus {
    let count = bytes(payload)[0];
    for n in 0..count {
        if send(sid, NrStatus::Ok, vec![n]) == NrStatus::Backpressure {
            return send(sid, NrStatus::StreamEnd, vec![n, b'!']);
        }
    }
    send(sid, NrStatus::StreamEnd, b"end".to_vec())
}

unsafe fn duplex(_: u64, _: NrBytes) -> NrStatus {
    NrStatus::Ok
}

unsafe fn data(sid: u64, data: NrBytes) -> NrStatus {
    send(sid, NrStatus::Ok, bytes(data))
}

unsafe fn close(sid: u64) -> NrStatus {
    send(sid, NrStatus::StreamEnd, Vec::new())
}

define_plugin! {
    init: init,
    shutdown: shutdown,
    entries: {
        "echo" => echo,
        "count" => count,
        "later" => later,
        "owned" => owned,
        "lease" => lease,
        "panics" => panics,
        "frames" => frames,
        "duplex" => duplex,
    },
    stream_handlers: { data: data, close: close }
}
