//! What a case stands on: plugins that it loads, calls to them, and the count at its end.

#![expect(clippy::missing_panics_doc, reason = "panicking is how a case says that it failed")]

use crate::column::{Ability, Column, Hook, Setup};
use crate::executor::{PATIENCE, block_on, eventually};
use crate::script::{Reader, Script, status};
use ringbox_ring::{
    Attached, Call, CallError, Frame, FrameBuf, Invocation, Limits, Link, Metrics, RawStatus,
    Reply, Sid, Status, Stream,
};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

/// How long a case may take, whatever it waits for.
const WHOLE_CASE: Duration = Duration::from_secs(60);

/// Asks one case of one column, unless the column lacks what the case needs.
pub fn ask(column: impl Column, needs: &[Ability], case: fn(&Ground)) {
    if let Some(lacking) = needs.iter().find(|need| column.lacks().contains(need)) {
        let (name, lacking) = (column.name(), lacking.name());
        eprintln!("not asked of {name}, which lacks `{lacking}`: see docs/differences.md");
        return;
    }
    let (done, ended) = mpsc::channel();
    let running = thread::spawn(move || {
        let ground = Ground { column: Box::new(column), plugins: RefCell::default() };
        case(&ground);
        ground.settle();
        let _ = done.send(());
    });
    match ended.recv_timeout(WHOLE_CASE) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("the case hangs after {WHOLE_CASE:?}"),
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => {
            if let Err(panic) = running.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// What a case is given.
pub struct Ground {
    column: Box<dyn Column>,
    plugins: RefCell<Vec<Rc<Plugin>>>,
}

impl Ground {
    /// The test plugin, loaded anew.
    #[must_use]
    pub fn plugin(&self) -> Rc<Plugin> {
        self.plugin_with(|limits| limits)
    }

    /// The same with other limits than the suite's.
    #[must_use]
    pub fn plugin_with(&self, limits: impl FnOnce(Limits) -> Limits) -> Rc<Plugin> {
        let switch = Arc::new(Switch::default());
        let behind = switch.clone();
        let hook: Hook = Arc::new(move |bytes| behind.call(bytes));
        let setup = Setup::new(limits(Limits::default().deadline(PATIENCE)), hook);
        let attached = self.column.load(setup).unwrap_or_else(|error| {
            panic!("the test plugin of {} is not loaded: {error}", self.column.name())
        });
        let plugin = Rc::new(Plugin {
            link: attached.link(),
            before: attached.link().metrics(),
            attached: RefCell::new(Some(attached)),
            switch,
            expected: Cell::default(),
        });
        self.plugins.borrow_mut().push(plugin.clone());
        plugin
    }

    /// Whether the column has it.
    #[must_use]
    pub fn has(&self, ability: Ability) -> bool {
        !self.column.lacks().contains(&ability)
    }

    /// The end of a case: every plugin's counts are what the case said.
    fn settle(&self) {
        for plugin in self.plugins.borrow().iter() {
            plugin.settle();
        }
    }
}

/// Where a plugin's hook leads to at the moment.
#[derive(Default)]
struct Switch {
    hook: Mutex<Option<Hook>>,
    shutdowns: AtomicU64,
}

impl Switch {
    fn call(&self, bytes: &[u8]) -> Vec<u8> {
        if bytes == b"shutdown" {
            self.shutdowns.fetch_add(1, SeqCst);
            return Vec::new();
        }
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner).clone();
        hook.map_or_else(Vec::new, |hook| hook(bytes))
    }
}

/// What a case causes to be counted. What it does not name stays at 0.
#[derive(Debug, Copy, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls whose caller left.
    pub cancelled: u64,
    /// Calls that were refused.
    pub refused: u64,
    /// Calls that ended with a fault.
    pub faults: u64,
    /// Late and double answers together: which of the two it is depends on how fast the caller is.
    pub after_end: u64,
    /// So many more of them may be counted.
    pub after_end_spare: u64,
    /// So many more cancelled calls may be counted.
    pub cancelled_spare: u64,
    /// Answers to other plugins' calls.
    pub foreign: u64,
    /// Answers to calls that never were.
    pub unknown: u64,
}

impl Counts {
    fn matches(&self, actual: &Self) -> bool {
        let within = |actual: u64, least: u64, spare| actual.wrapping_sub(least) <= spare;
        let rest = Self { after_end: self.after_end, cancelled: self.cancelled, ..*actual };
        within(actual.after_end, self.after_end, self.after_end_spare)
            && within(actual.cancelled, self.cancelled, self.cancelled_spare)
            && rest == Self { after_end_spare: 0, cancelled_spare: 0, ..*self }
    }
}

/// An answer whose bytes are its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What the plugin said.
    pub status: Status,
    /// What it brought.
    pub bytes: Vec<u8>,
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self { status: reply.status(), bytes: reply.into_vec() }
    }
}

impl Answer {
    /// An answer with `Ok`.
    pub fn ok(bytes: impl Into<Vec<u8>>) -> Self {
        Self { status: Status::Ok, bytes: bytes.into() }
    }
}

/// One load of the test plugin. The ground checks its counts when the case is over.
pub struct Plugin {
    /// What it is called through.
    pub link: Link,
    before: Metrics,
    attached: RefCell<Option<Attached>>,
    switch: Arc<Switch>,
    expected: Cell<Counts>,
}

impl Plugin {
    /// Makes a call that runs `script`.
    #[track_caller]
    pub fn call(&self, script: &Script) -> Call {
        self.try_call(script).expect("the plugin takes the call")
    }

    /// The same, where it may be refused.
    ///
    /// # Errors
    /// As [`Link::call`].
    pub fn try_call(&self, script: &Script) -> Result<Call, CallError> {
        self.link.call(&Invocation::entry("run", script))
    }

    /// Opens a stream that runs `script`.
    #[track_caller]
    pub fn stream(&self, script: &Script) -> Stream {
        self.link.stream(&Invocation::entry("run", script)).expect("the plugin takes the stream")
    }

    /// Makes a call that expects no answer and runs `script`.
    ///
    /// # Errors
    /// As [`Link::notify`].
    pub fn notify(&self, script: &Script) -> Result<(), CallError> {
        self.link.notify(&Invocation::entry("run", script))
    }

    /// Runs `script` and waits for its answer.
    #[track_caller]
    pub fn ask(&self, script: &Script) -> Answer {
        answer(self.call(script)).expect("the plugin answers")
    }

    /// Runs `script`, whose answer is its output.
    #[track_caller]
    pub fn output(&self, script: Script) -> Vec<u8> {
        let answer = self.ask(&script.output(status::OK));
        assert_eq!(answer.status, Status::Ok);
        answer.bytes
    }

    /// Has the plugin answer another call from inside one that is made for it.
    #[track_caller]
    pub fn answer(&self, sid: Sid, status: Status, bytes: &[u8]) {
        answer_through(self.link, sid, status, bytes);
    }

    /// Checks that calls still work.
    #[track_caller]
    pub fn serves(&self) {
        let call = self.link.call(&Invocation::entry("echo", b"still there?"));
        assert_eq!(answer(call.expect("the plugin takes calls")), Ok(Answer::ok(*b"still there?")));
    }

    /// Waits until the plugin was told that `sid` is cancelled.
    #[track_caller]
    pub fn hears_cancel(&self, sid: Sid) {
        eventually("the plugin hears of the cancelled call", || {
            let output = self.output(Script::new().cancelled());
            let mut reader = Reader::new(&output);
            let count = reader.u32().expect("a count");
            (0..count).any(|_| reader.u64() == Some(sid.as_raw()))
        });
    }

    /// How many calls the plugin has seen, this one included.
    #[track_caller]
    pub fn calls_seen(&self) -> u64 {
        let output = self.output(Script::new().calls());
        Reader::new(&output).u64().expect("a count")
    }

    /// Has the plugin's hook do this.
    pub fn on_hook(&self, hook: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) {
        *self.switch.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    /// How often the plugin said that it is shut down.
    #[must_use]
    pub fn shutdowns(&self) -> u64 {
        self.switch.shutdowns.load(SeqCst)
    }

    /// The owner's end.
    pub fn take_attached(&self) -> Attached {
        self.attached.borrow_mut().take().expect("the owner's end is taken once")
    }

    /// Says what the case has caused so far, from its beginning.
    pub fn expect(&self, counts: Counts) {
        self.expected.set(counts);
    }

    /// What was counted since the plugin was loaded.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let (now, before) = (self.link.metrics(), &self.before);
        Counts {
            cancelled: now.cancelled - before.cancelled,
            refused: now.refused - before.refused,
            faults: now.faults.total() - before.faults.total(),
            after_end: now.late + now.double - before.late - before.double,
            after_end_spare: 0,
            cancelled_spare: 0,
            foreign: now.foreign - before.foreign,
            unknown: now.unknown - before.unknown,
        }
    }

    /// Waits until nothing is in flight, and what was counted is what was expected.
    #[track_caller]
    pub fn settle(&self) {
        let expected = self.expected.get();
        for _ in 0..PATIENCE.as_millis() {
            if self.link.metrics().in_flight == 0 && expected.matches(&self.counts()) {
                break;
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        let metrics = self.link.metrics();
        assert_eq!(metrics.in_flight, 0, "calls are left over: {metrics:?}");
        assert_eq!(metrics.calls, metrics.notified + metrics.finished, "{metrics:?}");
        let actual = self.counts();
        assert!(expected.matches(&actual), "expected {expected:?}, counted {actual:?}");
    }
}

/// Has a plugin answer `sid` from inside a call that is made for it.
#[track_caller]
pub(crate) fn answer_through(link: Link, sid: Sid, status: Status, bytes: &[u8]) {
    let script = Script::new().answer_for(sid.as_raw(), RawStatus::from(status).0, bytes);
    let script = script.answer(status::OK, b"did");
    let call = link.call(&Invocation::entry("run", &script)).expect("the plugin takes the call");
    assert_eq!(answer(call), Ok(Answer::ok(*b"did")));
}

/// Waits for a call's end.
#[track_caller]
pub(crate) fn answer(
    call: impl Future<Output = Result<Reply, CallError>>,
) -> Result<Answer, CallError> {
    block_on(call).map(Answer::from)
}

/// Waits for a stream's next frame.
#[track_caller]
pub(crate) fn next(stream: &mut Stream) -> Result<Option<FrameBuf>, CallError> {
    block_on(async { Ok(stream.recv().await?.map(Frame::into_owned)) })
}

/// Reads a stream to its end: its frames, and the fault if there is one.
#[track_caller]
pub(crate) fn rest(stream: &mut Stream) -> (Vec<FrameBuf>, Option<CallError>) {
    let mut frames = Vec::new();
    loop {
        match next(stream) {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, None),
            Err(error) => {
                assert_eq!(next(stream), Ok(None), "a fault comes once");
                return (frames, Some(error));
            }
        }
    }
}
