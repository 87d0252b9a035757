//! A component that misbehaves exactly where it is told to.
//!
//! It is the small component of the sandbox's own tests, with code of ours put in: it still echoes
//! what begins with `e`, so one sees whether it serves.

/// What the code before the marker is followed by.
const GUEST: &str = include_str!("../../wasm-loader/tests/small/guest.wat");
const AT_HANDLE: &str = "(local.set $what (i32.load8_u (local.get $at)))";
const AT_WAKE: &str = "(func (export \"wake\") (param $token i64)";

/// Core code, as text, for the places of a component where it may misbehave.
#[derive(Debug, Clone, Copy)]
pub struct Shape<'a> {
    /// What `init` does first.
    pub init: &'a str,
    /// What `handle` does with a payload that begins with `!`. It can use `$sid`, `$at`, `$len`,
    /// `$n`, and the functions `$send`, `$wake-after`, `$write`, `$spin`, `$recurse`.
    pub handle: &'a str,
    /// What `shutdown` does.
    pub shutdown: &'a str,
    /// What `wake` does first. It can use `$token`.
    pub wake: &'a str,
    /// The version of the contract that it exports.
    pub version: &'a str,
    /// The pages of its memory.
    pub pages: u32,
    /// The elements of its table.
    pub table: u32,
}

impl Default for Shape<'_> {
    fn default() -> Self {
        Self { init: "", handle: "", shutdown: "", wake: "", version: "1.0.0", pages: 1, table: 1 }
    }
}

impl Shape<'_> {
    /// The component.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        wat::parse_str(self.text()).expect("the shape's code is WebAssembly")
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> String {
        assert!(GUEST.contains(AT_HANDLE) && GUEST.contains(AT_WAKE), "the component has changed");
        let handle = format!(
            "{AT_HANDLE} (if (i32.eq (local.get $what) (i32.const 33)) (then {} (return (i32.const 0))))",
            self.handle
        );
        GUEST
            .replace(AT_HANDLE, &handle)
            .replace(AT_WAKE, &format!("{AT_WAKE} {}", self.wake))
            .replace("{{init}}", self.init)
            .replace("{{shutdown}}", self.shutdown)
            .replace("{{version}}", self.version)
            .replace("{{pages}}", &self.pages.to_string())
            .replace("{{table}}", &self.table.to_string())
    }
}
