//! Slots freed by threads that don't hold their lane.

use super::*;
use crate::home::Home;

/// The indices of a list that was taken, in order.
fn indices(mut at: *mut Slot) -> Vec<u32> {
    let mut indices = Vec::new();
    // SAFETY: the list holds null or slots that the model keeps alive.
    while let Some(slot) = unsafe { at.as_ref() } {
        // SAFETY: a slot that was taken is the taker's alone: loom checks that the thread which
        // pushed it is done with it.
        unsafe { slot.payload_mut() }.fill(Answer::Copied(RawStatus::OK, b"taken"));
        indices.push(slot.index);
        at = slot.next.load(Ordering::Relaxed);
    }
    indices
}

#[test]
fn every_slot_that_two_threads_push_is_taken_once() {
    model(|| {
        let shared = Arc::new((Home::new(), [0, 1, 2].map(Slot::new)));
        let (home, slots) = &*shared;
        let pushing = [vec![0], vec![1, 2]].map(|mine| {
            let shared = shared.clone();
            thread::spawn(move || {
                let (home, slots) = &*shared;
                for index in mine {
                    let slot: &Slot = &slots[index];
                    // SAFETY: a slot that is about to be pushed is its thread's.
                    unsafe { slot.payload_mut() }.fill(Answer::Copied(RawStatus::OK, b"freed"));
                    home.push(slot);
                }
            })
        });
        let mut taken = indices(home.take());
        if let Some(&again) = taken.first() {
            // The taker may free it again at once, from another thread's point of view.
            home.push(&slots[again as usize]);
            taken.remove(0);
        }
        for thread in pushing {
            thread.join().unwrap();
        }
        taken.extend(indices(home.take()));
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2]);
        assert!(home.take().is_null());
    });
}
