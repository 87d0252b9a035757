//! The sandbox: a component behind our host, and the same component called by wasmtime with nothing
//! around it.

#![expect(unsafe_code, reason = "an export's type is checked once, not for every call")]

use crate::by_hand::ByHand;
use crate::sides::{Ours, Peer, Side, Waiting};
use crate::{FRAMES, HEADERS, SIZES};
use anyhow::{Context as _, Result, ensure};
use ringbox::{Cache, Host, LoadOptions, Policy, Request, Source};
use ringbox_benches::{Rows, Side as Timed, both, checksum, count_to, hidden, together};
use std::cell::{Cell, RefCell};
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;
use wasmtime::component::{
    Component, ComponentType, Func, InstancePre, Lift, Linker, Lower, TypedFunc, WasmList,
};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, StoreContextMut,
};

/// The component, if it was built.
pub(crate) fn guest() -> Result<Option<PathBuf>> {
    let program = std::env::current_exe()?;
    let target = program.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let guest = target.join("guests/wasm32-unknown-unknown/component/bench.wasm");
    Ok(guest.exists().then_some(guest))
}

pub(crate) fn rows(
    rows: &mut Rows,
    guest: &Path,
    native: &Ours,
    peer: &Peer,
    folder: &Path,
) -> Result<()> {
    if !rows.wants_any("wasm/") {
        return Ok(());
    }
    let sandboxed = Ours::from_source(Source::component(guest), LoadOptions::new())?;
    let raw = Raw::new(guest)?;
    let payload: Vec<u8> = (0..4096).map(|at| at as u8).collect();
    for (_, len) in SIZES {
        let payload = &payload[..len];
        let (ours, raw) = (sandboxed.unary(payload), raw.unary(payload));
        ensure!(ours == raw && raw == native.unary(payload), "replies differ: {ours}, {raw}");
    }
    ensure!(sandboxed.stream(b"frame") == raw.stream(b"frame"), "streams differ");

    unary(rows, &sandboxed, "raw-wasmtime", &raw);
    unary(rows, &sandboxed, "native", native);
    unary(rows, &sandboxed, "nylon-ring", peer);
    request(rows, &sandboxed, &raw, native);
    per_call(rows, guest, &raw, native, peer)?;
    by_the_sdk(rows, guest, &sandboxed)?;
    contended(rows, &sandboxed, native, peer);
    contended_by_hand(rows, guest, &raw)?;
    load(rows, guest, &raw, folder)
}

/// The component that the SDK makes, beside the one that is written by hand.
fn by_the_sdk(rows: &mut Rows, guest: &Path, by_hand: &Ours) -> Result<()> {
    let sdk = guest.with_file_name("bench_sdk.wasm");
    let sdk = Ours::from_source(Source::component(sdk), LoadOptions::new())?;
    let payload = [7u8; 128];
    ensure!(sdk.unary(&payload) == by_hand.unary(&payload), "the SDK's replies differ");
    ensure!(sdk.stream(&payload) == by_hand.stream(&payload), "the SDK's streams differ");
    rows.row(
        "wasm/sdk-unary/128B",
        "by-hand",
        |n| count_to(n, || sdk.unary(hidden(&payload))),
        |n| count_to(n, || by_hand.unary(hidden(&payload))),
    );
    rows.row(
        "wasm/sdk-unary-by-id/128B",
        "by-hand",
        |n| count_to(n, || sdk.unary_by_id(hidden(&payload))),
        |n| count_to(n, || by_hand.unary_by_id(hidden(&payload))),
    );
    Ok(())
}

fn unary(rows: &mut Rows, ours: &Ours, name: &str, peer: &impl Side) {
    let data = vec![7u8; 4096];
    for (size, len) in SIZES {
        let payload = &data[..len];
        rows.row(
            &format!("wasm/unary/{size}"),
            name,
            |n| count_to(n, || ours.unary(hidden(payload))),
            |n| count_to(n, || peer.unary(hidden(payload))),
        );
    }
    let payload = &data[..128];
    rows.row_of(
        "wasm/stream/frame",
        name,
        Timed { run: |n| count_to(n, || ours.stream(hidden(payload))), each: FRAMES },
        Timed { run: |n| count_to(n, || peer.stream(hidden(payload))), each: FRAMES },
    );
}

fn request(rows: &mut Rows, ours: &Ours, raw: &Raw, native: &Ours) {
    let mut request = Request::post("/request").body([7u8; 128]);
    for (name, value) in HEADERS {
        request = request.header(name, value);
    }
    let name = "wasm/request/4-headers";
    rows.row(
        name,
        "raw-wasmtime",
        |n| count_to(n, || ours.request(black_box(&request))),
        |n| count_to(n, || raw.request(black_box(&HEADERS), black_box(&[7u8; 128]))),
    );
    rows.row(
        name,
        "native",
        |n| count_to(n, || ours.request(black_box(&request))),
        |n| count_to(n, || native.request(black_box(&request))),
    );
}

/// An instance for each call, beside one that a pool gives and that is dropped after its call.
fn per_call(rows: &mut Rows, guest: &Path, raw: &Raw, native: &Ours, peer: &Peer) -> Result<()> {
    let name = "wasm/per-call/128B";
    if !rows.wants(name) {
        return Ok(());
    }
    let options = LoadOptions::new().instances(Policy::PerCall(16));
    let ours = Ours::from_source(Source::component(guest), options)?;
    let pooled = Pooled::new(guest)?;
    let payload = [7u8; 128];
    ensure!(ours.unary(&payload) == raw.unary(&payload), "replies of an instance a call differ");
    let mine = |n| count_to(n, || ours.unary(hidden(&payload)));
    rows.row(name, "raw-wasmtime", mine, |n| {
        count_to(n, || pooled.instantiate_and_call(hidden(&payload)))
    });
    rows.row(name, "native", mine, |n| count_to(n, || native.unary(hidden(&payload))));
    rows.row(name, "nylon-ring", mine, |n| count_to(n, || peer.unary(hidden(&payload))));
    Ok(())
}

/// How many callers want one instance at the same time: two threads' tasks.
const CALLERS: u64 = 16;

/// Nanoseconds for each of `CALLERS` callers' calls, all together, and for one caller's alone.
fn contended(rows: &mut Rows, ours: &Ours, native: &Ours, peer: &Peer) {
    let name = "wasm/contended-16/128B";
    if !rows.wants(name) {
        return;
    }
    let payload = [7u8; 128];
    let mine = |turns| half_of_the_callers(ours, turns);
    both(mine, mine, |ours_both| {
        let each = 2;
        rows.row_of(
            name,
            "one-caller",
            Timed { run: &mut *ours_both, each },
            Timed { run: |n| count_to(n, || ours.unary(hidden(&payload))), each: 1 },
        );
        let theirs = |turns| half_of_the_callers(native, turns);
        both(theirs, theirs, |native_both| {
            let ours = Timed { run: &mut *ours_both, each };
            rows.row_of(name, "native", ours, Timed { run: native_both, each });
        });
        let theirs = |turns| half_of_the_callers(peer, turns);
        both(theirs, theirs, |peer_both| {
            let ours = Timed { run: &mut *ours_both, each };
            rows.row_of(name, "nylon-ring", ours, Timed { run: peer_both, each });
        });
    });
}

/// The same with no host: nanoseconds for each call of two threads', and for one thread's alone.
fn contended_by_hand(rows: &mut Rows, guest: &Path, raw: &Raw) -> Result<()> {
    let name = "wasm/contended-16-by-hand/128B";
    if !rows.wants(name) {
        return Ok(());
    }
    let by_hand = ByHand::new(Called::alone(guest).map_err(told)?);
    let payload = [7u8; 128];
    both(
        |turns| by_hand.first(turns),
        |turns| by_hand.second(turns),
        |both| {
            rows.row_of(
                name,
                "one-caller",
                Timed { run: both, each: 2 },
                Timed { run: |n| count_to(n, || raw.unary(hidden(&payload))), each: 1 },
            );
        },
    );
    Ok(())
}

/// One thread's callers, who make so many calls all together.
fn half_of_the_callers(side: &impl Waiting, turns: u64) {
    let payload = [7u8; 128];
    let left = Cell::new(turns);
    let (side, payload, left) = (side, &payload, &left);
    black_box(together((0..CALLERS / 2).map(|_| async move {
        let mut sum = 0u64;
        while let Some(fewer) = left.get().checked_sub(1) {
            left.set(fewer);
            sum = sum.wrapping_add(side.echo(hidden(payload)).await);
        }
        sum
    })));
}

/// From the component's bytes to an instance that can be called.
fn load(rows: &mut Rows, guest: &Path, raw: &Raw, folder: &Path) -> Result<()> {
    let host = Host::new();
    let bytes = std::fs::read(guest)?;
    let load = |cache: &Cache| {
        let options = LoadOptions::new().cache(cache);
        host.load_with("loaded", Source::component(&bytes[..]), options).expect("it loads");
        host.unload("loaded").expect("it goes");
    };
    let timed = |turns: u64, mut work: Box<dyn FnMut() + '_>| {
        let start = Instant::now();
        (0..turns).for_each(|_| work());
        start.elapsed()
    };
    rows.row(
        "wasm/load/cold",
        "raw-wasmtime",
        |n| timed(n, Box::new(|| load(&Cache::memory()))),
        |n| timed(n, Box::new(|| raw.load(&bytes))),
    );
    let cache = Cache::directory(folder.join("cache")).context("the cache's folder")?;
    load(&cache);
    let code = raw.engine.precompile_component(&bytes).map_err(told)?;
    rows.row(
        "wasm/load/cached",
        "raw-wasmtime",
        |n| {
            timed(
                n,
                Box::new(|| load(&Cache::directory(folder.join("cache")).expect("it is there"))),
            )
        },
        |n| timed(n, Box::new(|| raw.load_code(&code))),
    );
    Ok(())
}

#[derive(ComponentType, Lift, Lower, Debug, Copy, Clone, PartialEq, Eq)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "the plugin may answer with any of them")]
enum Status {
    #[component(name = "ok")]
    Ok,
    #[component(name = "err")]
    Err,
    #[component(name = "invalid")]
    Invalid,
    #[component(name = "unsupported")]
    Unsupported,
    #[component(name = "stream-end")]
    StreamEnd,
    #[component(name = "panic")]
    Panic,
    #[component(name = "backpressure")]
    Backpressure,
}

#[derive(ComponentType, Lower, Debug, Copy, Clone)]
#[component(record)]
pub(crate) struct Header<'a> {
    key: &'a str,
    value: &'a str,
}

#[derive(ComponentType, Lower, Debug, Copy, Clone)]
#[component(record)]
pub(crate) struct WholeRequest<'a> {
    path: &'a str,
    method: &'a str,
    query: &'a str,
    headers: &'a [Header<'a>],
}

/// What an answer is copied to, as a caller would want it.
#[derive(Default)]
struct Reply {
    bytes: RefCell<Vec<u8>>,
    sum: RefCell<u64>,
    /// Whether somebody else reads it.
    is_sent: Cell<bool>,
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<Reply>> {
    let mut linker = Linker::new(engine);
    linker.instance("nylon:ring/host@1.0.0")?.func_wrap(
        "send-result",
        |store: StoreContextMut<'_, Reply>, (_, _, payload): (u64, Status, WasmList<u8>)| {
            let reply = store.data();
            let mut bytes = reply.bytes.borrow_mut();
            bytes.clear();
            bytes.extend_from_slice(payload.as_le_slice(&store));
            if reply.is_sent.get() {
                return Ok(());
            }
            let mut sum = reply.sum.borrow_mut();
            *sum = sum.wrapping_add(checksum(&bytes));
            Ok(())
        },
    )?;
    Ok(linker)
}

fn config() -> Config {
    let mut config = Config::new();
    config.concurrency_support(false);
    config
}

pub(crate) struct Called {
    store: Store<Reply>,
    handle: Func,
    handle_entry: Func,
    echo: u32,
}

impl Called {
    fn new(engine: &Engine, pre: &InstancePre<Reply>) -> wasmtime::Result<Self> {
        let mut store = Store::new(engine, Reply::default());
        let instance = pre.instantiate(&mut store)?;
        let mut export = |interface: &str, name: &str| {
            let interface = instance.get_export_index(&mut store, None, interface);
            let index = instance.get_export_index(&mut store, interface.as_ref(), name);
            index.and_then(|index| instance.get_func(&mut store, index))
        };
        let handle = export("nylon:ring/guest@1.0.0", "handle").expect("a plugin has it");
        let entries = "nylon:ring-ext/entries@0.1.0";
        let handle_entry = export(entries, "handle-entry").expect("ours has it");
        let resolve = export(entries, "resolve-entry").expect("ours has it");
        let resolve = resolve.typed::<(&str,), (Option<u32>,)>(&store)?;
        let (echo,) = resolve.call(&mut store, ("echo",))?;
        let echo = echo.expect("it is an entry");
        handle.typed::<(u64, WholeRequest<'_>, &[u8]), (Status,)>(&store)?;
        handle_entry.typed::<(u32, u64, &[u8]), (Status,)>(&store)?;
        Ok(Self { store, handle, handle_entry, echo })
    }

    /// An instance, and an engine for it alone.
    fn alone(guest: &Path) -> wasmtime::Result<Self> {
        let engine = Engine::new(&config())?;
        let pre = linker(&engine)?.instantiate_pre(&Component::from_file(&engine, guest)?)?;
        Self::new(&engine, &pre)
    }

    /// Puts the reply in the place of the payload.
    #[inline(always)]
    pub(crate) fn copy_by_name(&mut self, request: WholeRequest<'_>, bytes: &mut [u8]) {
        self.store.data().is_sent.set(true);
        self.by_name(request, bytes);
        bytes.copy_from_slice(&self.store.data().bytes.borrow());
        self.store.data().is_sent.set(false);
    }

    #[inline(always)]
    pub(crate) fn by_name(&mut self, request: WholeRequest<'_>, payload: &[u8]) -> u64 {
        *self.store.data().sum.borrow_mut() = 0;
        // SAFETY: `new` checked the type, which differs in its lifetimes only.
        let handle: TypedFunc<(u64, WholeRequest<'_>, &[u8]), (Status,)> =
            unsafe { TypedFunc::new_unchecked(self.handle) };
        let (status,) = handle.call(&mut self.store, (1, request, payload)).expect("it answers");
        assert!(status == Status::Ok);
        *self.store.data().sum.borrow()
    }

    #[inline(always)]
    fn by_id(&mut self, entry: u32, payload: &[u8]) -> u64 {
        *self.store.data().sum.borrow_mut() = 0;
        // SAFETY: as above.
        let handle: TypedFunc<(u32, u64, &[u8]), (Status,)> =
            unsafe { TypedFunc::new_unchecked(self.handle_entry) };
        let (status,) = handle.call(&mut self.store, (entry, 1, payload)).expect("it answers");
        assert!(status == Status::Ok);
        *self.store.data().sum.borrow()
    }
}

pub(crate) fn entry(name: &str) -> WholeRequest<'_> {
    WholeRequest { path: name, method: "CALL", query: "", headers: &[] }
}

/// wasmtime with its default settings, a store, an instance, and nothing more.
pub(crate) struct Raw {
    engine: Engine,
    linker: Linker<Reply>,
    called: RefCell<Called>,
}

impl Raw {
    fn new(guest: &Path) -> Result<Self> {
        let engine = Engine::new(&config()).map_err(told)?;
        let linker = linker(&engine).map_err(told)?;
        let component = Component::from_file(&engine, guest).map_err(told)?;
        let pre = linker.instantiate_pre(&component).map_err(told)?;
        let called = Called::new(&engine, &pre).map_err(told)?;
        Ok(Self { engine, linker, called: called.into() })
    }

    fn request(&self, headers: &[(&str, &str)], payload: &[u8]) -> u64 {
        let mut views = [Header { key: "", value: "" }; 4];
        for (view, (key, value)) in views.iter_mut().zip(headers) {
            *view = Header { key, value };
        }
        let request = WholeRequest { path: "/request", method: "POST", query: "", headers: &views };
        self.called.borrow_mut().by_name(request, payload)
    }

    fn load(&self, bytes: &[u8]) {
        let component = Component::new(&self.engine, bytes).expect("it compiles");
        self.start(&component);
    }

    fn load_code(&self, code: &[u8]) {
        // SAFETY: this process compiled it, with this engine.
        let component = unsafe { Component::deserialize(&self.engine, code) };
        self.start(&component.expect("it is code"));
    }

    fn start(&self, component: &Component) {
        let pre = self.linker.instantiate_pre(component).expect("it links");
        black_box(Called::new(&self.engine, &pre).expect("it starts"));
    }
}

impl Side for Raw {
    fn notify(&self, payload: &[u8]) -> u64 {
        self.called.borrow_mut().by_name(entry("nothing"), payload)
    }

    fn notify_by_id(&self, payload: &[u8]) -> u64 {
        let mut called = self.called.borrow_mut();
        let nothing = called.echo + 1;
        called.by_id(nothing, payload)
    }

    fn fast(&self, payload: &[u8]) -> u64 {
        self.unary(payload)
    }

    #[inline(always)]
    fn unary(&self, payload: &[u8]) -> u64 {
        self.called.borrow_mut().by_name(entry("echo"), payload)
    }

    fn unary_by_id(&self, payload: &[u8]) -> u64 {
        let mut called = self.called.borrow_mut();
        let echo = called.echo;
        called.by_id(echo, payload)
    }

    #[inline(always)]
    fn stream(&self, payload: &[u8]) -> u64 {
        self.called.borrow_mut().by_name(entry("frames"), payload)
    }
}

/// The same with instances from a pool.
struct Pooled {
    engine: Engine,
    pre: InstancePre<Reply>,
}

impl Pooled {
    fn new(guest: &Path) -> Result<Self> {
        let mut config = config();
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(17).total_core_instances(170).total_memories(17);
        pool.max_memory_size(64 << 20).linear_memory_keep_resident(64 << 10);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config).map_err(told)?;
        let component = Component::from_file(&engine, guest).map_err(told)?;
        let linker = linker(&engine).map_err(told)?;
        let pre = linker.instantiate_pre(&component).map_err(told)?;
        Ok(Self { engine, pre })
    }

    fn instantiate_and_call(&self, payload: &[u8]) -> u64 {
        let mut store = Store::new(&self.engine, Reply::default());
        let instance = self.pre.instantiate(&mut store).expect("it starts");
        let interface = instance.get_export_index(&mut store, None, "nylon:ring/guest@1.0.0");
        let handle = instance.get_export_index(&mut store, interface.as_ref(), "handle");
        let handle = handle.and_then(|index| instance.get_func(&mut store, index));
        let handle = handle.expect("a plugin has it");
        // SAFETY: `Called::new` checks the same component's type, which differs in lifetimes only.
        let handle: TypedFunc<(u64, WholeRequest<'_>, &[u8]), (Status,)> =
            unsafe { TypedFunc::new_unchecked(handle) };
        let (status,) = handle.call(&mut store, (1, entry("echo"), payload)).expect("it answers");
        assert!(status == Status::Ok);
        *store.data().sum.borrow()
    }
}

/// wasmtime's errors are of a kind of their own.
#[expect(clippy::needless_pass_by_value, reason = "it maps an error")]
fn told(error: wasmtime::Error) -> anyhow::Error {
    anyhow::anyhow!("{error:#}")
}
