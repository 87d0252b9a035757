//! A loaded plugin: what it is, what it uses, and how it goes.

use crate::grants::Effective;
use crate::inspect::Identity;
use crate::options::Policy;
use crate::per_call::Pen;
use crate::place::Place;
use crate::plugin::Plugin;
use crate::wasi::Printed;
use ringbox_ring::{Attached, Link, UnloadError};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// A plugin that was loaded from a component. Dropping it unloads it without grace.
#[must_use = "dropping it unloads the plugin"]
pub struct Loaded {
    attached: Attached,
    about: About,
    plugin: Arc<Plugin>,
    places: Box<[Weak<Place>]>,
    identity: Identity,
    sha256: String,
    pen: Option<Arc<Pen>>,
}

/// How a plugin is run.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct About {
    /// How many instances it has.
    pub policy: Policy,
    /// Whether their memory comes from a pool. Where one was wanted and could not be had, they are
    /// made on demand, which is slower.
    pub pooled: bool,
    /// Whether its calls may run on their caller's thread.
    pub inline: bool,
}

/// What a plugin uses, and has cost.
#[derive(Debug, Copy, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// Instances that run just now, or are being replaced.
    pub busy: usize,
    /// Calls, data and wakes that wait for their turn.
    pub queued: usize,
    /// Instances that were lost, since it was loaded.
    pub instances_lost: u64,
    /// Lines of log that were too many, since it was loaded.
    pub suppressed_lines: u64,
}

impl Loaded {
    pub(crate) fn new(
        attached: Attached,
        about: About,
        plugin: Arc<Plugin>,
        places: &[Arc<Place>],
        pen: Option<Arc<Pen>>,
        identity: Identity,
        sha256: String,
    ) -> Self {
        let places = places.iter().map(Arc::downgrade).collect();
        Self { attached, about, plugin, places, pen, identity, sha256 }
    }

    /// What it says its name is, where it says so.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.identity.name.as_deref()
    }

    /// What it says its version is, where it says so.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.identity.version.as_deref()
    }

    /// The SHA-256 of the component's bytes, in hexadecimal.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// The handle to call through.
    #[must_use]
    pub fn link(&self) -> Link {
        self.attached.link()
    }

    /// How it is run.
    #[must_use]
    pub fn about(&self) -> About {
        self.about
    }

    /// What it was granted, of what it asks for.
    #[must_use]
    pub fn effective(&self) -> &Effective {
        &self.plugin.effective
    }

    /// What its instances have printed.
    #[must_use]
    pub fn printed(&self) -> &Printed {
        &self.plugin.printed
    }

    /// What it uses.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let places = || self.places.iter().filter_map(Weak::upgrade);
        Usage {
            busy: places().filter(|place| place.turn.is_held()).count(),
            queued: places().map(|place| place.turn.queued()).sum::<usize>()
                + self.pen.as_ref().map_or(0, |pen| pen.waiting()),
            instances_lost: places().map(|place| place.lost()).sum(),
            suppressed_lines: self.plugin.log.suppressed(),
        }
    }

    /// The owner's end of the plugin.
    pub fn into_attached(self) -> Attached {
        self.attached
    }

    /// Takes the plugin out, as [`Link::unload`] does.
    ///
    /// # Errors
    /// Those of [`Link::unload`].
    pub fn unload(&self, grace: Duration) -> Result<(), UnloadError> {
        self.link().unload(grace)
    }
}

impl std::fmt::Debug for Loaded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loaded").field("link", &self.link()).field("about", &self.about).finish()
    }
}

/// A small plugin, for unit tests.
#[cfg(test)]
pub(crate) fn small(options: &crate::WasmOptions) -> Loaded {
    let text = include_str!("../tests/small/guest.wat")
        .replace("{{init}}", "")
        .replace("{{shutdown}}", "")
        .replace("{{version}}", "1.0.0")
        .replace("{{pages}}", "1")
        .replace("{{table}}", "1");
    crate::load_bytes(&wat::parse_str(text).unwrap(), "guest", options).unwrap()
}

#[cfg(test)]
impl Loaded {
    /// Its first place.
    pub(crate) fn place(&self) -> Arc<Place> {
        self.places[0].upgrade().unwrap()
    }

    /// A backend of the same places.
    pub(crate) fn backend(&self) -> crate::backend::Places {
        let places = self.places.iter().map(|place| place.upgrade().unwrap());
        crate::backend::Places::new(self.plugin.clone(), places.collect())
    }
}
