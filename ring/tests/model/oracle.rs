//! One operation at a time: what each did must be exactly what the oracle says.

use proptest::prelude::*;
use ringbox_ring::*;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

/// What a plugin does with a call before it returns.
#[derive(Debug, Copy, Clone)]
enum Inside {
    Nothing,
    Answer,
    AnswerTwice,
    AnswerFromAnotherThread,
    AnswerByTheOtherPlugin,
    HandOver,
    Refuse,
    AnswerAndRefuse,
}

#[derive(Debug, Clone)]
enum Op {
    Call(usize, Inside),
    Notify(usize, bool),
    Stream(usize),
    Answer { which: usize, port: usize, remote: bool, owned: bool },
    End { which: usize, port: usize },
    MadeUp { which: usize, port: usize, far: bool },
    Poll { which: usize, remote: bool },
    Drop(usize),
    Deadline(usize),
    Now(usize),
    HandOver { which: usize, port: usize },
    EndAll(usize),
    Unload(usize),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    use Inside::*;
    let inside = prop_oneof![
        4 => Just(Nothing),
        1 => Just(Answer),
        1 => Just(AnswerTwice),
        1 => Just(AnswerFromAnotherThread),
        1 => Just(AnswerByTheOtherPlugin),
        1 => Just(HandOver),
        1 => Just(Refuse),
        1 => Just(AnswerAndRefuse),
    ];
    let (plugin, port, which) = (0..2_usize, 0..4_usize, 0..64_usize);
    let (plugin2, plugin3, plugin4) = (plugin.clone(), plugin.clone(), plugin.clone());
    let at = (which.clone(), port.clone());
    let op = prop_oneof![
        8 => (plugin, inside).prop_map(|(plugin, inside)| Op::Call(plugin, inside)),
        1 => (plugin2, any::<bool>()).prop_map(|(plugin, answer)| Op::Notify(plugin, answer)),
        4 => plugin3.prop_map(Op::Stream),
        16 => (at.clone(), any::<bool>(), any::<bool>())
            .prop_map(|((which, port), remote, owned)| Op::Answer { which, port, remote, owned }),
        2 => at.clone().prop_map(|(which, port)| Op::End { which, port }),
        2 => (at.clone(), any::<bool>())
            .prop_map(|((which, port), far)| Op::MadeUp { which, port, far }),
        12 => (which.clone(), any::<bool>()).prop_map(|(which, remote)| Op::Poll { which, remote }),
        3 => which.clone().prop_map(Op::Drop),
        1 => which.clone().prop_map(Op::Deadline),
        1 => which.prop_map(Op::Now),
        3 => at.prop_map(|(which, port)| Op::HandOver { which, port }),
        1 => port.prop_map(Op::EndAll),
        1 => plugin4.prop_map(Op::Unload),
    ];
    prop::collection::vec(op, 1..60)
}

/// What the backend is told to do with the next call, and which sid that had.
#[derive(Default)]
struct Script {
    next: Option<Inside>,
    other: Option<Port>,
    sid: Option<Sid>,
    deliveries: Vec<Delivery>,
}

struct Scripted {
    port: Port,
    instance: Port,
    script: Arc<Mutex<Script>>,
}

impl PluginBackend for Scripted {
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        let mut script = self.script.lock().unwrap();
        script.sid = Some(sid);
        let other = script.other;
        let answer = |port: Port| port.answer(sid, RawStatus::OK, call.payload);
        let mut refuse = false;
        let deliveries = match script.next.take().expect("a call that was scripted") {
            Inside::Nothing => vec![],
            Inside::Answer => vec![answer(self.port)],
            Inside::AnswerTwice => vec![answer(self.port), answer(self.port)],
            Inside::AnswerFromAnotherThread => {
                vec![elsewhere(|| answer(self.port))]
            }
            Inside::AnswerByTheOtherPlugin => vec![answer(other.unwrap())],
            Inside::HandOver => vec![self.instance.adopt(sid)],
            Inside::Refuse => {
                refuse = true;
                vec![]
            }
            Inside::AnswerAndRefuse => {
                refuse = true;
                vec![answer(self.port)]
            }
        };
        script.deliveries = deliveries;
        if refuse { Err(Refusal::new(Status::Unsupported)) } else { Ok(()) }
    }
}

fn elsewhere<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(body).join().unwrap())
}

#[derive(Default)]
struct Task(AtomicBool);

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// How a call or a stream stands, as the oracle has it.
#[derive(Debug, Clone, PartialEq)]
enum State {
    Open,
    /// The plugin's answer, or a stream's terminal frame, is there.
    Answered,
    Ended(Fault),
    /// Its slot is free again.
    Over,
}

enum Handle {
    None,
    Call(Call),
    Stream(Box<Stream>),
}

/// One call, on both sides.
struct Entry {
    sid: Sid,
    /// The load of the plugin that it belongs to, and the port that may answer.
    load: usize,
    owner: usize,
    state: State,
    handle: Handle,
    is_stream: bool,
    bytes: Vec<u8>,
    /// Frames that were sent and not read: an end of the plugin's is one of them.
    frames: Vec<(Status, Vec<u8>)>,
    /// How many frames were read. They are counted when the stream is read to its end or dropped.
    read: u64,
    /// Counted as over, though its handle is still held.
    counted: bool,
    /// Left its waker when it was polled last.
    waits: bool,
    told_end: bool,
    task: Arc<Task>,
}

impl Entry {
    /// A call is over. One that is answered inside its dispatch is over then, all others are when
    /// their caller takes what came of them, or leaves.
    fn count_call(&mut self, counts: &mut Counts) {
        if !std::mem::replace(&mut self.counted, true) {
            counts.finished += 1;
            if self.state == State::Answered && !self.told_end {
                counts.bytes_out += self.bytes.len() as u64;
            }
        }
    }

    /// A stream is over for its reader.
    fn count_stream(&mut self, counts: &mut Counts) {
        if !std::mem::replace(&mut self.counted, true) {
            counts.finished += 1;
            counts.frames += self.read;
            counts.bytes_out += self.read * self.bytes.len() as u64;
        }
    }
}

#[derive(Debug, Default, Clone, PartialEq)]
struct Counts {
    calls: u64,
    notified: u64,
    finished: u64,
    cancelled: u64,
    refused: u64,
    faults: u64,
    late: u64,
    double: u64,
    foreign: u64,
    unknown: u64,
    frames: u64,
    bytes_out: u64,
}

/// One load of a plugin.
struct Load {
    link: Link,
    counts: Counts,
}

struct World {
    loads: Vec<Load>,
    /// Which load serves each plugin.
    serving: [usize; 2],
    /// Two for each load: of the plugin and of its other instance.
    ports: Vec<Port>,
    scripts: Vec<Arc<Mutex<Script>>>,
    entries: Vec<Entry>,
    by_sid: HashMap<u64, usize>,
    serial: u64,
}

/// How many frames queue, in these tests.
const FRAMES: usize = 3;

impl World {
    fn new() -> Self {
        let mut world = Self {
            loads: vec![],
            serving: [0, 0],
            ports: vec![],
            scripts: vec![],
            entries: vec![],
            by_sid: HashMap::new(),
            serial: 0,
        };
        world.load(0);
        world.load(1);
        world
    }

    fn load(&mut self, plugin: usize) {
        let opening = Opening::new("scripted", Limits::default().stream_frames(FRAMES)).unwrap();
        let (port, script) = (opening.port(), Arc::<Mutex<Script>>::default());
        let instance = port.instance().unwrap();
        let backend = Scripted { port, instance, script: script.clone() };
        let link = opening.attach(backend).detach();
        self.serving[plugin] = self.loads.len();
        self.loads.push(Load { link, counts: Counts::default() });
        self.scripts.push(script);
        self.ports.extend([port, instance]);
    }

    /// The port that an operation means: of either plugin, the first one or the other instance.
    fn port(&self, port: usize) -> usize {
        self.serving[port / 2] * 2 + port % 2
    }

    fn payload(&mut self) -> Vec<u8> {
        self.serial += 1;
        let mut payload = self.serial.to_le_bytes().to_vec();
        payload.resize(8 + (self.serial as usize * 37) % 300, self.serial as u8);
        payload
    }

    /// What becomes of an answer or a frame.
    fn expect(&mut self, entry: usize, port: usize, last: bool) -> Delivery {
        let entry = &mut self.entries[entry];
        let counts = &mut self.loads[port / 2].counts;
        let count = match (&entry.state, entry.owner == port) {
            (State::Over, _) => &mut counts.late,
            (_, false) => &mut counts.foreign,
            (State::Answered, _) => &mut counts.double,
            (State::Ended(_), _) => &mut counts.late,
            (State::Open, _) if !entry.is_stream => {
                entry.state = State::Answered;
                return Delivery::Taken;
            }
            (State::Open, _) if !last && entry.frames.len() >= FRAMES => {
                let limits = self.loads[entry.load].link.limits();
                let (frames, bytes) = (limits.stream_frames, limits.stream_bytes);
                entry.state = State::Ended(Fault::Overflow { frames, bytes });
                return Delivery::Dropped;
            }
            (State::Open, _) => {
                let status = if last { Status::StreamEnd } else { Status::Ok };
                entry.frames.push((status, entry.bytes.clone()));
                if last {
                    entry.state = State::Answered;
                }
                return Delivery::Taken;
            }
        };
        *count += 1;
        Delivery::Dropped
    }

    fn call(&mut self, plugin: usize, inside: Inside) {
        let load = self.serving[plugin];
        let other = self.serving[1 - plugin] * 2;
        let bytes = self.payload();
        {
            let mut script = self.scripts[load].lock().unwrap();
            *script =
                Script { next: Some(inside), other: Some(self.ports[other]), ..Script::default() };
        }
        let result = self.loads[load].link.call(&Invocation::entry("x", &bytes));
        let script = std::mem::take(&mut *self.scripts[load].lock().unwrap());
        let at = self.add(load, script.sid.unwrap(), bytes, false);
        let port = load * 2;
        let expected = match inside {
            Inside::Nothing | Inside::Refuse => vec![],
            Inside::Answer | Inside::AnswerFromAnotherThread | Inside::AnswerAndRefuse => {
                vec![self.expect(at, port, false)]
            }
            Inside::AnswerTwice => {
                vec![self.expect(at, port, false), self.expect(at, port, false)]
            }
            Inside::AnswerByTheOtherPlugin => vec![self.expect(at, other, false)],
            Inside::HandOver => {
                self.entries[at].owner = port + 1;
                vec![Delivery::Taken]
            }
        };
        assert_eq!(script.deliveries, expected);
        self.loads[load].counts.calls += 1;
        if matches!(inside, Inside::Refuse | Inside::AnswerAndRefuse) {
            assert_eq!(result.unwrap_err(), CallError::Refused { status: Status::Unsupported });
            self.loads[load].counts.refused += 1;
            self.loads[load].counts.finished += 1;
            self.entries[at].state = State::Over;
        } else {
            let entry = &mut self.entries[at];
            entry.handle = Handle::Call(result.unwrap());
            if entry.state == State::Answered {
                entry.count_call(&mut self.loads[load].counts);
            }
        }
    }

    fn add(&mut self, load: usize, sid: Sid, bytes: Vec<u8>, is_stream: bool) -> usize {
        let at = self.entries.len();
        assert_eq!(self.by_sid.insert(sid.as_raw(), at), None, "{sid:?} was issued twice");
        self.entries.push(Entry {
            sid,
            load,
            owner: load * 2,
            state: State::Open,
            handle: Handle::None,
            is_stream,
            bytes,
            frames: vec![],
            read: 0,
            counted: false,
            waits: false,
            told_end: false,
            task: Arc::default(),
        });
        at
    }

    fn notify(&mut self, plugin: usize, answer: bool) {
        let load = self.serving[plugin];
        let inside = if answer { Inside::Answer } else { Inside::Nothing };
        self.scripts[load].lock().unwrap().next = Some(inside);
        self.loads[load].link.notify(&Invocation::entry("x", b"notify")).unwrap();
        let script = std::mem::take(&mut *self.scripts[load].lock().unwrap());
        assert!(script.sid.unwrap().is_notify());
        assert!(script.deliveries.iter().all(|delivery| *delivery == Delivery::Dropped));
        self.loads[load].counts.calls += 1;
        self.loads[load].counts.notified += 1;
    }

    fn stream(&mut self, plugin: usize) {
        let load = self.serving[plugin];
        let bytes = self.payload();
        self.scripts[load].lock().unwrap().next = Some(Inside::Nothing);
        let stream = self.loads[load].link.stream(&Invocation::entry("x", &bytes)).unwrap();
        let at = self.add(load, stream.sid(), bytes, true);
        self.entries[at].handle = Handle::Stream(Box::new(stream));
        self.loads[load].counts.calls += 1;
    }

    fn answer(&mut self, at: usize, port: usize, remote: bool, owned: bool) {
        let sid = self.entries[at].sid;
        let bytes = self.entries[at].bytes.clone();
        let sender = self.ports[port];
        let send = move || {
            if owned {
                sender.answer_vec(sid, RawStatus::OK, bytes)
            } else {
                sender.answer(sid, RawStatus::OK, &bytes)
            }
        };
        let got = if remote { elsewhere(send) } else { send() };
        assert_eq!(got, self.expect(at, port, false));
    }

    fn end(&mut self, at: usize, port: usize) {
        if self.entries[at].is_stream {
            let bytes = self.entries[at].bytes.clone();
            let got =
                self.ports[port].send_frame(self.entries[at].sid, RawStatus::STREAM_END, &bytes);
            assert_eq!(got, self.expect(at, port, true));
        } else {
            let got = self.ports[port].fault(self.entries[at].sid, Fault::InstanceLost);
            let expected = self.expect(at, port, true);
            assert_eq!(got, expected);
            if expected == Delivery::Taken {
                // As an answer it is the plugin's, and what it brings is a fault.
                self.entries[at].told_end = true;
            }
        }
    }

    fn poll(&mut self, at: usize, remote: bool) {
        let entry = &mut self.entries[at];
        entry.task = Arc::default();
        entry.waits = false;
        let waker = Waker::from(entry.task.clone());
        match std::mem::replace(&mut entry.handle, Handle::None) {
            Handle::None => {}
            Handle::Call(mut call) => {
                let poll = |call: &mut Call| {
                    Future::poll(Pin::new(call), &mut Context::from_waker(&waker))
                };
                let polled = if remote { elsewhere(|| poll(&mut call)) } else { poll(&mut call) };
                match polled {
                    Poll::Pending => {
                        assert_eq!(entry.state, State::Open, "a call that is over stays pending");
                        entry.waits = true;
                        entry.handle = Handle::Call(call);
                    }
                    Poll::Ready(result) => {
                        self.call_is_over(at, result.map(|reply| reply.to_vec()));
                    }
                }
            }
            Handle::Stream(mut stream) => {
                let poll = |stream: &mut Stream| {
                    let mut context = Context::from_waker(&waker);
                    futures_core::Stream::poll_next(Pin::new(stream), &mut context)
                };
                let polled =
                    if remote { elsewhere(|| poll(&mut stream)) } else { poll(&mut stream) };
                entry.handle = Handle::Stream(stream);
                match polled {
                    Poll::Pending => {
                        assert!(entry.state == State::Open && entry.frames.is_empty());
                        entry.waits = true;
                    }
                    Poll::Ready(Some(Ok(frame))) => {
                        let (status, bytes) = entry.frames.remove(0);
                        entry.read += 1;
                        assert_eq!((frame.status, frame.bytes), (status, bytes));
                    }
                    Poll::Ready(Some(Err(error))) => {
                        let State::Ended(fault) = &entry.state else { panic!("{error}") };
                        assert_eq!(error, CallError::from(fault.clone()));
                        assert!(!std::mem::replace(&mut entry.told_end, true), "told twice");
                        let counts = &mut self.loads[entry.load].counts;
                        counts.faults += 1;
                        entry.count_stream(counts);
                    }
                    Poll::Ready(None) => {
                        assert!(entry.frames.is_empty());
                        assert!(entry.state == State::Answered || entry.told_end);
                        entry.count_stream(&mut self.loads[entry.load].counts);
                    }
                }
            }
        }
    }

    fn call_is_over(&mut self, at: usize, result: Result<Vec<u8>, CallError>) {
        let entry = &mut self.entries[at];
        let counts = &mut self.loads[entry.load].counts;
        match (&entry.state, result) {
            (State::Answered, Ok(bytes)) if !entry.told_end => {
                assert_eq!(bytes, entry.bytes, "another call's answer");
            }
            (State::Answered, Err(error)) if entry.told_end => {
                assert_eq!(error, CallError::from(Fault::InstanceLost));
                counts.faults += 1;
            }
            (State::Ended(fault), Err(error)) => {
                assert_eq!(error, CallError::from(fault.clone()));
                counts.faults += 1;
            }
            (state, result) => panic!("{result:?} of a call that is {state:?}"),
        }
        entry.count_call(counts);
        entry.state = State::Over;
    }

    fn drop(&mut self, at: usize) {
        let entry = &mut self.entries[at];
        let counts = &mut self.loads[entry.load].counts;
        match std::mem::replace(&mut entry.handle, Handle::None) {
            Handle::None => return,
            Handle::Call(_) => {
                entry.count_call(counts);
                counts.cancelled += u64::from(entry.state == State::Open);
                let faulted = match entry.state {
                    State::Answered => entry.told_end,
                    State::Ended(_) => true,
                    State::Open | State::Over => false,
                };
                counts.faults += u64::from(faulted);
            }
            Handle::Stream(_) => {
                counts.cancelled += u64::from(entry.state == State::Open);
                let faulted = matches!(entry.state, State::Ended(_)) && !entry.told_end;
                counts.faults += u64::from(faulted);
                entry.count_stream(counts);
            }
        }
        entry.waits = false;
        entry.state = State::Over;
    }

    /// Waits for a call that nobody will answer, or whose answer is there.
    fn deadline(&mut self, at: usize, now: bool) {
        let entry = &mut self.entries[at];
        let call = match std::mem::replace(&mut entry.handle, Handle::None) {
            Handle::Call(call) => call,
            other => {
                entry.handle = other;
                return;
            }
        };
        entry.waits = false;
        let after = Duration::from_millis(1);
        let open = entry.state == State::Open;
        if now && open {
            assert_eq!(call.now().unwrap_err(), CallError::NotImmediate);
            self.loads[entry.load].counts.cancelled += 1;
            self.loads[entry.load].counts.finished += 1;
            entry.state = State::Over;
            return;
        }
        let result = if now { call.now() } else { call.deadline(after).wait() };
        if open {
            entry.state = State::Ended(Fault::Deadline { after });
        }
        self.call_is_over(at, result.map(|reply| reply.to_vec()));
    }

    fn hand_over(&mut self, at: usize, port: usize) {
        let entry = &mut self.entries[at];
        let taken = entry.state == State::Open && entry.load == port / 2;
        if taken {
            entry.owner = port;
        }
        let expected = if taken { Delivery::Taken } else { Delivery::Dropped };
        assert_eq!(self.ports[port].adopt(entry.sid), expected);
    }

    fn end_open(&mut self, mine: impl Fn(&Entry) -> bool, fault: &Fault) -> usize {
        let mut ended = 0;
        for entry in &mut self.entries {
            if entry.state == State::Open && mine(entry) {
                entry.state = State::Ended(fault.clone());
                ended += 1;
            }
        }
        ended
    }

    fn run(&mut self, op: &Op) {
        let entry = |which: usize| (!self.entries.is_empty()).then(|| which % self.entries.len());
        match *op {
            Op::Call(plugin, inside) => self.call(plugin, inside),
            Op::Notify(plugin, answer) => self.notify(plugin, answer),
            Op::Stream(plugin) => self.stream(plugin),
            Op::EndAll(port) => {
                let port = self.port(port);
                let expected = self.end_open(|entry| entry.owner == port, &Fault::InstanceLost);
                assert_eq!(self.ports[port].end_all(&Fault::InstanceLost), expected);
            }
            Op::Unload(plugin) => {
                let load = self.serving[plugin];
                self.end_open(|entry| entry.load == load, &Fault::Unloaded);
                let link = self.loads[load].link;
                assert_eq!(link.unload(Duration::ZERO), Ok(()));
                assert_eq!(link.unload(Duration::ZERO), Err(UnloadError::AlreadyUnloaded));
                let call = Invocation::entry("x", b"");
                assert_eq!(link.call(&call).unwrap_err(), CallError::Unloaded);
                self.load(plugin);
            }
            Op::Answer { which, port, remote, owned } => {
                let Some(at) = entry(which) else { return };
                // Half of the time by the port that may.
                let port = if which < 32 { self.entries[at].owner } else { self.port(port) };
                self.answer(at, port, remote, owned);
            }
            Op::End { which, port } => {
                let Some(at) = entry(which) else { return };
                let port = if which < 32 { self.entries[at].owner } else { self.port(port) };
                self.end(at, port);
            }
            Op::MadeUp { which, port, far } => {
                let port = self.port(port);
                let sid = match entry(which) {
                    Some(at) if !far => self.entries[at].sid.as_raw() + (1 << 40),
                    _ => (1 << 62) | (MAX_OPEN as u64 - 1),
                };
                let made_up = Sid::from_raw(sid);
                let got = self.ports[port].answer(made_up, RawStatus::OK, b"made up");
                assert_eq!(got, Delivery::Dropped);
                self.loads[port / 2].counts.unknown += 1;
            }
            Op::Poll { which, remote } => {
                let Some(at) = entry(which) else { return };
                self.poll(at, remote);
            }
            Op::Drop(which) => {
                let Some(at) = entry(which) else { return };
                self.drop(at);
            }
            Op::Deadline(which) => {
                let Some(at) = entry(which) else { return };
                self.deadline(at, false);
            }
            Op::Now(which) => {
                let Some(at) = entry(which) else { return };
                self.deadline(at, true);
            }
            Op::HandOver { which, port } => {
                let Some(at) = entry(which) else { return };
                let port = self.port(port);
                self.hand_over(at, port);
            }
        }
    }

    fn check(&self) {
        for entry in self.entries.iter().filter(|entry| entry.waits) {
            let woken = entry.task.0.load(Ordering::SeqCst);
            let more = entry.state != State::Open || !entry.frames.is_empty();
            assert_eq!(woken, more, "{:?} is {:?}", entry.sid, entry.state);
        }
        for (load, Load { link, counts }) in self.loads.iter().enumerate() {
            let metrics = link.metrics();
            let seen = Counts {
                calls: metrics.calls,
                notified: metrics.notified,
                finished: metrics.finished,
                cancelled: metrics.cancelled,
                refused: metrics.refused,
                faults: metrics.faults.total(),
                late: metrics.late,
                double: metrics.double,
                foreign: metrics.foreign,
                unknown: metrics.unknown,
                frames: metrics.frames,
                bytes_out: metrics.bytes_out,
            };
            assert_eq!(seen, *counts, "load {load}");
            assert_eq!(metrics.calls, metrics.notified + metrics.finished + metrics.in_flight);
            assert_eq!(metrics.in_flight, self.open(load).count() as u64);
        }
    }

    /// Calls that are not over for their caller.
    fn open(&self, load: usize) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.load == load && entry.state != State::Over && !entry.counted)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_operation_does_what_the_oracle_says(ops in ops()) {
        let mut world = World::new();
        for op in &ops {
            world.run(op);
            world.check();
        }
        for at in 0..world.entries.len() {
            world.drop(at);
        }
        world.check();
        for load in &world.loads {
            assert_eq!(load.link.metrics().in_flight, 0);
            let _ = load.link.unload(Duration::ZERO);
        }
    }
}
