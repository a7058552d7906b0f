//! What an engine did.

use std::fmt;

use serde::Serialize;

use super::engine::Engine;

/// A certification in parts beside one of one process.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// What queued the parts.
    pub engine: Engine,
    /// Inputs certified.
    pub inputs: usize,
    /// Parts.
    pub parts: usize,
    /// The part that was killed.
    pub killed: usize,
    /// Its batches that were done then.
    pub batches_before_the_kill: usize,
    /// Wall-clock seconds of one process.
    pub seconds_of_one_process: f64,
    /// Those of all parts, the engine's start among them.
    pub seconds_in_parts: f64,
    /// Whether both tables are the same, byte for byte.
    pub is_equal: bool,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (inputs, parts) = (self.inputs, self.parts);
        writeln!(
            f,
            "{inputs} inputs, one process       {:>6.1} s",
            self.seconds_of_one_process
        )?;
        writeln!(
            f,
            "{inputs} inputs, {parts} parts by {:<9} {:>5.1} s",
            self.engine.to_string(),
            self.seconds_in_parts
        )?;
        writeln!(
            f,
            "part {} killed by SIGKILL behind {} batches, queued again, gone on",
            self.killed, self.batches_before_the_kill
        )?;
        write!(
            f,
            "merged table {} that of one process",
            if self.is_equal {
                "equals"
            } else {
                "differs from"
            }
        )
    }
}
