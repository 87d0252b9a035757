//! What plugins did, in numbers.

use crate::histogram::Latency;
use ringbox_ring::Metrics;

/// What one plugin did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginMetrics {
    /// The name that it was loaded under.
    pub name: String,
    /// How often it was reloaded.
    pub reloads: u64,
    /// Its calls since it was last loaded.
    pub calls: Metrics,
    /// How long calls took, over all of its loads, from a sample of them.
    pub latency: Latency,
}

/// What all plugins did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostMetrics {
    /// Each plugin that is loaded, by name.
    pub plugins: Vec<PluginMetrics>,
}

impl HostMetrics {
    /// The one that was loaded under `name`.
    pub fn plugin(&self, name: &str) -> Option<&PluginMetrics> {
        self.plugins.iter().find(|plugin| plugin.name == name)
    }
}
