//! The command line: what each command is called and what its `--help` teaches.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::checkout::Checkout;
use crate::cmd::Verdict;
use crate::{
    bench, ci, component, demo, faults, fuzz, loom, mutants, new_plugin, sanitize, setup, soak,
    test,
};

/// What this checkout can do.
///
/// New here? `cargo xtask setup` says whether the machine is ready, `cargo xtask demo` shows a
/// plugin at work, `cargo xtask test` runs every test.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// Work on the checkout in this folder instead of the one this program was built from.
    #[arg(long, global = true, hide = true, value_name = "DIR")]
    root: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Check that this machine has what the other commands need.
    ///
    /// What is missing is named, with what it is for. Without flags one thing is installed: std
    /// for the targets that components are built for, by rustup where that can, else from source.
    Setup(setup::Args),
    /// Run every test of the workspace, doc tests included.
    ///
    /// This is `cargo test --workspace` with a count and a time at the end. Every other
    /// `cargo test` command works too.
    Test,
    /// Build the demo and run it.
    Demo,
    /// Begin a plugin: a project with a source, tests behind both walls, and what small components
    /// need.
    ///
    /// It lies outside of this checkout and depends on it, by its path. `docs/first-plugin.md` goes
    /// on from there.
    NewPlugin(new_plugin::Args),
    /// Make a component, a plugin for the sandbox, out of a core module.
    ///
    /// For what compilers and linkers make that know nothing of components: `clang
    /// --target=wasm32`, or Rust for `wasm32-unknown-unknown`. Nothing of WASI gets in. Prints the
    /// component's size, and what it imports and exports. The first time, it builds what it needs.
    ///
    /// Rust for `wasm32-wasip2` makes components by itself; `wit/README.md` says when to use what.
    Component(component::Args),
    /// Measure what a call costs.
    Bench(bench::Args),
    /// Provoke each fault behind each wall, and see that its callers see what the page says.
    ///
    /// The page is `docs/faults.md`.
    Faults(faults::Args),
    /// Run healthy and hostile plugins side by side, and look at what is left in the end.
    ///
    /// Faults are injected by the dice. Healthy plugins have to answer every call; in the end no
    /// call, thread, file, mapping or memory may be left over. What hangs is named.
    Soak(soak::Args),
    /// Fuzz what comes from outside: all targets side by side.
    ///
    /// It needs a nightly Rust and `cargo fuzz`. What breaks a target lies in `fuzz/artifacts`
    /// then, and belongs into `fuzz/corpus`, which every `cargo test` goes through.
    Fuzz(fuzz::Args),
    /// Run the tests of the routing core and of the native loader under sanitizers and valgrind.
    ///
    /// AddressSanitizer and ThreadSanitizer need a nightly Rust.
    Sanitize(sanitize::Args),
    /// Try every interleaving of the routing core's concurrent parts (loom).
    ///
    /// The models run the code that ships. `LOOM_MAX_PREEMPTIONS` (3 unless set) bounds how often
    /// one thread may interrupt another; raise it to search deeper and wait longer.
    Loom(loom::Args),
    /// Break one promise at a time and see that the test for it fails.
    ///
    /// Each `mutants/<name>.patch` breaks one promise and names the test that must notice. A
    /// mutant whose test still passes has survived: the promise is not tested. Your working tree
    /// is not touched, and what you have not committed yet counts. `mutants/README.md` has the
    /// format.
    Mutants(mutants::Args),
    /// Run everything that must hold before a change is merged.
    ///
    /// The steps run one after the other, also when one fails; a table at the end says how each
    /// went and how long it took.
    Ci(ci::Args),
}

impl Cli {
    pub(crate) fn run(self) -> Result<Verdict> {
        let checkout = match self.root {
            Some(root) => Checkout::at(&root)?,
            None => Checkout::of_this_program()?,
        };
        match self.command {
            Command::Setup(args) => setup::run(&checkout, &args),
            Command::Test => test::run(&checkout),
            Command::Demo => demo::run(&checkout),
            Command::NewPlugin(args) => new_plugin::run(&checkout, &args),
            Command::Component(args) => component::run(&checkout, &args),
            Command::Bench(args) => bench::run(&checkout, &args),
            Command::Faults(args) => faults::run(&checkout, &args),
            Command::Soak(args) => soak::run(&checkout, &args),
            Command::Fuzz(args) => fuzz::run(&checkout, &args),
            Command::Sanitize(args) => sanitize::run(&checkout, &args),
            Command::Loom(args) => loom::run(&checkout, &args),
            Command::Mutants(args) => mutants::run(&checkout, &args),
            Command::Ci(args) => ci::run(&checkout, &args),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Cli;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
