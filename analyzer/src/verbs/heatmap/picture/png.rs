//! A canvas as PNG, with letters that were drawn beforehand. Scripts other than Latin become replacement characters; SVG has
//! them all.

use crate::verbs::heatmap::picture::{Anchor, Canvas, Ink, Item, LETTER, LEVELS};
use ::png::{BitDepth, ColorType, Compression, Encoder, EncodingError, Filter};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster};
use std::io::{self, Write};

/// Colours of the palette that are greys; the levels follow.
const GREYS: u8 = 240;

/// Writes the picture, one byte per pixel before compression.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(canvas: &Canvas, out: &mut dyn Write) -> io::Result<()> {
    let mut pixels = Pixels::new(canvas.width, canvas.height);
    for item in &canvas.items {
        match item {
            Item::Rect {
                x,
                y,
                width,
                height,
                ink,
                ..
            } => pixels.fill((*x, *y), (*width, *height), *ink),
            Item::Text {
                x,
                y,
                anchor,
                text,
                bold,
                ink,
            } => pixels.write((*x, *y), *anchor, text, *bold, *ink),
        }
    }
    let mut encoder = Encoder::new(out, canvas.width, canvas.height);
    encoder.set_color(ColorType::Indexed);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_palette(palette());
    encoder.set_compression(Compression::High);
    encoder.set_filter(Filter::NoFilter);
    let mut writer = encoder.write_header().map_err(as_io)?;
    writer.write_image_data(&pixels.bytes).map_err(as_io)?;
    writer.finish().map_err(as_io)
}

fn as_io(error: EncodingError) -> io::Error {
    match error {
        EncodingError::IoError(error) => error,
        other => io::Error::other(other),
    }
}

fn palette() -> Vec<u8> {
    let greys = (0..GREYS).map(shade).map(|grey| [grey; 3]);
    greys.chain(LEVELS).flatten().collect()
}

fn shade(index: u8) -> u8 {
    let shade = u32::from(index) * 255 / u32::from(GREYS - 1);
    u8::try_from(shade).unwrap_or(u8::MAX)
}

fn index_of(ink: Ink) -> u8 {
    match ink {
        Ink::Grey(shade) => grey(u32::from(shade)),
        Ink::Level(level) => GREYS.saturating_add(u8::try_from(level.min(LEVELS.len() - 1)).unwrap_or(0)),
    }
}

fn grey(shade: u32) -> u8 {
    let index = (shade * u32::from(GREYS - 1) + 127) / 255;
    u8::try_from(index).unwrap_or(GREYS - 1).min(GREYS - 1)
}

struct Pixels {
    width: usize,
    bytes: Vec<u8>,
}

impl Pixels {
    fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width as usize, height as usize);
        Self {
            width,
            bytes: vec![index_of(crate::verbs::heatmap::picture::PAPER); width.saturating_mul(height)],
        }
    }

    /// One row of pixels, cut off at the edges of the picture.
    fn row(&mut self, x: u32, y: u32, width: usize) -> &mut [u8] {
        let x = (x as usize).min(self.width);
        let start = (y as usize).saturating_mul(self.width).saturating_add(x);
        let end = start.saturating_add(width.min(self.width - x));
        self.bytes.get_mut(start..end).unwrap_or_default()
    }

    fn fill(&mut self, (x, y): (u32, u32), (width, height): (u32, u32), ink: Ink) {
        let index = index_of(ink);
        for row in y..y.saturating_add(height) {
            self.row(x, row, width as usize).fill(index);
        }
    }

    fn write(&mut self, (x, y): (u32, u32), anchor: Anchor, text: &str, bold: bool, ink: Ink) {
        let length = LETTER.saturating_mul(u32::try_from(text.chars().count()).unwrap_or(u32::MAX));
        let mut x = match anchor {
            Anchor::Start => x,
            Anchor::Middle => x.saturating_sub(length / 2),
            Anchor::End => x.saturating_sub(length),
        };
        let dark = u32::from(ink.rgb()[0]);
        for letter in text.chars() {
            let Some(raster) = raster(letter, bold) else {
                continue;
            };
            for (row, line) in (y..).zip(raster.rows()) {
                for (pixel, &strength) in self.row(x, row, line.len()).iter_mut().zip(line) {
                    if strength > 0 {
                        *pixel = grey(255 - u32::from(strength) * (255 - dark) / 255);
                    }
                }
            }
            x = x.saturating_add(LETTER);
        }
    }
}

fn raster(letter: char, bold: bool) -> Option<RasterizedChar> {
    let weight = if bold {
        FontWeight::Bold
    } else {
        FontWeight::Regular
    };
    let get = |letter| get_raster(letter, weight, RasterHeight::Size20);
    get(letter).or_else(|| get('\u{fffd}')).or_else(|| get('?'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use crate::verbs::heatmap::picture::{BLACK, LINE};

    #[test]
    fn the_layout_knows_the_size_of_the_letters() {
        for bold in [false, true] {
            let letter = raster('M', bold).unwrap();
            assert_eq!(
                (letter.width(), letter.height()),
                (LETTER as usize, LINE as usize)
            );
        }
        assert!(raster('\u{65e5}', false).is_some());
    }

    #[test]
    fn a_picture_can_be_read_back_and_nothing_leaves_its_edges() {
        let rect = |x, y| Item::Rect {
            x,
            y,
            width: 10,
            height: 10,
            ink: Ink::Level(4),
            tip: None,
        };
        let text = |x, anchor| Item::Text {
            x,
            y: 30,
            anchor,
            text: "long \u{65e5} text".into(),
            bold: true,
            ink: BLACK,
        };
        let canvas = Canvas {
            width: 40,
            height: 40,
            title: String::new(),
            items: vec![
                rect(5, 5),
                rect(35, 38),
                rect(u32::MAX, u32::MAX),
                text(30, Anchor::Start),
                text(3, Anchor::End),
                text(20, Anchor::Middle),
            ],
        };
        let mut bytes = Vec::new();
        write(&canvas, &mut bytes).unwrap();
        let mut again = Vec::new();
        write(&canvas, &mut again).unwrap();
        assert_eq!(bytes, again);
        let mut decoder = ::png::Decoder::new(io::Cursor::new(&bytes));
        decoder.set_transformations(::png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut rgb = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut rgb).unwrap();
        assert_eq!((info.width, info.height), (40, 40));
        let pixel = |x: usize, y: usize| &rgb[(y * 40 + x) * 3..(y * 40 + x) * 3 + 3];
        assert_eq!(pixel(0, 0), [255; 3]);
        assert_eq!(pixel(5, 5), LEVELS[4]);
        assert_eq!(pixel(14, 14), LEVELS[4]);
        assert_eq!(pixel(15, 15), [255; 3]);
    }
}
