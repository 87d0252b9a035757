//! Loads the plugin that the command line names, whatever kind it is of, and calls it.
//!
//! `cargo run --package ringbox-examples --example host -- <plugin> --entry greet --payload World`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]
#![expect(unsafe_code, reason = "loading native code is trusting it")]

use anyhow::{Context, Result, bail};
use clap::Parser;
use ringbox::{Access, Grants, Host, Inspected, LoadOptions, Request, Source, inspect};
use ringbox_examples::block_on;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Loads a plugin and calls it.
///
/// A component runs in a sandbox and gets what is granted here, which is nothing unless you say so.
/// A shared library runs inside this process with all of its rights: it takes `--trust`.
#[derive(Parser)]
struct Args {
    /// The plugin: a WebAssembly component, or a shared library for this machine.
    plugin: PathBuf,
    /// Load a shared library. Nothing holds its code back: load only what you trust.
    #[arg(long)]
    trust: bool,
    /// Only say what the plugin is, asks for and would get, and load nothing.
    #[arg(long)]
    inspect: bool,
    /// Give a component this environment variable. May be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Let a component read this folder, which it sees under the same name. May be given several
    /// times.
    #[arg(long, value_name = "FOLDER")]
    read: Vec<PathBuf>,
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
    let options = LoadOptions::new().grants(args.grants()?);
    let inspected = inspect(&args.plugin, &options)?;
    if args.inspect {
        print!("{}", inspected.report(&options));
        return Ok(());
    }
    let source = match inspected {
        Inspected::Component(_) => Source::component(&args.plugin),
        // SAFETY: whoever said `--trust` on the command line vouches for it, as the help says.
        Inspected::Native(_) if args.trust => unsafe { Source::native(&args.plugin) },
        _ => bail!("this is a shared library: if you trust its code, say `--trust`"),
    };
    let host = Host::new();
    let plugin = host.load_with("plugin", source, options)?;
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

impl Args {
    fn grants(&self) -> Result<Grants> {
        let mut grants = Grants::new();
        for variable in &self.env {
            let (name, value) = variable.split_once('=').context("--env wants NAME=VALUE")?;
            grants = grants.env(name, value);
        }
        for folder in &self.read {
            let seen_as = folder.to_str().context("--read wants a folder whose name is text")?;
            grants = grants.directory(folder, seen_as, Access::Read);
        }
        Ok(grants)
    }
}
