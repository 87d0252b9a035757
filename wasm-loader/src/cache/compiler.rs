//! The thread on which components are compiled: one, of low priority, for the whole process.
//!
//! Compiling takes seconds for a large component and cannot be cancelled. Here it takes the time
//! that nobody else wants, and two components don't take two processors.

use super::error::CompileError;
use crate::sys;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use wasmtime::Engine;
use wasmtime::component::Component;

type Job = Box<dyn FnOnce() + Send>;

/// The way to the thread, once there is one.
static THREAD: Mutex<Option<Sender<Job>>> = Mutex::new(None);

/// The compiler's recursion is bounded; this is what a main thread has.
const STACK: usize = 8 << 20;

/// Compiles a component, and waits for it.
pub(super) fn compile(engine: &Engine, wasm: &[u8]) -> Result<Component, CompileError> {
    let (engine, wasm) = (engine.clone(), wasm.to_vec());
    run(move || Component::from_binary(&engine, &wasm))?
        .map_err(|error| CompileError::Refused(format!("{error:#}").into()))
}

/// Runs something on the thread, and waits for it.
fn run<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> Result<R, CompileError> {
    let (answer, answered) = channel();
    let job = Box::new(move || {
        let done = catch_unwind(AssertUnwindSafe(work));
        // Whoever asked may be gone.
        drop(answer.send(done));
    });
    send(job).map_err(|error| CompileError::NoThread(Arc::new(error)))?;
    match answered.recv() {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(panic)) => Err(CompileError::Panicked(text(&*panic).into())),
        Err(_) => Err(CompileError::Panicked("the thread is gone".into())),
    }
}

fn send(job: Job) -> io::Result<()> {
    let mut thread = THREAD.lock().unwrap_or_else(PoisonError::into_inner);
    let job = match &*thread {
        Some(sender) => match sender.send(job) {
            Ok(()) => return Ok(()),
            Err(returned) => returned.0,
        },
        None => job,
    };
    start(&mut thread, job)
}

fn start(thread: &mut Option<Sender<Job>>, job: Job) -> io::Result<()> {
    let (sender, jobs) = channel::<Job>();
    thread::Builder::new().name("ringbox-compile".to_owned()).stack_size(STACK).spawn(
        move || {
            sys::lower_priority();
            for job in jobs {
                job();
            }
        },
    )?;
    // The receiver is waiting on that thread.
    drop(sender.send(job));
    *thread = Some(sender);
    Ok(())
}

fn text(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "without a message".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_the_compiler_is_an_error_and_the_thread_goes_on() {
        let error = run(|| -> () { panic!("by a test") }).unwrap_err();
        assert!(matches!(&error, CompileError::Panicked(text) if &**text == "by a test"));
        assert_eq!(run(|| 1).unwrap(), 1);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn it_runs_at_the_lowest_priority() {
        let stat = run(|| std::fs::read_to_string("/proc/thread-self/stat").unwrap()).unwrap();
        // Field 19; the second is the name, in brackets, and may hold anything.
        let nice = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap();
        assert_eq!(nice, "19");
    }
}
