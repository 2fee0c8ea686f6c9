"""Background: an event loop in a thread of its own, so that synchronous callers share one client and one pace."""

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from social_learning.errors import EndpointError

Result = TypeVar("Result")


class Background:
    """Runs coroutines for callers in any thread, each of whom waits for its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="endpoint", daemon=True)
        self._thread.start()
        self._running: set[concurrent.futures.Future[Any]] = set()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine and return its result; when the caller is interrupted, it is cancelled."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._running.add(future)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise EndpointError("calls were given up: the run was interrupted") from None
        except BaseException:
            future.cancel()
            raise
        finally:
            self._running.discard(future)

    def interrupt(self) -> None:
        """Cancel all that is running."""
        for future in list(self._running):
            future.cancel()

    def close(self) -> None:
        """Cancel what is running, and end the thread."""
        if self._loop.is_closed():
            return
        self.interrupt()
        asyncio.run_coroutine_threadsafe(_rest(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _rest() -> None:
    """Wait for the tasks that were cancelled."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
