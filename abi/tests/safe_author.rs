//! A plugin's author writes no `unsafe`, also where it is forbidden; the exports included.

#![forbid(unsafe_code)]

use ringbox_abi::{define_plugin, plugin::Cx};

#[derive(Default)]
struct Count(std::sync::atomic::AtomicU64);

fn count(cx: &Cx<Count>, _sid: u64, _payload: &[u8]) -> String {
    cx.state().0.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string()
}

define_plugin! { state: Count, entries: { "count" => count } }

#[test]
fn a_plugin_needs_no_unsafe_of_its_author() {
    assert!(!nylon_ring_get_plugin_v1().is_null());
    assert!(!nylon_ring_get_plugin_ext_v1().is_null());
    assert_eq!(nylon_ring_get_plugin_v1(), nylon_ring_get_plugin_v1());
}
