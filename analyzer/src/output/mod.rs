//! How anything is written: tables, numbers, text, files and the terminal. It knows no fault.

pub mod answer;
pub mod cleanup;
pub mod command;
pub mod document;
pub mod file_identity;
pub mod order;
pub mod progress;
pub mod render;
pub mod row_writer;
pub mod sink;
pub mod table;
pub mod terminal;
pub mod text;
pub mod units;
