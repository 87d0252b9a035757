//! Async handlers: a machine that is turned by the host's calls, and asks the host for wakes.
//!
//! ```text
//!   call > start: polled at once --done--> the call's outcome
//!                   |
//!                 waits <---------------- polled <------+
//!                   |  its waker                        |
//!                 ready --no wake is asked for?--> host: wake-after(RUN, 0) --> woken
//!                   |
//!   cancel > its future is dropped; while it is polled, when that is over
//! ```
//!
//! No lock is held while a future is polled or dropped, a waker is used, or the host is called.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use crate::clock::Clock;
use crate::current::within;
use crate::host::OWN_TOKENS;
use crate::inbox::Post;
use crate::map::Map;
use crate::reply::Outcome;
use crate::sync::Lock;
use crate::wall;
use crate::{Host, Level, Sid, Status};

/// The token of the wake that ready tasks ask for.
const RUN: u64 = OWN_TOKENS;

/// What an async handler comes to.
pub(crate) type Body = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// All async handlers of one plugin that wait, and what they wait for.
pub(crate) struct Tasks {
    host: Host,
    /// Tasks, and responders: how many calls are open without the host's being inside of one.
    open: AtomicUsize,
    board: Lock<Board>,
}

struct Board {
    tasks: Map<Arc<Task>>,
    posts: Map<Arc<Post>>,
    /// Whose tasks can go on; some may be gone.
    ready: Vec<u64>,
    /// Whether the host was asked for a `RUN` that hasn't come.
    asked: bool,
    /// Whether somebody polls what was ready, and looks again when that is done.
    running: bool,
    clock: Clock,
}

/// One async handler that runs.
struct Task {
    sid: Sid,
    tasks: Hold,
    state: Lock<State>,
}

struct State {
    phase: Phase,
    /// Whether its waker was used since it was last polled.
    notified: bool,
}

enum Phase {
    Waits(Body),
    Polled,
    Over,
}

/// The tasks, for as long as somebody has them.
#[cfg(not(target_family = "wasm"))]
pub(crate) type Hold = Arc<Tasks>;

/// The same: an instance ends with its plugin, so nobody counts who has them.
#[cfg(target_family = "wasm")]
pub(crate) type Hold = &'static Tasks;

#[cfg(not(target_family = "wasm"))]
fn hold(tasks: Tasks) -> Hold {
    Arc::new(tasks)
}

#[cfg(target_family = "wasm")]
fn hold(tasks: Tasks) -> Hold {
    Box::leak(Box::new(tasks))
}

impl Tasks {
    pub(crate) fn new(host: Host) -> Hold {
        hold(Self {
            host,
            open: AtomicUsize::new(0),
            board: Lock::new(Board {
                tasks: Map::new(),
                posts: Map::new(),
                ready: Vec::new(),
                asked: false,
                running: false,
                clock: Clock::new(),
            }),
        })
    }

    #[inline]
    pub(crate) fn host(&self) -> &Host {
        &self.host
    }

    /// A promise to answer was made.
    pub(crate) fn opened(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    /// It was kept.
    pub(crate) fn closed(&self) {
        self.open.fetch_sub(1, Relaxed);
    }

    /// Whether a call is open that something in the plugin may answer.
    #[cfg(target_family = "wasm")]
    #[inline]
    pub(crate) fn any_open(&self) -> bool {
        self.open.load(Relaxed) != 0
    }

    /// Runs an async handler until its first wait, and takes it in if there is one.
    pub(crate) fn start(hold: &Hold, sid: Sid, body: Body) -> Outcome {
        let state = Lock::new(State { phase: Phase::Waits(body), notified: false });
        let task = Arc::new(Task { sid, tasks: Hold::clone(hold), state });
        hold.opened();
        // Before it is polled, so that a cancel finds it.
        hold.board.lock().tasks.insert(sid.as_raw(), task.clone());
        match task.poll() {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Ok(()),
        }
    }

    /// Nobody waits for this call any more: its future is dropped.
    pub(crate) fn cancel(&self, sid: Sid) {
        if let Some(task) = self.forget(sid) {
            task.cancel();
        }
    }

    /// Drops everything: the plugin stops.
    pub(crate) fn clear(&self) {
        let (tasks, posts, sleepers) = {
            let mut board = self.board.lock();
            let board = &mut *board;
            board.ready.clear();
            (board.tasks.take(), board.posts.take(), board.clock.clear())
        };
        for task in tasks {
            self.closed();
            task.cancel();
        }
        self.contain(|| drop((posts, sleepers)));
    }

    /// The task of this call, which is over.
    fn forget(&self, sid: Sid) -> Option<Arc<Task>> {
        let task = self.board.lock().tasks.remove(sid.as_raw())?;
        self.closed();
        Some(task)
    }

    /// The host has woken the plugin.
    pub(crate) fn woken(&self, token: u64) {
        let (wakers, mine) = {
            let mut board = self.board.lock();
            if token == RUN {
                board.asked = false;
            }
            // Whatever is ready from here on is polled below, or by whoever is at it.
            let mine = !std::mem::replace(&mut board.running, true);
            (board.clock.due(token), mine)
        };
        for waker in wakers {
            self.contain(|| waker.wake());
        }
        self.refill();
        if mine {
            self.run();
        }
    }

    /// Polls what is ready now. What gets ready meanwhile has its turn when the host has had its.
    fn run(&self) {
        let ready = std::mem::take(&mut self.board.lock().ready);
        for sid in ready {
            let task = self.board.lock().tasks.get(sid).cloned();
            let Some(task) = task else { continue };
            if let Poll::Ready(Err(status)) = task.poll() {
                self.host.wire.answer(task.sid, too_late(status), &[]);
            }
        }
        let mut board = self.board.lock();
        board.running = false;
        if !board.ready.is_empty() && !board.asked {
            board.asked = true;
            drop(board);
            self.ask();
        }
    }

    /// A task can go on.
    fn ready(&self, sid: Sid) {
        let mut board = self.board.lock();
        board.ready.push(sid.as_raw());
        if board.running || board.asked {
            return;
        }
        board.asked = true;
        drop(board);
        self.ask();
    }

    /// Asks for the one wake. If there is none to be had, timers are out, and the first of them
    /// will do.
    fn ask(&self) {
        if self.host.wire.wake_after(RUN, 0) != Status::Ok {
            self.board.lock().asked = false;
        }
    }

    /// Asks for timers for those who sleep without one. Not ok: the host said so, the rest waits
    /// until it wakes the plugin for something else.
    fn refill(&self) -> Status {
        loop {
            let Some(ask) = self.board.lock().clock.refill() else { return Status::Ok };
            let said = self.host.wire.wake_after(ask.token, ask.delay);
            if said != Status::Ok {
                self.board.lock().clock.refused(ask.token);
                return said;
            }
        }
    }

    /// Somebody begins to sleep. None if there are no timers at all.
    pub(crate) fn sleep(&self, nanos: u64, waker: Waker) -> Option<u64> {
        let sleeper = self.board.lock().clock.begin(nanos, waker);
        if self.refill() == Status::Unsupported {
            self.wake_up(sleeper);
            return None;
        }
        Some(sleeper)
    }

    /// Whether somebody still sleeps, who has this waker now.
    pub(crate) fn sleeps_on(&self, sleeper: u64, waker: Waker) -> bool {
        // What comes back is dropped when the lock is not held any more.
        let renewed = self.board.lock().clock.renew(sleeper, waker);
        renewed.is_ok()
    }

    /// Somebody sleeps no more.
    pub(crate) fn wake_up(&self, sleeper: u64) {
        let waker = self.board.lock().clock.end(sleeper);
        drop(waker);
    }

    /// Where data for this call goes.
    pub(crate) fn post_of(&self, sid: Sid) -> Arc<Post> {
        let mut board = self.board.lock();
        if let Some(post) = board.posts.get(sid.as_raw()) {
            return post.clone();
        }
        let post = Arc::<Post>::default();
        board.posts.insert(sid.as_raw(), post.clone());
        post
    }

    /// Its inbox is gone.
    pub(crate) fn forget_post(&self, sid: Sid, post: &Arc<Post>) {
        let mut board = self.board.lock();
        if board.posts.get(sid.as_raw()).is_some_and(|other| Arc::ptr_eq(other, post)) {
            let post = board.posts.remove(sid.as_raw());
            drop(board);
            drop(post);
        }
    }

    /// Data for a call that has an inbox.
    pub(crate) fn data(&self, sid: Sid, data: &[u8]) -> Option<Status> {
        Some(self.post(sid)?.put(data))
    }

    /// The end of the data for a call that has an inbox.
    pub(crate) fn data_closed(&self, sid: Sid) -> Option<Status> {
        Some(self.post(sid)?.close())
    }

    fn post(&self, sid: Sid) -> Option<Arc<Post>> {
        self.board.lock().posts.get(sid.as_raw()).cloned()
    }

    /// Runs what concerns no call any more. Its panic goes to the log.
    fn contain(&self, body: impl FnOnce()) {
        if let Err(message) = wall::contain(body) {
            self.host.log(Level::Error, &message);
        }
    }
}

impl Task {
    /// Polls it once, if nobody else does and it isn't over.
    fn poll(self: &Arc<Self>) -> Poll<Outcome> {
        let Some(mut body) = self.begin() else { return Poll::Pending };
        let waker = Waker::from(self.clone());
        let polled = within(Some(&self.tasks), self.sid, false, || {
            wall::contain(|| body.as_mut().poll(&mut Context::from_waker(&waker)))
        });
        match polled {
            Ok(Poll::Pending) => {
                if let Some(cancelled) = self.put_back(body) {
                    self.discard(cancelled);
                }
                Poll::Pending
            }
            Ok(Poll::Ready(outcome)) => {
                self.finish();
                self.discard(body);
                Poll::Ready(outcome)
            }
            Err(message) => {
                self.tasks.host.wire.answer(self.sid, Status::Panic, message.as_bytes());
                self.finish();
                self.discard(body);
                Poll::Ready(Ok(()))
            }
        }
    }

    fn begin(&self) -> Option<Body> {
        let mut state = self.state.lock();
        match std::mem::replace(&mut state.phase, Phase::Polled) {
            Phase::Waits(body) => {
                state.notified = false;
                Some(body)
            }
            other => {
                state.phase = other;
                None
            }
        }
    }

    /// It waits again, or is handed back if it was cancelled meanwhile.
    fn put_back(&self, body: Body) -> Option<Body> {
        let mut state = self.state.lock();
        if matches!(state.phase, Phase::Over) {
            return Some(body);
        }
        state.phase = Phase::Waits(body);
        let notified = state.notified;
        drop(state);
        if notified {
            self.tasks.ready(self.sid);
        }
        None
    }

    fn finish(&self) {
        self.state.lock().phase = Phase::Over;
        drop(self.tasks.forget(self.sid));
    }

    fn cancel(&self) {
        let before = std::mem::replace(&mut self.state.lock().phase, Phase::Over);
        if let Phase::Waits(body) = before {
            self.discard(body);
        }
    }

    /// Drops a future whose call is over, which is the author's code too.
    fn discard(&self, body: Body) {
        within(Some(&self.tasks), self.sid, true, || self.tasks.contain(|| drop(body)));
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.state.lock();
        let before = std::mem::replace(&mut state.notified, true);
        // While it is polled, whoever polls it sees that it is notified.
        let waits = matches!(state.phase, Phase::Waits(_));
        drop(state);
        if waits && !before {
            self.tasks.ready(self.sid);
        }
    }
}

/// The answer to a call that is refused after it was taken.
pub(crate) fn too_late(status: Status) -> Status {
    if matches!(status, Status::Ok | Status::StreamEnd) { Status::Err } else { status }
}

/// Lets everything else have its turn. For async handlers that compute for long.
pub fn yield_now() -> YieldNow {
    YieldNow { yielded: false }
}

/// Waits for the plugin's next turn. See [`yield_now`].
#[must_use = "futures do nothing unless they are awaited"]
#[derive(Debug)]
pub struct YieldNow {
    yielded: bool,
}

impl Future for YieldNow {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
