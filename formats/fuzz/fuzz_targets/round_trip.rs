//! libFuzzer on `pf_formats_fuzz::round_trip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pf_formats_fuzz::memory::run(
    pf_formats_fuzz::round_trip::target,
    data
));
