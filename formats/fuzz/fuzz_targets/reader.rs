//! libFuzzer on `pf_formats_fuzz::reader`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pf_formats_fuzz::memory::run(
    pf_formats_fuzz::reader::target,
    data
));
