//! The entries of the plugin that is written by hand, by the SDK: for both walls, without what needs
//! threads.

#![forbid(unsafe_code)]

use ringbox_guest::{Deferred, Error, Host, Plugin, Request, raw};

/// How many frames a stream has.
const FRAMES: usize = 60;

struct Compared;

impl Plugin for Compared {
    fn new(_host: &Host) -> Result<Self, Error> {
        Ok(Self)
    }
}

impl Compared {
    fn echo<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
        payload
    }

    /// For calls that expect no answer.
    fn nothing(&self, (): ()) -> ringbox_guest::Reply<'static> {
        raw::elsewhere()
    }

    fn frames(&self, Deferred { call: payload, responder }: Deferred<&[u8]>) {
        for _ in 0..FRAMES {
            if responder.frame(payload).is_err() {
                return;
            }
        }
        responder.end();
    }

    /// Reads every header, and answers with what they add up to.
    fn request(&self, request: Request<'_>) -> [u8; 8] {
        let texts = request.headers().flat_map(|(key, value)| [key, value]);
        texts.flat_map(str::bytes).fold(0_u64, |sum, byte| sum + u64::from(byte)).to_le_bytes()
    }
}

ringbox_guest::plugin! {
    type: Compared,
    name: "compare-sdk-plugin",
    entries: {
        "echo" => Compared::echo,
        "nothing" => Compared::nothing,
        "frames" => Compared::frames,
    },
    requests: Compared::request,
}
