//! One host, plugins of one source behind both walls, the same calls: their answers, and their times
//! side by side.
//!
//! `cargo xtask demo`, or `cargo run --release --package ringbox-examples --example demo`

#![expect(clippy::print_stdout, reason = "a demo shows what it does")]
#![expect(unsafe_code, reason = "loading native code is trusting it")]

mod inline;

use anyhow::{Context, Result, ensure};
use inline::InRust;
use ringbox::{Host, Plugin, Reply, Request, Source, Status, Wall};
use ringbox_examples::{Language, block_on, build_component, build_foreign, build_rust, join_all};
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::thread;
use std::time::{Duration, Instant};

fn main() -> Result<()> {
    println!("Building the example plugins, each for both walls:\n");
    let greeter = Both::build("ringbox-example-greeter")?;
    let seed = Both::build("ringbox-example-seed")?;
    let seed_c = build_foreign(Language::C)?;

    let host = Host::new();
    let mut columns = vec![Column {
        title: "inline",
        what: "Rust, part of this program",
        plugin: host.load("inline", Source::inline(InRust::start))?,
        entries: true,
    }];
    greeter.load(&host, &mut columns, ["greeter.so", "greeter.wasm"], true)?;
    seed.load(&host, &mut columns, ["seed.so", "seed.wasm"], false)?;
    if let Some(library) = seed_c {
        columns.push(Column {
            title: "seed in C",
            what: "the seed by the C header",
            plugin: load_native(&host, "seed-c", library)?,
            entries: false,
        });
    }
    println!("\nOne host has loaded {} plugins:\n", columns.len());
    for Column { title, what, plugin, .. } in &columns {
        let wall = match host.about(plugin.name()).context("it is loaded")?.wall {
            Wall::Inline => "no wall",
            Wall::Native(_) => "native",
            Wall::Sandbox(_) => "sandboxed",
            _ => "another wall",
        };
        println!("  {title:<13} {wall:<10} {what}");
    }
    println!("\nThe same calls to each, with one answer and its times:\n");
    table(&columns)?;
    account(&host, &columns)
}

/// One plugin's source, built for both walls. The seeds work for two seconds.
struct Both {
    library: PathBuf,
    component: Option<PathBuf>,
}

impl Both {
    fn build(package: &str) -> Result<Self> {
        Ok(Self { library: build_rust(package)?, component: build_component(package)? })
    }

    fn load(
        self,
        host: &Host,
        columns: &mut Vec<Column>,
        titles: [&'static str; 2],
        entries: bool,
    ) -> Result<()> {
        let [title, in_sandbox] = titles;
        let plugin = load_native(host, title, self.library)?;
        columns.push(Column { title, what: "a library", plugin, entries });
        if let Some(component) = self.component {
            let plugin = host.load(in_sandbox, Source::component(component))?;
            let what = "a component of the same source";
            columns.push(Column { title: in_sandbox, what, plugin, entries });
        }
        Ok(())
    }
}

fn load_native(host: &Host, name: &str, library: PathBuf) -> Result<Plugin> {
    // SAFETY: built just now, from a source of this repository.
    Ok(host.load(name, unsafe { Source::native(library) })?)
}

/// One of the plugins.
struct Column {
    title: &'static str,
    what: &'static str,
    plugin: Plugin,
    /// Whether it has entries. The seeds answer whole requests alone.
    entries: bool,
}

/// What a row does with a plugin. It is what each of them has to answer the same.
type Act = fn(Plugin) -> Pin<Box<dyn Future<Output = Result<String>>>>;

/// Calls that every plugin answers, and calls of entries, which the seeds don't have.
fn table(columns: &[Column]) -> Result<()> {
    print!("{:<34} {:<42}", "call", "answer");
    columns.iter().for_each(|column| print!(" {:>13}", column.title));
    println!();
    let every: Vec<_> = columns.iter().collect();
    let some: Vec<_> = columns.iter().filter(|column| column.entries).collect();
    let all = |what, act| row(&every, what, 1, act);
    let with_entries = |what, act| row(&some, what, 1, act);

    all("a whole request", |plugin| Box::pin(whole_request(plugin)))?;
    all("a hundred of them at once", |plugin| Box::pin(hundred_requests(plugin)))?;
    with_entries("an entry, answered inside the call", |plugin| Box::pin(echo(plugin)))?;
    row(&some, "a hundred thousand of those, each", ECHOES, |plugin| {
        Box::pin(many_echoes(plugin))
    })?;
    with_entries("fire and forget", |plugin| Box::pin(async move { forget(&plugin) }))?;
    with_entries("a stream of a thousand frames", |plugin| Box::pin(stream(plugin)))?;
    with_entries("a slow call", |plugin| Box::pin(slow(plugin)))?;
    with_entries("a hundred slow calls at once", |plugin| Box::pin(hundred_slow(plugin)))?;
    with_entries("a call that is never answered", |plugin| Box::pin(never(plugin)))?;
    with_entries("a call whose caller leaves", |plugin| Box::pin(leave(plugin)))?;
    with_entries("an entry that isn't there", |plugin| Box::pin(nonsense(plugin)))?;
    with_entries("a plugin that panics", |plugin| Box::pin(panics(plugin)))?;
    Ok(())
}

/// Asks all of the columns at once, on this one thread. What is done so many times is told by its
/// part of the time.
fn row(columns: &[&Column], what: &str, times: u32, act: Act) -> Result<()> {
    let timed = columns.iter().map(|column| async {
        let start = Instant::now();
        let answer = act(column.plugin.clone()).await;
        (answer, start.elapsed())
    });
    let outcomes = block_on(join_all(timed));
    let mut answers = Vec::new();
    let mut cells = String::new();
    for (column, (answer, took)) in columns.iter().zip(outcomes) {
        let answer = answer.with_context(|| format!("{what}: {}", column.title))?;
        cells += &format!(" {:>13}", format!("{:.1?}", took / times));
        answers.push(answer);
    }
    let differ = answers.iter().any(|answer| *answer != answers[0]);
    ensure!(!differ, "{what}: the answers differ: {answers:?}");
    println!("{what:<34} {:<42}{cells}", answers[0]);
    Ok(())
}

/// How many echoes are timed together.
const ECHOES: u32 = 100_000;

async fn whole_request(plugin: Plugin) -> Result<String> {
    let request = Request::get("/hello").query("q=1").header("host", "example.com");
    text(&plugin.request(&request).await?)
}

async fn hundred_requests(plugin: Plugin) -> Result<String> {
    let requests: Vec<_> = (0..100).map(|number| Request::get(format!("/{number}"))).collect();
    let replies = join_all(requests.iter().map(|request| plugin.request(request))).await;
    for (number, reply) in replies.into_iter().enumerate() {
        ensure!(text(&reply?)? == format!("ok: OK: GET /{number}"), "answer {number} went astray");
    }
    Ok("each its own".into())
}

async fn echo(plugin: Plugin) -> Result<String> {
    text(&plugin.call_response("echo", b"hello").await?)
}

async fn many_echoes(plugin: Plugin) -> Result<String> {
    let entry = plugin.entry("echo")?;
    for _ in 0..ECHOES {
        ensure!(entry.call_response(b"hello").await?[..] == *b"hello");
    }
    Ok("each its own, called by number".into())
}

fn forget(plugin: &Plugin) -> Result<String> {
    plugin.call("echo", b"unheard")?;
    Ok("taken".into())
}

async fn stream(plugin: Plugin) -> Result<String> {
    let mut stream = plugin.call_stream("count", b"1000")?;
    let mut frames = 0_u32;
    while let Some(frame) = stream.recv().await? {
        if frame.status() != Status::Ok {
            return Ok(format!("{frames} frames in order, then {}", frame.status()));
        }
        ensure!(frame[..] == frames.to_le_bytes(), "frame {frames} is another");
        frames += 1;
    }
    Ok("no last frame".into())
}

async fn slow(plugin: Plugin) -> Result<String> {
    text(&plugin.call_response("slow", b"there you are").await?)
}

async fn hundred_slow(plugin: Plugin) -> Result<String> {
    let payloads: Vec<_> = (0..100_u32).map(u32::to_le_bytes).collect();
    let calls = payloads.iter().map(|payload| plugin.call_response("slow", payload));
    for (payload, reply) in payloads.iter().zip(join_all(calls).await) {
        ensure!(reply?[..] == *payload, "an answer went astray");
    }
    Ok("each its own".into())
}

async fn never(plugin: Plugin) -> Result<String> {
    let allowed = Duration::from_millis(50);
    match plugin.call_response_timeout("never", b"", allowed).await {
        Err(error) if error.is_deadline() => Ok(format!("ended by its deadline of {allowed:?}")),
        other => Ok(format!("{other:?}")),
    }
}

async fn leave(plugin: Plugin) -> Result<String> {
    let mut call = Box::pin(plugin.call_response("slow", b"nobody reads this"));
    // Polled once, so that the call is made.
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(call.as_mut().poll(context).is_pending())
    })
    .await;
    drop(call);
    Ok("cancelled".into())
}

async fn nonsense(plugin: Plugin) -> Result<String> {
    match plugin.call_response("nonsense", b"").await {
        Err(refused) => Ok(refused.to_string()),
        Ok(reply) => text(&reply),
    }
}

async fn panics(plugin: Plugin) -> Result<String> {
    text(&plugin.call_response("panic", b"").await?)
}

fn text(reply: &Reply) -> Result<String> {
    Ok(format!("{}: {}", reply.status(), std::str::from_utf8(reply)?))
}

/// What the calls came to, by the host's own counts.
fn account(host: &Host, columns: &[Column]) -> Result<()> {
    // Until the answers to the callers who left have come, where they still come.
    thread::sleep(inline::SLOW + Duration::from_millis(100));
    println!("\nWhat the host has counted:\n");
    println!(
        "{:<13} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "plugin", "calls", "finished", "notified", "cancelled", "faults", "late", "in flight"
    );
    for Column { title, plugin, .. } in columns {
        let counts = plugin.metrics().calls;
        println!(
            "{title:<13} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9} {:>9}",
            counts.calls,
            counts.finished,
            counts.notified,
            counts.cancelled,
            counts.faults.total(),
            counts.late,
            counts.in_flight,
        );
        ensure!(counts.calls == counts.finished + counts.notified && counts.in_flight == 0);
    }
    let left = host.drain(Duration::from_secs(1));
    ensure!(left.is_empty(), "{left:?}");
    let refused = columns[0].plugin.call("echo", b"").err().context("it is unloaded")?;
    println!("\nAll unloaded; a call now says: {refused}");
    Ok(())
}
