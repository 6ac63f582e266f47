//! Sparklines: an hour of one number as a path, with its limit.

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 82.0;

/// One curve, ready to be drawn.
#[derive(Default)]
pub(super) struct Spark {
    pub(super) line: String,
    pub(super) area: String,
    /// What lies above the limit.
    pub(super) over: String,
    /// Height of the limit; empty: there is none.
    pub(super) limit_y: String,
}

/// Draws the last `steps` of a series, oldest first. `limit` is where the dashed line is; `top`: the least that the
/// scale must reach.
pub(super) fn draw(series: &[Option<f64>], steps: usize, limit: Option<f64>, top: f64) -> Spark {
    let series = &series[series.len().saturating_sub(steps)..];
    let highest = series.iter().flatten().copied().fold(0.0, f64::max);
    let top = highest.max(limit.map_or(0.0, |limit| limit * 1.22)).max(top) * 1.04;
    let top = if top > 0.0 { top } else { 1.0 };
    let step = WIDTH / steps.saturating_sub(1).max(1) as f64;
    let first = steps.saturating_sub(series.len());
    let x = |at: usize| (first + at) as f64 * step;
    let y = |value: f64| HEIGHT - value / top * (HEIGHT - 4.0);
    let mut spark = Spark::default();
    let mut pen: Option<usize> = None;
    for (at, value) in series.iter().enumerate() {
        let Some(value) = value else {
            close(&mut spark.area, pen.take(), at, &x);
            continue;
        };
        let letter = if pen.is_some() { 'L' } else { 'M' };
        let point = format!("{letter}{:.1} {:.1}", x(at), y(*value));
        spark.line.push_str(&point);
        match pen {
            Some(_) => spark.area.push_str(&point),
            None => spark.area.push_str(&format!("M{:.1} {HEIGHT}L{}", x(at), &point[1..])),
        }
        pen = pen.or(Some(at));
        if let Some(limit) = limit.filter(|limit| value > limit) {
            let (bottom, peak) = (y(limit), y(*value));
            spark.over.push_str(&format!(
                "M{:.1} {bottom:.1}V{peak:.1}h{:.1}V{bottom:.1}z",
                x(at) - step / 2.0,
                step.max(1.0)
            ));
        }
    }
    close(&mut spark.area, pen, series.len(), &x);
    spark.limit_y = limit.map(|limit| format!("{:.1}", y(limit))).unwrap_or_default();
    spark
}

/// Ends an area at its last point.
fn close(area: &mut String, pen: Option<usize>, end: usize, x: &impl Fn(usize) -> f64) {
    if pen.is_some() {
        area.push_str(&format!("L{:.1} {HEIGHT}z", x(end.saturating_sub(1))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_breaks_the_line_and_what_is_over_the_limit_is_marked() {
        let spark = draw(&[Some(0.5), Some(0.9), None, Some(0.4)], 180, Some(0.8), 1.0);
        assert_eq!(spark.line.matches('M').count(), 2);
        assert_eq!(spark.area.matches('z').count(), 2);
        assert_eq!(spark.over.matches('M').count(), 1);
        assert!(!spark.limit_y.is_empty());
        assert_eq!(draw(&[Some(0.5), Some(0.9), Some(0.1)], 2, None, 1.0).line.matches('L').count(), 1);
        assert_eq!(draw(&[None], 180, None, 0.0).line, "");
    }
}
