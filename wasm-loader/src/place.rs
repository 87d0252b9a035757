//! A place for an instance: its port, its turn, and the instances that follow each other in it.
//!
//! | `live` | `lost` | the turn is | the place is |
//! |---|---|---|---|
//! | some | no | free or taken | serving |
//! | none | yes | taken, by a runner or the clock, or on its way there | being replaced |
//! | none | no | free or taken | empty: not started yet, between two calls (`PerCall`), or closed |

#![expect(unsafe_code, reason = "a turn goes from thread to thread")]

use crate::clock;
use crate::job::{Job, OwnedCall};
use crate::live::{Entry, Live, NoStart, Said};
use crate::meter::Meter;
use crate::per_call::Pen;
use crate::plugin::Plugin;
use crate::recover::{Next, REST, Strikes};
use crate::runner;
use crate::wire::WireStatus;
use ringbox_ring::{
    CallError, Delivery, Fault, Holding, Invocation, Port, Quarantine, Refusal, Sid, Standing,
    Status, TrapCause, Trapped, Turn,
};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long whoever has the turn runs what others left, before a runner does.
const BATCH_CALLS: u32 = 16;
const BATCH_TIME: Duration = Duration::from_micros(200);

/// When data that a guest had no room for is offered again.
const AGAIN: Duration = Duration::from_millis(1);

/// A place.
pub(crate) struct Place {
    pub(crate) turn: Turn<Content, Job>,
    /// The instances' own.
    pub(crate) port: Port,
    /// The plugin's, which calls belong to until they enter an instance.
    main: Port,
    pub(crate) plugin: Arc<Plugin>,
    meter: Arc<Meter>,
    me: Weak<Place>,
    /// Where the place goes after each call, if each has an instance of its own.
    pen: Option<Arc<Pen>>,
    /// The call that such an instance is for.
    serving: AtomicU64,
    /// Whether `quarantine` says anything, so that it is locked only then.
    resting: AtomicBool,
    quarantine: Mutex<Option<Quarantine>>,
    /// Whether the guest had no room for data that it was offered.
    stalled: AtomicBool,
    /// Instances that were lost.
    lost: AtomicU64,
}

/// What the turn is about.
#[derive(Default)]
pub(crate) struct Content {
    live: Option<Box<Live>>,
    lost: bool,
    closed: bool,
    /// Whether the place was taken out of the pen, and is to be given back.
    out: bool,
    /// The call that the instance is for, where each has its own.
    sid: Option<Sid>,
    /// Dropped by whoever replaces it, not on a caller's time.
    dead: Option<Box<Live>>,
    strikes: Strikes,
    /// How many instances there were.
    number: u64,
}

type Held<'a> = Holding<'a, Content, Job>;

/// A guest that was stopped, and the call that it had, if it had one.
struct Stopped {
    sid: Option<Sid>,
    how: Trapped,
}

impl Place {
    pub(crate) fn new(plugin: &Arc<Plugin>, main: Port, pen: Option<&Arc<Pen>>) -> Arc<Self> {
        let limits = &plugin.limits;
        Arc::new_cyclic(|me| Self {
            turn: Turn::new(Content::default(), limits.queued_calls, limits.queued_bytes),
            port: main.instance(),
            main,
            plugin: plugin.clone(),
            meter: Arc::default(),
            me: me.clone(),
            pen: pen.cloned(),
            serving: AtomicU64::new(0),
            resting: AtomicBool::new(false),
            quarantine: Mutex::new(None),
            stalled: AtomicBool::new(false),
            lost: AtomicU64::new(0),
        })
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
        self.serving.load(Relaxed) == sid.as_raw()
    }

    /// Stops the call, if the guest runs for it, at the next tick.
    pub(crate) fn stop(&self, sid: Sid) {
        self.meter.stop(sid);
    }

    /// Leaves a call for whoever has the turn.
    pub(crate) fn queue(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        if let Some(quarantine) = self.quarantine() {
            return Err(CallError::Quarantined(Box::new(quarantine)).into());
        }
        let bytes = OwnedCall::bytes(call);
        if bytes > self.plugin.limits.queued_bytes {
            return Err(CallError::QueueFull.into());
        }
        let job = Job::Call { sid, call: OwnedCall::copy(call) };
        match self.turn.push(job, bytes) {
            Ok(held) => self.pass_on(held),
            Err(_) => return Err(CallError::QueueFull.into()),
        }
        Ok(())
    }

    /// Why the place takes no calls for now.
    #[inline]
    pub(crate) fn quarantine(&self) -> Option<Quarantine> {
        if !self.resting.load(Relaxed) {
            return None;
        }
        self.quarantine.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Leaves a job that something else bounds.
    pub(crate) fn push(&self, job: Job) {
        let held = self.turn.push_uncounted(job);
        self.pass_on(held);
    }

    /// The same by the thread that has the turn.
    pub(crate) fn push_own(&self, job: Job) {
        let held = self.turn.push_uncounted(job);
        debug_assert!(held.is_none(), "this thread has the turn");
    }

    /// Gives a turn that came with a job to a runner.
    fn pass_on(&self, held: Option<Held<'_>>) {
        if let Some(held) = held {
            self.give_to_runner(held);
        }
    }

    fn give_to_runner(&self, held: Held<'_>) {
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
        match self.turn.push(Job::Data { sid, data: data.into() }, data.len()) {
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
        let Some(live) = &mut held.content().live else {
            self.go_on(held);
            return Err(CallError::StreamOver);
        };
        match live.enter(entry) {
            Ok(said) => {
                self.leave(held);
                fed(said)
            }
            Err(how) => {
                self.lose(held, Stopped { sid: Some(sid), how });
                Ok(())
            }
        }
    }

    /// The caller of `sid` is gone: true if the call had not entered the guest, and won't.
    pub(crate) fn take_back(&self, sid: Sid) -> bool {
        self.turn.remove(|job| job.is_call(sid)).is_some()
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
        self.push(Job::Cancel { sid, surely });
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
                Some(number(said))
            }
            Err(how) => {
                self.lose(held, Stopped { sid: None, how });
                Some(None)
            }
        }
    }

    /// Starts the first instance. The turn stays taken until [`open`](Self::open).
    pub(crate) fn start(&self) -> Result<(), NoStart> {
        let mut held = self.turn.take().expect("nobody knows the place yet");
        clock::busy();
        let started = self.make(held.content());
        held.give_up();
        started
    }

    /// The instance has shown that it starts, and isn't for any call.
    pub(crate) fn discard(&self) {
        // SAFETY: `start` gave the turn up for this.
        let mut held = unsafe { self.turn.take_over() };
        held.content().live = None;
        self.abandon(held);
    }

    /// The plugin can be called, and what its start left behind is run.
    pub(crate) fn open(&self) {
        // SAFETY: `start` gave the turn up for this.
        let held = unsafe { self.turn.take_over() };
        if let Err(held) = held.release() {
            self.give_to_runner(held);
        }
    }

    fn make(&self, content: &mut Content) -> Result<(), NoStart> {
        content.number += 1;
        let (plugin, number) = (&self.plugin, content.number);
        let live = Live::start(plugin, &self.me, self.port, &self.meter, number)?;
        content.live = Some(live);
        content.lost = false;
        Ok(())
    }

    /// Runs a call in the guest. The outer result is whether it came back, the inner whether it
    /// took the call.
    #[inline(always)]
    fn call(
        &self,
        content: &mut Content,
        sid: Sid,
        call: &Invocation<'_>,
    ) -> Result<Result<(), Refusal>, Trapped> {
        let answers = !sid.is_notify();
        content.out = self.pen.is_some();
        if answers && self.port.adopt(sid) == Delivery::Dropped {
            // Its caller left before the guest has seen it.
            return Ok(Ok(()));
        }
        if self.pen.is_some()
            && let Err(refusal) = self.make_for(content, sid)?
        {
            content.sid = None;
            return Ok(Err(refusal));
        }
        let Some(live) = &mut content.live else {
            return Ok(Err(CallError::Unloaded.into()));
        };
        if live.state().keeps_too_many() {
            let limit = self.plugin.limits.kept_calls;
            return Ok(Err(CallError::TooManyKept { limit }.into()));
        }
        match live.enter(Entry::Call(sid, call))? {
            Said::Status(WireStatus::Ok) => {
                if answers && self.port.standing(sid) != Standing::Over {
                    live.state().keep(sid);
                }
                Ok(Ok(()))
            }
            said => {
                content.sid = None;
                Ok(Err(Refusal::Status(status(said))))
            }
        }
    }

    /// Makes the instance that this call alone is for.
    fn make_for(&self, content: &mut Content, sid: Sid) -> Result<Result<(), Refusal>, Trapped> {
        if content.closed {
            return Ok(Err(CallError::Unloaded.into()));
        }
        content.sid = Some(sid);
        self.serving.store(sid.as_raw(), Relaxed);
        match self.make(content) {
            Ok(()) => Ok(Ok(())),
            Err(NoStart::Init(status)) => Ok(Err(Refusal::Status(status.meaning()))),
            Err(NoStart::Trapped(how)) => Err(how),
        }
    }

    /// Lets go of the turn, if nothing queued meanwhile.
    #[inline(always)]
    fn leave(&self, mut held: Held<'_>) {
        if held.has_more() {
            return self.go_on(held);
        }
        self.settle(held.content());
        if self.pen.is_some() {
            return self.go_on(held);
        }
        if let Err(held) = held.release() {
            self.go_on(held);
        }
    }

    /// Runs what queued, for a while, and lets go.
    #[inline(never)]
    fn go_on(&self, mut held: Held<'_>) {
        let mut batch = Batch::default();
        loop {
            while let Some(job) = held.pop() {
                if let Err(stopped) = self.work(held.content(), job) {
                    return self.lose(held, stopped);
                }
                if batch.is_over() {
                    return self.give_to_runner(held);
                }
            }
            self.settle(held.content());
            let Some(pen) = self.pen_if_free(held.content()) else {
                match held.release() {
                    Ok(()) => return,
                    Err(again) => held = again,
                }
                continue;
            };
            if let Some(job) = pen.next() {
                if let Err(stopped) = self.work(held.content(), job) {
                    return self.lose(held, stopped);
                }
                if batch.is_over() {
                    return self.give_to_runner(held);
                }
                continue;
            }
            held.content().out = false;
            match held.release() {
                Ok(()) => return pen.give_back(self),
                Err(again) => held = again,
            }
            held.content().out = true;
        }
    }

    /// Where the place belongs, if it was taken out of there for a call that is over.
    fn pen_if_free(&self, content: &Content) -> Option<&Pen> {
        self.pen.as_deref().filter(|_| content.out && content.sid.is_none())
    }

    /// Nothing is in the queue: ends what the guest keeps and nothing will have it answer, and drops
    /// an instance whose call is over.
    #[inline(always)]
    fn settle(&self, content: &mut Content) {
        if let Some(live) = &mut content.live {
            for sid in live.state().silent() {
                let _ = self.port.fault(sid, Fault::Unanswered);
            }
        }
        if self.pen.is_some() {
            self.drop_if_over(content);
        }
    }

    fn drop_if_over(&self, content: &mut Content) {
        let wakes = content.live.as_ref().map_or(0, |live| live.state().timers.get());
        let over = content.sid.is_none_or(|sid| {
            if sid.is_notify() { wakes == 0 } else { self.port.standing(sid) == Standing::Over }
        });
        if over {
            content.sid = None;
            content.live = None;
            self.serving.store(0, Relaxed);
        }
    }

    /// Does one job.
    fn work(&self, content: &mut Content, job: Job) -> Result<(), Stopped> {
        let of = |sid| move |how| Stopped { sid, how };
        if let Job::Call { sid, call } = job {
            let result = call.with(|call| self.call(content, sid, call)).map_err(of(Some(sid)))?;
            if let Err(refusal) = result
                && !sid.is_notify()
            {
                let _ = self.port.fault(sid, Fault::Refused { status: refused(&refusal) });
            }
            return Ok(());
        }
        let Some(live) = &mut content.live else { return Ok(()) };
        match job {
            Job::Call { .. } => {}
            Job::Data { sid, data } => self.offer(live, sid, Some(data)).map_err(of(Some(sid)))?,
            Job::Close { sid } => self.offer(live, sid, None).map_err(of(Some(sid)))?,
            Job::Cancel { sid, surely } => cancel(live, sid, surely).map_err(of(None))?,
            Job::Retry => {
                for (sid, data) in std::mem::take(&mut live.stalled) {
                    self.offer(live, sid, data).map_err(of(Some(sid)))?;
                }
            }
            Job::Wake { instance, token } => {
                let state = live.state();
                if state.number == instance {
                    state.timers.set(state.timers.get() - 1);
                    live.enter(Entry::Wake(token)).map_err(of(None))?;
                }
            }
            Job::Resolve { name, answer } => {
                let said = live.enter(Entry::Resolve(&name)).map_err(of(None))?;
                let _ = answer.try_send(number(said));
            }
        }
        Ok(())
    }

    /// Offers data that its caller was told is taken. What the guest has no room for is kept, and
    /// offered again.
    fn offer(&self, live: &mut Live, sid: Sid, data: Option<Box<[u8]>>) -> Result<(), Trapped> {
        if self.port.standing(sid) != Standing::Stream {
            return Ok(());
        }
        if live.stalled.iter().any(|(stalled, _)| *stalled == sid) {
            live.stalled.push_back((sid, data));
            return Ok(());
        }
        let entry = data.as_deref().map_or(Entry::Close(sid), |data| Entry::Data(sid, data));
        let has_room = live.enter(entry)? != Said::Status(WireStatus::Backpressure);
        if !has_room {
            live.stalled.push_back((sid, data));
        }
        let stalled = !live.stalled.is_empty();
        self.stalled.store(stalled, Relaxed);
        if !has_room && live.stalled.len() == 1 {
            clock::push_at(Instant::now(), AGAIN, self.arc(), Job::Retry);
        }
        Ok(())
    }

    /// The instance is lost: ends its calls, and has a runner replace it. The turn stays taken
    /// until then.
    #[cold]
    #[inline(never)]
    fn lose(&self, mut held: Held<'_>, stopped: Stopped) {
        let Stopped { sid, how } = stopped;
        let content = held.content();
        content.dead = content.live.take();
        self.lost.fetch_add(1, Relaxed);
        self.stalled.store(false, Relaxed);
        if how.cause != TrapCause::Cancelled {
            let plugin = self.port.plugin_name();
            tracing::warn!(target: "ringbox::sandbox", plugin, "an instance is lost: {how}");
        }
        let fault = Fault::Trapped(Box::new(how));
        if let Some(sid) = sid
            && self.port.standing(sid) != Standing::Over
        {
            let _ = self.port.fault(sid, fault.clone());
        }
        if self.pen.is_some() {
            // Its call was its own, and the next one gets another instance anyway.
            let content = held.content();
            if let Some(sid) = content.sid.filter(|sid| self.port.standing(*sid) != Standing::Over)
            {
                let _ = self.port.fault(sid, fault);
            }
            (content.dead, content.sid) = (None, None);
            self.serving.store(0, Relaxed);
            return self.go_on(held);
        }
        held.content().lost = true;
        self.port.end_all(&Fault::InstanceLost);
        self.try_again(held, fault);
    }

    /// Has a runner replace the instance as soon as its failures allow.
    fn try_again(&self, mut held: Held<'_>, last: Fault) {
        let content = held.content();
        match content.strikes.add(Instant::now()) {
            Next::Again => self.give_to_runner(held),
            Next::After(wait) => {
                held.give_up();
                clock::submit_at(Instant::now(), wait, self.arc());
            }
            Next::Quarantine => {
                let quarantine = Quarantine::new(content.strikes.count(), REST, last);
                tracing::warn!(
                    target: "ringbox::sandbox", plugin = self.port.plugin_name(), "{quarantine}"
                );
                *self.quarantine.lock().unwrap_or_else(PoisonError::into_inner) = Some(quarantine);
                self.resting.store(true, Relaxed);
                while let Some(job) = held.pop() {
                    if let Job::Call { sid, .. } = job {
                        let _ = self.main.fault(sid, Fault::InstanceLost);
                    }
                }
                held.give_up();
                clock::submit_at(Instant::now(), REST, self.arc());
            }
        }
    }

    /// A runner has the place, and its turn.
    pub(crate) fn run(&self) {
        let visited = self.port.visit(|| {
            clock::busy();
            // SAFETY: whoever submitted the place gave its turn up for this.
            let held = unsafe { self.turn.take_over() };
            self.run_inside(held);
        });
        if visited.is_none() {
            // The plugin is unloaded. What is left is its shutdown's.
            // SAFETY: as above; the closure was not run.
            self.abandon(unsafe { self.turn.take_over() });
        }
    }

    fn run_inside(&self, mut held: Held<'_>) {
        let content = held.content();
        if !content.lost {
            return self.go_on(held);
        }
        content.dead = None;
        let rested = self.resting.load(Relaxed);
        if rested {
            content.strikes.rested(Instant::now());
        }
        match self.make(content) {
            Ok(()) => {
                self.resting.store(false, Relaxed);
                self.go_on(held);
            }
            Err(NoStart::Trapped(how)) => {
                self.try_again(held, Fault::Trapped(Box::new(how)));
            }
            Err(NoStart::Init(status)) => {
                self.try_again(held, Fault::Refused { status: status.meaning() });
            }
        }
    }

    /// Lets go without running anything.
    fn abandon(&self, mut held: Held<'_>) {
        loop {
            while held.pop().is_some() {}
            match held.release() {
                Ok(()) => return,
                Err(again) => held = again,
            }
        }
    }

    /// Shuts the guest down, and empties the place. Nobody is inside it, or will be.
    pub(crate) fn end(&self) {
        let Some(mut held) = self.reclaim() else {
            tracing::error!(
                target: "ringbox::sandbox", plugin = self.port.plugin_name(),
                "an instance does not come back, and is left as it is"
            );
            clock::remove(self);
            return;
        };
        let empty = Content { closed: true, ..Content::default() };
        let content = std::mem::replace(held.content(), empty);
        // An instance of one call is told nothing when that is over.
        if let Some(mut live) = content.live.filter(|_| self.pen.is_none()) {
            clock::busy();
            if let Err(how) = live.enter(Entry::Shutdown) {
                let plugin = self.port.plugin_name();
                tracing::warn!(target: "ringbox::sandbox", plugin, "its shutdown: {how}");
            }
        }
        self.abandon(held);
        clock::forget(self);
        clock::remove(self);
    }

    /// The turn, from wherever it waits.
    fn reclaim(&self) -> Option<Held<'_>> {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(5) {
            if let Some(held) = self.turn.take() {
                return Some(held);
            }
            if clock::forget(self) || runner::take_back(self) {
                // SAFETY: the turn was given up for the sake of what was just taken back.
                return Some(unsafe { self.turn.take_over() });
            }
            // A runner has it in its hands, and finds that the plugin is unloaded.
            std::thread::sleep(Duration::from_micros(50));
        }
        None
    }

    pub(crate) fn arc(&self) -> Arc<Self> {
        self.me.upgrade().expect("a place that is reached is alive")
    }
}

/// What whoever has the turn runs of what others left, before a runner does.
#[derive(Default)]
struct Batch {
    begin: Option<Instant>,
    calls: u32,
}

impl Batch {
    /// One more was run.
    fn is_over(&mut self) -> bool {
        self.calls += 1;
        let begin = *self.begin.get_or_insert_with(Instant::now);
        self.calls >= BATCH_CALLS || begin.elapsed() >= BATCH_TIME
    }
}

fn cancel(live: &mut Live, sid: Sid, surely: bool) -> Result<(), Trapped> {
    live.stalled.retain(|(stalled, _)| *stalled != sid);
    if live.state().forget(sid) || surely {
        live.enter(Entry::Cancel(sid)).map(|_| ())
    } else {
        Ok(())
    }
}

fn status(said: Said) -> Status {
    match said {
        Said::Status(status) => status.meaning(),
        Said::Number(_) | Said::Nothing => Status::Ok,
    }
}

fn number(said: Said) -> Option<u32> {
    match said {
        Said::Number(number) => number,
        Said::Status(_) | Said::Nothing => None,
    }
}

/// What a call that had waited is told in place of a refusal.
fn refused(refusal: &Refusal) -> Status {
    match refusal {
        Refusal::Status(status) => *status,
        _ => Status::Backpressure,
    }
}

/// A guest took data, or said why not.
fn fed(said: Said) -> Result<(), CallError> {
    match status(said) {
        Status::Ok => Ok(()),
        Status::Backpressure => Err(CallError::Backpressure),
        status => Err(CallError::Refused { status }),
    }
}
