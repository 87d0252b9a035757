//! A call that is answered inside its dispatch is settled there: counted, and under the name that
//! its plugin knows. One that is answered later is counted once its caller is done with it.

use ringbox_ring::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Answers what has a payload with that, refuses what is told to, and keeps the sids.
struct Plugin {
    port: Port,
    sids: Arc<Mutex<Vec<Sid>>>,
}

impl PluginBackend for Plugin {
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        self.sids.lock().unwrap().push(sid);
        let taken = match call.payload {
            b"" => Delivery::Taken,
            b"vector" => self.port.answer_vec(sid, RawStatus::OK, call.payload.to_vec()),
            payload => self.port.answer(sid, RawStatus::OK, payload),
        };
        assert_eq!(taken, Delivery::Taken);
        match call.payload {
            b"refused" => Err(Refusal::new(Status::Err)),
            _ => Ok(()),
        }
    }
}

struct Loaded {
    link: Link,
    port: Port,
    sids: Arc<Mutex<Vec<Sid>>>,
}

fn load() -> Loaded {
    let opening = Opening::new("settled", Limits::default()).unwrap();
    let (port, sids) = (opening.port(), Arc::<Mutex<_>>::default());
    let link = opening.attach(Plugin { port, sids: sids.clone() }).detach();
    Loaded { link, port, sids }
}

impl Loaded {
    fn call(&self, payload: &[u8]) -> Result<Call, CallError> {
        self.link.call(&Invocation::entry("entry", payload))
    }

    fn later(&self) -> Call {
        let call = self.call(b"").unwrap();
        assert_eq!(self.port.answer(call.sid(), RawStatus::OK, b"later"), Delivery::Taken);
        call
    }

    #[track_caller]
    fn counts(&self, finished: u64, in_flight: u64, bytes_out: u64) {
        let metrics = self.link.metrics();
        let counts = (metrics.finished, metrics.in_flight, metrics.bytes_out);
        assert_eq!(counts, (finished, in_flight, bytes_out), "{metrics:?}");
    }
}

#[test]
fn a_call_that_is_answered_at_once_has_the_name_that_its_plugin_knows() {
    let plugin = load();
    let call = plugin.call(b"at once").unwrap();
    assert_eq!(*plugin.sids.lock().unwrap(), [call.sid()]);
    let timed = call.deadline(Duration::from_secs(1));
    assert_eq!(*plugin.sids.lock().unwrap(), [timed.sid()]);
    assert_eq!(&timed.wait().unwrap()[..], b"at once");
}

#[test]
fn a_call_that_is_answered_at_once_is_over_when_it_is_made() {
    let plugin = load();
    let call = plugin.call(b"at once").unwrap();
    plugin.counts(1, 0, 7);
    drop(call);
    plugin.counts(1, 0, 7);
    let reply = plugin.call(b"at once").unwrap().now().unwrap();
    plugin.counts(2, 0, 14);
    drop(reply);
    plugin.counts(2, 0, 14);
}

/// Larger than any buffer that a slot keeps, and not copied at all.
#[test]
fn large_answers_and_vectors_are_over_at_once_too() {
    let plugin = load();
    let large = vec![7; 5000];
    let call = plugin.call(&large).unwrap();
    plugin.counts(1, 0, 5000);
    assert_eq!(call.wait().unwrap().into_vec(), large);
    let call = plugin.call(b"vector").unwrap();
    plugin.counts(2, 0, 5006);
    assert_eq!(&call.now().unwrap()[..], b"vector");
    plugin.counts(2, 0, 5006);
}

#[test]
fn a_call_that_is_answered_later_counts_its_bytes_whether_it_is_read_or_left() {
    let plugin = load();
    let (left, read) = (plugin.later(), plugin.later());
    plugin.counts(0, 2, 0);
    drop(left);
    plugin.counts(1, 1, 5);
    assert_eq!(&read.wait().unwrap()[..], b"later");
    plugin.counts(2, 0, 10);
    drop(plugin.call(b"").unwrap());
    plugin.counts(3, 0, 10);
}

#[test]
fn what_was_answered_before_a_refusal_counts_no_bytes() {
    let plugin = load();
    let error = plugin.call(b"refused").map(drop).unwrap_err();
    assert_eq!(error, CallError::Refused { status: Status::Err });
    plugin.counts(1, 0, 0);
    assert_eq!(plugin.link.metrics().refused, 1);
}
