//! What the host adds to a plugin that is part of the program.

use criterion::{Criterion, criterion_group, criterion_main};
use ringbox::{
    EntryId, Host, Invocation, PluginBackend, Port, RawStatus, Refusal, Sid, Source, Status, Target,
};
use ringbox_benches::{block_on, checksum};
use std::hint::black_box;
use std::time::Duration;

const ECHO: EntryId = EntryId::from_raw(0);
const FRAMES: usize = 60;

/// Echoes, streams, or does nothing.
struct Inline(Port);

impl PluginBackend for Inline {
    fn dispatch(&self, sid: Sid, call: &Invocation<'_>) -> Result<(), Refusal> {
        let send = |status, bytes: &[u8]| {
            let _ = self.0.answer(sid, status, bytes);
        };
        match call.target {
            Target::Entry(ECHO) => send(RawStatus::OK, call.payload),
            Target::Request(request) => match request.path {
                "echo" => send(RawStatus::OK, call.payload),
                "nothing" => {}
                "frames" => {
                    (0..FRAMES).for_each(|_| send(RawStatus::OK, call.payload));
                    send(RawStatus::STREAM_END, b"");
                }
                _ => return Err(Refusal::new(Status::Unsupported)),
            },
            Target::Entry(_) => return Err(Refusal::new(Status::Invalid)),
        }
        Ok(())
    }

    fn resolve(&self, name: &str) -> Option<EntryId> {
        (name == "echo").then_some(ECHO)
    }
}

fn host(c: &mut Criterion) {
    let host = Host::new();
    let plugin = host.load("inline", Source::inline(Inline)).expect("it loads");
    let entry = plugin.entry("echo").expect("it has one");
    let payload = [7u8; 128];
    c.bench_function("host/call/0B", |bench| {
        bench.iter(|| plugin.call("nothing", black_box(b"")));
    });
    c.bench_function("host/call_response/128B", |bench| {
        bench.iter(|| {
            block_on(plugin.call_response("echo", black_box(&payload)))
                .map(|reply| checksum(&reply))
        });
    });
    c.bench_function("host/call_response_fast/128B", |bench| {
        bench.iter(|| {
            plugin.call_response_fast("echo", black_box(&payload)).map(|reply| checksum(&reply))
        });
    });
    c.bench_function("host/entry/128B", |bench| {
        bench.iter(|| {
            block_on(entry.call_response(black_box(&payload))).map(|reply| checksum(&reply))
        });
    });
    c.bench_function("host/stream/60x128B", |bench| {
        bench.iter(|| {
            let mut stream = plugin.call_stream("frames", black_box(&payload)).expect("taken");
            block_on(async {
                let mut sum = 0u64;
                while let Ok(Some(frame)) = stream.recv().await {
                    sum = sum.wrapping_add(checksum(&frame));
                }
                sum
            })
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600));
    targets = host
}
criterion_main!(benches);
