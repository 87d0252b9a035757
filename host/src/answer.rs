//! The wait for an answer.
//!
//! Written by hand, and as traits instead of closures: an answer that comes inside the plugin's
//! `handle` then takes its way to the caller in registers.

use crate::entry::Entry;
use crate::histogram::Sample;
use crate::plugin::Plugin;
use crate::request::Request;
use ringbox_ring::{Call, CallError, Named, Reply, Timed};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A call that can be begun.
pub(crate) trait Begin {
    type Call: Future<Output = Result<Reply, CallError>> + Unpin;

    fn plugin(&self) -> &Plugin;

    fn begin(&self) -> Result<Self::Call, CallError>;
}

/// An entry by its name.
pub(crate) struct ByName<'a> {
    pub(crate) plugin: &'a Plugin,
    pub(crate) call: Named<'a>,
}

impl Begin for ByName<'_> {
    type Call = Call;

    #[inline(always)]
    fn plugin(&self) -> &Plugin {
        self.plugin
    }

    #[inline(always)]
    fn begin(&self) -> Result<Call, CallError> {
        self.plugin.start(self.call)
    }
}

/// An entry that was looked up.
pub(crate) struct ById<'a> {
    pub(crate) entry: &'a Entry,
    pub(crate) payload: &'a [u8],
}

impl Begin for ById<'_> {
    type Call = Call;

    #[inline(always)]
    fn plugin(&self) -> &Plugin {
        self.entry.plugin()
    }

    #[inline(always)]
    fn begin(&self) -> Result<Call, CallError> {
        self.entry.start(self.payload)
    }
}

/// A whole request.
pub(crate) struct Whole<'a> {
    pub(crate) plugin: &'a Plugin,
    pub(crate) request: &'a Request,
}

impl Begin for Whole<'_> {
    type Call = Call;

    #[inline(always)]
    fn plugin(&self) -> &Plugin {
        self.plugin
    }

    #[inline]
    fn begin(&self) -> Result<Call, CallError> {
        self.request.with(|call| self.plugin.start(call))
    }
}

/// One of the others, with a deadline.
pub(crate) struct Within<B> {
    pub(crate) call: B,
    pub(crate) timeout: Duration,
}

impl<B: Begin<Call = Call>> Begin for Within<B> {
    type Call = Timed;

    #[inline(always)]
    fn plugin(&self) -> &Plugin {
        self.call.plugin()
    }

    #[inline]
    fn begin(&self) -> Result<Timed, CallError> {
        Ok(self.call.begin()?.deadline(self.timeout))
    }
}

/// Begins the call when it is polled first, waits for its answer, and times one call in many.
#[must_use = "nothing is called before it is polled"]
pub(crate) struct Answer<B: Begin> {
    asked: B,
    state: State<B::Call>,
}

enum State<C> {
    New,
    Waiting(C, Option<Sample>),
    Over,
}

impl<B: Begin> Answer<B> {
    #[inline(always)]
    pub(crate) fn new(asked: B) -> Self {
        Self { asked, state: State::New }
    }

    /// The first poll of a call that is timed.
    #[cold]
    #[inline(never)]
    fn poll_timed(&mut self, context: &mut Context<'_>) -> Poll<Result<Reply, CallError>> {
        self.state = State::Over;
        let sample = Sample::start();
        self.state = State::Waiting(self.asked.begin()?, Some(sample));
        self.poll_waiting(context)
    }

    #[cold]
    #[inline(never)]
    fn poll_waiting(&mut self, context: &mut Context<'_>) -> Poll<Result<Reply, CallError>> {
        let State::Waiting(call, sample) = &mut self.state else {
            panic!("a call was polled after it was over");
        };
        let result = std::task::ready!(Pin::new(call).poll(context));
        if let Some(sample) = sample {
            self.asked.plugin().record(sample);
        }
        self.state = State::Over;
        Poll::Ready(result)
    }
}

/// As [`plugin::apart`](crate::plugin::apart).
#[inline(always)]
fn apart(result: Poll<Result<Reply, CallError>>) -> Poll<Result<Reply, CallError>> {
    match result {
        Poll::Ready(result) => Poll::Ready(crate::plugin::apart(result)),
        Poll::Pending => Poll::Pending,
    }
}

impl<B: Begin + Unpin> Future for Answer<B> {
    type Output = Result<Reply, CallError>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        if !matches!(this.state, State::New) {
            return apart(this.poll_waiting(context));
        }
        if Sample::is_due() {
            return apart(this.poll_timed(context));
        }
        this.state = State::Over;
        let mut call = match this.asked.begin() {
            Ok(call) => call,
            Err(error) => return Poll::Ready(Err(error)),
        };
        match Pin::new(&mut call).poll(context) {
            Poll::Ready(Ok(reply)) => Poll::Ready(Ok(reply)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                this.state = State::Waiting(call, None);
                Poll::Pending
            }
        }
    }
}
