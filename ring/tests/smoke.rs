//! The ring's own least: one plugin, each way to call it.

use ringbox_ring::*;
use std::time::Duration;

struct Echo(Port);

impl PluginBackend for Echo {
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        let payload = call.payload.to_vec();
        match call.target {
            Target::Request(Request { path: "echo", .. }) | Target::Entry(_) => {
                let _ = self.0.answer(sid, RawStatus::OK, &payload);
            }
            Target::Request(Request { path: "later", .. }) => {
                let port = self.0;
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(5));
                    let _ = port.answer(sid, RawStatus::OK, &payload);
                });
            }
            Target::Request(Request { path: "three", .. }) => {
                for _ in 0..3 {
                    let _ = self.0.answer(sid, RawStatus::OK, &payload);
                }
                let _ = self.0.answer(sid, RawStatus::STREAM_END, b"");
            }
            Target::Request(Request { path: "never", .. }) => {}
            _ => return Err(Refusal::new(Status::Unsupported)),
        }
        Ok(())
    }
    fn resolve(&self, _: &str) -> Option<EntryId> {
        Some(EntryId::from_raw(0))
    }
}

#[test]
fn every_way_to_call() {
    let opening = Opening::new("echo", Limits::default()).unwrap();
    let echo = Echo(opening.port());
    let attached = opening.attach(echo);
    let link = attached.link();
    link.notify(&Invocation::entry("echo", b"x")).unwrap();
    let reply = link.call(&Invocation::entry("echo", b"hello")).unwrap().now().unwrap();
    assert_eq!((&reply[..], reply.status()), (&b"hello"[..], Status::Ok));
    let reply = link.call(&Invocation::entry("later", b"later")).unwrap().wait().unwrap();
    assert_eq!(&reply[..], b"later");
    drop(reply);
    let call = link.call(&Invocation::entry("never", b"")).unwrap();
    let error = call.deadline(Duration::from_millis(20)).wait().unwrap_err();
    assert!(error.is_deadline(), "{error}");
    let error = link.call(&Invocation::entry("nope", b"")).unwrap_err();
    assert_eq!(error, CallError::Refused { status: Status::Unsupported });
    let metrics = link.metrics();
    assert_eq!((metrics.calls, metrics.in_flight), (5, 0), "{metrics:?}");
    drop(attached);
    assert_eq!(link.notify(&Invocation::entry("echo", b"x")), Err(CallError::Unloaded));
}
