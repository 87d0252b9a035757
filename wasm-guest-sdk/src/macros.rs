//! [`plugin!`](crate::plugin!): takes the keys one by one, and leaves everything that isn't a name or
//! a list to ordinary code.

/// Makes the crate a plugin, for whichever wall it is built.
///
/// ```
/// use ringbox_guest::{Call, Deferred, Error, Host, Plugin, Refused, Request, Status, sleep};
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::time::Duration;
///
/// struct Greeter { greeted: AtomicU64 }
///
/// impl Plugin for Greeter {
///     fn new(_host: &Host) -> Result<Self, Error> {
///         Ok(Self { greeted: AtomicU64::new(0) })
///     }
/// }
///
/// impl Greeter {
///     fn echo<'a>(&self, payload: &'a [u8]) -> &'a [u8] {
///         payload
///     }
///
///     fn greet(&self, name: &str) -> String {
///         self.greeted.fetch_add(1, Ordering::Relaxed);
///         format!("Hello, {name}!")
///     }
///
///     async fn slow(&self, payload: Vec<u8>) -> Vec<u8> {
///         sleep(Duration::from_millis(500)).await;
///         payload
///     }
///
///     async fn count(&self, Deferred { call: frames, responder }: Deferred<&str>) {
///         let Ok(frames) = frames.parse::<u32>() else {
///             return responder.answer(Status::Invalid);
///         };
///         for number in 0..frames {
///             if responder.send(&number.to_le_bytes()).await.is_err() {
///                 return; // the reader has left
///             }
///         }
///         responder.end();
///     }
///
///     fn request(&self, request: Request<'_>) -> String {
///         format!("{} {}", request.method(), request.path())
///     }
/// }
///
/// ringbox_guest::plugin! {
///     type: Greeter,
///     entries: {
///         "echo" => Greeter::echo,
///         "greet" => Greeter::greet,
///         "slow" => async Greeter::slow,
///         "count" => async Greeter::count,
///     },
///     requests: Greeter::request,
/// #   exports: none,
/// }
/// # fn main() {}
/// ```
///
/// # Keys
///
/// `type` comes first. The others are optional, in any order.
///
/// | key | value |
/// |---|---|
/// | `type` | the type that implements [`Plugin`](crate::Plugin) |
/// | `entries` | `{ "name" => handler, "name" => async handler, .. }` |
/// | `requests` | `handler` or `async handler`, for whole requests; they are refused without it |
/// | `name`, `version` | text; the package's name and version if left out |
/// | `asks` | what it needs of its sandbox, and no more: `["env GREETING", "net api.example.com:443"]` |
/// | `exports` | `none` for no symbols: several plugins then fit one program, as in tests |
///
/// A handler is `fn(&self, A) -> R`, or `async fn(&self, A) -> R`. [`FromCall`](crate::FromCall) says
/// what `A` may be, [`IntoReply`](crate::IntoReply) what `R` may be.
///
/// Entries are numbered by their place.
///
/// A plugin that asks gets no more of what its operator grants than it asks for, and what it asks for
/// in vain is told at load. A line is `env NAME`, `read /PATH`, `write /PATH`, `net HOST:PORT`, `udp`,
/// `clocks`, `random`, or `waiting`; `[]` is for nothing at all. One that doesn't ask may use all that it
/// is granted. A shared library has no such wall, and asks nobody.
///
/// # What does not compile
///
/// Two entries of one name:
///
/// ```compile_fail,E0080
/// # use ringbox_guest::{Error, Host, Plugin};
/// # struct Twice;
/// # impl Plugin for Twice { fn new(_: &Host) -> Result<Self, Error> { Ok(Self) } }
/// # impl Twice { fn echo(&self, payload: Vec<u8>) -> Vec<u8> { payload } }
/// ringbox_guest::plugin! { type: Twice, entries: { "echo" => Twice::echo, "echo" => Twice::echo } }
/// # fn main() {}
/// ```
///
/// An answer beside a responder, which would be two:
///
/// ```compile_fail,E0277
/// # use ringbox_guest::{Deferred, Error, Host, Plugin};
/// # struct Both;
/// # impl Plugin for Both { fn new(_: &Host) -> Result<Self, Error> { Ok(Self) } }
/// impl Both {
///     fn both(&self, call: Deferred<()>) -> String {
///         call.responder.answer("one");
///         "two".to_owned()
///     }
/// }
/// ringbox_guest::plugin! { type: Both, entries: { "both" => Both::both }, exports: none }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! plugin {
    (type: $plugin:ty $(, $($keys:tt)*)?) => {
        $crate::__plugin! {
            @ [$plugin] [env!("CARGO_PKG_NAME")] [env!("CARGO_PKG_VERSION")] [] [all] [] []
            $($($keys)*)?
        }
    };
    ($($other:tt)*) => {
        ::core::compile_error!("plugin!: begin with `type: YourPlugin,`");
    };
}

/// One key after the other moves from the end into its place:
/// `@ [type] [name] [version] [asks] [exports] [entries] [requests] keys ..`
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin {
    (@ [$p:ty] [$n:expr] [$v:expr] $a:tt [$x:ident] [$($e:tt)*] [$($r:tt)*]
        name: $value:expr $(, $($rest:tt)*)?) => {
        $crate::__plugin! { @ [$p] [$value] [$v] $a [$x] [$($e)*] [$($r)*] $($($rest)*)? }
    };
    (@ [$p:ty] [$n:expr] [$v:expr] $a:tt [$x:ident] [$($e:tt)*] [$($r:tt)*]
        version: $value:expr $(, $($rest:tt)*)?) => {
        $crate::__plugin! { @ [$p] [$n] [$value] $a [$x] [$($e)*] [$($r)*] $($($rest)*)? }
    };
    (@ [$p:ty] [$n:expr] [$v:expr] [] [$x:ident] [$($e:tt)*] [$($r:tt)*]
        asks: [$($line:expr),* $(,)?] $(, $($rest:tt)*)?) => {
        $crate::__plugin! {
            @ [$p] [$n] [$v] [[$($line),*]] [$x] [$($e)*] [$($r)*] $($($rest)*)?
        }
    };
    (@ [$p:ty] [$n:expr] [$v:expr] $a:tt [$x:ident] [$($e:tt)*] [$($r:tt)*]
        exports: none $(, $($rest:tt)*)?) => {
        $crate::__plugin! { @ [$p] [$n] [$v] $a [none] [$($e)*] [$($r)*] $($($rest)*)? }
    };
    (@ [$p:ty] [$n:expr] [$v:expr] $a:tt [$x:ident] [] [$($r:tt)*]
        entries: { $($entries:tt)* } $(, $($rest:tt)*)?) => {
        $crate::__plugin_entries! {
            [$p] [$n] [$v] $a [$x] [] [$($r)*] [$($($rest)*)?] $($entries)*
        }
    };
    (@ [$p:ty] [$n:expr] [$v:expr] $a:tt [$x:ident] [$($e:tt)*] []
        requests: async $handler:expr $(, $($rest:tt)*)?) => {
        $crate::__plugin! {
            @ [$p] [$n] [$v] $a [$x] [$($e)*] [$crate::__plugin_handler!([$p] async $handler)]
            $($($rest)*)?
        }
    };
    (@ [$p:ty] [$n:expr] [$v:expr] $a:tt [$x:ident] [$($e:tt)*] []
        requests: $handler:expr $(, $($rest:tt)*)?) => {
        $crate::__plugin! {
            @ [$p] [$n] [$v] $a [$x] [$($e)*] [$crate::__plugin_handler!([$p] $handler)]
            $($($rest)*)?
        }
    };
    (@ [$p:ty] [$n:expr] [$v:expr] $a:tt [$x:ident] [$($e:tt)*] [$($r:tt)*]
        $key:ident : $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "plugin!: there is no key `", ::core::stringify!($key),
            "`, or it is given twice, or its value has another form"
        ));
    };
    (@ [$p:ty] [$n:expr] [$v:expr] $a:tt [$x:ident] [$([$name:expr, $handler:expr])*] [$($r:expr)?]) => {
        const _: () = $crate::inside::distinct(&[$($name),*]);
        $crate::__plugin_asks! { $a }
        $crate::__plugin_wall! { [$p] [$n] [$v] $a [$x] [$([$name, $handler])*] [$($r)?] }
    };
    (@ [$p:ty] [$n:expr] [$v:expr] $a:tt [$x:ident] [$($e:tt)*] [$($r:tt)*] $($rest:tt)+) => {
        ::core::compile_error!(::core::concat!(
            "plugin!: no key begins with `", ::core::stringify!($($rest)+), "`"
        ));
    };
}

/// One entry after the other.
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin_entries {
    ([$p:ty] [$n:expr] [$v:expr] $a:tt [$x:ident] [$($e:tt)*] [$($r:tt)*] [$($rest:tt)*]
        $name:expr => async $handler:expr $(, $($more:tt)*)?) => {
        $crate::__plugin_entries! {
            [$p] [$n] [$v] $a [$x]
            [$($e)* [$name, $crate::__plugin_handler!([$p] async $handler)]]
            [$($r)*] [$($rest)*] $($($more)*)?
        }
    };
    ([$p:ty] [$n:expr] [$v:expr] $a:tt [$x:ident] [$($e:tt)*] [$($r:tt)*] [$($rest:tt)*]
        $name:expr => $handler:expr $(, $($more:tt)*)?) => {
        $crate::__plugin_entries! {
            [$p] [$n] [$v] $a [$x]
            [$($e)* [$name, $crate::__plugin_handler!([$p] $handler)]]
            [$($r)*] [$($rest)*] $($($more)*)?
        }
    };
    ([$p:ty] [$n:expr] [$v:expr] $a:tt [$x:ident] [$($e:tt)*] [$($r:tt)*] [$($rest:tt)*]) => {
        $crate::__plugin! { @ [$p] [$n] [$v] $a [$x] [$($e)*] [$($r)*] $($rest)* }
    };
}

/// What an author's handler becomes: a closure of the plugin and the call, and whether it is async.
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin_handler {
    ([$p:ty] async $handler:expr) => {
        $crate::inside::Handler {
            waits: true,
            run: |shared: &$crate::inside::Arc<$crate::inside::Shared<$p>>,
                  incoming: $crate::inside::Arrived<'_>|
             -> $crate::inside::Outcome {
                let task = $crate::inside::Arc::clone(shared);
                let incoming = incoming.keep();
                shared.spawn(incoming.sid(), async move {
                    match $crate::inside::extract(&task, incoming.borrow()) {
                        Ok((call, wanted, when)) => {
                            let returned = ($handler)(&task.plugin, wanted).await;
                            $crate::inside::conclude(call, when, returned)
                        }
                        Err(outcome) => outcome,
                    }
                })
            },
        }
    };
    ([$p:ty] $handler:expr) => {
        $crate::inside::Handler {
            waits: false,
            run: |shared: &$crate::inside::Arc<$crate::inside::Shared<$p>>,
                  incoming: $crate::inside::Arrived<'_>|
             -> $crate::inside::Outcome {
                match $crate::inside::extract(shared, incoming.borrow()) {
                    Ok((call, wanted, when)) => {
                        $crate::inside::settle(call, when, || ($handler)(&shared.plugin, wanted))
                    }
                    Err(outcome) => outcome,
                }
            },
        }
    };
}

/// Looks at the lines behind either wall, though only a sandbox heeds them.
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin_asks {
    ([]) => {};
    ([[$($line:expr),*]]) => {
        const _: () = $crate::inside::understood(&[$($line),*]);
    };
}

/// Behind the native wall it is `define_plugin!` that makes the plugin.
#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin_wall {
    ([$p:ty] [$n:expr] [$v:expr] $a:tt [all] $entries:tt $requests:tt) => {
        $crate::__plugin_native! { [$p] [$n] [$v] [] $entries $requests }
    };
    ([$p:ty] [$n:expr] [$v:expr] $a:tt [none] $entries:tt $requests:tt) => {
        $crate::__plugin_native! { [$p] [$n] [$v] [exports: none,] $entries $requests }
    };
}

#[cfg(not(target_family = "wasm"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin_native {
    ([$p:ty] [$n:expr] [$v:expr] [$($x:tt)*] [$([$name:expr, $handler:expr])*] [$($r:expr)?]) => {
        $crate::inside::abi::define_plugin! {
            name: $n,
            version: $v,
            state: $crate::native::State<$p>,
            init: $crate::native::start::<$p>,
            entries: {
                $($name => |cx: &$crate::inside::abi::plugin::Cx<$crate::native::State<$p>>,
                            sid: u64,
                            payload: &[u8]| {
                    $crate::native::entry(cx, sid, $name, payload, $handler)
                },)*
            },
            $(fallback: |cx: &$crate::inside::abi::plugin::Cx<$crate::native::State<$p>>,
                         sid: u64,
                         request: $crate::inside::abi::RequestView<'_>,
                         payload: &[u8]| {
                $crate::native::request(cx, sid, request, payload, $r)
            },)?
            stream_data: $crate::native::data::<$p>,
            stream_close: $crate::native::close::<$p>,
            cancel: $crate::native::cancel::<$p>,
            wake: $crate::native::wake::<$p>,
            shutdown: $crate::native::stop::<$p>,
            quiescent: <$p as $crate::Plugin>::quiescent,
            $($x)*
        }
    };
}

/// In the sandbox it is the exports that were generated of the WIT.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin_wall {
    ([$p:ty] [$n:expr] [$v:expr] $a:tt [$x:ident] [$([$name:expr, $handler:expr])*] [$($r:expr)?]) => {
        struct __RingboxComponent;

        impl $crate::sandbox::Component for __RingboxComponent {
            type Plugin = $p;

            const ENTRIES: &'static [$crate::sandbox::Entry<$p>] =
                &[$($crate::sandbox::Entry { name: $name, handler: $handler }),*];

            const REQUESTS: ::core::option::Option<$crate::sandbox::Handler<$p>> =
                $crate::__plugin_some!($($r)?);

            fn instance() -> &'static $crate::sandbox::Instance<$p> {
                static INSTANCE: $crate::sandbox::Instance<$p> = $crate::sandbox::Instance::new();
                &INSTANCE
            }
        }

        $crate::__plugin_export! { $x [$n] [$v] $a }
    };
}

#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin_some {
    () => {
        ::core::option::Option::None
    };
    ($value:expr) => {
        ::core::option::Option::Some($value)
    };
}

#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin_export {
    (all [$n:expr] [$v:expr] $a:tt) => {
        $crate::sandbox::bindings::export!(
            __RingboxComponent with_types_in $crate::sandbox::bindings
        );
        $crate::__plugin_section! { "ringbox:plugin" ["name ", $n, "\nversion ", $v] }
        $crate::__plugin_ask_section! { $a }
    };
    (none $n:tt $v:tt $a:tt) => {};
}

/// What the component says of itself, beside its code.
#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin_section {
    ($section:literal [$($part:expr),*]) => {
        const _: () = {
            const PARTS: &[&str] = &[$($part),*];
            #[unsafe(link_section = $section)]
            static TEXT: [u8; $crate::sandbox::len(PARTS)] = $crate::sandbox::text(PARTS);
        };
    };
}

#[cfg(target_family = "wasm")]
#[doc(hidden)]
#[macro_export]
macro_rules! __plugin_ask_section {
    ([]) => {};
    // Who asks for nothing says so too: a section without a byte would be none.
    ([[$($line:expr),*]]) => {
        $crate::__plugin_section! { "ringbox:ask" ["#" $(, "\n", $line)*] }
    };
}
