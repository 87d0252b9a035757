//! Runs commands: says which, and what went wrong.

use std::env;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::group::{self, Finished, Output};

/// Did what was asked for hold?
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Verdict {
    Good,
    /// No, and the output already says why.
    Bad,
}

impl Verdict {
    pub(crate) fn good_if(holds: bool) -> Verdict {
        if holds { Verdict::Good } else { Verdict::Bad }
    }
}

/// The cargo that runs us, in this folder.
pub(crate) fn cargo<S: AsRef<OsStr>>(dir: &Path, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(dir).args(args);
    command
}

/// Runs the command in the open, our stdin, stdout and stderr being its own.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    announce(command);
    hand_over(command)
}

/// Like [`run`], for a command that is a part of ours: without a word about it.
pub(crate) fn hand_over(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    if !status.success() {
        bail!("`{}` failed ({status})", shown(command));
    }
    Ok(())
}

/// Like [`run`] with a time limit, and what it says on stdout is also returned.
pub(crate) fn watch(command: &mut Command, limit: Duration) -> Result<Finished> {
    announce(command);
    group::run(command, Output::Shown, limit)
}

/// What a short command prints, or an error with all of it.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let done = group::run(command, Output::Kept, Duration::from_secs(300))?;
    if !done.success() {
        bail!("`{}` failed:\n{}", shown(command), done.output.trim_end());
    }
    Ok(done.output)
}

/// The first line of `program --version`, when there is such a program.
pub(crate) fn version_of(program: &str, args: &[&str]) -> Option<String> {
    let output = read(Command::new(program).args(args)).ok()?;
    output.lines().next().map(str::to_owned)
}

/// The command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let envs = command.get_envs().filter_map(|(key, value)| {
        Some(format!("{}={}", key.display(), quoted(&value?.to_string_lossy())))
    });
    let args = command.get_args().map(|arg| quoted(&arg.to_string_lossy()));
    let words: Vec<_> = envs.chain([name.to_string_lossy().into_owned()]).chain(args).collect();
    words.join(" ")
}

fn announce(command: &Command) {
    println!("$ {}", shown(command));
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::shown;
    use std::process::Command;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let mut command = Command::new("/usr/bin/cargo");
        command.args(["test", "a b"]).env("RUSTFLAGS", "--cfg loom");
        assert_eq!(shown(&command), "RUSTFLAGS='--cfg loom' cargo test 'a b'");
    }
}
