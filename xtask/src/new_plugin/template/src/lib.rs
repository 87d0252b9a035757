//! What this plugin does, in a line. `README.md` says how it is built and tested.

use ringbox_guest::{Error, Host, Plugin, Request, sleep};
use std::time::Duration;

/// One of it is made when the plugin is loaded. What it keeps between calls is in its fields.
struct PluginName;

impl Plugin for PluginName {
    fn new(_host: &Host) -> Result<Self, Error> {
        Ok(PluginName)
    }
}

impl PluginName {
    /// An entry: what it takes is the call's payload, and what it returns is the answer.
    fn greet(&self, name: &str) -> String {
        format!("Hello, {name}!")
    }

    /// An entry that waits. It needs no thread, and holds nobody up.
    async fn greet_later(&self, name: String) -> String {
        sleep(Duration::from_millis(100)).await;
        self.greet(&name)
    }

    /// Whole requests: method, path, query, headers and body.
    fn request(&self, request: Request<'_>) -> String {
        format!("OK: {} {}", request.method(), request.path())
    }
}

ringbox_guest::plugin! {
    type: PluginName,
    entries: {
        "greet" => PluginName::greet,
        "greet-later" => async PluginName::greet_later,
    },
    requests: PluginName::request,
}
