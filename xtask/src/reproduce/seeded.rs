//! The runs of a configuration with several seeds.

use std::path::Path;

use anyhow::ensure;
use loclin::program::config::Config;
use loclin::program::options::Global;
use loclin::program::sweep::Planned;
use toml::Table;

/// One run with each seed, `NAME-seedN`, of a configuration: the name of a preset, or a path relative to the experiment's `file`; `set` are
/// settings instead of its own, `KEY=VALUE`.
pub(super) fn seeded(
    name: &str,
    config: &Path,
    set: &[String],
    seeds: &[u64],
    file: &Path,
    global: &Global,
) -> anyhow::Result<Vec<Planned>> {
    let directory = file.parent().unwrap_or(Path::new(""));
    let mut config = Config::find(config, directory, set)?;
    config.apply(global);
    let run = |&seed: &u64| Planned {
        name: format!("{name}-seed{seed}"),
        varied: Table::new(),
        config: Config {
            seed,
            ..config.clone()
        },
    };
    Ok(seeds.iter().map(run).collect())
}

/// Whether no two rows of the experiment's `file` have one name, which would be one directory.
pub(super) fn check_names<'a>(
    names: impl Iterator<Item = &'a String> + Clone,
    file: &Path,
) -> anyhow::Result<()> {
    let mut all = names.clone();
    ensure!(
        all.all(|name| names.clone().filter(|other| *other == name).count() == 1),
        "{}: two rows have one name",
        file.display()
    );
    Ok(())
}
