//! One instance that runs: its store, its exports, and every way into it.

use crate::guest::Exports;
use crate::meter::Meter;
use crate::place::Place;
use crate::plugin::Plugin;
use crate::state::State;
use crate::trap;
use crate::wire::{WireHeaders, WireStatus};
use ringbox_ring::{Invocation, Sid, Status, Target, TrapCause, Trapped};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;
use wasmtime::component::Instance;
use wasmtime::{Store, UpdateDeadline};

/// An instance, and the store that is its own.
pub(crate) struct Live {
    store: Store<State>,
    exports: Exports,
    /// Data that the guest had no room for, in its order. None closes.
    pub(crate) stalled: VecDeque<(Sid, Option<Box<[u8]>>)>,
}

/// What a guest is entered for.
#[derive(Copy, Clone)]
pub(crate) enum Entry<'a> {
    Init,
    Call(Sid, &'a Invocation<'a>),
    Data(Sid, &'a [u8]),
    Close(Sid),
    Cancel(Sid),
    Wake(u64),
    Resolve(&'a str),
    Shutdown,
}

/// What a guest said when it was left.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Status(WireStatus),
    Number(Option<u32>),
    Nothing,
}

impl Said {
    pub(crate) fn status(self) -> Status {
        match self {
            Self::Status(status) => status.meaning(),
            Self::Number(_) | Self::Nothing => Status::Ok,
        }
    }

    pub(crate) fn number(self) -> Option<u32> {
        match self {
            Self::Number(number) => number,
            Self::Status(_) | Self::Nothing => None,
        }
    }
}

/// Why an instance did not start.
pub(crate) enum NoStart {
    /// Its `init` said no.
    Init(WireStatus),
    Trapped(Trapped),
}

/// One way into a guest, once for threads that stay until it comes back, once for fibers.
macro_rules! enter {
    ($live:ident, $entry:ident, $call:ident $(, $await:tt)?) => {{
        const UNSUPPORTED: Said = Said::Status(WireStatus::Unsupported);
        let (store, exports) = (&mut $live.store, &$live.exports);
        macro_rules! call {
            ($function:expr, $params:expr) => { $function.$call(&mut *store, $params)$(.$await)? };
        }
        match $entry {
            Entry::Init => call!(exports.init, ()).map(|(status,)| Said::Status(status)),
            Entry::Call(sid, Invocation { target: Target::Request(request), payload }) => {
                let headers = WireHeaders::of(request);
                let params = (sid.as_raw(), headers.with(request), *payload);
                call!(exports.handle, params).map(|(status,)| Said::Status(status))
            }
            Entry::Call(sid, Invocation { target: Target::Entry(id), payload }) => {
                match exports.handle_entry {
                    Some(function) => call!(function, (id.as_raw(), sid.as_raw(), *payload))
                        .map(|(status,)| Said::Status(status)),
                    // A plugin that gives out no numbers is given none back.
                    None => Ok(Said::Status(WireStatus::Invalid)),
                }
            }
            Entry::Data(sid, data) => match exports.stream_data {
                Some(function) => call!(function, (sid.as_raw(), data))
                    .map(|(status,)| Said::Status(status)),
                None => Ok(UNSUPPORTED),
            },
            Entry::Close(sid) => match exports.stream_close {
                Some(function) => {
                    call!(function, (sid.as_raw(),)).map(|(status,)| Said::Status(status))
                }
                None => Ok(UNSUPPORTED),
            },
            Entry::Cancel(sid) => match exports.cancel {
                Some(function) => call!(function, (sid.as_raw(),)).map(|()| Said::Nothing),
                None => Ok(Said::Nothing),
            },
            Entry::Wake(token) => match exports.wake {
                Some(function) => call!(function, (token,)).map(|()| Said::Nothing),
                None => Ok(Said::Nothing),
            },
            Entry::Resolve(name) => match exports.resolve_entry {
                Some(function) => {
                    call!(function, (name,)).map(|(number,)| Said::Number(number))
                }
                None => Ok(Said::Number(None)),
            },
            Entry::Shutdown => call!(exports.shutdown, ()).map(|()| Said::Nothing),
        }
    }};
}

impl Live {
    /// Makes an instance and starts it, here and now.
    pub(crate) fn start(place: &Place, number: u64) -> Result<Box<Self>, NoStart> {
        let mut store = Self::store(place, number)?;
        let made = place.plugin.pre.instantiate(&mut store);
        let mut live = Self::made(store, made, &place.plugin)?;
        live.enter(Entry::Init).map_err(NoStart::Trapped).and_then(started)?;
        Ok(live)
    }

    /// The same as a fiber.
    pub(crate) async fn start_fiber(place: &Place, number: u64) -> Result<Box<Self>, NoStart> {
        let mut store = Self::store(place, number)?;
        let made = {
            let making = pin!(place.plugin.pre.instantiate_async(&mut store));
            guarded(making, &place.meter).await
        };
        let made = match made {
            Ok(made) => made,
            Err(Left::Panicked) => {
                return Err(NoStart::Trapped(trap::host_panicked(store.data())));
            }
            Err(Left::Stopped) => return Err(NoStart::Trapped(trap::cancelled(store.data()))),
        };
        let mut live = Self::made(store, made, &place.plugin)?;
        live.enter_fiber(Entry::Init).await.map_err(NoStart::Trapped).and_then(started)?;
        Ok(live)
    }

    /// A store for one instance, with the limits on it.
    fn store(place: &Place, number: u64) -> Result<Store<State>, NoStart> {
        let plugin = &place.plugin;
        let state = State::new(place, number).map_err(|error| {
            let cause = TrapCause::Other(error.to_string().into());
            NoStart::Trapped(Trapped::new(cause, Box::default()))
        })?;
        // Who has an instance to itself and leaves needs no start of it either.
        let own = state.own;
        let mut store = Store::new(&plugin.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(plugin.limits.host_call_bytes);
        store.set_max_component_handles(plugin.limits.handles);
        store.set_epoch_deadline(1);
        if plugin.inline {
            store.epoch_deadline_callback(|store| {
                let goes_on = store.data().tick();
                Ok(if goes_on { UpdateDeadline::Continue(1) } else { UpdateDeadline::Interrupt })
            });
        } else {
            store.epoch_deadline_callback(|store| {
                let goes_on = store.data().tick();
                Ok(if goes_on { UpdateDeadline::Yield(1) } else { UpdateDeadline::Interrupt })
            });
        }
        place.meter.renew();
        place.meter.begin(own, plugin.start_budget, 0);
        Ok(store)
    }

    fn made(
        mut store: Store<State>,
        made: wasmtime::Result<Instance>,
        plugin: &Plugin,
    ) -> Result<Box<Self>, NoStart> {
        match made {
            Ok(instance) => {
                let exports = plugin.guest.of(&mut store, &instance);
                Ok(Box::new(Self { store, exports, stalled: VecDeque::new() }))
            }
            Err(error) => Err(NoStart::Trapped(trap::trapped(&error, store.data()))),
        }
    }

    #[inline(always)]
    pub(crate) fn state(&self) -> &State {
        self.store.data()
    }

    /// A call's caller is gone. Whether the guest kept the call.
    pub(crate) fn gone(&mut self, sid: Sid) -> bool {
        self.stalled.retain(|(stalled, _)| *stalled != sid);
        self.state().forget(sid)
    }

    /// A wake is due. Whether it is this instance's.
    pub(crate) fn woken(&self, number: u64) -> bool {
        let state = self.state();
        let own = state.number == number;
        if own {
            state.timers.set(state.timers.get() - 1);
        }
        own
    }

    /// The meter begins anew.
    #[inline(always)]
    fn begin(&self, entry: Entry<'_>) {
        let state = self.state();
        let (sid, budget, bytes) = match entry {
            Entry::Call(sid, call) => (sid.as_raw(), state.plugin.budget, call.payload.len()),
            Entry::Data(_, data) => (0, state.plugin.budget, data.len()),
            Entry::Init => (state.own, state.plugin.start_budget, 0),
            Entry::Shutdown => {
                state.ending.set(true);
                (0, state.plugin.start_budget, 0)
            }
            _ => (0, state.plugin.budget, 0),
        };
        state.meter.begin(sid, budget, bytes);
    }

    /// Enters the guest, here and now.
    ///
    /// # Errors
    /// It was stopped. The instance is not to be entered again.
    #[inline(always)]
    pub(crate) fn enter(&mut self, entry: Entry<'_>) -> Result<Said, Trapped> {
        self.begin(entry);
        // A host function runs code that isn't the host's (whoever listens to the log, say). Should
        // it panic, the turn must not be lost with it.
        match catch_unwind(AssertUnwindSafe(|| enter!(self, entry, call))) {
            Ok(Ok(said)) => Ok(said),
            Ok(Err(error)) => Err(trap::trapped(&error, self.state())),
            Err(panic) => {
                std::mem::forget(panic);
                Err(trap::host_panicked(self.state()))
            }
        }
    }

    /// Enters the guest as a fiber, which may be left and come back to.
    ///
    /// # Errors
    /// As [`enter`](Self::enter).
    pub(crate) async fn enter_fiber(&mut self, entry: Entry<'_>) -> Result<Said, Trapped> {
        self.begin(entry);
        let meter = self.state().meter.clone();
        let left = {
            let entering = pin!(async { enter!(self, entry, call_async, await) });
            guarded(entering, &meter).await
        };
        match left {
            Ok(Ok(said)) => Ok(said),
            Ok(Err(error)) => Err(trap::trapped(&error, self.state())),
            Err(Left::Panicked) => Err(trap::host_panicked(self.state())),
            Err(Left::Stopped) => Err(trap::cancelled(self.state())),
        }
    }
}

/// Why a fiber was left for good.
enum Left {
    Panicked,
    Stopped,
}

/// Polls a fiber, with the meter running while it does, for as long as it is not to be stopped.
async fn guarded<F: Future>(mut fiber: Pin<&mut F>, meter: &Meter) -> Result<F::Output, Left> {
    poll_fn(|context| {
        // A fiber that waits meets no tick.
        if meter.is_stopped() {
            return Poll::Ready(Err(Left::Stopped));
        }
        meter.resume();
        let polled = catch_unwind(AssertUnwindSafe(|| fiber.as_mut().poll(context)));
        meter.pause();
        match polled {
            Ok(polled) => polled.map(Ok),
            Err(panic) => {
                std::mem::forget(panic);
                Poll::Ready(Err(Left::Panicked))
            }
        }
    })
    .await
}

/// What `init` said.
fn started(said: Said) -> Result<(), NoStart> {
    match said {
        Said::Status(WireStatus::Ok) => Ok(()),
        Said::Status(status) => Err(NoStart::Init(status)),
        Said::Number(_) | Said::Nothing => Ok(()),
    }
}
