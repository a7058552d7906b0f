//! Inputs, numbers and everything else that is compared.

use super::words::{Token, Words};
use crate::Error;

/// One side of a comparison.
#[derive(Clone, Copy)]
pub(super) enum Term {
    Input(usize),
    Number(f64),
    /// Anything else, and whether an input is in it.
    Other(bool),
}

impl Words<'_> {
    /// The term that begins with `token`.
    pub(super) fn term(&mut self, token: Token) -> Result<Term, Error> {
        match token {
            Token::Word => self.named(false),
            Token::Open => {
                if self.next_is_minus()? {
                    return self.negated();
                }
                Ok(Term::Other(self.rest()?))
            }
            found => Err(self.unexpected(found, "a number or a variable")),
        }
    }

    /// The rest of `(- ...)`.
    fn negated(&mut self) -> Result<Term, Error> {
        let token = self.next()?;
        let first = match token {
            Token::Word => self.named(true)?,
            Token::Open => Term::Other(self.rest()?),
            found => return Err(self.unexpected(found, "a number or a variable")),
        };
        let of_inputs = matches!(first, Term::Input(_) | Term::Other(true));
        let token = self.next()?;
        match (token, first) {
            (Token::Close, Term::Number(_)) => Ok(first),
            (Token::Close, _) => Ok(Term::Other(of_inputs)),
            (Token::Open, _) => {
                let more = self.rest()?;
                Ok(Term::Other(self.rest()? || more || of_inputs))
            }
            (Token::Word, _) => {
                let more = self.text().starts_with(INPUT);
                Ok(Term::Other(self.rest()? || more || of_inputs))
            }
            (Token::End, _) => Err(self.unexpected(token, "a `)`")),
        }
    }

    /// What the word just read is, its sign turned if it is a number and that is asked for.
    fn named(&mut self, negative: bool) -> Result<Term, Error> {
        let text = self.text();
        if let Some(input) = number(text) {
            return Ok(Term::Input(input));
        }
        let starts = text.trim_start_matches(['-', '+', '.']);
        if self.is_quoted() || !starts.starts_with(|c: char| c.is_ascii_digit()) {
            return Ok(Term::Other(text.starts_with(INPUT)));
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => {
                Ok(Term::Number(if negative { -value } else { value }))
            }
            _ => Err(self.error(format!("`{text}`"), "a finite number")),
        }
    }

    /// Passes over everything up to the end of the current list; whether an input is in it.
    pub(super) fn rest(&mut self) -> Result<bool, Error> {
        let (mut depth, mut of_inputs) = (0u64, false);
        loop {
            match self.next()? {
                Token::Open => depth += 1,
                Token::Close if depth == 0 => return Ok(of_inputs),
                Token::Close => depth -= 1,
                Token::Word => of_inputs |= self.text().starts_with(INPUT),
                Token::End => return Err(self.unexpected(Token::End, "a `)`")),
            }
        }
    }
}

/// What the names of inputs begin with.
pub(super) const INPUT: &str = "X_";

/// The number of an input by its name.
pub(super) fn number(name: &str) -> Option<usize> {
    let digits = name.strip_prefix(INPUT)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit())
        && (digits == "0" || !digits.starts_with('0'));
    digits.parse().ok().filter(|_| plain)
}
