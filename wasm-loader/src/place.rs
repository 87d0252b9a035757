//! A place for an instance: its port, its turn, and the instances that follow each other in it.
//!
//! | `live` | `lost` | the turn is | the place is |
//! |---|---|---|---|
//! | some | no | free or taken | serving |
//! | none | yes | taken, by a runner or the clock, or on its way there | being replaced |
//! | none | no | free or taken | empty: not started yet, between two calls (`PerCall`), or closed |

use crate::clock;
use crate::fiber::Fiber;
use crate::job::{Job, OwnedCall};
use crate::live::{Entry, Live, Said};
use crate::meter::Meter;
use crate::per_call::Pen;
use crate::plugin::Plugin;
use crate::recover::Strikes;
use crate::runner;
use crate::work::cancel;
use ringbox_ring::{
    CallError, Holding, Invocation, LinkError, Port, Quarantine, Refusal, Sid, Status, Trapped,
    Turn,
};
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A place.
pub(crate) struct Place {
    pub(crate) turn: Turn<Content, Job>,
    /// The instances' own, and that of calls that were queued here (`claim`).
    pub(crate) port: Port,
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) me: Weak<Place>,
    /// Where the place goes after each call, if each has an instance of its own.
    pub(crate) pen: Option<Arc<Pen>>,
    /// The call that such an instance is for.
    pub(crate) serving: AtomicU64,
    /// Whether `quarantine` says anything, so that it is locked only then.
    pub(crate) resting: AtomicBool,
    pub(crate) quarantine: Mutex<Option<Quarantine>>,
    /// Whether the guest had no room for data that it was offered.
    pub(crate) stalled: AtomicBool,
    /// What runs where no thread may stay.
    pub(crate) fiber: Fiber,
    /// Instances that were lost.
    pub(crate) lost: AtomicU64,
}

/// What the turn is about.
#[derive(Default)]
pub(crate) struct Content {
    pub(crate) live: Option<Box<Live>>,
    pub(crate) lost: bool,
    /// Whether the place was taken out of the pen, and is to be given back.
    pub(crate) out: bool,
    /// The call that the instance is for, where each has its own.
    pub(crate) sid: Option<Sid>,
    /// Dropped by whoever replaces it, not on a caller's time.
    pub(crate) dead: Option<Box<Live>>,
    pub(crate) strikes: Strikes,
    /// How many instances there were.
    pub(crate) number: u64,
}

pub(crate) type Held<'a> = Holding<'a, Content, Job>;

/// A guest that was stopped, and the call that it had, if it had one.
pub(crate) struct Stopped {
    pub(crate) sid: Option<Sid>,
    pub(crate) how: Trapped,
}

impl Place {
    pub(crate) fn new(
        plugin: &Arc<Plugin>,
        main: Port,
        pen: Option<&Arc<Pen>>,
    ) -> Result<Arc<Self>, LinkError> {
        let (limits, port) = (&plugin.limits, main.instance()?);
        Ok(Arc::new_cyclic(|me| Self {
            turn: Turn::new(Content::default(), limits.queued_calls, limits.queued_bytes),
            port,
            plugin: plugin.clone(),
            meter: Arc::default(),
            me: me.clone(),
            pen: pen.cloned(),
            serving: AtomicU64::new(0),
            resting: AtomicBool::new(false),
            quarantine: Mutex::new(None),
            stalled: AtomicBool::new(false),
            fiber: Fiber::default(),
            lost: AtomicU64::new(0),
        }))
    }

    /// How many instances were lost here.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Runs a call here and now, then what queued meanwhile, and lets go.
    #[inline(always)]
    pub(crate) fn serve(
        &self,
        mut held: Held<'_>,
        sid: Sid,
        call: &Invocation<'_>,
    ) -> Result<(), Refusal> {
        match self.call(held.content(), sid, call) {
            Ok(result) => {
                self.leave(held);
                result
            }
            Err(how) => {
                self.lose(held, Stopped { sid: Some(sid), how });
                Ok(())
            }
        }
    }

    /// Whether the place's instance is for this call.
    pub(crate) fn is_serving(&self, sid: Sid) -> bool {
        self.serving.load(SeqCst) == sid.as_raw()
    }

    /// Whether the instance that is there may see something of this call. One of another call, which
    /// came after that was over, may not.
    pub(crate) fn is_for(&self, content: &Content, sid: Sid) -> bool {
        self.pen.is_none() || content.sid == Some(sid)
    }

    /// Stops the call, if the guest runs for it, at the next tick.
    pub(crate) fn stop(&self, sid: Sid) {
        self.meter.stop(sid);
        self.wake_fiber();
    }

    /// Whether a guest runs here, so that time has to be kept.
    pub(crate) fn runs(&self) -> bool {
        self.turn.is_held() && (self.plugin.inline || self.fiber.runs())
    }

    /// Leaves a call for whoever has the turn. If that is nobody any more, it is run here and now, or
    /// by a runner.
    pub(crate) fn queue(
        &self,
        sid: Sid,
        call: &Invocation<'_>,
        inline: bool,
    ) -> Result<(), Refusal> {
        if let Some(quarantine) = self.quarantine() {
            return Err(CallError::Quarantined(Box::new(quarantine)).into());
        }
        let bytes = OwnedCall::bytes(call);
        if bytes > self.plugin.limits.queued_bytes {
            return Err(CallError::QueueFull.into());
        }
        // What is sent to the call finds it here from now on.
        if !self.claim(sid) {
            return Ok(());
        }
        let job = Job::Call { sid, call: OwnedCall::copy(call) };
        match self.turn.push(job, Some(sid), bytes) {
            Ok(Some(held)) if inline => {
                clock::busy();
                // What is before it in the queue was left at this very moment, by others: nobody
                // can tell which came first. So it is run as if the turn had been free before, and a
                // refusal is the caller's at once.
                if self.take_back(sid) {
                    return self.serve(held, sid, call);
                }
                self.go_on(held);
            }
            Ok(Some(held)) => self.give_to_runner(held),
            Ok(None) => {
                // Should the place have begun to rest meanwhile, nobody looks into its queue before
                // it has rested.
                if let Some(quarantine) = self.quarantine()
                    && self.take_back(sid)
                {
                    return Err(CallError::Quarantined(Box::new(quarantine)).into());
                }
            }
            Err(_) => return Err(CallError::QueueFull.into()),
        }
        Ok(())
    }

    /// Why the place takes no calls for now.
    #[inline]
    pub(crate) fn quarantine(&self) -> Option<Quarantine> {
        if !self.resting.load(SeqCst) {
            return None;
        }
        self.quarantine.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Leaves a job that something else bounds.
    pub(crate) fn push(&self, job: Job) {
        let held = self.leave_uncounted(job);
        self.pass_on(held);
    }

    /// The same by the thread that has the turn.
    pub(crate) fn push_own(&self, job: Job) {
        let held = self.leave_uncounted(job);
        debug_assert!(held.is_none(), "this thread has the turn");
    }

    fn leave_uncounted(&self, job: Job) -> Option<Held<'_>> {
        let call = job.call();
        self.turn.push_uncounted(job, call)
    }

    /// Gives a turn that came with a job to a runner.
    fn pass_on(&self, held: Option<Held<'_>>) {
        if let Some(held) = held {
            self.give_to_runner(held);
        }
    }

    pub(crate) fn give_to_runner(&self, held: Held<'_>) {
        held.give_up();
        runner::submit(self.arc());
    }

    /// Offers data to the guest here and now, or leaves it for whoever has the turn.
    pub(crate) fn feed(&self, sid: Sid, data: &[u8], inline: bool) -> Result<(), CallError> {
        if self.stalled.load(Relaxed) {
            return Err(CallError::Backpressure);
        }
        if inline && let Some(held) = self.turn.take() {
            clock::busy();
            return self.enter_for(held, sid, Entry::Data(sid, data));
        }
        match self.turn.push(Job::Data { sid, data: data.into() }, None, data.len()) {
            Ok(held) => self.pass_on(held),
            Err(_) => return Err(CallError::Backpressure),
        }
        Ok(())
    }

    /// Tells the guest that no more data comes.
    pub(crate) fn close(&self, sid: Sid, inline: bool) -> Result<(), CallError> {
        if inline
            && !self.stalled.load(Relaxed)
            && let Some(held) = self.turn.take()
        {
            clock::busy();
            return self.enter_for(held, sid, Entry::Close(sid));
        }
        // One for each stream, so those bound it.
        self.push(Job::Close { sid });
        Ok(())
    }

    fn enter_for(&self, mut held: Held<'_>, sid: Sid, entry: Entry<'_>) -> Result<(), CallError> {
        let content = held.content();
        let own = self.is_for(content, sid);
        let Some(live) = content.live.as_mut().filter(|_| own) else {
            self.go_on(held);
            return Err(CallError::StreamOver);
        };
        match live.enter(entry) {
            Ok(said) => {
                let fed = fed(said);
                if let (Entry::Close(_), Ok(())) = (entry, &fed) {
                    live.state().no_more_data(sid);
                }
                self.leave(held);
                fed
            }
            Err(how) => {
                self.lose(held, Stopped { sid: Some(sid), how });
                Ok(())
            }
        }
    }

    /// The caller of `sid` is gone: true if the call had not entered the guest, and won't.
    pub(crate) fn take_back(&self, sid: Sid) -> bool {
        self.turn.remove(sid).is_some()
    }

    /// Tells the guest that the caller of `sid` is gone: surely, or if it keeps the call.
    pub(crate) fn tell_cancelled(&self, sid: Sid, inline: bool, surely: bool) {
        if inline && let Some(mut held) = self.turn.take() {
            clock::busy();
            let cancelled = held.content().live.as_mut().map(|live| cancel(live, sid, surely));
            return match cancelled {
                Some(Err(how)) => self.lose(held, Stopped { sid: None, how }),
                _ => self.leave(held),
            };
        }
        // Such jobs aren't counted, and a place that doesn't get on would collect those of all the
        // others' calls.
        if surely || self.turn.queued() <= self.plugin.limits.queued_calls {
            self.push(Job::Cancel { sid, surely });
        }
    }

    /// The number of an entry, by the guest here and now. None: it has no time.
    pub(crate) fn resolve(&self, name: &str) -> Option<Option<u32>> {
        let mut held = self.turn.take()?;
        clock::busy();
        let content = held.content();
        content.out = self.pen.is_some();
        if content.out && self.make(content).is_err() {
            self.leave(held);
            return Some(None);
        }
        let Some(live) = &mut content.live else {
            self.leave(held);
            return Some(None);
        };
        match live.enter(Entry::Resolve(name)) {
            Ok(said) => {
                self.leave(held);
                Some(said.number())
            }
            Err(how) => {
                self.lose(held, Stopped { sid: None, how });
                Some(None)
            }
        }
    }

    pub(crate) fn weak(&self) -> Weak<Self> {
        self.me.clone()
    }

    pub(crate) fn arc(&self) -> Arc<Self> {
        self.me.upgrade().expect("a place that is reached is alive")
    }
}

/// A guest took data, or said why not.
fn fed(said: Said) -> Result<(), CallError> {
    match said.status() {
        Status::Ok => Ok(()),
        Status::Backpressure => Err(CallError::Backpressure),
        status => Err(CallError::Refused { status }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{WasmOptions, loaded};

    /// A call that nobody waits for.
    const NOTIFY: Sid = Sid::from_raw(1 << 63);

    #[test]
    fn a_call_that_its_caller_runs_out_of_the_queue_is_refused_at_once() {
        let plugin = loaded::small(&WasmOptions::new());
        let place = plugin.place();
        let call = Invocation::entry("x", b"x");
        // The turn is free again when the call is left, which is when its caller runs it.
        let refused = place.queue(NOTIFY, &call, true).unwrap_err();
        assert_eq!(refused.status(), Some(Status::Unsupported));
        assert!(!place.turn.is_held() && place.turn.queued() == 0);
    }
}
