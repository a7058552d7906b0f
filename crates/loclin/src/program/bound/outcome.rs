//! What `loclin bound` says of a dataset.

use std::fmt;
use std::path::PathBuf;

use loclin_data::Applied;
use loclin_regions::Guarantee;
use loclin_report::significant;
use loclin_report::stats::Percentiles;
use serde::Serialize;

use super::options::What;
use super::row::{Answer, Farthest, Row, name};
use crate::program::compute::Dtype;
use crate::program::domain::{InputBox, said};

/// Lines of single inputs that are printed; tables and JSON have all.
const LINES: usize = 20;

/// What is known after asking about a dataset.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// The model, as asked for.
    #[serde(serialize_with = "crate::program::outcome::path")]
    pub model: PathBuf,
    /// The dataset, as it calls itself.
    pub data: String,
    /// Number of inputs.
    pub inputs: usize,
    /// What is bounded.
    pub what: What,
    /// The same in words.
    pub question: String,
    /// The ball's norm: `1`, `2`, `inf` or another p.
    pub norm: String,
    /// The domain that balls are cut with; `None` if they are whole.
    pub domain: Option<InputBox>,
    /// For each radius asked for, what there is over the inputs.
    pub radii: Vec<Summary>,
    /// The same of the largest radii, where they were asked for.
    pub largest: Option<Largest>,
    /// The answers, input by input.
    pub results: Vec<Row>,
    /// What is claimed of all that is proved: `proved` or `estimate`.
    #[serde(serialize_with = "name")]
    pub guarantee: Guarantee,
    /// Wall-clock seconds.
    pub seconds: f64,
    /// The table, if one was asked for.
    #[serde(serialize_with = "crate::program::outcome::optional_path")]
    pub out: Option<PathBuf>,
    /// The inputs found, if they were asked for.
    #[serde(serialize_with = "crate::program::outcome::optional_path")]
    pub witness: Option<PathBuf>,
    /// The report, if one was asked for.
    #[serde(serialize_with = "crate::program::outcome::optional_path")]
    pub report: Option<PathBuf>,
    /// The floating-point type.
    pub dtype: Dtype,
    /// What was done to the inputs.
    pub preprocessing: Applied,
}

/// One radius, over all inputs.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The radius.
    pub eps: f64,
    /// Inputs with an answer.
    pub inputs: usize,
    /// The largest values found.
    pub found: Option<Percentiles>,
    /// The bounds.
    pub proved: Option<Percentiles>,
    /// Share of the inputs for which both are one number.
    pub exact: f64,
    /// Share of the inputs for which the top k or the class is proved to stay; `None` for other questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stays: Option<f64>,
    /// Shares of numbers whose sign is proved to stay; `None` for other questions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signs_proved: Option<Percentiles>,
}

/// The largest radii, over all inputs.
#[derive(Clone, Debug, Serialize)]
pub struct Largest {
    /// What was allowed.
    pub allowed: String,
    /// The radii proved.
    pub proved: Option<Percentiles>,
    /// The same as multiples of the margin, where that is positive and finite.
    pub times_margin: Option<Percentiles>,
}

impl Summary {
    /// Of one radius.
    pub(super) fn of(eps: f64, rows: &[Row], what: What) -> Self {
        let answers = rows.iter().flat_map(|row| &row.bounds);
        let answers: Vec<&Answer> = answers
            .filter(|answer| answer.eps == eps && answer.bound.is_some())
            .collect();
        let percentiles = |of: fn(&Answer) -> Option<f64>| {
            let values: Vec<f64> = answers.iter().filter_map(|answer| of(answer)).collect();
            Percentiles::of(&values)
        };
        let share = |of: fn(&Answer) -> bool| {
            let count = answers.iter().filter(|answer| of(answer)).count();
            count as f64 / rows.len() as f64
        };
        Self {
            eps,
            inputs: answers.len(),
            found: percentiles(|answer| answer.found),
            proved: percentiles(|answer| answer.proved),
            exact: share(|answer| answer.exact),
            stays: what
                .is_decision()
                .then(|| share(|answer| answer.stays == Some(true))),
            signs_proved: percentiles(|answer| answer.signs_proved),
        }
    }
}

impl Largest {
    /// Of all inputs; `None` where no largest radius was asked for.
    pub(super) fn of(rows: &[Row], allowed: Option<String>) -> Option<Self> {
        let largest = || rows.iter().filter_map(|row| row.largest.as_ref());
        let percentiles = |of: fn(&Farthest) -> Option<f64>| {
            Percentiles::of(&largest().filter_map(of).collect::<Vec<f64>>())
        };
        allowed.map(|allowed| Self {
            allowed,
            proved: percentiles(|largest| Some(largest.proved)),
            times_margin: percentiles(|largest| largest.times_margin),
        })
    }
}

impl Outcome {
    /// What the upper ends are called: nothing is proved of an estimate.
    pub fn claim(&self) -> &'static str {
        match self.guarantee {
            Guarantee::Proved => "proved",
            _ => "estimate",
        }
    }

    /// A line for each input and radius.
    fn lines(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claim = self.claim();
        if self.results.iter().any(|row| !row.bounds.is_empty()) {
            let [input, class, margin, eps] = ["input", "class", "margin", "eps"];
            let units = "units";
            writeln!(
                f,
                "{input:>6} {class:>5} {margin:>10} {eps:>10} {:>12} {claim:>12} {units:>6}",
                "found"
            )?;
        }
        let each = || {
            self.results
                .iter()
                .flat_map(|row| row.bounds.iter().map(move |answer| (row, answer)))
        };
        for (row, answer) in each().take(LINES) {
            let (margin, eps) = (significant(row.margin), significant(answer.eps));
            write!(
                f,
                "{:>6} {:>5} {margin:>10} {eps:>10} ",
                row.index, row.class
            )?;
            match (answer.found, answer.proved, answer.units) {
                (Some(found), Some(proved), Some(units)) => {
                    write!(
                        f,
                        "{found:>12.5} {proved:>12.5} {units:>6}  {}",
                        self.remark(answer)
                    )?;
                }
                _ => write!(f, "none: {}", answer.refused.as_deref().unwrap_or_default())?,
            }
            writeln!(f)?;
        }
        let more = each().count().saturating_sub(LINES);
        if more > 0 {
            writeln!(f, "{more} lines more, which --out FILE.csv or --json has")?;
        }
        Ok(())
    }

    /// What the numbers of one line say.
    fn remark(&self, answer: &Answer) -> String {
        let (claim, exact) = (self.claim(), answer.exact);
        match self.what {
            What::TopK | What::Class => match answer.stays {
                Some(true) => format!("stays ({claim})"),
                Some(false) => "does not stay".into(),
                None => "open".into(),
            },
            What::Sign => {
                let share = 100.0 * answer.signs_proved.unwrap_or(0.0);
                format!("{share:.1}% keep their sign ({claim})")
            }
            _ if exact => "exact".into(),
            _ => String::new(),
        }
    }

    /// A line for each input's largest radius.
    fn farthest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claim = self.claim();
        let rows = self
            .results
            .iter()
            .filter_map(|row| Some((row, row.largest.as_ref()?)));
        for (at, (row, largest)) in rows.enumerate().take(LINES) {
            if at == 0 {
                writeln!(
                    f,
                    "{:>6} {:>5} {:>10} {:>14} {:>14} {:>12}",
                    "input",
                    "class",
                    "margin",
                    format!("radius {claim}"),
                    "too large",
                    "times margin"
                )?;
            }
            let (margin, proved) = (significant(row.margin), significant(largest.proved));
            let refuted = significant(largest.refuted);
            let times = largest.times_margin.map_or_else(String::new, significant);
            writeln!(
                f,
                "{:>6} {:>5} {margin:>10} {proved:>14} {refuted:>14} {times:>12}",
                row.index, row.class
            )?;
        }
        Ok(())
    }

    /// Medians over the inputs.
    fn medians(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let claim = self.claim();
        for Summary {
            eps,
            found,
            proved,
            exact,
            stays: share,
            signs_proved,
            inputs,
        } in &self.radii
        {
            let eps = significant(*eps);
            let (Some(found), Some(proved)) = (found, proved) else {
                writeln!(f, "eps {eps}: no answer for any input")?;
                continue;
            };
            write!(
                f,
                "eps {eps}: median of {inputs} inputs {} found, {} {claim}",
                significant(found.p50),
                significant(proved.p50)
            )?;
            if let Some(share) = share {
                write!(f, "; stays for {:.1}% ({claim})", 100.0 * share)?;
            } else if let Some(signs) = signs_proved {
                write!(
                    f,
                    "; {:.1}% of the numbers keep their sign ({claim})",
                    100.0 * signs.p50
                )?;
            } else {
                write!(f, "; both the same for {:.1}%", 100.0 * exact)?;
            }
            writeln!(f)?;
        }
        if let Some(Largest {
            allowed,
            proved: Some(proved),
            times_margin,
        }) = &self.largest
        {
            write!(
                f,
                "{allowed}: median radius {} ({claim})",
                significant(proved.p50)
            )?;
            match times_margin {
                Some(times) => writeln!(f, ", {} times the margin", significant(times.p50))?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs = if self.inputs == 1 { "input" } else { "inputs" };
        writeln!(
            f,
            "{} {inputs} of {}, {}: {:.1} s",
            self.inputs, self.data, self.dtype, self.seconds
        )?;
        writeln!(f, "inputs     {}", self.preprocessing)?;
        writeln!(f, "domain     {}", said(self.domain.as_ref()))?;
        writeln!(f, "question   {}", self.question)?;
        self.lines(f)?;
        self.farthest(f)?;
        self.medians(f)?;
        write!(
            f,
            "guarantee  {}",
            match self.guarantee {
                Guarantee::Proved =>
                    "proved: no input of a ball is beyond what is said to be proved of it",
                _ => "estimate: rounding errors are not bounded here, so that nothing is proved",
            }
        )?;
        for file in [&self.out, &self.witness, &self.report]
            .into_iter()
            .flatten()
        {
            write!(f, "\n{}", file.display())?;
        }
        Ok(())
    }
}
