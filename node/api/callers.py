"""Whoever sent requests over one connection, and the tasks that answer them."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Caller:
    """Starts the tasks of one connection's requests, in its task group.

    What changes something is done all the same once its caller has left; a question is not: nobody reads the answer.
    """

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self._tasks = tasks
        self._questions: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], *, name: str, is_question: bool) -> None:
        """Run what answers a request."""
        task = self._tasks.create_task(work, name=name)
        if is_question:
            self._questions.add(task)
            task.add_done_callback(self._questions.discard)

    def leave(self) -> None:
        """End the questions that are under way."""
        for task in tuple(self._questions):
            task.cancel()
