//! As little of an executor as the suite needs. Whatever waits here gives up in the end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// How long the suite waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Counts its wakes, and unparks the thread that it was made on.
struct Bell {
    rung: AtomicU64,
    thread: Thread,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.fetch_add(1, SeqCst);
        self.thread.unpark();
    }
}

/// A future that is polled by hand.
pub(crate) struct Task<F> {
    future: Pin<Box<F>>,
    bell: Arc<Bell>,
    heard: u64,
}

impl<F: Future> Task<F> {
    pub(crate) fn new(future: F) -> Self {
        let bell = Bell { rung: AtomicU64::new(0), thread: thread::current() };
        Self { future: Box::pin(future), bell: Arc::new(bell), heard: 0 }
    }

    /// Polls once, always with the same waker.
    pub(crate) fn poll(&mut self) -> Poll<F::Output> {
        self.heard = self.bell.rung.load(SeqCst);
        let waker = Waker::from(self.bell.clone());
        self.poll_with(&waker)
    }

    /// Polls once with a waker of the case's own.
    pub(crate) fn poll_with(&mut self, waker: &Waker) -> Poll<F::Output> {
        self.future.as_mut().poll(&mut Context::from_waker(waker))
    }

    /// Whether it was woken since it was polled last.
    pub(crate) fn is_woken(&self) -> bool {
        self.bell.rung.load(SeqCst) > self.heard
    }

    /// Waits until it was woken.
    #[track_caller]
    pub(crate) fn until_woken(&self) {
        let end = Instant::now() + PATIENCE;
        while !self.is_woken() {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "nobody woke the task within {PATIENCE:?}");
            thread::park_timeout(left);
        }
    }

    /// Polls, woken by woken, until it is ready.
    #[track_caller]
    pub(crate) fn finish(&mut self) -> F::Output {
        loop {
            if let Poll::Ready(output) = self.poll() {
                return output;
            }
            self.until_woken();
        }
    }
}

/// Runs a future on this thread. It panics where nobody wakes it in time.
#[track_caller]
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    Task::new(future).finish()
}

/// Waits until something that other threads do has happened.
#[track_caller]
pub(crate) fn eventually(what: &str, mut happened: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// Something that runs on a thread of its own.
pub(crate) struct Elsewhere<T> {
    result: mpsc::Receiver<thread::Result<T>>,
}

/// Runs `f` on a thread of its own.
pub(crate) fn elsewhere<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> Elsewhere<T> {
    let (send, result) = mpsc::channel();
    thread::spawn(move || {
        let _ = send.send(std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)));
    });
    Elsewhere { result }
}

impl<T> Elsewhere<T> {
    /// What came of it. It panics where it panicked, and where it does not end in time.
    #[track_caller]
    pub(crate) fn join(self) -> T {
        match self.result.recv_timeout(PATIENCE) {
            Ok(Ok(value)) => value,
            Ok(Err(panic)) => std::panic::resume_unwind(panic),
            Err(_) => panic!("what ran on another thread did not end within {PATIENCE:?}"),
        }
    }
}

/// Runs a scenario again and again, and drops it after its first poll, its second, and so on,
/// until it comes to its end: each time right after the poll, and once more after it was woken.
///
/// `between` is told how often the scenario was polled, and makes what it waits for happen;
/// `after` looks at what is left, and is told whether the scenario came to its end.
#[track_caller]
pub(crate) fn drop_after_each_poll<F: Future<Output = ()>>(
    scenario: impl Fn() -> F,
    between: impl Fn(usize),
    after: impl Fn(bool),
) {
    for most in 0..100 {
        let mut ended = false;
        for woken_once_more in [false, true] {
            let mut task = Task::new(scenario());
            for poll in 1..=most {
                if poll > 1 {
                    between(poll - 1);
                    task.until_woken();
                }
                ended = task.poll().is_ready();
                if ended {
                    break;
                }
            }
            if woken_once_more && most > 0 && !ended {
                between(most);
                task.until_woken();
            }
            drop(task);
            after(ended);
        }
        if ended {
            return;
        }
    }
    panic!("the scenario did not end within 100 polls");
}
