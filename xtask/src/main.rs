//! What a checkout can do, one command each.
//!
//! ```text
//! cargo xtask setup       setup.rs       is this machine ready?
//! cargo xtask test        test.rs        every test
//! cargo xtask demo        demo.rs        see it work
//! cargo xtask new-plugin  new_plugin.rs  begin a plugin
//! cargo xtask component   component.rs   a plugin for the sandbox, of a core module
//! cargo xtask bench       bench.rs       how fast?
//! cargo xtask faults      faults.rs      what callers see of each fault
//! cargo xtask soak        soak.rs        healthy and hostile plugins side by side, for minutes
//! cargo xtask fuzz        fuzz.rs        all fuzz targets side by side
//! cargo xtask sanitize    sanitize.rs    tests under sanitizers and valgrind
//! cargo xtask loom        loom.rs        every interleaving of the routing core
//! cargo xtask mutants     mutants.rs     do the tests die when a promise is broken?
//! cargo xtask ci          ci.rs          all of the above, and what a reviewer would look at
//!
//! underneath:  cmd.rs (run it, say so)  group.rs (stop it, with all it started)
//!              checkout.rs (which files are ours)  libtest.rs (read what cargo test prints)
//! ```
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command-line program speaks on stdout")]

mod bench;
mod checkout;
mod ci;
mod cli;
mod cmd;
mod component;
mod demo;
mod faults;
mod fuzz;
mod group;
mod libtest;
mod loom;
mod mutants;
mod new_plugin;
mod sanitize;
mod setup;
mod soak;
mod test;

use std::process::ExitCode;

use clap::Parser;

use crate::cmd::Verdict;

fn main() -> ExitCode {
    match run() {
        Ok(Verdict::Good) => ExitCode::SUCCESS,
        Ok(Verdict::Bad) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<Verdict> {
    let cli = cli::Cli::parse();
    group::stop_with_us()?;
    cli.run()
}
