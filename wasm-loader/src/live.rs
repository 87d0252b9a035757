//! One instance that runs: its store, its exports, and every way into it.

use crate::guest::Exports;
use crate::limiter::Limiter;
use crate::meter::Meter;
use crate::place::Place;
use crate::plugin::Plugin;
use crate::state::State;
use crate::stderr::Tail;
use crate::trap;
use crate::wire::{WireStatus, with_request};
use ringbox_ring::{Invocation, Port, Sid, Target, Trapped};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
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

/// Why an instance did not start.
pub(crate) enum NoStart {
    /// Its `init` said no.
    Init(WireStatus),
    Trapped(Trapped),
}

impl Live {
    /// Makes an instance and starts it.
    pub(crate) fn start(
        plugin: &Arc<Plugin>,
        place: &Weak<Place>,
        port: Port,
        meter: &Arc<Meter>,
        number: u64,
    ) -> Result<Box<Self>, NoStart> {
        let state = State {
            port,
            plugin: plugin.clone(),
            place: place.clone(),
            number,
            meter: meter.clone(),
            limiter: Limiter::new(plugin.limits),
            timers: Cell::new(0),
            kept: RefCell::default(),
            stderr: RefCell::new(Tail::default()),
            ending: Cell::new(false),
        };
        let mut store = Store::new(&plugin.engine, state);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(plugin.limits.host_call_bytes);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            let goes_on = store.data().tick();
            Ok(if goes_on { UpdateDeadline::Continue(1) } else { UpdateDeadline::Interrupt })
        });
        meter.renew();
        meter.begin(0, plugin.start_budget);
        let started = plugin.pre.instantiate(&mut store).and_then(|instance| {
            let exports = plugin.guest.of(&mut store, &instance);
            let (status,) = exports.init.call(&mut store, ())?;
            Ok((exports, status))
        });
        match started {
            Ok((exports, WireStatus::Ok)) => {
                Ok(Box::new(Self { store, exports, stalled: VecDeque::new() }))
            }
            Ok((_, status)) => Err(NoStart::Init(status)),
            Err(error) => Err(NoStart::Trapped(trap::trapped(&error, store.data()))),
        }
    }

    #[inline(always)]
    pub(crate) fn state(&self) -> &State {
        self.store.data()
    }

    /// Enters the guest, here and now.
    ///
    /// # Errors
    /// It was stopped. The instance is not to be entered again.
    #[inline(always)]
    pub(crate) fn enter(&mut self, entry: Entry<'_>) -> Result<Said, Trapped> {
        let state = self.store.data();
        let (sid, budget) = match entry {
            Entry::Call(sid, _) => (sid.as_raw(), state.plugin.budget),
            Entry::Shutdown => {
                state.ending.set(true);
                (0, state.plugin.start_budget)
            }
            _ => (0, state.plugin.budget),
        };
        state.meter.begin(sid, budget);
        // A host function runs code that isn't the host's (whoever listens to the log, say). Should
        // it panic, the turn must not be lost with it.
        match catch_unwind(AssertUnwindSafe(|| self.call(entry))) {
            Ok(Ok(said)) => Ok(said),
            Ok(Err(error)) => Err(trap::trapped(&error, self.store.data())),
            Err(panic) => {
                std::mem::forget(panic);
                Err(trap::host_panicked(self.store.data()))
            }
        }
    }

    #[inline(always)]
    fn call(&mut self, entry: Entry<'_>) -> wasmtime::Result<Said> {
        let (store, exports) = (&mut self.store, &self.exports);
        let status = |(status,): (WireStatus,)| Said::Status(status);
        const NONE: Said = Said::Status(WireStatus::Unsupported);
        match entry {
            Entry::Call(sid, Invocation { target: Target::Request(request), payload }) => {
                with_request(request, |request| {
                    exports.handle.call(store, (sid.as_raw(), request, payload)).map(status)
                })
            }
            Entry::Call(sid, Invocation { target: Target::Entry(id), payload }) => {
                // A plugin that gives out no numbers is given none back.
                let Some(function) = exports.handle_entry else {
                    return Ok(Said::Status(WireStatus::Invalid));
                };
                function.call(store, (id.as_raw(), sid.as_raw(), payload)).map(status)
            }
            Entry::Data(sid, data) => match exports.stream_data {
                Some(function) => function.call(store, (sid.as_raw(), data)).map(status),
                None => Ok(NONE),
            },
            Entry::Close(sid) => match exports.stream_close {
                Some(function) => function.call(store, (sid.as_raw(),)).map(status),
                None => Ok(NONE),
            },
            Entry::Cancel(sid) => match exports.cancel {
                Some(function) => function.call(store, (sid.as_raw(),)).map(|()| Said::Nothing),
                None => Ok(Said::Nothing),
            },
            Entry::Wake(token) => match exports.wake {
                Some(function) => function.call(store, (token,)).map(|()| Said::Nothing),
                None => Ok(Said::Nothing),
            },
            Entry::Resolve(name) => match exports.resolve_entry {
                Some(function) => {
                    function.call(store, (name,)).map(|(number,)| Said::Number(number))
                }
                None => Ok(Said::Number(None)),
            },
            Entry::Shutdown => exports.shutdown.call(store, ()).map(|()| Said::Nothing),
        }
    }
}
