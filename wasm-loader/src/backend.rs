//! A plugin with a fixed number of places.

use crate::clock;
use crate::job::Job;
use crate::numbers::Numbers;
use crate::place::{Held, Place};
use crate::plugin::Plugin;
use crate::stack;
use ringbox_ring::{CallError, EntryId, Invocation, PluginBackend, Refusal, Sid, Standing, Status};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

/// How long somebody waits for an entry's number. It is asked for once for each name.
const PATIENCE: Duration = Duration::from_secs(1);

/// `Policy::Single` and `Policy::Pool`.
pub(crate) struct Places {
    plugin: Arc<Plugin>,
    places: Box<[Arc<Place>]>,
    numbers: Numbers,
}

impl Places {
    pub(crate) fn new(plugin: Arc<Plugin>, places: Box<[Arc<Place>]>) -> Self {
        Self { plugin, places, numbers: Numbers::default() }
    }

    /// Whether a guest may run on this thread, here.
    #[inline(always)]
    fn may_run_here(&self) -> bool {
        self.plugin.inline && stack::has_room(self.plugin.limits.wasm_stack)
    }

    /// The place that the call tries first.
    #[inline(always)]
    fn first(&self, sid: Sid) -> usize {
        match self.places.len() {
            1 => 0,
            count => sid.origin() % count,
        }
    }

    /// The places, from the call's first on.
    fn from(&self, sid: Sid) -> impl Iterator<Item = &Arc<Place>> + Clone {
        let first = self.first(sid);
        self.places[first..].iter().chain(&self.places[..first])
    }

    /// The turn of a place that is free.
    #[inline(always)]
    fn free(&self, sid: Sid) -> Option<(&Place, Held<'_>)> {
        let first = &self.places[self.first(sid)];
        if let Some(held) = first.turn.take() {
            return Some((first, held));
        }
        self.from(sid).skip(1).find_map(|place| place.turn.take().map(|held| (&**place, held)))
    }

    /// Leaves the call where the fewest wait.
    #[cold]
    #[inline(never)]
    fn queue(&self, sid: Sid, call: &Invocation<'_>, inline: bool) -> Result<(), Refusal> {
        let place = if let [place] = &*self.places {
            place
        } else {
            let serving = self.from(sid).filter(|place| place.quarantine().is_none());
            serving.min_by_key(|place| place.turn.queued()).unwrap_or(&self.places[0])
        };
        place.queue(sid, call, inline)
    }

    /// Where the stream `sid` is, or waits.
    fn place_of(&self, sid: Sid) -> Result<&Place, CallError> {
        if let [only] = &*self.places {
            return Ok(only);
        }
        let mut places = self.places.iter();
        let place = places.find(|place| place.port.standing(sid) != Standing::Over);
        place.map(|place| &**place).ok_or(CallError::StreamOver)
    }

    /// Asks the guest for a number, from wherever it can be asked.
    fn ask(&self, name: &str) -> Option<u32> {
        if self.may_run_here()
            && let Some(answer) = self.places.iter().find_map(|place| place.resolve(name))
        {
            return answer;
        }
        let (answer, answered) = mpsc::sync_channel(1);
        let place = self.places.iter().min_by_key(|place| place.turn.queued())?;
        place.push(Job::Resolve { name: name.into(), answer });
        answered.recv_timeout(PATIENCE).ok().flatten()
    }
}

impl PluginBackend for Places {
    #[inline]
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        let inline = self.may_run_here();
        if inline && let Some((place, held)) = self.free(sid) {
            clock::busy();
            return place.serve(held, sid, call);
        }
        self.queue(sid, call, inline)
    }

    fn resolve(&self, name: &str) -> Option<EntryId> {
        if !self.plugin.guest.has_numbers() {
            return None;
        }
        self.numbers.resolve(name, || self.ask(name))
    }

    fn knows(&self, entry: EntryId) -> bool {
        self.numbers.knows(entry)
    }

    fn cancel(&self, sid: Sid) {
        if self.places.iter().any(|place| place.take_back(sid)) {
            return;
        }
        // Without its caller a stream gets no data, and what else the guest keeps may now be silence.
        let guest = &self.plugin.guest;
        if !guest.hears_cancel() && !guest.takes_data() {
            return;
        }
        let inline = self.may_run_here();
        for place in &self.places {
            place.tell_cancelled(sid, inline, self.places.len() == 1);
        }
    }

    fn stream_data(&self, sid: Sid, data: &[u8]) -> Result<(), CallError> {
        if !self.plugin.guest.takes_data() {
            return Err(CallError::Refused { status: Status::Unsupported });
        }
        let place = self.place_of(sid)?;
        place.feed(sid, data, self.may_run_here())
    }

    fn stream_close(&self, sid: Sid) -> Result<(), CallError> {
        if !self.plugin.guest.takes_data() {
            return Err(CallError::Refused { status: Status::Unsupported });
        }
        let place = self.place_of(sid)?;
        place.close(sid, self.may_run_here())
    }

    fn shutdown(&self) {
        let end = || self.places.iter().for_each(|place| place.end());
        if let Err(error) = stack::with_room(self.plugin.limits.wasm_stack, end) {
            tracing::error!(target: "ringbox::sandbox", "no thread for a plugin's shutdown: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Policy, WasmOptions, loaded};
    use ringbox_ring::Holding;

    #[test]
    fn a_stream_is_found_where_it_waits_and_on_its_way_into_the_instance() {
        let loaded = loaded::small(&WasmOptions::new().policy(Policy::Pool(2)));
        let backend = loaded.backend();
        let mut turns: Vec<_> =
            backend.places.iter().map(|place| place.turn.take().unwrap()).collect();
        let stream = loaded.link().stream(&Invocation::entry("x", b"")).unwrap();
        let sid = stream.sid();
        let at = backend.places.iter().position(|place| place.turn.queued() == 1).unwrap();
        let is_there =
            || std::ptr::eq(backend.place_of(sid).unwrap(), &raw const *backend.places[at]);
        assert!(is_there());
        let (_, job) = turns[at].next_job().unwrap();
        assert!(is_there() && backend.places[at].claim(sid) && is_there());
        drop((job, stream));
        assert_eq!(backend.place_of(sid).err(), Some(CallError::StreamOver));
        for turn in turns {
            turn.release().or_else(Holding::release).unwrap();
        }
    }

    #[test]
    fn a_threads_calls_without_an_answer_try_one_place_first_and_anothers_the_next() {
        let loaded = loaded::small(&WasmOptions::new().policy(Policy::Pool(2)));
        let backend = loaded.backend();
        let first = |thread: u64, call| backend.first(Sid::from_raw(1 << 63 | thread << 44 | call));
        for call in 0..10 {
            assert_eq!([0, 1, 2, 3].map(|thread| first(thread, call)), [0, 1, 0, 1]);
        }
    }
}
