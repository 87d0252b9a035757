//! What a plugin did, in numbers.

use crate::error::Fault;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Counts one thing. Nothing is read by it, so no model has to know of it.
pub(crate) type Count = AtomicU64;

/// What a plugin did since it was linked.
///
/// Every call is in one place: `calls = notified + finished + in_flight`, and `finished` are those
/// that were answered, refused, cancelled or faulted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Metrics {
    /// Calls that were handed to the plugin.
    pub calls: u64,
    /// Those of them that expect no answer.
    pub notified: u64,
    /// Those of them that are over: answered before they were made, that is, inside the plugin's
    /// dispatch, or over for their caller, who took what came of them or left.
    pub finished: u64,
    /// Those of them that are not.
    pub in_flight: u64,
    /// Calls whose caller left before their end.
    pub cancelled: u64,
    /// Calls that the plugin or its wall did not take.
    pub refused: u64,
    /// Calls that ended without the plugin's answer, by cause.
    pub faults: FaultMetrics,
    /// Answers to calls that were over.
    pub late: u64,
    /// Answers to calls that had theirs.
    pub double: u64,
    /// Answers to other plugins' calls.
    pub foreign: u64,
    /// Answers to calls that never were.
    pub unknown: u64,
    /// Frames that were read.
    pub frames: u64,
    /// Bytes that callers brought.
    pub bytes_in: u64,
    /// Bytes of answers to calls that are finished, and of frames that were read.
    pub bytes_out: u64,
}

macro_rules! fault_counts {
    ($($(#[$doc:meta])* $name:ident: $pattern:pat,)*) => {
        /// How many calls ended with each kind of [`Fault`].
        #[derive(Debug, Copy, Clone, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub struct FaultMetrics {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl FaultMetrics {
            /// All of them together.
            pub fn total(&self) -> u64 {
                0 $(+ self.$name)*
            }

            /// What was counted since the counts stood at `base`.
            pub(crate) fn since(&self, base: &Self) -> Self {
                Self { $($name: self.$name.wrapping_sub(base.$name),)* }
            }
        }

        pub(crate) struct FaultCounts {
            $($name: Count,)*
        }

        impl FaultCounts {
            pub(crate) const fn new() -> Self {
                Self { $($name: Count::new(0),)* }
            }

            pub(crate) fn count(&self, fault: &Fault) {
                match fault {
                    $($pattern => self.$name.fetch_add(1, Relaxed),)*
                };
            }

            pub(crate) fn read(&self) -> FaultMetrics {
                FaultMetrics { $($name: self.$name.load(Relaxed),)* }
            }
        }
    };
}

fault_counts! {
    /// No answer in time.
    deadline: Fault::Deadline { .. },
    /// Nothing left that could answer.
    unanswered: Fault::Unanswered,
    /// Lost with the plugin's instance.
    instance_lost: Fault::InstanceLost,
    /// Lost with the plugin.
    unloaded: Fault::Unloaded,
    /// A stream's queue that overflowed.
    overflow: Fault::Overflow { .. },
    /// An answer over its limit.
    too_large: Fault::TooLarge { .. },
    /// An answer that could not be read.
    bad_view: Fault::BadView(_),
    /// An answer whose status means nothing.
    bad_status: Fault::BadStatus(_),
    /// An answer that there was no memory for.
    out_of_memory: Fault::OutOfMemory { .. },
    /// Stopped by the plugin's wall.
    trapped: Fault::Trapped(_),
    /// Refused by the plugin after they had waited for their turn.
    refused_late: Fault::Refused { .. },
}
