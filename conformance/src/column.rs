//! One backend's harness: how the suite gets at its test plugin, and what that cannot do.

use ringbox_ring::{Attached, Limits};
use std::error::Error;
use std::sync::Arc;

/// Host code that a plugin calls at [`Step::Hook`](crate::script::Step::Hook), on the thread that
/// runs the plugin.
pub type Hook = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// Whatever kept a column from loading its plugin.
pub type LoadFailure = Box<dyn Error + Send + Sync>;

/// What a plugin is loaded with.
#[derive(Clone)]
#[non_exhaustive]
pub struct Setup {
    /// What it may take.
    pub limits: Limits,
    /// What it calls at a hook. A column that lacks [`Ability::Hook`] ignores it.
    pub hook: Hook,
}

impl Setup {
    /// A setup with a hook.
    #[must_use]
    pub const fn new(limits: Limits, hook: Hook) -> Self {
        Self { limits, hook }
    }
}

/// One backend, as the suite sees it.
///
/// Each case has a column of its own, and each [`load`](Self::load) gives a plugin that shares
/// nothing with those that were loaded before. Calls that a harness makes while it loads (to hand
/// the hook over, say) are not held against it: the counts begin when `load` returns.
pub trait Column: Send + 'static {
    /// The column's heading in `docs/differences.md`.
    fn name(&self) -> &'static str;

    /// What it cannot do. `docs/differences.md` says why.
    fn lacks(&self) -> &'static [Ability] {
        &[]
    }

    /// Loads the test plugin that the crate's documentation describes.
    ///
    /// # Errors
    /// It could not be loaded: the case fails.
    fn load(&self, setup: Setup) -> Result<Attached, LoadFailure>;
}

macro_rules! abilities {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What a case may need of a backend and not every backend has.
        #[derive(Debug, Copy, Clone, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Ability {
            $($(#[$doc])* $variant,)*
        }

        impl Ability {
            /// All of them, in the order of the table in `docs/differences.md`.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its row in `docs/differences.md`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

abilities! {
    /// A panic costs its own call alone: the plugin keeps its memory, and its other calls go on.
    KeepsStateInPanic = "keeps-state-in-panic",
    /// The plugin answers from threads of its own, several at the same time.
    Threads = "threads",
    /// A status without a name reaches the caller as its number.
    UnknownStatus = "unknown-status",
    /// A call that the plugin took, and that nothing is left to answer, stays open until its
    /// deadline. (Else it ends at once, as `Unanswered`.)
    KeepsAbandoned = "keeps-abandoned",
    /// A call back into the plugin, from host code that its dispatch runs, is answered inside.
    /// (Else it is answered once the outer dispatch is left.)
    Reentry = "reentry",
    /// What is answered inside dispatch is there when the call is made, so that `now` finds it.
    Inside = "inside",
    /// The plugin can go on after its dispatch returned, without being called.
    Later = "later",
    /// A call that dispatch did not answer can stay open, for the plugin to answer from elsewhere.
    /// (Else nothing could ever wake the plugin, and the call ends at once.)
    Keeps = "keeps",
    /// The plugin's dispatch can run host code that the harness hands it.
    Hook = "hook",
    /// Entries have numbers.
    Numbers = "numbers",
    /// The plugin is told of a full queue, in place of losing the stream.
    Backpressure = "backpressure",
    /// A stream takes data from its caller.
    Data = "data",
    /// The plugin is told of cancelled calls.
    CancelNotice = "cancel-notice",
    /// The plugin can keep state with a call.
    State = "state",
}
