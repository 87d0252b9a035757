//! What a plugin may call: each function once, with its version, its types and its body. Linkers are
//! generated from this table.

use crate::clock;
use crate::job::Job;
use crate::state::State;
use crate::wire::{WireLevel, WireStatus};
use ringbox_ring::{Delivery, Sid, StateError};
use std::time::{Duration, Instant};
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmList, WasmStr};

/// What a component passes for a parameter of this type.
macro_rules! passed {
    (u64) => { u64 };
    (status) => { WireStatus };
    (level) => { WireLevel };
    (bytes) => { WasmList<u8> };
    (text) => { WasmStr };
}

/// What the body gets for it.
macro_rules! given {
    (u64) => {
        u64
    };
    (status) => {
        WireStatus
    };
    (level) => {
        WireLevel
    };
    (bytes) => {
        &[u8]
    };
    (text) => {
        &str
    };
}

/// The one from the other, without a copy.
macro_rules! read {
    (bytes, $value:ident, $store:ident) => {
        $value.as_le_slice(&$store)
    };
    (text, $value:ident, $store:ident) => {
        &*$value.to_str(&$store)?
    };
    ($plain:ident, $value:ident, $store:ident) => {
        $value
    };
}

/// What the body returns.
macro_rules! answer {
    () => { () };
    (status) => { WireStatus };
    (bytes) => { Option<Vec<u8>> };
}

/// The same as a component takes it.
macro_rules! answered {
    ((), $value:expr) => {{
        $value;
        Ok(())
    }};
    ((status), $value:expr) => {
        Ok(($value,))
    };
    ((bytes), $value:expr) => {
        Ok(($value,))
    };
}

macro_rules! interfaces {
    ($($(#[$about:meta])* $module:ident = $interface:literal {
        $($(#[$doc:meta])*
        $function:ident = $name:literal
            ($state:ident $(, $param:ident: $type:ident)*) $(-> $return:ident)? $body:block)*
    })*) => {
        $(
            $(#[$about])*
            mod $module {
                use super::*;
                $(
                    $(#[$doc])*
                    #[inline(always)]
                    pub(super) fn $function(
                        $state: &State $(, $param: given!($type))*
                    ) -> answer!($($return)?) $body
                )*
            }
        )*

        /// Links them all to components.
        pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
            $(
                let mut interface = linker.instance($interface)?;
                $(
                    interface.func_wrap(
                        $name,
                        |store: StoreContextMut<'_, State>, ($($param,)*): ($(passed!($type),)*)| {
                            let state = store.data();
                            answered!(
                                ($($return)?),
                                $module::$function(state $(, read!($type, $param, store))*)
                            )
                        },
                    )?;
                )*
            )*
            Ok(())
        }

        /// The functions' names, each with its interface's.
        #[cfg(test)]
        const NAMES: &[(&str, &[&str])] = &[$(($interface, &[$($name),*])),*];
    };
}

interfaces! {
    /// The base world's.
    host = "nylon:ring/host@1.0.0" {
        /// Answers.
        send_result = "send-result" (state, sid: u64, status: status, payload: bytes) {
            let answer = || state.port.answer(Sid::from_raw(sid), status.raw(), payload);
            let _ = state.meter.excuse_if(answer, was_taken);
        }
    }

    /// Frames whose sender hears how they fared.
    frames = "nylon:ring-ext/frames@0.1.0" {
        /// Answers, or sends a frame.
        send_frame = "send-frame" (state, sid: u64, status: status, payload: bytes) -> status {
            let sid = Sid::from_raw(sid);
            let send = || state.port.send_frame(sid, status.raw(), payload);
            match state.meter.excuse_if(send, was_taken) {
                Delivery::Taken => WireStatus::Ok,
                Delivery::Full => WireStatus::Backpressure,
                // An answer that nobody expects is as good as any.
                Delivery::Dropped if sid.is_notify() => WireStatus::Ok,
                Delivery::Dropped => WireStatus::Invalid,
            }
        }
    }

    /// Wakes.
    timers = "nylon:ring-ext/timers@0.1.0" {
        /// Wakes the plugin later.
        wake_after = "wake-after" (state, token: u64, nanos: u64) -> status {
            if !state.plugin.guest.can_wake() {
                return WireStatus::Unsupported;
            }
            if state.timers.get() >= state.plugin.limits.timers {
                return WireStatus::Backpressure;
            }
            let Some(place) = state.place.upgrade() else { return WireStatus::Err };
            state.timers.set(state.timers.get() + 1);
            let wake = Job::Wake { instance: state.number, token };
            if nanos == 0 {
                // This thread has the turn, and runs it when the guest is left.
                place.push_own(wake);
            } else {
                clock::push_at(Instant::now(), Duration::from_nanos(nanos), place, wake);
            }
            WireStatus::Ok
        }
    }

    /// The host's log.
    log = "nylon:ring-ext/log@0.1.0" {
        /// Writes a line.
        write = "write" (state, level: level, message: text) {
            state.meter.excuse(|| state.plugin.log.line(state.port, level, message));
        }
    }

    /// What is kept with a request.
    state = "nylon:ring-ext/state@0.1.0" {
        /// Keeps a value.
        set = "set" (state, sid: u64, key: text, value: bytes) -> status {
            match state.port.set_state(Sid::from_raw(sid), key, value) {
                Ok(()) => WireStatus::Ok,
                Err(StateError::TooLarge { .. }) => WireStatus::Err,
                Err(_) => WireStatus::Invalid,
            }
        }

        /// A copy of a kept value.
        get = "get" (state, sid: u64, key: text) -> bytes {
            state.port.state(Sid::from_raw(sid), key)
        }
    }
}

/// Whether anybody got it. A guest that sends what nobody gets has the host work for nothing, on
/// its own time.
fn was_taken(delivery: &Delivery) -> bool {
    *delivery == Delivery::Taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_what_the_contract_says() {
        let ring = include_str!("../../wit/nylon-ring/ring.wit");
        let ext = include_str!("../../wit/nylon-ring-ext/ext.wit");
        for (interface, functions) in NAMES {
            let (package, rest) = interface.split_once('/').unwrap();
            let (name, version) = rest.split_once('@').unwrap();
            let wit = if package == "nylon:ring" { ring } else { ext };
            assert!(wit.contains(&format!("package {package}@{version};")), "{interface}");
            let body = wit.split_once(&format!("interface {name} {{")).unwrap().1;
            let body = body.split_once("\n}").unwrap().0;
            let declared = body.matches(": func(").count();
            assert_eq!(declared, functions.len(), "{interface}");
            for function in *functions {
                assert!(body.contains(&format!("  {function}: func(")), "{function}");
            }
        }
    }
}
