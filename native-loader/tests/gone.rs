//! What a plugin leaves behind whose library is unmapped: nothing.
//!
//! One test: it counts the memory of the whole process.

#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

mod support;

use ringbox_native::Unmapped;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering::SeqCst};
use std::time::Duration;
use support::{EXT, loaded, told};

/// How much is allocated now.
static LIVE: AtomicI64 = AtomicI64::new(0);

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as i64, SeqCst);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, SeqCst);
        // SAFETY: what was allocated here was allocated by the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[test]
fn a_plugin_that_is_unmapped_leaves_nothing() {
    let library = c_plugin!(EXT);
    let pass = || {
        let plugin = loaded(&library);
        told(plugin.link(), "echo", b"x");
        assert_eq!(plugin.unload_and_unmap(Duration::ZERO), Ok(Unmapped::Gone));
        // It can be asked still what it is and what it holds.
        assert_eq!(plugin.usage().timers, 0);
    };
    // What the last thousand did is remembered.
    for _ in 0..1100 {
        pass();
    }
    const MANY: i64 = 320;
    let before = LIVE.load(SeqCst);
    for _ in 0..MANY {
        pass();
    }
    let left = LIVE.load(SeqCst) - before;
    assert!(left < 20 * MANY, "{MANY} leave {left} bytes");
}
