//! [`define_plugin!`](crate::define_plugin): takes the keys one by one, in any order, and leaves
//! everything that isn't a name or a list to ordinary code in [`plugin`](crate::plugin).

/// Makes the crate a plugin: with version 1's export and the extension's.
///
/// ```
/// use ringbox_abi::{RequestView, Status, plugin::{Cx, Host, Later}};
///
/// struct Greeter { greeting: String }
///
/// fn start(host: Host) -> Result<Greeter, String> {
///     host.log(ringbox_abi::LogLevel::Info, "hello");
///     Ok(Greeter { greeting: "Hello".to_owned() })
/// }
///
/// fn echo(_sid: u64, payload: &[u8]) -> Vec<u8> {
///     payload.to_vec()
/// }
///
/// fn greet(cx: &Cx<Greeter>, _sid: u64, payload: &[u8]) -> Result<String, std::str::Utf8Error> {
///     Ok(format!("{}, {}!", cx.state().greeting, std::str::from_utf8(payload)?))
/// }
///
/// fn slowly(cx: &Cx<Greeter>, sid: u64, _payload: &[u8]) -> Later {
///     let responder = cx.responder(sid);
///     std::thread::spawn(move || responder.answer(Status::Ok, b"done"));
///     Later
/// }
///
/// fn request(_sid: u64, request: RequestView<'_>, _payload: &[u8]) -> String {
///     format!("{} {}", request.method(), request.path())
/// }
///
/// ringbox_abi::define_plugin! {
///     name: "greeter",
///     state: Greeter,
///     init: start,
///     entries: { "echo" => echo, "greet" => greet, "slowly" => slowly },
///     fallback: request,
/// }
///
/// assert!(!nylon_ring_get_plugin_v1().is_null());
/// assert!(!nylon_ring_get_plugin_ext_v1().is_null());
/// ```
///
/// # Keys
///
/// All are optional, in any order. A handler that wants the plugin's state or the host takes a
/// [`&Cx<State>`](crate::plugin::Cx) in front. Handlers are paths of functions (or closures whose
/// parameters have types); none may block.
///
/// | key | value |
/// |---|---|
/// | `name`, `version` | text; the package's name and version if left out |
/// | `state` | the type of the plugin's state, `Send + Sync`; `()` if left out |
/// | `init` | `fn(Host) -> Result<State, impl Display>`; `State::default()` if left out |
/// | `shutdown` | `fn()` or `fn(State)` |
/// | `entries` | `{ "name" => handler, .. }`, each `fn(sid, &[u8]) -> impl IntoReply` |
/// | `fallback` | `fn(sid, RequestView, &[u8]) -> impl IntoReply`, for all that no entry takes |
/// | `stream_data` | `fn(sid, &[u8]) -> impl IntoTaken` |
/// | `stream_close` | `fn(sid) -> impl IntoTaken` |
/// | `cancel` | `fn(sid) -> impl IntoTaken` |
/// | `wake` | `fn(token) -> impl IntoTaken` |
/// | `host_call_done` | `fn(token, Status, &[u8]) -> impl IntoTaken` |
/// | `quiescent` | `fn() -> bool`: whether all threads of the plugin's own are joined |
/// | `exports` | `none` for no symbols: several plugins then fit one program |
///
/// # What it answers
///
/// - A panic in an entry or in `fallback` is answered with [`Status::Panic`](crate::Status::Panic)
///   and its message; in `stream_data` and `stream_close` it ends the stream so; in the others it is
///   logged. Nothing unwinds over the boundary. (With `panic = "abort"` there is nothing to catch.)
/// - An entry that isn't there is refused as unsupported if there is no `fallback`. A handler refuses
///   by [`Reply::Refused`](crate::plugin::Reply::Refused).
/// - A wrong context, a broken request or payload, a second `init`, a call before `init`: invalid.
///
/// Two entries of one name don't compile:
///
/// ```compile_fail,E0080
/// fn echo(_sid: u64, payload: &[u8]) -> Vec<u8> { payload.to_vec() }
/// ringbox_abi::define_plugin! { name: "twice", entries: { "echo" => echo, "echo" => echo } }
/// # fn main() {}
/// ```
///
/// Nor does a key given twice, an unknown one, or a handler of another shape:
///
/// ```compile_fail,E0080
/// ringbox_abi::define_plugin! { cancel: |_sid: u64| {}, cancel: |_sid: u64| {} }
/// # fn main() {}
/// ```
///
/// ```compile_fail
/// ringbox_abi::define_plugin! { colour: "red" }
/// # fn main() {}
/// ```
///
/// ```compile_fail,E0277
/// fn echo(payload: String) -> String { payload }
/// ringbox_abi::define_plugin! { entries: { "echo" => echo } }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! define_plugin {
    ($($keys:tt)*) => {
        $crate::__define_plugin! {
            @ [()] [$crate::plugin::default_init] [env!("CARGO_PKG_NAME")]
            [env!("CARGO_PKG_VERSION")] [#[unsafe(no_mangle)]] []
            $($keys)*
        }
    };
}

/// One key after the other moves from the end into its place:
/// `@ [state] [init] [name] [version] [attributes of the exports] [calls on the spec] keys ..`
#[doc(hidden)]
#[macro_export]
macro_rules! __define_plugin {
    (@ [$s:ty] [$i:expr] [$n:expr] [$v:expr] [$($a:tt)*] [$($c:tt)*]
        name: $x:expr $(, $($rest:tt)*)?) => {
        $crate::__define_plugin! {
            @ [$s] [$i] [$x] [$v] [$($a)*] [$($c)*] $($($rest)*)?
        }
    };
    (@ [$s:ty] [$i:expr] [$n:expr] [$v:expr] [$($a:tt)*] [$($c:tt)*]
        version: $x:expr $(, $($rest:tt)*)?) => {
        $crate::__define_plugin! {
            @ [$s] [$i] [$n] [$x] [$($a)*] [$($c)*] $($($rest)*)?
        }
    };
    (@ [$s:ty] [$i:expr] [$n:expr] [$v:expr] [$($a:tt)*] [$($c:tt)*]
        state: $x:ty $(, $($rest:tt)*)?) => {
        $crate::__define_plugin! {
            @ [$x] [$i] [$n] [$v] [$($a)*] [$($c)*] $($($rest)*)?
        }
    };
    (@ [$s:ty] [$i:expr] [$n:expr] [$v:expr] [$($a:tt)*] [$($c:tt)*]
        init: $x:expr $(, $($rest:tt)*)?) => {
        $crate::__define_plugin! {
            @ [$s] [$x] [$n] [$v] [$($a)*] [$($c)*] $($($rest)*)?
        }
    };
    (@ [$s:ty] [$i:expr] [$n:expr] [$v:expr] [$($a:tt)*] [$($c:tt)*]
        exports: none $(, $($rest:tt)*)?) => {
        $crate::__define_plugin! {
            @ [$s] [$i] [$n] [$v] [] [$($c)*] $($($rest)*)?
        }
    };
    (@ [$s:ty] [$i:expr] [$n:expr] [$v:expr] [$($a:tt)*] [$($c:tt)*]
        entries: { $($name:expr => $x:expr),* $(,)? } $(, $($rest:tt)*)?) => {
        $crate::__define_plugin! {
            @ [$s] [$i] [$n] [$v] [$($a)*] [$($c)* .entries({
                const ENTRIES: &[$crate::plugin::Entry<__RingboxState>] = &[$(
                    $crate::plugin::Entry {
                        name: $name,
                        call: {
                            // Between Rust and Rust: "C" says that nothing unwinds. Its name is seen
                            // by the author's expression.
                            extern "C" fn __ringbox_entry(
                                cx: &$crate::plugin::Cx<__RingboxState>,
                                sid: ::core::primitive::u64,
                                payload: &[::core::primitive::u8],
                            ) -> $crate::RawStatus {
                                $crate::plugin::answer(cx, sid, || {
                                    $crate::plugin::Handler::call(&$x, cx, sid, payload)
                                })
                            }
                            __ringbox_entry
                        },
                    }
                ),*];
                ENTRIES
            })] $($($rest)*)?
        }
    };
    (@ [$s:ty] [$i:expr] [$n:expr] [$v:expr] [$($a:tt)*] [$($c:tt)*]
        fallback: $x:expr $(, $($rest:tt)*)?) => {
        $crate::__define_plugin! {
            @ [$s] [$i] [$n] [$v] [$($a)*] [$($c)* .fallback(|cx, sid, request, payload| {
                $crate::plugin::answer(cx, sid, || {
                    $crate::plugin::FallbackHandler::call(&$x, cx, sid, request, payload)
                })
            })] $($($rest)*)?
        }
    };
    (@ [$s:ty] [$i:expr] [$n:expr] [$v:expr] [$($a:tt)*] [$($c:tt)*]
        shutdown: $x:expr $(, $($rest:tt)*)?) => {
        $crate::__define_plugin! {
            @ [$s] [$i] [$n] [$v] [$($a)*] [$($c)* .shutdown(|state| {
                $crate::plugin::ShutdownHandler::call(&$x, state)
            })] $($($rest)*)?
        }
    };
    (@ [$s:ty] [$i:expr] [$n:expr] [$v:expr] [$($a:tt)*] [$($c:tt)*]
        stream_data: $x:expr $(, $($rest:tt)*)?) => {
        $crate::__define_plugin! {
            @ [$s] [$i] [$n] [$v] [$($a)*] [$($c)* .stream_data(|cx, sid, data| {
                $crate::plugin::DataHandler::call(&$x, cx, sid, data)
            })] $($($rest)*)?
        }
    };
    (@ [$s:ty] [$i:expr] [$n:expr] [$v:expr] [$($a:tt)*] [$($c:tt)*]
        stream_close: $x:expr $(, $($rest:tt)*)?) => {
        $crate::__define_plugin! {
            @ [$s] [$i] [$n] [$v] [$($a)*] [$($c)* .stream_close(|cx, sid| {
                $crate::plugin::SidHandler::call(&$x, cx, sid)
            })] $($($rest)*)?
        }
    };
    (@ [$s:ty] [$i:expr] [$n:expr] [$v:expr] [$($a:tt)*] [$($c:tt)*]
        cancel: $x:expr $(, $($rest:tt)*)?) => {
        $crate::__define_plugin! {
            @ [$s] [$i] [$n] [$v] [$($a)*] [$($c)* .cancel(|cx, sid| {
                $crate::plugin::SidHandler::call(&$x, cx, sid)
            })] $($($rest)*)?
        }
    };
    (@ [$s:ty] [$i:expr] [$n:expr] [$v:expr] [$($a:tt)*] [$($c:tt)*]
        wake: $x:expr $(, $($rest:tt)*)?) => {
        $crate::__define_plugin! {
            @ [$s] [$i] [$n] [$v] [$($a)*] [$($c)* .wake(|cx, token| {
                $crate::plugin::WakeHandler::call(&$x, cx, token)
            })] $($($rest)*)?
        }
    };
    (@ [$s:ty] [$i:expr] [$n:expr] [$v:expr] [$($a:tt)*] [$($c:tt)*]
        host_call_done: $x:expr $(, $($rest:tt)*)?) => {
        $crate::__define_plugin! {
            @ [$s] [$i] [$n] [$v] [$($a)*] [$($c)* .host_call_done(|cx, token, status, payload| {
                $crate::plugin::CallDoneHandler::call(&$x, cx, token, status, payload)
            })] $($($rest)*)?
        }
    };
    (@ [$s:ty] [$i:expr] [$n:expr] [$v:expr] [$($a:tt)*] [$($c:tt)*]
        quiescent: $x:expr $(, $($rest:tt)*)?) => {
        $crate::__define_plugin! {
            @ [$s] [$i] [$n] [$v] [$($a)*] [$($c)* .quiescent($x)] $($($rest)*)?
        }
    };
    (@ [$s:ty] [$i:expr] [$n:expr] [$v:expr] [$($a:tt)*] [$($c:tt)*]
        $key:ident : $($rest:tt)*) => {
        ::core::compile_error!(::core::concat!(
            "define_plugin!: there is no key `", ::core::stringify!($key),
            "`, or its value has another form"
        ));
    };
    (@ [$s:ty] [$i:expr] [$n:expr] [$v:expr] [$($a:tt)*] [$($c:tt)*]) => {
        struct __RingboxPlugin;

        const _: () = {
            type __RingboxState = $s;

            const SPEC: $crate::plugin::Spec<__RingboxState> =
                $crate::plugin::Spec::<__RingboxState>::new(|host| {
                    $crate::plugin::started(($i)(host))
                })
                $($c)*;
            static PLUGIN: $crate::plugin::Plugin<__RingboxState> = $crate::plugin::Plugin::new();
            static INFO: $crate::raw::PluginInfo =
                $crate::plugin::Edge::<__RingboxPlugin>::info($n, $v, &raw const PLUGIN);
            static EXT: $crate::NrPluginExt = $crate::plugin::Edge::<__RingboxPlugin>::EXT;

            impl $crate::plugin::DefinedPlugin for __RingboxPlugin {
                type State = __RingboxState;

                const SPEC: $crate::plugin::Spec<__RingboxState> = SPEC;

                fn plugin() -> &'static $crate::plugin::Plugin<__RingboxState> {
                    &PLUGIN
                }

                fn info() -> *const $crate::v1::NrPluginInfo {
                    (&raw const INFO).cast()
                }

                fn ext() -> *const $crate::NrPluginExt {
                    &raw const EXT
                }
            }
        };

        /// Version 1's export.
        $($a)*
        pub extern "C" fn nylon_ring_get_plugin_v1() -> *const $crate::v1::NrPluginInfo {
            <__RingboxPlugin as $crate::plugin::DefinedPlugin>::info()
        }

        /// The extension's export.
        $($a)*
        pub extern "C" fn nylon_ring_get_plugin_ext_v1() -> *const $crate::NrPluginExt {
            <__RingboxPlugin as $crate::plugin::DefinedPlugin>::ext()
        }
    };
}
