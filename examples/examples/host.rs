//! Loads a plugin from the library that the command line names, and calls it.
//!
//! `cargo run --package ringbox-examples --example host -- <library> --entry greet --payload World`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]
#![expect(unsafe_code, reason = "loading native code is trusting it")]

use anyhow::Result;
use clap::Parser;
use ringbox::{Host, Request, Source};
use ringbox_examples::block_on;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Loads a native plugin and calls it.
///
/// Its code runs inside this process: load only what you trust.
#[derive(Parser)]
struct Args {
    /// The plugin: a shared library for this machine.
    library: PathBuf,
    /// The entry to call. Without it, the plugin gets a whole request.
    #[arg(long)]
    entry: Option<String>,
    /// The path of the whole request.
    #[arg(long, default_value = "/hello")]
    path: String,
    /// What to send along.
    #[arg(long, default_value = "")]
    payload: String,
    /// How long to wait for the answer, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    timeout: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let host = Host::new();
    // SAFETY: whoever named the library on the command line vouches for it, as the help says.
    let plugin = host.load("plugin", unsafe { Source::native(&args.library) })?;
    if let Some(about) = host.about("plugin") {
        println!("name      {}", about.reported_name.unwrap_or_default());
        println!("version   {}", about.reported_version.unwrap_or_default());
        println!("wall      {:?}", about.wall);
        println!("sha256    {}", about.sha256.unwrap_or_default());
        for warning in about.warnings {
            println!("warning   {warning}");
        }
    }

    let timeout = Duration::from_millis(args.timeout);
    let start = Instant::now();
    let reply = match &args.entry {
        Some(entry) => {
            block_on(plugin.call_response_timeout(entry, args.payload.as_bytes(), timeout))?
        }
        None => {
            let request = Request::post(args.path).body(args.payload);
            block_on(plugin.request_timeout(&request, timeout))?
        }
    };
    println!("status    {}", reply.status());
    println!("answer    {}", String::from_utf8_lossy(&reply));
    println!("took      {:.1?}", start.elapsed());

    host.unload_with_grace("plugin", Duration::from_secs(1))?;
    Ok(())
}
