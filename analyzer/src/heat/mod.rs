//! Heatmaps: faults by time and place. `grid` collects in bounded memory while the trace streams by, `view` cuts
//! out what is shown, `scale` turns values into digits, `draw` writes text. The query itself is in `collect`.

pub mod collect;
pub mod draw;
pub mod grid;
pub mod places;
pub mod scale;
pub mod view;
pub mod window;
