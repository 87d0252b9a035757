//! A plugin that uses std as any program does, and is granted nothing that waits.

mod support;

use ringbox_ring::{CallError, Fault, Invocation, Link, Status, TrapCause};
use ringbox_wasm::{
    Clocks, Grants, InspectError, Loaded, Randomness, WasmLimits, WasmOptions, inspect, load,
};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::{BARE, WASI, guest};

fn ordinary(grants: Grants) -> Loaded {
    // What it may compute is not what these are about, and the machine may be busy.
    let limits = WasmLimits::default().budget(Duration::from_secs(10));
    let options = WasmOptions::new().wasm_limits(limits).grants(grants);
    load(&guest("ordinary", WASI), "ordinary", &options).unwrap()
}

fn ask(link: Link, entry: &str, text: &str) -> Result<String, CallError> {
    let reply = link.call(&Invocation::entry(entry, text.as_bytes()))?.wait()?;
    assert_eq!(reply.status(), Status::Ok, "{}", String::from_utf8_lossy(&reply));
    Ok(String::from_utf8(reply.to_vec()).unwrap())
}

/// What it says went wrong.
#[track_caller]
fn refusal(link: Link, entry: &str, text: &str) -> String {
    match link.call(&Invocation::entry(entry, text.as_bytes())).unwrap().wait() {
        Ok(reply) if reply.status() != Status::Ok => String::from_utf8(reply.to_vec()).unwrap(),
        Err(error) => error.to_string(),
        Ok(reply) => panic!("it was let: {}", String::from_utf8_lossy(&reply)),
    }
}

#[test]
fn it_runs_on_its_callers_thread_and_gets_nothing() {
    let plugin = ordinary(Grants::new());
    assert!(plugin.about().inline);
    assert!(!plugin.effective().needs_runner());
    let link = plugin.link();
    assert_eq!(ask(link, "echo", "hello").unwrap(), "hello");
    // A hash table wants random numbers.
    assert_eq!(ask(link, "words", "a b a").unwrap(), "2");
    assert_eq!(ask(link, "args", "").unwrap(), "");
    assert_eq!(ask(link, "env", "PATH").unwrap(), "environment variable not found");
    for (entry, text) in [
        ("read", "/etc/passwd"),
        ("read", "../../etc/passwd"),
        ("read", "relative"),
        ("write", "/tmp/x"),
        ("list", "/"),
        ("list", "."),
        ("connect", "127.0.0.1:1"),
        ("connect", "localhost:1"),
    ] {
        refusal(link, entry, text);
    }
    assert_eq!(ask(link, "echo", "still there").unwrap(), "still there");
}

#[test]
fn time_is_virtual_and_the_same_each_time() {
    let told = || {
        let plugin = ordinary(Grants::new());
        let today: u64 = ask(plugin.link(), "today", "").unwrap().parse().unwrap();
        let slept: u64 = ask(plugin.link(), "elapsed", "").unwrap().parse().unwrap();
        (today, slept)
    };
    assert_eq!(told(), told());
    let (today, slept) = told();
    assert_eq!(today, 946_684_800);
    assert!((1_000..1_100).contains(&slept), "{slept}");
}

#[test]
fn real_clocks_tell_the_time_and_are_not_waited_for() {
    let plugin = ordinary(Grants::new().clocks(Clocks::Real));
    assert!(plugin.about().inline);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let told: u64 = ask(plugin.link(), "today", "").unwrap().parse().unwrap();
    assert!(Duration::from_secs(told).abs_diff(now) < Duration::from_secs(60));
    let why = refusal(plugin.link(), "elapsed", "");
    assert!(why.contains("Grants::waiting"), "{why}");
    // It was lost, and is back.
    assert_eq!(ask(plugin.link(), "echo", "x").unwrap(), "x");
}

#[test]
fn the_environment_is_what_is_granted() {
    let plugin = ordinary(Grants::new().env("GREETING", "Hello").inherit_env("NO_SUCH_VARIABLE"));
    assert!(plugin.about().inline);
    assert_eq!(ask(plugin.link(), "env", "GREETING").unwrap(), "Hello");
    assert_eq!(ask(plugin.link(), "env", "HOME").unwrap(), "environment variable not found");
}

#[test]
fn what_is_printed_is_captured() {
    let plugin = ordinary(Grants::new());
    ask(plugin.link(), "print", "to out").unwrap();
    ask(plugin.link(), "complain", "to err").unwrap();
    let printed = plugin.printed().clone();
    assert_eq!(printed.stdout.tail(100), b"starting\nto out\n");
    assert_eq!(printed.stderr.tail(100), b"to err\n");
    drop(plugin);
    assert_eq!(printed.stdout.tail(9), b"stopping\n");
}

#[test]
fn a_flood_is_counted_and_only_its_end_is_kept() {
    let plugin = ordinary(Grants::new().output_bytes(1000));
    let text = "x".repeat(50_000);
    for _ in 0..20 {
        ask(plugin.link(), "print", &text).unwrap();
    }
    let stdout = &plugin.printed().stdout;
    assert_eq!(stdout.total(), 20 * 50_001 + 9);
    assert_eq!(stdout.tail(usize::MAX).len(), 1000);
}

#[test]
fn the_last_words_travel_with_the_fault() {
    let plugin = ordinary(Grants::new());
    ask(plugin.link(), "complain", &"y".repeat(5000)).unwrap();
    let error = ask(plugin.link(), "panic", "it is all too much").unwrap_err();
    let Some(Fault::Trapped(trapped)) = error.fault() else { panic!("{error}") };
    let said = String::from_utf8_lossy(&trapped.stderr);
    assert!(said.contains("it is all too much"), "{said}");
    assert!(trapped.stderr.len() <= 1024);
    // The next instance has said nothing yet.
    let error = ask(plugin.link(), "exit", "3").unwrap_err();
    let Some(Fault::Trapped(trapped)) = error.fault() else { panic!("{error}") };
    assert!(matches!(trapped.cause, TrapCause::Exit { code: 1 | 3 }), "{error}");
    assert!(trapped.stderr.is_empty());
    assert_eq!(ask(plugin.link(), "echo", "x").unwrap(), "x");
}

#[test]
fn the_last_kibibyte_of_them_travels_and_no_more() {
    let plugin = ordinary(Grants::new());
    // No two parts of it are the same.
    let text: String = (0..1000).map(|number| format!("{number:04}")).collect();
    for (said, printed) in [(&text[..], 4001), (&text[..1023], 1024), (&text[..1022], 1023)] {
        ask(plugin.link(), "complain", said).unwrap();
        let error = ask(plugin.link(), "exit", "3").unwrap_err();
        let Some(Fault::Trapped(trapped)) = error.fault() else { panic!("{error}") };
        let all = format!("{said}\n");
        assert_eq!(all.len(), printed);
        let last = &all[printed.saturating_sub(1024)..];
        assert_eq!(String::from_utf8_lossy(&trapped.stderr), last);
    }
}

#[test]
fn it_prints_inside_a_tokio_task() {
    let plugin = ordinary(Grants::new());
    let link = plugin.link();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let answer = runtime.block_on(async {
        let call = link.call(&Invocation::entry("print", b"in a task")).unwrap();
        call.await.unwrap().to_vec()
    });
    assert_eq!(answer, b"printed");
    assert_eq!(plugin.printed().stdout.tail(10), b"in a task\n");
}

#[test]
fn random_numbers_are_granted_or_seeded() {
    for random in [Randomness::Seeded(7), Randomness::Real] {
        let plugin = ordinary(Grants::new().random(random));
        assert!(plugin.about().inline);
        assert_eq!(ask(plugin.link(), "words", "a b a a").unwrap(), "3");
    }
}

#[test]
fn what_it_would_get_can_be_read_before() {
    let limits = ringbox_wasm::ComponentLimits::new();
    let seen = inspect(&std::fs::read(guest("ordinary", WASI)).unwrap(), &limits).unwrap();
    seen.check().unwrap();
    let nothing = seen.report(&Grants::new()).to_string();
    assert!(nothing.contains("on its caller's thread"), "{nothing}");
    assert!(nothing.contains("wasi:cli/stdout@"), "{nothing}");
    let some = Grants::new().env("A", "secret").network("example.com:443".parse().unwrap());
    let some = seen.report(&some).to_string();
    assert!(some.contains("env A") && some.contains("net example.com:443"), "{some}");
    assert!(some.contains("since it may wait") && !some.contains("secret"), "{some}");
    // What imports nothing gets nothing.
    let bare = inspect(&std::fs::read(guest("bench", BARE)).unwrap(), &limits).unwrap();
    let effective = Grants::new().env("A", "1").clocks(Clocks::Real).cut(&bare.ask);
    assert!(!effective.needs_runner() && !effective.to_string().contains("env"));
}

#[test]
fn a_directory_that_is_not_there_fails_the_load() {
    let grants = Grants::new().directory("/no/such/directory", "/data", ringbox_wasm::Access::Read);
    let options = WasmOptions::new().grants(grants);
    let error = load(&guest("ordinary", WASI), "ordinary", &options).unwrap_err();
    assert!(error.to_string().contains("/no/such/directory"), "{error}");
    assert!(matches!(error, ringbox_wasm::LoadError::Grant(_)));
}

#[test]
fn a_guest_that_imports_what_nobody_has_is_refused_before_it_is_compiled() {
    let cache = ringbox_wasm::Cache::memory();
    let options = WasmOptions::new().cache(&cache);
    let error = load(&guest("conforming", BARE), "conforming", &options).unwrap_err();
    assert!(
        matches!(
            &error,
            ringbox_wasm::LoadError::Inspect(InspectError::UnknownImport { name })
                if name == "ringbox:conformance/hook@0.1.0"
        ),
        "{error}"
    );
    assert_eq!(cache.stats().misses, 0);
}
