//! Two seconds later it answers `OK: {method} {path}`, behind either wall, without a thread.
//!
//! `../c/seed.c` and `../cpp/seed.cpp` do the same by version 1's definitions alone.

#![forbid(unsafe_code)]

use ringbox_guest::{Error, Host, Plugin, Request, sleep};
use std::time::Duration;

/// How long an answer takes.
const WORK: Duration = Duration::from_secs(2);

struct Seed;

impl Plugin for Seed {
    fn new(_host: &Host) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Seed {
    async fn request(&self, request: Request<'_>) -> String {
        sleep(WORK).await;
        format!("OK: {} {}", request.method(), request.path())
    }
}

ringbox_guest::plugin! {
    type: Seed,
    name: "seed",
    requests: async Seed::request,
}
