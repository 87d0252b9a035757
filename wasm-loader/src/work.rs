//! What whoever has a place's turn does with it.

use crate::clock;
use crate::job::Job;
use crate::live::{Entry, Live, NoStart, Said};
use crate::moment::Moment;
use crate::per_call::Pen;
use crate::place::{Content, Held, Place, Stopped};
use crate::wire::WireStatus;
use ringbox_ring::{
    CallError, Delivery, Fault, Invocation, Refusal, Sid, Standing, Status, Trapped,
};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::{Duration, Instant};

/// How long whoever has the turn runs what others left, before a runner does.
const BATCH_CALLS: u32 = 16;
const BATCH_TIME: Duration = Duration::from_micros(200);

/// When data that a guest had no room for is offered again.
const AGAIN: Duration = Duration::from_millis(1);

impl Place {
    /// Makes an instance.
    pub(crate) fn make(&self, content: &mut Content) -> Result<(), NoStart> {
        content.number += 1;
        content.live = Some(Live::start(self, content.number)?);
        content.lost = false;
        Ok(())
    }

    /// Runs a call in the guest. The outer result is whether it came back, the inner whether it
    /// took the call.
    #[inline(always)]
    pub(crate) fn call(
        &self,
        content: &mut Content,
        sid: Sid,
        call: &Invocation<'_>,
    ) -> Result<Result<(), Refusal>, Trapped> {
        if !self.admit(content, sid) {
            return Ok(Ok(()));
        }
        if self.pen.is_some()
            && let Err(no) = self.make(content)
        {
            return self.not_made(content, no).map(Err);
        }
        let live = match self.ready(content) {
            Ok(live) => live,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let said = live.enter(Entry::Call(sid, call))?;
        Ok(self.took(content, sid, said))
    }

    /// Gives a call to the instance. False: its caller left before the guest has seen it.
    #[inline(always)]
    pub(crate) fn admit(&self, content: &mut Content, sid: Sid) -> bool {
        if self.pen.is_some() {
            self.reserve(content, sid);
        }
        let admitted = self.claim(sid);
        if !admitted && self.pen.is_some() {
            content.sid = None;
            self.serving.store(0, SeqCst);
        }
        admitted
    }

    /// Makes a call the place's own, which it may be already. False: it is over.
    #[inline(always)]
    pub(crate) fn claim(&self, sid: Sid) -> bool {
        sid.is_notify() || self.port.adopt(sid) != Delivery::Dropped
    }

    /// The instance that is made next is for this call alone.
    ///
    /// Before the call is taken: a caller who leaves after that finds who serves it.
    fn reserve(&self, content: &mut Content, sid: Sid) {
        content.out = true;
        content.sid = Some(sid);
        self.serving.store(sid.as_raw(), SeqCst);
    }

    /// The call's own instance did not start.
    pub(crate) fn not_made(&self, content: &mut Content, no: NoStart) -> Result<Refusal, Trapped> {
        match no {
            NoStart::Init(status) => {
                content.sid = None;
                Ok(Refusal::new(status.meaning()))
            }
            NoStart::Trapped(how) => Err(how),
        }
    }

    /// The instance, if it may take another call.
    #[inline(always)]
    pub(crate) fn ready<'a>(&self, content: &'a mut Content) -> Result<&'a mut Live, Refusal> {
        let live = content.live.as_mut().ok_or(CallError::Unloaded)?;
        if live.state().keeps_too_many() {
            let limit = self.plugin.limits.kept_calls;
            return Err(CallError::TooManyKept { limit }.into());
        }
        Ok(live)
    }

    /// The guest came back from a call.
    #[inline(always)]
    pub(crate) fn took(&self, content: &mut Content, sid: Sid, said: Said) -> Result<(), Refusal> {
        if said != Said::Status(WireStatus::Ok) {
            content.sid = None;
            return Err(Refusal::new(said.status()));
        }
        if !sid.is_notify()
            && self.port.standing(sid) != Standing::Over
            && let Some(live) = &content.live
        {
            live.state().keep(sid);
        }
        Ok(())
    }

    /// Lets go of the turn, if nothing queued meanwhile.
    #[inline(always)]
    pub(crate) fn leave(&self, mut held: Held<'_>) {
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
    pub(crate) fn go_on(&self, mut held: Held<'_>) {
        let mut batch = Batch::default();
        loop {
            let worked = if let Some((content, mut job)) = held.next_job() {
                Some(self.work(content, &mut job))
            } else {
                self.next_of_pen(&mut held).map(|mut job| self.work(held.content(), &mut job))
            };
            if let Some(worked) = worked {
                if let Err(stopped) = worked
                    && let Some(fault) = self.mourn(held.content(), stopped)
                {
                    return self.try_again(held, fault);
                }
                if batch.is_over(Moment::now()) {
                    return self.give_to_runner(held);
                }
                continue;
            }
            let pen = self.pen_if_free(held.content());
            held.content().out &= pen.is_none();
            match (held.release(), pen) {
                (Ok(()), Some(pen)) => return pen.give_back(self),
                (Ok(()), None) => return,
                (Err(again), pen) => {
                    held = again;
                    held.content().out |= pen.is_some();
                }
            }
        }
    }

    /// What is to be done next, out of its place.
    pub(crate) fn next(&self, held: &mut Held<'_>) -> Option<Job> {
        held.pop().or_else(|| self.next_of_pen(held))
    }

    /// What is to be done where the queue is empty: a call that waits for a free place, if this is
    /// one.
    fn next_of_pen(&self, held: &mut Held<'_>) -> Option<Job> {
        self.settle(held.content());
        self.pen_if_free(held.content())?.next()
    }

    /// Where the place belongs, if it was taken out of there for a call that is over.
    pub(crate) fn pen_if_free(&self, content: &Content) -> Option<&Pen> {
        self.pen.as_deref().filter(|_| content.out && content.sid.is_none())
    }

    /// Nothing is in the queue: ends what the guest keeps and nothing will have it answer, and drops
    /// an instance whose call is over.
    #[inline(always)]
    pub(crate) fn settle(&self, content: &mut Content) {
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
            self.serving.store(0, SeqCst);
            self.stalled.store(false, Relaxed);
        }
    }

    /// Does one job. Data that it brings is moved out of it.
    fn work(&self, content: &mut Content, job: &mut Job) -> Result<(), Stopped> {
        let of = |sid| move |how| Stopped { sid, how };
        if let Job::Call { sid, call } = job {
            let sid = *sid;
            let result = call.with(|call| self.call(content, sid, call)).map_err(of(Some(sid)))?;
            self.tell(sid, result);
            return Ok(());
        }
        if job.stream().is_some_and(|sid| !self.is_for(content, sid)) {
            return Ok(());
        }
        let Some(live) = &mut content.live else { return Ok(()) };
        match *job {
            Job::Call { .. } => {}
            Job::Data { sid, ref mut data } => {
                self.offer(live, sid, Some(std::mem::take(data))).map_err(of(Some(sid)))?;
            }
            Job::Close { sid } => self.offer(live, sid, None).map_err(of(Some(sid)))?,
            Job::Cancel { sid, surely } => cancel(live, sid, surely).map_err(of(None))?,
            Job::Retry => {
                for (sid, data) in std::mem::take(&mut live.stalled) {
                    self.offer(live, sid, data).map_err(of(Some(sid)))?;
                }
                self.tried_again(live);
            }
            Job::Wake { instance, token } => {
                if live.woken(instance) {
                    live.enter(Entry::Wake(token)).map_err(of(None))?;
                }
            }
            Job::Resolve { ref name, ref answer } => {
                let said = live.enter(Entry::Resolve(name)).map_err(of(None))?;
                let _ = answer.try_send(said.number());
            }
        }
        Ok(())
    }

    /// Tells a caller who has waited how the guest took the call.
    pub(crate) fn tell(&self, sid: Sid, result: Result<(), Refusal>) {
        if let Err(refusal) = result
            && !sid.is_notify()
        {
            let status = refusal.status().unwrap_or(Status::Backpressure);
            let _ = self.port.fault(sid, Fault::Refused { status });
        }
    }

    /// Offers data that its caller was told is taken. What the guest has no room for is kept, and
    /// offered again.
    fn offer(&self, live: &mut Live, sid: Sid, data: Option<Box<[u8]>>) -> Result<(), Trapped> {
        if !self.may_offer(live, sid) {
            live.stalled.push_back((sid, data));
            return Ok(());
        }
        let entry = data.as_deref().map_or(Entry::Close(sid), |data| Entry::Data(sid, data));
        let said = live.enter(entry)?;
        self.offered(live, sid, data, said);
        Ok(())
    }

    /// Whether nothing that was for the same stream waits.
    pub(crate) fn may_offer(&self, live: &Live, sid: Sid) -> bool {
        live.stalled.iter().all(|(stalled, _)| *stalled != sid)
    }

    /// The guest had room for data, or hadn't.
    pub(crate) fn offered(&self, live: &mut Live, sid: Sid, data: Option<Box<[u8]>>, said: Said) {
        let first = live.stalled.is_empty();
        let full = said == Said::Status(WireStatus::Backpressure);
        if !full && data.is_none() {
            live.state().no_more_data(sid);
        }
        if full && self.port.standing(sid) == Standing::Stream {
            live.stalled.push_back((sid, data));
            if first {
                clock::push_at(Instant::now(), AGAIN, self.arc(), Job::Retry);
            }
        }
        self.stalled.store(!live.stalled.is_empty(), Relaxed);
    }

    /// All that waited was offered, or its caller had left and nothing waits any more.
    pub(crate) fn tried_again(&self, live: &Live) {
        self.stalled.store(!live.stalled.is_empty(), Relaxed);
    }
}

/// What whoever has the turn runs of what others left, before a runner does.
#[derive(Default)]
pub(crate) struct Batch {
    begin: Option<Moment>,
    calls: u32,
}

impl Batch {
    /// One more was run, and it is `now`.
    pub(crate) fn is_over(&mut self, now: Moment) -> bool {
        self.calls += 1;
        let begin = *self.begin.get_or_insert(now);
        self.calls >= BATCH_CALLS || now.is_past(begin, BATCH_TIME)
    }
}

/// Tells the guest that a call's caller is gone: surely, or if it keeps the call.
pub(crate) fn cancel(live: &mut Live, sid: Sid, surely: bool) -> Result<(), Trapped> {
    if live.gone(sid) || surely {
        live.enter(Entry::Cancel(sid))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_so_many_calls_or_so_long() {
        let now = Instant::now();
        let us = |us| Moment::Clock(now + Duration::from_micros(us));
        let mut many = Batch::default();
        assert_eq!((0..100).take_while(|_| !many.is_over(us(0))).count(), 15);
        let mut long = Batch::default();
        assert_eq!([0, 100, 199, 200].map(|at| long.is_over(us(at))), [false, false, false, true]);
    }
}
