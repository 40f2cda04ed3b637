//! The modules of the recorder that read files of others, by themselves: it has no library that a fuzzer could link.
#![allow(dead_code)]

#[path = "../../src/files"]
pub mod files {
    pub mod demangle;
    pub mod open;
}
#[path = "../../src/queries"]
pub mod queries {
    pub mod binary;
}
#[path = "../../src/stacks"]
pub mod stacks {
    pub mod debug_link;
    pub mod perf_map;
}
pub mod targets;
