//! A plugin for nylon-ring 0.2 by its trait: handlers that return, and handlers that wait.

use nylon_ring::plugin::{AsyncSession, Plugin, Reply, Session};
use nylon_ring::{NrStatus, export_plugin};
use std::pin::Pin;
use std::task::{Context, Poll};

struct Greeter;

/// Pending once, woken from another thread.
struct Pause(bool);

impl Future for Pause {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.0, true) {
            return Poll::Ready(());
        }
        let waker = context.waker().clone();
        std::thread::spawn(move || waker.wake());
        Poll::Pending
    }
}

impl Plugin for Greeter {
    type Ctx = ();
    const ENTRIES: &'static [&'static str] = &["echo", "static", "fail", "silent"];
    const ASYNC_ENTRIES: &'static [&'static str] = &["ready", "waits", "fails later"];

    fn new() -> Self {
        Self
    }

    fn new_ctx(&self) {}

    fn on_call(&self, session: &mut Session<'_>, _: &mut ()) -> Reply {
        match session.entry() {
            "echo" => Reply::Bytes(session.payload().to_vec()),
            "static" => Reply::Static(b"static"),
            "fail" => Reply::Fail(NrStatus::Err),
            _ => Reply::None,
        }
    }

    async fn on_async_call(&self, session: AsyncSession, (): ()) -> Reply {
        match session.entry() {
            "ready" => Reply::Text("ready".to_owned()),
            "waits" => {
                Pause(false).await;
                Reply::Bytes(session.into_payload())
            }
            _ => {
                Pause(false).await;
                Reply::Fail(NrStatus::Invalid)
            }
        }
    }
}

export_plugin!(Greeter);
