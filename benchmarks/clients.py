"""The floors' clients, each in a process of its own, started together."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any


class Client:
    """One running client."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def go(self) -> None:
        """Let it begin."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Wait for its end and return what it measured."""
        output, _ = self._process.communicate(timeout=120)
        found: dict[str, Any] = json.loads(output)
        return found


@contextmanager
def clients(number: int, *task: str) -> Iterator[list[Client]]:
    """Start `number` clients with `task`; when they are given, all of them are connected."""
    command = [sys.executable, "-m", "benchmarks.floors", *task]
    with ExitStack() as stack:
        processes = [
            stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(number)
        ]
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        yield [Client(process) for process in processes]
