//! What a plugin that means ill can have of WASI.

use ringbox_wasm::wasi::{HasWasi, Printed, Wasi, WasiTrap, add_to_linker};
use ringbox_wasm::{Access, Clocks, ComponentLimits, Grants, Resolver, inspect};
use std::io;
use std::net::IpAddr;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Store};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

const WORLD: &str = r#"
package test:main;

package wasi:io@0.2.6 {
    interface poll {
        resource pollable { block: func(); }
    }
    interface error { resource error; }
    interface streams {
        use poll.{pollable};
        use error.{error};
        variant stream-error { last-operation-failed(error), closed }
        resource output-stream {
            subscribe: func() -> pollable;
            blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
            write-zeroes: func(len: u64) -> result<_, stream-error>;
        }
    }
}
package wasi:cli@0.2.6 {
    interface stdout {
        use wasi:io/streams@0.2.6.{output-stream};
        get-stdout: func() -> output-stream;
    }
}
package wasi:clocks@0.2.6 {
    interface monotonic-clock {
        use wasi:io/poll@0.2.6.{pollable};
        subscribe-duration: func(when: u64) -> pollable;
    }
}
package wasi:random@0.2.6 {
    interface random { get-random-bytes: func(len: u64) -> list<u8>; }
}
package wasi:filesystem@0.2.6 {
    interface types { resource descriptor; }
    interface preopens {
        use types.{descriptor};
        get-directories: func() -> list<tuple<descriptor, string>>;
    }
}
package wasi:sockets@0.2.6 {
    interface network {
        enum error-code {
            unknown, access-denied, not-supported, invalid-argument, out-of-memory, timeout,
            concurrency-conflict, not-in-progress, would-block, invalid-state, new-socket-limit,
            address-not-bindable, address-in-use, remote-unreachable, connection-refused,
            connection-reset, connection-aborted, datagram-too-large, name-unresolvable,
            temporary-resolver-failure, permanent-resolver-failure,
        }
        enum ip-address-family { ipv4, ipv6 }
        type ipv4-address = tuple<u8, u8, u8, u8>;
        type ipv6-address = tuple<u16, u16, u16, u16, u16, u16, u16, u16>;
        variant ip-address { ipv4(ipv4-address), ipv6(ipv6-address) }
        resource network;
    }
    interface instance-network {
        use network.{network};
        instance-network: func() -> network;
    }
    interface ip-name-lookup {
        use network.{network, error-code, ip-address};
        resource resolve-address-stream {
            resolve-next-address: func() -> result<option<ip-address>, error-code>;
        }
        resolve-addresses: func(network: borrow<network>, name: string)
            -> result<resolve-address-stream, error-code>;
    }
    interface udp { resource udp-socket; }
    interface udp-create-socket {
        use network.{error-code, ip-address-family};
        use udp.{udp-socket};
        create-udp-socket: func(family: ip-address-family) -> result<udp-socket, error-code>;
    }
}

world w {
    import wasi:cli/stdout@0.2.6;
    import wasi:clocks/monotonic-clock@0.2.6;
    import wasi:random/random@0.2.6;
    import wasi:filesystem/preopens@0.2.6;
    import wasi:sockets/udp-create-socket@0.2.6;
    import wasi:sockets/instance-network@0.2.6;
    import wasi:sockets/ip-name-lookup@0.2.6;
    export streams: func(count: u32) -> u32;
    export pollables: func(count: u32) -> u32;
    export dropped: func(count: u32) -> u32;
    export random: func(len: u32) -> u32;
    export flush: func(len: u32) -> u32;
    export zeroes: func(len: u32) -> u32;
    export wait: func(nanos: u32) -> u32;
    export udp: func(how: u32) -> u32;
    export lookups: func(count: u32) -> u32;
}
"#;

const CODE: &str = r#"
(module
    (import "wasi:cli/stdout@0.2.6" "get-stdout" (func $stdout (result i32)))
    (import "wasi:clocks/monotonic-clock@0.2.6" "subscribe-duration"
        (func $timer (param i64) (result i32)))
    (import "wasi:io/poll@0.2.6" "[method]pollable.block" (func $block (param i32)))
    (import "wasi:io/poll@0.2.6" "[resource-drop]pollable" (func $drop (param i32)))
    (import "wasi:io/streams@0.2.6" "[resource-drop]output-stream" (func $drop-stream (param i32)))
    (import "wasi:io/streams@0.2.6" "[method]output-stream.subscribe"
        (func $subscribe (param i32) (result i32)))
    (import "wasi:io/streams@0.2.6" "[method]output-stream.blocking-write-and-flush"
        (func $flush (param i32 i32 i32 i32)))
    (import "wasi:io/streams@0.2.6" "[method]output-stream.write-zeroes"
        (func $zeroes (param i32 i64 i32)))
    (import "wasi:random/random@0.2.6" "get-random-bytes" (func $random (param i64 i32)))
    (import "wasi:filesystem/preopens@0.2.6" "get-directories" (func $preopens (param i32)))
    (import "wasi:sockets/udp-create-socket@0.2.6" "create-udp-socket"
        (func $udp (param i32 i32)))
    (import "wasi:sockets/instance-network@0.2.6" "instance-network" (func $network (result i32)))
    (import "wasi:sockets/ip-name-lookup@0.2.6" "resolve-addresses"
        (func $resolve (param i32 i32 i32 i32)))
    (import "wasi:sockets/ip-name-lookup@0.2.6"
        "[method]resolve-address-stream.resolve-next-address"
        (func $next (param i32 i32)))
    (memory (export "memory") 64)
    (data (i32.const 64) "a.example")
    (global $free (mut i32) (i32.const 4096))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        global.get $free
        (global.set $free (i32.add (global.get $free) (local.get 3))))
    (func (export "streams") (param $count i32) (result i32)
        (loop $again
            (drop (call $stdout))
            (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
        (i32.const 0))
    (func (export "pollables") (param $count i32) (result i32) (local $stream i32)
        (local.set $stream (call $stdout))
        (loop $again
            (drop (call $subscribe (local.get $stream)))
            (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
        (i32.const 0))
    (func (export "dropped") (param $count i32) (result i32) (local $stream i32)
        (loop $again
            (local.set $stream (call $stdout))
            (call $drop (call $subscribe (local.get $stream)))
            (call $drop (call $timer (i64.const 5)))
            (call $drop-stream (local.get $stream))
            (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
        (i32.const 0))
    (func (export "random") (param i32) (result i32)
        (call $random (i64.extend_i32_u (local.get 0)) (i32.const 8))
        (i32.const 0))
    (func (export "flush") (param i32) (result i32)
        (call $flush (call $stdout) (i32.const 0) (local.get 0) (i32.const 8))
        (i32.const 0))
    (func (export "zeroes") (param i32) (result i32)
        (call $zeroes (call $stdout) (i64.extend_i32_u (local.get 0)) (i32.const 8))
        (i32.const 0))
    (func (export "wait") (param i32) (result i32)
        (call $block (call $timer (i64.extend_i32_u (local.get 0))))
        (i32.const 0))
    ;; Looks a name up so many times, and counts what isn't refused at once.
    (func (export "lookups") (param $count i32) (result i32)
        (local $network i32) (local $asked i32)
        (local.set $network (call $network))
        (loop $again
            (call $resolve (local.get $network) (i32.const 64) (i32.const 9) (i32.const 8))
            (call $next (i32.load (i32.const 12)) (i32.const 16))
            ;; would-block, and not temporary-resolver-failure
            (local.set $asked (i32.add (local.get $asked)
                (i32.and
                    (i32.load8_u (i32.const 16))
                    (i32.eq (i32.load8_u offset=2 (i32.const 16)) (i32.const 8)))))
            (br_if $again (local.tee $count (i32.sub (local.get $count) (i32.const 1)))))
        (local.get $asked))
    (func (export "udp") (param i32) (result i32)
        (call $udp (i32.const 0) (i32.const 8))
        (if (result i32) (i32.load8_u (i32.const 8))
            (then (i32.add (i32.const 100) (i32.load8_u (i32.const 12))))
            (else (i32.const 0)))))
"#;

struct Data(Wasi);

impl HasWasi for Data {
    fn wasi(&mut self) -> &mut Wasi {
        &mut self.0
    }
}

fn component() -> &'static (Engine, Component, Vec<u8>) {
    static COMPONENT: OnceLock<(Engine, Component, Vec<u8>)> = OnceLock::new();
    COMPONENT.get_or_init(|| {
        let mut resolve = Resolve::default();
        let main = resolve.push_str("main.wit", WORLD).unwrap();
        let world = resolve.select_world(&[main], None).unwrap();
        let mut module = wat::parse_str(CODE).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        let bytes = ComponentEncoder::default().module(&module).unwrap().encode().unwrap();
        let mut config = wasmtime::Config::new();
        config.concurrency_support(false);
        let engine = Engine::new(&config).unwrap();
        (engine.clone(), Component::from_binary(&engine, &bytes).unwrap(), bytes)
    })
}

/// Calls a function, in an instance of its own.
fn call(grants: &Grants, function: &str, number: u32) -> (wasmtime::Result<u32>, Printed) {
    let (engine, component, bytes) = component();
    let effective = grants.cut(&inspect(bytes, &ComponentLimits::new()).unwrap().ask);
    let printed = Printed::new(&effective);
    let mut linker = Linker::<Data>::new(engine);
    add_to_linker(&mut linker, component, &effective).unwrap();
    let mut store = Store::new(engine, Data(Wasi::new(&effective, &printed).unwrap()));
    let result = wasmtime_wasi::runtime::in_tokio(async {
        let instance = linker.instantiate_async(&mut store, component).await?;
        let function = instance.get_typed_func::<(u32,), (u32,)>(&mut store, function)?;
        Ok(function.call_async(&mut store, (number,)).await?.0)
    });
    (result, printed)
}

/// The trap that it ended in.
#[track_caller]
fn trap(grants: &Grants, function: &str, number: u32) -> WasiTrap {
    let error = call(grants, function, number).0.unwrap_err();
    error.downcast_ref::<WasiTrap>().unwrap_or_else(|| panic!("{error:?}")).clone()
}

#[test]
fn streams_and_pollables_are_bounded() {
    let nothing = Grants::new();
    for function in ["streams", "pollables"] {
        assert_eq!(call(&nothing, function, 1000).0.unwrap(), 0);
        assert_eq!(trap(&nothing, function, 1100), WasiTrap::TooManyHandles { most: 1024 });
    }
    // What is dropped doesn't count.
    call(&nothing, "dropped", 5000).0.unwrap();
}

#[test]
fn they_are_bounded_beside_files_too() {
    let folder = tempfile::tempdir().unwrap();
    let grants = Grants::new().directory(folder.path(), "/data", Access::Read);
    for function in ["streams", "pollables"] {
        call(&grants, function, 1000).0.unwrap();
        let error = call(&grants, function, 1100).0.unwrap_err();
        assert!(format!("{error:#}").contains("no free keys"), "{error:#}");
    }
    call(&grants, "dropped", 5000).0.unwrap();
}

#[test]
fn random_bytes_are_bounded() {
    let nothing = Grants::new();
    call(&nothing, "random", 1 << 20).0.unwrap();
    let trap = trap(&nothing, "random", (1 << 20) + 1);
    assert!(matches!(trap, WasiTrap::TooMuch { function: "get-random-bytes", .. }), "{trap}");
}

#[test]
fn what_is_written_at_once_is_bounded() {
    let nothing = Grants::new().output_bytes(10);
    let (result, printed) = call(&nothing, "flush", 4096);
    result.unwrap();
    assert_eq!((printed.stdout.total(), printed.stdout.tail(100).len()), (4096, 10));
    assert!(matches!(trap(&nothing, "flush", 4097), WasiTrap::TooMuch { .. }));
    call(&nothing, "zeroes", 64 << 10).0.unwrap();
    assert!(matches!(trap(&nothing, "zeroes", (64 << 10) + 1), WasiTrap::TooMuch { .. }));
}

#[test]
fn waiting_takes_no_time_or_a_grant() {
    let nothing = Grants::new();
    let started = Instant::now();
    call(&nothing, "wait", u32::MAX).0.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let files = Grants::new().directory(folder.path(), "/data", Access::Read);
    call(&files, "wait", u32::MAX).0.unwrap();
    assert!(started.elapsed().as_secs() < 3, "four seconds were waited for");
    let real = Grants::new().clocks(Clocks::Real);
    assert_eq!(trap(&real, "wait", u32::MAX), WasiTrap::Waits);
    let started = Instant::now();
    call(&real.waiting(), "wait", 5_000_000).0.unwrap();
    assert!(started.elapsed().as_millis() >= 5);
}

#[test]
fn udp_takes_a_rule_and_a_grant() {
    const DENIED: u32 = 101;
    let rule = || "127.0.0.1:*".parse().unwrap();
    assert_eq!(call(&Grants::new(), "udp", 0).0.unwrap(), DENIED);
    assert_eq!(call(&Grants::new().udp(), "udp", 0).0.unwrap(), DENIED);
    assert_eq!(call(&Grants::new().network(rule()), "udp", 0).0.unwrap(), DENIED);
    assert_eq!(call(&Grants::new().network(rule()).udp(), "udp", 0).0.unwrap(), 0);
}

/// Answers nobody until it is let go.
struct Hangs(Mutex<Receiver<()>>);

impl Resolver for Hangs {
    fn resolve(&self, _: &str) -> io::Result<Vec<IpAddr>> {
        let receiver = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        receiver.recv().unwrap_or_default();
        Err(io::Error::other("let go"))
    }
}

#[test]
fn names_that_are_looked_up_at_once_are_bounded() {
    let (let_go, hangs) = mpsc::channel();
    let grants = Grants::new()
        .network("a.example:443".parse().unwrap())
        .resolver(Arc::new(Hangs(Mutex::new(hangs))));
    assert_eq!(call(&grants, "lookups", 100).0.unwrap(), 16);
    drop::<Sender<()>>(let_go);
}
