//! The pickles that PyTorch writes, without executing anything.
//!
//! A pickle is a program for a stack machine that can call any function. This machine knows the instructions that
//! `torch.save` uses and six callables, as data; any other is an error that names it. Objects lie in one list and
//! refer to each other by position, so that neither sharing nor a cycle costs memory or recursion.

use super::object::{Global, Id, Object, Objects, Outcome, Storage, TensorView, global};
use std::collections::HashMap;

/// The objects of a pickle and the position of its result.
pub(super) fn read(pickle: &[u8]) -> Outcome<(Objects<'_>, Id)> {
    let mut machine = Machine {
        rest: pickle,
        objects: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        let [instruction] = machine.array()?;
        if instruction == b'.' {
            let result = machine.pop()?;
            return Ok((machine.objects, result));
        }
        machine.step(instruction)?;
    }
}

struct Machine<'a> {
    rest: &'a [u8],
    objects: Objects<'a>,
    stack: Vec<Id>,
    /// Heights of the stack where marks were set.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn step(&mut self, instruction: u8) -> Outcome<()> {
        match instruction {
            0x80 => drop(self.take(1)?),
            0x95 => drop(self.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'N' | 0x88 | 0x89 => self.push(Object::Other),
            b'G' | b'J' | b'K' | b'M' | 0x8a | b'X' | 0x8c | b'U' => self.constant(instruction)?,
            b'}' => self.push(Object::Dict(vec![])),
            b']' => self.push(Object::List(vec![])),
            b')' => self.push(Object::Tuple(vec![])),
            b't' => {
                let items = self.pop_mark()?;
                self.push(Object::Tuple(items));
            }
            0x85..=0x87 => {
                let at = self.below(usize::from(instruction - 0x84))?;
                let items = self.stack.split_off(at);
                self.push(Object::Tuple(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.extend_list(vec![item])?;
            }
            b'e' => {
                let items = self.pop_mark()?;
                self.extend_list(items)?;
            }
            b's' => {
                let at = self.below(2)?;
                let items = self.stack.split_off(at);
                self.extend_dict(&items)?;
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.extend_dict(&items)?;
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Object::Global(global(module, name)?));
            }
            0x93 => {
                let global = self.named_global()?;
                self.push(Object::Global(global));
            }
            b'R' => self.call()?,
            // The state of an ordered dictionary is metadata of its modules.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let id = self.pop()?;
                let storage = self.storage(id)?;
                self.push(Object::Storage(storage));
            }
            b'q' => {
                let [index] = self.array()?;
                self.memoize(index.into())?;
            }
            b'r' => {
                let index = u32::from_le_bytes(self.array()?);
                self.memoize(index)?;
            }
            0x94 => self.memoize(self.memo.len() as u32)?,
            b'h' => {
                let [index] = self.array()?;
                self.recall(index.into())?;
            }
            b'j' => {
                let index = u32::from_le_bytes(self.array()?);
                self.recall(index)?;
            }
            other => {
                return Err(format!(
                    "the pickle instruction {other:#04x} is not supported"
                ));
            }
        }
        Ok(())
    }

    /// The callable whose module and name lie on the stack.
    fn named_global(&mut self) -> Outcome<Global> {
        let (name, module) = (self.pop()?, self.pop()?);
        match (&self.objects[module], &self.objects[name]) {
            (Object::Text(module), Object::Text(name)) => global(module, name),
            _ => Err("a callable whose name is no text".into()),
        }
    }

    /// A number or a text that follows the instruction.
    fn constant(&mut self, instruction: u8) -> Outcome<()> {
        match instruction {
            b'G' => {
                self.take(8)?;
                self.push(Object::Other);
            }
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Object::Int(value.into()));
            }
            b'K' => {
                let value = u8::from_le_bytes(self.array()?);
                self.push(Object::Int(value.into()));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Object::Int(value.into()));
            }
            0x8a => {
                let [length] = self.array()?;
                let bytes = self.take(length.into())?;
                self.push(Object::Int(long(bytes)?));
            }
            b'X' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length as usize)?;
            }
            _ => {
                let [length] = self.array()?;
                self.text(length.into())?;
            }
        }
        Ok(())
    }

    fn take(&mut self, count: usize) -> Outcome<&'a [u8]> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or("the pickle ends early (truncated?)")?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        let taken = self.take(N)?;
        taken.try_into().map_err(|_| "the pickle ends early".into())
    }

    fn line(&mut self) -> Outcome<&'a str> {
        let end = self.rest.iter().position(|b| *b == b'\n');
        let line = self.take(end.ok_or("a line without end")?)?;
        self.take(1)?;
        std::str::from_utf8(line).map_err(|_| "a name that is not UTF-8".into())
    }

    fn text(&mut self, length: usize) -> Outcome<()> {
        let text = std::str::from_utf8(self.take(length)?);
        self.push(Object::Text(text.map_err(|_| "a text that is not UTF-8")?));
        Ok(())
    }

    fn push(&mut self, object: Object<'a>) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    /// The height of the stack `count` objects below its top, above the last mark.
    fn below(&self, count: usize) -> Outcome<usize> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let at = self.stack.len().checked_sub(count);
        at.filter(|at| *at >= floor)
            .ok_or_else(|| "an instruction without its operands".into())
    }

    fn pop(&mut self) -> Outcome<Id> {
        self.below(1)?;
        self.stack.pop().ok_or_else(|| "an empty stack".into())
    }

    fn pop_mark(&mut self) -> Outcome<Vec<Id>> {
        let mark = self.marks.pop().ok_or("an instruction without its mark")?;
        Ok(self.stack.split_off(mark))
    }

    fn top(&mut self) -> Outcome<&mut Object<'a>> {
        let at = self.below(1)?;
        let id = self.stack[at];
        Ok(&mut self.objects[id])
    }

    fn memoize(&mut self, index: u32) -> Outcome<()> {
        let at = self.below(1)?;
        self.memo.insert(index, self.stack[at]);
        Ok(())
    }

    fn recall(&mut self, index: u32) -> Outcome<()> {
        let known = self.memo.get(&index);
        self.stack
            .push(*known.ok_or_else(|| format!("recalls object {index}, which was not kept"))?);
        Ok(())
    }

    fn extend_list(&mut self, items: Vec<Id>) -> Outcome<()> {
        match self.top()? {
            Object::List(list) => list.extend(items),
            _ => return Err("appends to what is no list".into()),
        }
        Ok(())
    }

    fn extend_dict(&mut self, items: &[Id]) -> Outcome<()> {
        let (pairs, rest) = items.as_chunks();
        match self.top()? {
            Object::Dict(dict) if rest.is_empty() => {
                dict.extend(pairs.iter().map(|[key, value]| (*key, *value)));
            }
            _ => return Err("sets items of what is no dictionary, or a key without value".into()),
        }
        Ok(())
    }

    fn call(&mut self) -> Outcome<()> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        let Object::Tuple(arguments) = &self.objects[arguments] else {
            return Err("a call whose arguments are no tuple".into());
        };
        let result = match (&self.objects[callable], &arguments[..]) {
            (Object::Global(Global::OrderedDict), []) => Object::Dict(vec![]),
            (Object::Global(Global::RebuildTensor), [storage, offset, shape, strides, ..]) => {
                let Object::Storage(storage) = self.objects[*storage] else {
                    return Err("a tensor without a storage".into());
                };
                Object::Tensor(TensorView {
                    storage,
                    offset: self.count(*offset)?,
                    shape: self.counts(*shape)?,
                    strides: self.counts(*strides)?,
                })
            }
            (Object::Global(Global::RebuildParameter), [tensor, ..]) => {
                self.stack.push(*tensor);
                return Ok(());
            }
            (callable, arguments) => {
                return Err(format!(
                    "a call of {callable:?} with {} arguments",
                    arguments.len()
                ));
            }
        };
        self.push(result);
        Ok(())
    }

    /// `("storage", type, key, device, count)`.
    fn storage(&self, id: Id) -> Outcome<Storage<'a>> {
        if let Object::Tuple(items) = &self.objects[id]
            && let [tag, class, key, _, count] = items[..]
            && let (Object::Text("storage"), Object::Global(Global::Storage(number))) =
                (&self.objects[tag], &self.objects[class])
            && let Object::Text(key) = self.objects[key]
        {
            return Ok(Storage {
                number: *number,
                key,
                count: self.count(count)?,
            });
        }
        Err("a persistent object that is no storage".into())
    }

    fn count(&self, id: Id) -> Outcome<usize> {
        match self.objects[id] {
            Object::Int(value) => {
                usize::try_from(value).map_err(|_| format!("a size or stride of {value}"))
            }
            _ => Err("a size or stride that is no integer".into()),
        }
    }

    fn counts(&self, id: Id) -> Outcome<Vec<usize>> {
        match &self.objects[id] {
            Object::Tuple(items) if items.len() <= 8 => {
                items.iter().map(|id| self.count(*id)).collect()
            }
            _ => Err("a shape that is no tuple of at most eight numbers".into()),
        }
    }
}

/// A little-endian integer in two's complement.
fn long(bytes: &[u8]) -> Outcome<i64> {
    if bytes.len() > 8 {
        return Err(format!("an integer of {} bytes", bytes.len()));
    }
    let negative = bytes.last().is_some_and(|b| *b >= 0x80);
    let mut full = [if negative { 0xff } else { 0 }; 8];
    full[..bytes.len()].copy_from_slice(bytes);
    Ok(i64::from_le_bytes(full))
}
