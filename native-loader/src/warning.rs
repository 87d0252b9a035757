//! What is odd about a library that was loaded all the same.

use crate::signals::Signal;
use std::fmt;

/// Something about a loaded library that its operator should know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Warning {
    /// It is a plain version 1 plugin.
    NoExtension,
    /// Nothing in the file tells whether it is version 1 or nylon-ring 0.1.
    AssumedVersion1,
    /// It has symbols that exist once in a process, however often it is loaded.
    UniqueSymbols {
        /// How many.
        count: usize,
        /// One of them, as the linker knows it.
        example: String,
    },
    /// It replaced handlers of the process.
    SignalHandlers {
        /// Whose.
        signals: Vec<Signal>,
    },
    /// Its thread-locals take from a small reserve of the process, with each load.
    StaticTls,
    /// It was loaded from its own file rather than from a private copy.
    InPlace,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoExtension => f.write_str(
                "the plugin has no extension: no calls by number, no data into streams, no cancel, \
                 and it can't be unmapped; build it with `define_plugin!`",
            ),
            Self::AssumedVersion1 => f.write_str(
                "nothing in the library tells version 1 from nylon-ring 0.1, so it is taken for \
                 version 1; export the extension, or leave its symbols in, to have it proved",
            ),
            Self::UniqueSymbols { count, example } => write!(
                f,
                "{count} symbols (such as {example}) are shared by all loads of this library, and \
                 keep it from being unmapped; compile it with -fno-gnu-unique",
            ),
            Self::SignalHandlers { signals } => {
                f.write_str("the library replaced the process' handlers of")?;
                for (at, signal) in signals.iter().enumerate() {
                    write!(f, "{} {signal}", if at == 0 { "" } else { "," })?;
                }
                f.write_str("; other code that relies on them may fail")
            }
            Self::StaticTls => f.write_str(
                "the library's thread-locals take from the process' static reserve with each load, \
                 which then fails after some; compile it without -ftls-model=initial-exec",
            ),
            Self::InPlace => f.write_str(
                "the library is mapped from its own file: replace the file by renaming another \
                 over it, never by writing into it",
            ),
        }
    }
}
