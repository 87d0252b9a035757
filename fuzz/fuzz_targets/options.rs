#![no_main]

libfuzzer_sys::fuzz_target!(
    init: ringbox_faults::fuzz::prepare("options"),
    |bytes: &[u8]| ringbox_faults::fuzz::run("options", bytes)
);
