//! Bytes that change hands are released once, on every path.

#![expect(unsafe_code, reason = "plays the foreign module that gives its bytes away")]

use std::{
    ffi::c_void,
    ptr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use ringbox_abi::{NrOwnedBytes, NrVec, OwnedBytes, ViewError, v1::NrBytes};

const LIMIT: u64 = 1 << 20;

/// Bytes that count their releases. The counter hides behind the bytes, in the same allocation.
#[repr(C)]
struct Counted {
    bytes: [u8; 8],
    releases: Arc<AtomicU32>,
}

unsafe extern "C" fn release(ptr: *mut u8, len: u64, cap: u64) {
    assert_eq!(cap, 8, "the capacity comes back as it was sent");
    assert!(len <= 8 || len > LIMIT, "the length comes back as it was sent");
    // SAFETY: `counted` made the pointer out of such a box, and this is its one release.
    let counted = unsafe { Box::from_raw(ptr.cast::<Counted>()) };
    counted.releases.fetch_add(1, Ordering::SeqCst);
}

fn counted(len: u64) -> (NrVec, Arc<AtomicU32>) {
    let releases = Arc::new(AtomicU32::new(0));
    let counted = Box::new(Counted { bytes: *b"abcdefgh", releases: Arc::clone(&releases) });
    assert_eq!(counted.bytes.len(), 8);
    let raw = NrVec {
        ptr: Box::into_raw(counted).cast(),
        len,
        cap: 8,
        owned: 1,
        _reserved: [0; 7],
        release: Some(release),
    };
    (raw, releases)
}

fn adopt(raw: NrVec) -> Result<OwnedBytes, ViewError> {
    // SAFETY: the tests give live bytes with the function that is right for them, once.
    unsafe { OwnedBytes::adopt(raw, LIMIT) }
}

#[test]
fn dropping_releases_once() {
    let (raw, releases) = counted(3);
    let bytes = adopt(raw).unwrap();
    assert_eq!(&*bytes, b"abc");
    assert!(bytes.is_foreign());
    assert_eq!(releases.load(Ordering::SeqCst), 0, "not while in use");
    drop(bytes);
    assert_eq!(releases.load(Ordering::SeqCst), 1);
}

#[test]
fn an_empty_one_is_released_too() {
    let (raw, releases) = counted(0);
    assert!(adopt(raw).unwrap().is_empty());
    assert_eq!(releases.load(Ordering::SeqCst), 1);
}

#[test]
fn a_refused_one_is_released_at_once() {
    for len in [LIMIT + 1, u64::MAX] {
        let (raw, releases) = counted(len);
        assert_eq!(adopt(raw).unwrap_err(), ViewError::TooLong { len, limit: LIMIT });
        assert_eq!(releases.load(Ordering::SeqCst), 1);
    }
    let (raw, releases) = counted(u64::MAX);
    // SAFETY: without a limit of the caller's it is the language's that refuses.
    let refused = unsafe { OwnedBytes::adopt(raw, u64::MAX) }.unwrap_err();
    assert_eq!(refused, ViewError::TooLong { len: u64::MAX, limit: isize::MAX as u64 });
    assert_eq!(releases.load(Ordering::SeqCst), 1);
}

#[test]
fn copying_out_releases_once() {
    let (raw, releases) = counted(8);
    assert_eq!(adopt(raw).unwrap().into_vec(), b"abcdefgh");
    assert_eq!(releases.load(Ordering::SeqCst), 1);
}

#[test]
fn passing_on_releases_only_at_the_end() {
    let (raw, releases) = counted(5);
    let again = adopt(raw).unwrap().into_raw();
    assert_eq!((again.len, again.cap, again.owned), (5, 8, 1));
    assert_eq!(releases.load(Ordering::SeqCst), 0);
    let end = adopt(again).unwrap();
    std::thread::spawn(move || drop(end)).join().unwrap();
    assert_eq!(releases.load(Ordering::SeqCst), 1);
}

#[test]
fn a_null_pointer_with_a_length_has_nothing_to_release() {
    unsafe extern "C" fn never(_ptr: *mut u8, _len: u64, _cap: u64) {
        unreachable!("released null");
    }
    let raw = NrVec { len: 4, cap: 4, owned: 1, release: Some(never), ..NrVec::EMPTY };
    assert_eq!(adopt(raw).unwrap_err(), ViewError::NullPointer { len: 4 });
    let lent = NrVec { len: 4, ..NrVec::EMPTY };
    assert_eq!(adopt(lent).unwrap_err(), ViewError::NullPointer { len: 4 });
    assert!(adopt(NrVec::EMPTY).unwrap().is_empty());
}

#[test]
fn lent_bytes_are_copied_and_never_released() {
    let mut text = b"lent".to_vec();
    for owned in [0, 2, 255] {
        let raw = NrVec { owned, release: Some(release), ..NrVec::lend(&text) };
        let bytes = adopt(raw).unwrap();
        assert!(!bytes.is_foreign());
        text[0] = b'X';
        assert_eq!(&*bytes, b"lent");
        text[0] = b'l';
    }
    let raw = NrVec { len: LIMIT + 1, ..NrVec::lend(&text) };
    let error = ViewError::TooLong { len: LIMIT + 1, limit: LIMIT };
    assert_eq!(adopt(raw).unwrap_err(), error, "and never copied without bound");
}

#[test]
fn our_own_bytes_make_the_journey() {
    for bytes in [Vec::new(), Vec::with_capacity(100), b"abc".to_vec(), vec![7; 10_000]] {
        let raw = OwnedBytes::from(bytes.clone()).into_raw();
        assert_eq!(adopt(raw).unwrap().into_vec(), bytes);
    }
    let kept = vec![1, 2, 3];
    let address = kept.as_ptr();
    let same = OwnedBytes::from(kept).into_vec();
    assert_eq!(same.as_ptr(), address, "never copied while at home");
}

#[test]
fn owned_bytes_with_a_context_are_released_once_on_every_path() {
    unsafe extern "C" fn count(ctx: *mut c_void, _ptr: *const u8, _len: u64) {
        // SAFETY: the context is the counter below, which outlives every release.
        let releases = unsafe { &*ctx.cast::<AtomicU32>() };
        releases.fetch_add(1, Ordering::SeqCst);
    }
    let releases = AtomicU32::new(0);
    let make = |bytes: NrBytes| NrOwnedBytes {
        ptr: bytes.ptr,
        len: bytes.len,
        owner_ctx: ptr::from_ref(&releases).cast_mut().cast(),
        release: Some(count),
    };
    let adopt = |raw| {
        // SAFETY: static bytes, or none behind what is refused.
        unsafe { OwnedBytes::adopt_owned(raw, LIMIT) }
    };
    let view = NrBytes::from_slice(b"static");
    assert_eq!(&*adopt(make(view)).unwrap(), b"static");
    assert_eq!(releases.swap(0, Ordering::SeqCst), 1);
    assert_eq!(adopt(make(view)).unwrap().into_vec(), b"static");
    assert_eq!(releases.swap(0, Ordering::SeqCst), 1);
    let copy = adopt(make(view)).unwrap().into_raw();
    assert_eq!(releases.swap(0, Ordering::SeqCst), 1, "copied to travel, so released already");
    // SAFETY: our own bytes, adopted once.
    assert_eq!(&*unsafe { OwnedBytes::adopt(copy, LIMIT) }.unwrap(), b"static");
    assert!(adopt(make(NrBytes { len: u64::MAX, ..view })).is_err());
    assert_eq!(releases.swap(0, Ordering::SeqCst), 1);
    assert!(adopt(make(NrBytes { ptr: ptr::null(), len: 1 })).is_err());
    assert_eq!(releases.swap(0, Ordering::SeqCst), 1);
    let bare = NrOwnedBytes { release: None, ..make(view) };
    assert_eq!(&*adopt(bare).unwrap(), b"static");
    assert!(adopt(NrOwnedBytes::EMPTY).unwrap().is_empty());
    assert_eq!(releases.load(Ordering::SeqCst), 0);
}
