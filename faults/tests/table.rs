//! Each fault is provoked behind each wall, and `docs/faults.md` says what was seen.

#![cfg(target_os = "linux")]

use ringbox_faults::table::{Cell, GROUPS, Row, Seen, page, render};
use ringbox_faults::{Ground, PATIENCE, Wall};
use std::collections::{BTreeSet, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::{env, fs, thread};

/// Writes the page in place of comparing it.
const WRITE: &str = "RINGBOX_FAULTS_WRITE";

fn rows() -> impl Iterator<Item = &'static Row> {
    GROUPS.iter().flat_map(|group| group.rows)
}

/// Provokes one fault. It may hang no longer than anything else here.
fn provoke(row: &'static Row, wall: Wall) -> Option<Seen> {
    let Cell::Ask(provoke) = row.cell(wall) else { return None };
    let (done, seen) = mpsc::channel();
    let provoking = thread::spawn(move || {
        let ground = Ground::default();
        let seen = catch_unwind(AssertUnwindSafe(|| {
            let seen = provoke(&ground, wall);
            ground.check_and_clear();
            seen
        }));
        let _ = done.send(seen);
    });
    let seen = seen.recv_timeout(2 * PATIENCE);
    let seen = seen.unwrap_or_else(|_| panic!("{} hangs behind {}", row.name, wall.name()));
    let seen = seen.unwrap_or_else(|_| panic!("{} fails behind {}", row.name, wall.name()));
    provoking.join().expect("what it panics with was caught");
    Some(seen)
}

#[test]
fn each_fault_is_what_the_page_says() {
    // Building them is no part of what may not hang.
    let _ = Wall::COLUMNS.map(Wall::file);
    let mut seen = HashMap::new();
    for row in rows() {
        for wall in Wall::COLUMNS {
            if let Some(what) = provoke(row, wall) {
                seen.insert((row.name, wall), what);
            }
        }
    }
    let rendered = render(|row, wall| seen.get(&(row.name, wall)).cloned());
    if env::var_os(WRITE).is_some() {
        fs::write(page(), rendered).expect("the page is written");
        return;
    }
    let written = fs::read_to_string(page()).expect("the page is there");
    for (is, was) in rendered.lines().zip(written.lines()) {
        assert_eq!(is, was, "`cargo xtask faults --write` writes the page anew");
    }
    assert_eq!(rendered, written);
}

#[test]
fn each_fault_has_one_name_and_a_reason_where_it_is_not_asked() {
    let names: BTreeSet<_> = rows().map(|row| row.name).collect();
    assert_eq!(names.len(), rows().count());
    assert!(names.len() >= 40, "{} faults", names.len());
    for row in rows() {
        assert!(row.what.ends_with('.'), "{}", row.name);
        for wall in Wall::COLUMNS {
            if let Cell::Not(why) = row.cell(wall) {
                assert!(why.ends_with('.'), "{}", row.name);
            }
        }
    }
}

/// A cell that leaves the asking to another test names it: its file, and there its function.
#[test]
fn whoever_asks_in_place_of_the_table_is_there() {
    let root = page().parent().and_then(|docs| docs.parent()).unwrap().to_owned();
    let mut named = 0;
    for row in rows() {
        let Cell::Not(why) = row.native else { continue };
        let words: Vec<_> = why.split('`').skip(1).step_by(2).collect();
        let Some(file) = words.iter().find(|word| word.ends_with(".rs")) else { continue };
        let text = fs::read_to_string(root.join(file)).unwrap_or_else(|_| panic!("no {file}"));
        let test = words.last().unwrap();
        assert!(text.contains(&format!("fn {test}()")), "{}: no `{test}` in {file}", row.name);
        named += 1;
    }
    assert_eq!(named, 3);
}
