"""The script of the stress program: the Call-ID says what a request does to the server."""
import asyncio
import concurrent.futures
import logging
import multiprocessing
import queue
import socket
import sys
import threading
import time

import KSR

SLOW_PEER = @SLOW_PEER@
SILENT = "sip:silent@127.0.0.1:@SILENT@"
CALLEE = "sip:callee@127.0.0.1:@CALLEE@"
TICKS = {}
LOCK = threading.Lock()
WORK = queue.Queue(100)
POOL = concurrent.futures.ThreadPoolExecutor(2)
MINE = object()


def current():
    """Threads of a script that was reloaded end."""
    return getattr(sys, "_stress", MINE) is MINE


def tick(name):
    TICKS[name] = TICKS.get(name, 0) + 1


def sleeper(name):
    while current():
        tick(name)
        time.sleep(0.002)


def spinner(name):
    while current():
        for _ in range(2000):
            pass
        tick(name)
        time.sleep(0.01)


def caller(name):
    """KSR functions outside of a callback: those without a message work, the others say so."""
    while current():
        tick(name)
        KSR.pv.get("$ru")
        KSR.dbg("from a thread\n")
        with LOCK:
            KSR.pv.sets("$var(x)", "y")
        time.sleep(0.005)


def consumer(name):
    while current():
        try:
            WORK.get(timeout=0.05)
        except queue.Empty:
            pass
        tick(name)


async def loop(name):
    while current():
        tick(name)
        await asyncio.sleep(0.005)


def start(target, name):
    threading.Thread(target=target, args=(name,), name=name, daemon=True).start()


def mod_init():
    sys._stress = MINE
    start(sleeper, "sleeper")
    start(spinner, "spinner")
    start(consumer, "consumer")
    threading.Thread(target=lambda: asyncio.run(loop("asyncio")), name="asyncio", daemon=True).start()
    logging.getLogger("stress").addHandler(logging.NullHandler())
    return Handler()


class Handler:
    def child_init(self, rank):
        self.rank = rank
        self.routed = 0
        start(caller, "caller of %d" % rank)
        return 0

    def ksr_request_route(self, msg):
        self.routed += 1
        kind = KSR.pv.get("$ci").split("-")[0]
        return getattr(self, "do_" + kind)(msg) or 1

    def ok(self, text="OK"):
        KSR.sl.send_reply(200, text)

    def do_plain(self, msg):
        self.ok()

    def do_ticks(self, msg):
        self.ok("Ticks %d" % sum(TICKS.copy().values()))

    def do_raise(self, msg):
        raise ValueError("as asked")

    def do_deep(self, msg):
        return self.do_deep(msg)

    def do_exit(self, msg):
        self.ok()
        sys.exit()

    def do_silent(self, msg):
        sys.exit(1)

    def do_sleep(self, msg):
        time.sleep(0.02)
        self.ok()

    def do_socket(self, msg):
        with socket.create_connection(("127.0.0.1", SLOW_PEER), timeout=1) as peer:
            peer.sendall(b"select 1")
            self.ok(peer.recv(100).decode())

    async def do_await(self, msg):
        await asyncio.sleep(0.02)
        self.ok()

    def do_log(self, msg):
        for n in range(100):
            KSR.info("line %d of a storm\n" % n)
        logging.getLogger("stress").warning("and one of Python's own")
        self.ok()

    def do_threads(self, msg):
        done = []
        t = threading.Thread(target=done.append, args=(1,))
        t.start()
        t.join(0.005)
        future = POOL.submit(sum, [1, 2])
        try:
            future.result(timeout=0.005)
        except concurrent.futures.TimeoutError:
            pass
        try:
            WORK.put_nowait(1)
        except queue.Full:
            pass
        with LOCK:
            KSR.pv.sets("$var(x)", "z")
        self.ok()

    def do_exec(self, msg):
        if KSR.app_python3.exec("ksr_nested") != 7 or KSR.app_python3.exec_p1("ksr_nested_p1", "3") != 3:
            raise AssertionError("a nested callback returned something else")
        self.ok()

    def ksr_nested(self, msg):
        return 7

    def ksr_nested_p1(self, msg, p1):
        if KSR.app_python3.exec("ksr_nested") != 7:
            return 0
        return int(p1)

    def do_event(self, msg):
        # sl calls back into Python, ksr_local_response.
        self.ok("Event")

    def ksr_local_response(self, msg, name):
        return 1 if KSR.pv.get("$ci") else -1

    def do_register(self, msg):
        if KSR.registrar.save("location", 2) < 0:
            raise AssertionError("not saved")
        self.ok("Registered")

    def ksr_expired(self, msg, name):
        # From the timer.
        return 1 if KSR.app_python3.exec("ksr_nested") == 7 else -1

    def do_relay(self, msg):
        return self.relay(CALLEE)

    def do_timeout(self, msg):
        return self.relay(SILENT)

    def relay(self, to):
        KSR.pv.sets("$du", to)
        KSR.tm.t_on_branch("ksr_branch")
        KSR.tm.t_on_reply("ksr_onreply")
        KSR.tm.t_on_failure("ksr_failure")
        KSR.tm.t_relay()

    def ksr_branch(self, msg):
        KSR.hdr.append("X-Branch: %s\r\n" % KSR.app_python3.exec("ksr_nested"))
        return 1

    def ksr_onreply(self, msg):
        KSR.pv.get("$rs")
        return 1

    def ksr_failure(self, msg):
        if KSR.tm.t_branch_timeout() > 0:
            time.sleep(0.002)
            KSR.tm.t_reply(480, "Nobody there")
        return 1
