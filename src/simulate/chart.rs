//! A scenario as a picture a person would rather look at: SVG, light, printable, one page.
//!
//! Top: how full the fullest edge was over time, each policy a line, with the band from the median edge to the
//! 95th percentile. Middle: a heat strip per policy, PoPs × time. Bottom: what it cost, as bars. Blue is room
//! left, orange to dark red is over the limit: told apart by brightness alone, too.

mod bars;
mod canvas;
mod course;
mod heat;

use super::jobs::{Row, Sheet};
use super::scenario::Trouble;

use self::canvas::{Anchor, Canvas, Pen, Stroke};

const WIDTH: f64 = 1_200.0;
const MARGIN: f64 = 48.0;
/// Left of all plots: room for labels.
const LEFT: f64 = 124.0;
const INK: &str = "#1d2733";
const GREY: &str = "#5c6b7a";
/// A label on the axis of time takes so much room, px.
const TICK: f64 = 52.0;
const RULE: &str = "#d8dee5";
/// Policies, in the order they were asked for (Okabe and Ito's colours).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#aa4499", "#a6761d", "#56b4e9", "#666666"];

/// Each policy with its colour.
fn coloured(sheet: &Sheet) -> Vec<(&Row, &'static str)> {
    sheet.rows.iter().zip(COLOURS.into_iter().cycle()).collect()
}

/// A rectangle of the page.
#[derive(Clone, Copy, Debug)]
struct Area {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// Draws a scenario's results.
pub(super) fn draw(sheet: &Sheet) -> String {
    let strips = heat::Strips::of(sheet);
    let top = Area { x: LEFT, y: 176.0, width: WIDTH - LEFT - MARGIN, height: 260.0 };
    let middle_y = top.y + top.height + 96.0;
    let bottom_y = middle_y + strips.height() + 106.0;
    let height = bottom_y + bars::height(sheet.rows.len()) + 56.0;
    let mut canvas = Canvas::new(WIDTH, height, sheet.scenario.name, sheet.scenario.says);
    header(&mut canvas, sheet);
    course::draw(&mut canvas, top, sheet);
    strips.draw(&mut canvas, middle_y, sheet);
    bars::draw(&mut canvas, bottom_y, sheet);
    footer(&mut canvas, height - 22.0, sheet);
    canvas.finish()
}

fn header(canvas: &mut Canvas, sheet: &Sheet) {
    let scenario = &sheet.scenario;
    canvas.text(MARGIN, 58.0, &Pen { size: 28.0, bold: true, ..Pen::INK }, scenario.name);
    canvas.text(MARGIN, 84.0, &Pen { size: 15.0, ..Pen::GREY }, &sentence(&sheet.says()));
    let setting = format!(
        "{} edges · {} {} · scraped each {:.0} s",
        scenario.edges,
        scenario.replicas,
        if scenario.replicas == 1 { "replica" } else { "replicas" },
        scenario.interval_s,
    );
    canvas.text(WIDTH - MARGIN, 58.0, &Pen { size: 13.0, anchor: Anchor::End, ..Pen::GREY }, &setting);
    let mut x = MARGIN;
    for (row, colour) in coloured(sheet) {
        canvas.rect(Area { x, y: 107.0, width: 22.0, height: 6.0 }, colour, 1.0);
        canvas.text(x + 30.0, 115.0, &Pen { size: 14.0, bold: true, ..Pen::INK }, &row.variant.name);
        x += 30.0 + 9.0 * row.variant.name.chars().count() as f64 + 26.0;
    }
}

fn footer(canvas: &mut Canvas, y: f64, sheet: &Sheet) {
    let seeds: Vec<String> = sheet.seeds.iter().map(u64::to_string).collect();
    let drawn = sheet.seeds.first().copied().unwrap_or(1);
    let seeds = match sheet.seeds.len() {
        0 | 1 => format!("Everything is of seed {drawn}."),
        _ => format!(
            "Bars and node-minutes are means of seeds {}; lines and strips show seed {drawn}.",
            seeds.join(", ")
        ),
    };
    canvas.text(MARGIN, y, &Pen { size: 12.0, ..Pen::GREY }, &seeds);
    canvas.text(
        WIDTH - MARGIN,
        y,
        &Pen { size: 12.0, anchor: Anchor::End, ..Pen::GREY },
        "nearcast simulate",
    );
}

/// Marks on the axis of time: where a flash or a misfortune falls, and what it is.
fn marks(sheet: &Sheet) -> Vec<(f64, f64, String)> {
    let flashes = sheet.scenario.flashes.iter().map(|flash| {
        let crowd = grouped((f64::from(flash.viewers) * sheet.crowd).round());
        (flash.at_s, flash.over_s, format!("{crowd} in {:.0} s, {}", flash.over_s, region(flash.region)))
    });
    let faults = sheet.scenario.faults.iter().filter(|fault| fault.at_s > 0.0).map(|fault| {
        let what = match fault.what {
            Trouble::LargestPopDies(_) => "a PoP dies",
            Trouble::Capacity(..) => "capacity drops",
            Trouble::Silent(_) => "exporters fall silent",
            Trouble::Frozen(_) => "exporters freeze",
            Trouble::CountersReset(_) => "counters reset",
            Trouble::Flapping(..) => "edges begin to flap",
            Trouble::Restart(_) => "restart",
            Trouble::StopsScraping(_) => "a replica goes blind",
            Trouble::ShowEnds(..) => "the show ends",
        };
        (fault.at_s, 0.0, what.to_owned())
    });
    let kills = sheet.kills.iter().map(|kill| (kill.at_s, 0.0, format!("{} dies", kill.pop)));
    flashes.chain(faults).chain(kills).collect()
}

/// Where on an axis of time to write what, s; at most `most` labels.
fn ticks(duration_s: f64, most: f64) -> Vec<(f64, String)> {
    let (unit_s, name) = if duration_s > 7_200.0 { (3_600.0, "h") } else { (60.0, "min") };
    let units = duration_s / unit_s;
    let mut steps = [1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0].into_iter().filter(|step| units / step <= most);
    let first = steps.clone().next().unwrap_or(units);
    let step = steps.find(|step| units % step == 0.0).unwrap_or(first);
    let count = (units / step).floor() as u32;
    let label = |i: u32| match i {
        0 => "0".to_owned(),
        i if i == count => format!("{:.0} {name}", f64::from(i) * step),
        i => format!("{:.0}", f64::from(i) * step),
    };
    (0..=count).map(|i| (f64::from(i) * step * unit_s, label(i))).collect()
}

/// The axis of time below an area.
fn times(canvas: &mut Canvas, area: Area, duration_s: f64, size: f64) {
    let bottom = area.y + area.height;
    for (second_s, label) in ticks(duration_s, (area.width / TICK).floor()) {
        let at = area.x + area.width * second_s / duration_s;
        // The unit stands after the last number and must not leave the plot.
        let anchor = if second_s >= duration_s { Anchor::End } else { Anchor::Middle };
        canvas.line((at, bottom), (at, bottom + 4.0), Stroke { colour: GREY, width: 1.0, dash: "" });
        canvas.text(at, bottom + 8.0 + size, &Pen { size, anchor, ..Pen::GREY }, &label);
    }
    canvas.line(
        (area.x, bottom),
        (area.x + area.width, bottom),
        Stroke { colour: GREY, width: 1.0, dash: "" },
    );
}

/// A region as people write it: "Africa, Oceania".
fn region(name: &str) -> String {
    name.replace('_', ", ")
}

/// 100000 as people write it: 100,000.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
