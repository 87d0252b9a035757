//! `cargo xtask component`: a component out of a core module.

use std::path::{Path, PathBuf, absolute};

use anyhow::{Result, ensure};

use crate::checkout::Checkout;
use crate::cmd::{self, Verdict};

/// The program that does it. Whoever never asks for a component never compiles it.
const PROGRAM: &str = "xtask-component";

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The module, as the linker made it. With `--ask` it may be a component already.
    module: PathBuf,
    /// Where the component goes: unless given, beside the module, `x.core.wasm` as `x.wasm`, and
    /// any other `x.wasm` as `x.component.wasm`.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The world that the module is for, where it doesn't say so itself: unless given,
    /// `nylon:ring/plugin@1.0.0`. With the whole of the extension, `nylon:ring-ext/plugin@0.1.0`.
    #[arg(long, value_name = "NAME")]
    world: Option<String>,
    /// A file or folder of WIT that has your world; may be given several times, what is used first.
    /// The packages of `wit/` are always there.
    #[arg(long, value_name = "PATH")]
    wit: Vec<PathBuf>,
    /// A file of what the plugin asks to be granted, one line each, as `docs/grants.md` has them. It
    /// goes into the component, which then gets no more than that.
    #[arg(long, value_name = "FILE")]
    ask: Option<PathBuf>,
}

pub(crate) fn run(checkout: &Checkout, args: &Args) -> Result<Verdict> {
    let output = args.output.clone().unwrap_or_else(|| beside(&args.module));
    ensure!(output != args.module, "the component would replace its module: name an `--output`");

    let mut command = cmd::cargo(checkout.root(), ["run", "--quiet", "--package", PROGRAM, "--"]);
    // Cargo runs it in the folder that it builds in, and these are seen from ours.
    command.arg(absolute(&args.module)?).arg(absolute(output)?);
    command.arg(args.world.as_deref().unwrap_or_default());
    match &args.ask {
        Some(ask) => command.arg(absolute(ask)?),
        None => command.arg(""),
    };
    let contract = ["wit/nylon-ring", "wit/nylon-ring-ext"];
    command.args(contract.map(|package| checkout.root().join(package)));
    for path in &args.wit {
        command.arg(absolute(path)?);
    }
    cmd::hand_over(&mut command)?;
    Ok(Verdict::Good)
}

fn beside(module: &Path) -> PathBuf {
    let name = module.file_stem().unwrap_or_default();
    match Path::new(name) {
        core if core.extension().is_some_and(|extension| extension == "core") => {
            module.with_file_name(core.with_extension("wasm"))
        }
        _ => module.with_extension("component.wasm"),
    }
}

#[cfg(test)]
mod tests {
    use super::beside;
    use std::path::Path;

    #[test]
    fn a_component_lies_beside_its_module() {
        for (module, component) in [
            ("a/x.core.wasm", "a/x.wasm"),
            ("a/x.wasm", "a/x.component.wasm"),
            ("a.b/x", "a.b/x.component.wasm"),
        ] {
            assert_eq!(beside(Path::new(module)), Path::new(component));
        }
    }
}
