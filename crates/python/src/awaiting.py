"""Carries on callbacks that await: one event loop per interpreter, on a thread of the server.

`native` has the server's side: `ready(wake)` takes the function that makes the loop look at `jobs()`, which gives what came in;
`enter(number)` and `leave(number)` stand around every step of a coroutine, so that KSR functions find its message; `finish(number,
result, error)` is its end; `expired(number)` says that it awaited too long; `flush()` sends what was printed.
"""

import asyncio
import collections.abc
import traceback


class Routed(collections.abc.Coroutine):
    """A callback's coroutine, with its message in place while it runs."""

    __slots__ = ("coroutine", "number", "native", "timer")

    def __init__(self, coroutine, number, native):
        self.coroutine = coroutine
        self.number = number
        self.native = native
        self.timer = None

    def send(self, value):
        return self.step(self.coroutine.send, value)

    def throw(self, *error):
        return self.step(self.coroutine.throw, *error)

    def close(self):
        self.coroutine.close()

    def __await__(self):
        return self

    def step(self, function, *args):
        native = self.native
        native.enter(self.number)
        try:
            awaited = function(*args)
        except StopIteration as end:
            result, error = end.value, None
        except BaseException as raised:
            result, error = None, raised
        else:
            native.leave(self.number)
            return awaited
        native.leave(self.number)
        if self.timer is not None:
            self.timer.cancel()
        native.finish(self.number, result, error)
        raise StopIteration(None)


def run(native, limit):
    """For ever. `limit`: seconds a callback may await, 0 for ever."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    tasks = set()
    flushing = False

    def flush():
        nonlocal flushing
        flushing = False
        native.flush()

    def flush_soon():
        nonlocal flushing
        if not flushing:
            flushing = True
            loop.call_soon(flush)

    def expire(task, number):
        native.expired(number)
        task.cancel()

    def drain():
        for coroutine, number in native.jobs():
            routed = Routed(coroutine, number, native)
            task = loop.create_task(routed)
            if limit:
                routed.timer = loop.call_later(limit, expire, task, number)
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    def report(loop, context):
        error = context.get("exception")
        lines = traceback.format_exception(type(error), error, error.__traceback__) if error is not None else []
        native.log("error", "event loop of the script: %s\n%s" % (context.get("message"), "".join(lines).rstrip()))

    loop.set_exception_handler(report)
    native.ready(lambda: loop.call_soon_threadsafe(drain), flush_soon)
    loop.call_soon(drain)
    while True:
        try:
            loop.run_forever()
        except BaseException as error:
            # sys.exit() in a task of the script's own ends that task.
            if not isinstance(error, SystemExit):
                report(loop, {"message": "a task of the script raised", "exception": error})


def drive(coroutine):
    """Runs a coroutine to its end where nobody can go on later: the worker waits for it."""
    running = asyncio._get_running_loop()
    task = asyncio.current_task(running) if running is not None else None
    # The callback that this one runs inside of steps aside: from Python 3.14 on a thread has one current task for all of its loops.
    if task is not None:
        asyncio.tasks._leave_task(running, task)
    asyncio._set_running_loop(None)
    try:
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(coroutine)
        finally:
            loop.close()
    finally:
        asyncio._set_running_loop(running)
        if task is not None:
            asyncio.tasks._enter_task(running, task)
