//! Components by the dice, one after the other: loaded, called in each way there is, and gone.

use super::stage::Stage;
use crate::dice::Dice;
use crate::generated::generated;
use crate::ground::ask;
use crate::table::{Seen, name_of_load};
use crate::wait::wait;
use ringbox::{
    CallError, ComponentLoadError, Limits, LoadError, LoadOptions, Plugin, Request, Source,
    WasmLimits,
};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How far they came.
#[derive(Default)]
pub(super) struct Strangers(Mutex<Counts>);

#[derive(Default, Clone)]
struct Counts {
    refused: u64,
    not_started: u64,
    called: u64,
    ends: BTreeMap<String, u64>,
}

/// So long a call of one waits.
const PATIENCE: Duration = Duration::from_millis(5);

impl Strangers {
    /// One more. Says what went wrong that should not have.
    pub(super) fn meet(&self, stage: &Stage, dice: &mut Dice) -> Option<String> {
        let seed = dice.roll(u64::MAX);
        let limits = WasmLimits::default().memory_bytes(1 << 20).budget(Duration::from_millis(1));
        let limits = limits.start_budget(Duration::from_millis(5)).queued_calls(8).kept_calls(8);
        let calls = Limits::default().deadline(PATIENCE).answer_bytes(1 << 16).stream_frames(4);
        let options = LoadOptions::new().limits(calls).wasm_limits(limits).cache(&stage.cache);
        let name = format!("stranger {seed:x}");
        let source = Source::component(generated(seed));
        let plugin = match stage.host.load_with(&name, source, options) {
            Ok(plugin) => plugin,
            Err(error) => {
                let mut counts = self.lock();
                match &error {
                    LoadError::Component {
                        source: ComponentLoadError::Trapped(_) | ComponentLoadError::Init { .. },
                        ..
                    } => counts.not_started += 1,
                    _ => counts.refused += 1,
                }
                *counts.ends.entry(format!("load: {}", name_of_load(&error))).or_default() += 1;
                return None;
            }
        };
        let ends = call(&plugin, dice);
        let mut counts = self.lock();
        counts.called += 1;
        for end in ends {
            *counts.ends.entry(end).or_default() += 1;
        }
        drop(counts);
        stage.host.unload(&name).err().map(|error| format!("`{name}` stays: {error}"))
    }

    /// How many there were.
    pub(super) fn met(&self) -> u64 {
        let counts = self.lock();
        counts.refused + counts.not_started + counts.called
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call by name, a request, a stream with data, and one that is left.
fn call(plugin: &Plugin, dice: &mut Dice) -> [String; 4] {
    let first = b"!esurmnhxkKfdDbwtWlci"[dice.roll(21) as usize];
    let mut payload = vec![first];
    payload.extend((0..8).map(|_| dice.roll(256) as u8));
    let said = |result: Result<ringbox::Reply, CallError>| Seen::result(&result).name;
    let answered = said(ask(plugin, "x", &payload));
    let request = Request::new("GET", "/").query("q").header("a", "b").body(&payload[..]);
    let requested = said(wait(plugin.request(&request)));
    let streamed = match plugin.call_stream("x", &payload) {
        Err(error) => said(Err(error)),
        Ok(mut stream) => {
            let sent = stream.send(b"data").and_then(|()| stream.close());
            let read = loop {
                match wait(stream.recv()) {
                    Ok(Some(_)) => {}
                    Ok(None) => break "ended".to_owned(),
                    Err(error) => break said(Err(error)),
                }
            };
            format!("{}, {read}", sent.err().map_or("taken".to_owned(), |error| said(Err(error))))
        }
    };
    let left = plugin.call_stream("x", &payload).map(drop);
    let left = left.err().map_or("left".to_owned(), |error| said(Err(error)));
    [
        format!("call: {answered}"),
        format!("request: {requested}"),
        format!("stream: {streamed}"),
        format!("leave: {left}"),
    ]
}

impl fmt::Display for Strangers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.lock().clone();
        let Counts { refused, not_started, called, ends } = counts;
        let all = refused + not_started + called;
        writeln!(
            f,
            "{all:>9}  generated components: {refused} refused, {not_started} did not start, \
             {called} called"
        )?;
        for (end, count) in ends {
            writeln!(f, "           {count:>9}  {end}")?;
        }
        Ok(())
    }
}
