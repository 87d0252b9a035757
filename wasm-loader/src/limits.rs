//! What a sandboxed plugin may take, beyond the ring's limits.

use crate::error::LoadError;
use std::time::Duration;

macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident: $type:ty = $default:expr, $least:expr, $most:expr;)*) => {
        /// What a sandboxed plugin may take, beyond the ring's [`Limits`](ringbox_ring::Limits).
        /// All of it is enforced, from these defaults on.
        ///
        /// ```
        /// use ringbox_wasm::WasmLimits;
        ///
        /// let limits = WasmLimits::default().memory_bytes(16 << 20).queued_calls(64);
        /// ```
        #[derive(Debug, Copy, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct WasmLimits {
            $($(#[$doc])* pub $name: $type,)*
        }

        impl Default for WasmLimits {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        impl WasmLimits {
            $(
                #[doc = concat!("The same with another [`", stringify!($name), "`](Self::", stringify!($name), ").")]
                #[must_use]
                pub const fn $name(mut self, $name: $type) -> Self {
                    self.$name = $name;
                    self
                }
            )*

            /// Whether each is something that can be held.
            pub(crate) fn check(&self) -> Result<(), LoadError> {
                $(if !($least..=$most).contains(&self.$name) {
                    return Err(LoadError::BadLimit {
                        name: stringify!($name),
                        value: format!("{:?}", self.$name),
                        least: format!("{:?}", $least),
                        most: format!("{:?}", $most),
                    });
                })*
                Ok(())
            }
        }
    };
}

const TICK: Duration = Duration::from_millis(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

limits! {
    /// Linear memory of an instance, all its memories together. Default: 64 MiB.
    memory_bytes: usize = 64 << 20, 0, 4 << 30;
    /// Elements of an instance's tables, all of them together. Default: 100,000.
    table_elements: usize = 100_000, 0, 10_000_000;
    /// Core instances in an instance. Default: 64.
    core_instances: usize = 64, 1, 1000;
    /// Memories in an instance. Default: 4.
    memories: usize = 4, 0, 100;
    /// Tables in an instance. Default: 16.
    tables: usize = 16, 0, 1000;
    /// The stack that a guest may take. Default: 256 KiB.
    wasm_stack: usize = 256 << 10, 16 << 10, 8 << 20;
    /// How long one call may compute. Time in host functions is not counted. Default: 5 ms.
    budget: Duration = Duration::from_millis(5), TICK, DAY;
    /// The same for each call of a cooperative plugin, or of one with a real WASI grant. Default:
    /// 10 s.
    long_budget: Duration = Duration::from_secs(10), TICK, DAY;
    /// The same for `init`, with what the component does when it is instantiated, and for
    /// `shutdown`. Default: 1 s.
    start_budget: Duration = Duration::from_secs(1), TICK, DAY;
    /// How much longer `init` and `shutdown` may take than they may compute: for what they wait, if
    /// that was granted, and for their turns on a runner. Default: 10 s.
    start_wait: Duration = Duration::from_secs(10), TICK, DAY;
    /// How many bytes one call of a host function may bring, and so have the host allocate. A guest
    /// that brings more is stopped. Default: 128 MiB, which is more than an answer may have, so that
    /// answers meet their own limit.
    host_call_bytes: usize = 128 << 20, 0, 4 << 30;
    /// Handles of resources that an instance may have. Default: 16,384.
    handles: usize = 16 << 10, 0, 1 << 28;
    /// Calls that an instance keeps open after `handle` returned. Default: 16,384.
    kept_calls: u32 = 16 << 10, 0, 1 << 20;
    /// Calls that wait for their turn with an instance. Default: 1,024.
    queued_calls: usize = 1024, 0, 1 << 20;
    /// Bytes of the calls and the data that wait so. Default: 64 MiB.
    queued_bytes: usize = 64 << 20, 0, 4 << 30;
    /// Wakes that an instance may have asked for and not had. Default: 1,024.
    timers: usize = 1024, 0, 1 << 20;
    /// Bytes that the plugin may log in a second. Default: 64 KiB.
    log_bytes: u32 = 64 << 10, 0, u32::MAX;
}
