//! `cargo xtask soak` runs this: healthy and hostile plugins side by side.

#![expect(clippy::print_stdout, reason = "a command-line program speaks on stdout")]

use ringbox_faults::soak::{Options, soak};
use std::env;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn main() -> ExitCode {
    let mut args = env::args().skip(1);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut options = Options { duration: Duration::from_secs(60), seed: now.as_secs() };
    while let Some(arg) = args.next() {
        let number = args.next().and_then(|text| text.parse::<u64>().ok());
        match (arg.as_str(), number) {
            ("--seconds", Some(seconds)) => options.duration = Duration::from_secs(seconds),
            ("--seed", Some(seed)) => options.seed = seed,
            _ => {
                eprintln!("usage: soak [--seconds N] [--seed N]");
                return ExitCode::FAILURE;
            }
        }
    }
    println!("soaks for {:?}, seed {}", options.duration, options.seed);
    match soak(options, |line| println!("{line}")) {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => {
            wrong.iter().for_each(|line| println!("WRONG: {line}"));
            ExitCode::FAILURE
        }
    }
}
