//! Wakers that wait until their thread has left a plugin, while the timer's thread takes some.

use super::*;
use crate::later::Later;
use std::sync::atomic::AtomicUsize;

fn wake_all(later: &Later) {
    later.take().for_each(Waker::wake);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn each_waker_that_was_put_off_is_woken_by_one_thread() {
    model(|| {
        let later = Arc::new(Later::new());
        let tasks: [std::sync::Arc<Counted>; 4] = Default::default();
        let timer = {
            let later = later.clone();
            thread::spawn(move || wake_all(&later))
        };
        for (at, task) in tasks.iter().enumerate() {
            // SAFETY: this thread alone puts any in.
            unsafe { later.put(Waker::from(task.clone())) };
            if at == 1 {
                wake_all(&later);
            }
        }
        wake_all(&later);
        timer.join().unwrap();
        assert!(tasks.iter().all(|task| task.0.load(Ordering::Relaxed) == 1));
    });
}
