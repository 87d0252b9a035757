//! What belongs to one instance, and is reached by the host functions that it calls.

use crate::clock;
use crate::limiter::Limiter;
use crate::meter::Meter;
use crate::place::Place;
use crate::plugin::Plugin;
use crate::wasi::{GrantError, HasWasi, Wasi};
use ringbox_ring::{Port, Sid, Standing};
use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, Weak};

/// A store's data.
pub(crate) struct State {
    pub(crate) port: Port,
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) place: Weak<Place>,
    /// Which of the instances that follow each other in the place this is.
    pub(crate) number: u64,
    /// The call that this instance is for, where each has its own. 0: it is for all.
    pub(crate) own: u64,
    pub(crate) meter: Arc<Meter>,
    pub(crate) limiter: Limiter,
    /// Wakes that the guest asked for and has not had.
    pub(crate) timers: Cell<usize>,
    /// Calls that the guest keeps.
    kept: RefCell<Vec<Kept>>,
    /// Whether the guest is being shut down.
    pub(crate) ending: Cell<bool>,
    pub(crate) wasi: Wasi,
}

/// A call that `handle` left open.
struct Kept {
    sid: Sid,
    /// Whether its caller may send data.
    sends: bool,
}

impl HasWasi for State {
    fn wasi(&mut self) -> &mut Wasi {
        &mut self.wasi
    }
}

impl Drop for State {
    /// Nobody is left to be woken.
    fn drop(&mut self) {
        if self.timers.get() != 0 {
            clock::forget_wakes(self.place.as_ptr(), self.number);
        }
    }
}

impl State {
    /// For the place's next instance.
    pub(crate) fn new(place: &Place, number: u64) -> Result<Self, GrantError> {
        Ok(Self {
            port: place.port,
            plugin: place.plugin.clone(),
            place: place.weak(),
            number,
            own: place.serving.load(SeqCst),
            meter: place.meter.clone(),
            limiter: Limiter::new(place.plugin.limits),
            timers: Cell::new(0),
            kept: RefCell::default(),
            ending: Cell::new(false),
            wasi: Wasi::new(&place.plugin.effective, &place.plugin.printed)?,
        })
    }

    /// A tick came while the guest ran. Whether it may go on.
    pub(crate) fn tick(&self) -> bool {
        // Whoever unloads the plugin waits until nobody is inside.
        let unloaded = self.port.is_shut() && self.plugin.attached.load(Relaxed);
        self.meter.tick(unloaded && !self.ending.get())
    }

    /// The guest keeps a call: `handle` returned, and it is still open.
    pub(crate) fn keep(&self, sid: Sid) {
        self.kept.borrow_mut().push(Kept { sid, sends: self.plugin.guest.takes_data() });
    }

    /// The calls that the guest keeps. Some may have ended since.
    pub(crate) fn kept(&self) -> Vec<Sid> {
        self.kept.borrow().iter().map(|call| call.sid).collect()
    }

    /// The guest was told that the call's caller sends no more, and the caller that it was.
    pub(crate) fn no_more_data(&self, sid: Sid) {
        let mut kept = self.kept.borrow_mut();
        if let Some(call) = kept.iter_mut().find(|call| call.sid == sid) {
            call.sends = false;
        }
    }

    /// The call's caller is gone. Whether the guest kept it.
    pub(crate) fn forget(&self, sid: Sid) -> bool {
        let mut kept = self.kept.borrow_mut();
        let at = kept.iter().position(|call| call.sid == sid);
        at.map(|at| kept.swap_remove(at)).is_some()
    }

    /// Whether the guest keeps as many calls as it may.
    #[inline(always)]
    pub(crate) fn keeps_too_many(&self) -> bool {
        let most = self.plugin.limits.kept_calls as usize;
        self.kept.borrow().len() >= most && self.really_keeps() >= most
    }

    /// How many calls it keeps, without those that have ended since.
    #[cold]
    fn really_keeps(&self) -> usize {
        let mut kept = self.kept.borrow_mut();
        kept.retain(|call| self.port.standing(call.sid) != Standing::Over);
        kept.len()
    }

    /// Calls that the guest keeps, when nothing is left that could make it answer them.
    #[inline(always)]
    pub(crate) fn silent(&self) -> Vec<Sid> {
        if self.kept.borrow().is_empty() { Vec::new() } else { self.look_for_silence() }
    }

    #[cold]
    fn look_for_silence(&self) -> Vec<Sid> {
        if self.timers.get() != 0 {
            return Vec::new();
        }
        let mut kept = self.kept.borrow_mut();
        let mut may_wake = false;
        kept.retain(|call| {
            let standing = self.port.standing(call.sid);
            may_wake |= standing == Standing::Stream && call.sends;
            standing != Standing::Over
        });
        if may_wake { Vec::new() } else { kept.drain(..).map(|call| call.sid).collect() }
    }
}
