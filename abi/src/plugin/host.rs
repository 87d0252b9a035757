//! The plugin's side of the host's tables.

#![expect(unsafe_code, reason = "calls the host's functions with the host's context")]

use std::{
    error::Error,
    ffi::c_void,
    fmt, io,
    ptr::{self, NonNull},
    sync::Arc,
    thread,
    time::Duration,
};

use crate::{
    ExtView, LogLevel, NrBufferLease, NrHostExt, NrVec, OwnedBytes, RawStatus, Status,
    raw::HostVTable,
    v1::{NrBytes, NrStr},
};

/// From here on, giving the bytes away costs less than having the host copy them.
const WORTH_GIVING: usize = 1024;

/// The host, as this plugin may use it: from any thread, cloned as often as needed.
///
/// A host without the extension offers only [`Host::send_result`] and what falls back to it; the
/// other functions answer [`Refused`] with [`Status::Unsupported`] then.
#[derive(Clone)]
pub struct Host {
    /// What every answer needs lies here, and not a pointer away.
    base: Base,
    port: Arc<Port>,
}

/// What `init` brought.
#[derive(Clone, Copy)]
struct Base {
    ctx: *mut c_void,
    vtable: HostVTable,
    extended: bool,
}

/// What `attach` brought. How many there are of it says how many hosts there are.
pub(super) struct Port {
    ext: Option<Attached>,
}

/// What `attach` brought.
#[derive(Clone, Copy)]
pub(super) struct Attached {
    ctx: *mut c_void,
    table: ExtView<NrHostExt>,
}

// SAFETY: by the contract the host's functions may be called with the host's context from any
// thread, at the same time, until the process ends; the tables are copied.
unsafe impl Send for Attached {}
// SAFETY: as above.
unsafe impl Sync for Attached {}
// SAFETY: as above.
unsafe impl Send for Base {}
// SAFETY: as above.
unsafe impl Sync for Base {}

impl Attached {
    /// # Safety
    ///
    /// `table` must have been read from what the host handed to `attach` with `ctx`.
    pub(super) unsafe fn new(ctx: *mut c_void, table: ExtView<NrHostExt>) -> Self {
        Self { ctx, table }
    }

    pub(super) fn log(&self, level: LogLevel, message: &str) {
        // A message that a string view can't hold isn't for a log; it is cut away.
        if let (Some(log), Ok(message)) = (self.table.log, NrStr::try_from_str(message)) {
            // SAFETY: the host's function with the context that came with it; the view borrows
            // `message`, which outlives the call.
            unsafe { log(self.ctx, level.raw(), message) };
        }
    }
}

impl Host {
    /// # Safety
    ///
    /// `ctx` and `vtable` must be those that the host handed to `init`.
    pub(super) unsafe fn new(ctx: *mut c_void, vtable: HostVTable, ext: Option<Attached>) -> Self {
        let base = Base { ctx, vtable, extended: ext.is_some() };
        Self { base, port: Arc::new(Port { ext }) }
    }

    pub(super) fn port(&self) -> &Arc<Port> {
        &self.port
    }

    /// Whether the host has handed over the extension.
    #[inline]
    #[must_use]
    pub fn has_extension(&self) -> bool {
        self.base.extended
    }

    /// Answers `sid`. Whether anybody still waited for it can't be known.
    ///
    /// A host without the extension may know only the first four statuses, and a number it doesn't
    /// know might be more than it can bear. So it gets [`Status::Ok`] for
    /// [`Status::StreamEnd`], and [`Status::Err`] for the others.
    #[inline]
    pub fn send_result(&self, sid: u64, status: Status, payload: &[u8]) {
        let status = if self.has_extension() { status.raw() } else { first_four(status) };
        // SAFETY: the host's function with the host's context, which outlive the process' plugins
        // by contract; the view borrows `payload`, which outlives the call.
        unsafe {
            (self.base.vtable.send_result)(
                self.base.ctx,
                sid,
                status,
                NrBytes::from_slice(payload),
            );
        }
    }

    /// [`Host::send_result`] for bytes that may be given away: without a copy when there are many
    /// of them and the host can take them so.
    pub fn send_owned(&self, sid: u64, status: Status, payload: Vec<u8>) {
        let send = self.port.ext.filter(|_| payload.len() >= WORTH_GIVING);
        if let Some(Attached { ctx, table }) = send
            && let Some(send) = table.send_owned
        {
            let payload = OwnedBytes::from(payload).into_raw();
            // SAFETY: the host's function with the context that came with it; the bytes are the
            // host's from here on, whatever it returns.
            unsafe { send(ctx, sid, status.raw(), payload) };
        } else {
            self.send_result(sid, status, &payload);
        }
    }

    /// Sends a frame of the stream `sid`, or ends it.
    ///
    /// # Errors
    ///
    /// [`Refused`]: with [`Status::Backpressure`] when the queue is full, to be tried again later;
    /// with [`Status::Invalid`] when the stream is over.
    pub fn send_frame(&self, sid: u64, status: Status, payload: &[u8]) -> Result<(), Refused> {
        let (ctx, send) = self.function(|table| table.send_frame)?;
        // SAFETY: the host's function with the context that came with it; the view borrows
        // `payload`, which outlives the call.
        Refused::unless_ok(unsafe { send(ctx, sid, status.raw(), NrBytes::from_slice(payload)) })
    }

    /// Borrows a buffer of the host's, to write an answer where it is wanted.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn acquire_buffer(&self, sid: u64, capacity: usize) -> Result<Lease, Refused> {
        let (ctx, acquire) = self.function(|table| table.acquire_buffer)?;
        let mut raw = NrBufferLease::NONE;
        // SAFETY: the host's function with the context that came with it; `raw` is a live local to
        // write to.
        Refused::unless_ok(unsafe { acquire(ctx, sid, capacity as u64, &raw mut raw) })?;
        let lease = Lease { host: self.clone(), raw, written: 0, over: false };
        let fits = lease.raw.cap >= capacity as u64 && lease.raw.cap <= isize::MAX as u64;
        if lease.raw.ptr.is_null() || !fits {
            return Err(Refused { status: Status::Invalid });
        }
        Ok(lease)
    }

    /// Calls a function of the host's on behalf of `sid`; what it comes to arrives at the plugin's
    /// `host_call_done` with the token returned here.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn host_call(&self, sid: u64, name: &str, payload: &[u8]) -> Result<u64, Refused> {
        let (ctx, call) = self.function(|table| table.host_call)?;
        let name = NrStr::try_from_str(name).map_err(|_| Refused { status: Status::Invalid })?;
        let payload = NrBytes::from_slice(payload);
        let mut token = 0;
        // SAFETY: the host's function with the context that came with it; both views and the place
        // for the token outlive the call.
        Refused::unless_ok(unsafe { call(ctx, sid, name, payload, &raw mut token) })?;
        Ok(token)
    }

    /// Has the plugin's `wake` called with `token` after `delay`.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn wake_after(&self, token: u64, delay: Duration) -> Result<(), Refused> {
        let (ctx, wake_after) = self.function(|table| table.wake_after)?;
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        // SAFETY: the host's function with the context that came with it; it takes numbers only.
        Refused::unless_ok(unsafe { wake_after(ctx, token, nanos) })
    }

    /// Writes to the host's log, if it has one.
    pub fn log(&self, level: LogLevel, message: &str) {
        if let Some(ext) = &self.port.ext {
            ext.log(level, message);
        }
    }

    /// Keeps a value for as long as `sid` lasts.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub fn state_set(&self, sid: u64, key: &str, value: &[u8]) -> Result<(), Refused> {
        let (ctx, set) = self.function(|table| table.state_set)?;
        let key = NrStr::try_from_str(key).map_err(|_| Refused { status: Status::Invalid })?;
        // SAFETY: the host's function with the context that came with it; both views outlive the
        // call.
        Refused::unless_ok(unsafe { set(ctx, sid, key, NrBytes::from_slice(value)) })
    }

    /// A value that was kept.
    ///
    /// # Errors
    ///
    /// [`Refused`]: with [`Status::Invalid`] when there is none.
    pub fn state(&self, sid: u64, key: &str) -> Result<OwnedBytes, Refused> {
        let (ctx, get) = self.function(|table| table.state_get)?;
        let key = NrStr::try_from_str(key).map_err(|_| Refused { status: Status::Invalid })?;
        let mut value = NrVec::EMPTY;
        // SAFETY: the host's function with the context that came with it; the view and the place
        // for the value outlive the call.
        Refused::unless_ok(unsafe { get(ctx, sid, key, &raw mut value) })?;
        // SAFETY: on Ok the host has written a vector that is this plugin's to release; it is moved
        // in here, so adopted once.
        unsafe { OwnedBytes::adopt(value, isize::MAX as u64) }
            .map_err(|_| Refused { status: Status::Invalid })
    }

    /// A promise to answer `sid`, which can go to another thread.
    pub fn responder(&self, sid: u64) -> Responder {
        Responder { host: self.clone(), sid, answered: false }
    }

    fn function<F>(
        &self,
        field: impl FnOnce(&NrHostExt) -> Option<F>,
    ) -> Result<(*mut c_void, F), Refused> {
        let unsupported = Refused { status: Status::Unsupported };
        let ext = self.port.ext.as_ref().ok_or(unsupported)?;
        Ok((ext.ctx, field(&ext.table).ok_or(unsupported)?))
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("extension", &self.has_extension()).finish_non_exhaustive()
    }
}

/// The status for a host that may know only the four of version 1.
pub(super) fn first_four(status: Status) -> RawStatus {
    match status {
        Status::Ok | Status::StreamEnd => RawStatus::OK,
        Status::Invalid => RawStatus::INVALID,
        Status::Unsupported => RawStatus::UNSUPPORTED,
        _ => RawStatus::ERR,
    }
}

/// The host said no.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What it said; [`Status::Unsupported`] also when it couldn't be asked.
    pub status: Status,
}

impl Refused {
    fn unless_ok(status: RawStatus) -> Result<(), Self> {
        match status.meaning() {
            Status::Ok => Ok(()),
            status => Err(Self { status }),
        }
    }

    /// Whether the same may work later.
    #[must_use]
    pub fn is_backpressure(self) -> bool {
        self.status == Status::Backpressure
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Status::Backpressure => f.write_str("the stream's queue is full; try again later"),
            Status::Unsupported => f.write_str("the host does not offer this"),
            status => write!(f, "the host refused: {status}"),
        }
    }
}

impl Error for Refused {}

/// A promise to answer one `sid`. Dropped unanswered, it answers with an error.
#[derive(Debug)]
#[must_use = "dropping it answers with an error"]
pub struct Responder {
    host: Host,
    sid: u64,
    answered: bool,
}

impl Responder {
    /// Whose answer this is.
    #[must_use]
    pub fn sid(&self) -> u64 {
        self.sid
    }

    /// The host.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// Answers.
    pub fn answer(mut self, status: Status, payload: &[u8]) {
        self.answered = true;
        self.host.send_result(self.sid, status, payload);
    }

    /// Answers with bytes that may be given away.
    pub fn answer_owned(mut self, status: Status, payload: Vec<u8>) {
        self.answered = true;
        self.host.send_owned(self.sid, status, payload);
    }

    /// Sends a frame of a stream; the promise stays.
    ///
    /// # Errors
    ///
    /// [`Refused`], as [`Host::send_frame`].
    pub fn frame(&self, payload: &[u8]) -> Result<(), Refused> {
        self.host.send_frame(self.sid, Status::Ok, payload)
    }

    /// Ends a stream.
    pub fn end(self) {
        self.answer(Status::StreamEnd, &[]);
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        if thread::panicking() {
            self.host.send_result(self.sid, Status::Panic, b"the plugin panicked before answering");
        } else {
            self.host.send_result(self.sid, Status::Err, b"the plugin dropped this unanswered");
        }
    }
}

/// A buffer of the host's to write an answer into. Dropped uncommitted, it goes back unused.
///
/// Write through [`io::Write`]; a write beyond the capacity is short, as into a slice.
#[must_use = "nothing is answered before `commit`"]
pub struct Lease {
    host: Host,
    /// Its pointer is valid for writes of `cap` bytes until `over`.
    raw: NrBufferLease,
    /// So many bytes from the start are written. At most `cap`.
    written: usize,
    over: bool,
}

// SAFETY: by contract a lease may be written and given back from any thread; only `&mut self` or an
// owned value does so.
unsafe impl Send for Lease {}

impl Lease {
    /// How many bytes fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.raw.cap as usize
    }

    /// How many bytes have been written.
    #[must_use]
    pub fn written(&self) -> usize {
        self.written
    }

    /// Answers with what has been written.
    ///
    /// # Errors
    ///
    /// [`Refused`]. With [`Status::Backpressure`] the same lease can be committed again later; with
    /// any other it is over.
    pub fn commit(&mut self, status: Status) -> Result<(), Refused> {
        if self.over {
            return Err(Refused { status: Status::Invalid });
        }
        let (ctx, commit) = self.host.function(|table| table.commit_buffer)?;
        let lease = self.travelling();
        // SAFETY: the host's function with the context that came with it; the lease is the host's
        // and not over, and `written` of its bytes are initialized.
        let result = unsafe { commit(ctx, lease, status.raw(), self.written as u64) };
        let result = Refused::unless_ok(result);
        self.over = !result.is_err_and(Refused::is_backpressure);
        result
    }

    fn travelling(&self) -> NrBufferLease {
        NrBufferLease { ..self.raw }
    }
}

impl io::Write for Lease {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = if self.over { 0 } else { self.capacity() - self.written };
        let count = bytes.len().min(room);
        let Some(start) = NonNull::new(self.raw.ptr).filter(|_| count > 0) else {
            return Ok(0);
        };
        // SAFETY: `written` is at most the capacity, which is at most isize::MAX (checked when the
        // lease was made), so the sum stays inside the buffer.
        let to = unsafe { start.add(self.written) };
        // SAFETY: `count` bytes from there still fit, and the buffer is this lease's alone until it
        // is over, so `bytes` is no part of it.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to.as_ptr(), count) };
        self.written += count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.over || self.raw.ptr.is_null() {
            return;
        }
        // A host that can't take a lease back keeps it until shutdown.
        if let Ok((ctx, release)) = self.host.function(|table| table.release_buffer) {
            let lease = self.travelling();
            // SAFETY: the host's function with the context that came with it; the lease is the
            // host's, not over, and not used after.
            unsafe { release(ctx, lease) };
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("capacity", &self.capacity())
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}
