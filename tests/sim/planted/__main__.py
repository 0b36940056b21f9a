"""Plant each bug in a scratch copy, run its finder, and take it out again: `make sim-planted`.

Ends with how many were found; fails if one was not, or if a patch no longer applies. What fails anyway finds nothing:
the finders that are tests are run without any bug first, and a seed that has found a bug once more after it is out.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

from tests.sim.planted import ROOT, Planted, all_planted

FINDER_SECONDS_MAX = 600
COPIED = ("consensus", "node", "tests", "docs", "pyproject.toml", "Makefile", "README.md", "ARCHITECTURE.md", "deploy")


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one bug. why: how it was found, or why it was not. runs: how often something was run for it."""

    planted: Planted
    is_found: bool
    why: str
    seconds: float
    runs: int


def copy_tree(folder: Path) -> Path:
    """Copy what finders need; return the folder."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder / name)
    return folder


def apply(folder: Path, patch: Path, *options: str) -> str | None:
    """Apply a patch in `folder`; return why it could not be, or None."""
    # Without the ceiling git would look for a repository above, and take paths to be relative to that.
    done = subprocess.run(
        ["git", "apply", *options, str(patch)],
        cwd=folder,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else done.stderr.strip()


def run(folder: Path, words: tuple[str, ...]) -> tuple[int, str]:
    """Run a finder; return its exit code and its output. It never ends: exit code -1."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=FINDER_SECONDS_MAX,
        )
    except subprocess.TimeoutExpired:
        return -1, f"no end within {FINDER_SECONDS_MAX} s"
    return done.returncode, done.stdout


def found_by(words: tuple[str, ...], code: int, output: str) -> str | None:
    """Return how the bug was found, or None. A finder that could not run, or died of itself, has found nothing."""
    lines = output.strip().splitlines() or [""]
    if words[0] == "tests.sim":
        seed = re.search(r"^seed (\d+) FAILED", output, re.MULTILINE)
        broken = [line for line in lines if re.match(r"[\w.]*Error(: |$)", line)]
        return f"seed {seed[1]}: {broken[-1]}" if code == 1 and seed and broken else None
    if words[0] == "pytest":
        failed = [line for line in lines if line.startswith("FAILED ")]
        return failed[0] if code == 1 and failed else None
    return lines[-1] if code == 1 else None


def seed_alone(words: tuple[str, ...], output: str) -> tuple[str, ...] | None:
    """Return what runs the one seed that has found the bug; None for a finder that is a test, or found nothing."""
    seed = re.search(r"^seed (\d+) FAILED", output, re.MULTILINE)
    if words[0] != "tests.sim" or seed is None:
        return None
    alone = list(words)
    alone[words.index("--first-seed") + 1] = seed[1]
    alone[words.index("--seeds") + 1] = "1"
    return tuple(alone)


def try_one(planted: Planted, folder: Path) -> Result:
    """Plant one bug, look for it, take it out; then see that the seed which has found it finds nothing any more."""
    begun = time.monotonic()
    fault = apply(folder, planted.path)
    if fault is not None:
        return Result(planted, is_found=False, why=f"the patch no longer applies: {fault}", seconds=0, runs=0)
    code, output = run(folder, planted.finder)
    how = found_by(planted.finder, code, output)
    undone = apply(folder, planted.path, "-R")
    if undone is not None:
        raise RuntimeError(f"{planted.path.name} cannot be taken out: {undone}")
    alone = None if how is None else seed_alone(planted.finder, output)
    runs = 1 if alone is None else 2
    if alone is not None:
        clean, said = run(folder, alone)
        if clean != 0:
            how, output = None, f"{how}\nwithout the bug the seed fails too:\n{said}"
    seconds = time.monotonic() - begun
    if how is None:
        return Result(planted, is_found=False, why="NOT FOUND\n" + output[-3_000:], seconds=seconds, runs=runs)
    return Result(planted, is_found=True, why=how, seconds=seconds, runs=runs)


def say(line: str) -> None:
    """Print at once."""
    print(line, flush=True)  # noqa: T201 - this is the program's output


def main() -> int:
    """Look for all bugs, or for those whose file names hold a given text."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.planted", description=__doc__)
    parser.add_argument("names", nargs="*", help="parts of file names; default: all")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    chosen = [
        planted
        for planted in all_planted()
        if not arguments.names or any(name in planted.path.name for name in arguments.names)
    ]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lotvine-planted-") as scratch:
        folders: Queue[Path] = Queue()
        for job in range(arguments.jobs):
            folder = Path(scratch) / str(job)
            folder.mkdir()
            folders.put(copy_tree(folder))
        tests = sorted({word for planted in chosen if planted.finder[0] == "pytest" for word in planted.finder[1:]})
        if tests:
            folder = folders.get()
            code, output = run(folder, ("pytest", "-q", "-n", "0", *[word for word in tests if "::" in word]))
            folders.put(folder)
            if code != 0:
                say(output[-3_000:])
                say("the finders fail without any bug")
                return 1

        def work(planted: Planted) -> Result:
            folder = folders.get()
            try:
                return try_one(planted, folder)
            finally:
                folders.put(folder)

        found, runs = 0, 1 if tests else 0
        with ThreadPoolExecutor(arguments.jobs) as workers:
            for result in workers.map(work, chosen):
                found += result.is_found
                runs += result.runs
                say(f"{result.planted.path.stem}: {result.why} ({result.seconds:.0f} s)")
    say(f"{found} of {len(chosen)} planted bugs found, {runs} runs in {time.monotonic() - begun:.0f} s")
    return 0 if found == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
