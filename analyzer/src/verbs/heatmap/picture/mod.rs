//! Pictures of heatmaps. `arrangement` places titles, axes, cells and the colour bar on a canvas, a list of rectangles and lines
//! of text; `svg` and `png` write a canvas to a file. Both give the same bytes for the same trace.

pub mod arrangement;
pub mod png;
pub mod svg;
pub mod ticks;

/// Width of a letter, pixels: what the letters of [`png`] have.
pub(crate) const LETTER: u32 = 9;
/// Height of a line of text, pixels.
pub(crate) const LINE: u32 = 20;

/// Cold to hot, red, green and blue: ten even steps of Inferno (matplotlib, CC0), from 0.82 down to 0.02. It is even to the
/// eye and darker with every step, so it also reads in grey, and its first step still shows on white paper.
pub const LEVELS: [[u8; 3]; 10] = [
    [251, 175, 22],
    [246, 134, 20],
    [230, 97, 44],
    [206, 69, 70],
    [173, 49, 91],
    [137, 34, 105],
    [101, 21, 109],
    [65, 10, 103],
    [26, 11, 61],
    [4, 2, 15],
];

/// A colour of the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// A shade of grey; 255 is the paper.
    Grey(u8),
    /// One of [`LEVELS`].
    Level(usize),
}

/// The paper.
pub(crate) const PAPER: Ink = Ink::Grey(255);
/// Text to be read first.
pub(crate) const BLACK: Ink = Ink::Grey(0);
/// Other text, and axes.
pub(crate) const DARK: Ink = Ink::Grey(80);
/// Lines behind the cells.
pub(crate) const FAINT: Ink = Ink::Grey(230);

impl Ink {
    /// Red, green and blue.
    #[must_use]
    pub fn rgb(self) -> [u8; 3] {
        match self {
            Self::Grey(shade) => [shade; 3],
            Self::Level(level) => LEVELS.get(level).copied().unwrap_or([0; 3]),
        }
    }
}

/// Where the given point of a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Anchor {
    /// At its left end.
    Start,
    /// In its middle.
    Middle,
    /// At its right end.
    End,
}

/// Something on the canvas; later ones lie above earlier ones. Pixels count from the top left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A rectangle.
    Rect {
        /// Left edge.
        x: u32,
        /// Upper edge.
        y: u32,
        /// Width.
        width: u32,
        /// Height.
        height: u32,
        /// Its colour.
        ink: Ink,
        /// What a pointer on it is told.
        tip: Option<String>,
    },
    /// A line of text, on paper.
    Text {
        /// The anchor.
        x: u32,
        /// Upper edge of the line.
        y: u32,
        /// What `x` is.
        anchor: Anchor,
        /// Without line breaks, and harmless.
        text: String,
        /// Whether it is a heading.
        bold: bool,
        /// Its colour.
        ink: Ink,
    },
}

/// A picture before it has a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canvas {
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// What it is, for readers that cannot see it.
    pub title: String,
    /// What is on it.
    pub items: Vec<Item>,
}
