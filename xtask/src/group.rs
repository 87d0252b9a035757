//! A command in a process group of its own: with a time limit, it and all that it started are
//! stopped together. When we are stopped, so are they.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// The groups that run right now.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

/// How long a command that is asked to stop may take before it is made to.
const GRACE: Duration = Duration::from_secs(1);

/// How long to wait for the last words of a command that has ended.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What is read of a command's output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Output {
    /// Kept, and not shown.
    Kept,
    /// What goes to stdout is kept and shown; stderr is only shown.
    Shown,
}

/// How a command went.
#[derive(Debug)]
pub(crate) struct Finished {
    /// `None`: it was stopped at its time limit.
    pub(crate) status: Option<ExitStatus>,
    pub(crate) output: String,
}

impl Finished {
    pub(crate) fn success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

/// Asks that an interrupt of this program stops what it started.
pub(crate) fn stop_with_us() -> Result<()> {
    ctrlc::set_handler(|| {
        let groups = running();
        groups.iter().for_each(|group| signal(*group, Signal::SIGTERM));
        if !groups.is_empty() {
            thread::sleep(GRACE);
        }
        groups.iter().for_each(|group| signal(*group, Signal::SIGKILL));
        std::process::exit(130);
    })
    .context("cannot listen for interrupts")
}

/// Runs the command to its end or to the limit.
///
/// # Errors
///
/// When it cannot be started. How it ended is not an error here.
pub(crate) fn run(command: &mut Command, output: Output, limit: Duration) -> Result<Finished> {
    let (reader, writer) = io::pipe()?;
    command.stdin(Stdio::null()).process_group(0);
    if output == Output::Kept {
        command.stderr(writer.try_clone()?);
    }
    command.stdout(writer);
    let name = command.get_program().to_owned();
    let child = command.spawn().with_context(|| format!("cannot run {}", name.display()));
    // The command holds the writing end: while it does, our reader would never see the end.
    command.stdout(Stdio::null()).stderr(Stdio::inherit());
    let mut member = Member::new(child?);

    let kept = Arc::new(Mutex::new(Vec::new()));
    let listener = {
        let kept = Arc::clone(&kept);
        thread::spawn(move || listen(reader, &kept, output))
    };
    let status = member.wait(limit)?;
    drop(member);
    let deadline = Instant::now() + LAST_WORDS;
    while !listener.is_finished() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(2));
    }
    let output = String::from_utf8_lossy(&lock(&kept)).into_owned();
    Ok(Finished { status, output })
}

/// A child that leads its group. Dropping it stops what is left of the group.
struct Member {
    child: Child,
    group: Pid,
}

impl Member {
    fn new(child: Child) -> Member {
        let group = Pid::from_raw(child.id().cast_signed());
        running().push(group);
        Member { child, group }
    }

    fn wait(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                self.stop()?;
                return Ok(None);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Politely first: a child that is this very program has groups of its own to stop.
    fn stop(&mut self) -> io::Result<()> {
        signal(self.group, Signal::SIGTERM);
        let deadline = Instant::now() + GRACE;
        while self.child.try_wait()?.is_none() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        signal(self.group, Signal::SIGKILL);
        self.child.wait().map(drop)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        signal(self.group, Signal::SIGKILL);
        running().retain(|group| *group != self.group);
    }
}

fn listen(mut reader: io::PipeReader, kept: &Mutex<Vec<u8>>, output: Output) {
    let mut chunk = [0; 8192];
    while let Ok(n @ 1..) = reader.read(&mut chunk) {
        if output == Output::Shown {
            let mut stdout = io::stdout().lock();
            // A reader of ours that went away must not stop the tests.
            let _ = stdout.write_all(&chunk[..n]).and_then(|()| stdout.flush());
        }
        lock(kept).extend_from_slice(&chunk[..n]);
    }
}

fn signal(group: Pid, signal: Signal) {
    // It fails when nobody is left in the group: then there is nothing to do.
    let _ = killpg(group, signal);
}

fn running() -> MutexGuard<'static, Vec<Pid>> {
    lock(&RUNNING)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Output, run};
    use std::process::Command;
    use std::time::{Duration, Instant};

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_of_both_streams_is_kept() {
        let done =
            run(&mut sh("echo out; echo err >&2"), Output::Kept, Duration::from_secs(10)).unwrap();
        assert!(done.success());
        assert_eq!(done.output, "out\nerr\n");
    }

    #[test]
    fn a_limit_stops_the_children_too() {
        let begun = Instant::now();
        let script = "echo here; sh -c 'sleep 60' & wait";
        let done = run(&mut sh(script), Output::Kept, Duration::from_millis(200)).unwrap();
        assert!(done.status.is_none());
        assert_eq!(done.output, "here\n");
        assert!(begun.elapsed() < Duration::from_secs(4), "the grandchild held the pipe");
    }
}
