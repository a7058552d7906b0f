//! Boxes of inputs from VNN-LIB files, the format of properties of networks (<https://www.vnnlib.org>, version 1).
//!
//! Such a file declares inputs `X_0`, `X_1`, ... and outputs `Y_0`, ... of a network and asserts what holds of them. What it
//! says of inputs alone is read, where that is one box: a lower and an upper bound of each. What it says of outputs is
//! passed over.

use std::collections::HashMap;
use std::path::Path;

use crate::Error;
use crate::file::Source;
use terms::{INPUT, Term, number};
use words::{Token, Words};

mod terms;
mod words;

/// The bounds of every input: `low[i] <= x_i <= high[i]`, where `i` counts the numbers of a flattened input.
#[derive(Debug, Clone, PartialEq)]
pub struct InputBox {
    /// The least value of each input, finite.
    pub low: Vec<f64>,
    /// The largest value of each input, finite and not below the least.
    pub high: Vec<f64>,
}

/// Reads the box of inputs of a file, plain or gzip, in the units that the file has.
///
/// Bounds are `(<= X_i c)`, `(>= X_i c)` and `(= X_i c)`, or with the constant first; several of one side are taken together.
/// They stand in assertions of their own, in an `and`, or in an `or` of one case. `|X_0|` is `X_0`. A constant becomes the nearest float64. The
/// file is read as a stream, in linear time; memory grows with the number of inputs alone.
///
/// # Errors
/// A file that cannot be opened or is no text of this form, with the line; an `or` of several cases that speak of inputs,
/// which is several boxes; a relation between inputs; an input without a bound on either side, or whose bounds leave
/// nothing; gaps in the numbers of the inputs.
///
/// ```
/// use loclin_data::vnnlib;
/// let path = std::env::temp_dir().join(format!("loclin-data-vnnlib-{}", std::process::id()));
/// std::fs::write(&path, "(declare-const X_0 Real)(assert (<= X_0 0.5))(assert (>= X_0 (- 1)))")?;
/// let found = vnnlib::read(&path)?;
/// assert_eq!((found.low, found.high), (vec![-1.0], vec![0.5]));
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn read(path: &Path) -> Result<InputBox, Error> {
    let mut reader = Reader {
        words: Words::new(Source::open_unpacked(path)?),
        inputs: HashMap::new(),
    };
    while reader.command()? {}
    reader.finish()
}

/// The most inputs that are read: a packed file can unpack to a thousand times its size.
const MAX_INPUTS: usize = 1 << 24;

/// The most formulas within one another; files have three or four.
const MAX_DEPTH: usize = 64;

/// Bounds of one input, none at first, and the line that declares it.
struct Bounds {
    low: f64,
    high: f64,
    line: usize,
}

struct Reader<'a> {
    words: Words<'a>,
    inputs: HashMap<usize, Bounds>,
}

impl Reader<'_> {
    /// Reads one command; `false` at the end of the file.
    fn command(&mut self) -> Result<bool, Error> {
        match self.words.next()? {
            Token::End => return Ok(false),
            Token::Open => {}
            found => {
                return Err(self
                    .words
                    .unexpected(found, "a command such as (assert ...)"));
            }
        }
        let expected = "the name of a command";
        let command = self.words.word(expected)?.to_owned();
        match &command[..] {
            "declare-const" | "declare-fun" => self.declaration(&command)?,
            "assert" => {
                let token = self.words.next()?;
                self.formula(token, 0, false)?;
                self.words.close()?;
            }
            "set-logic" | "set-info" | "set-option" | "check-sat" | "get-model" | "get-value"
            | "echo" => {
                self.words.rest()?;
            }
            // What stands behind it is not said.
            "exit" => {
                self.words.rest()?;
                return Ok(false);
            }
            "vnnlib-version" | "declare-network" => {
                return Err(self.words.error(
                    format!("`{command}`, of version 2 of the format"),
                    "version 1: inputs X_0, X_1, ...",
                ));
            }
            _ => {
                return Err(self.words.error(
                    format!("the command `{command}`"),
                    "declare-const or assert",
                ));
            }
        }
        Ok(true)
    }

    /// `(declare-const NAME Real)` or `(declare-fun NAME () Real)` behind its first word.
    fn declaration(&mut self, command: &str) -> Result<(), Error> {
        let name = self.words.word("the name of a variable")?;
        let is_input = name.starts_with(INPUT);
        let input = number(name);
        if is_input && input.is_none() {
            let found = format!("the input `{name}`");
            return Err(self.words.error(found, "X_ and a number"));
        }
        if command == "declare-fun" {
            match self.words.next()? {
                Token::Open => self.words.close()?,
                found => return Err(self.words.unexpected(found, "()")),
            }
        }
        let sort = self.words.word("Real")?;
        if is_input && sort != "Real" {
            let found = format!("an input of sort `{sort}`");
            return Err(self.words.error(found, "Real"));
        }
        self.words.close()?;
        let Some(input) = input else {
            return Ok(());
        };
        let line = self.words.line();
        let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
        if let Some(before) = self.inputs.insert(input, Bounds { low, high, line }) {
            let found = format!("X_{input}, declared in line {} already", before.line);
            return Err(self.words.error(found, "each input once"));
        }
        if self.inputs.len() > MAX_INPUTS {
            let found = format!("more than {MAX_INPUTS} inputs");
            return Err(self.words.error(found, "fewer"));
        }
        Ok(())
    }

    /// Reads the formula that begins with `token`, which may be one of several cases; whether it speaks of inputs.
    fn formula(&mut self, token: Token, depth: usize, is_case: bool) -> Result<bool, Error> {
        if depth > MAX_DEPTH {
            let found = format!("formulas nested deeper than {MAX_DEPTH}");
            return Err(self.words.error(found, "fewer"));
        }
        match token {
            Token::Word if self.words.text() == "false" => return Err(self.nothing()),
            // A constant or a variable that is true or false.
            Token::Word if !self.words.text().starts_with(INPUT) => return Ok(false),
            Token::Open => {}
            found => return Err(self.words.unexpected(found, "a formula")),
        }
        let operator = self.words.word("an operator")?.to_owned();
        match &operator[..] {
            "and" | "or" => self.parts(operator == "or", depth, is_case),
            "<=" | ">=" | "=" => self.comparison(&operator, is_case),
            _ if self.words.rest()? => Err(self
                .words
                .error(format!("`{operator}` of inputs"), "and, or, <=, >= or =")),
            _ => Ok(false),
        }
    }

    /// The formulas of an `and` or `or` up to its end.
    fn parts(&mut self, is_or: bool, depth: usize, is_case: bool) -> Result<bool, Error> {
        let (mut count, mut of_inputs) = (0usize, false);
        loop {
            let token = self.words.next()?;
            if token == Token::Close && is_or && count == 0 {
                return Err(self.nothing());
            }
            if token == Token::Close {
                return Ok(of_inputs);
            }
            count += 1;
            let is_case = is_case || is_or && count > 1;
            of_inputs |= self.formula(token, depth + 1, is_case)?;
            if is_or && of_inputs && count > 1 {
                return Err(self.several());
            }
        }
    }

    fn nothing(&self) -> Error {
        let found = "a formula that is false, of which no input is true";
        self.words.error(found, "a box of inputs")
    }

    fn several(&self) -> Error {
        let found = "several boxes of inputs (an `or` of several cases)";
        self.words.error(found, "one box; a file for each of them")
    }

    /// The sides of a comparison up to its end; whether it speaks of inputs.
    fn comparison(&mut self, operator: &str, is_case: bool) -> Result<bool, Error> {
        let (mut sides, mut count, mut of_inputs) = ([Term::Other(false); 2], 0, false);
        loop {
            let token = self.words.next()?;
            if token == Token::Close {
                break;
            }
            let term = self.words.term(token)?;
            of_inputs |= matches!(term, Term::Input(_) | Term::Other(true));
            if let Some(side) = sides.get_mut(count) {
                *side = term;
            }
            count += 1;
        }
        let (input, bound, is_upper) = match sides {
            _ if !of_inputs => return Ok(false),
            // Its bounds would be those of another box than the first case's.
            _ if is_case => return Err(self.several()),
            [Term::Input(input), Term::Number(bound)] if count == 2 => {
                (input, bound, operator == "<=")
            }
            [Term::Number(bound), Term::Input(input)] if count == 2 => {
                (input, bound, operator == ">=")
            }
            _ => {
                return Err(self.words.error(
                    "a relation of inputs with something else than a number",
                    "bounds such as (<= X_0 0.5)",
                ));
            }
        };
        let line = self.words.line();
        let Some(bounds) = self.inputs.get_mut(&input) else {
            return Err(self
                .words
                .error(format!("X_{input}"), "an input that is declared before"));
        };
        if is_upper || operator == "=" {
            bounds.high = bounds.high.min(bound);
        }
        if !is_upper || operator == "=" {
            bounds.low = bounds.low.max(bound);
        }
        if bounds.low > bounds.high {
            let found = format!(
                "bounds of X_{input} that leave nothing: {} to {}",
                bounds.low, bounds.high
            );
            return Err(self.words.error_at(line, found, "a value between them"));
        }
        Ok(true)
    }

    /// The bounds in order, each input with two.
    fn finish(self) -> Result<InputBox, Error> {
        let refuse = |line, found: String, expected: String| {
            Err(self.words.error_at(line, found, &expected))
        };
        let count = self.inputs.len();
        let line = self.words.line();
        if count == 0 {
            let expected = "a file of VNN-LIB, such as (declare-const X_0 Real) ...";
            return refuse(line, "no inputs".into(), expected.into());
        }
        let (mut low, mut high) = (Vec::with_capacity(count), Vec::with_capacity(count));
        for input in 0..count {
            let Some(bounds) = self.inputs.get(&input) else {
                let found = format!("{count} inputs without X_{input}");
                return refuse(line, found, "inputs numbered from 0 on".into());
            };
            let missing = match (bounds.low.is_finite(), bounds.high.is_finite()) {
                (true, true) => {
                    low.push(bounds.low);
                    high.push(bounds.high);
                    continue;
                }
                (false, true) => "lower bound",
                (true, false) => "upper bound",
                (false, false) => "bounds",
            };
            let expected = "a lower and an upper bound of each input";
            return refuse(
                bounds.line,
                format!("X_{input} without {missing}"),
                expected.into(),
            );
        }
        Ok(InputBox { low, high })
    }
}
