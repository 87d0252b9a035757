#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let target = ringbox_faults::fuzz::TARGETS.iter().find(|(name, _)| *name == "component");
    (target.expect("it is one of the targets").1)(bytes);
});
