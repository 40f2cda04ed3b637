//! Heatmaps: faults by time and place, or by time and latency. `grid` collects in bounded memory while the trace streams by, `view` cuts
//! out what is shown, `scale` turns values into levels, `draw` writes text, `data` numbers. The query itself is in `collect`,
//! pictures are in [`crate::picture`].

pub mod cells;
pub mod collect;
pub mod data;
pub mod draw;
pub mod grid;
pub mod latency;
pub mod places;
pub mod scale;
pub mod show;
pub mod view;
pub mod window;
pub mod zoom;
