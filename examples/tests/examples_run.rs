//! Every example runs to its end.

#[path = "../examples/backend.rs"]
mod backend;
#[path = "../examples/demo.rs"]
mod demo;

#[test]
fn the_least_backend_answers() {
    backend::main().expect("the example runs");
}

#[test]
fn the_demo_runs() {
    demo::main().expect("the demo runs");
}
