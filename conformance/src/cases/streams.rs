//! Frames: none, some, a great many, and what ends them.

use crate::executor::{Task, block_on, elsewhere};
use crate::ground::{Counts, Ground, answer, next, rest};
use crate::script::{Script, pattern, status};
use futures_core::Stream as _;
use ringbox_ring::{CallError, Fault, FrameBuf, Invocation, Status};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

const CAPACITY: u32 = 64;

fn frame(number: u32, len: u32) -> FrameBuf {
    FrameBuf { status: Status::Ok, bytes: pattern(number, len) }
}

fn last(status: Status, bytes: &[u8]) -> FrameBuf {
    FrameBuf { status, bytes: bytes.to_vec() }
}

/// Frames 0 to `count`, then the end.
fn all(count: u32, len: u32) -> Vec<FrameBuf> {
    let frames = (0..count).map(|number| frame(number, len));
    frames.chain([last(Status::StreamEnd, b"end")]).collect()
}

fn ended(script: Script) -> Script {
    script.answer(status::STREAM_END, b"end")
}

/// The end alone.
pub fn a_stream_may_be_empty(ground: &Ground) {
    let plugin = ground.plugin();
    let mut stream = plugin.stream(&ended(Script::new()));
    assert_eq!(rest(&mut stream), (all(0, 0), None));
    assert_eq!(next(&mut stream), Ok(None), "nothing follows the end");
}

/// One frame, then the end.
pub fn a_stream_of_one_frame_has_one(ground: &Ground) {
    let plugin = ground.plugin();
    let mut stream = plugin.stream(&ended(Script::new().frames(1, 10)));
    assert_eq!(rest(&mut stream), (all(1, 10), None));
}

/// As many frames as the queue holds, and the end on top of them, before anything is read.
pub fn a_full_queue_takes_its_end(ground: &Ground) {
    for capacity in [1, 2, 3, CAPACITY, 1000] {
        let plugin = ground.plugin_with(|limits| limits.stream_frames(capacity as usize));
        let mut stream = plugin.stream(&ended(Script::new().frames(capacity, 8)));
        assert_eq!(rest(&mut stream), (all(capacity, 8), None));
        let panic = Script::new().frames(capacity, 8).answer(status::PANIC, b"end");
        let (frames, fault) = rest(&mut plugin.stream(&panic));
        assert_eq!((frames.len(), fault), (capacity as usize + 1, None));
        assert_eq!(frames.last(), Some(&last(Status::Panic, b"end")));
    }
}

/// Each status that ends a stream does, with its bytes.
pub fn the_end_may_carry_bytes_and_any_final_status(ground: &Ground) {
    use Status::{Err, Invalid, Panic, StreamEnd, Unsupported};
    let plugin = ground.plugin();
    for status in [Err, Invalid, Unsupported, StreamEnd, Panic] {
        for bytes in [&b""[..], b"why"] {
            let mut stream =
                plugin.stream(&Script::new().frames(2, 3).answer(status.raw().0, bytes));
            let expected = vec![frame(0, 3), frame(1, 3), last(status, bytes)];
            assert_eq!(rest(&mut stream), (expected, None));
        }
    }
}

/// Many times what the queue holds.
pub fn ten_thousand_frames_arrive_in_order(ground: &Ground) {
    let plugin = ground.plugin();
    let mut stream = plugin.stream(&ended(Script::new().later().pump(10_000, 16)));
    let (frames, fault) = rest(&mut stream);
    assert_eq!(fault, None);
    assert!(frames == all(10_000, 16), "{} frames, in order and whole", frames.len());
    drop(stream);
    assert_eq!(plugin.link.metrics().frames, 10_001);
}

/// A reader that comes late to every frame loses none, and the queue never overflows.
pub fn a_slow_reader_holds_the_plugin_back(ground: &Ground) {
    let plugin = ground.plugin_with(|limits| limits.stream_frames(2));
    let mut stream = plugin.stream(&ended(Script::new().later().pump(100, 4)));
    for number in 0..100 {
        for _ in 0..20 {
            std::thread::yield_now();
        }
        assert_eq!(next(&mut stream), Ok(Some(frame(number, 4))));
    }
    assert_eq!(rest(&mut stream), (all(0, 0), None));
}

/// The way that cannot say "full" ends the stream, and what was queued is read first.
pub fn a_frame_too_many_ends_the_stream_after_what_was_queued(ground: &Ground) {
    let plugin = ground.plugin();
    let mut stream = plugin.stream(&ended(Script::new().frames(CAPACITY + 1, 8)));
    let (frames, fault) = rest(&mut stream);
    assert!(frames == all(CAPACITY, 8)[..CAPACITY as usize], "{} frames", frames.len());
    let bytes = plugin.link.limits().stream_bytes;
    assert_eq!(fault, Some(Fault::Overflow { frames: CAPACITY as usize, bytes }.into()));
    assert_eq!(plugin.link.metrics().faults.overflow, 1);
    // The end comes after the stream's end.
    plugin.expect(Counts { faults: 1, after_end: 1, ..Counts::default() });
}

/// The way that can say "full" does, and the stream goes on.
pub fn a_sender_that_asks_is_told_of_a_full_queue(ground: &Ground) {
    let plugin = ground.plugin();
    // Frames go another way where the queue's buffers are there already: those of the first stream.
    for _ in 0..2 {
        let mut stream = plugin.stream(&Script::new().flood(1000, 8).output(status::STREAM_END));
        let (frames, fault) = rest(&mut stream);
        assert_eq!(frames.len(), CAPACITY as usize + 1);
        assert_eq!(frames[CAPACITY as usize], last(Status::StreamEnd, &CAPACITY.to_le_bytes()));
        assert_eq!(fault, None);
    }
}

/// Bytes fill the queue as frames do.
pub fn the_queue_is_bounded_in_bytes_too(ground: &Ground) {
    let plugin = ground.plugin_with(|limits| limits.stream_bytes(1000));
    // The second finds room for each of its frames in what the first left, and for one more.
    let cases = [(100, 10), (200, 5), (300, 3), (999, 1), (1000, 1), (2000, 1), (0, CAPACITY)];
    for (len, fit) in cases {
        let mut stream = plugin.stream(&Script::new().flood(1000, len).output(status::STREAM_END));
        let (frames, fault) = rest(&mut stream);
        assert_eq!((frames.len(), fault), (fit as usize + 1, None), "of {len} bytes");
        assert_eq!(frames[fit as usize], last(Status::StreamEnd, &fit.to_le_bytes()));
    }
}

/// A stream with no room for bytes still passes one frame at a time.
pub fn one_frame_fits_whatever_the_bound(ground: &Ground) {
    let plugin = ground.plugin_with(|limits| limits.stream_bytes(0).stream_frames(1));
    let mut stream = plugin.stream(&ended(Script::new().frames(1, 5000)));
    assert_eq!(rest(&mut stream), (all(1, 5000), None));
}

/// Nothing follows the terminal frame.
pub fn frames_after_the_end_are_dropped(ground: &Ground) {
    let plugin = ground.plugin();
    let script = ended(Script::new().frames(1, 1)).frames(3, 1).answer(status::ERR, b"another");
    let mut stream = plugin.stream(&script);
    assert_eq!(rest(&mut stream), (all(1, 1), None));
    plugin.answer(stream.sid(), Status::Ok, b"later still");
    plugin.answer(stream.sid(), Status::StreamEnd, b"and an end");
    assert_eq!(next(&mut stream), Ok(None));
    let sid = stream.sid();
    drop(stream);
    plugin.answer(sid, Status::Ok, b"and after the reader left");
    plugin.expect(Counts { after_end: 7, ..Counts::default() });
}

/// `Backpressure` is the host's word, not a plugin's.
pub fn a_status_that_is_no_frame_ends_the_stream(ground: &Ground) {
    let plugin = ground.plugin();
    let mut stream =
        plugin.stream(&ended(Script::new().frames(1, 1).answer(status::BACKPRESSURE, b"wait")));
    let fault = CallError::from(Fault::BadStatus(Status::Backpressure));
    assert_eq!(rest(&mut stream), (vec![frame(0, 1)], Some(fault)));
    plugin.expect(Counts { faults: 1, after_end: 1, ..Counts::default() });
}

/// A number without a name is neither a frame nor an end.
pub fn an_unknown_status_ends_the_stream(ground: &Ground) {
    let plugin = ground.plugin();
    for number in [9, u32::MAX] {
        let mut stream = plugin.stream(&Script::new().frames(1, 1).answer(number, b"odd"));
        let fault = CallError::from(Fault::BadStatus(Status::Unknown(number)));
        assert_eq!(rest(&mut stream), (vec![frame(0, 1)], Some(fault)));
    }
    plugin.expect(Counts { faults: 2, ..Counts::default() });
}

/// One frame over its limit costs the stream.
pub fn a_frame_over_the_limit_ends_the_stream(ground: &Ground) {
    let plugin = ground.plugin_with(|limits| limits.answer_bytes(100));
    let mut stream = plugin.stream(&ended(Script::new().frames(1, 100).frames(1, 101)));
    let fault = CallError::from(Fault::TooLarge { len: 101, limit: 100 });
    assert_eq!(rest(&mut stream), (vec![frame(0, 100)], Some(fault)));
    plugin.expect(Counts { faults: 1, after_end: 1, ..Counts::default() });
}

/// A reader that leaves early is worth a word.
pub fn a_dropped_reader_is_told_to_the_plugin(ground: &Ground) {
    let plugin = ground.plugin();
    let stream = plugin.stream(&Script::new().keep().frames(3, 1));
    let sid = stream.sid();
    drop(stream);
    plugin.hears_cancel(sid);
    plugin.expect(Counts { cancelled: 1, ..Counts::default() });
}

/// A plugin that hears how its frames fare finds out by itself that nobody reads any more.
pub fn a_dropped_reader_stops_a_sender_that_asks(ground: &Ground) {
    let plugin = ground.plugin();
    for read in [0, 1, 10, 100] {
        let mut stream = plugin.stream(&Script::new().later().pump(1_000_000, 8));
        for number in 0..read {
            assert_eq!(next(&mut stream), Ok(Some(frame(number, 8))));
        }
    }
    // A frame that was on its way in when its reader left is not counted as late.
    plugin.expect(Counts { cancelled: 4, after_end_spare: 4, ..Counts::default() });
}

/// Frames that come when nobody reads are counted.
pub fn frames_for_a_dropped_reader_are_dropped(ground: &Ground) {
    let plugin = ground.plugin();
    let mut stream = plugin.stream(&Script::new().keep().frames(3, 1));
    assert_eq!(next(&mut stream), Ok(Some(frame(0, 1))));
    let sid = stream.sid();
    drop(stream);
    plugin.answer(sid, Status::Ok, b"frame");
    plugin.answer(sid, Status::StreamEnd, b"end");
    plugin.expect(Counts { cancelled: 1, after_end: 2, ..Counts::default() });
}

/// A stream that is over may be left unread; its queue serves the next one, empty.
pub fn a_reader_may_leave_with_frames_unread(ground: &Ground) {
    let plugin = ground.plugin();
    for round in 0..20 {
        let mut stream = plugin.stream(&ended(Script::new().frames(CAPACITY, 100)));
        for number in 0..round {
            assert_eq!(next(&mut stream), Ok(Some(frame(number, 100))));
        }
        drop(stream);
        let mut stream = plugin.stream(&ended(Script::new().frames(2, 5)));
        assert_eq!(rest(&mut stream), (all(2, 5), None));
    }
}

/// `recv` may be dropped while it waits, as often as one likes.
pub fn a_dropped_wait_for_a_frame_loses_nothing(ground: &Ground) {
    let plugin = ground.plugin();
    let mut stream = plugin.stream(&Script::new().keep());
    for number in 0..10 {
        let mut waiting = Task::new(stream.recv());
        assert!(waiting.poll().is_pending());
        drop(waiting);
        let sid = stream.sid();
        let mut waiting = Task::new(stream.recv());
        assert!(waiting.poll().is_pending());
        plugin.answer(sid, Status::Ok, &pattern(number, 3));
        waiting.until_woken();
        drop(waiting);
        assert_eq!(next(&mut stream), Ok(Some(frame(number, 3))));
    }
    plugin.answer(stream.sid(), Status::StreamEnd, b"end");
    assert_eq!(rest(&mut stream), (all(0, 0), None));
}

/// The trait that combinators work with gives the same frames, and knows its end.
pub fn a_stream_is_a_futures_stream(ground: &Ground) {
    use futures_core::FusedStream as _;
    let plugin = ground.plugin();
    let mut stream = plugin.stream(&Script::new().keep().frames(2, 4));
    let mut items = Vec::new();
    for _ in 0..2 {
        items.push(block_on(poll_fn(|context| Pin::new(&mut stream).poll_next(context))));
    }
    assert_eq!(items, [Some(Ok(frame(0, 4))), Some(Ok(frame(1, 4)))]);
    assert!(!stream.is_terminated());
    plugin.answer(stream.sid(), Status::StreamEnd, b"end");
    let end = block_on(poll_fn(|context| Pin::new(&mut stream).poll_next(context)));
    assert_eq!(end, Some(Ok(last(Status::StreamEnd, b"end"))));
    for _ in 0..2 {
        assert_eq!(block_on(poll_fn(|context| Pin::new(&mut stream).poll_next(context))), None);
    }
    assert!(stream.is_terminated());
}

/// Data that goes in comes back as frames, and closing is heard.
pub fn data_comes_back_and_closing_ends(ground: &Ground) {
    let plugin = ground.plugin();
    let mut stream = plugin.stream(&Script::new().keep().take_data());
    for (number, len) in [(0, 0), (1, 1), (2, 4096), (3, 100_000)] {
        stream.send(&pattern(number, len)).unwrap();
        assert!(next(&mut stream) == Ok(Some(frame(number, len))), "{len} bytes");
    }
    stream.send(b"unread").unwrap();
    stream.close().unwrap();
    let expected = vec![last(Status::Ok, b"unread"), last(Status::StreamEnd, b"closed")];
    assert_eq!(rest(&mut stream), (expected, None));
    assert_eq!(stream.send(b"more"), Err(CallError::StreamOver));
}

/// A plugin that cannot take data now says so, and nothing is lost.
pub fn data_meets_a_full_queue(ground: &Ground) {
    let plugin = ground.plugin_with(|limits| limits.stream_frames(2));
    let mut stream = plugin.stream(&Script::new().keep().take_data());
    stream.send(b"one").unwrap();
    stream.send(b"two").unwrap();
    assert_eq!(stream.send(b"three"), Err(CallError::Backpressure));
    assert_eq!(next(&mut stream), Ok(Some(last(Status::Ok, b"one"))));
    stream.send(b"three").unwrap();
    stream.close().unwrap();
    let (frames, fault) = rest(&mut stream);
    let bytes: Vec<_> = frames.iter().map(|frame| &frame.bytes[..]).collect();
    assert_eq!((&bytes[..], fault), (&[&b"two"[..], b"three", b"closed"][..], None));
}

/// Not every stream is for both ways.
pub fn data_for_a_plugin_that_takes_none_is_refused(ground: &Ground) {
    let plugin = ground.plugin();
    let mut stream = plugin.stream(&Script::new().keep());
    let refused = Err(CallError::Refused { status: Status::Unsupported });
    assert_eq!(stream.send(b"data"), refused);
    assert_eq!(stream.close(), refused);
    plugin.answer(stream.sid(), Status::StreamEnd, b"end");
    assert_eq!(rest(&mut stream), (all(0, 0), None), "the stream itself goes on");
}

/// The plugin ended the stream, so it takes no more, even while the reader has not got there.
pub fn data_after_the_end_is_refused(ground: &Ground) {
    let plugin = ground.plugin();
    let mut stream = plugin.stream(&ended(Script::new().take_data().frames(1, 1)));
    assert_eq!(stream.send(b"data"), Err(CallError::StreamOver));
    assert_eq!(stream.close(), Err(CallError::StreamOver));
    assert_eq!(rest(&mut stream), (all(1, 1), None));
    assert_eq!(stream.close(), Err(CallError::StreamOver));
}

/// Streams and calls that are open together share nothing.
pub fn many_streams_at_once_keep_apart(ground: &Ground) {
    let plugin = ground.plugin();
    let mut streams: Vec<_> = (0..50).map(|_| plugin.stream(&Script::new().keep())).collect();
    let calls: Vec<_> = (0..50).map(|_| plugin.call(&Script::new().keep())).collect();
    for round in 0..3_u8 {
        for (number, stream) in streams.iter().enumerate() {
            plugin.answer(stream.sid(), Status::Ok, &[number as u8, round]);
        }
    }
    for (number, call) in calls.iter().enumerate() {
        plugin.answer(call.sid(), Status::Ok, &[number as u8]);
    }
    for (number, stream) in streams.iter_mut().enumerate() {
        plugin.answer(stream.sid(), Status::StreamEnd, b"end");
        let (frames, fault) = rest(stream);
        assert_eq!((frames.len(), fault), (4, None));
        for (round, frame) in frames[..3].iter().enumerate() {
            assert_eq!(frame.bytes, [number as u8, round as u8]);
        }
    }
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(answer(call).unwrap().bytes, [number as u8]);
    }
    let mut nothing = plugin.stream(&Script::new().keep()).deadline(Duration::MAX);
    assert_eq!(Task::new(nothing.recv()).poll().map(drop), Poll::Pending);
    drop(nothing);
    plugin.expect(Counts { cancelled: 1, ..Counts::default() });
}

/// Streams that are filled and read on many threads at the same time.
pub fn many_readers_each_get_their_own_frames(ground: &Ground) {
    let plugin = ground.plugin_with(|limits| limits.stream_frames(8));
    let link = plugin.link;
    let readers: Vec<_> = (0..6_u32)
        .map(|reader| {
            elsewhere(move || {
                let (count, len) = (300 + reader, 10 + reader);
                let script = ended(Script::new().later().pump(count, len));
                let mut stream = link.stream(&Invocation::entry("run", &script)).unwrap();
                let (frames, fault) = rest(&mut stream);
                assert_eq!(fault, None);
                assert!(frames == all(count, len), "{} frames of {len} bytes", frames.len());
            })
        })
        .collect();
    for reader in readers {
        reader.join();
    }
}
