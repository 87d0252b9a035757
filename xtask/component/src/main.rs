//! Makes a component out of a core module. `cargo xtask component` asks for it, and its `--help` says
//! what this does.
//!
//! A program of its own: what it is made of takes longer to compile than all other commands together.
//!
//! ```text
//! module > make.rs > component > contents.rs > what it imports and exports
//! ```
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "a command-line program speaks on stdout")]

mod contents;
mod make;

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context, Result, bail};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The command passes all of these, in this order: the module, the output, the world or nothing, the
/// file of what it asks for or nothing, the folders and files of WIT.
fn run() -> Result<()> {
    let mut args = env::args_os().skip(1);
    let (Some(module), Some(output), Some(world), Some(ask)) =
        (args.next(), args.next(), args.next(), args.next())
    else {
        bail!("this is a part of `cargo xtask component`");
    };
    let (module, output) = (PathBuf::from(module), PathBuf::from(output));
    let world = world.into_string().ok().context("a world's name is plain text")?;
    let wit: Vec<_> = args.map(PathBuf::from).collect();

    let bytes = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    let mut component = if make::is_component(&bytes) && !ask.is_empty() {
        bytes
    } else {
        make::component(bytes, Some(world.as_str()).filter(|world| !world.is_empty()), &wit)
            .with_context(|| format!("{} cannot be made a component", module.display()))?
    };
    if !ask.is_empty() {
        let ask = PathBuf::from(ask);
        let text = fs::read_to_string(&ask);
        let text = text.with_context(|| format!("cannot read {}", ask.display()))?;
        component = make::asking(&component, &text);
    }
    fs::write(&output, &component).with_context(|| format!("cannot write {}", output.display()))?;
    println!("{}: {} bytes", output.display(), component.len());
    print!("{}", contents::of(&component)?);
    Ok(())
}
