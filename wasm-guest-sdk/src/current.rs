//! What runs on this thread: whose handler it is, and whether somebody answers for its panic.

use crate::tasks::Hold;
use crate::{Sid, wall};

/// What runs on this thread.
struct Current {
    /// Those that it is one of, if it is async.
    tasks: Option<Hold>,
    sid: Sid,
    over: bool,
}

/// Runs what speaks for this call: a panic in it is answered by whoever contains it, and if the
/// call is over, nothing is answered at all.
pub(crate) fn within<R>(tasks: Option<&Hold>, sid: Sid, over: bool, body: impl FnOnce() -> R) -> R {
    struct Reset(Option<Current>);
    impl Drop for Reset {
        fn drop(&mut self) {
            drop(place::replace(self.0.take()));
        }
    }
    wall::runs(sid);
    let current = Current { tasks: tasks.map(Hold::clone), sid, over };
    let _reset = Reset(place::replace(Some(current)));
    body()
}

/// Whether somebody up this thread's stack answers for this call, or nobody has to.
pub(crate) fn speaks_for(sid: Sid) -> bool {
    place::with(|current| {
        let current = current.filter(|current| current.sid == sid);
        current.is_some_and(|current| current.over || wall::unwinds())
    })
}

/// The tasks of the plugin whose async handler runs on this thread.
pub(crate) fn tasks() -> Option<Hold> {
    place::with(|current| current.and_then(|current| current.tasks.as_ref().map(Hold::clone)))
}

#[cfg(not(target_family = "wasm"))]
mod place {
    use super::Current;
    use std::cell::RefCell;

    thread_local! {
        static CURRENT: RefCell<Option<Current>> = const { RefCell::new(None) };
    }

    pub(super) fn replace(current: Option<Current>) -> Option<Current> {
        CURRENT.replace(current)
    }

    pub(super) fn with<R>(look: impl FnOnce(Option<&Current>) -> R) -> R {
        CURRENT.with_borrow(|current| look(current.as_ref()))
    }
}

/// There is one thread.
#[cfg(target_family = "wasm")]
mod place {
    use super::Current;
    use crate::sync::Lock;

    static CURRENT: Lock<Option<Current>> = Lock::new(None);

    pub(super) fn replace(current: Option<Current>) -> Option<Current> {
        std::mem::replace(&mut *CURRENT.lock(), current)
    }

    pub(super) fn with<R>(look: impl FnOnce(Option<&Current>) -> R) -> R {
        look(CURRENT.lock().as_ref())
    }
}
