//! What a process of the program needs before it has a second thread, and the name that it goes by.

use std::cell::RefCell;
use std::env;
use std::ffi::OsString;
use std::sync::OnceLock;

use crate::program::errors::Usage;

/// Threads of Candle's element-wise operations: a pool of its own, which spins while it waits. On few cores it takes the
/// processor from the threads that multiply matrices, so one thread is the fastest there (docs/performance.md).
const ELEMENTWISE_THREADS: (&str, &str) = ("CANDLE_NUM_THREADS", "1");

/// Bytes below which freed memory is kept for the next tensor. Tensors of images are megabytes: memory that is given back
/// to the system after each of them and asked for again costs a third of a training step.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT: i32 = 256 << 20;

static NAME: OnceLock<&str> = OnceLock::new();

thread_local! {
    /// What the command that this thread runs was asked: not always the arguments of the process, which may be Python's.
    static ARGUMENTS: RefCell<Vec<OsString>> = const { RefCell::new(Vec::new()) };
    /// And which command that is.
    static COMMAND: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Prepares the process; the first thing that `main` does. `name` is what a user types to start the program.
///
/// What the environment says already stays as it is.
pub fn prepare(name: &'static str) {
    // Only the first call counts; there is no second one in a program.
    let _ = NAME.set(name);
    let (variable, value) = ELEMENTWISE_THREADS;
    if env::var_os(variable).is_none() {
        // SAFETY: `main` calls this before anything else, so there is no other thread that could read the environment.
        #[allow(unsafe_code)]
        unsafe {
            env::set_var(variable, value);
        }
    }
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    keep_memory();
}

/// Tells the allocator of glibc to keep freed memory; others have no such setting.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_memory() {
    for (variable, parameter) in [
        ("MALLOC_MMAP_THRESHOLD_", libc::M_MMAP_THRESHOLD),
        ("MALLOC_TRIM_THRESHOLD_", libc::M_TRIM_THRESHOLD),
    ] {
        if env::var_os(variable).is_none() {
            // SAFETY: the call takes two numbers and changes parameters that the allocator reads under its own lock. It
            // refuses what it does not know, which is no reason to stop.
            #[allow(unsafe_code)]
            let _ = unsafe { libc::mallopt(parameter, KEPT) };
        }
    }
}

/// Takes note of the arguments of the command that this thread runs, without its name.
pub(super) fn note(arguments: &[OsString]) {
    ARGUMENTS.with_borrow_mut(|own| *own = arguments.to_vec());
}

/// The arguments of the command that this thread runs, without the program's name.
pub(super) fn arguments() -> Vec<String> {
    let text = |argument: &OsString| argument.to_string_lossy().into_owned();
    ARGUMENTS.with_borrow(|arguments| arguments.iter().map(text).collect())
}

/// The command line of the command that this thread runs, with quotes where a shell needs them.
pub fn command_line() -> String {
    ARGUMENTS.with_borrow(|arguments| line(arguments.iter()))
}

/// The same that goes on with what is there, instead of replacing it.
pub(super) fn resumed() -> String {
    ARGUMENTS.with_borrow(|arguments| {
        let others = ["--force", "--resume"];
        let kept = arguments.iter();
        let kept = kept.filter(|own| !others.iter().any(|other| own.as_os_str() == *other));
        format!("{} --resume", line(kept))
    })
}

fn line<'a>(arguments: impl Iterator<Item = &'a OsString>) -> String {
    let arguments = arguments.map(|own| quoted(&own.to_string_lossy()));
    let all: Vec<String> = [name().to_owned()].into_iter().chain(arguments).collect();
    all.join(" ")
}

/// An argument with quotes where a shell needs them.
pub fn quoted(argument: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    match !argument.is_empty() && argument.chars().all(is_plain) {
        true => argument.to_owned(),
        false => format!("'{}'", argument.replace('\'', "'\\''")),
    }
}

/// Takes note of the command among the arguments, such as `certify`.
pub(super) fn note_command(name: Option<&str>) {
    COMMAND.with_borrow_mut(|own| *own = name.map(str::to_owned));
}

/// The command that this thread runs, such as `certify`.
pub(super) fn command() -> Option<String> {
    COMMAND.with_borrow(Clone::clone)
}

/// Those of the options in `known` that the command line has, with the words that follow them: as many as said at most, and none
/// that is an option itself. Quoted.
pub(super) fn kept(known: &[(&str, usize)]) -> Vec<String> {
    ARGUMENTS.with_borrow(|arguments| {
        let (mut kept, mut follow) = (Vec::new(), 0);
        for argument in arguments {
            let argument = argument.to_string_lossy();
            if argument.starts_with("--") {
                let (option, value) = match argument.split_once('=') {
                    Some((option, _)) => (option, true),
                    None => (&*argument, false),
                };
                let found = known.iter().find(|(name, _)| *name == option);
                follow = found.map_or(0, |(_, words)| if value { 0 } else { *words });
                kept.extend(found.map(|_| quoted(&argument)));
            } else if follow > 0 {
                follow -= 1;
                kept.push(quoted(&argument));
            }
        }
        kept
    })
}

/// Bytes of a thread's stack: those of a main thread, because training runs on one of them and the tensor library's backward
/// pass is recursive.
pub(super) const STACK: usize = 8 << 20;

/// The most threads that are started; more than any machine gains from.
pub const MOST_THREADS: usize = 1024;

/// Starts the threads that share the work, as many as `RAYON_NUM_THREADS` says or the machine has.
///
/// # Errors
/// A number that is too large, or threads that the system does not give.
pub fn start_threads() -> Result<(), Usage> {
    for variable in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        let value = env::var(variable).unwrap_or_default();
        let number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let few = value
            .parse()
            .is_ok_and(|count: usize| count <= MOST_THREADS);
        if number && !few {
            let message = format!("{variable}={value}: expected at most {MOST_THREADS} threads");
            return Err(Usage::new(message));
        }
    }
    let builder = rayon::ThreadPoolBuilder::new().stack_size(STACK);
    match builder.build_global() {
        // Without a cause, the threads were started before.
        Err(error) if std::error::Error::source(&error).is_some() => Err(Usage::caused_by(
            "the system does not give as many threads; RAYON_NUM_THREADS asks for fewer",
            error,
        )),
        _ => Ok(()),
    }
}

/// What a user types to start this program: `loclin`, or `cargo xtask` inside the repository.
pub fn name() -> &'static str {
    NAME.get().copied().unwrap_or("loclin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_that_of_the_command_and_can_be_pasted() {
        let arguments = ["certify", "--data", "my photos", "--out", "it's.csv", ""];
        note(&arguments.map(OsString::from));
        assert!(command_line().ends_with("certify --data 'my photos' --out 'it'\\''s.csv' ''"));
        note_command(Some("certify"));
        assert_eq!(command().as_deref(), Some("certify"));
    }

    /// A job goes on with what is there: it does not replace it, and is not told so twice.
    #[test]
    fn what_goes_on_replaces_nothing() {
        let words = "--dtype f64 certify --force --out m.csv --resume";
        note(&words.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert!(resumed().ends_with(" --dtype f64 certify --out m.csv --resume"));
    }

    #[test]
    fn options_are_kept_with_their_words() {
        let words =
            "certify --model a.onnx --norm 2 --resize --data=my.npy --at 1 --mean 0.5 --json";
        note(&words.split(' ').map(OsString::from).collect::<Vec<_>>());
        let known = [
            ("--model", 1),
            ("--resize", 1),
            ("--data", 1),
            ("--mean", 1),
        ];
        let kept = kept(&known).join(" ");
        assert_eq!(kept, "--model a.onnx --resize --data=my.npy --mean 0.5");
    }
}
