//! What the sandbox stops, and what it counts.

use super::{Came, came, repertoire};
use crate::dice::Dice;
use crate::ground::ask;
use crate::soak::stage::Stage;
use crate::table::Seen;

repertoire! {
    "spin" WASM 3 |stage, _, dice| shape(stage, dice, b"s");
    "unreachable" WASM 3 |stage, _, dice| shape(stage, dice, b"u");
    "recursion" WASM 3 |stage, _, dice| shape(stage, dice, b"r");
    "memory-bomb" WASM 3 |stage, _, dice| shape(stage, dice, b"m");
    "division-by-zero" WASM 3 |stage, _, dice| shape(stage, dice, b"!\0");
    "odd-refusal" WASM 3 |stage, _, dice| shape(stage, dice, b"!\x01");
    "odd-status" WASM 3 |stage, _, dice| shape(stage, dice, b"!\x02");
    "bad-text" WASM 3 |stage, _, dice| shape(stage, dice, b"!\x03");
    "answer-from-nowhere" WASM 3 |stage, _, dice| shape(stage, dice, b"!\x04");
    "endless-answer" WASM 3 |stage, _, dice| shape(stage, dice, b"!\x05");
    "monster-answer" WASM 3 |stage, _, dice| shape(stage, dice, b"b\0\0\0\x40\0\0\0\0");
    "read-out-of-bounds" WASM 3 |stage, _, dice| shape(stage, dice, b"!\x06");
    "spinning-wake" WASM 3 |stage, _, dice| shape(stage, dice, b"W");
    "wakes-without-end" WASM 3 |stage, _, dice| shape(stage, dice, b"t");
    "log-flood" WASM 3 |stage, _, dice| shape(stage, dice, b"l\xff\x0f\0\0\0\0\0\0");
    "handles-without-end" WASM 3 |stage, _, dice| shape(stage, dice, b"h\xff\xff\0\0");
    // It fails until it rests, and is called all the same.
    "always-failing" WASM 20 |stage, _, _| {
        Came::So(Seen::result(&ask(&stage.failing, "x", b"u")).name)
    };
}

/// Calls a component that may trap, or be left in a bad way.
fn shape(stage: &Stage, dice: &mut Dice, payload: &[u8]) -> Came {
    stage.shaped(dice).act(&stage.host, |plugin| came(&ask(plugin, "x", payload)))
}
