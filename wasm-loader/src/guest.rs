//! What a plugin exports: looked up and checked once a component, then taken from each instance.

#![expect(unsafe_code, reason = "an export's type is checked once, not for every instance")]

use crate::error::LoadError;
use crate::state::State;
use crate::wire::{WireRequest, WireStatus};
use wasmtime::Store;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{
    Component, ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower,
    TypedFunc,
};

macro_rules! exports {
    ($($(#[$doc:meta])* $field:ident, $find:ident: $interface:literal, $name:literal,
        ($($param:ty),*) -> ($($return:ty)?);)*) => {
        /// Where a component's exports are.
        pub(crate) struct Guest {
            $($(#[$doc])* $field: export!($find, ComponentExportIndex),)*
        }

        /// An instance's exports.
        #[derive(Copy, Clone)]
        pub(crate) struct Exports {
            $($(#[$doc])* pub(crate) $field:
                export!($find, TypedFunc<($($param,)*), ($($return,)?)>),)*
        }

        impl Guest {
            /// Finds what a component exports, and checks the types.
            pub(crate) fn find(
                component: &Component,
                pre: &InstancePre<State>,
            ) -> Result<Self, LoadError> {
                let found = Finder { component, pre };
                Ok(Self {
                    $($field: found.$find::<($($param,)*), ($($return,)?)>($interface, $name)?,)*
                })
            }

            /// The same of an instance.
            pub(crate) fn of(&self, store: &mut Store<State>, instance: &Instance) -> Exports {
                Exports {
                    $($field: take!($find, self.$field, |index| {
                        let function = instance.get_func(&mut *store, index);
                        let function = function.expect("the component has it, so its instances do");
                        // SAFETY: `find` checked that the component's export of this index has this
                        // type, and the instance is one of that component's.
                        unsafe { TypedFunc::new_unchecked(function) }
                    }),)*
                }
            }
        }
    };
}

macro_rules! export {
    (needed, $type:ty) => { $type };
    (offered, $type:ty) => { Option<$type> };
}

macro_rules! take {
    (needed, $index:expr, |$name:ident| $take:expr) => {{
        let $name = &$index;
        $take
    }};
    (offered, $index:expr, |$name:ident| $take:expr) => {
        $index.as_ref().map(|$name| $take)
    };
}

exports! {
    /// Called once, before all else.
    init, needed: "nylon:ring/guest@1.0.0", "init", () -> (WireStatus);
    /// Takes a request.
    handle, needed: "nylon:ring/guest@1.0.0", "handle",
        (u64, WireRequest<'static>, &'static [u8]) -> (WireStatus);
    /// Called once, at the end.
    shutdown, needed: "nylon:ring/guest@1.0.0", "shutdown", () -> ();
    /// The number of an entry.
    resolve_entry, offered: "nylon:ring-ext/entries@0.1.0", "resolve-entry",
        (&'static str) -> (Option<u32>);
    /// Takes a call by number.
    handle_entry, offered: "nylon:ring-ext/entries@0.1.0", "handle-entry",
        (u32, u64, &'static [u8]) -> (WireStatus);
    /// Takes data.
    stream_data, offered: "nylon:ring-ext/data@0.1.0", "stream-data",
        (u64, &'static [u8]) -> (WireStatus);
    /// Hears that no more data comes.
    stream_close, offered: "nylon:ring-ext/data@0.1.0", "stream-close", (u64) -> (WireStatus);
    /// Hears of cancelled requests.
    cancel, offered: "nylon:ring-ext/cancellation@0.1.0", "cancel", (u64) -> ();
    /// Is woken.
    wake, offered: "nylon:ring-ext/wakeable@0.1.0", "wake", (u64) -> ();
}

impl Guest {
    /// Whether a wake has somewhere to go.
    pub(crate) fn can_wake(&self) -> bool {
        self.wake.is_some()
    }

    /// Whether streams take data.
    pub(crate) fn takes_data(&self) -> bool {
        self.stream_data.is_some()
    }

    /// Whether the plugin is told of cancelled calls.
    pub(crate) fn hears_cancel(&self) -> bool {
        self.cancel.is_some()
    }

    /// Whether entries have numbers.
    pub(crate) fn has_numbers(&self) -> bool {
        self.resolve_entry.is_some()
    }
}

struct Finder<'a> {
    component: &'a Component,
    pre: &'a InstancePre<State>,
}

impl Finder<'_> {
    fn needed<P, R>(
        &self,
        interface: &'static str,
        name: &'static str,
    ) -> Result<ComponentExportIndex, LoadError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        self.offered::<P, R>(interface, name)?
            .ok_or(LoadError::NoExport { interface, function: name })
    }

    /// None where the component doesn't export the interface at all.
    fn offered<P, R>(
        &self,
        interface: &'static str,
        name: &'static str,
    ) -> Result<Option<ComponentExportIndex>, LoadError>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let Some((item, instance)) = self.component.get_export(None, interface) else {
            return self.other_version(interface).map(|()| None);
        };
        let ComponentItem::ComponentInstance(_) = item else {
            return Err(LoadError::NoExport { interface, function: name });
        };
        let found = self.component.get_export(Some(&instance), name);
        let Some((ComponentItem::ComponentFunc(function), index)) = found else {
            return Err(LoadError::NoExport { interface, function: name });
        };
        match function.typecheck::<P, R>(&self.pre.instance_type()) {
            Ok(()) => Ok(Some(index)),
            Err(source) => {
                Err(LoadError::WrongType { interface, function: name, source: source.into() })
            }
        }
    }

    /// An interface that isn't there may be there in a version that isn't compatible.
    fn other_version(&self, spoken: &'static str) -> Result<(), LoadError> {
        let name = spoken.split_inclusive('@').next().unwrap_or(spoken);
        let component = self.component.component_type();
        let mut exports = component.exports(self.component.engine());
        match exports.find(|(other, _)| other.starts_with(name)) {
            Some((found, _)) => Err(LoadError::Version { found: found.to_owned(), spoken }),
            None => Ok(()),
        }
    }
}
