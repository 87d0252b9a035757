//! A hundred calls that take two seconds each, from one thread, in two seconds: behind each wall.
//!
//! `cargo run --package ringbox-examples --example concurrent`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]
#![expect(unsafe_code, reason = "loading native code is trusting it")]

use anyhow::{Result, ensure};
use clap::Parser;
use ringbox::{Host, Plugin, Request, Source};
use ringbox_examples::{block_on, build_component, build_rust, join_all};
use std::time::{Duration, Instant};

/// Makes many calls of the seed plugin at once. Each takes two seconds; so do all of them.
#[derive(Parser)]
struct Args {
    /// How many calls are open at the same time.
    #[arg(long, default_value_t = 100)]
    calls: usize,
}

fn main() -> Result<()> {
    let Args { calls } = Args::parse();
    let library = build_rust("ringbox-example-seed")?;
    let component = build_component("ringbox-example-seed")?;
    let host = Host::new();
    // SAFETY: the library was built just now, from a source of this repository.
    at_once(&host.load("library", unsafe { Source::native(library) })?, calls)?;
    if let Some(component) = component {
        at_once(&host.load("component", Source::component(component))?, calls)?;
    }
    host.drain(Duration::from_secs(1));
    Ok(())
}

fn at_once(seed: &Plugin, calls: usize) -> Result<()> {
    let start = Instant::now();
    let requests: Vec<_> = (0..calls).map(|n| Request::get(format!("/call/{n}"))).collect();
    let replies = block_on(join_all(requests.iter().map(|request| seed.request(request))));
    let took = start.elapsed();

    for (number, (request, reply)) in requests.iter().zip(replies).enumerate() {
        let reply = reply?;
        ensure!(reply[..] == *format!("OK: GET {}", request.path()).as_bytes(), "a stray answer");
        if number < 3 || number + 1 == calls {
            println!("{}", String::from_utf8_lossy(&reply));
        } else if number == 3 {
            println!("...");
        }
    }
    let name = seed.name();
    println!("{calls} calls of two seconds each took {took:.2?}, on one thread: {name}.");
    // One after the other they would take twice their number.
    ensure!(took < Duration::from_secs(4 + calls as u64 / 2), "they blocked one another");
    Ok(())
}
