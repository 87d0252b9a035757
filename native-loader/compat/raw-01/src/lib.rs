//! A plugin for nylon-ring 0.1.

use nylon_ring::{NrBytes, NrHostVTable, NrStatus, NrVec, define_plugin};
use std::ffi::c_void;
use std::sync::atomic::{AtomicPtr, Ordering::SeqCst};

static CTX: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
static HOST: AtomicPtr<NrHostVTable> = AtomicPtr::new(std::ptr::null_mut());

unsafe fn init(ctx: *mut c_void, host: *const NrHostVTable) -> NrStatus {
    CTX.store(ctx, SeqCst);
    HOST.store(host.cast_mut(), SeqCst);
    NrStatus::Ok
}

fn shutdown() {}

fn send(sid: u64, status: NrStatus, bytes: Vec<u8>) -> NrStatus {
    let host = unsafe { &*HOST.load(SeqCst) };
    unsafe { (host.send_result)(CTX.load(SeqCst), sid, status, NrVec::from_vec(bytes)) }
}

fn bytes(payload: NrBytes) -> Vec<u8> {
    unsafe { payload.as_slice() }.unwrap().to_vec()
}

unsafe fn echo(sid: u64, payload: NrBytes) -> NrStatus {
    send(sid, NrStatus::Ok, bytes(payload))
}

unsafe fn later(sid: u64, payload: NrBytes) -> NrStatus {
    let bytes = bytes(payload);
    std::thread::spawn(move || send(sid, NrStatus::Ok, bytes));
    NrStatus::Ok
}

unsafe fn frames(sid: u64, payload: NrBytes) -> NrStatus {
    for n in 0..bytes(payload)[0] {
        send(sid, NrStatus::Ok, vec![n]);
    }
    send(sid, NrStatus::StreamEnd, b"end".to_vec())
}

define_plugin! {
    init: init,
    shutdown: shutdown,
    entries: { "echo" => echo, "later" => later, "frames" => frames }
}
