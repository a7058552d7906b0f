"""How a question is asked: threads, and a bar where somebody watches."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Any, Callable, Dict, Iterator, Optional

from ._arrays import maybe

How = Dict[str, Any]

# More threads than any machine gains from, as for RAYON_NUM_THREADS.
_MOST_THREADS = 1024


#: The process that has asked, whose threads others lack that are forked from it.
_process: Optional[int] = None


def _check_process() -> None:
    global _process
    if _process is None:
        _process = os.getpid()
    if _process != os.getpid():
        raise RuntimeError(
            "this process was forked from one that had asked a question before, without its threads, and would wait for them; start processes "
            'by "spawn" (multiprocessing.get_context("spawn")), or ask nothing before'
        )


@contextlib.contextmanager
def asking(total: int, threads: Optional[int], progress: Optional[bool] = False) -> Iterator[How]:
    """The engine's options. ``progress`` is True, False, or None for a bar on terminals where ``tqdm`` is installed."""
    _check_process()
    threads = maybe(threads, "threads", 1)
    if threads is not None and threads > _MOST_THREADS:
        raise ValueError(f"threads: expected at most {_MOST_THREADS}, found {threads}")
    bar = _bar(total, progress)
    tell: Optional[Callable[[int, str], None]] = None
    if bar is not None:

        def tell(done: int, now: str) -> None:
            bar.set_postfix_str(now, refresh=False)
            bar.update(done - bar.n)

    try:
        yield {"threads": threads, "progress": tell}
    finally:
        if bar is not None:
            bar.close()


def _bar(total: int, progress: Optional[bool]) -> Any:
    if progress is False or (progress is None and not sys.stderr.isatty()):
        return None
    try:
        from tqdm.auto import tqdm
    except ImportError:
        if progress:
            raise
        return None
    # Work of less than two seconds shows no bar. How far one long proof is changes it as well as the number of inputs.
    return tqdm(total=total, unit="input", delay=0 if progress else 2, leave=False, miniters=0)
