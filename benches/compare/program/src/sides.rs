//! The same work on three sides: ours, the peer's, and the plugin's functions called directly.
//!
//! Futures are polled by the same executor, every reply's status is looked at and all of its bytes
//! are read. What is looked up once is looked up once on each side.

#![expect(unsafe_code, reason = "one side loads our plugin, one calls it by its table")]

use anyhow::{Context as _, Result, ensure};
use nylon_ring::NrStatus;
use nylon_ring_host::{NylonRingHost, PluginEntry, PluginHandle};
use ringbox::{Entry, Host, LoadOptions, Plugin, Reply, Request, Source, Status};
use ringbox_abi::raw::{HostVTable, PluginInfo};
use ringbox_abi::v1::{NrBytes, NrHeader, NrRequest, NrStr};
use ringbox_abi::{NrPluginExt, RawStatus};
use ringbox_benches::{Room, block_on, checksum};
use std::cell::{Cell, UnsafeCell};
use std::ffi::c_void;
use std::future::Future;
use std::path::Path;
use std::ptr::null_mut;

/// What the native rows do. Each returns what the bytes that came back add up to.
pub(crate) trait Side {
    fn notify(&self, payload: &[u8]) -> u64;
    fn notify_by_id(&self, payload: &[u8]) -> u64;
    fn fast(&self, payload: &[u8]) -> u64;
    fn unary(&self, payload: &[u8]) -> u64;
    fn unary_by_id(&self, payload: &[u8]) -> u64;
    /// A whole stream.
    fn stream(&self, payload: &[u8]) -> u64;
}

/// A side whose plugin has a thread of its own.
pub(crate) trait Deferred: Side + Sync {
    fn deferred(&self, payload: &[u8]) -> impl Future<Output = u64>;
    /// Sets the plugin's own thread to work, or to sleep.
    fn set_working(&self, working: bool);
}

/// A side whose calls may wait.
#[cfg_attr(not(feature = "sandbox"), expect(dead_code, reason = "the sandbox's rows need it"))]
pub(crate) trait Waiting: Side + Sync {
    fn echo(&self, payload: &[u8]) -> impl Future<Output = u64>;
}

impl Waiting for Ours {
    async fn echo(&self, payload: &[u8]) -> u64 {
        sum(&self.plugin.call_response("echo", payload).await.expect(FAILED))
    }
}

impl Waiting for Peer {
    async fn echo(&self, payload: &[u8]) -> u64 {
        peer_sum(&self.plugin.call_response(self.echo_name, payload).await.expect(FAILED))
    }
}

const FAILED: &str = "the plugin does what it is asked";

pub(crate) struct Ours {
    _host: Host,
    plugin: Plugin,
    nothing: Entry,
    echo: Entry,
}

impl Ours {
    pub(crate) fn load(path: &Path) -> Result<Self> {
        // SAFETY: the library is built from the folder beside this one.
        Self::from_source(unsafe { Source::native(path) }, LoadOptions::new())
    }

    /// The same calls to a plugin of any kind.
    pub(crate) fn from_source(source: Source, options: LoadOptions) -> Result<Self> {
        let host = Host::new();
        let plugin = host.load_with("ours", source, options)?;
        let (nothing, echo) = (plugin.entry("nothing")?, plugin.entry("echo")?);
        Ok(Self { _host: host, plugin, nothing, echo })
    }

    pub(crate) fn request(&self, request: &Request) -> u64 {
        sum(&block_on(self.plugin.request(request)).expect(FAILED))
    }
}

#[inline(always)]
fn sum(reply: &Reply) -> u64 {
    assert!(reply.status() == Status::Ok);
    checksum(reply)
}

impl Side for Ours {
    #[inline(always)]
    fn notify(&self, payload: &[u8]) -> u64 {
        self.plugin.call("nothing", payload).expect(FAILED);
        1
    }

    #[inline(always)]
    fn notify_by_id(&self, payload: &[u8]) -> u64 {
        self.nothing.call(payload).expect(FAILED);
        1
    }

    #[inline(always)]
    fn fast(&self, payload: &[u8]) -> u64 {
        sum(&self.plugin.call_response_fast("echo", payload).expect(FAILED))
    }

    #[inline(always)]
    fn unary(&self, payload: &[u8]) -> u64 {
        sum(&block_on(self.plugin.call_response("echo", payload)).expect(FAILED))
    }

    #[inline(always)]
    fn unary_by_id(&self, payload: &[u8]) -> u64 {
        sum(&block_on(self.echo.call_response(payload)).expect(FAILED))
    }

    #[inline(always)]
    fn stream(&self, payload: &[u8]) -> u64 {
        block_on(async {
            let mut stream = self.plugin.call_stream("frames", payload).expect(FAILED);
            let mut sum = 0u64;
            while let Some(frame) = stream.recv().await.expect(FAILED) {
                sum = sum.wrapping_add(checksum(&frame));
            }
            sum
        })
    }
}

impl Deferred for Ours {
    async fn deferred(&self, payload: &[u8]) -> u64 {
        sum(&self.plugin.call_response("later", payload).await.expect(FAILED))
    }

    fn set_working(&self, working: bool) {
        let entry = if working { "work" } else { "rest" };
        self.plugin.call(entry, b"").expect(FAILED);
    }
}

pub(crate) struct Peer {
    _host: NylonRingHost,
    plugin: PluginHandle,
    /// The entry that echoes: there are two ways to answer.
    echo_name: &'static str,
    nothing: PluginEntry,
    echo: PluginEntry,
}

impl Peer {
    /// Loads a copy of the plugin, since the peer's loads of one file share its globals.
    pub(crate) fn load(
        path: &Path,
        copy: &Path,
        pinned: bool,
        echo_name: &'static str,
    ) -> Result<Self> {
        std::fs::copy(path, copy)?;
        let copy = copy.to_str().context("the peer takes paths that are text")?;
        let mut host = NylonRingHost::new();
        if pinned {
            host.load_pinned("peer", copy)?;
        } else {
            host.load("peer", copy)?;
        }
        let plugin = host.plugin("peer").context("the peer has its plugin")?;
        let (nothing, echo) = (plugin.entry("nothing")?, plugin.entry(echo_name)?);
        Ok(Self { _host: host, plugin, echo_name, nothing, echo })
    }
}

#[inline(always)]
fn peer_sum((status, reply): &(NrStatus, Vec<u8>)) -> u64 {
    assert!(*status == NrStatus::Ok);
    checksum(reply)
}

impl Side for Peer {
    #[inline(always)]
    fn notify(&self, payload: &[u8]) -> u64 {
        block_on(self.plugin.call("nothing", payload)).expect(FAILED);
        1
    }

    #[inline(always)]
    fn notify_by_id(&self, payload: &[u8]) -> u64 {
        block_on(self.nothing.call(payload)).expect(FAILED);
        1
    }

    #[inline(always)]
    fn fast(&self, payload: &[u8]) -> u64 {
        peer_sum(&block_on(self.plugin.call_response_fast(self.echo_name, payload)).expect(FAILED))
    }

    #[inline(always)]
    fn unary(&self, payload: &[u8]) -> u64 {
        peer_sum(&block_on(self.plugin.call_response(self.echo_name, payload)).expect(FAILED))
    }

    #[inline(always)]
    fn unary_by_id(&self, payload: &[u8]) -> u64 {
        peer_sum(&block_on(self.echo.call_response(payload)).expect(FAILED))
    }

    #[inline(always)]
    fn stream(&self, payload: &[u8]) -> u64 {
        block_on(async {
            let (_, mut stream) = self.plugin.call_stream("frames", payload).await.expect(FAILED);
            let mut sum = 0u64;
            while let Some(frame) = stream.recv().await {
                sum = sum.wrapping_add(checksum(&frame.data));
            }
            sum
        })
    }
}

impl Deferred for Peer {
    async fn deferred(&self, payload: &[u8]) -> u64 {
        peer_sum(&self.plugin.call_response("later", payload).await.expect(FAILED))
    }

    fn set_working(&self, working: bool) {
        let entry = if working { "work" } else { "rest" };
        block_on(self.plugin.call(entry, b"")).expect(FAILED);
    }
}

/// Our plugin's functions, called directly: the floor under every host.
pub(crate) struct Ffi {
    handle: unsafe extern "C" fn(*mut c_void, u64, *const NrRequest, NrBytes) -> RawStatus,
    handle_entry: unsafe extern "C" fn(*mut c_void, u32, u64, NrBytes) -> RawStatus,
    nothing: u32,
    echo: u32,
}

thread_local! {
    /// Where the floor's answers are copied to, and what they add up to.
    static REPLY: UnsafeCell<Room> = const { UnsafeCell::new(Room::new()) };
    static SUM: Cell<u64> = const { Cell::new(0) };
}

static FLOOR: HostVTable = HostVTable { send_result };

unsafe extern "C" fn send_result(_: *mut c_void, _: u64, _: RawStatus, payload: NrBytes) {
    // SAFETY: our plugin's view, borrowed for this call.
    let bytes = unsafe { payload.as_slice() }.unwrap_or_default();
    REPLY.with(|reply| {
        // SAFETY: nothing in here calls this function again.
        let reply = unsafe { &mut *reply.get() };
        reply.copy(bytes);
        let reply = std::hint::black_box(reply.bytes());
        SUM.set(SUM.get().wrapping_add(checksum(reply)));
    });
}

fn text(text: &str) -> NrStr {
    NrStr::try_from_str(text).expect("a short text")
}

impl Ffi {
    pub(crate) fn load(path: &Path, copy: &Path) -> Result<Self> {
        std::fs::copy(path, copy)?;
        // SAFETY: the library is built from the folder beside this one.
        let library = unsafe { libloading::Library::new(copy) }?;
        // It stays for as long as the functions that are taken from it.
        let library = Box::leak(Box::new(library));
        // SAFETY: the plugin's export is this function.
        let info = unsafe {
            library.get::<extern "C" fn() -> *const PluginInfo>(b"nylon_ring_get_plugin_v1")
        }?();
        // SAFETY: as above.
        let ext = unsafe {
            library.get::<extern "C" fn() -> *const NrPluginExt>(b"nylon_ring_get_plugin_ext_v1")
        }?();
        // SAFETY: our plugin's static info.
        let info = unsafe { &*info };
        // SAFETY: our plugin's static table.
        let vtable = unsafe { &*info.vtable };
        // SAFETY: as above.
        let ext = unsafe { &*ext };
        let init = vtable.init.context("our plugin has it")?;
        // SAFETY: our plugin's function, with a table that stays.
        ensure!(unsafe { init(null_mut(), null_mut(), &raw const FLOOR) } == RawStatus::OK);
        let resolve = ext.resolve_entry.context("our plugin has it")?;
        // SAFETY: our plugin's function, with a static text.
        let number = |name| unsafe { resolve(null_mut(), text(name)) };
        Ok(Self {
            handle: vtable.handle.context("our plugin has it")?,
            handle_entry: ext.handle_entry.context("our plugin has it")?,
            nothing: number("nothing"),
            echo: number("echo"),
        })
    }

    #[inline(always)]
    fn by_name(&self, method: &str, path: &str, headers: &[NrHeader], payload: &[u8]) -> u64 {
        let request = NrRequest {
            path: text(path),
            method: text(method),
            query: text(""),
            headers: headers.as_ptr(),
            headers_len: headers.len() as u32,
            _reserved0: 0,
            _reserved1: 0,
        };
        SUM.set(0);
        let payload = NrBytes::from_slice(payload);
        // SAFETY: our plugin's function, with views that are borrowed for it.
        let status = unsafe { (self.handle)(null_mut(), 1, &raw const request, payload) };
        assert!(status == RawStatus::OK);
        SUM.get()
    }

    #[inline(always)]
    fn by_id(&self, entry: u32, payload: &[u8]) -> u64 {
        SUM.set(0);
        let payload = NrBytes::from_slice(payload);
        // SAFETY: our plugin's function, with a view that is borrowed for it.
        let status = unsafe { (self.handle_entry)(null_mut(), entry, 1, payload) };
        assert!(status == RawStatus::OK);
        SUM.get()
    }

    pub(crate) fn request(&self, path: &str, headers: &[(&str, &str)], payload: &[u8]) -> u64 {
        let mut views = [NrHeader { key: text(""), value: text("") }; 4];
        for (view, (key, value)) in views.iter_mut().zip(headers) {
            *view = NrHeader { key: text(key), value: text(value) };
        }
        self.by_name("POST", path, &views, payload)
    }
}

impl Side for Ffi {
    #[inline(always)]
    fn notify(&self, payload: &[u8]) -> u64 {
        self.by_name("CALL", "nothing", &[], payload)
    }

    #[inline(always)]
    fn notify_by_id(&self, payload: &[u8]) -> u64 {
        self.by_id(self.nothing, payload)
    }

    #[inline(always)]
    fn fast(&self, payload: &[u8]) -> u64 {
        self.by_name("CALL", "echo", &[], payload)
    }

    #[inline(always)]
    fn unary(&self, payload: &[u8]) -> u64 {
        self.by_name("CALL", "echo", &[], payload)
    }

    #[inline(always)]
    fn unary_by_id(&self, payload: &[u8]) -> u64 {
        self.by_id(self.echo, payload)
    }

    #[inline(always)]
    fn stream(&self, payload: &[u8]) -> u64 {
        self.by_name("CALL", "frames", &[], payload)
    }
}
