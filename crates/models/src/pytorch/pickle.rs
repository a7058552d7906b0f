//! The pickles that PyTorch writes, without executing anything.
//!
//! A pickle is a program for a stack machine that can call any function. This machine knows the instructions that
//! `torch.save` uses and a few callables, as data; any other becomes an object of which nothing but the name is known.
//! Objects lie in one list and refer to each other by position, so that neither sharing nor a cycle costs memory or
//! recursion.

use super::{
    bytes::{Bytes, long},
    object::{Global, Id, Object, Objects, Outcome, Storage, TensorView, global},
};
use std::collections::HashMap;

/// The objects of a pickle and the position of its result, and the bytes after it.
pub(super) fn read(pickle: &[u8]) -> Outcome<(Objects<'_>, Id, &[u8])> {
    let mut machine = Machine {
        bytes: Bytes(pickle),
        objects: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    loop {
        let [instruction] = machine.bytes.array()?;
        if instruction == b'.' {
            let result = machine.pop()?;
            return Ok((machine.objects, result, machine.bytes.0));
        }
        machine.step(instruction)?;
    }
}

struct Machine<'a> {
    bytes: Bytes<'a>,
    objects: Objects<'a>,
    stack: Vec<Id>,
    /// Heights of the stack where marks were set.
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
}

impl<'a> Machine<'a> {
    fn step(&mut self, instruction: u8) -> Outcome<()> {
        match instruction {
            0x80 => drop(self.bytes.take(1)?),
            0x95 => drop(self.bytes.take(8)?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_mark()?),
            b'2' => {
                let at = self.below(1)?;
                self.stack.push(self.stack[at]);
            }
            b'N' | 0x88 | 0x89 | 0x8f => self.push(Object::Other),
            b'G' | b'J' | b'K' | b'M' | 0x8a | 0x8b => self.number(instruction)?,
            b'X' | b'U' | b'T' | 0x8c | 0x8d => self.text(instruction)?,
            b'B' | b'C' | 0x8e | 0x96 => {
                let length = self.bytes.length(instruction)?;
                self.bytes.take(length)?;
                self.push(Object::Other);
            }
            // Of sets nothing is kept.
            0x90 => drop(self.pop_mark()?),
            0x91 => {
                self.pop_mark()?;
                self.push(Object::Other);
            }
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
                let (module, name) = (self.bytes.line()?, self.bytes.line()?);
                self.push(global(module, name));
            }
            0x93 => {
                let global = self.named_global()?;
                self.push(global);
            }
            b'R' | 0x81 => self.call()?,
            0x92 => {
                self.pop()?;
                self.call()?;
            }
            // The state of an ordered dictionary is metadata of its modules, that of other objects is theirs.
            b'b' => drop(self.pop()?),
            b'Q' => {
                let id = self.pop()?;
                self.persistent(id)?;
            }
            b'q' | b'r' => {
                let index = self.index(instruction == b'q')?;
                self.memoize(index)?;
            }
            0x94 => self.memoize(self.memo.len() as u32)?,
            b'h' | b'j' => {
                let index = self.index(instruction == b'h')?;
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
    fn named_global(&mut self) -> Outcome<Object<'a>> {
        let (name, module) = (self.pop()?, self.pop()?);
        match (&self.objects[module], &self.objects[name]) {
            (Object::Text(module), Object::Text(name)) => Ok(global(module, name)),
            _ => Err("a callable whose name is no text".into()),
        }
    }

    /// A number that follows the instruction.
    fn number(&mut self, instruction: u8) -> Outcome<()> {
        let value = match instruction {
            b'J' => i32::from_le_bytes(self.bytes.array()?).into(),
            b'K' => u8::from_le_bytes(self.bytes.array()?).into(),
            b'M' => u16::from_le_bytes(self.bytes.array()?).into(),
            0x8a | 0x8b => {
                let length = self.bytes.length(instruction)?;
                let Some(value) = long(self.bytes.take(length)?) else {
                    self.push(Object::Other);
                    return Ok(());
                };
                value
            }
            _ => {
                self.bytes.take(8)?;
                self.push(Object::Other);
                return Ok(());
            }
        };
        self.push(Object::Int(value));
        Ok(())
    }

    /// A text that follows the instruction; one that is not UTF-8 is bytes of an old Python, and no name.
    fn text(&mut self, instruction: u8) -> Outcome<()> {
        let length = self.bytes.length(instruction)?;
        let text = std::str::from_utf8(self.bytes.take(length)?);
        self.push(text.map_or(Object::Other, Object::Text));
        Ok(())
    }

    fn index(&mut self, short: bool) -> Outcome<u32> {
        match short {
            true => Ok(u8::from_le_bytes(self.bytes.array()?).into()),
            false => Ok(u32::from_le_bytes(self.bytes.array()?)),
        }
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
            Object::Foreign(..) => {}
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
            Object::Foreign(..) if rest.is_empty() => {}
            _ => return Err("sets items of what is no dictionary, or a key without value".into()),
        }
        Ok(())
    }

    fn call(&mut self) -> Outcome<()> {
        let (arguments, callable) = (self.pop()?, self.pop()?);
        self.apply(callable, arguments)
    }

    /// Pushes what the callable makes of the arguments.
    fn apply(&mut self, callable: Id, arguments: Id) -> Outcome<()> {
        let Object::Tuple(arguments) = &self.objects[arguments] else {
            return Err("a call whose arguments are no tuple".into());
        };
        let result = match (&self.objects[callable], &arguments[..]) {
            (Object::Foreign(module, name), _) => Object::Foreign(module, name),
            (Object::Global(Global::Dict), []) => Object::Dict(vec![]),
            (Object::Global(Global::Dict), [items]) => {
                let items = *items;
                Object::Dict(self.pairs(items))
            }
            (
                Object::Global(Global::RebuildTensor),
                [storage, offset, shape, strides, others @ ..],
            ) => {
                // Behind requires_grad and hooks: marks such as that of a tensor that is read with the other sign.
                if let Some(marks) = others.get(2)
                    && matches!(&self.objects[*marks], Object::Dict(marks) if !marks.is_empty())
                {
                    let cause = "a tensor that is read in another way than it is stored \
                                 (marked as negative or conjugate): save its clone()";
                    return Err(cause.into());
                }
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
            (Object::Global(Global::RebuildFromType), [callable, _, arguments, ..])
                if self.objects[*callable] == Object::Global(Global::RebuildTensor) =>
            {
                return self.apply(*callable, *arguments);
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

    /// The entries of a dictionary that is made of a list of pairs; none where it is made of something else. The list
    /// is used up, so that one list cannot make many dictionaries.
    fn pairs(&mut self, items: Id) -> Vec<(Id, Id)> {
        let Object::List(items) = &mut self.objects[items] else {
            return Vec::new();
        };
        let items = std::mem::take(items);
        let pair = |item: &Id| match &self.objects[*item] {
            Object::List(pair) | Object::Tuple(pair) => match pair[..] {
                [key, value] => Some((key, value)),
                _ => None,
            },
            _ => None,
        };
        items.iter().filter_map(pair).collect()
    }

    /// `("storage", type, key, device, count)`, in the older format with a view that is `None` by now; or
    /// `("module", class, ...)`, which goes before the class of a whole module.
    fn persistent(&mut self, id: Id) -> Outcome<()> {
        let Object::Tuple(items) = &self.objects[id] else {
            return Err("a persistent object that is no storage".into());
        };
        let (tag, items) = items
            .split_first()
            .ok_or("a persistent object of nothing")?;
        match (&self.objects[*tag], items) {
            (Object::Text("module"), [class, ..]) => self.stack.push(*class),
            (Object::Text("storage"), [class, key, _, count, view @ ..]) => {
                if view.iter().any(|id| self.objects[*id] != Object::Other) {
                    return Err("a view of a storage, as PyTorch before 0.4 wrote them".into());
                }
                let number = match &self.objects[*class] {
                    Object::Global(Global::Storage(number)) => *number,
                    Object::Foreign(module, name) => {
                        return Err(format!("a storage of {module}.{name}, not of floats"));
                    }
                    _ => return Err("a storage of no type".into()),
                };
                let Object::Text(key) = self.objects[*key] else {
                    return Err("a storage whose key is no text".into());
                };
                let count = self.count(*count)?;
                self.push(Object::Storage(Storage { number, key, count }));
            }
            _ => return Err("a persistent object that is no storage".into()),
        }
        Ok(())
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
