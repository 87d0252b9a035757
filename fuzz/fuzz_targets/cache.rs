#![no_main]

libfuzzer_sys::fuzz_target!(
    init: ringbox_faults::fuzz::prepare("cache"),
    |bytes: &[u8]| ringbox_faults::fuzz::run("cache", bytes)
);
