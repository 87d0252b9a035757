//! A plugin for both walls: entries, a stream each way, state, timers and whole requests.

#![forbid(unsafe_code)]

use ringbox_guest::{Deferred, Error, Host, Level, Plugin, Request, Responder, sleep};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What the entry `slow` takes.
const SLOW: Duration = Duration::from_millis(500);

/// One for each load of the plugin, or for each instance in a sandbox.
struct Greeter {
    greeted: AtomicU64,
    kept: Mutex<Vec<Responder>>,
}

impl Plugin for Greeter {
    fn new(host: &Host) -> Result<Self, Error> {
        host.log(Level::Info, "hello");
        // A panic is answered with its message, so it needn't be printed too. The hook is this
        // plugin's own, as the whole of its standard library is.
        #[cfg(not(target_family = "wasm"))]
        std::panic::set_hook(Box::new(|_| {}));
        Ok(Self { greeted: AtomicU64::new(0), kept: Mutex::default() })
    }
}

impl Greeter {
    /// What is borrowed is sent as it is.
    fn echo<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        payload
    }

    fn greet(&self, name: &str) -> String {
        self.greeted.fetch_add(1, Ordering::Relaxed);
        format!("Hello, {name}!")
    }

    fn greeted(&self, (): ()) -> String {
        self.greeted.load(Ordering::Relaxed).to_string()
    }

    /// Answers half a second later, without a thread: the host wakes the plugin.
    async fn slow<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        sleep(SLOW).await;
        payload
    }

    /// Sends as many numbered frames as the payload says, and waits where the reader is behind.
    async fn count(&self, Deferred { call: text, responder }: Deferred<&str>) {
        let Ok(frames) = text.parse::<u32>() else {
            return responder.answer(Err::<(), _>("how many frames are to come?"));
        };
        for number in 0..frames {
            if responder.send(&number.to_le_bytes()).await.is_err() {
                return; // the reader has left
            }
        }
        responder.end();
    }

    /// A stream that takes data, and sends it back in capitals.
    async fn shout(&self, Deferred { responder, .. }: Deferred<()>) {
        let mut inbox = responder.inbox();
        while let Some(data) = inbox.recv().await {
            if responder.send(&data.to_ascii_uppercase()).await.is_err() {
                return;
            }
        }
        responder.end();
    }

    /// Owes an answer and never gives it. The host knows how long its caller waits.
    fn never(&self, Deferred { responder, .. }: Deferred<()>) {
        if let Ok(mut kept) = self.kept.lock() {
            kept.push(responder);
        }
    }

    fn panics(&self, (): ()) {
        panic!("the plugin lost its composure")
    }

    fn request(&self, request: Request<'_>) -> String {
        format!("OK: {} {}", request.method(), request.path())
    }
}

ringbox_guest::plugin! {
    type: Greeter,
    name: "greeter",
    entries: {
        "echo" => Greeter::echo,
        "greet" => Greeter::greet,
        "greeted" => Greeter::greeted,
        "slow" => async Greeter::slow,
        "count" => async Greeter::count,
        "shout" => async Greeter::shout,
        "never" => Greeter::never,
        "panic" => Greeter::panics,
    },
    requests: Greeter::request,
}
