//! Who handles the process' signals, before and after.

#![expect(unsafe_code, reason = "sigaction and dladdr have no safe wrappers in std")]

use std::ffi::c_void;
use std::fmt;
use std::mem::MaybeUninit;
use std::ptr;

/// A signal, by its number.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

impl Signal {
    /// Its number on this system.
    #[must_use]
    pub fn number(self) -> i32 {
        self.0
    }

    fn name(self) -> Option<&'static str> {
        Some(match self.0 {
            libc::SIGABRT => "SIGABRT",
            libc::SIGALRM => "SIGALRM",
            libc::SIGBUS => "SIGBUS",
            libc::SIGCHLD => "SIGCHLD",
            libc::SIGCONT => "SIGCONT",
            libc::SIGFPE => "SIGFPE",
            libc::SIGHUP => "SIGHUP",
            libc::SIGILL => "SIGILL",
            libc::SIGINT => "SIGINT",
            libc::SIGPIPE => "SIGPIPE",
            libc::SIGPROF => "SIGPROF",
            libc::SIGQUIT => "SIGQUIT",
            libc::SIGSEGV => "SIGSEGV",
            libc::SIGSYS => "SIGSYS",
            libc::SIGTERM => "SIGTERM",
            libc::SIGTRAP => "SIGTRAP",
            libc::SIGTSTP => "SIGTSTP",
            libc::SIGTTIN => "SIGTTIN",
            libc::SIGTTOU => "SIGTTOU",
            libc::SIGURG => "SIGURG",
            libc::SIGUSR1 => "SIGUSR1",
            libc::SIGUSR2 => "SIGUSR2",
            libc::SIGVTALRM => "SIGVTALRM",
            libc::SIGWINCH => "SIGWINCH",
            libc::SIGXCPU => "SIGXCPU",
            libc::SIGXFSZ => "SIGXFSZ",
            _ => return None,
        })
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "signal {}", self.0),
        }
    }
}

/// The greatest number of a signal that is looked at.
const MOST: usize = 64;

/// How every signal is handled at one moment.
pub(crate) struct Handlers([Option<libc::sigaction>; MOST + 1]);

impl Handlers {
    /// Asks the system. (It keeps two numbers for itself and tells nothing of them.)
    pub(crate) fn now() -> Self {
        Self(std::array::from_fn(|number| action(i32::try_from(number).ok()?)))
    }

    /// The signals that are handled differently in `later`.
    pub(crate) fn changed(&self, later: &Self) -> Vec<Signal> {
        let pairs = self.0.iter().zip(&later.0).enumerate();
        pairs
            .filter(|(_, (before, after))| before.map(essence) != after.map(essence))
            .filter_map(|(number, _)| i32::try_from(number).ok().map(Signal))
            .collect()
    }

    /// Makes the handlers of `signals` what they were.
    pub(crate) fn restore(&self, signals: &[Signal]) {
        for signal in signals {
            let before = usize::try_from(signal.0).ok().and_then(|at| self.0.get(at));
            if let Some(Some(before)) = before {
                // SAFETY: the action is what this system said of this very signal, and `before` is
                // a live reference; nothing is asked for in return.
                unsafe { libc::sigaction(signal.0, before, ptr::null_mut()) };
            }
        }
    }

    /// The signals whose handlers are code of the library that `address` is in.
    pub(crate) fn inside(&self, address: *const c_void) -> Vec<Signal> {
        let Some(base) = base_of(address) else { return Vec::new() };
        let actions =
            self.0.iter().zip(0..).filter_map(|(action, number)| Some(((*action)?, number)));
        actions
            .filter(|(action, _)| action.sa_sigaction > libc::SIG_IGN)
            .filter(|(action, _)| base_of(action.sa_sigaction as *const c_void) == Some(base))
            .map(|(_, number)| Signal(number))
            .collect()
    }
}

/// What of an action another party would miss.
fn essence(action: libc::sigaction) -> (usize, libc::c_int) {
    (action.sa_sigaction, action.sa_flags)
}

fn action(number: i32) -> Option<libc::sigaction> {
    let mut found = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks only (no new action), and `found` is a live local to write the answer to.
    let result = unsafe { libc::sigaction(number, ptr::null(), found.as_mut_ptr()) };
    // SAFETY: the struct is integers and an optional function, for which zeros are valid.
    (result == 0).then(|| unsafe { found.assume_init() })
}

/// Where the library that this address lies in begins.
pub(crate) fn base_of(address: *const c_void) -> Option<usize> {
    let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: dladdr looks the address up among the mapped libraries and does not follow it; `info`
    // is a live local to write to.
    let found = unsafe { libc::dladdr(address, info.as_mut_ptr()) };
    // SAFETY: the struct is four pointers, for which zeros are valid.
    (found != 0).then(|| unsafe { info.assume_init() }.dli_fbase as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_changes_by_looking() {
        assert_eq!(Handlers::now().changed(&Handlers::now()), []);
    }

    #[test]
    fn a_signal_has_a_name_or_a_number() {
        assert_eq!(Signal(libc::SIGPROF).to_string(), "SIGPROF");
        assert_eq!(Signal(50).to_string(), "signal 50");
    }
}
