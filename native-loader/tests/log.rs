//! A plugin's lines in the host's log.

#![cfg(target_os = "linux")]

mod support;

use ringbox_native::Options;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use support::{EXT, c_library, cargo_build, told, try_load};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps what is logged.
#[derive(Default, Clone)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut line = Line(format!("{} {}", metadata.level(), metadata.target()));
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }
}

#[test]
fn lines_of_the_log_carry_the_plugins_name_are_text_and_are_bounded() {
    let lines = Lines::default();
    // For the whole process, so this file has one test.
    tracing::subscriber::set_global_default(lines.clone()).unwrap();
    let path = cargo_build("tests/fixtures/rust", "everyday");
    let plugin = try_load(&path, &Options::new().log_lines(50)).unwrap();
    told(plugin.link(), "log", b"look out");
    told(plugin.link(), "log", &[b'#'; 10_000]);
    let seen = lines.0.lock().unwrap().clone();
    let starts = |line: &String| line.contains("ringbox::plugin") && line.contains("\"fixture\"");
    assert!(seen.iter().all(starts), "{seen:?}");
    assert!(seen[0].starts_with("INFO") && seen[0].contains("message=starting"), "{seen:?}");
    assert!(seen[1].starts_with("WARN") && seen[1].contains("message=look out"), "{seen:?}");
    assert_eq!(seen[2].matches('#').count(), 4096, "{}", seen[2].len());
    for _ in 0..1000 {
        told(plugin.link(), "log", b"flood");
    }
    let through = lines.0.lock().unwrap().len() as u64;
    assert!(plugin.usage().suppressed_lines > 0);
    assert_eq!(through + plugin.usage().suppressed_lines, 1003);

    // Only C can say what is no text.
    let Some(path) = c_library(&[EXT]) else { return };
    let plugin = try_load(&path, &Options::new()).unwrap();
    assert_eq!(told(plugin.link(), "log no text", b""), b"logged");
    let seen = lines.0.lock().unwrap().clone();
    let last = seen.last().unwrap();
    assert!(last.contains("message=\u{fffd} no text"), "{last:?}");
}
