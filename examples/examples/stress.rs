//! Calls from many threads at once, for some seconds, and what came of them.
//!
//! `cargo run --release --package ringbox-examples --example stress`
//!
//! What a call costs is measured by `cargo xtask bench`, with more care. This shows that nothing
//! gets lost on the way.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]
#![expect(unsafe_code, reason = "loading native code is trusting it")]

use anyhow::{Result, anyhow, ensure};
use clap::Parser;
use ringbox::{Entry, Host, Source};
use ringbox_examples::{block_on, build_rust, join_all};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Calls the entry `echo` of a plugin from many threads, and prints the rate.
#[derive(Parser, Clone, Debug)]
struct Args {
    /// How long.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// From how many threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// How many calls each thread has open at once; 1 makes them one after the other.
    #[arg(long, default_value_t = 100)]
    batch: usize,
    /// How many bytes go there and back.
    #[arg(long, default_value_t = 128)]
    bytes: usize,
    /// A native plugin that you trust; the example's own unless given.
    #[arg(long)]
    library: Option<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let library = match &args.library {
        Some(library) => library.clone(),
        None => build_rust("ringbox-example-greeter")?,
    };
    let host = Host::new();
    // SAFETY: built just now from a source of this repository; or whoever named it on the command
    // line vouches for it, as the help says.
    let plugin = host.load("stressed", unsafe { Source::native(library) })?;
    let entry = plugin.entry("echo")?;
    println!("{} threads, {} calls at once on each", args.threads, args.batch);

    let start = Instant::now();
    let until = start + Duration::from_secs(args.seconds);
    let counts = thread::scope(|scope| -> Result<Vec<u64>> {
        let threads: Vec<_> = (0..args.threads)
            .map(|_| scope.spawn(|| block_on(call_until(&entry, &args, until))))
            .collect();
        let join = |thread: thread::ScopedJoinHandle<'_, Result<u64>>| {
            thread.join().map_err(|_| anyhow!("a thread panicked"))?
        };
        threads.into_iter().map(join).collect()
    })?;
    let took = start.elapsed();

    let calls: u64 = counts.iter().sum();
    let rate = calls as f64 / took.as_secs_f64();
    let each = took.as_nanos() as f64 * args.threads as f64 / calls.max(1) as f64;
    println!("{calls} calls in {took:.2?}, each with its own answer of {} bytes", args.bytes);
    println!("{rate:.0} calls/s, {each:.0} ns of a thread's time for each");

    let metrics = plugin.metrics().calls;
    ensure!(metrics.finished == calls && metrics.in_flight == 0, "not all accounted for");
    ensure!(metrics.faults.total() == 0 && metrics.late == 0, "some went wrong: {metrics:?}");
    host.unload("stressed")?;
    Ok(())
}

/// Calls in batches, checks every answer, and returns how many there were.
async fn call_until(entry: &Entry, args: &Args, until: Instant) -> Result<u64> {
    let payload = vec![b'x'; args.bytes];
    let mut calls = 0;
    while Instant::now() < until {
        if args.batch == 1 {
            for _ in 0..100 {
                ensure!(entry.call_response(&payload).await?[..] == payload[..], "a stray answer");
            }
            calls += 100;
        } else {
            for reply in join_all((0..args.batch).map(|_| entry.call_response(&payload))).await {
                ensure!(reply?[..] == payload[..], "a stray answer");
            }
            calls += args.batch as u64;
        }
    }
    Ok(calls)
}
