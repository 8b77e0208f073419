//! Charts of the results, as SVG.

use std::error::Error;
use std::ops::Range;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

/// Width and height.
const SIZE: (u32, u32) = (900, 440);

/// Room for the names of the lines, right of them.
const LEGEND: u32 = 210;

/// A line of points.
pub(crate) struct Series {
    pub(crate) name: &'static str,
    /// Red, green and blue.
    pub(crate) colour: (u8, u8, u8),
    pub(crate) points: Vec<(f64, f64)>,
}

/// A bar.
pub(crate) struct Bar {
    pub(crate) name: &'static str,
    pub(crate) colour: (u8, u8, u8),
    pub(crate) value: f64,
}

fn colour((red, green, blue): (u8, u8, u8)) -> RGBColor {
    RGBColor(red, green, blue)
}

/// What is along the axes.
pub(crate) struct Axes<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
}

/// Lines over two logarithmic axes.
pub(crate) fn lines(path: &Path, axes: &Axes<'_>, series: &[Series]) -> Result<(), Box<dyn Error>> {
    let points = || series.iter().flat_map(|series| series.points.iter());
    let x = decades(points().map(|(x, _)| *x));
    let y = decades(points().map(|(_, y)| *y));
    let area = area(path)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(axes.title, ("sans-serif", 18))
        .margin(12)
        .margin_right(LEGEND)
        .x_label_area_size(44)
        .y_label_area_size(70)
        .build_cartesian_2d(
            x.clone().log_scale().with_key_points(ticks(&x)),
            y.clone().log_scale().with_key_points(ticks(&y)),
        )?;
    chart
        .configure_mesh()
        .x_desc(axes.x)
        .y_desc(axes.y)
        .x_label_formatter(&|value| short(*value))
        .y_label_formatter(&|value| short(*value))
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .light_line_style(WHITE)
        .draw()?;
    for series in series {
        let style = colour(series.colour).stroke_width(2);
        chart.draw_series(LineSeries::new(series.points.iter().copied(), style).point_size(3))?;
    }
    // Beside the lines, in the order in which they end.
    let mut ended: Vec<&Series> = series.iter().collect();
    let end = |series: &Series| series.points.last().map_or(0.0, |(_, y)| *y);
    ended.sort_by(|a, b| end(b).total_cmp(&end(a)));
    for (row, series) in (0..).zip(ended) {
        let (left, middle) = ((SIZE.0 - LEGEND + 12) as i32, 60 + 22 * row);
        let style = colour(series.colour).stroke_width(2);
        area.draw(&PathElement::new([(left, middle), (left + 18, middle)], style))?;
        area.draw(&Circle::new((left + 9, middle), 3, style.filled()))?;
        let text = ("sans-serif", 13).into_font();
        area.draw(&Text::new(series.name, (left + 26, middle - 7), text))?;
    }
    area.present()?;
    Ok(())
}

/// A bar for each name along a logarithmic axis, with its figure behind it.
pub(crate) fn bars(path: &Path, axes: &Axes<'_>, bars: &[Bar]) -> Result<(), Box<dyn Error>> {
    let x = decades(bars.iter().map(|bar| bar.value));
    let area = DrawingArea::from(SVGBackend::new(path, (SIZE.0, 90 + 34 * bars.len() as u32)));
    area.fill(&WHITE)?;
    let count = bars.len() as f64;
    let mut chart = ChartBuilder::on(&area)
        .caption(axes.title, ("sans-serif", 18))
        .margin(12)
        .margin_right(60)
        .x_label_area_size(44)
        .y_label_area_size(190)
        .build_cartesian_2d(x.clone().log_scale().with_key_points(ticks(&x)), 0.0..count)?;
    chart
        .configure_mesh()
        .x_desc(axes.x)
        .x_label_formatter(&|value| short(*value))
        .label_style(("sans-serif", 13))
        .axis_desc_style(("sans-serif", 14))
        .light_line_style(WHITE)
        .disable_y_mesh()
        .disable_y_axis()
        .draw()?;
    for (
        i,
        Bar {
            name,
            colour: of,
            value,
        },
    ) in bars.iter().enumerate()
    {
        let middle = count - i as f64 - 0.5;
        let bar = Rectangle::new(
            [(x.start, middle - 0.32), (*value, middle + 0.32)],
            colour(*of).filled(),
        );
        chart.draw_series([bar])?;
        let right = ("sans-serif", 13).into_font();
        chart.draw_series([EmptyElement::at((*value, middle)) + Text::new(short(*value), (5, -7), right)])?;
        let left = TextStyle::from(("sans-serif", 13)).pos(plotters::style::text_anchor::Pos::new(
            plotters::style::text_anchor::HPos::Right,
            plotters::style::text_anchor::VPos::Center,
        ));
        chart.draw_series([EmptyElement::at((x.start, middle)) + Text::new(*name, (-8, 0), left)])?;
    }
    area.present()?;
    Ok(())
}

fn area(path: &Path) -> Result<DrawingArea<SVGBackend<'_>, Shift>, Box<dyn Error>> {
    let area = DrawingArea::from(SVGBackend::new(path, SIZE));
    area.fill(&WHITE)?;
    Ok(area)
}

/// From the power of ten below the least to the one above the most.
fn decades(values: impl Iterator<Item = f64>) -> Range<f64> {
    let values: Vec<f64> = values.filter(|value| value.is_finite() && *value > 0.0).collect();
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(0.0, f64::max);
    if values.is_empty() {
        return 1.0..10.0;
    }
    let start = 10_f64.powf(least.log10().floor());
    let end = 10_f64.powf(most.log10().ceil());
    start..if end > start { end } else { start * 10.0 }
}

/// The powers of ten, and if they are few, what is 2 and 5 times as much.
fn ticks(range: &Range<f64>) -> Vec<f64> {
    let steps: &[f64] = if range.end / range.start > 1e3 {
        &[1.0]
    } else {
        &[1.0, 2.0, 5.0]
    };
    let mut decade = range.start;
    let mut ticks = Vec::new();
    while decade <= range.end * 1.001 {
        ticks.extend(
            steps
                .iter()
                .map(|step| step * decade)
                .filter(|tick| *tick <= range.end * 1.001),
        );
        decade *= 10.0;
    }
    ticks
}

/// A number with k and M for thousands and millions.
pub(crate) fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{} M", three_digits(value / 1e6)),
        1e3.. => format!("{} k", three_digits(value / 1e3)),
        _ => three_digits(value),
    }
}

/// A number with about three digits that count.
pub(crate) fn three_digits(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    let text = match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    };
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}
