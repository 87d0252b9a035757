//! Instances that are lost, and what replaces them.

use crate::clock;
use crate::job::Job;
use crate::live::NoStart;
use crate::log;
use crate::place::{Content, Held, Place, Stopped};
use crate::recover::{Next, REST};
use ringbox_ring::{Fault, Quarantine, Sid, Standing, TrapCause};
use std::sync::PoisonError;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Instant;

impl Place {
    /// The instance is lost: ends its calls, and has a runner replace it. The turn stays taken
    /// until then.
    #[cold]
    #[inline(never)]
    pub(crate) fn lose(&self, mut held: Held<'_>, stopped: Stopped) {
        match self.mourn(held.content(), stopped) {
            Some(fault) => self.try_again(held, fault),
            None => self.go_on(held),
        }
    }

    /// Ends an instance's calls. Says how it was lost, if it is to be replaced.
    #[cold]
    pub(crate) fn mourn(&self, content: &mut Content, stopped: Stopped) -> Option<Fault> {
        let Stopped { sid, how } = stopped;
        self.lost.fetch_add(1, Relaxed);
        self.stalled.store(false, Relaxed);
        if how.cause != TrapCause::Cancelled {
            let plugin = &*self.port.plugin_name();
            log::contained(|| {
                tracing::warn!(target: "ringbox::sandbox", plugin, "an instance is lost: {how}");
            });
        }
        let fault = Fault::Trapped(Box::new(how));
        // Both are told, should the instance have had something of another call's.
        let own = content.sid.filter(|own| Some(*own) != sid);
        sid.into_iter().chain(own).for_each(|sid| self.end_if_open(sid, &fault));
        if self.pen.is_some() {
            // Its call was its own, and the next one gets another instance anyway.
            (content.live, content.sid) = (None, None);
            self.serving.store(0, SeqCst);
            return None;
        }
        // What waits in the queue is the port's too, and the next instance's.
        for sid in content.live.iter().flat_map(|live| live.state().kept()) {
            self.end_if_open(sid, &Fault::InstanceLost);
        }
        content.dead = content.live.take();
        content.lost = true;
        Some(fault)
    }

    /// One that is over is not counted as answered twice.
    fn end_if_open(&self, sid: Sid, fault: &Fault) {
        if self.port.standing(sid) != Standing::Over {
            let _ = self.port.fault(sid, fault.clone());
        }
    }

    /// Has a runner replace the instance as soon as its failures allow.
    pub(crate) fn try_again(&self, mut held: Held<'_>, last: Fault) {
        let content = held.content();
        match content.strikes.add(Instant::now()) {
            Next::Again => self.give_to_runner(held),
            Next::After(wait) => {
                held.give_up();
                clock::submit_at(Instant::now(), wait, self.arc());
            }
            Next::Quarantine => {
                let quarantine = Quarantine::new(content.strikes.count(), REST, last);
                let plugin = &*self.port.plugin_name();
                log::contained(|| {
                    tracing::warn!(target: "ringbox::sandbox", plugin, "{quarantine}");
                });
                *self.quarantine.lock().unwrap_or_else(PoisonError::into_inner) = Some(quarantine);
                self.resting.store(true, SeqCst);
                held.look_again();
                while let Some(job) = held.pop() {
                    if let Job::Call { sid, .. } = job {
                        let _ = self.port.fault(sid, Fault::InstanceLost);
                    }
                }
                held.give_up();
                clock::submit_at(Instant::now(), REST, self.arc());
            }
        }
    }

    /// An instance is about to be replaced.
    pub(crate) fn begin_again(&self, content: &mut Content) {
        content.dead = None;
        if self.resting.load(SeqCst) {
            content.strikes.rested(Instant::now());
        }
    }

    /// It was, or wasn't. Says how it failed.
    pub(crate) fn began_again(
        &self,
        content: &mut Content,
        made: Result<(), NoStart>,
    ) -> Result<(), Fault> {
        content.strikes.tried(Instant::now());
        match made {
            Ok(()) => {
                self.resting.store(false, SeqCst);
                Ok(())
            }
            Err(NoStart::Trapped(how)) => Err(Fault::Trapped(Box::new(how))),
            Err(NoStart::Init(status)) => Err(Fault::Refused { status: status.meaning() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::live::NoStart;
    use crate::recover::Strikes;
    use crate::wire::WireStatus;
    use crate::{WasmOptions, loaded};
    use std::time::{Duration, Instant};

    #[test]
    fn the_time_that_a_start_takes_to_fail_is_no_merit() {
        let plugin = loaded::small(&WasmOptions::new());
        let place = plugin.place();
        let mut held = place.turn.take().unwrap();
        let content = held.content();
        content.strikes = Strikes::default();
        // As if it had been tried again ten seconds ago, and took until now.
        content.strikes.add(Instant::now() - Duration::from_secs(10));
        place.begin_again(content);
        let failed = Err(NoStart::Init(WireStatus::Err));
        assert!(place.began_again(content, failed).is_err());
        content.strikes.add(Instant::now());
        assert_eq!(content.strikes.count(), 2);
        held.release().unwrap();
    }
}
