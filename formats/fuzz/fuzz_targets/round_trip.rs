//! libFuzzer on `pf_formats_fuzz::round_trip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pf_formats_fuzz::run(pf_formats_fuzz::round_trip::target, data));
