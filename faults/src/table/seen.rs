//! What a caller saw of a fault, in words that are the same on every machine.

use crate::ground::serves;
use ringbox::{
    CallError, ComponentLoadError, Fault, LoadError, Plugin, ReloadError, Reply, UnloadError,
};
use std::fmt::{Debug, Display};

/// What a caller saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The error's name, or the answer's.
    pub name: String,
    /// What it says.
    pub words: String,
    /// What became of the plugin.
    pub then: Then,
}

/// What became of the plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The next call is answered.
    Serves,
    /// It takes no calls for a while.
    Rests,
    /// There is no such plugin: it was not loaded, or is gone.
    None,
}

impl Then {
    /// Looks.
    #[must_use]
    pub fn of(plugin: &Plugin) -> Self {
        if !plugin.is_loaded() {
            return Self::None;
        }
        assert!(serves(plugin), "after its fault the plugin does not serve");
        Self::Serves
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Serves => "serves on",
            Self::Rests => "rests",
            Self::None => "none",
        }
    }
}

impl Seen {
    /// What came of a call.
    #[must_use]
    #[track_caller]
    pub fn call(plugin: &Plugin, result: &Result<Reply, CallError>) -> Self {
        Self { then: Then::of(plugin), ..Self::result(result) }
    }

    /// The same where nothing is left to look at.
    #[must_use]
    pub fn result(result: &Result<Reply, CallError>) -> Self {
        match result {
            Ok(reply) => {
                let words = match std::str::from_utf8(reply) {
                    Ok("") => "no bytes".to_owned(),
                    Ok(text) if text.len() < 40 => format!("the bytes “{text}”"),
                    _ => format!("{} bytes", reply.len()),
                };
                let name = format!("Status::{}", variant(&reply.status()));
                Self { name, words, then: Then::None }
            }
            Err(error) => Self { name: name_of(error), words: error.to_string(), then: Then::None },
        }
    }

    /// An error of something that isn't answered by a plugin.
    #[must_use]
    #[track_caller]
    pub fn refused(plugin: &Plugin, error: &CallError) -> Self {
        Self { name: name_of(error), words: error.to_string(), then: Then::of(plugin) }
    }

    /// What happened, where that is no error.
    #[must_use]
    #[track_caller]
    pub fn nothing(plugin: &Plugin, words: impl Into<String>) -> Self {
        Self { name: "no error".to_owned(), words: words.into(), then: Then::of(plugin) }
    }

    /// Why it was not loaded.
    #[must_use]
    #[track_caller]
    pub fn load(result: Result<Plugin, LoadError>) -> Self {
        let error = result.expect_err("it is not loaded");
        Self { name: name_of_load(&error), words: error.to_string(), then: Then::None }
    }

    /// Why it was not reloaded.
    #[must_use]
    #[track_caller]
    pub fn reload(plugin: &Plugin, result: Result<(), ReloadError>) -> Self {
        let error = result.expect_err("it is not reloaded");
        let name = match &error {
            ReloadError::Load(error) => format!("ReloadError::Load, {}", name_of_load(error)),
            error => format!("ReloadError::{}", variant(error)),
        };
        Self { name, words: error.to_string(), then: Then::of(plugin) }
    }

    /// How unloading it went.
    #[must_use]
    pub fn unload(result: Result<(), UnloadError>) -> Self {
        match result {
            Ok(()) => Self::gone("it is unloaded"),
            Err(error) => Self {
                name: format!("UnloadError::{}", variant(&error)),
                words: error.to_string(),
                then: Then::None,
            },
        }
    }

    /// There is nothing any more, which is as it should be.
    #[must_use]
    pub fn gone(words: &str) -> Self {
        Self { name: "no error".to_owned(), words: words.to_owned(), then: Then::None }
    }

    /// The same for words with sizes or places that differ from machine to machine: they end there.
    #[must_use]
    pub fn up_to(mut self, mark: &str) -> Self {
        if let Some((first, _)) = self.words.split_once(mark) {
            self.words = format!("{first}{mark} ..");
        }
        self
    }

    /// The same with numbers that differ from machine to machine left out.
    #[must_use]
    pub fn roughly(mut self) -> Self {
        let mut words = String::new();
        for c in self.words.chars() {
            match c {
                '0'..='9' if words.ends_with('N') => {}
                '0'..='9' => words.push('N'),
                _ => words.push(c),
            }
        }
        self.words = words;
        self
    }
}

/// The name of an enum's variant, as its `Debug` has it.
fn variant(value: &impl Debug) -> String {
    let text = format!("{value:?}");
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// The name of a call's error.
#[must_use]
pub(crate) fn name_of(error: &CallError) -> String {
    match error.fault() {
        Some(Fault::Trapped(trapped)) => {
            format!("Fault::Trapped, TrapCause::{}", variant(&trapped.cause))
        }
        Some(fault) => format!("Fault::{}", variant(fault)),
        None => format!("CallError::{}", variant(error)),
    }
}

pub(crate) fn name_of_load(error: &LoadError) -> String {
    match error {
        LoadError::Native { source, .. } => format!("NativeLoadError::{}", variant(source)),
        LoadError::Component { source: ComponentLoadError::Inspect(error), .. } => {
            format!("ComponentInspectError::{}", variant(error))
        }
        LoadError::Component { source: ComponentLoadError::Trapped(trapped), .. } => {
            format!("ComponentLoadError::Trapped, TrapCause::{}", variant(&trapped.cause))
        }
        LoadError::Component { source, .. } => format!("ComponentLoadError::{}", variant(source)),
        error => format!("LoadError::{}", variant(error)),
    }
}

/// As a cell of a table.
pub(super) fn quoted(text: &dyn Display) -> String {
    text.to_string().replace('|', "\\|").replace(['\n', '\r'], " ")
}
