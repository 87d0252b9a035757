//! What a plugin holds of its host: the address of a `Context`, for as long as its code is there.
//!
//! | field | who writes it |
//! |---|---|
//! | `port`, `answer_limit`, limits | nobody after `open` |
//! | `stage` | the loader, once each: OPENING to SERVING (or not), then to OVER, then to ENDED |
//! | `wake` | the loader, before the plugin is attached |
//! | counts | whoever holds what is counted |

#![expect(unsafe_code, reason = "foreign code holds a context by its address")]

use crate::lease::Leases;
use crate::log::LogRate;
use crate::options::Options;
use crate::timer;
use ringbox_abi::v1::NrBytes;
use ringbox_abi::{RawStatus, ViewError};
use ringbox_ring::{Delivery, Fault, Port, Sid};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// One load of one plugin. Its address is what the plugin's code answers with, also when it is
/// late: so it is freed only once that code is unmapped ([`Kept::free`]), which it mostly never is.
#[repr(C)]
pub(crate) struct Context {
    /// First, with what each answer looks at.
    pub(crate) port: Port,
    answer_limit: u64,
    pub(crate) state_limit: u64,
    stage: AtomicU8,
    wake: OnceLock<Wake>,
    pub(crate) timer_limit: usize,
    /// Wakes that were asked for and have not come.
    pub(crate) timers: AtomicUsize,
    /// Bytes of the plugin's that replies hold.
    given: AtomicUsize,
    pub(crate) leases: Leases,
    pub(crate) log: LogRate,
}

/// A context as the loader keeps it: the box that it was made in, which is what may be freed. (What a
/// shared reference to it leads to may only be looked at.)
#[derive(Copy, Clone)]
pub(crate) struct Kept(NonNull<Context>);

// SAFETY: a `Context` is `Sync`, and any thread may free it.
unsafe impl Send for Kept {}
// SAFETY: as above.
unsafe impl Sync for Kept {}

/// The plugin's context, which the host hands back to its functions and does not look into.
#[derive(Debug, Copy, Clone)]
#[repr(transparent)]
pub(crate) struct PluginCtx(pub(crate) *mut c_void);

// SAFETY: by the ABI a plugin's functions are called with it from any thread, at the same time.
unsafe impl Send for PluginCtx {}
// SAFETY: as above.
unsafe impl Sync for PluginCtx {}

/// How the host wakes the plugin.
#[derive(Debug, Copy, Clone)]
pub(crate) struct Wake {
    pub(crate) ctx: PluginCtx,
    pub(crate) function: unsafe extern "C" fn(plugin_ctx: *mut c_void, token: u64),
}

const OPENING: u8 = 0;
const SERVING: u8 = 1;
const OVER: u8 = 2;
/// Over, and whoever said so looks at the context no more.
const ENDED: u8 = 3;

/// What became of a wake.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub(crate) enum Woken {
    Done,
    /// The plugin is still being started, and can't be called yet.
    NotYet,
}

impl Context {
    pub(crate) fn open(port: Port, options: &Options) -> Kept {
        Kept(NonNull::from(Box::leak(Box::new(Self {
            port,
            answer_limit: options.limits.answer_bytes.min(isize::MAX as usize) as u64,
            state_limit: options.limits.state_bytes as u64,
            stage: AtomicU8::new(OPENING),
            wake: OnceLock::new(),
            timer_limit: options.timers,
            timers: AtomicUsize::new(0),
            given: AtomicUsize::new(0),
            leases: Leases::new(options.leases, options.lease_bytes),
            log: LogRate::new(options.log_lines),
        }))))
    }

    pub(crate) fn as_raw(&'static self) -> *mut c_void {
        std::ptr::from_ref(self).cast_mut().cast()
    }

    /// # Safety
    /// `raw` is null, or what `as_raw` returned in this process, and the caller's code is the
    /// plugin's, which is mapped.
    #[inline(always)]
    pub(crate) unsafe fn from_raw(raw: *mut c_void) -> Option<&'static Self> {
        // SAFETY: as required above, null or the address of a leaked `Context`, which is freed only
        // when the plugin's code is gone.
        unsafe { raw.cast::<Self>().as_ref() }
    }

    /// The plugin can be called from here on.
    pub(crate) fn serve(&self) {
        self.stage.store(SERVING, Ordering::Release);
    }

    /// The plugin's `shutdown` has returned, or it never started.
    pub(crate) fn end(&'static self) {
        self.stage.store(OVER, Ordering::Release);
        timer::forget(self);
        self.stage.store(ENDED, Ordering::Release);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stage.load(Ordering::Acquire) >= OVER
    }

    pub(crate) fn set_wake(&self, wake: Wake) {
        let _ = self.wake.set(wake);
    }

    pub(crate) fn can_wake(&self) -> bool {
        self.wake.get().is_some() && !self.is_over()
    }

    /// Calls the plugin's `wake`, unless it is gone.
    pub(crate) fn wake(&self, token: u64) -> Woken {
        match (self.stage.load(Ordering::Acquire), self.wake.get()) {
            (OPENING, _) => return Woken::NotYet,
            (SERVING, Some(wake)) => {
                self.port.visit(|| {
                    // SAFETY: the function and the context are the plugin's own (`set_wake`), and
                    // the visit keeps it from being shut down meanwhile.
                    unsafe { (wake.function)(wake.ctx.0, token) };
                });
            }
            _ => {}
        }
        Woken::Done
    }

    /// The bytes of a plugin's view, if they may be an answer.
    ///
    /// # Safety
    /// As [`NrBytes::as_slice`], for views of no more than the answer's limit.
    #[inline(always)]
    pub(crate) unsafe fn bytes<'a>(&self, payload: NrBytes) -> Result<&'a [u8], Fault> {
        // SAFETY: asked of the caller.
        match unsafe { self.plain(payload) } {
            Some(bytes) => Ok(bytes),
            None => self.odd_bytes(payload),
        }
    }

    /// The same, if the view is neither null nor too long.
    ///
    /// # Safety
    /// As for [`bytes`](Self::bytes).
    #[inline(always)]
    pub(crate) unsafe fn plain<'a>(&self, payload: NrBytes) -> Option<&'a [u8]> {
        if payload.ptr.is_null() || payload.len > self.answer_limit {
            return None;
        }
        // SAFETY: the pointer is not null and the length is no more than `isize::MAX`, as the limit
        // is; the caller vouches for the rest.
        Some(unsafe { std::slice::from_raw_parts(payload.ptr, payload.len as usize) })
    }

    /// The bytes of a view that is not plain: null, as an empty one may be, or longer than an
    /// answer.
    #[cold]
    #[inline(never)]
    pub(crate) fn odd_bytes<'a>(&self, payload: NrBytes) -> Result<&'a [u8], Fault> {
        if payload.ptr.is_null() && payload.len == 0 {
            return Ok(&[]);
        }
        Err(self.too_long(payload.ptr, payload.len))
    }

    /// What is wrong with a view that is longer than an answer may be.
    #[cold]
    fn too_long(&self, ptr: *const u8, len: u64) -> Fault {
        if ptr.is_null() {
            return Fault::BadView(ViewError::NullPointer { len });
        }
        let most = isize::MAX as u64;
        if len > most {
            return Fault::BadView(ViewError::TooLong { len, limit: most });
        }
        Fault::TooLarge { len, limit: self.port.limits().answer_bytes }
    }

    /// The fault that an owned payload's error comes to.
    #[cold]
    pub(crate) fn bad_view(&self, ptr: *const u8, len: u64, error: ViewError) -> Fault {
        match error {
            ViewError::TooLong { .. } => self.too_long(ptr, len),
            error => Fault::BadView(error),
        }
    }

    /// Ends the call, and is what its plugin is told.
    #[cold]
    pub(crate) fn fault(&self, sid: u64, fault: Fault) -> RawStatus {
        let _ = self.port.fault(Sid::from_raw(sid), fault);
        RawStatus::INVALID
    }

    /// How many answers hold bytes that only the plugin can free.
    pub(crate) fn given(&self) -> usize {
        self.given.load(Ordering::Acquire)
    }

    pub(crate) fn count_given(&'static self) -> GivenCount {
        self.given.fetch_add(1, Ordering::Relaxed);
        GivenCount(self)
    }

    pub(crate) fn answer_limit(&self) -> u64 {
        self.answer_limit
    }
}

impl Kept {
    pub(crate) fn get(self) -> &'static Context {
        // SAFETY: the box was leaked, and `free` asks that nobody looks at it afterwards.
        unsafe { self.0.as_ref() }
    }

    /// Frees it, if nothing of the host's looks at it any more.
    ///
    /// # Safety
    /// No code of the plugin's is mapped, its backend is gone, and the caller looks at it no more.
    pub(crate) unsafe fn free(self) {
        let context = self.get();
        // Each of these is the last that its thread does with it.
        let is_ended = context.stage.load(Ordering::Acquire) == ENDED;
        if is_ended && context.timers.load(Ordering::Acquire) == 0 && context.given() == 0 {
            // SAFETY: the pointer is what `open` made of the box. Of those who know its address, the
            // plugin and its backend are gone, says the caller; the end, the timers and the replies
            // were just seen to be done with it.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

/// Keeps the plugin mapped for as long as it lives.
pub(crate) struct GivenCount(&'static Context);

impl Drop for GivenCount {
    fn drop(&mut self) {
        self.0.given.fetch_sub(1, Ordering::Release);
    }
}

/// What the plugin is told of an answer's or a frame's fate.
#[inline(always)]
pub(crate) fn told(sid: u64, delivery: Delivery) -> RawStatus {
    match delivery {
        Delivery::Taken => RawStatus::OK,
        Delivery::Full => RawStatus::BACKPRESSURE,
        // An answer that nobody expects is as good as any.
        Delivery::Dropped if Sid::from_raw(sid).is_notify() => RawStatus::OK,
        Delivery::Dropped => RawStatus::INVALID,
    }
}
