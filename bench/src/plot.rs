//! Horizontal bars as SVG: small, and readable as text.

use std::fmt::Write as _;

const WIDTH: f64 = 760.0;
const NAMES: f64 = 260.0;
const BARS: f64 = 380.0;
const LINE: f64 = 24.0;
const HEAD: f64 = 44.0;
/// One colour for each part of a bar: ours, and everybody else's.
const OWN: [&str; 2] = ["#0b6e99", "#7fc4de"];
const OTHERS: [&str; 2] = ["#8a8f98", "#c6c9ce"];

/// One line of the plot.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What stands before it.
    pub name: String,
    /// Its parts, from the left.
    pub parts: Vec<f64>,
    /// What stands behind it.
    pub label: String,
    /// Whether it is one of ours.
    pub own: bool,
}

/// The plot as a file's text.
#[must_use]
pub fn bars(title: &str, bars: &[Bar]) -> String {
    let length = |bar: &Bar| bar.parts.iter().sum::<f64>();
    let longest = bars.iter().map(length).fold(f64::MIN_POSITIVE, f64::max);
    let height = HEAD + LINE * bars.len() as f64 + 12.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"12\" y=\"26\" font-size=\"15\" font-weight=\"bold\">{}</text>\n",
        escaped(title)
    );
    for (number, bar) in bars.iter().enumerate() {
        let top = HEAD + LINE * number as f64;
        // Writing to a string does not fail.
        line(&mut svg, bar, top, BARS / longest).ok();
    }
    svg + "</svg>\n"
}

fn line(svg: &mut String, bar: &Bar, top: f64, scale: f64) -> std::fmt::Result {
    let (middle, names) = (top + 15.0, NAMES - 8.0);
    let weight = if bar.own { "bold" } else { "normal" };
    writeln!(
        svg,
        "<text x=\"{names}\" y=\"{middle}\" text-anchor=\"end\" font-weight=\"{weight}\">{}</text>",
        escaped(&bar.name)
    )?;
    let mut left = NAMES;
    let colours = if bar.own { OWN } else { OTHERS };
    for (part, colour) in bar.parts.iter().zip(colours) {
        let width = part * scale;
        writeln!(
            svg,
            "<rect x=\"{left:.1}\" y=\"{top}\" width=\"{width:.1}\" height=\"18\" fill=\"{colour}\"/>"
        )?;
        left += width;
    }
    let behind = left + 6.0;
    let label = escaped(&bar.label);
    writeln!(svg, "<text x=\"{behind:.1}\" y=\"{middle}\">{label}</text>")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_width_and_text_is_escaped() {
        let bar = |name: &str, part| Bar {
            name: name.to_owned(),
            parts: vec![part],
            label: "1 < 2".to_owned(),
            own: false,
        };
        let svg = bars("a & b", &[bar("one", 1.0), bar("two", 2.0)]);
        assert!(svg.contains("a &amp; b"), "{svg}");
        assert!(svg.contains("1 &lt; 2"), "{svg}");
        assert!(svg.contains("width=\"190.0\""), "{svg}");
        assert!(svg.contains("width=\"380.0\""), "{svg}");
    }
}
