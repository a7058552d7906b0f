//! A result's model and data, found again and compared.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use loclin_data::{Data, source};
use loclin_models::ModelFile;
use loclin_report::explorer::Notice;
use serde_json::Value;

use crate::program::domain::{DomainChoice, DomainOptions, InputBox};
use crate::program::errors;
use crate::program::jobs::{self, Settings};
use crate::program::model::ModelPath;
use crate::program::opened::Opened;
use crate::program::options::{Global, InputOptions};
use crate::program::process;

/// Settings that are compared: in what, and how the option is called that finds it elsewhere, where there is one.
const COMPARED: [(&str, Option<&str>); 8] = [
    ("model", Some("--model")),
    ("architecture", Some("--model")),
    ("output", Some("--model")),
    ("input_shape", Some("--model")),
    ("data", Some("--data")),
    ("inputs", Some("--data")),
    ("preprocessing", Some("--data")),
    ("domain", None),
];

/// What a model is asked about, as the command line said it.
pub(super) struct Named {
    pub(super) source: ModelPath,
    pub(super) inputs: InputOptions,
    pub(super) rows: loclin_data::Rows,
    /// The number of the first input.
    pub(super) first: usize,
    pub(super) domain: DomainOptions,
    pub(super) global: Global,
}

/// What the files have to be.
pub(super) struct Expected {
    /// The table.
    pub(super) result: PathBuf,
    pub(super) settings: Settings,
}

/// What was found again, and is that of the result.
pub(super) struct Found {
    pub(super) model: ModelFile,
    pub(super) data: Data,
    /// The box of inputs.
    pub(super) domain: Option<InputBox>,
}

/// Opens the model and the data when they are needed first.
pub(super) struct Ask {
    named: Result<Named, Notice>,
    expected: Option<Expected>,
    opened: Mutex<Option<Arc<Found>>>,
    turn: Mutex<()>,
}

impl Named {
    /// Paths that are there below the folder, from there.
    pub(super) fn below(&mut self, folder: &Path) {
        let place = |path: &mut PathBuf| {
            let there = folder.join(&*path);
            if there.exists() {
                *path = there;
            }
        };
        place(&mut self.source.model);
        if let Some(architecture) = &mut self.source.architecture
            // A folder is none: its name is that of a shipped one.
            && folder.join(&*architecture).is_file()
        {
            place(architecture);
        }
        place(&mut self.inputs.place.data_dir);
        self.inputs.classes.classes.iter_mut().for_each(place);
        self.inputs
            .preprocessing
            .preprocessing
            .iter_mut()
            .for_each(place);
        if let Some(DomainChoice::File(file)) = &mut self.domain.domain {
            place(file);
        }
        if let Some(data) = &mut self.inputs.data
            && let Some(there) = source::below(folder, data)
        {
            *data = there;
        }
    }
}

impl Ask {
    pub(super) fn new(named: Named, expected: Option<Expected>) -> Self {
        Self {
            named: Ok(named),
            expected,
            opened: Mutex::default(),
            turn: Mutex::default(),
        }
    }

    /// Of a table of which nobody knows what it was made of.
    pub(super) fn unknown(table: &Path) -> Self {
        let (table, program) = (table.display(), process::name());
        Self {
            named: Err(Notice {
                title: "The table does not say what it was made of".into(),
                lines: vec![
                    format!(
                        "{table} has no journal beside it ({table}.job), or one of an earlier version, so its model and data cannot be \
                         found."
                    ),
                    format!(
                        "Keep the journal beside the table, make the table again, or, with its journal, name both: `{program} serve \
                         {table} --model PATH --data PATH`."
                    ),
                ],
            }),
            expected: None,
            opened: Mutex::default(),
            turn: Mutex::default(),
        }
    }

    /// What is asked, where it is known.
    pub(super) fn named(&self) -> Result<&Named, Notice> {
        self.named.as_ref().map_err(Notice::clone)
    }

    /// Searches come one after the other: each may take all cores.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The model, the data and the box of the result; what is on the disk is looked at until it is what the result was made of, and
    /// not again.
    ///
    /// # Errors
    /// Why they cannot be had, and the remedy.
    pub(super) fn opened(&self) -> Result<Arc<Found>, Notice> {
        // What is kept is whole whoever panicked.
        let mut kept = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = &*kept {
            return Ok(Arc::clone(opened));
        }
        let named = self.named()?;
        let file = named.source.file();
        if !file.exists() {
            return Err(self.notice(
                "The model is not where it was",
                format!("{}: there is no such file.", file.display()),
                Some("--model"),
            ));
        }
        let failed = |option| {
            move |cause: anyhow::Error| {
                let cause = errors::describe(&cause);
                self.notice("The inputs cannot be opened", cause, option)
            }
        };
        let [model, data] = [Some("--model"), Some("--data")];
        // Before anything reads a file that is another one.
        let digest = named.source.digest().map_err(failed(model))?;
        self.compare(&Settings::default().with("model", digest), &["model"])?;
        let opened = Opened::new(&named.source, &named.inputs, named.rows, &named.global);
        let opened = opened.map_err(failed(data))?;
        let of_data = InputBox::of_data(opened.data.domain());
        let domain = named.domain.read(of_data, &opened.applied);
        let domain = domain.map_err(failed(None))?;
        if self.expected.is_some() {
            let own = jobs::common(&named.source, &opened.data, &named.global);
            let own = own.map_err(failed(data))?;
            let own = own.with("preprocessing", opened.applied.to_string());
            let own = own.and_then(|own| own.with("domain", &domain));
            self.compare(&own, &COMPARED.map(|(name, _)| name))?;
        }
        let Opened { model, data, .. } = opened;
        let found = Arc::new(Found {
            model,
            data,
            domain,
        });
        *kept = Some(Arc::clone(&found));
        Ok(found)
    }

    /// Refuses files that are not those of the result.
    fn compare(
        &self,
        own: &Result<Settings, serde_json::Error>,
        names: &[&str],
    ) -> Result<(), Notice> {
        let (Some(expected), Ok(own)) = (&self.expected, own) else {
            return Ok(());
        };
        let compared = COMPARED.iter().filter(|(name, _)| names.contains(name));
        for (name, option) in compared {
            let (was, is) = (expected.settings.get(name), own.get(name));
            // A file is what is in it, wherever it is.
            let content = |value: Option<&Value>| {
                let digest = value.and_then(|value| value.get("sha256"));
                digest.or(value).cloned()
            };
            if content(was) != content(is) {
                let text =
                    |value: Option<&Value>| value.map_or("nothing".to_owned(), ToString::to_string);
                return Err(self.notice(
                    &format!("Not what the result was made of: {name}"),
                    format!(
                        "The result was made of {}, this is {}. Nothing is shown of it, because it would not be what the table says.",
                        text(was),
                        text(is)
                    ),
                    *option,
                ));
            }
        }
        Ok(())
    }

    /// What is wrong, and where the option of that name would help.
    fn notice(&self, title: &str, cause: String, option: Option<&str>) -> Notice {
        let remedy = match (&self.expected, option) {
            (Some(expected), Some(option)) => format!(
                "Put it back, or say where it is: `{} serve {} {option} PATH`.",
                process::name(),
                expected.result.display()
            ),
            (None, Some(option)) => format!("Say where it is: {option} PATH."),
            (_, None) => "Put it back.".to_owned(),
        };
        Notice {
            title: title.to_owned(),
            lines: vec![cause, remedy],
        }
    }
}
