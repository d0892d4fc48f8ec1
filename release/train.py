#!/usr/bin/env python3
"""Drives a server built for profiling: release/train.py BINARY [SECONDS]. Fails when it does not answer as it should.

Not a benchmark: what counts is which way the code goes, not how fast. Users register (half of them with a password), refresh, are called,
hang up, are busy, cancel; keep-alives, retransmissions and what is no SIP come in between.
"""
import hashlib
import itertools
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
USERS = 300


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Phone:
    """One socket that speaks for all users."""

    serial = itertools.count(1)

    def __init__(self, server):
        self.server = server
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(5)
        self.port = self.socket.getsockname()[1]

    def send(self, text):
        self.socket.sendto(text.encode(), self.server)

    def receive(self, *wanted):
        """The next message that begins with one of these."""
        while True:
            text = self.socket.recv(65536).decode()
            if text.startswith(wanted):
                return text

    def request(self, method, uri, user, call, cseq, to=None, extra="", body=""):
        branch = f"z9hG4bK-{next(Phone.serial)}"
        text = (
            f"{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{self.port};rport;branch={branch}\r\nMax-Forwards: 70\r\n"
            f'From: "User {user}" <sip:{user}@train.test>;tag=f{call}\r\nTo: {to or "<" + uri + ">"}\r\nCall-ID: {call}@train.test\r\n'
            f"CSeq: {cseq} {method}\r\nContact: <sip:{user}@127.0.0.1:{self.port};ob>\r\nUser-Agent: Trainer 1.0\r\n{extra}"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        self.send(text)
        return text

    def answer(self, request, status, contact=""):
        head = request.split("\r\n\r\n")[0].split("\r\n")
        copied = [row for row in head if re.match("(Via|From|Call-ID|CSeq|Record-Route):", row)]
        to = next(row for row in head if row.startswith("To:"))
        to = to if ";tag=" in to else to + ";tag=callee"
        self.send("\r\n".join([f"SIP/2.0 {status}", *copied, to, *([contact] if contact else []), "Content-Length: 0", "", ""]))


def header(text, name):
    return re.search(rf"^{name}: (.*)\r$", text, re.M).group(1)


def register(phone, user, call, cseq):
    uri = "sip:train.test"
    to = f"<sip:{user}@train.test>"
    phone.request("REGISTER", uri, user, call, cseq, to, "Expires: 600\r\nSupported: path, outbound\r\n")
    reply = phone.receive("SIP/2.0")
    if reply.startswith("SIP/2.0 401"):
        nonce = re.search('nonce="([^"]*)"', reply).group(1)
        h = lambda text: hashlib.md5(text.encode()).hexdigest()
        ha1, ha2 = h(f"{user}:train.test:secret"), h(f"REGISTER:{uri}")
        response = h(f"{ha1}:{nonce}:{ha2}")
        row = f'Digest username="{user}", realm="train.test", nonce="{nonce}", uri="{uri}", response="{response}", algorithm=MD5'
        phone.request("REGISTER", uri, user, call, cseq + 1, to, f"Authorization: {row}\r\nExpires: 600\r\n")
        reply = phone.receive("SIP/2.0")
    assert reply.startswith("SIP/2.0 200"), reply


SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 101\r\na=sendrecv\r\n"


def call(caller, callee, n):
    """A call that is answered, mostly; some are declined, some cancelled."""
    user, to = f"p{n % USERS}", f"sip:s{(n + 1) % USERS}@train.test"
    invite = caller.request("INVITE", to, user, f"c{n}", 1, extra="Content-Type: application/sdp\r\n", body=SDP)
    arrived = callee.receive("INVITE")
    if n % 20 == 0:
        caller.send(invite)
    callee.answer(arrived, "180 Ringing")
    caller.receive("SIP/2.0 180")
    if n % 10 == 1:
        caller.send(re.sub("CSeq: 1 INVITE", "CSeq: 1 CANCEL", invite.replace("INVITE", "CANCEL", 1).split("Content-Type")[0]) + "Content-Length: 0\r\n\r\n")
        callee.answer(callee.receive("CANCEL"), "200 OK")
        callee.answer(arrived, "487 Request Terminated")
        callee.receive("ACK")
        ended = caller.receive("SIP/2.0 487")
    elif n % 10 == 2:
        callee.answer(arrived, "486 Busy Here")
        callee.receive("ACK")
        ended = caller.receive("SIP/2.0 486")
    else:
        contact = f"Contact: <sip:s{(n + 1) % USERS}@127.0.0.1:{callee.port}>"
        callee.answer(arrived, "200 OK", contact)
        reply = caller.receive("SIP/2.0 200")
        target = re.search("<(.*?)>", header(reply, "Contact")).group(1)
        route = f"Route: {header(reply, 'Record-Route')}\r\n"
        caller.request("ACK", target, user, f"c{n}", 1, header(reply, "To"), route)
        callee.receive("ACK")
        caller.request("BYE", target, user, f"c{n}", 2, header(reply, "To"), route)
        callee.answer(callee.receive("BYE"), "200 OK")
        caller.receive("SIP/2.0 200")
        return
    via = header(invite, "Via")
    caller.send(
        f"ACK {to} SIP/2.0\r\nVia: {via}\r\nMax-Forwards: 70\r\nFrom: {header(invite, 'From')}\r\nTo: {header(ended, 'To')}\r\n"
        f"Call-ID: {header(invite, 'Call-ID')}\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
    )


def train(server, seconds):
    caller, callee = Phone(server), Phone(server)
    end = time.monotonic() + seconds
    n = 0
    while time.monotonic() < end:
        register(callee, f"s{n % USERS}", f"s{n % USERS}", 2 * n + 1)
        register(caller, f"p{n % USERS}", f"p{n % USERS}", n + 1)
        for _ in range(2):
            caller.request("OPTIONS", "sip:train.test", f"p{n % USERS}", f"o{n}", 1)
            caller.receive("SIP/2.0 200")
        if n > USERS:
            call(caller, callee, n)
        if n % 10 == 0:
            # As many at once as a worker reads.
            for one in range(32):
                caller.request("OPTIONS", "sip:train.test", f"p{one}", f"b{n}-{one}", 1)
            for _ in range(32):
                caller.receive("SIP/2.0 200")
        if n % 50 == 0:
            caller.send("\r\n\r\n")
            caller.send("GET / HTTP/1.1\r\n\r\n")
            caller.request("MESSAGE", "sip:nobody@train.test", f"p{n % USERS}", f"m{n}", 1, extra="Content-Type: text/plain\r\n", body="hi")
            caller.receive("SIP/2.0 404")
        n += 1
    return n


def main():
    binary = os.path.abspath(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 20
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        env = dict(os.environ, TRUNKLINE_CTL=os.path.join(folder, "ctl"))
        command = [binary, "run", "-f", os.path.join(HERE, "kamailio.cfg"), "-A", f"PORT={port}"]
        with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True) as server:
            try:
                for line in server.stderr:
                    if "ready" in line.lower():
                        break
                rounds = train(("127.0.0.1", port), seconds)
            finally:
                server.send_signal(signal.SIGTERM)
                tail = server.stderr.read()
                server.wait()
            if server.returncode != 0:
                sys.exit(f"the server ended with {server.returncode}:\n{tail}")
    print(f"{rounds} rounds of registrations and calls")


if __name__ == "__main__":
    main()
