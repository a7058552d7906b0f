//! What is found near an input when somebody asks.

use std::time::Duration;

use anyhow::Context;
use loclin_report::Explanation;
use loclin_report::explorer::Look;

use super::gradient::Asked;
use super::query::Query;
use super::source::Source;
use crate::program::distortion::Radius;
use crate::program::explain::{Drawing, Integration, NearbyOptions, ReadOptions, read};

/// The radius of a search that is offered first: eight levels of a stored picture.
const EPS: &str = "8/256";
/// Seconds that a search is offered, and the most that it is given.
const SECONDS: (f64, f64) = (5.0, 60.0);
/// The most gradients that a search evaluates.
const EVALUATIONS: f64 = 2000.0;
/// The form for a search, and what it found if it was asked for.
pub(super) fn look(
    source: &Source,
    asked: &Asked,
    (query, pairs): (&Query, &[(String, String)]),
    evaluation: Duration,
) -> anyhow::Result<(Look, Option<Explanation>)> {
    let get = |name: &str| {
        pairs
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| &value[..])
    };
    let (eps, seconds) = (get("eps"), get("seconds"));
    let mut look = Look {
        eps: eps.unwrap_or(EPS).to_owned(),
        seconds: seconds.map_or(SECONDS.0.to_string(), str::to_owned),
        refused: None,
        hidden: query.pairs(),
    };
    if eps.is_none() && seconds.is_none() {
        return Ok((look, None));
    }
    let radius = look.eps.parse::<Radius>();
    let time = look.seconds.trim().parse::<f64>().ok();
    let time = time.filter(|time| *time > 0.0 && *time <= SECONDS.1);
    let (radius, time) = match (radius, time) {
        (Ok(radius), Some(time)) => (radius, time),
        (Err(cause), _) => {
            look.refused = Some(format!("Radius `{}`: {cause}.", look.eps));
            return Ok((look, None));
        }
        (_, None) => {
            let most = SECONDS.1;
            look.refused = Some(format!(
                "Seconds `{}`: expected a number up to {most}.",
                look.seconds
            ));
            return Ok((look, None));
        }
    };
    let _turn = source.ask.turn();
    // Half for the search, half for bounds; a step of the search is a gradient and its derivative.
    let most = 0.25 * time / evaluation.as_secs_f64().max(1e-6);
    let evaluations = most.clamp(10.0, EVALUATIONS) as usize;
    let options = ReadOptions {
        eps: radius.value(),
        domain: asked.domain.clone(),
        evaluations,
        seed: asked.seed,
        integration: Integration::Steps((evaluations / 10).clamp(1, 50)),
        baseline: None,
        noise: None,
        nearby: Some(NearbyOptions {
            time: Duration::from_secs_f64(0.5 * time),
            top: 10,
        }),
    };
    let reading = read(&asked.network, &asked.x, None, &options);
    let reading = reading.with_context(|| asked.subject.name.clone())?;
    Ok((
        look,
        Some(Explanation {
            heading: format!("Within {radius}"),
            lines: reading.lines(radius),
            curve: reading.curve(),
            panels: reading.panels(&asked.subject, Drawing::Signed)?,
            numbers: reading.numbers(&asked.subject),
        }),
    ))
}
