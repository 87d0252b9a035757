//! Several tasks on one thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Wake, Waker};

/// The tasks that have something to do, a bit for each.
type Ready = Arc<AtomicU64>;

struct Bit {
    ready: Ready,
    bit: u64,
}

impl Wake for Bit {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ready.fetch_or(self.bit, Ordering::Release);
    }
}

/// Runs up to 64 tasks at the same time on this thread, which spins for them, until all are done.
/// Adds up what they come to.
pub fn together<F: Future<Output = u64>>(tasks: impl IntoIterator<Item = F>) -> u64 {
    let ready = Ready::default();
    let mut tasks: Vec<(Pin<Box<F>>, Waker)> = tasks
        .into_iter()
        .enumerate()
        .map(|(at, task)| {
            let bit = 1 << at;
            ready.fetch_or(bit, Ordering::Relaxed);
            (Box::pin(task), Waker::from(Arc::new(Bit { ready: ready.clone(), bit })))
        })
        .collect();
    let (mut left, mut sum) = (tasks.len(), 0u64);
    while left > 0 {
        if ready.load(Ordering::Relaxed) == 0 {
            std::hint::spin_loop();
            continue;
        }
        let mut turn = ready.swap(0, Ordering::Acquire);
        while turn != 0 {
            let (task, waker) = &mut tasks[turn.trailing_zeros() as usize];
            turn &= turn - 1;
            if let std::task::Poll::Ready(value) =
                task.as_mut().poll(&mut Context::from_waker(waker))
            {
                left -= 1;
                sum = sum.wrapping_add(value);
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::together;
    use std::future::poll_fn;
    use std::task::Poll;

    #[test]
    fn tasks_that_wait_get_their_turns() {
        let tasks = (1..=64u64).map(|task| async move {
            for _ in 0..task {
                let mut waited = false;
                poll_fn(|context| {
                    if std::mem::replace(&mut waited, true) {
                        return Poll::Ready(());
                    }
                    context.waker().wake_by_ref();
                    Poll::Pending
                })
                .await;
            }
            task
        });
        assert_eq!(together(tasks), 64 * 65 / 2);
    }
}
