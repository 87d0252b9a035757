//! What ends a plugin's call from inside WASI.

use thiserror::Error;

/// Why a function of WASI trapped. `wasmtime::Error::downcast_ref` finds it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum WasiTrap {
    /// The plugin ended itself.
    #[error("the plugin called exit({code}): a plugin answers with a status instead")]
    Exited {
        /// The code that a process would have ended with.
        code: u8,
    },
    /// The plugin waits for real time, which it may not.
    #[error("the plugin waits for a clock: allow it with `Grants::waiting`, or use a timer")]
    Waits,
    /// The plugin holds too much.
    #[error("the plugin holds {most} streams and pollables at once: drop what is done with")]
    TooManyHandles {
        /// How many it may hold.
        most: usize,
    },
    /// More was asked for in one call than is given.
    #[error("the plugin wants {found} bytes in one call of `{function}`, and {most} are given")]
    TooMuch {
        /// The function.
        function: &'static str,
        /// How much it wants.
        found: u64,
        /// How much there is.
        most: u64,
    },
    /// What WASI calls a mistake of the caller's.
    #[error("the plugin called `{function}` against its rules: {rule}")]
    Misuse {
        /// The function.
        function: &'static str,
        /// What it has to keep to.
        rule: &'static str,
    },
    /// A function that only makes sense with something that wasn't granted.
    #[error("the plugin called `{function}`, which needs a grant: {grant}")]
    NotGranted {
        /// The function, with its interface.
        function: String,
        /// Which grant.
        grant: &'static str,
    },
}
