//! Figure 2: accuracy and median margin on the test inputs against C and against lambda, a curve for each gamma.
//!
//! Two sweeps make it; their files say what is trained.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Deserialize;

use super::certificate::Certificate;
use super::places::{Places, Training};
use super::provenance::Provenance;
use super::results::{PAGE, Results};
use loclin::program::files;
use loclin::program::options::Global;
use loclin::program::sweep::{self, Planned, Status};
use loclin_report::figure::{Axes, Chart, Curve, Scale, charts};

/// The file of the figure.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    title: String,
    panels: Vec<Panel>,
}

/// A sweep over `axis` and gamma.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Panel {
    /// The sweep: a shipped name, or a path relative to the figure's file.
    sweep: PathBuf,
    axis: Axis,
}

/// A key of the configuration along a horizontal axis.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Axis {
    C,
    Lambda,
}

/// One network.
struct Point {
    sweep: String,
    run: Planned,
    certificate: Certificate,
}

impl Axis {
    fn of(self, point: &Point) -> f64 {
        let config = &point.run.config;
        match self {
            Self::C => config.c,
            Self::Lambda => config.lambda,
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::C => "C (no unit)",
            Self::Lambda => "λ (no unit)",
        }
    }

    /// What stays the same.
    fn other(self, point: &Point) -> String {
        let config = &point.run.config;
        match self {
            Self::C => format!("λ = {}", config.lambda),
            Self::Lambda => format!("C = {}", config.c),
        }
    }
}

pub(super) fn run(
    training: &Training,
    places: &Places,
    global: &Global,
) -> anyhow::Result<Results> {
    let unusable = || format!("{}: not a usable figure", places.config.display());
    let plan: Plan = toml::from_str(&files::read_text(&places.config)?).with_context(unusable)?;
    let directory = places.config.parent().unwrap_or(Path::new(""));
    let (mut points, mut drawn, mut diverged) = (Vec::new(), Vec::new(), Vec::new());
    let mut sweeps = Vec::new();
    for panel in &plan.panels {
        let sweep = sweep::Plan::load(&panel.sweep, directory, global)?;
        let name = sweep.name.clone();
        let (found, lost) = trained(sweep, training, places, global)?;
        diverged.extend(lost);
        ensure!(!found.is_empty(), "{name}: every run diverged");
        sweeps.push(format!("the sweep `{name}`"));
        drawn.extend(charts_of(panel.axis, &found)?);
        points.extend(found);
    }
    let canvas = charts(&drawn, 2);
    let first = points.first().context("the figure has no panels")?;
    let config = &first.run.config;
    let page = format!(
        "# {}\n\n![Accuracy and median l2 margin against C and against lambda, a curve for each gamma](figure2.svg)\n\n\
         One network a point, seed {}: hidden layers {:?}, data `{}`, {} epochs; {} say everything else. Accuracy and \
         radii on the {} test inputs, certified in float64; all points in [`figure2.csv`](figure2.csv).{}\n\n{}\n",
        plan.title,
        config.seed,
        config.hidden,
        config.dataset,
        config.epochs,
        sweeps.join(" and "),
        first.certificate.inputs,
        match diverged.is_empty() {
            true => String::new(),
            false => format!(
                " Without a point, because they diverged: {}.",
                diverged.join("; ")
            ),
        },
        Provenance::of(places.command("figure2")),
    );
    Ok(Results {
        text: format!("{} networks\n", points.len()),
        files: vec![
            (PAGE.into(), page.into_bytes()),
            ("figure2.svg".into(), canvas.svg().into_bytes()),
            ("figure2.png".into(), canvas.png()?),
            ("figure2.csv".into(), csv(&points)?),
        ],
    })
}

/// The networks of a sweep, and the names of those that diverged: they have no place in the figure.
fn trained(
    plan: sweep::Plan,
    training: &Training,
    places: &Places,
    global: &Global,
) -> anyhow::Result<(Vec<Point>, Vec<String>)> {
    let name = plan.name;
    let runs = places.runs.join(&name);
    let rows = training.execute(&plan.runs, &runs, global)?;
    let (mut points, mut diverged) = (Vec::new(), Vec::new());
    for (run, row) in plan.runs.into_iter().zip(rows) {
        if !matches!(row.status, Status::Done { .. }) {
            diverged.push(format!("`{}` of {name}", run.name));
            continue;
        }
        let certificate =
            Certificate::of(&run, &runs.join(&run.name), &training.data, None, global)?;
        points.push(Point {
            sweep: name.clone(),
            run,
            certificate,
        });
    }
    Ok((points, diverged))
}

/// Accuracy and median margin along `axis`.
fn charts_of(axis: Axis, points: &[Point]) -> anyhow::Result<[Chart; 2]> {
    let gamma = |point: &Point| point.run.config.gamma.to_string();
    let mut names: Vec<String> = Vec::new();
    for point in points {
        if !names.contains(&gamma(point)) {
            names.push(gamma(point));
        }
    }
    let curves = |value: &dyn Fn(&Certificate) -> anyhow::Result<f64>| {
        let curve = |name: &String| {
            let own = points.iter().filter(|point| gamma(point) == *name);
            let place = |point: &Point| Ok([axis.of(point), value(&point.certificate)?]);
            let mut points = own.map(place).collect::<anyhow::Result<Vec<_>>>()?;
            points.sort_by(|a, b| a[0].total_cmp(&b[0]));
            Ok(Curve {
                name: format!("γ = {name}"),
                points,
            })
        };
        names.iter().map(curve).collect::<anyhow::Result<Vec<_>>>()
    };
    let other = points.first().map(|point| axis.other(point));
    let other = other.unwrap_or_default();
    let axes = |title: &str, y_label: &str, y_scale| Axes {
        title: format!("{title}, {other}"),
        x_label: axis.label().into(),
        x_scale: Scale::Log,
        y_label: y_label.into(),
        y_scale,
        y_holds: Vec::new(),
    };
    Ok([
        Chart {
            axes: axes("accuracy", "test accuracy (%)", Scale::Linear),
            band: Vec::new(),
            curves: curves(&|certificate| Ok(100.0 * certificate.accuracy))?,
        },
        Chart {
            axes: axes("margin", "median l2 margin (pixel units)", Scale::Log),
            band: Vec::new(),
            curves: curves(&|certificate| Ok(certificate.margin("eps_2")?.p50))?,
        },
    ])
}

fn csv(points: &[Point]) -> anyhow::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record([
        "sweep",
        "lambda",
        "c",
        "gamma",
        "seed",
        "accuracy",
        "clr_lower",
        "clr_upper",
        "eps_1_p50",
        "eps_2_p25",
        "eps_2_p50",
        "eps_2_p75",
    ])?;
    for Point {
        sweep,
        run,
        certificate,
    } in points
    {
        let (config, eps_2) = (&run.config, certificate.margin("eps_2")?);
        writer.write_record([
            sweep.clone(),
            config.lambda.to_string(),
            config.c.to_string(),
            config.gamma.to_string(),
            config.seed.to_string(),
            certificate.accuracy.to_string(),
            certificate.clr[0].to_string(),
            certificate.clr[1].to_string(),
            certificate.margin("eps_1")?.p50.to_string(),
            eps_2.p25.to_string(),
            eps_2.p50.to_string(),
            eps_2.p75.to_string(),
        ])?;
    }
    writer.into_inner().context("cannot finish the table")
}
