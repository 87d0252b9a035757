//! A stream's queue: its senders, its reader, and who frees the slot.

use super::*;
use crate::queue::{Queue, Sending, Sent};

/// What a sender came to.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
enum Sender {
    Full,
    As(Fate),
}

const TAKEN: Sender = Sender::As(Fate::Taken);

fn open(slot: &Slot, owner: *mut (), frames: usize, bytes: usize) -> Sid {
    let mut queue = Queue::new(frames);
    queue.reset(bytes);
    let sid = slot.open_stream(owner, queue);
    slot.left_stream_dispatch();
    sid
}

/// As [`open`], with dispatch still on the stack.
fn open_inside(slot: &Slot, frames: usize) -> Sid {
    let mut queue = Queue::new(frames);
    queue.reset(100);
    slot.open_stream(MINE, queue)
}

/// Sends as the thread inside dispatch does: without the lock, or else by it.
fn send_inside(slot: &Slot, sid: Sid, value: u8) -> Sender {
    if slot.copy_frame_inside(sid, MINE, RawStatus::OK, &[value; 3]) {
        return TAKEN;
    }
    let answer = Answer::Copied(RawStatus::OK, &[value; 3]);
    match slot.send(sid, MINE, Sending { answer, last: false, inside: true }) {
        Sent::As(outcome) => Sender::As(settle(slot, sid, outcome)),
        Sent::Full => Sender::Full,
    }
}

fn rest(reader: &mut Reader<'_>) -> (Vec<u8>, Read) {
    let mut frames = vec![];
    loop {
        match reader.try_read() {
            Read::Frame(value) => frames.push(value),
            end => return (frames, end),
        }
    }
}

#[test]
fn frames_sent_inside_dispatch_and_by_another_thread_all_arrive() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open_inside(&slot, 4);
        let sending = spawn(&slot, move |slot| assert_eq!(send(slot, sid, 9), TAKEN));
        assert_eq!(send_inside(&slot, sid, 1), TAKEN);
        assert_eq!(send_inside(&slot, sid, 2), TAKEN);
        slot.left_stream_dispatch();
        sending.join().unwrap();
        let mut reader = Reader::new(&slot, sid);
        let (mut frames, end) = rest(&mut reader);
        assert_eq!(end, Read::Nothing);
        let own: Vec<u8> = frames.iter().copied().filter(|value| *value != 9).collect();
        assert_eq!(own, [1, 2], "one sender's frames come in order");
        frames.retain(|value| *value == 9);
        assert_eq!(frames, [9]);
        assert!(reader.leave());
    });
}

#[test]
fn a_stream_that_is_ended_while_dispatch_sends_keeps_what_was_taken() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open_inside(&slot, 4);
        let ending = spawn(&slot, move |slot| assert_eq!(end(slot, sid), Fate::Taken));
        let taken = [1, 2].map(|value| send_inside(&slot, sid, value));
        slot.left_stream_dispatch();
        ending.join().unwrap();
        let mut reader = Reader::new(&slot, sid);
        let (frames, over) = rest(&mut reader);
        assert_eq!(over, Read::Over(Some(Fault::Unloaded)));
        let expected: Vec<u8> = [1, 2]
            .into_iter()
            .zip(taken)
            .filter(|(_, sent)| *sent == TAKEN)
            .map(|(value, _)| value)
            .collect();
        assert_eq!(frames, expected);
        assert!(reader.leave());
    });
}

/// The slot's next use beside what its last one left behind takes minutes with more preemptions.
fn model_of_two_lives(body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.max_branches = 20_000;
    builder.check(body);
}

#[test]
fn whoever_contended_for_the_slots_last_stream_has_not_for_its_next() {
    model_of_two_lives(|| {
        let slot = Arc::new(Slot::new(3));
        let first = open_inside(&slot, 1);
        let calling = {
            let slot = slot.clone();
            thread::spawn(move || {
                // Refused: its dispatch is never left in so many words.
                if !Reader::new(&slot, first).leave() {
                    return;
                }
                let second = open_inside(&slot, 4);
                let other = spawn(&slot, move |slot| send(slot, second, 2));
                let _ = slot.copy_frame_inside(second, MINE, RawStatus::OK, &[1; 3]);
                slot.left_stream_dispatch();
                assert_eq!(other.join().unwrap(), TAKEN);
            })
        };
        let _ = send(&slot, first, 9);
        calling.join().unwrap();
    });
}

#[test]
fn a_late_frame_meets_the_slots_next_call_and_does_not_wait_for_it() {
    model_of_two_lives(|| {
        let slot = Arc::new(roomy());
        let first = open_inside(&slot, 4);
        let late = spawn(&slot, move |slot| send(slot, first, 9));
        slot.left_stream_dispatch();
        if !Reader::new(&slot, first).leave() {
            assert_eq!(late.join().unwrap(), Sender::As(Fate::Orphaned));
            return;
        }
        // Answered inside, and kept by its caller for as long as it likes.
        let second = slot.open(MINE);
        let answered = slot.copy_inside(second, MINE, RawStatus::OK, &[5; 3]);
        assert!(answered || answer_inside(&slot, second, MINE, 5) == Fate::Taken);
        // It came before the reader left, or was dropped.
        let late = late.join().unwrap();
        assert!(matches!(late, TAKEN | Sender::As(Fate::Dropped(_))), "{late:?}");
        assert_eq!(read(&slot, second), Ok(5));
    });
}

#[test]
fn a_late_frame_meets_the_slots_next_stream_and_harms_nothing() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let first = open_inside(&slot, 4);
        let late = spawn(&slot, move |slot| send(slot, first, 9));
        slot.left_stream_dispatch();
        let orphaned = !Reader::new(&slot, first).leave();
        let late = if orphaned {
            Some(late.join().unwrap())
        } else {
            drop(late);
            None
        };
        assert!(matches!(late, None | Some(Sender::As(Fate::Orphaned))), "{late:?}");
        let second = open_inside(&slot, 4);
        assert_eq!(send_inside(&slot, second, 1), TAKEN);
        slot.left_stream_dispatch();
        let mut reader = Reader::new(&slot, second);
        assert_eq!(rest(&mut reader), (vec![1], Read::Nothing));
        assert!(reader.leave());
    });
}

#[test]
fn nobody_contends_for_a_stream_whose_dispatch_has_returned() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open(&slot, MINE, 4, 100);
        let sending = spawn(&slot, move |slot| assert_eq!(send(slot, sid, 1), TAKEN));
        assert_eq!(send(&slot, sid, 2), TAKEN);
        sending.join().unwrap();
        // Whoever contends runs a heavy fence.
        assert_eq!(slot.contended.load(Ordering::Relaxed), 0);
        assert!(Reader::new(&slot, sid).leave());
    });
}

/// Sends three bytes of `value`.
fn send_as(slot: &Slot, sid: Sid, owner: *mut (), value: u8, last: bool) -> Sender {
    let status = if last { RawStatus::STREAM_END } else { RawStatus::OK };
    let answer = Answer::Copied(status, &[value; 3]);
    match slot.send(sid, owner, Sending { answer, last, inside: false }) {
        Sent::As(outcome) => Sender::As(settle(slot, sid, outcome)),
        Sent::Full => Sender::Full,
    }
}

fn send(slot: &Slot, sid: Sid, value: u8) -> Sender {
    send_as(slot, sid, MINE, value, false)
}

fn send_last(slot: &Slot, sid: Sid, value: u8) -> Sender {
    send_as(slot, sid, MINE, value, true)
}

fn end(slot: &Slot, sid: Sid) -> Fate {
    let outcome = slot.end_stream(sid, |slot| owned_by(slot, MINE), Fault::Unloaded);
    settle(slot, sid, outcome)
}

/// The one reader.
struct Reader<'a> {
    slot: &'a Slot,
    sid: Sid,
    head: u64,
}

#[derive(Debug, PartialEq, Eq)]
enum Read {
    Frame(u8),
    Nothing,
    Over(Option<Fault>),
}

impl<'a> Reader<'a> {
    fn new(slot: &'a Slot, sid: Sid) -> Self {
        Self { slot, sid, head: 0 }
    }

    fn try_read(&mut self) -> Read {
        let now = self.slot.word.load(Ordering::Acquire);
        if Slot::has_more(now, self.head) {
            // SAFETY: this is the reader, and the word shows more.
            let cell = unsafe { self.slot.frame(self.head) };
            let value = cell.with(|payload| {
                // SAFETY: what is below the tail is the reader's; loom checks that.
                let bytes = unsafe { &*payload }.bytes();
                assert!(bytes.len() == 3 && bytes.iter().all(|byte| *byte == bytes[0]));
                bytes[0]
            });
            // SAFETY: as above, and nothing borrows the frame.
            unsafe { self.slot.free_frame(self.head) };
            self.head += 1;
            return Read::Frame(value);
        }
        if Slot::is_over(now) {
            // SAFETY: the stream is over, so the payload is the reader's.
            return Read::Over(unsafe { self.slot.payload_mut() }.take_fault());
        }
        Read::Nothing
    }

    /// Waits as an executor would.
    fn read(&mut self) -> Read {
        loop {
            match self.try_read() {
                Read::Nothing => {}
                read => return read,
            }
            loom::future::block_on(poll_fn(|context| {
                match self.slot.poll_stream(self.sid, self.head, context.waker()) {
                    Seen::Ready => Poll::Ready(()),
                    Seen::Pending => Poll::Pending,
                }
            }));
        }
    }

    /// True: this released the slot.
    fn leave(self) -> bool {
        let left = self.slot.leave_stream(self.sid);
        if left != Left::ToAnswerer {
            release(self.slot, self.sid);
        }
        left != Left::ToAnswerer
    }
}

#[test]
fn frames_come_in_order_and_then_the_end() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open(&slot, MINE, 4, 100);
        let sending = spawn(&slot, move |slot| {
            assert_eq!(send(slot, sid, 1), TAKEN);
            assert_eq!(send_last(slot, sid, 2), TAKEN);
            let after = send(slot, sid, 3);
            assert!(matches!(after, Sender::As(Fate::Dropped(Reason::Double | Reason::Late))));
        });
        let mut reader = Reader::new(&slot, sid);
        assert_eq!(reader.read(), Read::Frame(1));
        assert_eq!(reader.read(), Read::Frame(2));
        assert_eq!(reader.read(), Read::Over(None));
        assert!(reader.leave());
        sending.join().unwrap();
    });
}

#[test]
fn two_senders_frames_both_arrive() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open(&slot, MINE, 4, 100);
        let senders = [1, 2].map(|value| spawn(&slot, move |slot| send(slot, sid, value)));
        for sender in senders {
            assert_eq!(sender.join().unwrap(), TAKEN);
        }
        let mut reader = Reader::new(&slot, sid);
        let mut got = [reader.try_read(), reader.try_read()];
        got.sort_by_key(|read| *read == Read::Frame(2));
        assert_eq!(got, [Read::Frame(1), Read::Frame(2)]);
        assert!(reader.leave());
    });
}

#[test]
fn a_reader_that_waits_is_woken_by_either_of_two_senders() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open(&slot, MINE, 4, 100);
        let senders = [1, 2].map(|value| spawn(&slot, move |slot| send(slot, sid, value)));
        let (task, waker) = Task::new();
        let seen = slot.poll_stream(sid, 0, &waker);
        for sender in senders {
            assert_eq!(sender.join().unwrap(), TAKEN);
        }
        assert!(seen == Seen::Ready || task.was_woken());
        assert!(Reader::new(&slot, sid).leave());
    });
}

#[test]
fn the_waker_that_a_reader_left_last_is_woken() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open(&slot, MINE, 4, 100);
        let sending = spawn(&slot, move |slot| send(slot, sid, 1));
        let (_, first) = Task::new();
        let (task, last) = Task::new();
        let mut seen = slot.poll_stream(sid, 0, &first);
        for _ in 0..2 {
            if seen == Seen::Pending {
                seen = slot.poll_stream(sid, 0, &last);
            }
        }
        assert_eq!(sending.join().unwrap(), TAKEN);
        assert!(seen == Seen::Ready || task.was_woken(), "nobody woke the last waker");
        assert!(Reader::new(&slot, sid).leave());
    });
}

#[test]
fn when_the_reader_leaves_two_senders_the_slot_is_freed_once() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open(&slot, MINE, 4, 100);
        let senders = [1, 2].map(|value| spawn(&slot, move |slot| send(slot, sid, value)));
        let mine = Reader::new(&slot, sid).leave();
        if mine {
            // The slot's next call, while both may still be on their way.
            let next = slot.open_dispatched(MINE);
            assert_eq!(answer_inside(&slot, next, MINE, 5), Fate::Taken);
            assert_eq!(read(&slot, next), Ok(5));
        }
        let sent = senders.map(|sender| sender.join().unwrap());
        let theirs = sent.iter().filter(|sent| **sent == Sender::As(Fate::Orphaned)).count();
        assert_eq!(usize::from(mine) + theirs, 1, "{mine} {sent:?}");
    });
}

#[test]
fn a_reader_that_leaves_while_it_waits_frees_the_slot_once() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open(&slot, MINE, 1, 100);
        let sending = spawn(&slot, move |slot| {
            // The second one finds the queue full, unless the reader is gone.
            [send(slot, sid, 1), send(slot, sid, 2)]
        });
        let (_, waker) = Task::new();
        let _ = slot.poll_stream(sid, 0, &waker);
        let mine = Reader::new(&slot, sid).leave();
        if mine {
            // The next stream, which must not get the first one's frames.
            let next = open(&slot, MINE, 1, 100);
            let mut reader = Reader::new(&slot, next);
            assert_eq!(reader.try_read(), Read::Nothing);
            assert!(reader.leave());
        }
        let sent = sending.join().unwrap();
        let theirs = sent.iter().filter(|sent| **sent == Sender::As(Fate::Orphaned)).count();
        assert_eq!(usize::from(mine) + theirs, 1, "{mine} {sent:?}");
    });
}

#[test]
fn the_end_gets_through_a_full_queue() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open(&slot, MINE, 1, 100);
        let sending = spawn(&slot, move |slot| {
            assert_eq!(send(slot, sid, 1), TAKEN);
            let second = send(slot, sid, 2);
            assert_eq!(send_last(slot, sid, 3), TAKEN);
            second == TAKEN
        });
        let mut reader = Reader::new(&slot, sid);
        assert_eq!(reader.read(), Read::Frame(1));
        let mut next = reader.read();
        if next == Read::Frame(2) {
            next = reader.read();
            assert_eq!(next, Read::Frame(3));
            assert!(sending.join().unwrap());
        } else {
            assert_eq!(next, Read::Frame(3));
            assert!(!sending.join().unwrap());
        }
        assert_eq!(reader.read(), Read::Over(None));
        assert!(reader.leave());
    });
}

#[test]
fn a_frame_is_refused_only_when_the_queue_is_full_now() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open(&slot, MINE, 1, 100);
        assert_eq!(send(&slot, sid, 1), TAKEN);
        let mut reader = Reader::new(&slot, sid);
        assert_eq!(reader.try_read(), Read::Frame(1));
        // Two threads and one place: one of them gets it, whatever the other one sees.
        let other = spawn(&slot, move |slot| send(slot, sid, 2));
        let mine = send(&slot, sid, 3);
        let mut both = [mine, other.join().unwrap()];
        both.sort_by_key(|sent| *sent == TAKEN);
        assert_eq!(both, [Sender::Full, TAKEN]);
        assert!(reader.leave());
    });
}

#[test]
fn the_bytes_of_frames_that_were_read_can_be_sent_again() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        // Room for four frames, but for the bytes of one only.
        let sid = open(&slot, MINE, 4, 5);
        assert_eq!(send(&slot, sid, 1), TAKEN);
        let sending = spawn(&slot, move |slot| send(slot, sid, 2));
        let mut reader = Reader::new(&slot, sid);
        assert_eq!(reader.try_read(), Read::Frame(1));
        let second = sending.join().unwrap();
        if second == TAKEN {
            assert_eq!(send(&slot, sid, 3), Sender::Full);
            assert_eq!(reader.try_read(), Read::Frame(2));
        } else {
            assert_eq!(second, Sender::Full);
        }
        assert_eq!(send(&slot, sid, 4), TAKEN);
        assert_eq!(reader.try_read(), Read::Frame(4));
        assert!(reader.leave());
    });
}

#[test]
fn the_hosts_end_comes_after_what_was_queued_before_it() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open(&slot, MINE, 4, 100);
        let sending = spawn(&slot, move |slot| send(slot, sid, 1));
        let ending = spawn(&slot, move |slot| end(slot, sid));
        let (task, waker) = Task::new();
        let seen = slot.poll_stream(sid, 0, &waker);
        assert_eq!(ending.join().unwrap(), Fate::Taken);
        let sent = sending.join().unwrap();
        assert!(seen == Seen::Ready || task.was_woken());
        let mut reader = Reader::new(&slot, sid);
        if sent == TAKEN {
            assert_eq!(reader.try_read(), Read::Frame(1));
        }
        assert_eq!(reader.try_read(), Read::Over(Some(Fault::Unloaded)));
        assert!(reader.leave());
    });
}

#[test]
fn of_the_plugins_end_and_the_hosts_one_counts() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open(&slot, MINE, 4, 100);
        let sending = spawn(&slot, move |slot| send_last(slot, sid, 1));
        let ended = end(&slot, sid);
        let sent = sending.join().unwrap();
        let mut reader = Reader::new(&slot, sid);
        if sent == TAKEN {
            assert_eq!(ended, Fate::Dropped(Reason::Double));
            assert_eq!(reader.try_read(), Read::Frame(1));
            assert_eq!(reader.try_read(), Read::Over(None));
        } else {
            assert_eq!((ended, sent), (Fate::Taken, Sender::As(Fate::Dropped(Reason::Late))));
            assert_eq!(reader.try_read(), Read::Over(Some(Fault::Unloaded)));
        }
        assert!(reader.leave());
    });
}

#[test]
fn a_stream_being_ended_is_freed_once_when_its_reader_leaves() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open(&slot, MINE, 4, 100);
        let ending = spawn(&slot, move |slot| end(slot, sid));
        let sending = spawn(&slot, move |slot| send(slot, sid, 1));
        let mine = Reader::new(&slot, sid).leave();
        let (ended, sent) = (ending.join().unwrap(), sending.join().unwrap());
        let freed = [mine, ended == Fate::Orphaned, sent == Sender::As(Fate::Orphaned)];
        assert_eq!(freed.iter().filter(|freed| **freed).count(), 1, "{ended:?} {sent:?}");
    });
}

#[test]
fn a_reader_that_a_frame_woke_is_not_ended_for_waiting() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open(&slot, MINE, 4, 100);
        let (task, waker) = Task::new();
        assert_eq!(slot.poll_stream(sid, 0, &waker), Seen::Pending);
        slot.deadline.store(5, Ordering::Relaxed);
        let sending = spawn(&slot, move |slot| send(slot, sid, 1));
        let fault = Fault::Unanswered;
        let ended = slot.end_waiting_stream(sid, 9, fault.clone());
        let ended = ended.map(|outcome| settle(&slot, sid, outcome));
        let sent = sending.join().unwrap();
        assert!(task.was_woken());
        let mut reader = Reader::new(&slot, sid);
        match ended {
            Some(ended) => {
                assert_eq!((ended, sent), (Fate::Taken, Sender::As(Fate::Dropped(Reason::Late))));
                assert_eq!(reader.try_read(), Read::Over(Some(fault)));
            }
            None => {
                assert_eq!(sent, TAKEN);
                assert_eq!(reader.try_read(), Read::Frame(1));
                assert_eq!(reader.try_read(), Read::Nothing);
            }
        }
        assert!(reader.leave());
    });
}

#[test]
fn a_stream_handed_over_takes_the_old_ports_frames_before_and_the_new_ones_after() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open(&slot, MINE, 4, 100);
        let old = spawn(&slot, move |slot| send(slot, sid, 1));
        let new = spawn(&slot, move |slot| {
            let outcome = slot.hand_over_stream(sid, |slot| owned_by(slot, MINE), OTHER, false);
            assert_eq!(settle(slot, sid, outcome), Fate::Taken);
            assert_eq!(send_as(slot, sid, OTHER, 2, true), TAKEN);
        });
        let (task, waker) = Task::new();
        let seen = slot.poll_stream(sid, 0, &waker);
        new.join().unwrap();
        let old = old.join().unwrap();
        assert!(seen == Seen::Ready || task.was_woken());
        let mut reader = Reader::new(&slot, sid);
        if old == TAKEN {
            assert_eq!(reader.try_read(), Read::Frame(1));
        } else {
            assert!(matches!(old, Sender::As(Fate::Dropped(_))), "{old:?}");
        }
        assert_eq!(reader.try_read(), Read::Frame(2));
        assert_eq!(reader.try_read(), Read::Over(None));
        assert!(reader.leave());
    });
}

#[test]
fn a_foreign_port_sends_nothing_into_a_stream_nor_into_the_slots_next() {
    model(|| {
        let slot = Arc::new(Slot::new(3));
        let sid = open(&slot, MINE, 4, 100);
        let foreign = spawn(&slot, move |slot| send_as(slot, sid, OTHER, 7, true));
        assert!(Reader::new(&slot, sid).leave());
        let next = open(&slot, OTHER, 4, 100);
        let sent = foreign.join().unwrap();
        assert!(matches!(sent, Sender::As(Fate::Dropped(_))), "{sent:?}");
        let mut reader = Reader::new(&slot, next);
        assert_eq!(reader.try_read(), Read::Nothing);
        assert!(reader.leave());
    });
}
