//! What the test plugin is told to do, as bytes.
//!
//! A script is a row of steps. A step is one byte that says which, then its operands: integers
//! are little-endian, bytes and strings have a `u32` length before them. Steps that find
//! something out append it to the script's **output**, which [`Step::Output`] answers with.
//!
//! The suite writes scripts with [`Script`], plugins run them with a [`Machine`]. The module
//! depends on nothing, so that a plugin of any kind can use it.

/// What a status is called on the wire.
pub mod status {
    /// An answer, or a frame.
    pub const OK: u32 = 0;
    /// A failure.
    pub const ERR: u32 = 1;
    /// A broken contract.
    pub const INVALID: u32 = 2;
    /// Nobody here does that.
    pub const UNSUPPORTED: u32 = 3;
    /// A stream's ordinary end.
    pub const STREAM_END: u32 = 4;
    /// A contained panic.
    pub const PANIC: u32 = 5;
    /// A full queue.
    pub const BACKPRESSURE: u32 = 6;
}

/// An entry of the test plugin. Its number is its place here.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Answers with its payload.
    Echo,
    /// Runs a script.
    Run,
}

impl Entry {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Echo, Self::Run];

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Run => "run",
        }
    }

    /// The entry of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|entry| entry.name() == name)
    }

    /// The entry of that number.
    #[must_use]
    pub fn numbered(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|entry| entry.number() == number)
    }

    /// The entry's number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self as u32
    }
}

/// The bytes of the frame or answer with that number: they go up by one, modulo 251, from
/// `number`.
#[must_use]
pub fn pattern(number: u32, len: u32) -> Vec<u8> {
    let len = len as usize;
    let period: Vec<u8> = (0..251).map(|i| ((number % 251 + i) % 251) as u8).collect();
    let mut bytes = Vec::with_capacity(len);
    bytes.extend(period.into_iter().take(len));
    while bytes.len() < len {
        // What is there is a whole number of periods, so it may be repeated whole.
        let more = bytes.len().min(len - bytes.len());
        bytes.extend_from_within(..more);
    }
    bytes
}

/// What the test plugin answers to a whole request: method, path, query, the number of headers,
/// each one's name and value, and the body.
#[must_use]
pub fn dump<'a>(
    method: &str,
    path: &str,
    query: &str,
    headers: impl ExactSizeIterator<Item = (&'a str, &'a str)>,
    body: &[u8],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 64);
    for part in [method, path, query] {
        put_bytes(&mut out, part.as_bytes());
    }
    put_u32(&mut out, headers.len() as u32);
    for (name, value) in headers {
        put_bytes(&mut out, name.as_bytes());
        put_bytes(&mut out, value.as_bytes());
    }
    put_bytes(&mut out, body);
    out
}

fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_u32(out, bytes.len() as u32);
    out.extend_from_slice(bytes);
}

/// Reads what [`Script`] wrote and what plugins append to their output.
#[derive(Debug, Copy, Clone)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Reads from the beginning of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// How much is left.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.0.len()
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// A `u32`.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// A `u64`.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// Bytes with their length before them.
    pub fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = self.u32()? as usize;
        let (first, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(first)
    }

    /// A string with its length before it.
    pub fn str(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }
}

macro_rules! steps {
    ($($(#[$doc:meta])* $number:literal $name:ident $method:ident
        { $($(#[$field_doc:meta])* $field:ident: $get:ident),* $(,)? },)*) => {
        /// One thing that the test plugin is told to do.
        ///
        /// The steps' numbers are 1, 2, 3, .. in the order in which they stand here, and their
        /// operands follow in the order of their fields.
        #[derive(Debug, Copy, Clone, PartialEq, Eq)]
        pub enum Step<'a> {
            $($(#[$doc])* $name { $($(#[$field_doc])* $field: steps!(@type 'a $get)),* },)*
        }

        impl<'a> Step<'a> {
            fn read(from: &mut Reader<'a>) -> Option<Self> {
                match from.byte()? {
                    $($number => Some(Self::$name { $($field: from.$get()?),* }),)*
                    _ => None,
                }
            }

            fn write(self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$name { $($field),* } => {
                        out.push($number);
                        $(steps!(@write $get out $field);)*
                    })*
                }
            }
        }

        impl Script {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $method(self, $($field: steps!(@type '_ $get)),*) -> Self {
                    self.step(Step::$name { $($field),* })
                }
            )*
        }
    };
    (@type $l:lifetime u32) => { u32 };
    (@type $l:lifetime u64) => { u64 };
    (@type $l:lifetime bytes) => { &$l [u8] };
    (@type $l:lifetime str) => { &$l str };
    (@write u32 $out:ident $field:ident) => { put_u32($out, $field) };
    (@write u64 $out:ident $field:ident) => { put_u64($out, $field) };
    (@write bytes $out:ident $field:ident) => { put_bytes($out, $field) };
    (@write str $out:ident $field:ident) => { put_bytes($out, $field.as_bytes()) };
}

steps! {
    /// The call will be answered later, by somebody. A plugin behind a wall that ends calls which
    /// nothing can answer any more makes sure that this one isn't taken for such (it asks for a
    /// timer that is an hour away, say).
    1 Keep keep {},
    /// Goes on after dispatch has returned, from elsewhere: a thread of the plugin's, or a wake
    /// that it asked for.
    2 Later later {},
    /// Answers this call, or sends a frame.
    3 Answer answer {
        /// With this status.
        status: u32,
        /// With these bytes.
        bytes: bytes,
    },
    /// Answers any sid at all.
    4 AnswerFor answer_for {
        /// Which one.
        sid: u64,
        /// With this status.
        status: u32,
        /// With these bytes.
        bytes: bytes,
    },
    /// Answers this call with the [`pattern`] number 0.
    5 AnswerSize answer_size {
        /// With this status.
        status: u32,
        /// Of this length.
        len: u32,
    },
    /// Sends frames as version 1 of the ABI does, without hearing how they fared: the
    /// [`pattern`]s number 0, 1, ..
    6 Frames frames {
        /// So many.
        count: u32,
        /// Of this length each.
        len: u32,
    },
    /// Sends frames, the [`pattern`]s number 0, 1, .., until one is not taken. Appends a `u32`:
    /// how many were.
    7 Flood flood {
        /// At most so many.
        most: u32,
        /// Of this length each.
        len: u32,
    },
    /// Sends frames, the [`pattern`]s number 0, 1, .., each again for as long as the queue is
    /// full, giving way in between (so it stands after [`Step::Later`]). If one is dropped, the
    /// script ends.
    8 Pump pump {
        /// So many.
        count: u32,
        /// Of this length each.
        len: u32,
    },
    /// Answers this call with the output.
    9 Output output {
        /// With this status.
        status: u32,
    },
    /// Appends this call's sid, a `u64`.
    10 OwnSid own_sid {},
    /// Appends how many calls the plugin has seen since it was loaded, a `u64`. This one is the
    /// first if it is 1.
    11 Calls calls {},
    /// Keeps state with a call. Appends a byte: 0 it is kept, 1 the call isn't open or isn't the
    /// plugin's, 2 the state is too large.
    12 SetState set_state {
        /// With which, 0 for this one.
        sid: u64,
        /// Under this key.
        key: str,
        /// What is kept.
        value: bytes,
    },
    /// Looks at a call's state. Appends a byte, 0 for none, else 1 and then the bytes.
    13 State state {
        /// At which, 0 for this one.
        sid: u64,
        /// Under this key.
        key: str,
    },
    /// Appends the sids that the plugin was told are cancelled: a `u32`, how many, then `u64`s.
    14 Cancelled cancelled {},
    /// From here on this call takes data: each piece comes back as a frame (and is refused with
    /// `Backpressure` while the queue is full), and closing ends the stream with `StreamEnd` and
    /// the bytes `closed`. Without it, data is refused with `Unsupported`.
    15 TakeData take_data {},
    /// Calls the hook, which is host code, right here, with the output so far and then these
    /// bytes. Appends what it returns, as bytes.
    16 Hook hook {
        /// What the hook is given after the output.
        bytes: bytes,
    },
    /// Panics.
    17 Panic panic {
        /// With this message.
        message: str,
    },
    /// Ends the script; dispatch returns this status, if it has not returned.
    18 Return return_status {
        /// What it returns.
        status: u32,
    },
    /// Answers this call from several threads at the same time, with `Ok` and a byte that says
    /// which one, from 0.
    19 Race race {
        /// How many.
        threads: u32,
    },
}

/// A script, as it is written.
///
/// ```
/// use ringbox_conformance::script::{Script, status};
/// let twice = Script::new().answer(status::OK, b"first").answer(status::OK, b"second");
/// assert_eq!(twice[0], 3);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script(Vec<u8>);

impl Script {
    /// A script that does nothing and returns `Ok`.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The same, and then this.
    #[must_use]
    pub fn step(mut self, step: Step<'_>) -> Self {
        step.write(&mut self.0);
        self
    }
}

impl std::ops::Deref for Script {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// What became of a frame, where the plugin is told.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It is in the queue.
    Taken,
    /// The queue is full.
    Full,
    /// Nobody reads it.
    Dropped,
}

/// What became of state.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
#[repr(u8)]
pub enum Kept {
    /// It is kept.
    Yes = 0,
    /// The call isn't open, or isn't the plugin's.
    NotOpen = 1,
    /// It would be too large.
    TooLarge = 2,
}

/// What a plugin can do towards its host. The defaults are for those that can't.
pub trait Hands {
    /// Answers `sid`, or sends a frame, without hearing how it fared.
    fn answer(&self, sid: u64, status: u32, bytes: &[u8]);

    /// How many calls the plugin has seen, this one included.
    fn calls(&self) -> u64;

    /// Sends a frame and hears how it fared.
    fn send_frame(&self, sid: u64, bytes: &[u8]) -> Sent {
        let _ = (sid, bytes);
        Sent::Dropped
    }

    /// See [`Step::Keep`].
    fn keep(&self, sid: u64) {
        let _ = sid;
    }

    /// See [`Step::SetState`].
    fn set_state(&self, sid: u64, key: &str, value: &[u8]) -> Kept {
        let _ = (sid, key, value);
        Kept::NotOpen
    }

    /// See [`Step::State`].
    fn state(&self, sid: u64, key: &str) -> Option<Vec<u8>> {
        let _ = (sid, key);
        None
    }

    /// See [`Step::Cancelled`].
    fn cancelled(&self) -> Vec<u64> {
        Vec::new()
    }

    /// See [`Step::TakeData`].
    fn take_data(&self, sid: u64) {
        let _ = sid;
    }

    /// See [`Step::Hook`].
    fn hook(&self, bytes: &[u8]) -> Vec<u8> {
        let _ = bytes;
        Vec::new()
    }

    /// See [`Step::Race`].
    fn race(&self, sid: u64, threads: u32) {
        let _ = (sid, threads);
    }
}

/// Where a machine stands.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
#[must_use]
pub enum Pause {
    /// The script is over, and dispatch returns this status if it has not returned.
    Over(u32),
    /// Dispatch returns `Ok`, if it has not, and the machine runs again, later and from elsewhere.
    Later,
}

/// Runs one call's script.
#[derive(Debug)]
pub struct Machine {
    sid: u64,
    script: Vec<u8>,
    at: usize,
    output: Vec<u8>,
    /// How many frames of the pump that the script stands at are sent.
    pumped: u32,
}

impl Machine {
    /// A machine at the beginning of the script that came with `sid`.
    #[must_use]
    pub fn new(sid: u64, script: &[u8]) -> Self {
        Self { sid, script: script.to_vec(), at: 0, output: Vec::new(), pumped: 0 }
    }

    /// Whose script it is.
    #[must_use]
    pub const fn sid(&self) -> u64 {
        self.sid
    }

    /// Runs until the script is over, or gives way.
    ///
    /// # Panics
    /// If the script says so.
    pub fn run(&mut self, hands: &impl Hands) -> Pause {
        let script = std::mem::take(&mut self.script);
        let pause = self.steps(&script, hands);
        self.script = script;
        pause
    }

    fn steps(&mut self, script: &[u8], hands: &impl Hands) -> Pause {
        while self.at < script.len() {
            let mut reader = Reader::new(&script[self.at..]);
            let Some(step) = Step::read(&mut reader) else {
                return Pause::Over(status::INVALID);
            };
            let next = script.len() - reader.left();
            if let Step::Pump { count, len } = step {
                match self.pump(count, len, hands) {
                    Sent::Taken => self.pumped = 0,
                    Sent::Full => return Pause::Later,
                    Sent::Dropped => return Pause::Over(status::OK),
                }
            }
            self.at = next;
            match step {
                Step::Later {} => return Pause::Later,
                Step::Return { status } => return Pause::Over(status),
                step => self.step(step, hands),
            }
        }
        Pause::Over(status::OK)
    }

    fn pump(&mut self, count: u32, len: u32, hands: &impl Hands) -> Sent {
        while self.pumped < count {
            match hands.send_frame(self.sid, &pattern(self.pumped, len)) {
                Sent::Taken => self.pumped += 1,
                other => return other,
            }
        }
        Sent::Taken
    }

    fn step(&mut self, step: Step<'_>, hands: &impl Hands) {
        let own = |sid| if sid == 0 { self.sid } else { sid };
        match step {
            Step::Later {} | Step::Return { .. } | Step::Pump { .. } => {}
            Step::Keep {} => hands.keep(self.sid),
            Step::Answer { status, bytes } => hands.answer(self.sid, status, bytes),
            Step::AnswerFor { sid, status, bytes } => hands.answer(sid, status, bytes),
            Step::AnswerSize { status, len } => hands.answer(self.sid, status, &pattern(0, len)),
            Step::Frames { count, len } => {
                for number in 0..count {
                    hands.answer(self.sid, status::OK, &pattern(number, len));
                }
            }
            Step::Flood { most, len } => {
                let taken = |number: &u32| {
                    hands.send_frame(self.sid, &pattern(*number, len)) == Sent::Taken
                };
                let count = (0..most).take_while(taken).count();
                put_u32(&mut self.output, count as u32);
            }
            Step::Output { status } => hands.answer(self.sid, status, &self.output),
            Step::OwnSid {} => put_u64(&mut self.output, self.sid),
            Step::Calls {} => put_u64(&mut self.output, hands.calls()),
            Step::SetState { sid, key, value } => {
                let kept = hands.set_state(own(sid), key, value);
                self.output.push(kept as u8);
            }
            Step::State { sid, key } => match hands.state(own(sid), key) {
                None => self.output.push(0),
                Some(value) => {
                    self.output.push(1);
                    put_bytes(&mut self.output, &value);
                }
            },
            Step::Cancelled {} => {
                let sids = hands.cancelled();
                put_u32(&mut self.output, sids.len() as u32);
                for sid in sids {
                    put_u64(&mut self.output, sid);
                }
            }
            Step::TakeData {} => hands.take_data(self.sid),
            Step::Hook { bytes } => {
                let returned = hands.hook(&[&self.output, bytes].concat());
                put_bytes(&mut self.output, &returned);
            }
            Step::Panic { message } => panic!("{message}"),
            Step::Race { threads } => hands.race(self.sid, threads),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_as_they_were_written() {
        let steps = [
            Step::Keep {},
            Step::AnswerFor { sid: u64::MAX, status: 9, bytes: b"\0x" },
            Step::SetState { sid: 0, key: "schlüssel", value: b"" },
            Step::Pump { count: 7, len: 8 },
        ];
        let script = steps.into_iter().fold(Script::new(), Script::step);
        let mut reader = Reader::new(&script);
        for step in steps {
            assert_eq!(Step::read(&mut reader), Some(step));
        }
        assert_eq!(reader.left(), 0);
    }

    #[test]
    fn half_a_step_is_none() {
        let script = Script::new().answer(status::OK, b"four");
        for len in 0..script.len() {
            assert_eq!(Step::read(&mut Reader::new(&script[..len])), None);
        }
    }

    #[test]
    fn patterns_go_round() {
        assert_eq!(pattern(250, 3), [250, 0, 1]);
        let long = pattern(3, 10_000);
        assert!(long.iter().enumerate().all(|(i, byte)| usize::from(*byte) == (i + 3) % 251));
        assert_eq!(long.len(), 10_000);
    }
}
