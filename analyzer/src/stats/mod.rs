//! Sums over faults in bounded memory. They have no sentences.

pub mod access_pattern;
pub mod bounded_map;
pub mod breakdown;
pub mod brought_in;
pub mod by_class;
pub mod by_object;
pub mod by_query_name;
pub mod histogram;
pub mod id_slots;
pub mod page_set;
pub mod recursion;
pub mod rereads;
