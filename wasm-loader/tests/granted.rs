//! A plugin that was granted files, connections or waiting.

mod support;

use ringbox_ring::{CallError, Fault, Invocation, Status, TrapCause};
use ringbox_wasm::wasi::GrantError;
use ringbox_wasm::{
    Access, Clocks, Grants, LoadError, Loaded, Policy, Resolver, WasmLimits, WasmOptions, load,
};
use std::fs;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::{WASI, guest};
use tempfile::TempDir;

/// What came of a call, or how it failed. Each has a plugin of its own.
fn ask(grants: &Grants, entry: &str, text: &str) -> Result<String, String> {
    let options = WasmOptions::new().grants(grants.clone());
    let plugin = load(&guest("ordinary", WASI), "ordinary", &options).unwrap();
    assert!(plugin.effective().needs_runner() && !plugin.about().inline);
    let call = plugin.link().call(&Invocation::entry(entry, text.as_bytes())).unwrap();
    let reply = call.wait().map_err(|error| error.to_string())?;
    let text = String::from_utf8(reply.to_vec()).unwrap();
    if reply.status() == Status::Ok { Ok(text) } else { Err(text) }
}

/// A directory `in` with a file, beside a file that is not in it.
fn folder() -> TempDir {
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("in");
    fs::create_dir(&inner).unwrap();
    fs::create_dir(inner.join("sub")).unwrap();
    fs::write(inner.join("file"), "inside").unwrap();
    fs::write(outer.path().join("secret"), "outside").unwrap();
    outer
}

fn granted(outer: &TempDir, access: Access) -> Grants {
    Grants::new().directory(outer.path().join("in"), "/data", access)
}

#[test]
fn a_granted_directory_is_read() {
    let outer = folder();
    let grants = granted(&outer, Access::Read);
    assert_eq!(ask(&grants, "read", "/data/file").unwrap(), "inside");
    assert_eq!(ask(&grants, "read", "/data/sub/../file").unwrap(), "inside");
    assert_eq!(ask(&grants, "list", "/data").unwrap(), "file sub");
    ask(&grants, "read", "/data/missing").unwrap_err();
    ask(&grants, "read", "/etc/passwd").unwrap_err();
}

#[test]
fn a_directory_for_reading_refuses_writes() {
    let outer = folder();
    let grants = granted(&outer, Access::Read);
    ask(&grants, "write", "/data/file").unwrap_err();
    ask(&grants, "write", "/data/new").unwrap_err();
    assert_eq!(fs::read_to_string(outer.path().join("in/file")).unwrap(), "inside");
    assert!(!outer.path().join("in/new").exists());
}

#[test]
fn a_directory_for_writing_is_written() {
    let outer = folder();
    let grants = granted(&outer, Access::Write);
    ask(&grants, "write", "/data/new").unwrap();
    assert_eq!(fs::read_to_string(outer.path().join("in/new")).unwrap(), "written");
}

#[test]
fn nothing_leads_out_of_a_directory() {
    let outer = folder();
    let inner = outer.path().join("in");
    symlink("../secret", inner.join("relative")).unwrap();
    symlink(outer.path().join("secret"), inner.join("absolute")).unwrap();
    symlink("..", inner.join("up")).unwrap();
    symlink("/", inner.join("root")).unwrap();
    symlink("relative", inner.join("twice")).unwrap();
    symlink("../planted", inner.join("plant")).unwrap();
    for access in [Access::Read, Access::Write] {
        let grants = granted(&outer, access);
        for path in [
            "/data/../secret",
            "/data/sub/../../secret",
            "/data/relative",
            "/data/absolute",
            "/data/up/secret",
            "/data/twice",
            "/data/root/etc/passwd",
            "/data/./../in/../secret",
        ] {
            let read = ask(&grants, "read", path);
            assert!(read.is_err(), "{path} was read: {read:?}");
            ask(&grants, "write", path).unwrap_err();
        }
        ask(&grants, "write", "/data/plant").unwrap_err();
        ask(&grants, "list", "/data/..").unwrap_err();
        ask(&grants, "list", "/data/up").unwrap_err();
    }
    assert_eq!(fs::read_to_string(outer.path().join("secret")).unwrap(), "outside");
    assert!(!outer.path().join("planted").exists());
}

#[test]
fn two_directories_have_their_own_rights() {
    let outer = folder();
    let grants =
        granted(&outer, Access::Read).directory(outer.path().join("in/sub"), "/out", Access::Write);
    ask(&grants, "write", "/out/new").unwrap();
    ask(&grants, "write", "/data/new").unwrap_err();
    assert_eq!(ask(&grants, "read", "/data/sub/new").unwrap(), "written");
}

#[test]
fn a_directory_within_a_writable_one_is_refused() {
    let outer = folder();
    let path = outer.path();
    symlink(path.join("in/sub"), path.join("aside")).unwrap();
    // What the plugin could have put there when it was loaded before.
    symlink("/etc", path.join("in/planted")).unwrap();
    for inner in ["in/sub", "in/planted", "in/../in/sub", "aside"] {
        let grants =
            granted(&outer, Access::Write).directory(path.join(inner), "/nested", Access::Read);
        let options = WasmOptions::new().grants(grants);
        let error = load(&guest("ordinary", WASI), "ordinary", &options).unwrap_err();
        assert!(matches!(error, LoadError::Grant(GrantError::Nested { .. })), "{inner}: {error}");
    }
    fs::create_dir(path.join("inner")).unwrap();
    let beside =
        granted(&outer, Access::Write).directory(path.join("inner"), "/beside", Access::Read);
    assert_eq!(ask(&beside, "list", "/beside").unwrap(), "");
}

#[test]
fn a_later_instance_has_the_directory_that_was_there_at_load() {
    let outer = folder();
    let path = outer.path();
    let options = WasmOptions::new().grants(granted(&outer, Access::Read));
    let plugin = load(&guest("ordinary", WASI), "ordinary", &options).unwrap();
    let ask = |entry, text: &str| {
        plugin.link().call(&Invocation::entry(entry, text.as_bytes())).unwrap().wait()
    };
    fs::rename(path.join("in"), path.join("moved")).unwrap();
    fs::create_dir(path.join("other")).unwrap();
    fs::write(path.join("other/file"), "outside").unwrap();
    symlink("other", path.join("in")).unwrap();
    ask("exit", "3").unwrap_err();
    assert_eq!(*ask("read", "/data/file").unwrap(), *b"inside");
    assert_eq!(plugin.usage().instances_lost, 1);
}

#[test]
fn what_else_it_imports_works_beside_files() {
    let outer = folder();
    let grants = granted(&outer, Access::Read).env("A", "1");
    assert_eq!(ask(&grants, "env", "A").unwrap(), "1");
    assert_eq!(ask(&grants, "words", "a b a").unwrap(), "2");
    assert_eq!(ask(&grants, "print", "x").unwrap(), "printed");
    assert_eq!(ask(&grants, "complain", "x").unwrap(), "complained");
    // Its clock is still not the host's, although it does wait.
    assert_eq!(ask(&grants, "today", "").unwrap(), "946684800");
    assert!(ask(&grants, "elapsed", "").unwrap().parse::<u64>().unwrap() >= 1000);
    ask(&grants, "connect", "127.0.0.1:1").unwrap_err();
    let trap = ask(&grants, "exit", "3").unwrap_err();
    assert!(trap.contains("exited"), "{trap}");
}

#[test]
fn it_waits_for_a_real_clock_if_it_may() {
    let grants = Grants::new().clocks(Clocks::Real).waiting();
    assert!(ask(&grants, "elapsed", "").unwrap().parse::<u64>().unwrap() >= 1000);
}

/// Waits until it is so.
#[track_caller]
fn eventually(what: &str, so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !so() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// What may wait, in `init` for so long.
fn waiting(outer: &TempDir, start_wait: Duration) -> WasmOptions {
    let limits =
        WasmLimits::default().start_budget(Duration::from_millis(150)).start_wait(start_wait);
    let grants = granted(outer, Access::Read).clocks(Clocks::Real).waiting();
    WasmOptions::new().grants(grants).wasm_limits(limits)
}

/// From now on its `init` waits for ever, beginning with that of the instance that is made now.
fn start_waits(plugin: &Loaded, outer: &TempDir) {
    fs::write(outer.path().join("in/wait"), "").unwrap();
    let call = plugin.link().call(&Invocation::entry("panic", b"on purpose")).unwrap();
    assert!(matches!(call.wait().unwrap_err().fault(), Some(Fault::Trapped(_))));
}

#[test]
fn an_init_that_waits_for_ever_fails_the_load() {
    let outer = folder();
    fs::write(outer.path().join("in/wait"), "").unwrap();
    let options = waiting(&outer, Duration::from_millis(50));
    let error = load(&guest("ordinary", WASI), "ordinary", &options).unwrap_err();
    assert!(error.to_string().contains("waited for too long"), "{error}");
}

#[test]
fn a_replacement_whose_init_waits_for_ever_is_dropped_and_tried_again() {
    let outer = folder();
    let options = waiting(&outer, Duration::from_millis(150));
    let plugin = load(&guest("ordinary", WASI), "ordinary", &options).unwrap();
    start_waits(&plugin, &outer);
    let call = plugin.link().call(&Invocation::entry("echo", b"patient")).unwrap();
    let starts = || {
        let printed = plugin.printed().stdout.tail(1000);
        String::from_utf8(printed).unwrap().matches("starting").count()
    };
    eventually("it is tried again", || starts() >= 3);
    fs::remove_file(outer.path().join("in/wait")).unwrap();
    assert_eq!(*call.wait().unwrap(), *b"patient");
}

#[test]
fn a_plugin_whose_init_always_waits_rests() {
    let outer = folder();
    let options = waiting(&outer, Duration::from_millis(150));
    let plugin = load(&guest("ordinary", WASI), "ordinary", &options).unwrap();
    start_waits(&plugin, &outer);
    let call = plugin.link().call(&Invocation::entry("echo", b"x")).unwrap();
    assert_eq!(call.wait().unwrap_err().fault(), Some(&Fault::InstanceLost));
    let refused = plugin.link().call(&Invocation::entry("echo", b"x")).unwrap_err();
    let CallError::Quarantined(quarantine) = refused else { panic!("{refused}") };
    assert_eq!(quarantine.failures, 12);
    let Fault::Trapped(last) = &quarantine.last else { panic!("{quarantine}") };
    assert_eq!(last.cause, TrapCause::Other("it waited for too long".into()));
    plugin.unload(Duration::ZERO).unwrap();
}

#[test]
fn a_call_that_left_is_not_waited_for_where_its_own_init_waits() {
    let outer = folder();
    let options = waiting(&outer, Duration::from_secs(3600)).policy(Policy::PerCall(1));
    let plugin = load(&guest("ordinary", WASI), "ordinary", &options).unwrap();
    fs::write(outer.path().join("in/wait"), "").unwrap();
    let call = plugin.link().call(&Invocation::entry("echo", b"x")).unwrap();
    eventually("its instance starts", || plugin.printed().stdout.total() > 9);
    drop(call);
    eventually("its instance is dropped", || plugin.usage().busy == 0);
    fs::remove_file(outer.path().join("in/wait")).unwrap();
    let call = plugin.link().call(&Invocation::entry("echo", b"the next")).unwrap();
    assert_eq!(*call.wait().unwrap(), *b"the next");
}

#[test]
fn a_shutdown_may_wait_and_not_for_ever() {
    let outer = folder();
    for (linger, patience, stopped) in
        [("50", Duration::from_secs(20), true), ("3600000", Duration::from_millis(150), false)]
    {
        fs::write(outer.path().join("in/linger"), linger).unwrap();
        let options = waiting(&outer, patience);
        let plugin = load(&guest("ordinary", WASI), "ordinary", &options).unwrap();
        let begin = Instant::now();
        plugin.unload(Duration::ZERO).unwrap();
        assert!(begin.elapsed() >= Duration::from_millis(50), "{linger}");
        let printed = String::from_utf8(plugin.printed().stdout.tail(1000)).unwrap();
        let expected =
            if stopped { "starting\nstopping\nstopped\n" } else { "starting\nstopping\n" };
        assert_eq!(printed, expected, "{linger}");
    }
}

/// Says hello to whoever connects, and counts them.
fn server() -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    let visitors = Arc::new(AtomicUsize::new(0));
    let count = visitors.clone();
    thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            drop(stream.unwrap().write_all(b"hello"));
        }
    });
    (addr, visitors)
}

/// Gives every name this machine's address, and counts what it is asked.
struct Home(AtomicUsize);

impl Resolver for Home {
    fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])
    }
}

fn network(rules: &[String]) -> Grants {
    rules.iter().fold(Grants::new(), |grants, rule| grants.network(rule.parse().unwrap()))
}

#[test]
fn an_address_that_is_listed_is_reached_at_its_port() {
    let (addr, visitors) = server();
    let port = addr.port();
    for rule in
        [format!("127.0.0.1:{port}"), format!("127.0.0.0/8:{port}"), "127.0.0.1:*".to_owned()]
    {
        assert_eq!(ask(&network(&[rule]), "connect", &addr.to_string()).unwrap(), "hello");
    }
    assert_eq!(visitors.load(Ordering::SeqCst), 3);
}

#[test]
fn what_is_not_listed_is_not_reached() {
    let (addr, visitors) = server();
    let (target, other) = (addr.to_string(), addr.port() ^ 1);
    for rule in [
        format!("127.0.0.1:{other}"),
        "127.0.0.2:*".to_owned(),
        "10.0.0.0/8:*".to_owned(),
        // The own machine has to be meant.
        "0.0.0.0/0:*".to_owned(),
        "[2000::/3]:*".to_owned(),
        "localhost:*".to_owned(),
    ] {
        let answer = ask(&network(std::slice::from_ref(&rule)), "connect", &target);
        assert!(answer.is_err(), "{rule}: {answer:?}");
    }
    assert_eq!(visitors.load(Ordering::SeqCst), 0);
}

#[test]
fn a_name_that_leads_to_this_machine_opens_nothing() {
    let (addr, visitors) = server();
    let port = addr.port();
    let home = Arc::new(Home(AtomicUsize::new(0)));
    let rebound = network(&[format!("api.example.com:{port}")]).resolver(home.clone());
    ask(&rebound, "connect", &format!("api.example.com:{port}")).unwrap_err();
    assert_eq!(home.0.load(Ordering::SeqCst), 1, "it was looked up");
    // Nor is the address itself open now.
    ask(&rebound, "connect", &addr.to_string()).unwrap_err();
    assert_eq!(visitors.load(Ordering::SeqCst), 0);
    // Names that no rule has do not even get there.
    ask(&rebound, "connect", &format!("other.example.com:{port}")).unwrap_err();
    assert_eq!(home.0.load(Ordering::SeqCst), 1, "a name that isn't listed was looked up");
}

#[test]
fn a_name_may_lead_to_this_machine_if_both_are_listed() {
    let (addr, visitors) = server();
    let port = addr.port();
    let home = Arc::new(Home(AtomicUsize::new(0)));
    let both = [format!("db.internal:{port}"), format!("127.0.0.1:{port}")];
    let grants = network(&both).resolver(home);
    assert_eq!(ask(&grants, "connect", &format!("db.internal:{port}")).unwrap(), "hello");
    assert_eq!(visitors.load(Ordering::SeqCst), 1);
}
