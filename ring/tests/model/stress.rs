//! Many threads at once: callers, and threads that answer, on two plugins.
//!
//! Nobody can say what each operation will do, but much may never happen: bytes of another call,
//! a call that doesn't end, a fault that nothing explains, an answer that isn't accounted for.

use ringbox_ring::*;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, RwLock};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// Numbers that a seed gives.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % sides
    }
}

/// What a call is to be answered with, its number and then as many bytes as that says.
fn bytes(number: u64) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(
        8 + (number % 700) as usize * usize::from(!number.is_multiple_of(11)),
        number as u8,
    );
    bytes
}

/// A call that a plugin kept, for a thread that answers.
struct Job {
    sid: Sid,
    port: Port,
    said: Arc<Said>,
    number: u64,
    is_stream: bool,
}

/// What plugins' answers came to, as their ports said.
#[derive(Default)]
struct Said {
    dropped: AtomicU64,
}

struct Plugin {
    port: Port,
    instance: Port,
    jobs: Mutex<Sender<Job>>,
    dice: Mutex<Dice>,
    said: Arc<Said>,
    stopped: Arc<AtomicU64>,
}

impl Said {
    fn note(&self, delivery: Delivery) {
        if delivery == Delivery::Dropped {
            self.dropped.fetch_add(1, SeqCst);
        }
    }
}

impl PluginBackend for Plugin {
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        let number = u64::from_le_bytes(call.payload[..8].try_into().unwrap());
        let Target::Request(request) = call.target else { panic!("calls are by name") };
        let is_stream = request.path == "stream";
        let roll = self.dice.lock().unwrap().roll(16);
        let answer = || self.port.answer(sid, RawStatus::OK, &bytes(number));
        match roll {
            0 => return Err(Refusal::new(Status::Unsupported)),
            1..4 if !is_stream => self.said.note(answer()),
            4 if !is_stream => {
                self.said.note(answer());
                self.said.note(answer());
            }
            _ => {
                let port = if roll < 8 && self.instance.adopt(sid) == Delivery::Taken {
                    self.instance
                } else {
                    self.port
                };
                // Nobody is left to answer when the test is over, and then the deadline comes.
                let said = self.said.clone();
                let _ = self.jobs.lock().unwrap().send(Job { sid, port, said, number, is_stream });
            }
        }
        Ok(())
    }

    fn shutdown(&self) {
        self.stopped.fetch_add(1, SeqCst);
    }
}

/// A load of a plugin, and what became of the answers to its calls.
struct Load {
    link: Link,
    port: Port,
    said: Arc<Said>,
    stopped: Arc<AtomicU64>,
}

fn load(jobs: &Sender<Job>, seed: u64) -> Load {
    let opening = Opening::new("stressed", Limits::default().stream_frames(4)).unwrap();
    let (said, stopped) = (Arc::<Said>::default(), Arc::<AtomicU64>::default());
    let plugin = Plugin {
        port: opening.port(),
        instance: opening.port().instance().unwrap(),
        jobs: Mutex::new(jobs.clone()),
        dice: Mutex::new(Dice(seed)),
        said: said.clone(),
        stopped: stopped.clone(),
    };
    let port = opening.port();
    Load { link: opening.attach(plugin).detach(), port, said, stopped }
}

/// A thread that answers, now and then by the wrong port, or never.
fn answer(jobs: &Mutex<Receiver<Job>>, saids: &RwLock<Vec<(Port, Arc<Said>)>>, mut dice: Dice) {
    loop {
        let Ok(job) = jobs.lock().unwrap().recv() else { return };
        let frames = if job.is_stream { 1 + dice.roll(6) } else { 1 + dice.roll(8) / 7 };
        if dice.roll(10) == 0 && !job.sid.is_notify() {
            let saids = saids.read().unwrap();
            let (foreign, its) = &saids[dice.roll(saids.len() as u64) as usize];
            if !Arc::ptr_eq(its, &job.said) {
                let delivery = foreign.answer(job.sid, RawStatus::OK, b"not yours");
                assert_eq!(delivery, Delivery::Dropped, "a foreign port answered");
                its.note(delivery);
            }
        }
        if dice.roll(12) == 0 {
            // Never answered: its deadline ends it.
            continue;
        }
        for _ in 0..frames {
            if dice.roll(4) == 0 {
                thread::yield_now();
            }
            let delivery = job.port.send_frame(job.sid, RawStatus::OK, &bytes(job.number));
            job.said.note(delivery);
        }
        if job.is_stream {
            job.said.note(job.port.answer(job.sid, RawStatus::STREAM_END, &bytes(job.number)));
        }
    }
}

/// The faults that these plugins can cause.
fn is_explained(error: &CallError) -> bool {
    match error {
        CallError::Unloaded | CallError::NotImmediate => true,
        CallError::Refused { status } => *status == Status::Unsupported,
        CallError::Fault(_) => error.is_deadline() || *error == CallError::from(Fault::Unloaded),
        _ => false,
    }
}

struct Unpark(thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

fn caller(links: &RwLock<[Link; 2]>, numbers: &AtomicU64, stop: &AtomicBool, mut dice: Dice) {
    let patience = Duration::from_millis(2);
    while !stop.load(SeqCst) {
        let number = numbers.fetch_add(1, SeqCst);
        let link = links.read().unwrap()[dice.roll(2) as usize];
        let payload = number.to_le_bytes();
        let kind = dice.roll(12);
        let result = match kind {
            0 => link.notify(&Invocation::entry("call", &payload)),
            1..4 => link.stream(&Invocation::entry("stream", &payload)).and_then(|stream| {
                let mut stream = stream.deadline(patience);
                let most = dice.roll(8);
                for _ in 0..most {
                    match block_on(stream.recv())? {
                        Some(frame) => assert_eq!(&frame[..], bytes(number), "{number}"),
                        None => break,
                    }
                }
                Ok(())
            }),
            _ => link.call(&Invocation::entry("call", &payload)).and_then(|call| {
                let reply = match kind {
                    4 => {
                        drop(call);
                        return Ok(());
                    }
                    5 => call.now()?,
                    6 => {
                        // Polled here, awaited elsewhere.
                        let mut call = pin!(call.deadline(patience));
                        let ready = block_on(poll_fn(|context| {
                            Poll::Ready(match call.as_mut().poll(context) {
                                Poll::Ready(reply) => Some(reply),
                                Poll::Pending => None,
                            })
                        }));
                        match ready {
                            Some(reply) => reply?,
                            None => thread::scope(|scope| {
                                scope.spawn(|| block_on(call)).join().unwrap()
                            })?,
                        }
                    }
                    7 => {
                        // Polled once and given up.
                        let mut call = pin!(call);
                        let waker = Waker::noop();
                        let _ = call.as_mut().poll(&mut Context::from_waker(waker));
                        return Ok(());
                    }
                    _ => call.deadline(patience).wait()?,
                };
                assert_eq!(&reply[..], bytes(number), "another call's answer");
                Ok(())
            }),
        };
        if let Err(error) = result {
            assert!(is_explained(&error), "{error:?}");
        }
    }
}

#[test]
fn under_many_threads_every_call_ends_with_its_own_bytes_and_is_counted_once() {
    let seconds = std::env::var("RINGBOX_STRESS_SECS").ok().and_then(|secs| secs.parse().ok());
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or(3));
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = std::env::var("RINGBOX_STRESS_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed: u64 = seed.unwrap_or(now.as_nanos() as u64);
    let result = std::panic::catch_unwind(|| stress(seed, until));
    assert!(result.is_ok(), "failed with RINGBOX_STRESS_SEED={seed}");
}

fn stress(seed: u64, until: Instant) {
    let mut dice = Dice(seed);
    let (jobs, todo) = channel();
    let todo = Mutex::new(todo);
    let mut loads = vec![load(&jobs, dice.roll(u64::MAX)), load(&jobs, dice.roll(u64::MAX))];
    let port_of = |load: &Load| (load.port, load.said.clone());
    let saids = RwLock::new(loads.iter().map(port_of).collect::<Vec<_>>());
    let links = RwLock::new([loads[0].link, loads[1].link]);
    let (numbers, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        let (todo, saids, links, numbers, stop) = (&todo, &saids, &links, &numbers, &stop);
        for _ in 0..2 {
            let dice = Dice(dice.roll(u64::MAX));
            scope.spawn(move || answer(todo, saids, dice));
        }
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let dice = Dice(dice.roll(u64::MAX));
                scope.spawn(move || caller(links, numbers, stop, dice))
            })
            .collect();
        // Meanwhile plugins come and go.
        while Instant::now() < until && !callers.iter().any(thread::ScopedJoinHandle::is_finished) {
            let next = load(&jobs, dice.roll(u64::MAX));
            saids.write().unwrap().push(port_of(&next));
            let place = dice.roll(2) as usize;
            let old = std::mem::replace(&mut links.write().unwrap()[place], next.link);
            loads.push(next);
            assert_eq!(old.unload(Duration::from_millis(dice.roll(3))), Ok(()));
            thread::park_timeout(Duration::from_millis(10));
        }
        stop.store(true, SeqCst);
        for caller in callers {
            caller.join().unwrap();
        }
        for link in *links.read().unwrap() {
            assert_eq!(link.unload(Duration::ZERO), Ok(()));
        }
        // The plugins are gone and with them the last of those who send jobs.
        drop(jobs);
    });
    for load in &loads {
        let metrics = load.link.metrics();
        if load.link.name().is_empty() {
            // So many have followed it that it is forgotten what it did.
            continue;
        }
        assert_eq!(metrics.in_flight, 0, "{metrics:?}");
        assert_eq!(metrics.calls, metrics.notified + metrics.finished, "{metrics:?}");
        assert_eq!(load.stopped.load(SeqCst), 1, "shut down once");
        // What was dropped was counted by its reason, but for notified calls' answers and for those
        // whose waiter left in the same moment: no more than left at all.
        let counted = metrics.late + metrics.double + metrics.foreign + metrics.unknown;
        let uncounted = load.said.dropped.load(SeqCst).checked_sub(counted);
        let left = metrics.cancelled + metrics.faults.overflow + 2 * metrics.notified;
        assert!(uncounted.is_some_and(|uncounted| uncounted <= left), "{metrics:?}");
        assert_eq!(metrics.unknown, 0, "{metrics:?}");
    }
}
