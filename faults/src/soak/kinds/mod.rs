//! What a hostile worker may do, each time one of these.
//!
//! ```text
//! answers    wrong, missing, late, doubled, for others
//! streams    that run over, break off, are fed after their end
//! traps      what the sandbox stops
//! lives      loads that are refused, plugins that come and go
//! ```

mod answers;
mod lives;
mod streams;
mod traps;

use super::stage::Stage;
use crate::dice::Dice;
use crate::ground::{Wall, run};
use crate::table::{Seen, name_of_load};
use ringbox::{CallError, LoadError, Plugin, Reply};
use ringbox_conformance::script::Script;
use std::time::Duration;

/// One thing that goes wrong.
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) walls: &'static [Wall],
    /// So often in a row. What is cheap is done often.
    pub(super) times: u32,
    pub(super) provoke: fn(&Stage, Wall, &mut Dice) -> Came,
}

/// What came of it.
pub(super) enum Came {
    /// It went wrong, in this way.
    So(String),
    /// The plugin that was to misbehave wasn't there to do so: it was being replaced, or rested.
    Away(String),
    /// Somebody else was harmed.
    Wrong(String),
}

/// All of them.
pub(super) fn kinds() -> impl Iterator<Item = &'static Kind> {
    [answers::KINDS, streams::KINDS, traps::KINDS, lives::KINDS].into_iter().flatten()
}

const BOTH: &[Wall] = &Wall::ALL;
const NATIVE: &[Wall] = &[Wall::Native];
const WASM: &[Wall] = &[Wall::Wasm];

/// So long a caller waits for what never comes.
const PATIENCE: Duration = Duration::from_millis(4);

macro_rules! repertoire {
    ($($name:literal $walls:ident $times:literal
        |$stage:pat_param, $wall:pat_param, $dice:pat_param| $body:expr;)*) => {
        pub(super) const KINDS: &[super::Kind] = &[$(super::Kind {
            name: $name,
            walls: super::$walls,
            times: $times,
            provoke: |$stage, $wall, $dice| $body,
        }),*];
    };
}
use repertoire;

/// What came of a call.
fn came(result: &Result<Reply, CallError>) -> Came {
    let name = Seen::result(result).name;
    match result {
        Err(
            CallError::Quarantined(_)
            | CallError::QueueFull
            | CallError::TooManyKept { .. }
            | CallError::Unloaded,
        ) => Came::Away(name),
        _ => Came::So(name),
    }
}

fn failed(error: CallError) -> Came {
    came(&Err(error))
}

/// What came of a call that is refused by the host, which is the point.
fn refused(result: Result<(), CallError>) -> Came {
    match result {
        Ok(()) => Came::Wrong("it was taken".to_owned()),
        Err(error) => Came::So(Seen::result(&Err(error)).name),
    }
}

/// What came of a load that is to be refused.
fn not_loaded(result: Result<Plugin, LoadError>) -> Came {
    match result {
        Ok(plugin) => Came::Wrong(format!("`{}` was loaded", plugin.name())),
        Err(error) => Came::So(name_of_load(&error)),
    }
}

/// Has the suite's plugin do what costs nobody but the call.
fn script(stage: &Stage, wall: Wall, dice: &mut Dice, script: &Script) -> Came {
    came(&run(stage.hostile(wall, dice), script))
}

/// Has it do what costs a sandboxed instance its life.
fn fatal(stage: &Stage, wall: Wall, dice: &mut Dice, act: impl FnOnce(&Plugin) -> Came) -> Came {
    if wall.is_native() {
        act(stage.hostile(wall, dice))
    } else {
        stage.scripted(dice).act(&stage.host, act)
    }
}
