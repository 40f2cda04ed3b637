//! A canvas as SVG: one self-contained file without scripts, with a tooltip where the canvas has one.

use crate::verbs::heatmap::picture::{Anchor, Canvas, Ink, Item, LETTER, LEVELS};
use std::io::{self, Write};

/// From the upper edge of a line of text to the foot of its letters.
const FOOT: u32 = 15;

/// Writes the picture.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(canvas: &Canvas, out: &mut dyn Write) -> io::Result<()> {
    let (width, height) = (canvas.width, canvas.height);
    writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"monospace\" font-size=\"15\" shape-rendering=\"crispEdges\" role=\"img\">"
    )?;
    writeln!(out, "<title>{}</title>", escaped(&canvas.title))?;
    // A letter of monospaced type is 0.6 of its size wide.
    writeln!(out, "<style>text{{white-space:pre}}.b{{font-weight:bold}}")?;
    for level in 0..LEVELS.len() {
        writeln!(out, ".l{level}{{fill:{}}}", hex(Ink::Level(level)))?;
    }
    writeln!(
        out,
        "</style>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>"
    )?;
    for item in &canvas.items {
        match item {
            Item::Rect {
                x,
                y,
                width,
                height,
                ink,
                tip,
            } => {
                let fill = match ink {
                    Ink::Level(level) => format!("class=\"l{level}\""),
                    Ink::Grey(_) => format!("fill=\"{}\"", hex(*ink)),
                };
                write!(
                    out,
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" {fill}"
                )?;
                match tip {
                    Some(tip) => writeln!(out, "><title>{}</title></rect>", escaped(tip))?,
                    None => writeln!(out, "/>")?,
                }
            }
            Item::Text {
                x,
                y,
                anchor,
                text,
                bold,
                ink,
            } => {
                let anchor = match anchor {
                    Anchor::Start => "",
                    Anchor::Middle => " text-anchor=\"middle\"",
                    Anchor::End => " text-anchor=\"end\"",
                };
                let class = if *bold { " class=\"b\"" } else { "" };
                // Other fonts are wider or narrower; the layout counts on this width.
                let length = LETTER.saturating_mul(u32::try_from(text.chars().count()).unwrap_or(0));
                writeln!(
                    out,
                    "<text x=\"{x}\" y=\"{}\"{anchor}{class} fill=\"{}\" textLength=\"{length}\">{}</text>",
                    y.saturating_add(FOOT),
                    hex(*ink),
                    escaped(text)
                )?;
            }
        }
    }
    writeln!(out, "</svg>")
}

fn hex(ink: Ink) -> String {
    let [red, green, blue] = ink.rgb();
    format!("#{red:02x}{green:02x}{blue:02x}")
}

/// Text for XML: what would be markup, what XML 1.0 cannot hold, and what steers a terminal or the direction of writing.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in crate::output::text::escape(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::verbs::heatmap::picture::{BLACK, DARK};

    #[test]
    fn names_cannot_become_markup_or_turn_text_around() {
        let evil = "</title><script>alert('\"&\u{202e}\x1b\0\u{ffff}";
        let canvas = Canvas {
            width: 10,
            height: 10,
            title: evil.into(),
            items: vec![
                Item::Rect {
                    x: 1,
                    y: 2,
                    width: 3,
                    height: 4,
                    ink: Ink::Level(3),
                    tip: Some(evil.into()),
                },
                Item::Text {
                    x: 5,
                    y: 5,
                    anchor: Anchor::End,
                    text: evil.into(),
                    bold: true,
                    ink: DARK,
                },
                Item::Text {
                    x: 5,
                    y: 5,
                    anchor: Anchor::Start,
                    text: "a  b".into(),
                    bold: false,
                    ink: BLACK,
                },
            ],
        };
        let mut out = Vec::new();
        write(&canvas, &mut out).unwrap();
        let svg = String::from_utf8(out).unwrap();
        let name = "&lt;/title&gt;&lt;script&gt;alert(&#39;&quot;&amp;\\u{202e}\\x1b\\x00\u{fffd}";
        assert_eq!(svg.matches(name).count(), 3, "{svg}");
        assert!(!svg.contains(['\u{202e}', '\x1b', '\0', '\u{ffff}']) && !svg.contains("<script"));
        assert!(svg.contains("<rect x=\"1\" y=\"2\" width=\"3\" height=\"4\" class=\"l3\"><title>"));
    }
}
