//! What an idle instance keeps in memory.

mod support;

use ringbox_ring::Invocation;
use ringbox_wasm::{Policy, WasmOptions, load};
use support::{BARE, guest};

/// How much of this process is resident, in KiB.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn an_idle_instance_keeps_at_most_256_kib() {
    const INSTANCES: i64 = 64;
    let path = guest("bench", BARE);
    let used = |policy| {
        let plugin = load(&path, "resident", &WasmOptions::new().policy(policy)).unwrap();
        for _ in 0..3 {
            let call = plugin.link().call(&Invocation::entry("echo", &[7; 4096]));
            assert_eq!(call.unwrap().wait().unwrap().len(), 4096);
        }
        plugin
    };
    // One of its own, made on demand, and one from a pool.
    for policy in [Policy::Single, Policy::Pool(1)] {
        // What the process needs once: the compiler, the engine, threads.
        let first = used(policy);
        let before = resident();
        let many: Vec<_> = (0..INSTANCES).map(|_| used(policy)).collect();
        let each = (resident() - before) / INSTANCES;
        eprintln!("{each} KiB for each idle instance ({policy:?})");
        assert!(each <= 256, "{each} KiB for each idle instance ({policy:?})");
        drop((first, many));
    }
}
