//! A run as one static HTML file: no network, charts as inline SVG, usable by keyboard. Pure.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, Value, context};
use plotters::prelude::*;
use serde::Serialize;

use super::compare::Row;
use super::run::RunRecord;
use super::score::{HEADLINE, QuestionResult, Summary};
use super::stats::Estimate;
use crate::base::error::{Error, ErrorKind, Result};

const PAGE: &str = include_str!("report.html");
const SIZE: (u32, u32) = (460, 260);
/// Readable on light and dark.
const BLUE: RGBColor = RGBColor(58, 124, 220);
const ORANGE: RGBColor = RGBColor(220, 120, 30);
const GREY: RGBColor = RGBColor(130, 135, 145);

#[derive(Serialize)]
struct Line {
    group: String,
    metric: String,
    estimate: Estimate,
    other: Option<Estimate>,
}

#[derive(Serialize)]
struct Shown<'a> {
    result: &'a QuestionResult,
    right: Option<bool>,
    /// Rank of the first gold hit among those shown.
    first_gold: Option<usize>,
}

/// A chart with its words for those who don't see it.
#[derive(Serialize)]
struct Chart {
    title: &'static str,
    alt: String,
    svg: String,
}

/// One run's parts.
pub struct Run<'a> {
    /// `run.json`.
    pub manifest: &'a RunRecord,
    /// `summary.json`.
    pub summary: &'a Summary,
    /// `results.jsonl`.
    pub results: &'a [QuestionResult],
}

/// The report of a run; with another run beside it, and their comparison, if one is given.
///
/// # Errors
/// [`ErrorKind::Bug`] if a chart can't be drawn.
pub fn html(run: &Run<'_>, other: Option<(&Run<'_>, &[Row])>) -> Result<String> {
    let mut lines = Vec::new();
    let mut groups: Vec<&String> = run.summary.groups.keys().collect();
    groups.sort_by_key(|group| (*group != "all", (*group).clone()));
    for group in groups {
        for metric in HEADLINE {
            let Some(estimate) = run.summary.groups[group].get(metric) else { continue };
            let other =
                other.and_then(|(other, _)| other.summary.groups.get(group)?.get(metric)).copied();
            lines.push(Line {
                group: group.clone(),
                metric: metric.to_owned(),
                estimate: *estimate,
                other,
            });
        }
    }
    let shown: Vec<Shown<'_>> = run
        .results
        .iter()
        .map(|result| Shown {
            result,
            right: result.is_right(),
            first_gold: result.found.iter().position(|found| found.gold).map(|at| at + 1),
        })
        .collect();
    let charts = charts(run)?;
    let failed = |error: minijinja::Error| {
        Error::new(ErrorKind::Bug, "the report can't be made").caused_by(error)
    };
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let template = environment.template_from_named_str("report.html", PAGE).map_err(failed)?;
    template
        .render(context! {
            run => Value::from(Serde(run.manifest)),
            summary => Value::from(Serde(run.summary)),
            lines => Value::from(Serde(&lines)),
            results => Value::from(Serde(&shown)),
            charts => Value::from(Serde(&charts)),
            other => Value::from(Serde(other.map(|(other, _)| other.manifest))),
            rows => Value::from(Serde(other.map(|(_, rows)| rows))),
        })
        .map_err(failed)
}

fn charts(run: &Run<'_>) -> Result<Vec<Chart>> {
    let mut charts = Vec::new();
    let all = run.summary.groups.get("all");
    if run.summary.risk_coverage.len() > 1 {
        charts.push(Chart {
            title: "Risk (share wrong) over coverage (share answered, surest first)",
            alt: format!(
                "Share of wrong answers by share of questions answered; area {:.3}",
                run.summary.aurc
            ),
            svg: curve(&run.summary.risk_coverage)?,
        });
    }
    let scores = |answerable: bool| -> Vec<f64> {
        let of = run.results.iter().filter(|result| result.answerable == answerable);
        of.map(|result| result.confidence).collect()
    };
    charts.push(Chart {
        title: "Best cosine: answerable (blue), unanswerable (orange)",
        alt: "Distribution of the best cosine of answerable and unanswerable questions".into(),
        svg: histogram(&[(scores(true), BLUE), (scores(false), ORANGE)], 0.0..1.0)?,
    });
    let metric =
        if all.is_some_and(|all| all.contains_key("right")) { "right" } else { "section hit@5" };
    let bars: Vec<(String, f64)> = run
        .summary
        .groups
        .iter()
        .filter_map(|(group, metrics)| {
            Some((group.strip_prefix("type ")?.to_owned(), metrics.get(metric)?.mean))
        })
        .collect();
    if !bars.is_empty() {
        charts.push(Chart {
            title: if metric == "right" {
                "Right answers by type"
            } else {
                "Section hit@5 by type"
            },
            alt: bars
                .iter()
                .map(|(kind, value)| format!("{kind} {value:.2}"))
                .collect::<Vec<_>>()
                .join(", "),
            svg: by_type(&bars)?,
        });
    }
    let seconds: Vec<f64> = run.results.iter().map(|result| result.ms[2] as f64 / 1000.0).collect();
    let longest = seconds.iter().copied().fold(0.01, f64::max);
    charts.push(Chart {
        title: "Seconds a question",
        alt: format!("Distribution of the time a question took; the longest took {longest:.1} s"),
        svg: histogram(&[(seconds, BLUE)], 0.0..longest)?,
    });
    Ok(charts)
}

fn cannot_draw(error: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Bug, format!("a chart can't be drawn: {error}"))
}

fn label() -> TextStyle<'static> {
    ("sans-serif", 13).into_font().color(&GREY)
}

fn curve(points: &[(f64, f64)]) -> Result<String> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let top = points.iter().map(|(_, risk)| *risk).fold(0.05, f64::max);
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .margin_right(20)
            .x_label_area_size(28)
            .y_label_area_size(40)
            .build_cartesian_2d(0.0..1.0, 0.0..top)
            .map_err(cannot_draw)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GREY.mix(0.25))
            .axis_style(GREY)
            .label_style(label())
            .draw()
            .map_err(cannot_draw)?;
        chart
            .draw_series(LineSeries::new(points.iter().copied(), BLUE.stroke_width(2)))
            .map_err(cannot_draw)?;
        area.present().map_err(cannot_draw)?;
    }
    Ok(svg)
}

fn histogram(series: &[(Vec<f64>, RGBColor)], range: std::ops::Range<f64>) -> Result<String> {
    const BINS: usize = 20;
    let width = (range.end - range.start) / BINS as f64;
    let counts: Vec<[usize; BINS]> = series
        .iter()
        .map(|(values, _)| {
            let mut bins = [0; BINS];
            for value in values {
                let at = ((value - range.start) / width).max(0.0) as usize;
                bins[at.min(BINS - 1)] += 1;
            }
            bins
        })
        .collect();
    let top = counts.iter().flatten().copied().max().unwrap_or(0).max(1);
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(8)
            .margin_right(20)
            .x_label_area_size(28)
            .y_label_area_size(40)
            .build_cartesian_2d(range.clone(), 0..top)
            .map_err(cannot_draw)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GREY.mix(0.25))
            .axis_style(GREY)
            .label_style(label())
            .draw()
            .map_err(cannot_draw)?;
        for (bins, (_, color)) in counts.iter().zip(series) {
            let bars =
                bins.iter().enumerate().filter(|(_, count)| **count > 0).map(|(at, count)| {
                    let left = range.start + width * at as f64;
                    Rectangle::new(
                        [(left, 0), (left + width * 0.92, *count)],
                        color.mix(0.6).filled(),
                    )
                });
            chart.draw_series(bars).map_err(cannot_draw)?;
        }
        area.present().map_err(cannot_draw)?;
    }
    Ok(svg)
}

fn by_type(bars: &[(String, f64)]) -> Result<String> {
    let mut svg = String::new();
    let height = 34 + 22 * u32::try_from(bars.len()).unwrap_or(10);
    {
        let area = SVGBackend::with_string(&mut svg, (SIZE.0, height)).into_drawing_area();
        let scale = |value: f64| 130 + (value * 270.0) as i32;
        for (at, (kind, value)) in bars.iter().enumerate() {
            let top = 12 + 22 * i32::try_from(at).unwrap_or(0);
            let bar = Rectangle::new(
                [(130, top), (scale(*value).max(131), top + 15)],
                BLUE.mix(0.7).filled(),
            );
            area.draw(&bar).map_err(cannot_draw)?;
            let text = |words: String, x: i32| Text::new(words, (x, top + 1), label());
            area.draw(&text(kind.clone(), 4)).map_err(cannot_draw)?;
            area.draw(&text(format!("{value:.2}"), scale(*value) + 6)).map_err(cannot_draw)?;
        }
        area.present().map_err(cannot_draw)?;
    }
    Ok(svg)
}
