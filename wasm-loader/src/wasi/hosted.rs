//! WASI with something granted that waits: wasmtime-wasi's implementation, asynchronous, given
//! exactly what is granted.

use super::lookup::Lookup;
use super::output::{Output, Stream};
use super::{GrantError, Wasi, directories};
use crate::grants::{Access, Clocks, Effective, Network};
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use wasmtime::Result;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::clocks::WasiClocksCtxView;
use wasmtime_wasi::filesystem::WasiFilesystemCtxView;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::Host as _;
use wasmtime_wasi::p2::bindings::{cli, clocks};
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, DynPollable, InputStream, OutputStream, Pollable, StreamError,
    StreamResult, subscribe,
};
use wasmtime_wasi::sockets::{SocketAddrUse, WasiSocketsCtxView};
use wasmtime_wasi::{FsPerms, WasiCtx, async_trait};

/// What wasmtime-wasi needs of one instance. Without a grant that needs it, it is not there.
#[derive(Default)]
pub(super) struct Hosted {
    granted: Option<Box<Granted>>,
}

pub(super) struct Granted {
    table: ResourceTable,
    ctx: WasiCtx,
    network: Arc<Network>,
    stdout: Stream,
    stderr: Stream,
}

/// The streams, files, sockets and pollables that a plugin may hold at once.
const MOST_HANDLES: usize = 1024;

impl Hosted {
    pub(super) fn new(
        effective: &Effective,
        stdout: &Stream,
        stderr: &Stream,
    ) -> Result<Self, GrantError> {
        if !effective.needs_runner() {
            return Ok(Self::default());
        }
        let mut table = ResourceTable::new();
        table.set_max_capacity(MOST_HANDLES);
        let network = Arc::new(Network::new(effective.network.clone()));
        let ctx = context(effective, &network)?;
        let (stdout, stderr) = (stdout.clone(), stderr.clone());
        Ok(Self { granted: Some(Box::new(Granted { table, ctx, network, stdout, stderr })) })
    }

    fn granted(&mut self) -> &mut Granted {
        // A linker with these functions belongs to the same `Effective`, so it is there.
        self.granted.get_or_insert_with(|| {
            let effective = crate::grants::Grants::new().cut(&crate::grants::Ask::nothing());
            Box::new(Granted {
                table: ResourceTable::new(),
                ctx: WasiCtx::builder().build(),
                network: Arc::new(Network::new(effective.network)),
                stdout: Stream::new(&Output::new(0), None),
                stderr: Stream::new(&Output::new(0), None),
            })
        })
    }
}

fn context(effective: &Effective, network: &Arc<Network>) -> Result<WasiCtx, GrantError> {
    let mut builder = WasiCtx::builder();
    for (directory, opened) in effective.directories.iter().zip(directories::open(effective)?) {
        let permissions = match directory.access {
            Access::Read => FsPerms::ReadOnly,
            Access::Write => FsPerms::ReadWrite,
        };
        let path = directories::path(opened);
        builder.preopened_dir(path, &directory.guest, permissions).map_err(|error| {
            GrantError::Directory {
                path: directory.host.clone(),
                source: error.downcast().unwrap_or_else(io::Error::other),
            }
        })?;
    }
    builder.allow_tcp(!effective.network.rules.is_empty());
    builder.allow_udp(network.allows_udp());
    // Names are looked up by us, so that they can be held against the rules.
    builder.allow_ip_name_lookup(false);
    let network = network.clone();
    builder.socket_addr_check(move |addr, usage| {
        let allowed = match usage {
            SocketAddrUse::TcpConnect | SocketAddrUse::UdpSend | SocketAddrUse::UdpReceive => {
                network.allows(addr)
            }
            // What a connection does implicitly; anything else would be a server.
            SocketAddrUse::TcpBind | SocketAddrUse::UdpBind => {
                addr.ip().is_unspecified() && addr.port() == 0
            }
            SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept => false,
        };
        Box::pin(async move { allowed })
    });
    Ok(builder.build())
}

impl Wasi {
    pub(super) fn table(&mut self) -> &mut ResourceTable {
        &mut self.hosted.granted().table
    }

    pub(super) fn files(&mut self) -> WasiFilesystemCtxView<'_> {
        let granted = self.hosted.granted();
        WasiFilesystemCtxView { ctx: granted.ctx.filesystem(), table: &mut granted.table }
    }

    pub(super) fn sockets(&mut self) -> WasiSocketsCtxView<'_> {
        let granted = self.hosted.granted();
        WasiSocketsCtxView { ctx: granted.ctx.sockets(), table: &mut granted.table }
    }

    pub(super) fn clocks(&mut self) -> WasiClocksCtxView<'_> {
        let granted = self.hosted.granted();
        WasiClocksCtxView { ctx: granted.ctx.clocks(), table: &mut granted.table }
    }

    pub(super) fn lookup(&mut self) -> Lookup<'_> {
        let granted = self.hosted.granted();
        Lookup { network: &granted.network, table: &mut granted.table }
    }

    pub(super) fn stdio(&mut self) -> Stdio<'_> {
        Stdio(self.hosted.granted())
    }
}

/// How the linker reaches the table of handles.
pub(super) struct Table;

impl HasData for Table {
    type Data<'a> = &'a mut ResourceTable;
}

/// Our standard streams, as wasmtime-wasi's.
pub(super) struct Stdio<'a>(&'a mut Granted);

pub(super) struct HasStdio;

impl HasData for HasStdio {
    type Data<'a> = Stdio<'a>;
}

impl cli::stdin::Host for Stdio<'_> {
    fn get_stdin(&mut self) -> Result<Resource<DynInputStream>> {
        let stream: DynInputStream = Box::new(Empty);
        Ok(self.0.table.push(stream)?)
    }
}

impl cli::stdout::Host for Stdio<'_> {
    fn get_stdout(&mut self) -> Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(self.0.stdout.clone());
        Ok(self.0.table.push(stream)?)
    }
}

impl cli::stderr::Host for Stdio<'_> {
    fn get_stderr(&mut self) -> Result<Resource<DynOutputStream>> {
        let stream: DynOutputStream = Box::new(self.0.stderr.clone());
        Ok(self.0.table.push(stream)?)
    }
}

/// What is always ready, and has nothing.
struct Empty;

#[async_trait]
impl Pollable for Empty {
    async fn ready(&mut self) {}
}

impl InputStream for Empty {
    fn read(&mut self, _: usize) -> StreamResult<Bytes> {
        Err(StreamError::Closed)
    }
}

#[async_trait]
impl Pollable for Stream {
    async fn ready(&mut self) {}
}

impl OutputStream for Stream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.print(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

/// Virtual time among wasmtime-wasi's pollables.
pub(super) struct VirtualClock<'a>(pub(super) &'a mut Wasi);

pub(super) struct HasVirtualClock;

impl HasData for HasVirtualClock {
    type Data<'a> = VirtualClock<'a>;
}

impl VirtualClock<'_> {
    /// Virtual time moves when the wait begins. Where there are connections it also takes real time,
    /// as their timeouts: a read with one would otherwise always time out. Files are always ready,
    /// so beside them there is nothing to wait for but the clock.
    fn wait(&mut self, now: u64, when: u64) -> Result<Resource<DynPollable>> {
        self.0.clock.wait(when)?;
        if self.0.hosted.granted().network.has_rules() {
            return self.0.clocks().subscribe_duration(when.saturating_sub(now));
        }
        let table = self.0.table();
        let come = table.push(Empty)?;
        subscribe(table, come)
    }
}

impl clocks::monotonic_clock::Host for VirtualClock<'_> {
    fn now(&mut self) -> Result<u64> {
        Ok(self.0.clock.monotonic())
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        let now = self.0.clock.monotonic();
        self.wait(now, when)
    }

    fn subscribe_duration(&mut self, duration: u64) -> Result<Resource<DynPollable>> {
        let now = self.0.clock.monotonic();
        self.wait(now, now.saturating_add(duration))
    }
}

/// Whether this instance's time is virtual.
pub(super) fn is_virtual(effective: &Effective) -> bool {
    effective.clocks == Clocks::Virtual
}
