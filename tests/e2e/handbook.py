"""Runs the command lines of a section of `docs/operations.md`, as an operator would type them.

So the page and the test cannot differ. Where the page speaks of several machines, all run on this one: ports are moved
to free ones, and a home made by the page gets ports of its own for API and operations through the environment.
"""

import asyncio
import os
import re
import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from node.wire.ids import MemberId
from tests.e2e.localnet import LOTVINE, REPOSITORY, Localnet, NodeProcess

PAGE: Final = REPOSITORY / "docs" / "operations.md"
PAGE_PORT: Final = 26_700
RETRY_SECONDS: Final = 20.0
_PROPOSAL: Final = re.compile(r"Proposal ([0-9a-f]{64})")


def read_blocks(heading: str) -> list[list[str]]:
    """Return the shell blocks under a heading of the page, each as its lines without comments."""
    sections = re.split(r"^### (.*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = dict(zip(sections[1::2], sections[2::2], strict=True))
    text = re.split(r"^## ", found[heading], flags=re.MULTILINE)[0]
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    assert blocks, heading
    return [[line for line in block.splitlines() if line and not line.startswith("#")] for block in blocks]


@dataclass
class Handbook:
    """One operator's desk: the folder that the commands run in, which holds the localnet as `net`.

    free_port: the first of the ports for homes that the page makes.
    """

    net: Localnet
    free_port: int
    proposal: str = ""
    said: list[str] = field(default_factory=list)
    _ports: dict[str, int] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the commands run."""
        return self.net.root.parent

    async def run(self, lines: Sequence[str]) -> None:
        """Run command lines one after the other; one that is refused is tried again for a while, as a person would."""
        for line in lines:
            words = [self._fit(word) for word in shlex.split(line, comments=True)]
            assert words[0] == "lotvine", line
            if words[1] == "start":
                await self._start(words)
            else:
                await self._run_until_done(words)

    def _fit(self, word: str) -> str:
        """Return a word of the page as it is here: the proposal's id, and free ports."""
        if word == "PROPOSAL":
            return self.proposal
        match = re.fullmatch(r"127\.0\.0\.1:(\d+)", word)
        if match is None:
            return word
        offset = int(match[1]) - PAGE_PORT
        return f"127.0.0.1:{self.net.nodes[0].p2p_port + offset if offset < 40 else self.free_port}"

    def _environment_of(self, home: str) -> dict[str, str]:
        if home.startswith("net/"):
            return {}
        port = self.free_port
        return {"LOTVINE_RPC__LISTEN": f"127.0.0.1:{port + 1}", "LOTVINE_OPERATIONS__LISTEN": f"127.0.0.1:{port + 2}"}

    async def _run_until_done(self, words: Sequence[str]) -> None:
        deadline = time.monotonic() + RETRY_SECONDS
        home = words[words.index("--home") + 1]
        while True:
            ended = await asyncio.to_thread(self._run_once, words, self._environment_of(home))
            if ended.returncode == 0:
                break
            assert time.monotonic() < deadline, (words, ended.stdout, ended.stderr)
            await asyncio.sleep(0.3)
        self.said.append(ended.stdout)
        found = _PROPOSAL.search(ended.stdout)
        if found is not None:
            self.proposal = found[1]

    def _run_once(self, words: Sequence[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*LOTVINE, *words[1:]],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "NO_COLOR": "1", **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    async def _start(self, words: Sequence[str]) -> None:
        """Start a node in the background, where the page has somebody do so on a machine of its own."""
        home = words[words.index("--home") + 1]
        node = NodeProcess(
            0, self.folder / home, self.free_port, MemberId(home), environment=self._environment_of(home)
        )
        self.net.nodes.append(node)
        node.start()
        deadline = time.monotonic() + RETRY_SECONDS
        while await node.find_status() is None:
            assert node.is_running, node.tail()
            assert time.monotonic() < deadline, node.tail()
            await asyncio.sleep(0.1)

    @property
    def made(self) -> NodeProcess:
        """The node that the page has made and started."""
        return self.net.nodes[-1]
