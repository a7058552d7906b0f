//! Parentheses and words of a stream of text.

use crate::Error;
use crate::file::Source;

/// The longest word that is read.
const MAX_WORD: usize = 1000;

/// Bytes that are read at a time.
const PIECE: u64 = 1 << 16;

/// What comes next; the letters of a word are those of [`Words::text`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    Word,
    End,
}

/// A stream of tokens that counts its lines.
pub(super) struct Words<'a> {
    source: Source<'a>,
    piece: Vec<u8>,
    at: usize,
    line: usize,
    letters: Vec<u8>,
    text: String,
    /// Whether the last word stood between bars.
    is_quoted: bool,
    /// A token that was looked at and not taken.
    ahead: Option<Token>,
}

impl<'a> Words<'a> {
    pub(super) fn new(source: Source<'a>) -> Self {
        Self {
            source,
            piece: Vec::new(),
            at: 0,
            line: 1,
            letters: Vec::new(),
            text: String::new(),
            is_quoted: false,
            ahead: None,
        }
    }

    /// The line of the last token, from 1.
    pub(super) fn line(&self) -> usize {
        self.line
    }

    /// The last word.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is a symbol between bars, which is the same symbol without them, but no number.
    pub(super) fn is_quoted(&self) -> bool {
        self.is_quoted
    }

    pub(super) fn next(&mut self) -> Result<Token, Error> {
        if let Some(token) = self.ahead.take() {
            return Ok(token);
        }
        loop {
            let Some(byte) = self.peek()? else {
                return Ok(Token::End);
            };
            match byte {
                b'(' | b')' => {
                    self.at += 1;
                    return Ok(if byte == b'(' {
                        Token::Open
                    } else {
                        Token::Close
                    });
                }
                b'\n' => {
                    self.at += 1;
                    self.line += 1;
                }
                b';' => {
                    while self.peek()?.is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                }
                b'"' | b'|' => return self.quoted(byte),
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => return self.letters(),
            }
        }
    }

    /// The next token, which must be a word.
    pub(super) fn word(&mut self, expected: &str) -> Result<&str, Error> {
        match self.next()? {
            Token::Word => Ok(&self.text),
            found => Err(self.unexpected(found, expected)),
        }
    }

    /// The next token, which must end a list.
    pub(super) fn close(&mut self) -> Result<(), Error> {
        match self.next()? {
            Token::Close => Ok(()),
            found => Err(self.unexpected(found, "a `)`")),
        }
    }

    /// Takes the next token if it is a minus sign.
    pub(super) fn next_is_minus(&mut self) -> Result<bool, Error> {
        let token = self.next()?;
        let found = token == Token::Word && self.text == "-";
        if !found {
            self.ahead = Some(token);
        }
        Ok(found)
    }

    /// The error of a token that cannot be here.
    pub(super) fn unexpected(&self, found: Token, expected: &str) -> Error {
        let found = match found {
            Token::Open => "`(`".into(),
            Token::Close => "`)`".into(),
            Token::Word => format!("{:?}", self.text.chars().take(40).collect::<String>()),
            Token::End => "the end of the file".into(),
        };
        self.error(found, expected)
    }

    /// An error in the current line.
    pub(super) fn error(&self, found: impl Into<String>, expected: &str) -> Error {
        self.error_at(self.line, found, expected)
    }

    /// An error in a line.
    pub(super) fn error_at(&self, line: usize, found: impl Into<String>, expected: &str) -> Error {
        Error::malformed(self.source.name(), format!("line {line}"), found, expected)
    }

    /// The next byte, which is not taken.
    fn peek(&mut self) -> Result<Option<u8>, Error> {
        if self.at == self.piece.len() {
            self.piece = self.source.up_to(PIECE)?;
            self.at = 0;
        }
        Ok(self.piece.get(self.at).copied())
    }

    fn letters(&mut self) -> Result<Token, Error> {
        self.letters.clear();
        while let Some(byte) = self.peek()? {
            if byte.is_ascii_whitespace() || matches!(byte, b'(' | b')' | b';' | b'"' | b'|') {
                break;
            }
            if self.letters.len() == MAX_WORD {
                let found = format!("a word of more than {MAX_WORD} bytes");
                return Err(self.error(found, "numbers and names"));
            }
            self.letters.push(byte);
            self.at += 1;
        }
        Ok(self.spelt(false))
    }

    /// What stands in quotes: a symbol between bars, of which no more letters are kept than a word may have, or a text, which is a
    /// word without letters.
    fn quoted(&mut self, quote: u8) -> Result<Token, Error> {
        self.at += 1;
        self.letters.clear();
        while let Some(byte) = self.peek()? {
            self.at += 1;
            if byte == quote {
                return Ok(self.spelt(quote == b'|'));
            }
            self.line += usize::from(byte == b'\n');
            if quote == b'|' && self.letters.len() < MAX_WORD {
                self.letters.push(byte);
            }
        }
        Err(self.unexpected(Token::End, "the end of a quotation"))
    }

    /// The word of the letters that were read.
    fn spelt(&mut self, is_quoted: bool) -> Token {
        self.is_quoted = is_quoted;
        self.text.clear();
        self.text.push_str(&String::from_utf8_lossy(&self.letters));
        Token::Word
    }
}
