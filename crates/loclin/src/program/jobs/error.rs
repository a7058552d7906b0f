//! Why a job cannot begin, go on, or be put together.

use std::path::PathBuf;

/// A journal or a table that does not do.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// There is a result already.
    #[error("{}: there is a result already; --resume goes on with it, --force begins anew", out.display())]
    Exists {
        /// The table.
        out: PathBuf,
    },
    /// A result of a version that kept no journal.
    #[error("{}: of an earlier version of the program, which kept no journal; nothing can go on with it, --force begins anew", place.display())]
    Earlier {
        /// Where it is.
        place: PathBuf,
    },
    /// A table without a journal, with which a job was to go on.
    #[error("{}: no journal of a job beside it ({}); nothing can go on with it, --force begins anew", out.display(), journal.display())]
    Lost {
        /// The table.
        out: PathBuf,
        /// Where its journal should be.
        journal: PathBuf,
    },
    /// A table without a journal, of which something else was wanted.
    #[error("{}: no journal of a job beside it ({}), which its command writes there and which says what the table is; keep both together, or make the table again", out.display(), journal.display())]
    NoJournal {
        /// The table.
        out: PathBuf,
        /// Where its journal should be.
        journal: PathBuf,
    },
    /// Another job.
    #[error("{}: begun with another `{name}`: {there} there, {here} here", place.display())]
    Other {
        /// Where the other settings are.
        place: PathBuf,
        /// What differs.
        name: String,
        /// Its value there.
        there: String,
        /// Its value here.
        here: String,
    },
    /// A journal that is none.
    #[error("{}: not the journal of a job: {cause}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A journal of a later version of the program.
    #[error("{}: format {found} of a journal; this version knows {known}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The last one known.
        known: u32,
    },
    /// A table whose rows are not those that its journal says.
    #[error("{}: changed since it was written: the rows of batch {batch} are not those that its journal says; put it back as it was, or --force begins anew", path.display())]
    Edited {
        /// The table.
        path: PathBuf,
        /// The first batch of which they are not.
        batch: usize,
    },
    /// Another process writes it.
    #[error("{}: another process is at work on it", path.display())]
    Busy {
        /// The journal.
        path: PathBuf,
    },
    /// A file operation.
    #[error("{}: cannot {action}", path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
}
