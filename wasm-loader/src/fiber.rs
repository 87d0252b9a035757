//! Guests that run where no thread may stay: as futures, which runners poll.
//!
//! | `state` | the future | the turn is | next |
//! |---|---|---|---|
//! | `NONE` | none | anybody's | a runner gets the place: `RUNS` |
//! | `RUNS` | the runner's | the future's | it ends: `NONE`; it waits: `WAITS`; it is woken: `WOKEN` |
//! | `WOKEN` | the runner's | the future's | it ends: `NONE`; it waits: `QUEUED`, behind the others |
//! | `WAITS` | in `future` | the future's | it is woken: `QUEUED`; the plugin is unloaded: `NONE` |
//! | `QUEUED` | in `future` | the future's | a runner gets the place: `RUNS` |
//!
//! The future gives its turn back to whoever polls it by ending, once `state` is `NONE`: a place that
//! is given to a runner after that begins another.

#![expect(unsafe_code, reason = "a turn goes from thread to thread")]

use crate::clock::{self, Alarm};
use crate::job::Job;
use crate::live::{Entry, Live, NoStart};
use crate::moment::Moment;
use crate::place::{Content, Held, Place, Stopped};
use crate::runner;
use crate::trap;
use crate::work::Batch;
use ringbox_ring::{Fault, Sid, Trapped};
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;
use wasmtime_wasi::runtime::with_ambient_tokio_runtime;

const NONE: u8 = 0;
const RUNS: u8 = 1;
const WOKEN: u8 = 2;
const WAITS: u8 = 3;
const QUEUED: u8 = 4;

/// A place's future, if it has one.
#[derive(Default)]
pub(crate) struct Fiber {
    state: AtomicU8,
    future: Mutex<Option<Running>>,
}

type Running = Pin<Box<dyn Future<Output = End> + Send>>;

/// Why a future ended.
enum End {
    /// Nothing is in the queue. The place is to be given back to its pen, or not.
    Empty { free: bool },
    /// The instance was lost, and is to be replaced.
    Lost(Fault),
}

impl Fiber {
    /// Whether a guest runs just now.
    pub(crate) fn runs(&self) -> bool {
        matches!(self.state.load(SeqCst), RUNS | WOKEN)
    }

    /// A guest runs, or doesn't any more, on a thread that waits for it.
    pub(crate) fn starts(&self) {
        self.state.store(RUNS, SeqCst);
    }

    pub(crate) fn ends(&self) {
        self.state.store(NONE, SeqCst);
    }

    /// Takes a future that waits away from whoever would wake it.
    pub(crate) fn suspended(&self) -> bool {
        self.state.compare_exchange(WAITS, NONE, SeqCst, SeqCst).is_ok()
    }

    /// Drops the future, if there is one.
    pub(crate) fn drop_future(&self) -> bool {
        self.ends();
        self.take().is_some()
    }

    fn take(&self) -> Option<Running> {
        self.future.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn keep(&self, future: Running) {
        *self.future.lock().unwrap_or_else(PoisonError::into_inner) = Some(future);
    }
}

impl Wake for Place {
    fn wake(self: Arc<Self>) {
        self.wake_fiber();
    }
}

impl Place {
    /// Has a runner come back to the future.
    pub(crate) fn wake_fiber(&self) {
        let state = &self.fiber.state;
        let woken = state.fetch_update(SeqCst, SeqCst, |state| match state {
            RUNS => Some(WOKEN),
            WAITS => Some(QUEUED),
            _ => None,
        });
        if woken == Ok(WAITS) {
            runner::submit(self.arc());
        }
    }

    /// A runner has the place: polls its future, or begins one.
    pub(crate) fn run_fiber(&self) {
        self.fiber.starts();
        let future = self.fiber.take();
        let begun = future.is_some();
        // All of it is a visit: wakers run when that is over, and one may wait for another call of
        // this very place.
        let visited = self.port.visit(|| {
            clock::busy();
            let mut future = future.unwrap_or_else(|| Box::pin(run(self.arc())));
            let waker = Waker::from(self.arc());
            match self.poll(&mut future, &mut Context::from_waker(&waker)) {
                Poll::Ready(end) => {
                    drop(future);
                    self.fiber.ends();
                    self.end_fiber(end);
                }
                Poll::Pending => self.suspend(future),
            }
        });
        if visited.is_none() {
            // The plugin is unloaded. What is left is its shutdown's.
            self.fiber.ends();
            // SAFETY: the future had the turn, or it was given up for one that was not begun.
            let mut held = unsafe { self.turn.take_over() };
            if begun {
                held.content().live = None;
            }
            self.abandon(held);
        }
    }

    fn poll(&self, future: &mut Running, context: &mut Context<'_>) -> Poll<End> {
        if self.plugin.tokio {
            with_ambient_tokio_runtime(|| future.as_mut().poll(context))
        } else {
            future.as_mut().poll(context)
        }
    }

    /// The future waits for something, or gives way.
    fn suspend(&self, future: Running) {
        self.fiber.keep(future);
        let state = &self.fiber.state;
        if state.compare_exchange(RUNS, WAITS, SeqCst, SeqCst).is_err() {
            // It was woken meanwhile. Others come first.
            state.store(QUEUED, SeqCst);
            runner::submit(self.arc());
        }
    }

    /// The future is done, and its turn is this thread's.
    fn end_fiber(&self, end: End) {
        // SAFETY: the future gave it up by ending.
        let held = unsafe { self.turn.take_over() };
        match end {
            End::Lost(fault) => self.try_again(held, fault),
            End::Empty { free } => match (held.release(), &self.pen) {
                (Ok(()), Some(pen)) if free => pen.give_back(self),
                (Ok(()), _) => {}
                (Err(mut held), _) => {
                    held.content().out |= free;
                    self.give_to_runner(held);
                }
            },
        }
    }

    /// Runs what is in the queue, and what comes meanwhile.
    async fn go_on_fiber(&self, held: &mut Held<'_>) -> End {
        if held.content().lost {
            self.begin_again(held.content());
            let made = self.make_fiber(held.content()).await;
            if let Err(fault) = self.began_again(held.content(), made) {
                return End::Lost(fault);
            }
        }
        let mut batch = Batch::default();
        loop {
            let Some(job) = self.next(held) else {
                let content = held.content();
                let free = self.pen_if_free(content).is_some();
                content.out &= !free;
                return End::Empty { free };
            };
            if let Err(stopped) = self.work_fiber(held.content(), job).await
                && let Some(fault) = self.mourn(held.content(), stopped)
            {
                return End::Lost(fault);
            }
            if batch.is_over(Moment::now()) {
                batch = Batch::default();
                give_way().await;
            }
        }
    }

    /// Makes an instance.
    pub(crate) async fn make_fiber(&self, content: &mut Content) -> Result<(), NoStart> {
        content.number += 1;
        let started = self.in_time(Live::start_fiber(self, content.number)).await;
        content.live = Some(started.unwrap_or_else(|| Err(NoStart::Trapped(trap::waited())))?);
        content.lost = false;
        Ok(())
    }

    /// What a guest does when it starts or ends, for as long as that may take: a guest that waits
    /// meets no tick. None: it took longer, and was dropped where it was.
    pub(crate) async fn in_time<F: Future>(&self, future: F) -> Option<F::Output> {
        let limits = &self.plugin.limits;
        let until = Instant::now() + limits.start_budget + limits.start_wait;
        let (mut future, mut alarm) = (pin!(future), None);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Poll::Ready(None);
            }
            // Whoever polls it is the same from the first poll to the last.
            alarm.get_or_insert_with(|| Alarm::set(left, self.arc(), context.waker().clone()));
            Poll::Pending
        })
        .await
    }

    /// Does one job: `work`, for fibers.
    async fn work_fiber(&self, content: &mut Content, job: Job) -> Result<(), Stopped> {
        let of = |sid| move |how| Stopped { sid, how };
        if let Job::Call { sid, call } = job {
            return self.call_fiber(content, sid, &call).await.map_err(of(Some(sid)));
        }
        if self.pen.is_some() && matches!(job, Job::Resolve { .. }) {
            content.out = true;
            if self.make_fiber(content).await.is_err() {
                return Ok(());
            }
        }
        if job.stream().is_some_and(|sid| !self.is_for(content, sid)) {
            return Ok(());
        }
        let Some(live) = &mut content.live else { return Ok(()) };
        match job {
            Job::Call { .. } => {}
            Job::Data { sid, data } => {
                self.offer_fiber(live, sid, Some(data)).await.map_err(of(Some(sid)))?;
            }
            Job::Close { sid } => {
                self.offer_fiber(live, sid, None).await.map_err(of(Some(sid)))?;
            }
            Job::Cancel { sid, surely } => {
                if live.gone(sid) || surely {
                    live.enter_fiber(Entry::Cancel(sid)).await.map_err(of(None))?;
                }
            }
            Job::Retry => {
                for (sid, data) in std::mem::take(&mut live.stalled) {
                    self.offer_fiber(live, sid, data).await.map_err(of(Some(sid)))?;
                }
                self.tried_again(live);
            }
            Job::Wake { instance, token } => {
                if live.woken(instance) {
                    live.enter_fiber(Entry::Wake(token)).await.map_err(of(None))?;
                }
            }
            Job::Resolve { name, answer } => {
                let said = live.enter_fiber(Entry::Resolve(&name)).await.map_err(of(None))?;
                let _ = answer.try_send(said.number());
            }
        }
        Ok(())
    }

    async fn call_fiber(
        &self,
        content: &mut Content,
        sid: Sid,
        call: &crate::job::OwnedCall,
    ) -> Result<(), Trapped> {
        if !self.admit(content, sid) {
            return Ok(());
        }
        if self.pen.is_some()
            && let Err(no) = self.make_fiber(content).await
        {
            let refusal = self.not_made(content, no)?;
            self.tell(sid, Err(refusal));
            return Ok(());
        }
        let said = match self.ready(content) {
            Ok(live) => {
                let headers = call.headers();
                live.enter_fiber(Entry::Call(sid, &call.invocation(&headers))).await?
            }
            Err(refusal) => {
                self.tell(sid, Err(refusal));
                return Ok(());
            }
        };
        let result = self.took(content, sid, said);
        self.tell(sid, result);
        Ok(())
    }

    async fn offer_fiber(
        &self,
        live: &mut Live,
        sid: Sid,
        data: Option<Box<[u8]>>,
    ) -> Result<(), Trapped> {
        if !self.may_offer(live, sid) {
            live.stalled.push_back((sid, data));
            return Ok(());
        }
        let entry = data.as_deref().map_or(Entry::Close(sid), |data| Entry::Data(sid, data));
        let said = live.enter_fiber(entry).await?;
        self.offered(live, sid, data, said);
        Ok(())
    }
}

/// The future of a place whose turn was given up for it.
async fn run(place: Arc<Place>) -> End {
    // SAFETY: whoever gave the place to a runner gave its turn up for this.
    let mut held = unsafe { place.turn.take_over() };
    let end = place.go_on_fiber(&mut held).await;
    held.give_up();
    end
}

/// Lets the others that wait for a runner go first.
async fn give_way() {
    let mut gave = false;
    poll_fn(|context| {
        if std::mem::replace(&mut gave, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs a future to its end, on a thread that may wait for it.
pub(crate) fn block_on<F>(future: F, tokio: bool) -> F::Output
where
    F: Future + Send,
    F::Output: Send,
{
    let mut future = pin!(future);
    if tokio {
        // The caller may be a runtime's only thread, which what the guest waits for would need. A
        // thread that is in no runtime uses the host's.
        let mine = future.as_mut();
        let done = thread::scope(|scope| {
            let thread = thread::Builder::new().name("ringbox-wait".into());
            let waits = thread.spawn_scoped(scope, || poll_until(mine, true)).ok()?;
            Some(waits.join().unwrap_or_else(|panic| resume_unwind(panic)))
        });
        if let Some(done) = done {
            return done;
        }
    }
    poll_until(future, tokio)
}

fn poll_until<F: Future>(mut future: Pin<&mut F>, tokio: bool) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        let polled = if tokio {
            with_ambient_tokio_runtime(|| future.as_mut().poll(&mut context))
        } else {
            future.as_mut().poll(&mut context)
        };
        if let Poll::Ready(output) = polled {
            return output;
        }
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{WasmLimits, WasmOptions, loaded};
    use std::future::{pending, ready};
    use std::time::Duration;

    #[test]
    fn nobody_waits_for_ever_for_a_guest_that_does() {
        let tick = Duration::from_millis(20);
        let limits = WasmLimits::default().start_budget(tick).start_wait(tick);
        let plugin = loaded::small(&WasmOptions::new().wasm_limits(limits));
        let place = plugin.place();
        for tokio in [false, true] {
            assert_eq!(block_on(place.in_time(ready(7)), tokio), Some(7));
            let begin = Instant::now();
            assert_eq!(block_on(place.in_time(pending::<u8>()), tokio), None);
            assert!(begin.elapsed() >= 2 * tick);
            assert_eq!(block_on(place.in_time(give_way()), tokio), Some(()));
        }
    }
}
