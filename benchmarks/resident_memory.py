"""Memory of a process of its own: what it holds before, and at most while something runs."""

import multiprocessing
import threading
from collections.abc import Callable
from typing import Any

from clin_jepa.planning.process_memory import private_bytes

_EVERY_SECONDS = 0.002


def measured_apart(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Call a function in a new process, so that what others left in this one does not count; it returns figures."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


class Peak:
    """The most private memory that this process held within a ``with`` block, sampled every two milliseconds; Linux only.

    Pages of mapped files are not counted: the system takes them back whenever it needs them.
    """

    def __enter__(self) -> "Peak":
        self.before = self.most = private_bytes()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.most = max(self.most, private_bytes())

    def _watch(self) -> None:
        while not self._done.wait(_EVERY_SECONDS):
            self.most = max(self.most, private_bytes())
