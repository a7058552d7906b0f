//! What `loclin bound` prints.

use std::fmt;

use loclin_regions::Guarantee;
use loclin_report::{as_asked, at_least, at_most, directed, percent_at_most, significant};

use super::options::What;
use super::outcome::{Largest, Outcome, Summary};
use super::row::{Answer, Row};
use crate::program::compute::Dtype;
use crate::program::domain::said;

/// Lines of single inputs that are printed; tables and JSON have all.
const LINES: usize = 20;

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
                _ if self.inputs == 0 => "none: no inputs in this part",
                Guarantee::Proved =>
                    "proved: no input of a ball is beyond what is said to be proved of it",
                _ if self.are_open() =>
                    "estimate: of inputs so near a boundary or a tie that rounding leaves their side open, nothing is proved",
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

impl Outcome {
    /// Whether nothing is proved of those inputs alone whose margin is 0: on which side of a boundary they are is not known.
    fn are_open(&self) -> bool {
        let estimates = |row: &&Row| row.guarantee != Guarantee::Proved;
        let mut estimates = self.results.iter().filter(estimates);
        self.dtype == Dtype::F64 && estimates.all(|row| row.margin == 0.0)
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
            let (margin, eps) = (at_most(row.margin), as_asked(answer.eps));
            write!(
                f,
                "{:>6} {:>5} {margin:>10} {eps:>10} ",
                row.index, row.class
            )?;
            match (answer.found, answer.proved, answer.units.zip(row.at_input)) {
                (Some(found), Some(proved), Some((units, at_input))) => {
                    write!(
                        f,
                        "{:>12} {:>12} {units:>6}  {}",
                        number(found, false),
                        number(proved, true),
                        self.remark(answer, at_input)
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
    fn remark(&self, answer: &Answer, at_input: f64) -> String {
        let (claim, exact) = (self.claim(), answer.exact);
        match self.what {
            What::TopK | What::Class => match answer.stays {
                Some(true) => format!("stays ({claim})"),
                Some(false) => "does not stay".into(),
                None => "open".into(),
            },
            What::Sign => {
                let share = percent_at_most(answer.signs_proved.unwrap_or(0.0), 1);
                format!("{share} keep their sign ({claim})")
            }
            What::Change => {
                let share = answer.proved.unwrap_or(0.0) / at_input;
                let exact = if exact { "exact, " } else { "" };
                format!("{exact}{} of the gradient", percent(share))
            }
            What::Lipschitz if exact => "exact".into(),
            What::Lipschitz => String::new(),
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
            let (margin, proved) = (at_most(row.margin), at_most(largest.proved));
            let refuted = at_least(largest.refuted);
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
            let eps = as_asked(*eps);
            let (Some(found), Some(proved)) = (found, proved) else {
                writeln!(f, "eps {eps}: no answer for any input")?;
                continue;
            };
            let of = if *inputs == 1 {
                ""
            } else {
                "median of all inputs, "
            };
            let (found, proved) = (at_most(found.p50), at_least(proved.p50));
            match (share, signs_proved) {
                (Some(share), _) => {
                    write!(
                        f,
                        "eps {eps}: stays for {} of the inputs ({claim})",
                        percent_at_most(*share, 1)
                    )?;
                }
                (None, Some(signs)) => write!(
                    f,
                    "eps {eps}: {of}{} of the numbers keep their sign ({claim})",
                    percent_at_most(signs.p50, 1)
                )?,
                (None, None) => write!(
                    f,
                    "eps {eps}: {of}{found} found, {proved} {claim}; both the same for {}",
                    percent_at_most(*exact, 1)
                )?,
            }
            if *inputs < self.inputs {
                write!(f, "; no answer for {}", self.inputs - inputs)?;
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
                at_most(proved.p50)
            )?;
            match times_margin {
                Some(times) => writeln!(f, ", {} times the margin", significant(times.p50))?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

/// A number of at most twelve characters, rounded up or down; what is below 0 by nothing that counts is said to be that.
fn number(value: f64, up: bool) -> String {
    let size = value.abs();
    match value {
        value if value < 0.0 && value > -1e-300 => "below 0".into(),
        0.0 => "0.00000".into(),
        _ if (1e-4..1e6).contains(&size) => {
            // As many digits as there are before the fifth behind the point, but three at least.
            let digits = (size.max(1e-3).log10().floor() + 5.0) as usize;
            let value = directed(value, digits, up);
            let behind = if size < 1e-3 { 7 } else { 5 };
            format!("{value:.behind$}")
        }
        value if up => at_least(value),
        value => at_most(value),
    }
}

/// A share as percent.
fn percent(share: f64) -> String {
    match share.is_finite() {
        true => format!("{}%", at_least(100.0 * share)),
        false => "no share".into(),
    }
}
