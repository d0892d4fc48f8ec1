"""What a script may not do to the server it runs in: start threads that threads_mode holds, fork, end the
process, take signals, recurse beyond the end of a stack.

Installed once per interpreter, before the script is imported. `native` has the server's side: `started(name, place, held)` gives the
number of a thread, `ended(number)`, `log(level, text)`, `holds()` says whether threads of the script are held (threads_mode 0).
"""

import _thread
import os
import signal
import sys
import threading
import traceback

STANDARD_LIBRARY = os.path.dirname(threading.__file__)
# Held threads that `threading` lists. More are started and counted, but nothing keeps them once the script lets go of them.
LISTED = 1000


class Installed:
    native = None
    listed = 0


def place():
    """File and line of the script that called, the standard library left out."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        library = name.startswith(STANDARD_LIBRARY) and "site-packages" not in name and "dist-packages" not in name
        if not library and not name.startswith("<"):
            return "%s:%d" % (name, frame.f_lineno)
        frame = frame.f_back
    return "?"


class Never:
    """A lock that nobody releases: what is known of a held thread's end. Waiting is cut into pieces so that it can be interrupted."""

    def __init__(self, name):
        self.lock = _thread.allocate_lock()
        self.lock.acquire()
        self.name = name
        self.told = False

    def acquire(self, blocking=True, timeout=-1):
        if not blocking:
            return False
        if timeout is not None and timeout >= 0:
            return self.lock.acquire(True, timeout)
        if not self.told:
            self.told = True
            Installed.native.log(
                "error",
                "%s waits for thread %s, which threads_mode 0 holds: it waits for ever" % (place(), self.name),
            )
        while not self.lock.acquire(True, 0.1):
            pass
        return True

    def locked(self):
        return True

    def release(self):
        pass


class HeldHandle:
    """Stands for `_thread._ThreadHandle` (3.13 and later) of a held thread."""

    def __init__(self, ident, name):
        self.ident = ident
        self.never = Never(name)

    def is_done(self):
        return False

    def join(self, timeout=None):
        self.never.acquire(True, -1 if timeout is None else timeout)

    def _set_done(self):
        pass


def thread_of(function):
    owner = getattr(function, "__self__", None)
    return owner if isinstance(owner, threading.Thread) else None


def name_of(function):
    thread = thread_of(function)
    return thread.name if thread is not None else getattr(function, "__qualname__", None) or repr(function)


def hold(function):
    """A thread that was started and makes no progress."""
    name = name_of(function)
    # Counted by the server: here two workers of a free-threaded Python could take the same number.
    number = Installed.native.started(name, place(), True)
    # No thread of the system has such an id.
    ident = (1 << 62) + number
    handle = HeldHandle(ident, name)
    thread = thread_of(function)
    if thread is not None:
        with threading._active_limbo_lock:
            threading._limbo.pop(thread, None)
            if Installed.listed < LISTED:
                Installed.listed += 1
                threading._active[ident] = thread
        thread._ident = ident
        thread._native_id = None
        if hasattr(thread, "_tstate_lock"):
            thread._tstate_lock = handle.never
        for attribute in ("_handle", "_os_thread_handle"):
            if attribute in thread.__dict__:
                setattr(thread, attribute, handle)
        thread._started.set()
    return handle


def listed(function):
    """The function of a thread that runs, listed until it returns."""
    number = Installed.native.started(name_of(function), place(), False)

    def run(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        finally:
            Installed.native.ended(number)

    return run, number


def replace_threads():
    start_new_thread = _thread.start_new_thread
    start_joinable_thread = getattr(_thread, "start_joinable_thread", None)

    def start(function, args, *more):
        # What is no call of a function is refused as ever.
        if not callable(function) or not isinstance(args, tuple):
            return start_new_thread(function, args, *more)
        if Installed.native.holds():
            return hold(function).ident
        run, number = listed(function)
        try:
            return start_new_thread(run, args, *more)
        except BaseException:
            Installed.native.ended(number)
            raise

    def start_joinable(function, handle=None, daemon=True):
        if not callable(function):
            return start_joinable_thread(function, handle=handle, daemon=daemon)
        if Installed.native.holds():
            return hold(function)
        run, number = listed(function)
        try:
            return start_joinable_thread(run, handle=handle, daemon=daemon)
        except BaseException:
            Installed.native.ended(number)
            raise

    start.__name__ = start.__qualname__ = "start_new_thread"
    start_joinable.__name__ = start_joinable.__qualname__ = "start_joinable_thread"
    for module, name, function in (
        (_thread, "start_new_thread", start),
        (_thread, "start_new", start),
        (threading, "_start_new_thread", start),
        (_thread, "start_joinable_thread", start_joinable),
        (threading, "_start_joinable_thread", start_joinable),
    ):
        if hasattr(module, name):
            setattr(module, name, function)

    def excepthook(args, /):
        if args.exc_type is SystemExit:
            return
        name = args.thread.name if args.thread is not None else "?"
        lines = traceback.format_exception(args.exc_type, args.exc_value, args.exc_traceback)
        Installed.native.log("error", "exception in thread %s of the script:\n%s" % (name, "".join(lines).rstrip()))

    threading.excepthook = excepthook


def replace_process():
    def refuse(name, advice):
        def refused(*args, **kwargs):
            text = "%s is not for a script: the server is one process with many threads; %s" % (name, advice)
            Installed.native.log("error", "%s (at %s)" % (text, place()))
            raise RuntimeError(text)

        return refused

    other_process = "start another program with subprocess, or use multiprocessing with the start method 'spawn'"
    for module, name in ((os, "fork"), (os, "forkpty")):
        if hasattr(module, name):
            setattr(module, name, refuse("os." + name + "()", other_process))

    def end(name):
        def ended(status=0, *args):
            Installed.native.log(
                "error",
                "%s called at %s: it would have ended the server; it ends the callback, as sys.exit() does" % (name, place()),
            )
            raise SystemExit(status)

        return ended

    os._exit = end("os._exit()")
    os.abort = end("os.abort()")


def replace_signals():
    told = set()

    def tell(name, number):
        if (name, number) not in told:
            told.add((name, number))
            Installed.native.log(
                "warning", "%s at %s has no effect: signals are the server's, not the script's" % (name, place())
            )

    def set_handler(signalnum, handler):
        tell("signal.signal(%s)" % (signalnum,), int(signalnum))
        return signal.getsignal(signalnum)

    def no_timer(name, result):
        def ignored(*args):
            tell(name, 0)
            return result

        return ignored

    signal.signal = set_handler
    signal.alarm = no_timer("signal.alarm()", 0)
    signal.setitimer = no_timer("signal.setitimer()", (0.0, 0.0))


# Levels that the stacks of workers and of the script's threads have room for.
DEEPEST = 10000
STACK = 64 << 20


def replace_recursion_limit():
    setrecursionlimit = sys.setrecursionlimit
    told = []

    def limited(limit):
        if isinstance(limit, int) and limit > DEEPEST:
            if not told:
                told.append(limit)
                Installed.native.log(
                    "warning",
                    "sys.setrecursionlimit(%d) at %s: it is %d, deeper ones could end the server" % (limit, place(), DEEPEST),
                )
            limit = DEEPEST
        return setrecursionlimit(limit)

    sys.setrecursionlimit = limited
    threading.stack_size(STACK)


def install(native):
    first = Installed.native is None
    Installed.native = Installed.native or native
    if first:
        replace_threads()
        replace_process()
        replace_signals()
        replace_recursion_limit()
