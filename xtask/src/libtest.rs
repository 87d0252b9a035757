//! Reads what `cargo test` prints.

use std::collections::BTreeSet;
use std::fmt;

/// What one or more test binaries reported.
#[derive(Default, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Report {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// The tests that passed, by name.
    pub(crate) ok: BTreeSet<String>,
    /// The tests that failed, by name.
    pub(crate) broken: BTreeSet<String>,
}

impl Report {
    pub(crate) fn read(output: &str) -> Report {
        let mut report = Report::default();
        for line in output.lines() {
            if let Some(counts) = line.strip_prefix("test result: ") {
                report.count(counts);
            } else if let Some((name, word)) =
                line.strip_prefix("test ").and_then(|line| line.rsplit_once(" ... "))
            {
                let name = name.strip_suffix(" - should panic").unwrap_or(name).to_owned();
                match word {
                    "ok" => _ = report.ok.insert(name),
                    "FAILED" => _ = report.broken.insert(name),
                    _ => {}
                }
            }
        }
        report
    }

    /// Adds the counts of a line such as `ok. 3 passed; 0 failed; 1 ignored; ...`.
    fn count(&mut self, counts: &str) {
        for part in counts.split([';', '.']) {
            let Some((number, word)) = part.trim().split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)?;
        if self.ignored > 0 {
            write!(f, ", {} ignored", self.ignored)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Report;

    #[test]
    fn counts_and_names_are_read() {
        let report = Report::read(
            "running 3 tests\n\
             test sid::zero_is_never_issued ... ok\n\
             test it_panics - should panic ... ok\n\
             test other ... FAILED\n\
             test slow ... ignored, takes long\n\n\
             test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\
             test result: ok. 40 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.10s\n",
        );
        assert_eq!(report.to_string(), "42 passed, 1 failed, 1 ignored");
        assert!(report.ok.contains("sid::zero_is_never_issued"));
        assert!(report.ok.contains("it_panics"));
        assert!(report.broken.contains("other"));
    }

    #[test]
    fn no_test_binary_means_no_passed_test() {
        assert_eq!(Report::read("error: could not compile\n"), Report::default());
    }
}
