//! One plugin's source behind both walls, and what each of them says.

use super::{block_on, plugin};
use ringbox::{CallError, Host, Plugin, Request, Source, Status};

/// Both of them, loaded.
pub struct Pair {
    pub host: Host,
    pub native: Plugin,
    pub sandboxed: Plugin,
}

/// What a call comes to, so that it can be compared.
pub type Came = Result<(Status, Vec<u8>), String>;

impl Pair {
    pub fn load(name: &str) -> Self {
        let built = plugin(name);
        let host = Host::new();
        let native = host.load("native", native(built.native)).unwrap();
        let sandboxed = host.load("sandboxed", Source::component(built.component)).unwrap();
        Self { host, native, sandboxed }
    }

    pub fn each(&self) -> [&Plugin; 2] {
        [&self.native, &self.sandboxed]
    }

    /// Both have to say the same.
    #[track_caller]
    pub fn both<T: PartialEq + std::fmt::Debug>(&self, ask: impl Fn(&Plugin) -> T) -> T {
        let [native, sandboxed] = self.each().map(ask);
        assert_eq!(native, sandboxed, "the walls differ");
        native
    }
}

/// A library that was built from a source in this folder.
#[expect(unsafe_code, reason = "loading native code is trusting it")]
pub fn native(library: std::path::PathBuf) -> Source {
    // SAFETY: it was built from a source in this folder, which does nothing but what its tests ask
    // of it.
    unsafe { Source::native(library) }
}

fn came(reply: Result<ringbox::Reply, CallError>) -> Came {
    reply
        .map(|reply| (reply.status(), reply.to_vec()))
        // Which instance it was is the sandbox's own affair.
        .map_err(|error| error.to_string())
}

pub fn call(plugin: &Plugin, entry: &str, payload: &[u8]) -> Came {
    came(block_on(plugin.call_response(entry, payload)))
}

pub fn call_by_number(plugin: &Plugin, entry: &str, payload: &[u8]) -> Came {
    let entry = plugin.entry(entry).map_err(|error| error.to_string())?;
    came(block_on(entry.call_response(payload)))
}

pub fn request(plugin: &Plugin, request: &Request) -> Came {
    came(block_on(plugin.request(request)))
}

/// All frames of a stream, its last one included, while this is sent into it.
pub fn stream(plugin: &Plugin, entry: &str, payload: &[u8], data: Option<&[Vec<u8>]>) -> Vec<Came> {
    block_on(async {
        let mut stream = plugin.call_stream(entry, payload).unwrap();
        let mut frames = Vec::new();
        for piece in data.unwrap_or_default() {
            stream.send(piece).unwrap();
            frames.push(next(&mut stream).await.unwrap());
        }
        if data.is_some() {
            plugin.close_stream(stream.sid()).unwrap();
        }
        while let Some(frame) = next(&mut stream).await {
            let over = !matches!(frame, Ok((Status::Ok, _)));
            frames.push(frame);
            if over {
                break;
            }
        }
        frames
    })
}

async fn next(stream: &mut ringbox::Stream) -> Option<Came> {
    match stream.recv().await {
        Ok(frame) => frame.map(|frame| Ok((frame.status(), frame.to_vec()))),
        Err(error) => Some(Err(error.to_string())),
    }
}
