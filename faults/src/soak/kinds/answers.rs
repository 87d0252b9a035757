//! Answers that are wrong, missing, late, doubled, or for others.

use super::{Came, PATIENCE, came, failed, fatal, refused, repertoire, script};
use crate::dice::Dice;
use crate::ground::{Wall, ask, run};
use crate::soak::stage::Stage;
use crate::wait::{eventually, wait};
use ringbox::Sid;
use ringbox_conformance::script::{Script, status};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

repertoire! {
    "panic" BOTH 3 |stage, wall, dice| {
        fatal(stage, wall, dice, |plugin| came(&run(plugin, &Script::new().panic("on purpose"))))
    };
    "panic-later" BOTH 3 |stage, wall, dice| {
        let script = Script::new().keep().later().panic("on purpose");
        fatal(stage, wall, dice, |plugin| came(&run(plugin, &script)))
    };
    "panic-after-its-answer" BOTH 3 |stage, wall, dice| {
        let script = Script::new().answer(status::OK, b"first").panic("on purpose");
        fatal(stage, wall, dice, |plugin| came(&run(plugin, &script)))
    };
    // The other one is lost with its instance, or goes on and is answered by its caller's leaving.
    "panic-of-another-call" BOTH 3 |stage, wall, dice| {
        fatal(stage, wall, dice, |plugin| {
            let mut open = match plugin.call_stream("run", &Script::new().keep()) {
                Ok(open) => open.deadline(PATIENCE),
                Err(error) => return failed(error),
            };
            let _ = run(plugin, &Script::new().panic("on purpose"));
            match wait(open.recv()) {
                Ok(_) => Came::Wrong("an answer came from nowhere".to_owned()),
                Err(error) => failed(error),
            }
        })
    };
    "refusal" BOTH 100 |stage, wall, dice| {
        script(stage, wall, dice, &Script::new().return_status(status::UNSUPPORTED))
    };
    "double-answer" BOTH 100 |stage, wall, dice| {
        let twice = Script::new().answer(status::OK, b"1").answer(status::OK, b"2");
        script(stage, wall, dice, &twice)
    };
    "flood-of-answers" BOTH 20 |stage, wall, dice| {
        script(stage, wall, dice, &Script::new().frames(100, 10))
    };
    "made-up-sid" BOTH 100 |stage, wall, dice| {
        let sid = dice.roll(u64::MAX);
        answer_for(stage, wall, dice, sid)
    };
    // One that the routing core may well have handed out, or will.
    "guessed-sid" BOTH 100 |stage, wall, dice| {
        let sid = match over(stage, wall, dice) {
            Ok(sid) => sid,
            Err(came) => return came,
        };
        let near = sid ^ (1 << dice.roll(64));
        answer_for(stage, wall, dice, near)
    };
    "sid-0" BOTH 50 |stage, wall, dice| answer_for(stage, wall, dice, 0);
    "finished-sid" BOTH 50 |stage, wall, dice| {
        let sid = match over(stage, wall, dice) {
            Ok(sid) => sid,
            Err(came) => return came,
        };
        answer_for(stage, wall, dice, sid)
    };
    "late" BOTH 50 |stage, wall, dice| {
        let open = stage.hostile(wall, dice).call_stream("run", &Script::new().keep());
        match open.map(|stream| stream.sid().as_raw()) {
            Ok(sid) => answer_for(stage, wall, dice, sid),
            Err(error) => failed(error),
        }
    };
    "foreign-sid" BOTH 10 |stage, wall, dice| foreign(stage, wall, dice);
    "stream-end-on-a-call" BOTH 100 |stage, wall, dice| {
        script(stage, wall, dice, &Script::new().answer(status::STREAM_END, b""))
    };
    "no-answer" BOTH 3 |stage, wall, dice| unanswered(stage, wall, dice, &Script::new(), PATIENCE);
    "never" BOTH 3 |stage, wall, dice| {
        unanswered(stage, wall, dice, &Script::new().keep(), PATIENCE)
    };
    "cancel" BOTH 10 |stage, wall, dice| {
        let patience = Duration::from_micros(dice.roll(2_000));
        unanswered(stage, wall, dice, &Script::new().keep(), patience)
    };
    "answer-races-the-caller" BOTH 10 |stage, wall, dice| {
        let patience = Duration::from_micros(dice.roll(300));
        let later = Script::new().keep().later().answer(status::OK, b"later");
        unanswered(stage, wall, dice, &later, patience)
    };
    "not-at-once" BOTH 50 |stage, wall, dice| {
        let plugin = stage.hostile(wall, dice);
        came(&plugin.call_response_fast("run", &Script::new().keep()))
    };
    "too-large" BOTH 3 |stage, wall, dice| {
        script(stage, wall, dice, &Script::new().answer_size(status::OK, 2 << 20))
    };
    "state-too-large" BOTH 50 |stage, wall, dice| {
        let large = Script::new().set_state(0, "key", &[0; 200]).output(status::OK);
        script(stage, wall, dice, &large)
    };
    "state-of-others" BOTH 50 |stage, wall, dice| {
        let sid = dice.roll(u64::MAX);
        let other = Script::new().set_state(sid, "key", &[0; 20]).state(sid, "key");
        script(stage, wall, dice, &other.output(status::OK))
    };
    "garbage-in" BOTH 100 |stage, wall, dice| {
        let bytes: Vec<u8> = (0..dice.roll(40)).map(|_| 20 + dice.roll(236) as u8).collect();
        came(&ask(stage.hostile(wall, dice), "run", &bytes))
    };
    "no-such-entry" BOTH 100 |stage, wall, dice| {
        match stage.hostile(wall, dice).entry("nothing") {
            Ok(_) => Came::Wrong("there is no such entry".to_owned()),
            Err(error) => failed(error),
        }
    };
    "no-such-name" BOTH 100 |stage, wall, dice| {
        came(&ask(stage.hostile(wall, dice), "nothing", b"e"))
    };
    "data-for-a-made-up-sid" BOTH 100 |stage, wall, dice| {
        let sid = Sid::from_raw(dice.roll(u64::MAX));
        refused(stage.hostile(wall, dice).send_stream_data(sid, b"data"))
    };
    // What only C can say.
    "views-that-cannot-be" NATIVE 100 |stage, _, dice| {
        let entries: &[&str] = &["nine", "null", "endless", "huge", "no context", "refuse", "give null",
            "give to nobody", "monster lease"];
        let entry: &&str = dice.pick(entries);
        came(&ask(&stage.c, entry, b"e"))
    };
}

/// The number of a call that is over, by what its plugin says. Where it says none, what came of it.
fn over(stage: &Stage, wall: Wall, dice: &mut Dice) -> Result<u64, Came> {
    let mine = run(stage.hostile(wall, dice), &Script::new().own_sid().output(status::OK));
    match mine.as_ref().ok().and_then(|reply| reply.first_chunk()) {
        Some(sid) => Ok(u64::from_le_bytes(*sid)),
        None => Err(came(&mine)),
    }
}

/// Has the plugin answer that number, and then its own call.
fn answer_for(stage: &Stage, wall: Wall, dice: &mut Dice, sid: u64) -> Came {
    let answer = Script::new().answer_for(sid, status::OK, b"for another");
    script(stage, wall, dice, &answer.answer(status::OK, b"did"))
}

fn unanswered(
    stage: &Stage,
    wall: Wall,
    dice: &mut Dice,
    script: &Script,
    patience: Duration,
) -> Came {
    came(&wait(stage.hostile(wall, dice).call_response_timeout("run", script, patience)))
}

/// It answers what a healthy plugin has open, which has to get its own answers.
fn foreign(stage: &Stage, wall: Wall, dice: &mut Dice) -> Came {
    if dice.roll(2) == 0 {
        foreign_call(stage, wall, dice)
    } else {
        foreign_stream(stage, wall, dice)
    }
}

fn foreign_call(stage: &Stage, wall: Wall, dice: &mut Dice) -> Came {
    let (healthy, ear) = stage.telling(dice);
    let token = dice.roll(u64::MAX);
    let script = Script::new().keep().own_sid().hook(&token.to_le_bytes());
    let mut call = pin!(healthy.call_response("run", &script));
    if let Poll::Ready(early) = call.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return Came::Wrong(format!("a call of `{}` got {early:?}", healthy.name()));
    }
    let mut sid = None;
    eventually("a kept call says its sid", || {
        sid = ear.heard(token);
        sid.is_some()
    });
    let sid = sid.expect("it was heard");
    let did = answer_for(stage, wall, dice, sid);
    let own = Script::new().answer_for(sid, status::OK, b"own").answer(status::OK, b"did");
    let answered = run(healthy, &own);
    match (answered, wait(call)) {
        (Ok(_), Ok(reply)) if *reply == *b"own" => did,
        other => Came::Wrong(format!("a call of `{}` got {other:?}", healthy.name())),
    }
}

fn foreign_stream(stage: &Stage, wall: Wall, dice: &mut Dice) -> Came {
    let healthy = dice.pick(&stage.healthy);
    let opened = healthy.call_stream("run", &Script::new().keep());
    let mut open = match opened {
        Ok(open) => open,
        Err(error) => return Came::Wrong(format!("`{}`: {error}", healthy.name())),
    };
    let sid = open.sid().as_raw();
    let did = answer_for(stage, wall, dice, sid);
    let own = Script::new().answer_for(sid, status::STREAM_END, b"own");
    let answered = run(healthy, &own.answer(status::OK, b"did"));
    let frame = wait(open.recv()).map(|frame| frame.map(|frame| frame.to_vec()));
    match (answered, frame) {
        (Ok(_), Ok(Some(bytes))) if bytes == b"own" => did,
        other => Came::Wrong(format!("a stream of `{}` got {other:?}", healthy.name())),
    }
}
