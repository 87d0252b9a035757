//! Panics in this process that are nobody's intention.

use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Mutex, PoisonError};

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// Listens until it ends. (A library that panics in this process tells its own standard library.)
pub(super) struct Panics(Arc<Mutex<Vec<String>>>);

/// The first ones say it all.
const MOST: usize = 20;

impl Panics {
    pub(super) fn watch() -> Self {
        let seen = Arc::<Mutex<Vec<String>>>::default();
        let before: Hook = panic::take_hook();
        let told = seen.clone();
        panic::set_hook(Box::new(move |panic| {
            if panic.to_string().contains("on purpose") {
                return;
            }
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() < MOST {
                told.push(panic.to_string());
            }
            drop(told);
            before(panic);
        }));
        Self(seen)
    }

    /// What there was.
    pub(super) fn end(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_are_told_but_for_those_on_purpose() {
        let panics = Panics::watch();
        std::thread::spawn(|| panic!("on purpose")).join().unwrap_err();
        std::thread::spawn(|| panic!("of mine")).join().unwrap_err();
        let told = panics.end();
        assert!(told.iter().any(|panic| panic.contains("of mine")), "{told:?}");
        assert!(!told.iter().any(|panic| panic.contains("on purpose")), "{told:?}");
    }
}
