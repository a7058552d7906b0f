"""A job in parts by HyperQueue on this machine (pip install hyperqueue).

python hq_local.py --shards 8 --out parts -- loclin certify --model network.onnx --data inputs.npy

Part 3 of 8 writes parts/3.csv. A part that fails, or whose process is killed, is queued again and goes on where it was; run again,
the script goes on with all parts. Put them together with: loclin merge parts/*.csv --out margins.csv
"""

import argparse
import pathlib
import sys

from hyperqueue import Job, LocalCluster
from hyperqueue.client import FailedJobsException
from hyperqueue.cluster import WorkerConfig

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--shards", type=int, required=True, help="number of parts")
parser.add_argument("--out", type=pathlib.Path, required=True, help="folder of their tables")
parser.add_argument("--cores", type=int, help="cores to use [all]")
parser.add_argument("--tries", type=int, default=4, help="times that a part is queued at most")
parser.add_argument("command", nargs=argparse.REMAINDER, help="-- loclin certify ...")
given = parser.parse_args()
command = [word for word in given.command if word != "--"]
given.out.mkdir(parents=True, exist_ok=True)
folder = given.out.resolve()


def queue(job, part):
    table = folder / f"{part}.csv"
    options = ["--shard", f"{part}/{given.shards}", "--resume", "--out", str(table)]
    # One thread each: as many parts at a time as there are cores.
    job.program(
        command + options,
        env={"RAYON_NUM_THREADS": "1"},
        cwd=pathlib.Path.cwd(),
        stdout=folder / f"{part}.txt",
        stderr=folder / f"{part}.log",
    )


with LocalCluster() as cluster:
    cluster.start_worker(WorkerConfig(cores=given.cores))
    client = cluster.client()
    parts = list(range(1, given.shards + 1))
    for attempt in range(given.tries):
        job = Job(max_fails=None)
        for part in parts:
            queue(job, part)
        submitted = client.submit(job)
        try:
            client.wait_for_jobs([submitted])
            break
        except FailedJobsException:
            failed = sorted(client.get_failed_tasks(submitted).items())
            for task, context in failed:
                print(f"part {parts[task]}: {context.error}", file=sys.stderr)
            parts = [parts[task] for task, _ in failed]
    else:
        sys.exit(f"parts {parts} failed {given.tries} times; their logs are in {folder}")
