//! Bars in groups and lines over time, as SVG: enough to see who is larger.

use std::fmt::Write;

const COLOURS: [&str; 6] = ["#2f6db5", "#d9822b", "#7a7a7a", "#4fa06a", "#a05195", "#c0392b"];
const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 360.0;
/// Room left, above, and below the drawing.
const LEFT: f64 = 60.0;
const TOP: f64 = 60.0;
const BOTTOM: f64 = 40.0;

/// One group of bars: its name, and a value for each kind of bar that has one.
pub type Group = (String, Vec<Option<f64>>);

/// A line: its name and its points.
pub type Line = (String, Vec<(f64, f64)>);

/// Draws a bar for each kind in each group.
pub fn bars(title: &str, kinds: &[String], groups: &[Group]) -> String {
    let values = groups.iter().flat_map(|(_, v)| v.iter().flatten().copied());
    let (mut out, top) = begin(title, kinds, values);
    let group_width = (WIDTH - LEFT - 20.0) / groups.len().max(1) as f64;
    let bar = group_width * 0.8 / kinds.len().max(1) as f64;
    for (g, (name, values)) in groups.iter().enumerate() {
        let left = LEFT + g as f64 * group_width + group_width * 0.1;
        for (k, value) in values.iter().enumerate() {
            let Some(value) = value else { continue };
            let height = value / top * (HEIGHT - TOP - BOTTOM);
            let (x, y) = (left + k as f64 * bar, HEIGHT - BOTTOM - height);
            let colour = COLOURS[k % COLOURS.len()];
            let _ = writeln!(
                out,
                r#"<rect x="{x:.1}" y="{y:.1}" width="{:.1}" height="{height:.1}" fill="{colour}"/>"#,
                bar * 0.92
            );
            let middle = x + bar * 0.46;
            text(&mut out, middle, y - 4.0, "middle", &short(*value));
        }
        text(&mut out, left + group_width * 0.4, HEIGHT - BOTTOM + 18.0, "middle", name);
    }
    out.push_str("</svg>\n");
    out
}

/// Draws lines from the same origin; `unit` names the horizontal axis.
pub fn lines(title: &str, unit: &str, all: &[Line]) -> String {
    let names: Vec<String> = all.iter().map(|(name, _)| name.clone()).collect();
    let points = || all.iter().flat_map(|(_, points)| points.iter().copied());
    let (mut out, top) = begin(title, &names, points().map(|p| p.1));
    let right = points().map(|p| p.0).fold(1e-9, f64::max);
    for (k, (_, points)) in all.iter().enumerate() {
        let mut path = String::new();
        for (x, y) in points {
            let x = LEFT + x / right * (WIDTH - LEFT - 20.0);
            let y = HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM);
            let _ = write!(path, "{x:.1},{y:.1} ");
        }
        let colour = COLOURS[k % COLOURS.len()];
        let path = path.trim_end();
        let _ = writeln!(
            out,
            r#"<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>"#
        );
    }
    let end = format!("{} {unit}", short(right));
    text(&mut out, WIDTH - 20.0, HEIGHT - BOTTOM + 18.0, "end", &end);
    out.push_str("</svg>\n");
    out
}

/// Frame, title, legend and scale; returns the scale's end, too.
fn begin(title: &str, names: &[String], values: impl Iterator<Item = f64>) -> (String, f64) {
    let top = nice(values.fold(0.0, f64::max));
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    text(&mut out, LEFT, 20.0, "start", title);
    let mut x = LEFT;
    for (k, name) in names.iter().enumerate() {
        let colour = COLOURS[k % COLOURS.len()];
        let _ = writeln!(out, r#"<rect x="{x}" y="30" width="10" height="10" fill="{colour}"/>"#);
        text(&mut out, x + 14.0, 39.0, "start", name);
        x += 30.0 + 7.0 * name.len() as f64;
    }
    for step in 0..=4 {
        let value = top * f64::from(step) / 4.0;
        let y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * f64::from(step) / 4.0;
        let right = WIDTH - 20.0;
        let _ = writeln!(
            out,
            r##"<line x1="{LEFT}" y1="{y:.1}" x2="{right}" y2="{y:.1}" stroke="#ddd"/>"##
        );
        text(&mut out, LEFT - 6.0, y + 4.0, "end", &short(value));
    }
    (out, top)
}

fn text(out: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(
        out,
        r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="black">{words}</text>"#
    );
}

/// The next of 1, 2, 5 × 10ⁿ.
fn nice(value: f64) -> f64 {
    if value <= 0.0 {
        return 1.0;
    }
    let unit = 10f64.powf(value.log10().floor());
    let steps = [1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0].map(|s| s * unit);
    steps.into_iter().find(|s| *s >= value * 1.02).unwrap_or(unit * 15.0)
}

/// Three digits, thousands and millions with their letter.
pub fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1e6 => format!("{:.2}M", value / 1e6),
        v if v >= 1e4 => format!("{:.0}k", value / 1e3),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.2}"),
    }
}
