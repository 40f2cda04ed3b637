//! What a trace says besides its faults: who recorded it and how, names, lifetimes, losses, queries.

pub mod cause;
pub mod class;
pub mod conditions;
pub mod dicts;
pub mod function_names;
pub mod input;
pub mod loss_ledger;
pub mod memory_limit;
pub mod processes;
pub mod queries;
pub mod sampling;
pub mod scope;
pub mod session;
pub mod signals;
pub mod sleep;
pub mod stack_dict;
pub mod visibility;
