//! What becomes of components where the feature `sandbox` is off.

#![cfg(not(feature = "sandbox"))]

use ringbox::{Host, InspectError, LoadError, LoadOptions, Source, inspect};
use std::path::Path;

/// How a component's file begins.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// Both errors say which feature brings the sandbox.
const CURE: &str = "build the crate `ringbox` with its feature `sandbox`";

#[test]
fn a_component_is_an_error_that_names_the_feature() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("component-without-a-sandbox.wasm");
    std::fs::write(&path, COMPONENT).unwrap();
    let host = Host::new();
    for source in [Source::component(COMPONENT), Source::component(&path)] {
        let error = host.load("filter", source).unwrap_err();
        assert!(error.to_string().ends_with(CURE), "{error}");
        assert!(matches!(error, LoadError::NoSandbox { name } if name == "filter"));
    }
    let error = inspect(&path, &LoadOptions::new()).unwrap_err();
    assert!(error.to_string().ends_with(CURE), "{error}");
    assert!(matches!(error, InspectError::NoSandbox));
}

#[test]
fn a_library_given_as_a_component_needs_trust_here_too() {
    let program = std::env::current_exe().unwrap();
    let sources = [Source::component(&b"\x7fELF..."[..]), Source::component(&program)];
    for source in sources {
        let error = Host::new().load("filter", source).unwrap_err();
        assert!(matches!(error, LoadError::NeedsTrust { .. }), "{error}");
    }
}
