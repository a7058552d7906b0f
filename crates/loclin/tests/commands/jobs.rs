//! Long jobs: tables that go on after a kill, parts that are put together, and what is refused.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::fixture::{command, json, model, names, text};
use crate::refusal::refused;

/// Inputs of a batch.
const BATCH: usize = 50;

/// A model and digits, certified in small batches.
struct Jobs {
    dir: tempfile::TempDir,
    limit: &'static str,
}

impl Jobs {
    fn new(limit: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        model(&dir.path().join("m.safetensors"), &[1, 28, 28], &[40, 30]);
        Self { dir, limit }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn arguments(&self, out: &str, more: &[&str]) -> Vec<String> {
        let (model, out, batch) = (self.at("m.safetensors"), self.at(out), BATCH.to_string());
        let own = [
            "certify",
            "--model",
            text(&model),
            "--data",
            "digits",
            "--batch",
            &batch,
        ];
        let rest = ["--limit", self.limit, "--out", text(&out)];
        [&own[..], &rest, more]
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect()
    }

    fn certify(&self, out: &str, more: &[&str]) -> Value {
        let arguments = self.arguments(out, more);
        json(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn start(&self, out: &str, more: &[&str]) -> Child {
        let mut command = command(&[]);
        let quiet = command
            .args(self.arguments(out, more))
            .stdout(Stdio::null());
        quiet.stderr(Stdio::null()).spawn().unwrap()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.at(name)).unwrap()
    }

    fn merge(&self, parts: &[String], out: &str) -> Value {
        let parts: Vec<PathBuf> = parts.iter().map(|part| self.at(part)).collect();
        let out = self.at(out);
        let parts = parts.iter().map(|part| text(part));
        let arguments = ["merge"].into_iter().chain(parts);
        json(&arguments.chain(["--out", text(&out)]).collect::<Vec<_>>())
    }
}

/// The last part of a path.
fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// The batches that the journal of a table has, in order; a torn line is none.
fn batches(table: &Path) -> Vec<u64> {
    let mut journal = table.as_os_str().to_owned();
    journal.push(".job");
    let text = fs::read_to_string(journal).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().skip(1);
    let batch = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["batch"].as_u64().unwrap()
    };
    lines.map(batch).collect()
}

/// What `--json` says, but for the clock, where it lies and the sum that is rounded in the order of the batches.
fn said(mut outcome: Value) -> Value {
    let fields = outcome.as_object_mut().unwrap();
    for name in ["seconds", "inputs_per_second", "out"] {
        assert!(fields.remove(name).is_some(), "{name}");
    }
    outcome
}

#[test]
fn parts_put_together_are_the_table_of_one_process() {
    let jobs = Jobs::new("470");
    let whole = jobs.certify("whole.csv", &[]);
    let part = |i: usize| format!("{i}.csv");
    for i in 1..=8 {
        jobs.certify(&part(i), &["--shard", &format!("{i}/8")]);
    }
    // In any order.
    let parts: Vec<String> = [3, 1, 2, 8, 7, 4, 5, 6].map(part).to_vec();
    let merged = jobs.merge(&parts, "all.csv");
    assert!(jobs.bytes("all.csv") == jobs.bytes("whole.csv"));
    assert_eq!(said(merged), said(whole));
    // What was put together is a part like others.
    jobs.merge(&["all.csv".into()], "again.csv");
    assert!(jobs.bytes("again.csv") == jobs.bytes("whole.csv"));

    let dir = jobs.dir.path();
    refused(
        dir,
        "merge @1.csv @2.csv --out @n.csv",
        1,
        "of 10 batches are missing: `2`",
    );
    refused(
        dir,
        "merge @1.csv @all.csv --out @n.csv",
        1,
        "batch `0` is doubled|1.csv|all.csv",
    );
    refused(
        dir,
        "merge @1.csv @2.csv --out @all.csv",
        1,
        "there is a result already|--force",
    );
    jobs.certify("other.csv", &["--norm", "2"]);
    refused(
        dir,
        "merge @1.csv @other.csv --out @n.csv",
        1,
        "of another job|`norms`",
    );
    // What is replaced would be lost.
    let all: String = (1..=8).map(|i| format!("@{i}.csv ")).collect();
    let into = format!("merge {all}--out @../{}/1.csv --force", name(dir));
    refused(dir, &into, 2, "--out|1.csv|as a part, too");
    refused(
        dir,
        "merge @m.safetensors --out @n.csv",
        1,
        "no journal of a job beside it|m.safetensors.job|make the table again",
    );
    // Another number of as many digits; and a number that is none, beside a journal of before that does not know the rows.
    let second = String::from_utf8(jobs.bytes("2.csv")).unwrap();
    let (own, journal) = (dir.join("2.csv"), dir.join("2.csv.job"));
    let line = second.lines().nth(1).unwrap();
    let last = if line.ends_with('1') { "2" } else { "1" };
    let other = line[..line.len() - 1].to_owned() + last;
    fs::write(&own, second.replacen(line, &other, 1)).unwrap();
    let all: String = (1..=8).map(|i| format!("@{i}.csv ")).collect();
    let all = format!("merge {all}--out @n.csv");
    refused(dir, &all, 1, "2.csv|rows of batch 1 are not those");
    let known = fs::read_to_string(&journal).unwrap();
    let before = known.lines().map(|line| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("rows");
        format!("{line}\n")
    });
    fs::write(&journal, before.collect::<String>()).unwrap();
    let wrong = line.replacen(",", "x", 1);
    fs::write(&own, second.replacen(line, &wrong, 1)).unwrap();
    refused(dir, &all, 1, "2.csv|line 2");
    fs::write(&own, second).unwrap();
    // A copy that was cut.
    fs::write(&journal, known.lines().next().unwrap()).unwrap();
    refused(dir, &all, 1, "2.csv.job|line 1 has no end");
    fs::write(&journal, known).unwrap();
    // A part of more parts than batches has a header.
    jobs.certify("empty.csv", &["--shard", "11/11"]);
    assert_eq!(
        String::from_utf8(jobs.bytes("empty.csv"))
            .unwrap()
            .lines()
            .count(),
        1
    );
}

/// Of processes that begin at once, however they were asked, one has the table and its journal, and the others say so.
#[cfg(unix)]
#[test]
fn a_table_is_that_of_one_of_several_processes() {
    let jobs = Jobs::new("300");
    jobs.certify("whole.csv", &[]);
    let whole = jobs.bytes("whole.csv");
    for round in 0..9 {
        let (out, way) = (
            format!("{round}.csv"),
            ["", "--force", "--resume"][round % 3],
        );
        let more: Vec<&str> = [way].into_iter().filter(|way| !way.is_empty()).collect();
        let all = [(); 4].map(|()| jobs.start(&out, &more));
        let ends = all.map(|mut child| child.wait().unwrap().code());
        assert!(ends.contains(&Some(0)), "{way}: {ends:?}");
        let are_known = ends.iter().all(|end| [Some(0), Some(1)].contains(end));
        assert!(are_known, "{way}: {ends:?}");
        assert!(jobs.bytes(&out) == whole, "{way}: {ends:?}");
        let done = batches(&jobs.at(&out));
        assert!(done.iter().copied().eq(0..6), "{way}: {ends:?}, {done:?}");
    }
}

/// Kills a certification `kills` times and lets it end; each process may repeat one batch at most.
fn survives(kills: u32) {
    let jobs = Jobs::new("1000");
    let start = Instant::now();
    jobs.certify("whole.csv", &[]);
    let whole = start.elapsed();
    let killed = jobs.at("killed.csv");
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut done = 0;
    for kill in 0..kills {
        // From before the first batch to behind the last.
        random = random
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(u64::from(kill));
        let share = (random >> 40) as f64 / f64::from(1 << 24);
        let mut child = jobs.start("killed.csv", &["--resume"]);
        std::thread::sleep(whole.mul_f64(1.2 * share / 3.0));
        child.kill().unwrap();
        child.wait().unwrap();
        let now = batches(&killed);
        // Nothing that was done is done again.
        assert!(now.len() >= done, "{now:?}");
        assert!(now.iter().copied().eq(0..now.len() as u64), "{now:?}");
        done = now.len();
        if killed.exists() {
            // A torn row, as of a kill within a write.
            let table = jobs.bytes("killed.csv");
            fs::write(&killed, [&table[..], b"17,3,"].concat()).unwrap();
        }
    }
    jobs.certify("killed.csv", &["--resume"]);
    assert!(jobs.bytes("killed.csv") == jobs.bytes("whole.csv"));
    assert!(batches(&killed).into_iter().eq(0..1000 / BATCH as u64));
}

#[test]
fn a_certification_survives_kills() {
    survives(4);
}

#[test]
#[ignore = "minutes; `cargo test -- --ignored` runs it"]
fn a_certification_survives_kills_at_twenty_instants() {
    survives(20);
}

#[cfg(unix)]
#[test]
fn sigterm_keeps_what_is_done_and_says_so() {
    let jobs = Jobs::new("2000");
    jobs.certify("whole.csv", &[]);
    let out = jobs.at("stopped.csv");
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let before = batches(&out).len();
        let mut child = jobs.start("stopped.csv", &["--resume"]);
        let start = Instant::now();
        while batches(&out).len() == before {
            assert!(start.elapsed() < Duration::from_secs(60), "no batch");
            std::thread::sleep(Duration::from_millis(1));
        }
        let pid = child.id().to_string();
        let sent = std::process::Command::new("kill")
            .args([format!("-{signal}"), pid])
            .status();
        assert!(sent.unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(code));
        let table = String::from_utf8(jobs.bytes("stopped.csv")).unwrap();
        assert!(table.ends_with('\n'));
        assert_eq!(table.lines().count(), 1 + BATCH * batches(&out).len());
    }
    jobs.certify("stopped.csv", &["--resume"]);
    assert!(jobs.bytes("stopped.csv") == jobs.bytes("whole.csv"));
}

#[test]
fn a_job_goes_on_as_the_same_job_only() {
    let jobs = Jobs::new("60");
    jobs.certify("m.csv", &[]);
    assert_eq!(
        names(jobs.dir.path()),
        ["m.csv", "m.csv.job", "m.safetensors"]
    );
    // Nothing to do.
    let before = jobs.bytes("m.csv");
    let again = jobs.certify("m.csv", &["--resume"]);
    assert!(jobs.bytes("m.csv") == before && again["inputs"] == 60);
    let dir = jobs.dir.path();
    let certify = "certify --model @m.safetensors --data digits --batch 50 --limit 60 --out @m.csv";
    refused(
        dir,
        certify,
        1,
        "there is a result already|--resume|--force",
    );
    for (more, needle) in [
        ("--norm 2", "another `norms`"),
        ("--shard 1/2", "another `shard`: 1/1 there, 1/2 here"),
        ("--dtype f32", "another `dtype`"),
        ("--split train", "another `data`"),
    ] {
        refused(dir, &format!("{certify} --resume {more}"), 1, needle);
    }
    model(&jobs.at("m.safetensors"), &[1, 28, 28], &[3]);
    refused(dir, &format!("{certify} --resume"), 1, "another `model`");
    fs::remove_file(jobs.at("m.csv.job")).unwrap();
    refused(
        dir,
        &format!("{certify} --resume"),
        1,
        "no journal of a job beside it|m.csv.job",
    );
    refused(
        dir,
        &format!("{certify} --shard 3/2 --force"),
        2,
        "1 <= I <= N",
    );
    refused(
        dir,
        &format!("{certify} --shard auto --force"),
        2,
        "SLURM_ARRAY_TASK_ID",
    );
    refused(
        dir,
        "certify --model @m.safetensors --data digits --resume",
        2,
        "--out",
    );
}

#[test]
fn a_job_draws_one_seed() {
    let jobs = Jobs::new("60");
    let estimate = ["--failure-probability", "1e-3"];
    let with = |more: &[&'static str]| [&estimate[..], more].concat();
    jobs.certify("a.csv", &with(&[]));
    let seed = |table: &str| {
        let journal = String::from_utf8(jobs.bytes(&format!("{table}.job"))).unwrap();
        let job: Value = serde_json::from_str(journal.lines().next().unwrap()).unwrap();
        job["settings"]["seed"].as_u64().unwrap()
    };
    // Goes on with the seed that was drawn.
    let drawn = seed("a.csv");
    jobs.certify("a.csv", &with(&["--resume"]));
    assert_eq!(seed("a.csv"), drawn);
    jobs.certify("b.csv", &with(&[]));
    assert_ne!(seed("b.csv"), drawn);
    // Parts share it by a file, or are told it.
    let line = "certify --model @m.safetensors --data digits --failure-probability 1e-3 --shard 1/2 --out @1.csv";
    refused(jobs.dir.path(), line, 2, "--seed|--settings");
    let settings = jobs.at("job.json");
    let shared = [
        "--settings",
        text(&settings),
        "--failure-probability",
        "1e-3",
    ];
    for (out, shard) in [("1.csv", "1/2"), ("2.csv", "2/2")] {
        jobs.certify(out, &[&shared[..], &["--shard", shard]].concat());
    }
    assert_eq!(seed("1.csv"), seed("2.csv"));
    let merged = jobs.merge(&["1.csv".into(), "2.csv".into()], "all.csv");
    assert_eq!(merged["inputs"], 60);
    let line = "certify --model @m.safetensors --data digits --limit 2 --out @3.csv --settings @none/job.json";
    refused(
        jobs.dir.path(),
        line,
        1,
        "--settings|job.json: cannot write a new file|No such file",
    );
    // No other file that is written, or read.
    for (out, more, other) in [
        ("3.csv", "--settings @3.csv", "--out"),
        ("3.csv", "--settings @3.csv.job", "the journal of --out"),
        ("3.csv", "--settings @r.html --report @r.html", "--settings"),
        ("3.csv", "--settings @m.safetensors", "--model"),
    ] {
        for asked in ["certify", "bound --eps 0.1"] {
            let line = format!("{asked} --model @m.safetensors --data digits --out @{out} {more}");
            refused(
                jobs.dir.path(),
                &line,
                2,
                &format!("too; name another|as {other}"),
            );
        }
    }
}
