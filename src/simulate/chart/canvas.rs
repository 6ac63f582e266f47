//! SVG by hand: rectangles, paths and text, escaped, with one decimal.

use std::fmt::Write as _;

use super::{Area, GREY, INK};

const RIM: &str = " stroke=\"#ffffff\" stroke-width=\"4\" stroke-linejoin=\"round\" paint-order=\"stroke\"";

/// A page under the pen.
#[derive(Debug)]
pub(super) struct Canvas {
    svg: String,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pen<'a> {
    /// Size, px.
    pub(super) size: f64,
    pub(super) bold: bool,
    pub(super) anchor: Anchor,
    pub(super) colour: &'a str,
    /// A white rim, for text that stands on lines.
    pub(super) rim: bool,
}

/// Which part of a text stands at its x.
#[derive(Clone, Copy, Debug)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a line looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stroke<'a> {
    pub(super) colour: &'a str,
    pub(super) width: f64,
    /// "4 3"; empty: solid.
    pub(super) dash: &'a str,
}

// === impl Pen ===

impl Pen<'_> {
    pub(super) const INK: Self =
        Pen { size: 12.0, bold: false, anchor: Anchor::Start, colour: INK, rim: false };
    pub(super) const GREY: Self = Pen { colour: GREY, ..Pen::INK };
}

// === impl Canvas ===

impl Canvas {
    /// A blank page.
    pub(super) fn new(width: f64, height: f64, title: &str, about: &str) -> Self {
        let mut svg = String::with_capacity(1 << 18);
        let _ = write!(
            svg,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" role=\"img\" \
             font-family=\"Inter, 'Helvetica Neue', Arial, 'Noto Sans', 'DejaVu Sans', sans-serif\">\n\
             <title>{}</title>\n<desc>{}</desc>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
            escaped(title),
            escaped(about),
        );
        Self { svg }
    }

    pub(super) fn rect(&mut self, area: Area, fill: &str, opacity: f64) {
        let Area { x, y, width, height } = area;
        let _ =
            write!(self.svg, "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"");
        let _ = writeln!(self.svg, " fill=\"{fill}\"{}/>", opacity_of(opacity));
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke<'_>) {
        let _ = write!(
            self.svg,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{}\" stroke-width=\"{:.1}\"",
            from.0, from.1, to.0, to.1, stroke.colour, stroke.width
        );
        let dash = if stroke.dash.is_empty() {
            String::new()
        } else {
            format!(" stroke-dasharray=\"{}\"", stroke.dash)
        };
        let _ = writeln!(self.svg, "{dash}/>");
    }

    /// A line through points.
    pub(super) fn polyline(&mut self, points: &[(f64, f64)], stroke: Stroke<'_>) {
        let _ = writeln!(
            self.svg,
            "<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"{:.1}\" stroke-linejoin=\"round\"/>",
            through(points),
            stroke.colour,
            stroke.width
        );
    }

    /// A filled shape around points.
    pub(super) fn shape(&mut self, points: &[(f64, f64)], fill: &str, opacity: f64) {
        let _ =
            writeln!(self.svg, "<path d=\"{}z\" fill=\"{fill}\"{}/>", through(points), opacity_of(opacity));
    }

    /// Shapes whose path is already written.
    pub(super) fn path(&mut self, data: &str, fill: &str) {
        let _ = writeln!(self.svg, "<path d=\"{data}\" fill=\"{fill}\" shape-rendering=\"crispEdges\"/>");
    }

    pub(super) fn text(&mut self, x: f64, y: f64, pen: &Pen<'_>, text: &str) {
        let anchor = match pen.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let weight = if pen.bold { " font-weight=\"600\"" } else { "" };
        let rim = if pen.rim { RIM } else { "" };
        let _ = writeln!(
            self.svg,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{:.0}\" fill=\"{}\"{anchor}{weight}{rim}>{}</text>",
            pen.size,
            pen.colour,
            escaped(text)
        );
    }

    /// The whole picture.
    pub(super) fn finish(mut self) -> String {
        self.svg.push_str("</svg>\n");
        self.svg
    }
}

fn through(points: &[(f64, f64)]) -> String {
    let mut data = String::with_capacity(points.len() * 12);
    for (i, (x, y)) in points.iter().enumerate() {
        let _ = write!(data, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
    }
    data
}

fn opacity_of(opacity: f64) -> String {
    if opacity < 1.0 { format!(" fill-opacity=\"{opacity:.2}\"") } else { String::new() }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
