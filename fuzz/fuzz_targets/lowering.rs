#![no_main]

libfuzzer_sys::fuzz_target!(
    init: ringbox_faults::fuzz::prepare("lowering"),
    |bytes: &[u8]| ringbox_faults::fuzz::run("lowering", bytes)
);
