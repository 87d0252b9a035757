//! Examples that do something useful: each says the same behind both walls, whatever it is asked.

#![expect(unsafe_code, reason = "the plugins are built from this repository")]

use ringbox::{CallError, Host, Inspected, LoadOptions, Plugin, Reply, Request, Source, Status};
use ringbox_examples::{block_on, build_component, build_rust};
use std::path::PathBuf;

fn component(package: &str) -> PathBuf {
    let component = build_component(package).unwrap();
    component.expect("this Rust builds no components: run `cargo xtask setup`")
}

/// One source, behind both walls.
struct Both {
    host: Host,
    plugins: [Plugin; 2],
}

impl Both {
    fn load(package: &str) -> Self {
        let host = Host::new();
        let library = build_rust(package).unwrap();
        // SAFETY: built just now, from a source of this repository.
        let native = host.load("native", unsafe { Source::native(library) }).unwrap();
        let sandboxed = host.load("sandboxed", Source::component(component(package))).unwrap();
        Self { host, plugins: [native, sandboxed] }
    }

    /// What both say, which has to be the same.
    #[track_caller]
    fn ask<F>(&self, call: impl Fn(Plugin) -> F) -> (Status, String)
    where
        F: Future<Output = Result<Reply, CallError>>,
    {
        let [native, sandboxed] = self.plugins.each_ref().map(|plugin| {
            let reply = block_on(call(plugin.clone())).unwrap();
            (reply.status(), String::from_utf8(reply.to_vec()).unwrap())
        });
        assert_eq!(native, sandboxed, "the walls differ");
        native
    }

    fn unload(self) {
        self.host.unload("native").unwrap();
        self.host.unload("sandboxed").unwrap();
    }
}

#[test]
fn the_header_filter_is_the_same_behind_both_walls() {
    let both = Both::load("ringbox-example-headers");
    let ask = |request: Request| {
        both.ask(|plugin| {
            let request = request.clone();
            async move { plugin.request(&request).await }
        })
    };
    let ok = |headers: &str| (Status::Ok, format!("{headers}x-filtered-by: ringbox\r\n"));
    let get = || Request::get("/");

    assert_eq!(ask(get()), ok(""));
    let request = get()
        .header("Host", "example.com")
        .header("Connection", "keep-alive, X-Mine")
        .header("x-mine", "mine")
        .header("Transfer-Encoding", "chunked")
        .header("X-Filtered-By", "the client")
        .header("accept", "text/plain; q=0.5, */*")
        .header("x-note", "grün\tund blau");
    let kept = "Host: example.com\r\naccept: text/plain; q=0.5, */*\r\nx-note: grün\tund blau\r\n";
    assert_eq!(ask(request.body(vec![0xff; 1000])), ok(kept));

    for (method, status) in [
        ("DELETE", Status::Ok),
        ("TRACE", Status::Unsupported),
        ("get", Status::Unsupported),
        ("", Status::Unsupported),
    ] {
        assert_eq!(ask(Request::new(method, "/")).0, status, "{method}");
    }
    for (name, value, status) in [
        ("x", "", Status::Ok),
        ("", "x", Status::Invalid),
        ("x y", "x", Status::Invalid),
        ("ä", "x", Status::Invalid),
        ("x", "x\r\nx-filtered-by: ringbox", Status::Invalid),
        ("x", "x\0", Status::Invalid),
    ] {
        assert_eq!(ask(get().header(name, value)).0, status, "{name:?}: {value:?}");
    }
    for (path, status) in [
        ("/admin", Status::Err),
        ("/admin/users", Status::Err),
        ("/administer", Status::Ok),
        ("", Status::Ok),
    ] {
        assert_eq!(ask(Request::get(path)).0, status, "{path}");
        let named = Request::get(path).header("AUTHORIZATION", "Bearer x");
        assert_eq!(ask(named), ok("AUTHORIZATION: Bearer x\r\n"), "{path}");
    }
    both.unload();
}

#[test]
fn the_redacter_is_the_same_behind_both_walls() {
    let both = Both::load("ringbox-example-redact");
    let ask = |asked: &[u8]| {
        let asked = asked.to_vec();
        both.ask(move |plugin| {
            let asked = asked.clone();
            async move { plugin.call_response("redact", &asked).await }
        })
    };
    let ok = |document: &str| (Status::Ok, document.to_owned());
    assert_eq!(ask(br#"{"fields": [], "document": 1e3}"#), ok("1000.0"));
    let asked = r#"{
        "fields": ["password", "token"],
        "document": {"user": "ärger\n", "password": {"old": 1}, "log": [{"token": "x", "n": -7}, []]}
    }"#;
    let document = r#"{"log":[{"n":-7,"token":"***"},[]],"password":"***","user":"ärger\n"}"#;
    assert_eq!(ask(asked.as_bytes()), ok(document));
    // As long as it may be, and as deep.
    let long = format!(r#"{{"fields": ["a"], "document": [{}{{"a": 1}}]}}"#, "[1],".repeat(1000));
    let expected = format!(r#"[{}{{"a":"***"}}]"#, "[1],".repeat(1000));
    assert_eq!(ask(long.as_bytes()), ok(&expected));

    let deep = "[".repeat(100_000);
    for (asked, why) in [
        (&b""[..], "EOF while parsing"),
        (b"secret", "expected value at line 1 column 1"),
        (b"{\"fields\": []} x", "trailing characters"),
        (b"{\"fields\": [\"\xff\"]}", "not text in UTF-8"),
        (b"{}", "`fields` has to be a list"),
        (b"7", "`fields` has to be a list"),
        (b"{\"fields\": [1], \"document\": 1}", "each of `fields` has to be a name"),
        (b"{\"fields\": []}", "there is no `document`"),
        (deep.as_bytes(), "recursion limit exceeded"),
    ] {
        let (status, text) = ask(asked);
        assert_eq!(status, Status::Invalid);
        assert!(text.contains(why), "{text}, and not: {why}");
    }
    both.unload();
}

/// A component that imports nothing of a system runs wherever there is a host, and can be granted
/// nothing.
#[test]
fn the_examples_import_the_contract_and_nothing_of_wasi() {
    for package in [
        "ringbox-example-greeter",
        "ringbox-example-headers",
        "ringbox-example-redact",
        "ringbox-example-seed",
    ] {
        let inspected = ringbox::inspect(component(package), &LoadOptions::new()).unwrap();
        let Inspected::Component(component) = inspected else { panic!("{package} is a component") };
        component.check().unwrap();
        let names: Vec<_> = component.imports.iter().map(|import| import.name.as_str()).collect();
        assert!(names.contains(&"nylon:ring/host@1.0.0"), "{package}: {names:?}");
        assert!(names.iter().all(|name| name.starts_with("nylon:ring")), "{package}: {names:?}");
    }
}

/// What the README and the guide say of its size. It has async handlers, streams and timers.
#[test]
fn the_greeter_is_a_small_component() {
    let bytes = std::fs::metadata(component("ringbox-example-greeter")).unwrap().len();
    assert!(bytes < 40 << 10, "{bytes} bytes");
}
