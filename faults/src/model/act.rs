//! A plan, carried out behind one wall.

use super::plan::{Event, Op, Plan};
use crate::ground::{NAME, Wall, ask, conforming, run, serves};
use crate::table::name_of;
use crate::wait::{eventually, wait};
use ringbox::{
    CallError, Host, Limits, LoadOptions, Mode, Plugin, Source, Status, Stream, WasmLimits,
};
use ringbox_conformance::Inline;
use ringbox_conformance::script::{Script, pattern, status};
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Whose plugin it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The oracle's: no wall at all.
    Inline,
    /// A shared library.
    Native,
    /// A component, on its callers' threads.
    Wasm,
    /// A component, on the host's own threads.
    Runner,
}

/// What a thread saw, a line for each thing that it did.
pub(super) type Trace = Vec<String>;

/// All that was seen: by each thread in each round, and by whoever made the events happen.
pub(super) type Seen = Vec<Trace>;

/// The queue of a stream, in frames.
const FRAMES: usize = 8;

/// A call that nobody answers ends after so long.
const ABANDONED: Duration = Duration::from_millis(30);

impl Subject {
    fn source(self) -> Source {
        match self {
            Self::Inline => Source::inline(|port| Inline::backend(port, Arc::new(|_| Vec::new()))),
            Self::Native => Wall::Native.source(&Wall::Native.file()),
            Self::Wasm | Self::Runner => Wall::Wasm.source(&Wall::Wasm.file()),
        }
    }

    fn options(self) -> LoadOptions {
        let limits = Limits::default().stream_frames(FRAMES).answer_bytes(100_000);
        // It is not about time: a busy machine is no difference.
        let time = Duration::from_secs(10);
        let wasm = WasmLimits::default().budget(time);
        let mut options = LoadOptions::new().limits(limits.deadline(time)).wasm_limits(wasm);
        if self == Self::Runner {
            options.wasm = options.wasm.mode(Mode::Cooperative);
        }
        conforming(options)
    }

    /// Carries it out.
    pub(super) fn act(self, plan: &Plan) -> Seen {
        let host = Host::new();
        let load = || host.load_with(NAME, self.source(), self.options()).expect("it is loaded");
        let mut plugin = load();
        let threads = plan.0.iter().map(|round| round.threads.len()).max().unwrap_or(0);
        let mut kept: Vec<VecDeque<Stream>> = (0..threads).map(|_| VecDeque::new()).collect();
        let mut seen = Vec::new();
        for round in &plan.0 {
            let plugin_now = &plugin;
            let traces: Vec<Trace> = thread::scope(|scope| {
                let begun: Vec<_> = round
                    .threads
                    .iter()
                    .zip(&mut kept)
                    .map(|(ops, kept)| {
                        scope.spawn(move || {
                            ops.iter().map(|op| act(plugin_now, *op, kept)).collect()
                        })
                    })
                    .collect();
                begun.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
            });
            seen.extend(traces);
            seen.push(vec![match round.then {
                Event::Calm => "calm".to_owned(),
                Event::Panic => said(&run(&plugin, &Script::new().panic("on purpose"))),
                Event::PanicLater => {
                    said(&run(&plugin, &Script::new().keep().later().panic("on purpose")))
                }
                Event::Reload => {
                    host.reload_with_grace(NAME, Duration::ZERO).expect("it is reloaded");
                    format!("reloaded, serves: {}", serves(&plugin))
                }
                Event::Unload => {
                    host.unload(NAME).expect("it is unloaded");
                    let error = said(&ask(&plugin, "echo", b"e"));
                    plugin = load();
                    format!("unloaded, {error}, serves: {}", serves(&plugin))
                }
            }]);
        }
        // Whoever is kept hears of the end.
        let last = kept
            .into_iter()
            .map(|kept| kept.into_iter().map(|stream| release(&plugin, stream)).collect::<Trace>());
        seen.extend(last);
        eventually("nothing is in flight", || plugin.metrics().calls.in_flight == 0);
        let calls = plugin.metrics().calls;
        assert_eq!(calls.calls, calls.notified + calls.finished, "{calls:?}");
        seen
    }
}

fn act(plugin: &Plugin, op: Op, kept: &mut VecDeque<Stream>) -> String {
    let script = Script::new();
    let call = |script: &Script| said(&run(plugin, script));
    let came = match op {
        Op::Now(len) => call(&script.answer_size(status::OK, len)),
        Op::Later(len) => call(&script.keep().later().answer_size(status::ERR, len)),
        Op::Twice => call(&script.answer(status::OK, b"first").answer(status::ERR, b"second")),
        Op::Refused => call(&script.return_status(status::INVALID)),
        Op::MadeUp => {
            call(&script.answer_for(u64::MAX, status::OK, b"x").answer(status::OK, b"did"))
        }
        Op::Abandoned => said(&wait(plugin.call_response_timeout("run", &script, ABANDONED))),
        Op::StreamEnd => call(&script.answer(status::STREAM_END, b"")),
        Op::TooLarge => call(&script.answer_size(status::OK, 200_000)),
        Op::State(len) => {
            let script = script.set_state(0, "key", &pattern(1, len)).state(0, "key");
            call(&script.output(status::OK))
        }
        Op::Stream(frames) => {
            let script = script.keep().later().pump(frames, 9).answer(status::STREAM_END, b"end");
            read(open(plugin, &script))
        }
        Op::Overflow => {
            let stream = open(plugin, &script.frames(20, 9));
            // What queued before this call is over.
            assert!(serves(plugin));
            read(stream)
        }
        Op::Left => {
            drop(open(plugin, &script.keep().later().pump(50, 9)));
            "left".to_owned()
        }
        Op::Data(pieces) => {
            let stream = open(plugin, &script.keep().take_data());
            assert!(serves(plugin));
            for piece in 0..pieces {
                stream.send(&pattern(piece, 30)).expect("it takes data");
            }
            stream.close().expect("it takes the end");
            read(stream)
        }
        Op::Cancelled => {
            drop(open(plugin, &script.keep()));
            "cancelled".to_owned()
        }
        Op::Keep => {
            kept.push_back(open(plugin, &script.keep()));
            assert!(serves(plugin));
            "kept".to_owned()
        }
        Op::Release => match kept.pop_front() {
            None => "nothing is kept".to_owned(),
            Some(stream) => release(plugin, stream),
        },
    };
    format!("{op:?}: {came}")
}

fn open(plugin: &Plugin, script: &Script) -> Stream {
    plugin.call_stream("run", script).expect("it takes the call")
}

/// Has a call that is kept answered by another one, and says what came of both.
fn release(plugin: &Plugin, stream: Stream) -> String {
    let sid = stream.sid().as_raw();
    let script = Script::new().answer_for(sid, status::STREAM_END, b"released");
    let did = said(&run(plugin, &script.answer(status::OK, b"did")));
    format!("released: {did}; {}", read(stream))
}

/// Reads to the end.
fn read(mut stream: Stream) -> String {
    let mut text = String::new();
    loop {
        match wait(stream.recv()) {
            Ok(Some(frame)) => text += &shown(frame.status(), &frame),
            Ok(None) => return text + "end",
            Err(error) => return text + &name_of(&error),
        }
    }
}

fn said(result: &Result<ringbox::Reply, CallError>) -> String {
    match result {
        Ok(reply) => shown(reply.status(), reply),
        Err(error) => name_of(error),
    }
}

/// Bytes that are compared: all of them, in few.
fn shown(status: Status, bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(0_u64, |sum, byte| {
        sum.wrapping_mul(0x0100_0000_01b3).wrapping_add(u64::from(*byte) + 1)
    });
    format!("{status:?} {}#{sum:x} ", bytes.len())
}
