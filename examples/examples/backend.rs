//! The least that a backend is: it answers what it is asked.
//!
//! `cargo run --package ringbox-examples --example backend`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use anyhow::Result;
use ringbox_examples::block_on;
use ringbox_ring::{
    Invocation, Limits, Opening, PluginBackend, Port, RawStatus, Refusal, Sid, Status, Target,
};

/// Answers the entry `shout` with its payload in capitals.
struct Shout(Port);

impl PluginBackend for Shout {
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        match call.target {
            Target::Request(request) if request.path == "shout" => {
                // What becomes of the answer is the caller's business: it may have left.
                let _ = self.0.answer(sid, RawStatus::OK, &call.payload.to_ascii_uppercase());
                Ok(())
            }
            _ => Err(Refusal::new(Status::Unsupported)),
        }
    }
}

pub(crate) fn main() -> Result<()> {
    let opening = Opening::new("shout", Limits::default())?;
    let port = opening.port();
    let plugin = opening.attach(Shout(port));
    let link = plugin.link();

    let reply = block_on(link.call(&Invocation::entry("shout", b"hello"))?)?;
    println!("{}: {}", reply.status(), String::from_utf8_lossy(&reply));

    let refused = link.call(&Invocation::entry("whisper", b"hello")).unwrap_err();
    println!("whisper: {refused}");
    Ok(())
}
