//! What may be shared: a lock behind the native wall, and in the sandbox, where there is one thread, a
//! cell that is as small as may be.

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::Lock;
#[cfg(target_family = "wasm")]
pub(crate) use sandbox::Lock;

#[cfg(not(target_family = "wasm"))]
mod native {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// Nothing of an author's runs while it is locked, so a poisoned one is as good as new.
    #[derive(Default)]
    pub(crate) struct Lock<T>(Mutex<T>);

    impl<T> Lock<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
    }
}

#[cfg(target_family = "wasm")]
mod sandbox {
    #![expect(unsafe_code, reason = "one thread shares what several could not")]

    use std::cell::{RefCell, RefMut};

    #[cfg(target_feature = "atomics")]
    compile_error!("a component has one thread: build it without the target feature `atomics`");

    #[derive(Default)]
    pub(crate) struct Lock<T>(RefCell<T>);

    // SAFETY: there is one thread, says the line above.
    unsafe impl<T: Send> Sync for Lock<T> {}

    impl<T> Lock<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(RefCell::new(value))
        }

        #[inline]
        pub(crate) fn lock(&self) -> RefMut<'_, T> {
            // A thread that locks twice would stand for ever elsewhere. Here it is a trap, and no text.
            self.0.try_borrow_mut().unwrap_or_else(|_| core::arch::wasm32::unreachable())
        }
    }
}
