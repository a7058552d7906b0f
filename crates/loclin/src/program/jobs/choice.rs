//! Which part of a job a process does, as the command line or a cluster says it.

use std::str::FromStr;

use super::shard::{Shard, ShardError};
use crate::program::errors::Usage;

/// What `--shard` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This one.
    Given(Shard),
    /// The one that the engine which started the process says in its environment.
    Auto,
}

/// How many parts there are, for engines that tell a task its own number alone.
const COUNT: &str = "LOCLIN_SHARDS";

impl Choice {
    /// The part.
    ///
    /// # Errors
    /// For [`Choice::Auto`] an environment of no known engine, or one that does not say both numbers.
    pub fn shard(self) -> Result<Shard, Usage> {
        match self {
            Self::Given(shard) => Ok(shard),
            Self::Auto => of_environment(|name| std::env::var(name).ok()),
        }
    }
}

impl FromStr for Choice {
    type Err = ShardError;

    fn from_str(text: &str) -> Result<Self, ShardError> {
        match text {
            "auto" => Ok(Self::Auto),
            shard => shard.parse().map(Self::Given),
        }
    }
}

/// The part that the variables of an engine say: of a Slurm array, of a Kubernetes job with indices, or of a HyperQueue task.
fn of_environment(get: impl Fn(&str) -> Option<String>) -> Result<Shard, Usage> {
    let get = |name: &str| get(name).filter(|value| !value.is_empty());
    let number = |name: &str| {
        let text = get(name).ok_or_else(|| {
            Usage::new(format!(
                "--shard auto: {name} is not set; it says how many parts there are"
            ))
        })?;
        text.trim().parse::<usize>().map_err(|_| {
            let message = format!("--shard auto: {name}={text}: expected a whole number");
            Usage::new(message)
        })
    };
    let shard = |index: usize, count: usize, of: &str| {
        Shard::new(index, count).map_err(|_| {
            let message = format!("--shard auto: {of}: part {index} of {count} is none");
            Usage::new(message)
        })
    };
    if get("SLURM_ARRAY_TASK_ID").is_some() {
        let [id, least, count] = [
            number("SLURM_ARRAY_TASK_ID")?,
            number("SLURM_ARRAY_TASK_MIN")?,
            number("SLURM_ARRAY_TASK_COUNT")?,
        ];
        let most = number("SLURM_ARRAY_TASK_MAX").unwrap_or(least + count.saturating_sub(1));
        // Of 0,3,7 nobody can tell which is the second.
        if most.checked_sub(least) != count.checked_sub(1) {
            let message = "--shard auto: the tasks of the Slurm array are not numbered one after the other; use --array=1-N, or --shard I/N";
            return Err(Usage::new(message));
        }
        return shard((id + 1).saturating_sub(least), count, "the Slurm array");
    }
    if get("JOB_COMPLETION_INDEX").is_some() {
        let index = number("JOB_COMPLETION_INDEX")?.saturating_add(1);
        return shard(index, number(COUNT)?, "JOB_COMPLETION_INDEX counts from 0");
    }
    if get("HQ_TASK_ID").is_some() {
        return shard(
            number("HQ_TASK_ID")?,
            number(COUNT)?,
            "HQ_TASK_ID counts from 1 (--array 1-N)",
        );
    }
    Err(Usage::new(
        "--shard auto: no task of a Slurm array (SLURM_ARRAY_TASK_ID), of a Kubernetes job with indices (JOB_COMPLETION_INDEX) or of HyperQueue (HQ_TASK_ID); name the part as I/N",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Result<String, String> {
        let get = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let shard = of_environment(get);
        shard.map(|s| s.to_string()).map_err(|e| e.to_string())
    }

    #[test]
    fn every_engine_says_the_part() {
        let slurm = |id, least, most, count| {
            found(&[
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_MIN", least),
                ("SLURM_ARRAY_TASK_MAX", most),
                ("SLURM_ARRAY_TASK_COUNT", count),
            ])
        };
        assert_eq!(slurm("0", "0", "7", "8"), Ok("1/8".into()));
        assert_eq!(slurm("8", "1", "8", "8"), Ok("8/8".into()));
        assert!(
            slurm("3", "0", "7", "3")
                .unwrap_err()
                .contains("one after the other")
        );
        let kubernetes = [("JOB_COMPLETION_INDEX", "0"), (COUNT, "4")];
        assert_eq!(found(&kubernetes), Ok("1/4".into()));
        assert!(found(&kubernetes[..1]).unwrap_err().contains(COUNT));
        assert_eq!(
            found(&[("HQ_TASK_ID", "4"), (COUNT, "4")]),
            Ok("4/4".into())
        );
        assert!(found(&[("HQ_TASK_ID", "0"), (COUNT, "4")]).is_err());
        assert!(found(&[]).unwrap_err().contains("I/N"));
    }
}
