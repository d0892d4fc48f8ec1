"""The KSR API of Trunkline, called from a routing script.

Made by `make generate` from the declarations; do not edit.
Texts may hold any bytes: those that are no UTF-8 come and go as surrogate escapes.
"""

from typing import Any, Dict, List, Union

# int, str or None, as the variable decides. Any, so that a script need not check what it knows of its own variables.
Xval = Any

def add_local_rport() -> bool:
    r"""Asks for `rport` in our own Via."""
    ...

def add_tcp_alias(port: int, /) -> int:
    r"""Makes the connection known under another port of the peer; no effect over UDP."""
    ...

def add_tcp_alias_via() -> int:
    r"""Makes the connection known under the port in Via; no effect over UDP."""
    ...

def crit(text: str, /) -> int:
    r"""Writes a text to the log at level critical."""
    ...

def dbg(text: str, /) -> int:
    r"""Writes a text to the log at level debug."""
    ...

def err(text: str, /) -> int:
    r"""Writes a text to the log at level error."""
    ...

def force_rport() -> bool:
    r"""Treats the request as if the client had asked for `rport` (RFC 3581): replies go to the port it came from."""
    ...

def forward() -> int:
    r"""Forwards the request without a transaction, by Request-URI or `$du`. 1, or -1 when it could not be sent."""
    ...

def forward_uri(uri: str, /) -> int:
    r"""Forwards the request without a transaction to this URI or `proto:host:port`. 1, or -1 when it could not be sent."""
    ...

def get_debug() -> int:
    r"""Log level: -1 error, 0 notice, 2 info, 3 debug."""
    ...

def info(text: str, /) -> int:
    r"""Writes a text to the log at level info."""
    ...

def is_ACK() -> bool:
    r"""Whether the method is ACK (of a reply: the one in CSeq)."""
    ...

def is_BYE() -> bool:
    r"""Whether the method is BYE (of a reply: the one in CSeq)."""
    ...

def is_CANCEL() -> bool:
    r"""Whether the method is CANCEL (of a reply: the one in CSeq)."""
    ...

def is_DELETE() -> bool:
    r"""Whether the method is DELETE (of a reply: the one in CSeq)."""
    ...

def is_GET() -> bool:
    r"""Whether the method is GET (of a reply: the one in CSeq)."""
    ...

def is_INFO() -> bool:
    r"""Whether the method is INFO (of a reply: the one in CSeq)."""
    ...

def is_INVITE() -> bool:
    r"""Whether the method is INVITE (of a reply: the one in CSeq)."""
    ...

def is_IPv4() -> bool:
    r"""Whether the message came over IPv4."""
    ...

def is_IPv6() -> bool:
    r"""Whether the message came over IPv6."""
    ...

def is_KDMQ() -> bool:
    r"""Whether the method is KDMQ (of a reply: the one in CSeq)."""
    ...

def is_MESSAGE() -> bool:
    r"""Whether the method is MESSAGE (of a reply: the one in CSeq)."""
    ...

def is_NOTIFY() -> bool:
    r"""Whether the method is NOTIFY (of a reply: the one in CSeq)."""
    ...

def is_OPTIONS() -> bool:
    r"""Whether the method is OPTIONS (of a reply: the one in CSeq)."""
    ...

def is_POST() -> bool:
    r"""Whether the method is POST (of a reply: the one in CSeq)."""
    ...

def is_PRACK() -> bool:
    r"""Whether the method is PRACK (of a reply: the one in CSeq)."""
    ...

def is_PUBLISH() -> bool:
    r"""Whether the method is PUBLISH (of a reply: the one in CSeq)."""
    ...

def is_PUT() -> bool:
    r"""Whether the method is PUT (of a reply: the one in CSeq)."""
    ...

def is_REFER() -> bool:
    r"""Whether the method is REFER (of a reply: the one in CSeq)."""
    ...

def is_REGISTER() -> bool:
    r"""Whether the method is REGISTER (of a reply: the one in CSeq)."""
    ...

def is_SCTP() -> bool:
    r"""Whether the message came over SCTP."""
    ...

def is_SUBSCRIBE() -> bool:
    r"""Whether the method is SUBSCRIBE (of a reply: the one in CSeq)."""
    ...

def is_TCP() -> bool:
    r"""Whether the message came over TCP."""
    ...

def is_TCPX() -> bool:
    r"""Whether the message came over TCP or TLS."""
    ...

def is_TLS() -> bool:
    r"""Whether the message came over TLS."""
    ...

def is_UDP() -> bool:
    r"""Whether the message came over UDP."""
    ...

def is_UPDATE() -> bool:
    r"""Whether the method is UPDATE (of a reply: the one in CSeq)."""
    ...

def is_WS() -> bool:
    r"""Whether the message came over WS."""
    ...

def is_WSS() -> bool:
    r"""Whether the message came over WSS."""
    ...

def is_WSX() -> bool:
    r"""Whether the message came over WebSocket, with TLS or without."""
    ...

def is_dst_port(port: int, /) -> bool:
    r"""Whether the message came to this port of ours."""
    ...

def is_method(methods: str, /) -> bool:
    r"""Whether the method is one of `INVITE|ACK|...`, without case."""
    ...

def is_method_in(letters: str, /) -> bool:
    r"""Whether the method is one of these letters: `I` INVITE, `A` ACK, `B` BYE, `C` CANCEL, `R` REGISTER, `O` OPTIONS, `S` SUBSCRIBE,
    `N` NOTIFY, `M` MESSAGE, `P` PUBLISH, `U` UPDATE, `E` PRACK, `F` REFER, `K` KDMQ, `G` GET, `T` POST, `V` PUT, `D` DELETE."""
    ...

def is_myself(uri: str, /) -> bool:
    r"""Whether a SIP URI (or a bare host) names this server: a socket, an advertised address or an alias."""
    ...

def is_myself_duri() -> bool:
    r"""Whether `$du` is set and names this server."""
    ...

def is_myself_furi() -> bool:
    r"""Whether the From URI names this server."""
    ...

def is_myself_nhuri() -> bool:
    r"""Whether the next hop (`$du`, else the Request-URI) names this server."""
    ...

def is_myself_ruri() -> bool:
    r"""Whether the Request-URI names this server."""
    ...

def is_myself_srcip() -> bool:
    r"""Whether the sender's address is one of this server."""
    ...

def is_myself_suri() -> bool:
    r"""Whether address, port and transport of the sender are ones of this server."""
    ...

def is_myself_turi() -> bool:
    r"""Whether the To URI names this server."""
    ...

def is_proto(letters: str, /) -> bool:
    r"""Whether the message came over one of these transports: letters `U` UDP, `T` TCP, `E` TLS, `S` SCTP, `W` WS, `V` WSS."""
    ...

def is_src_port(port: int, /) -> bool:
    r"""Whether the message came from this port."""
    ...

def isbflagset(number: int, /) -> bool:
    r"""Whether a branch flag of the Request-URI is set."""
    ...

def isbiflagset(number: int, branch: int, /) -> bool:
    r"""Whether a branch flag of an added branch is set (0: the Request-URI, 1: the first added branch)."""
    ...

def isdsturiset() -> bool:
    r"""Whether `$du` is set."""
    ...

def isflagset(number: int, /) -> bool:
    r"""Whether a message flag is set."""
    ...

def issflagset(number: int, /) -> bool:
    r"""Whether a script flag is set."""
    ...

def log(level: str, text: str, /) -> int:
    r"""Writes a text to the log at a level by name: `dbg info notice warn err crit` (others: err)."""
    ...

def notice(text: str, /) -> int:
    r"""Writes a text to the log at level notice."""
    ...

def resetbflag(number: int, /) -> bool:
    r"""Clears a branch flag of the Request-URI; false when the number is not 0..=31."""
    ...

def resetbiflag(number: int, branch: int, /) -> bool:
    r"""Clears a branch flag of an added branch (0: the Request-URI, 1: the first added branch)."""
    ...

def resetdsturi() -> bool:
    r"""Removes the next hop set by `setdsturi` or `$du`."""
    ...

def resetflag(number: int, /) -> bool:
    r"""Clears a message flag; false when the number is not 0..=31."""
    ...

def resetsflag(number: int, /) -> bool:
    r"""Clears a script flag; false when the number is not 0..=31."""
    ...

def route(name: str, /) -> int:
    r"""Runs another callback of the script over this message, by its name. Its result, -1 when there is none of that name."""
    ...

def set_advertised_address(address: str, /) -> int:
    r"""Host for our Via of this request; Record-Route keeps the address of the socket."""
    ...

def set_advertised_port(port: str, /) -> int:
    r"""Port for our Via of this request; Record-Route keeps that of the socket."""
    ...

def set_drop() -> int:
    r"""Drops the message when the route ends: a reply is not forwarded, a branch is not sent."""
    ...

def set_forward_close() -> bool:
    r"""Closes the connection after the forwarded request was sent."""
    ...

def set_forward_no_connect() -> bool:
    r"""Forwards the request only over a connection that is open already."""
    ...

def set_reply_close() -> bool:
    r"""Closes the connection after the reply was sent."""
    ...

def set_reply_no_connect() -> bool:
    r"""Sends the reply only over a connection that is open already."""
    ...

def setbflag(number: int, /) -> bool:
    r"""Sets a branch flag of the Request-URI; false when the number is not 0..=31."""
    ...

def setbiflag(number: int, branch: int, /) -> bool:
    r"""Sets a branch flag of an added branch (0: the Request-URI, 1: the first added branch)."""
    ...

def setdsturi(uri: str, /) -> bool:
    r"""Sets the next hop, `$du`."""
    ...

def setflag(number: int, /) -> bool:
    r"""Sets a message flag; false when the number is not 0..=31."""
    ...

def sethost(host: str, /) -> bool:
    r"""Replaces the host of the Request-URI, and its port when `host` has one."""
    ...

def setsflag(number: int, /) -> bool:
    r"""Sets a script flag; false when the number is not 0..=31."""
    ...

def seturi(uri: str, /) -> bool:
    r"""Replaces the Request-URI."""
    ...

def setuser(user: str, /) -> bool:
    r"""Replaces the user of the Request-URI; an empty text removes it."""
    ...

def to_IPv4() -> bool:
    r"""Whether the next hop's URI has an IPv4 address as its host (a reply: its second Via)."""
    ...

def to_IPv6() -> bool:
    r"""Whether the next hop's URI has an IPv6 address as its host (a reply: its second Via)."""
    ...

def to_SCTP() -> bool:
    r"""Whether the message goes on over SCTP, by its next hop's URI (a reply: by its second Via)."""
    ...

def to_TCP() -> bool:
    r"""Whether the message goes on over TCP, by its next hop's URI (a reply: by its second Via)."""
    ...

def to_TLS() -> bool:
    r"""Whether the message goes on over TLS, by its next hop's URI (a reply: by its second Via)."""
    ...

def to_UDP() -> bool:
    r"""Whether the message goes on over UDP, by its next hop's URI (a reply: by its second Via)."""
    ...

def to_WS() -> bool:
    r"""Whether the message goes on over WS, by its next hop's URI (a reply: by its second Via)."""
    ...

def to_WSS() -> bool:
    r"""Whether the message goes on over WSS, by its next hop's URI (a reply: by its second Via)."""
    ...

def to_WSX() -> bool:
    r"""Whether the message goes on over WebSocket, with TLS or without."""
    ...

def warn(text: str, /) -> int:
    r"""Writes a text to the log at level warning."""
    ...

class _acc:
    """`KSR.acc`"""

    @staticmethod
    def acc_db_request(comment: str, dbtable: str, /) -> int:
        r"""Writes the request with a comment to a table of the database. Returns 1 when it is on its way; -1 without `db_url`, or when
        there is no room for the row."""
        ...

    @staticmethod
    def acc_log_request(comment: str, /) -> int:
        r"""Logs the request with a comment: a code and a reason (`404 Not here`), or any text. Returns 1."""
        ...

    @staticmethod
    def acc_request(comment: str, dbtable: str, /) -> int:
        r"""Both `acc_log_request` and, when there is a database, `acc_db_request`. Returns 1, or -1 when there is no room for the row."""
        ...

acc: _acc

class _alias_db:
    """`KSR.alias_db`"""

    @staticmethod
    def find(stable: str, input: str, output: str, /) -> int:
        r"""Writes what a URI is an alias of to a variable; the request stays. Returns 1, or -1 as `lookup`."""
        ...

    @staticmethod
    def find_ex(stable: str, input: str, output: str, sflags: str, /) -> int:
        r"""As `find`, with the flags of `lookup_ex`."""
        ...

    @staticmethod
    def lookup(stable: str, /) -> int:
        r"""When the Request-URI is an alias in the table, the user's URI takes its place. Returns 1; -1 when it is none, or the database
        does not answer."""
        ...

    @staticmethod
    def lookup_ex(stable: str, sflags: str, /) -> int:
        r"""As `lookup`. Flags: `d` without the domain, `u` with it, `r` from the user to the alias."""
        ...

alias_db: _alias_db

class _app_python3:
    """`KSR.app_python3`"""

    @staticmethod
    def exec(method: str, /) -> int:
        r"""Runs the script's callback of that name over this message: `handler.method(msg)`.

        Returns what it returned; 1 when it ended itself with `sys.exit()`; -1 when there is none or it raised."""
        ...

    @staticmethod
    def exec_p1(method: str, p1: str, /) -> int:
        r"""As `exec`, with one parameter: `handler.method(msg, p1)`."""
        ...

    @staticmethod
    def execx(method: str, /) -> int:
        r"""As `exec`; `sys.exit()` in the callback also ends the route that called it."""
        ...

app_python3: _app_python3

class _app_python3s:
    """`KSR.app_python3s`"""

    @staticmethod
    def exec(method: str, /) -> int:
        r"""Runs the script's function of that name over this message: `method()`.

        Returns what it returned; 1 when it ended itself with `sys.exit()`; -1 when there is none or it raised."""
        ...

    @staticmethod
    def exec_p1(method: str, p1: str, /) -> int:
        r"""As `exec`, with one parameter: `method(p1)`."""
        ...

    @staticmethod
    def execx(method: str, /) -> int:
        r"""As `exec`; `sys.exit()` in the function also ends the route that called it."""
        ...

app_python3s: _app_python3s

class _auth:
    """`KSR.auth`"""

    @staticmethod
    def auth_algorithm(algorithm: str, /) -> int:
        r"""Hash function for the challenges and checks of this message instead of parameter `algorithm`. Returns -1 for an unknown one."""
        ...

    @staticmethod
    def auth_challenge(realm: str, flags: int, /) -> int:
        r"""Answers REGISTER with 401, other requests with 407, and a challenge for the realm.

        Flags: 1 `qop="auth"`, 2 `qop="auth-int"`, 4 no 500 when it cannot be made, 16 `stale=true`. A challenge after a check that
        failed for its nonce says `stale=true` by itself. Returns 1, or -1 when it could not be sent."""
        ...

    @staticmethod
    def auth_challenge_algorithms(realm: str, flags: int, algorithms: str, /) -> int:
        r"""As `auth_challenge`, with one header for each of these hash functions, `SHA-512-256,SHA-256,MD5`."""
        ...

    @staticmethod
    def auth_get_www_authenticate(realm: str, flags: int, pvdest: str, /) -> int:
        r"""Writes the header row of a challenge, as `www_challenge` would send it, to a variable. Returns 1; -1 when it is read-only."""
        ...

    @staticmethod
    def consume_credentials() -> int:
        r"""Takes the header rows with credentials that were found right out of the request, so that they go no further.

        Returns 1; -1 when none were found right."""
        ...

    @staticmethod
    def has_credentials(realm: str, /) -> int:
        r"""Whether the request has credentials for the realm, in Authorization or Proxy-Authorization, right or not. Returns 1 or -1."""
        ...

    @staticmethod
    def proxy_challenge(realm: str, flags: int, /) -> int:
        r"""Answers with 407 and a challenge; see `auth_challenge`."""
        ...

    @staticmethod
    def proxy_challenge_algorithms(realm: str, flags: int, algorithms: str, /) -> int:
        r"""As `proxy_challenge`, with one header for each of these hash functions, `SHA-512-256,SHA-256,MD5`."""
        ...

    @staticmethod
    def pv_auth_check(realm: str, passwd: str, flags: int, checks: int, /) -> int:
        r"""Checks credentials in Authorization (REGISTER) or Proxy-Authorization against a password.

        `checks` 1: the user must also be that of From (REGISTER: and To; PUBLISH: and the Request-URI). Flags: 1 `passwd` is HA1
        already; 2, 4, 8 when refused, a challenge without qop, with `auth`, with `auth-int` goes into `$avp(digest_challenge)`, 16 with
        `stale=true`; 32 an `nc` that came with a wrong response may come again.

        Returns 1; -1 the credentials cannot be read, -2 wrong response, -4 the nonce is no longer good, -5 no credentials for the
        realm, -6 the nonce was used, -8 another user. ACK, CANCEL and PRACK are 1: nobody can challenge them."""
        ...

    @staticmethod
    def pv_proxy_authenticate(realm: str, passwd: str, flags: int, /) -> int:
        r"""Checks credentials in Proxy-Authorization against a password; see `pv_auth_check`."""
        ...

    @staticmethod
    def pv_www_authenticate(realm: str, passwd: str, flags: int, /) -> int:
        r"""Checks credentials in Authorization against a password; see `pv_auth_check`."""
        ...

    @staticmethod
    def pv_www_authenticate_method(realm: str, passwd: str, flags: int, method: str, /) -> int:
        r"""As `pv_www_authenticate`, for a response that was made for another method."""
        ...

    @staticmethod
    def www_challenge(realm: str, flags: int, /) -> int:
        r"""Answers with 401 and a challenge; see `auth_challenge`."""
        ...

    @staticmethod
    def www_challenge_algorithms(realm: str, flags: int, algorithms: str, /) -> int:
        r"""As `www_challenge`, with one header for each of these hash functions, `SHA-512-256,SHA-256,MD5`."""
        ...

auth: _auth

class _auth_db:
    """`KSR.auth_db`"""

    @staticmethod
    def auth_check(realm: str, table: str, flags: int, /) -> int:
        r"""Checks credentials in Authorization (REGISTER) or Proxy-Authorization against a table.

        Flags: 1 the user must also be that of From (REGISTER: and To; PUBLISH: and the Request-URI); 2 with 1, but not for INVITE, BYE,
        PRACK, UPDATE and MESSAGE, which may be anonymous.

        Returns 1; -1 the credentials cannot be read, or the database does not answer; -2 wrong response, -3 no such user, -4 the nonce
        is no longer good, -5 no credentials for the realm, -6 the nonce was used, -8 another user. ACK, CANCEL and PRACK are 1: nobody
        can challenge them."""
        ...

    @staticmethod
    def is_subscriber(uri: str, table: str, flags: int, /) -> int:
        r"""Whether a URI's user is in a table; `load_credentials` are loaded.

        Flags: 1 the domain must fit, too; 2 nothing is loaded. Returns 1; -1 for what is no URI or when the database does not answer,
        -2 when there is no such user."""
        ...

    @staticmethod
    def proxy_authenticate(realm: str, table: str, /) -> int:
        r"""Checks credentials in Proxy-Authorization against a table; see `auth_check`."""
        ...

    @staticmethod
    def www_authenticate(realm: str, table: str, /) -> int:
        r"""Checks credentials in Authorization against a table; see `auth_check`."""
        ...

    @staticmethod
    def www_authenticate_method(realm: str, table: str, method: str, /) -> int:
        r"""As `www_authenticate`, for a response that was made for another method."""
        ...

auth_db: _auth_db

class _cfgutils:
    """`KSR.cfgutils`"""

    @staticmethod
    def abort() -> int:
        r"""Kamailio stops the server here, with a core dump. This server goes on: it logs an error and ends the route. Returns -1."""
        ...

    @staticmethod
    def check_route_exists(route: str, /) -> int:
        r"""Whether the script has a callback of that name. Returns 1 or -1."""
        ...

    @staticmethod
    def core_hash(s1: str, s2: str, sz: int, /) -> int:
        r"""A quick hash of one or two texts in `2^size` slots (at most `2^30`), plus one so that the result is true. Not for security."""
        ...

    @staticmethod
    def lock(lkey: str, /) -> int:
        r"""Takes the lock the key falls on, waiting for it. Release it with `unlock`. Returns 1; -1 when `lock_set_size` is 0.

        Different keys may share a lock: do not take a second one while holding one."""
        ...

    @staticmethod
    def lock_key2(lkey1: str, lkey2: str, /) -> int:
        r"""As `lock`, for a key made of two texts."""
        ...

    @staticmethod
    def pkg_status() -> int:
        r"""Logs that there is no private memory here as Kamailio has it. Returns 1."""
        ...

    @staticmethod
    def pkg_summary() -> int:
        r"""Logs that there is no private memory here as Kamailio has it. Returns 1."""
        ...

    @staticmethod
    def rand_event() -> int:
        r"""1 with the probability set, -1 otherwise."""
        ...

    @staticmethod
    def rand_get_prob() -> int:
        r"""The probability of `rand_event` in percent."""
        ...

    @staticmethod
    def rand_reset_prob() -> int:
        r"""Sets the probability of `rand_event` back to `initial_probability`. Returns 1."""
        ...

    @staticmethod
    def rand_set_prob(percent: int, /) -> int:
        r"""Sets the probability of `rand_event` in percent, 0 to 100. Returns 1, or -1 outside that range."""
        ...

    @staticmethod
    def route_if_exists(route: str, /) -> int:
        r"""Runs the script's callback of that name if there is one. Returns what it returned; -1 when there is none."""
        ...

    @staticmethod
    def shm_status() -> int:
        r"""Logs that there is no shared memory here as Kamailio has it. Returns 1."""
        ...

    @staticmethod
    def shm_summary() -> int:
        r"""Logs that there is no shared memory here as Kamailio has it. Returns 1."""
        ...

    @staticmethod
    def sleep(v: int, /) -> int:
        r"""Waits that many seconds, at most 600; the worker does nothing else meanwhile. Returns 1."""
        ...

    @staticmethod
    def trylock(lkey: str, /) -> int:
        r"""Takes the lock the key falls on if it is free. Returns 1, or -1 when it is held."""
        ...

    @staticmethod
    def trylock_key2(lkey1: str, lkey2: str, /) -> int:
        r"""As `trylock`, for a key made of two texts."""
        ...

    @staticmethod
    def unlock(lkey: str, /) -> int:
        r"""Releases the lock the key falls on. Returns 1; -1 when `lock_set_size` is 0."""
        ...

    @staticmethod
    def unlock_key2(lkey1: str, lkey2: str, /) -> int:
        r"""As `unlock`, for a key made of two texts."""
        ...

    @staticmethod
    def usleep(v: int, /) -> int:
        r"""Waits that many microseconds; the worker does nothing else meanwhile. Returns 1."""
        ...

cfgutils: _cfgutils

class _corex:
    """`KSR.corex`"""

    @staticmethod
    def append_branch() -> int:
        r"""Adds the current destination (Request-URI, `$du`, path, q, branch flags, socket) to the destination set. Returns 1, or -1 when it is
        full (`max_branches`)."""
        ...

    @staticmethod
    def append_branch_uri(uri: str, /) -> int:
        r"""Adds a branch with this Request-URI and nothing else to the destination set. Returns 1, or -1 when it is full."""
        ...

    @staticmethod
    def append_branch_uri_q(uri: str, q: str, /) -> int:
        r"""As `append_branch_uri`, with a q value (`0` to `1`); empty: none. An empty URI is the current one. Returns -1 for a bad q."""
        ...

    @staticmethod
    def file_read(fpath: str, /) -> Xval:
        r"""The content of a file, at most 1 MiB; empty when it cannot be read."""
        ...

    @staticmethod
    def file_write(fpath: str, content: str, /) -> int:
        r"""Writes a file anew. Returns 1, or -1 when it cannot be written."""
        ...

    @staticmethod
    def forward_uac() -> int:
        r"""Sends the request on as if it were ours: without its Via rows and without a transaction; replies end here. Returns 1, or -1 when the
        next hop cannot be resolved."""
        ...

    @staticmethod
    def forward_uac_branch(vbr: int, /) -> int:
        r"""As `forward_uac`; with `vbr` 1 also to every branch of the destination set."""
        ...

    @staticmethod
    def forward_uac_uri(suri: str, /) -> int:
        r"""As `forward_uac`, to the address of this URI."""
        ...

    @staticmethod
    def forward_uac_uri_branch(suri: str, vbr: int, /) -> int:
        r"""As `forward_uac_uri`; with `vbr` 1 also every branch of the destination set goes there."""
        ...

    @staticmethod
    def has_ruri_user() -> int:
        r"""Whether the Request-URI has a user part. Returns 1 or -1."""
        ...

    @staticmethod
    def has_user_agent() -> int:
        r"""Whether the message has a User-Agent that is not empty. Returns 1 or -1."""
        ...

    @staticmethod
    def is_faked_msg() -> int:
        r"""Whether the message is a stand-in, because no message is being worked on. Returns 1 or -1."""
        ...

    @staticmethod
    def is_socket_name(sname: str, /) -> int:
        r"""Whether one of our sockets has this name. Returns 1 or -1."""
        ...

    @staticmethod
    def isxflagset(flag: int, /) -> int:
        r"""Whether an extended message flag is set. Returns 1 or -1."""
        ...

    @staticmethod
    def resetxflag(flag: int, /) -> int:
        r"""Resets an extended message flag, 0 to 63. Returns 1, or -1 outside that range."""
        ...

    @staticmethod
    def send_data(suri: str, sdata: str, /) -> int:
        r"""Sends these bytes as they are to the address of a URI. Returns 1, or -1 when it cannot be resolved."""
        ...

    @staticmethod
    def sendx(suri: str, ssock: str, sdata: str, /) -> int:
        r"""As `send_data`, from this socket of ours (`udp:127.0.0.1:5060`). Returns -1 also when there is no such socket."""
        ...

    @staticmethod
    def set_recv_socket(ssock: str, /) -> int:
        r"""Makes another of our sockets the one the message came in through. Returns 1; a socket this server does not have is logged and
        changes nothing."""
        ...

    @staticmethod
    def set_recv_socket_name(ssock: str, /) -> int:
        r"""As `set_recv_socket`, by the name of the `listen`."""
        ...

    @staticmethod
    def set_send_socket(ssock: str, /) -> int:
        r"""Forces the socket to send from: `udp:127.0.0.1:5060`. Returns 1; a socket this server does not have is logged and changes nothing."""
        ...

    @staticmethod
    def set_send_socket_name(ssock: str, /) -> int:
        r"""As `set_send_socket`, by the name of the `listen`."""
        ...

    @staticmethod
    def set_source_address(saddr: str, /) -> int:
        r"""Makes another address the sender of the message: `udp:127.0.0.1:5080`; replies go there. Returns 1, or -1 when it cannot be read."""
        ...

    @staticmethod
    def setxflag(flag: int, /) -> int:
        r"""Sets an extended message flag, 0 to 63. Returns 1, or -1 outside that range."""
        ...

    @staticmethod
    def via_add_srvid(fval: int, /) -> int:
        r"""Asks for `srvid` in our Via. Taken; Via has no such parameter here yet. Returns 1."""
        ...

    @staticmethod
    def via_add_xavp_params(fval: int, /) -> int:
        r"""Asks for the fields of an XAVP as parameters of our Via. Taken; without effect yet. Returns 1."""
        ...

    @staticmethod
    def via_reply_add_xavp_params(fval: int, /) -> int:
        r"""Asks for the fields of an XAVP in the Via of replies. Taken; without effect yet. Returns 1."""
        ...

    @staticmethod
    def via_use_xavp_fields(fval: int, /) -> int:
        r"""Asks for address and port of our Via from an XAVP. Taken; without effect yet. Returns 1."""
        ...

corex: _corex

class _counters:
    """`KSR.counters`"""

    @staticmethod
    def add(sname: str, v: int, /) -> int:
        r"""Adds to a counter, `name` or `group.name`. Returns 1, or -1 when there is none of that name."""
        ...

    @staticmethod
    def inc(sname: str, /) -> int:
        r"""Adds one to a counter, `name` or `group.name`. Returns 1, or -1 when there is none of that name."""
        ...

    @staticmethod
    def reset(sname: str, /) -> int:
        r"""Sets a counter, `name` or `group.name`, to 0. Returns 1, or -1 when there is none of that name."""
        ...

counters: _counters

class _debugger:
    """`KSR.debugger`"""

    @staticmethod
    def dbg_pv_dump() -> int:
        r"""Writes all variables that are set to the log, as one JSON object at level debug. Returns 1."""
        ...

    @staticmethod
    def dbg_pv_dump_ex(mask: int, lev: int, /) -> int:
        r"""Writes variables to the log as one JSON object. `mask` says which, added up: 1 also those that are null, 2 `$avp`, 4 `$var`,
        8 `$xavp`, 16 those of the message. `lev` is the log level, -5 to 3. Returns 1."""
        ...

debugger: _debugger

class _dialog:
    """`KSR.dialog`"""

    @staticmethod
    def dlg_bridge(from_: str, to: str, op: str, /) -> int:
        r"""Calls `from`, and refers it to `to` when it answers. `op` is a proxy to send to, empty none.

        The call comes from `bridge_controller`, with media on hold. Returns 1 when the INVITE was sent, else -1."""
        ...

    @staticmethod
    def dlg_bye(side: str, /) -> int:
        r"""Sends BYE to `caller`, `callee` or `all` of the current dialog, which ends; a call that rings is answered with
        `bye_early_code`. Returns 1, or -1 when there is no dialog or nothing could be sent."""
        ...

    @staticmethod
    def dlg_db_load_callid(cival: str, /) -> int:
        r"""Reads the dialogs with this Call-ID from the database. Returns 1 when there was one, else -1."""
        ...

    @staticmethod
    def dlg_db_load_extra() -> int:
        r"""Reads all dialogs from the database that are not here. Returns 1, or -1 when the database cannot be read."""
        ...

    @staticmethod
    def dlg_get(callid: str, ftag: str, ttag: str, /) -> int:
        r"""Makes the dialog with this Call-ID and these tags the current one; an empty To tag finds a call that rings. Returns 1 or -1."""
        ...

    @staticmethod
    def dlg_get_var(callid: str, ftag: str, ttag: str, key: str, /) -> Xval:
        r"""A variable of the dialog with this Call-ID and these tags; null when there is none."""
        ...

    @staticmethod
    def dlg_isflagset(flag: int, /) -> int:
        r"""Whether a flag of the dialog is set. Returns 1 or -1."""
        ...

    @staticmethod
    def dlg_manage() -> int:
        r"""Tracks the call: makes a dialog for an INVITE, or finds the one a request within it belongs to.

        Call it before `t_relay`; with `record_route` the name of the dialog goes into the Record-Route URI. Returns 1; -1 when the request
        makes no dialog or belongs to none."""
        ...

    @staticmethod
    def dlg_refer_cid(callid: str, side: str, to: str, /) -> int:
        r"""Sends REFER to a side (`caller`, `callee`) of the dialog with that Call-ID. Returns 1 or -1."""
        ...

    @staticmethod
    def dlg_refer_did(h_entry: int, h_id: int, side: str, to: str, /) -> int:
        r"""Sends REFER to a side (1 or `caller`, 2 or `callee`) of the dialog of that name. Returns 1 or -1."""
        ...

    @staticmethod
    def dlg_remove_dialogs_from_node(node: str, /) -> int:
        r"""Forgets the dialogs of another node; there is no other node without DMQ. Returns -1."""
        ...

    @staticmethod
    def dlg_req_within4(side: str, method: str, ctype: str, content: str, /) -> int:
        r"""Sends a request within the current dialog to `caller`, `callee` or `all`, with a body of this type when there is one. Returns
        1 or -1."""
        ...

    @staticmethod
    def dlg_reset_property(attr: str, /) -> int:
        r"""Takes a property away. Returns 1 or -1."""
        ...

    @staticmethod
    def dlg_resetflag(flag: int, /) -> int:
        r"""Resets a flag of the dialog. Returns 1 or -1."""
        ...

    @staticmethod
    def dlg_set_property(attr: str, /) -> int:
        r"""Sets a property of the current dialog: `ka-src`, `ka-dst` (keepalives to caller, callee), `timeout-noreset`. Returns 1 or -1."""
        ...

    @staticmethod
    def dlg_set_state(state: str, /) -> int:
        r"""Sets the state of the current dialog by number, without anything else happening. Returns 1 or -1."""
        ...

    @staticmethod
    def dlg_set_timeout(timeout: int, /) -> int:
        r"""Seconds from now after which the current dialog ends. Returns 1 or -1."""
        ...

    @staticmethod
    def dlg_set_timeout_id(timeout: int, h_entry: int, h_id: int, /) -> int:
        r"""As `dlg_set_timeout`, for the dialog of that name. Returns 1 or -1."""
        ...

    @staticmethod
    def dlg_set_var(callid: str, ftag: str, ttag: str, key: str, val: str, /) -> int:
        r"""Sets a variable of the dialog with this Call-ID and these tags. Returns 1 or -1."""
        ...

    @staticmethod
    def dlg_setflag(flag: int, /) -> int:
        r"""Sets a flag (0..31) of the dialog. Returns 1 or -1."""
        ...

    @staticmethod
    def dlg_update_contact() -> int:
        r"""Takes the Contact of the message for the side it comes from. Returns 1 or -1."""
        ...

    @staticmethod
    def dlg_update_socket() -> int:
        r"""Takes the socket the message came in through for the side it comes from. Returns 1 or -1."""
        ...

    @staticmethod
    def dlg_update_state() -> int:
        r"""Takes the message into account for the state of its dialog, as `loose_route` does. Returns 1, or -1 when it belongs to none."""
        ...

    @staticmethod
    def get_profile_size(sprofile: str, svalue: str, spv: str, /) -> int:
        r"""How many dialogs are in a profile with that value, into a pseudo-variable. Returns 1, -1 when there is no such profile."""
        ...

    @staticmethod
    def get_profile_size_static(sprofile: str, spv: str, /) -> int:
        r"""How many dialogs are in a profile, into a pseudo-variable. Returns 1, -1 when there is no such profile."""
        ...

    @staticmethod
    def is_in_profile(sprofile: str, svalue: str, /) -> int:
        r"""Whether the current dialog is in a profile with that value. Returns 1 or -1."""
        ...

    @staticmethod
    def is_in_profile_static(sprofile: str, /) -> int:
        r"""Whether the current dialog is in a profile, with whatever value. Returns 1 or -1."""
        ...

    @staticmethod
    def is_known_dlg() -> int:
        r"""Whether the message belongs to a dialog that is tracked. Returns 1 or -1."""
        ...

    @staticmethod
    def set_dlg_profile(sprofile: str, svalue: str, /) -> int:
        r"""Puts the current dialog into a profile with a value. Returns 1 or -1."""
        ...

    @staticmethod
    def set_dlg_profile_static(sprofile: str, /) -> int:
        r"""Puts the current dialog into a profile without value. Returns 1 or -1."""
        ...

    @staticmethod
    def unset_dlg_profile(sprofile: str, svalue: str, /) -> int:
        r"""Takes the current dialog out of a profile with that value. Returns 1 or -1."""
        ...

    @staticmethod
    def unset_dlg_profile_static(sprofile: str, /) -> int:
        r"""Takes the current dialog out of a profile without value. Returns 1 or -1."""
        ...

    @staticmethod
    def var_get(key: str, /) -> Xval:
        r"""`$dlg_var(key)`; null when there is none."""
        ...

    @staticmethod
    def var_gete(key: str, /) -> Xval:
        r"""`$dlg_var(key)`; an empty text when there is none."""
        ...

    @staticmethod
    def var_getw(key: str, /) -> Xval:
        r"""`$dlg_var(key)`; `<null>` when there is none."""
        ...

    @staticmethod
    def var_is_null(key: str, /) -> int:
        r"""Whether `$dlg_var(key)` has no value. Returns 1 or -1."""
        ...

    @staticmethod
    def var_rm(key: str, /) -> int:
        r"""Removes `$dlg_var(key)`. Returns 1 or -1."""
        ...

    @staticmethod
    def var_sets(key: str, val: str, /) -> int:
        r"""Sets `$dlg_var(key)`. Returns 1 or -1."""
        ...

dialog: _dialog

class _dispatcher:
    """`KSR.dispatcher`"""

    @staticmethod
    def ds_dsg_fetch(setid: int, /) -> int:
        r"""Chooses the set that `$dsg(..)` tells of. Returns -1 when there is no such."""
        ...

    @staticmethod
    def ds_dsg_fetch_uri(setid: int, uri: str, /) -> int:
        r"""As `ds_dsg_fetch`, with a destination of it, whose overload control `$dsg(ocrate)` and others tell. Returns -1 when there is no such."""
        ...

    @staticmethod
    def ds_is_active(set: int, /) -> int:
        r"""Whether a destination of the set takes calls."""
        ...

    @staticmethod
    def ds_is_active_uri(set: int, uri: str, /) -> int:
        r"""Whether this destination of the set takes calls."""
        ...

    @staticmethod
    def ds_is_from_list(setid: int, /) -> int:
        r"""Whether the request comes from a destination of this set (-1: of any), by address and port."""
        ...

    @staticmethod
    def ds_is_from_list_mode(setid: int, mode: int, /) -> int:
        r"""Whether the request comes from a destination of this set (-1: of any). `mode` bits: 1 any port, 2 any transport, 4 only those that
        take calls, 8 to the destination's socket, 16 the nearest of those with the address. Without bit 2 a destination that names no
        transport is no match for a request."""
        ...

    @staticmethod
    def ds_is_from_list_uri(setid: int, mode: int, uri: str, /) -> int:
        r"""As `ds_is_from_list_mode` for the address of a URI, empty: of the request."""
        ...

    @staticmethod
    def ds_is_from_lists() -> int:
        r"""Whether the request comes from a destination of any set, by address and port."""
        ...

    @staticmethod
    def ds_list_exists(set: int, /) -> int:
        r"""Whether there is such a set."""
        ...

    @staticmethod
    def ds_load_unset() -> int:
        r"""The call no longer counts as load. Returns -1 when it did not; 0 for an INVITE that algorithm 10 chose no destination for."""
        ...

    @staticmethod
    def ds_load_update() -> int:
        r"""Keeps the load of algorithm 10 right: BYE and CANCEL end a call, a 2xx to the INVITE confirms it.

        Returns 0, as Kamailio does."""
        ...

    @staticmethod
    def ds_mark_addr(state: str, setid: int, uri: str, /) -> int:
        r"""Sets the state of a destination, as `ds_mark_dst_state`. Returns -1 when there is no such."""
        ...

    @staticmethod
    def ds_mark_dst() -> int:
        r"""Makes the current destination of the list inactive. Returns -1 when there is none (flag 2 keeps the list)."""
        ...

    @staticmethod
    def ds_mark_dst_state(state: str, /) -> int:
        r"""Sets the state of the current destination of the list: `a` active, `i` inactive, `d` disabled, `t` it failed once more; with `p` it is
        pinged. The callback `event_callback` runs when it takes calls no longer, or again."""
        ...

    @staticmethod
    def ds_next_domain() -> int:
        r"""Puts the next destination of the list into the Request-URI. Returns -1 when there is none."""
        ...

    @staticmethod
    def ds_next_dst() -> int:
        r"""Makes the next destination of the list `$du`. Returns -1 when there is none."""
        ...

    @staticmethod
    def ds_oc_set_attrs(setid: int, uri: str, rval: int, tval: int, sval: int, /) -> int:
        r"""A destination in overload is skipped by algorithm 64, after RFC 7339: `rval` times in 100 selections (0 to 100; above 0 at least its
        attribute `ocmin`), for `tval` milliseconds (500 when not above 0). `sval`: `oc-seq` of the reply that asked for it.

        Returns -1 for another `rval`, -2 when there is no such destination or `sval` is not above its last."""
        ...

    @staticmethod
    def ds_reload() -> int:
        r"""Reads the list again. Returns -1 when that fails or `reload_delta` seconds have not passed: the old list is used on."""
        ...

    @staticmethod
    def ds_select(set: int, alg: int, /) -> int:
        r"""As `ds_select_dst`, only into the list: `ds_set_dst` or `ds_set_domain` use its first."""
        ...

    @staticmethod
    def ds_select_domain(set: int, alg: int, /) -> int:
        r"""As `ds_select_dst`, into host, port and parameters of the Request-URI."""
        ...

    @staticmethod
    def ds_select_domain_limit(set: int, alg: int, limit: int, /) -> int:
        r"""As `ds_select_domain`, with at most `limit` destinations in the list; 0 all."""
        ...

    @staticmethod
    def ds_select_dst(set: int, alg: int, /) -> int:
        r"""Selects a destination of a set and makes it `$du`. With flag 2 the others follow in the list for `ds_next_dst`.

        `alg`: 0 hash of Call-ID, 1 of From URI, 2 of To URI, 3 of Request-URI, 4 round robin, 5 hash of the user of the credentials, 6 random, 7
        hash of `hash_pvar`, 8 highest priority, 9 weight, 10 fewest calls, 11 relative weight, 12 all at once, 13 lowest latency, 14
        round robin when all have one priority above 0, else as 8, 64 round robin that skips those in overload as often as they asked for
        (`ds_oc_set_attrs`; all skipped: -1, nobody takes this one). Returns 1, or -1 when there is no such set or nobody takes calls."""
        ...

    @staticmethod
    def ds_select_dst_limit(set: int, alg: int, limit: int, /) -> int:
        r"""As `ds_select_dst`, with at most `limit` destinations in the list; 0 all."""
        ...

    @staticmethod
    def ds_select_limit(set: int, alg: int, limit: int, /) -> int:
        r"""As `ds_select`, with at most `limit` destinations in the list; 0 all."""
        ...

    @staticmethod
    def ds_select_routes(rules: str, mode: str, /) -> int:
        r"""Selects from several sets in order: `rules` is `set=alg;set=alg`. `mode`: `d` the first becomes `$du`, `r` the Request-URI, `x` neither."""
        ...

    @staticmethod
    def ds_select_routes_limit(rules: str, mode: str, limit: int, /) -> int:
        r"""As `ds_select_routes`, with at most `limit` destinations in all; 0 any number."""
        ...

    @staticmethod
    def ds_set_domain() -> int:
        r"""Puts the current destination of the list into the Request-URI. Returns -1 when there is none."""
        ...

    @staticmethod
    def ds_set_dst() -> int:
        r"""Makes the current destination of the list `$du`. Returns -1 when there is none."""
        ...

dispatcher: _dispatcher

class _domain:
    """`KSR.domain`"""

    @staticmethod
    def is_domain_local(domain: str, /) -> int:
        r"""Whether this is a local domain, without case. Returns 1 or -1."""
        ...

    @staticmethod
    def is_from_local() -> int:
        r"""Whether the host of From is a local domain. Returns 1 or -1."""
        ...

    @staticmethod
    def is_uri_host_local() -> int:
        r"""Whether the host of the Request-URI is a local domain; in a branch route that of the branch. Returns 1 or -1."""
        ...

    @staticmethod
    def lookup_domain(domain: str, /) -> int:
        r"""Whether this is a local domain; its id goes into `$avp(did)` and its attributes into AVPs of their names. Returns 1 or -1."""
        ...

    @staticmethod
    def lookup_domain_prefix(domain: str, prefix: str, /) -> int:
        r"""As `lookup_domain`, with a text put before the names of the AVPs."""
        ...

domain: _domain

class _group:
    """`KSR.group`"""

    @staticmethod
    def get_user_group(uri: str, avp: str, /) -> int:
        r"""Writes the ids of the groups whose patterns fit a URI to an AVP. `uri` as for `is_user_in`. Returns 1, or -1 when none fits."""
        ...

    @staticmethod
    def is_user_in(uri: str, group: str, /) -> int:
        r"""Whether the user of a URI is in a group. `uri` may also be `Request-URI`, `To`, `From` or `Credentials`.

        Returns 1; -6 when the user is not in it, -1 when it is no URI or the database does not answer."""
        ...

group: _group

class _hdr:
    """`KSR.hdr`"""

    @staticmethod
    def append(row: str, /) -> int:
        r"""Adds a header row (`"X-A: b\r\n"`) after the last one."""
        ...

    @staticmethod
    def append_after(row: str, name: str, /) -> int:
        r"""Adds a header row after the first one named `name`, after the last one when there is none."""
        ...

    @staticmethod
    def append_to_reply(row: str, /) -> int:
        r"""Adds a header row to the replies that this server makes to the request."""
        ...

    @staticmethod
    def get(name: str, /) -> Xval:
        r"""Value of the first header row of that name, null when there is none."""
        ...

    @staticmethod
    def get_idx(name: str, index: int, /) -> Xval:
        r"""Value of a header row of that name by position (0 the first, -1 the last), null when there is none."""
        ...

    @staticmethod
    def gete(name: str, /) -> Xval:
        r"""Value of the first header row of that name, an empty text when there is none."""
        ...

    @staticmethod
    def gete_idx(name: str, index: int, /) -> Xval:
        r"""Value of a header row of that name by position (0 the first, -1 the last), an empty text when there is none."""
        ...

    @staticmethod
    def getw(name: str, /) -> Xval:
        r"""Value of the first header row of that name, `<null>` when there is none."""
        ...

    @staticmethod
    def getw_idx(name: str, index: int, /) -> Xval:
        r"""Value of a header row of that name by position (0 the first, -1 the last), `<null>` when there is none."""
        ...

    @staticmethod
    def insert(row: str, /) -> int:
        r"""Adds a header row before the first one."""
        ...

    @staticmethod
    def insert_before(row: str, name: str, /) -> int:
        r"""Adds a header row before the first one named `name`, before all when there is none."""
        ...

    @staticmethod
    def is_present(name: str, /) -> int:
        r"""1 when the message has a header row of that name, else -1."""
        ...

    @staticmethod
    def match_content(name: str, operator: str, text: str, which: str, /) -> bool:
        r"""Compares header values of that name with a text: `operator` is `eq`, `ne`, `sw` (starts with), `in` (contains) or `re` (regular
        expression); `which` is `f` the first row, `l` the last, `a` all of them."""
        ...

    @staticmethod
    def remove(name: str, /) -> int:
        r"""Removes all header rows of that name. 1 also when there are none."""
        ...

    @staticmethod
    def rmappend(name: str, row: str, /) -> int:
        r"""Removes all header rows of that name and adds a row after the last one."""
        ...

    @staticmethod
    def rminsert(name: str, row: str, /) -> int:
        r"""Removes all header rows of that name and adds a row before the first one."""
        ...

hdr: _hdr

class _htable:
    """`KSR.htable`"""

    @staticmethod
    def sht_cn(htname: str, op: str, mval: str, /) -> int:
        r"""Number of items whose key passes, as `sht_match_name`; -1 for another operator and when there is no such table."""
        ...

    @staticmethod
    def sht_dec(htname: str, itname: str, /) -> int:
        r"""Takes one from an integer and returns it, as `sht_inc`."""
        ...

    @staticmethod
    def sht_get(htname: str, itname: str, /) -> Xval:
        r"""The value of an item, or null. With `initval` that number stands for an item that is not there."""
        ...

    @staticmethod
    def sht_gete(htname: str, itname: str, /) -> Xval:
        r"""As `sht_get`, with an empty text for null."""
        ...

    @staticmethod
    def sht_getw(htname: str, itname: str, /) -> Xval:
        r"""As `sht_get`, with `<null>` for null."""
        ...

    @staticmethod
    def sht_inc(htname: str, itname: str, /) -> int:
        r"""Adds one to an integer and returns it. One that is not there begins with `initval`; -255 without it, for texts, and when there is no
        such table."""
        ...

    @staticmethod
    def sht_is_null(htname: str, itname: str, /) -> int:
        r"""Whether an item is not there: 1, or -2 when the table's `initval` stands for it; -1 when it is there. 2 when there is no such table."""
        ...

    @staticmethod
    def sht_iterator_end(iname: str, /) -> int:
        r"""Closes an iterator. -1 when there is none of that name."""
        ...

    @staticmethod
    def sht_iterator_next(iname: str, /) -> int:
        r"""To the next item: `$shtitkey(iname)` and `$shtitval(iname)`. -1 after the last."""
        ...

    @staticmethod
    def sht_iterator_rm(iname: str, /) -> int:
        r"""Removes the item an iterator stands on."""
        ...

    @staticmethod
    def sht_iterator_setex(iname: str, exval: int, /) -> int:
        r"""Sets the seconds the item an iterator stands on still lives."""
        ...

    @staticmethod
    def sht_iterator_seti(iname: str, ival: int, /) -> int:
        r"""Sets the item an iterator stands on to an integer."""
        ...

    @staticmethod
    def sht_iterator_sets(iname: str, ival: str, /) -> int:
        r"""Sets the item an iterator stands on to a text."""
        ...

    @staticmethod
    def sht_iterator_start(iname: str, hname: str, /) -> int:
        r"""Opens an iterator over a table, before its first item; there are four per worker, told apart by their names. -1 when too many are
        open or there is no such table. It holds no lock: items may be written and removed meanwhile."""
        ...

    @staticmethod
    def sht_lock(htname: str, itname: str, /) -> int:
        r"""Keeps others out of `sht_lock` for this key until `sht_unlock`, or until the route ends.

        Who waits for longer than a second gets -1 and goes on without. Reading and writing items does not wait for it. May be taken
        several times by one route. -1 also when there is no such table."""
        ...

    @staticmethod
    def sht_match_name(htname: str, op: str, mval: str, /) -> int:
        r"""Whether the key of an item passes: `eq`, `ne`, `re` regular expression, `sw` begins with, `ew` ends with, `in` has in it."""
        ...

    @staticmethod
    def sht_match_str_value(htname: str, op: str, mval: str, /) -> int:
        r"""Whether the text of an item passes, as `sht_match_name`."""
        ...

    @staticmethod
    def sht_reset(htname: str, /) -> int:
        r"""Removes all items. Returns 0, as Kamailio does; -1 when there is no such table."""
        ...

    @staticmethod
    def sht_rm(htname: str, itname: str, /) -> int:
        r"""Removes an item. Returns 1 also when it is not there; -1 when there is no such table."""
        ...

    @staticmethod
    def sht_rm_name(htname: str, op: str, val: str, /) -> int:
        r"""Removes the items whose key passes: `re` regular expression, `sw` begins with, `ew` ends with, `in` has in it. -1 for another
        operator."""
        ...

    @staticmethod
    def sht_rm_name_re(htname: str, rexp: str, /) -> int:
        r"""Removes the items whose key a regular expression is found in, without case. -1 when the expression is bad or there is no such table."""
        ...

    @staticmethod
    def sht_rm_value(htname: str, op: str, val: str, /) -> int:
        r"""Removes the items whose text passes, as `sht_rm_name`. Integers stay."""
        ...

    @staticmethod
    def sht_rm_value_re(htname: str, rexp: str, /) -> int:
        r"""Removes the items whose text a regular expression is found in, without case."""
        ...

    @staticmethod
    def sht_setex(htname: str, itname: str, exval: int, /) -> int:
        r"""Sets the seconds an item still lives, 0 for ever. Returns 1 also when the item is not there; nothing happens in a table without
        `autoexpire`. -1 when there is no such table."""
        ...

    @staticmethod
    def sht_seti(htname: str, itname: str, itval: int, /) -> int:
        r"""Sets an item to an integer. Returns 1, or -1 when there is no such table or it takes no more."""
        ...

    @staticmethod
    def sht_sets(htname: str, itname: str, itval: str, /) -> int:
        r"""Sets an item to a text. Returns 1, or -1 when there is no such table or it takes no more."""
        ...

    @staticmethod
    def sht_setxi(htname: str, itname: str, itval: int, exval: int, /) -> int:
        r"""Sets an item to an integer that lives `exval` seconds, as `sht_setxs`. Returns 0, as Kamailio does; -1 when there is no such table or it
        takes no more."""
        ...

    @staticmethod
    def sht_setxs(htname: str, itname: str, itval: str, exval: int, /) -> int:
        r"""Sets an item to a text that lives `exval` seconds; 0: as the table says. In a table without `autoexpire` it does not end."""
        ...

    @staticmethod
    def sht_unlock(htname: str, itname: str, /) -> int:
        r"""Gives back what `sht_lock` took. Returns 1 also when it was not taken; -1 when there is no such table."""
        ...

htable: _htable

class _jsonrpcs:
    """`KSR.jsonrpcs`"""

    @staticmethod
    def dispatch() -> int:
        r"""Answers the JSON-RPC document of an HTTP request in `event_route[xhttp:request]`. There is no such route here yet: returns -1;
        the server's `--admin` address answers HTTP."""
        ...

    @staticmethod
    def exec(cmd: str, /) -> int:
        r"""Executes a JSON-RPC 2.0 document. Returns 1, also when the command failed: `$jsonrpl(code)` is 200 or the error's code,
        `$jsonrpl(text)` OK or its text, `$jsonrpl(body)` the whole answer. Returns -1 when the text is no JSON."""
        ...

    @staticmethod
    def execx(cmd: str, /) -> int:
        r"""As `exec`; `response` is its answer."""
        ...

    @staticmethod
    def response() -> Xval:
        r"""The whole answer of the last `exec` or `execx` in this worker, null before the first."""
        ...

jsonrpcs: _jsonrpcs

class _kex:
    """`KSR.kex`"""

    @staticmethod
    def resetdebug() -> int:
        r"""Returns to the log level of the `debug` parameter. Returns 1."""
        ...

    @staticmethod
    def setdebug(lval: int, /) -> int:
        r"""Sets the log level of this worker's script lines (-5 alert to 3 debug), until `resetdebug`. Returns 1.

        Lines above the `debug` parameter then appear at the level of that parameter."""
        ...

kex: _kex

class _kx:
    """`KSR.kx`"""

    @staticmethod
    def get_au() -> Xval:
        r"""User of the credentials; null when there is none."""
        ...

    @staticmethod
    def get_body() -> Xval:
        r"""Body; null when there is none."""
        ...

    @staticmethod
    def get_bodylen() -> int:
        r"""Length of the body."""
        ...

    @staticmethod
    def get_callid() -> Xval:
        r"""Call-ID."""
        ...

    @staticmethod
    def get_conid() -> int:
        r"""Id of the connection the message came over, -1 for UDP."""
        ...

    @staticmethod
    def get_cturi() -> Xval:
        r"""URI of the first Contact; null when there is none."""
        ...

    @staticmethod
    def get_def(name: str, /) -> Xval:
        r"""Value of a preprocessor define; an empty text when it is not defined."""
        ...

    @staticmethod
    def get_defn(name: str, /) -> int:
        r"""Value of a preprocessor define as an integer, 0 when it is none."""
        ...

    @staticmethod
    def get_duri() -> Xval:
        r"""The next hop set by `$du`; null when there is none."""
        ...

    @staticmethod
    def get_env(name: str, /) -> Xval:
        r"""Environment variable, null when it is not set."""
        ...

    @staticmethod
    def get_envn(name: str, /) -> int:
        r"""Environment variable as an integer, 0 when it is none."""
        ...

    @staticmethod
    def get_fhost() -> Xval:
        r"""Host of the From URI; null when there is none."""
        ...

    @staticmethod
    def get_furi() -> Xval:
        r"""URI of From."""
        ...

    @staticmethod
    def get_fuser() -> Xval:
        r"""User of the From URI; null when there is none."""
        ...

    @staticmethod
    def get_method() -> Xval:
        r"""Method; of a reply the one in CSeq."""
        ...

    @staticmethod
    def get_msgbuf() -> Xval:
        r"""The message as received."""
        ...

    @staticmethod
    def get_msglen() -> int:
        r"""Length of the message as received."""
        ...

    @staticmethod
    def get_msgtype() -> int:
        r"""1 for a request, 2 for a reply."""
        ...

    @staticmethod
    def get_nhuri() -> Xval:
        r"""URI of the next hop: `$du`, else the Request-URI; null for a reply."""
        ...

    @staticmethod
    def get_ouri() -> Xval:
        r"""The Request-URI as received, null for a reply."""
        ...

    @staticmethod
    def get_proto() -> Xval:
        r"""Transport the message came over, lower case."""
        ...

    @staticmethod
    def get_protoid() -> int:
        r"""Number of the transport the message came over: 1 UDP, 2 TCP, 3 TLS, 4 SCTP, 5 WS, 6 WSS."""
        ...

    @staticmethod
    def get_rcv_sock_name() -> Xval:
        r"""Name of our socket the message came to; null when it has none."""
        ...

    @staticmethod
    def get_rcvaddr_sock() -> Xval:
        r"""Our socket the message came to, `proto:ip:port`."""
        ...

    @staticmethod
    def get_rcvadvip() -> Xval:
        r"""Advertised host of our socket, else its address."""
        ...

    @staticmethod
    def get_rcvadvport() -> Xval:
        r"""Advertised port of our socket, else its port."""
        ...

    @staticmethod
    def get_rcvip() -> Xval:
        r"""Our address the message came to."""
        ...

    @staticmethod
    def get_rcvport() -> Xval:
        r"""Our port the message came to."""
        ...

    @staticmethod
    def get_rhost() -> Xval:
        r"""Host of the Request-URI; null when there is none."""
        ...

    @staticmethod
    def get_ruri() -> Xval:
        r"""The Request-URI, null for a reply."""
        ...

    @staticmethod
    def get_ruser() -> Xval:
        r"""User of the Request-URI; null when there is none."""
        ...

    @staticmethod
    def get_send_sock() -> Xval:
        r"""Socket forced for sending, `proto:ip:port`; null when none is."""
        ...

    @staticmethod
    def get_send_sock_name() -> Xval:
        r"""Name of the socket forced for sending; null when it has none."""
        ...

    @staticmethod
    def get_send_sock_port() -> int:
        r"""Port of the socket forced for sending, 0 when none is."""
        ...

    @staticmethod
    def get_srcaddr_sock() -> Xval:
        r"""The sender as `proto:ip:port`."""
        ...

    @staticmethod
    def get_srcip() -> Xval:
        r"""Address of the sender."""
        ...

    @staticmethod
    def get_srcport() -> Xval:
        r"""Port of the sender."""
        ...

    @staticmethod
    def get_srcuri() -> Xval:
        r"""The sender as a SIP URI; `transport` when it is not UDP."""
        ...

    @staticmethod
    def get_status() -> int:
        r"""Status code of a reply, -1 for a request."""
        ...

    @staticmethod
    def get_thost() -> Xval:
        r"""Host of the To URI; null when there is none."""
        ...

    @staticmethod
    def get_timestamp() -> int:
        r"""Unix time."""
        ...

    @staticmethod
    def get_turi() -> Xval:
        r"""URI of To."""
        ...

    @staticmethod
    def get_tuser() -> Xval:
        r"""User of the To URI; null when there is none."""
        ...

    @staticmethod
    def get_ua() -> Xval:
        r"""User-Agent; null when there is none."""
        ...

    @staticmethod
    def gete_au() -> Xval:
        r"""User of the credentials; an empty text when there is none."""
        ...

    @staticmethod
    def gete_body() -> Xval:
        r"""Body; an empty text when there is none."""
        ...

    @staticmethod
    def gete_cturi() -> Xval:
        r"""URI of the first Contact; an empty text when there is none."""
        ...

    @staticmethod
    def gete_duri() -> Xval:
        r"""The next hop set by `$du`; an empty text when there is none."""
        ...

    @staticmethod
    def gete_fhost() -> Xval:
        r"""Host of the From URI; an empty text when there is none."""
        ...

    @staticmethod
    def gete_fuser() -> Xval:
        r"""User of the From URI; an empty text when there is none."""
        ...

    @staticmethod
    def gete_rhost() -> Xval:
        r"""Host of the Request-URI; an empty text when there is none."""
        ...

    @staticmethod
    def gete_ruser() -> Xval:
        r"""User of the Request-URI; an empty text when there is none."""
        ...

    @staticmethod
    def gete_thost() -> Xval:
        r"""Host of the To URI; an empty text when there is none."""
        ...

    @staticmethod
    def gete_tuser() -> Xval:
        r"""User of the To URI; an empty text when there is none."""
        ...

    @staticmethod
    def gete_ua() -> Xval:
        r"""User-Agent; an empty text when there is none."""
        ...

    @staticmethod
    def gets_status() -> Xval:
        r"""Status code of a reply as text, null for a request."""
        ...

    @staticmethod
    def getw_au() -> Xval:
        r"""User of the credentials; `<null>` when there is none."""
        ...

    @staticmethod
    def getw_body() -> Xval:
        r"""Body; `<null>` when there is none."""
        ...

    @staticmethod
    def getw_cturi() -> Xval:
        r"""URI of the first Contact; `<null>` when there is none."""
        ...

    @staticmethod
    def getw_duri() -> Xval:
        r"""The next hop set by `$du`; `<null>` when there is none."""
        ...

    @staticmethod
    def getw_fhost() -> Xval:
        r"""Host of the From URI; `<null>` when there is none."""
        ...

    @staticmethod
    def getw_fuser() -> Xval:
        r"""User of the From URI; `<null>` when there is none."""
        ...

    @staticmethod
    def getw_rhost() -> Xval:
        r"""Host of the Request-URI; `<null>` when there is none."""
        ...

    @staticmethod
    def getw_ruser() -> Xval:
        r"""User of the Request-URI; `<null>` when there is none."""
        ...

    @staticmethod
    def getw_thost() -> Xval:
        r"""Host of the To URI; `<null>` when there is none."""
        ...

    @staticmethod
    def getw_tuser() -> Xval:
        r"""User of the To URI; `<null>` when there is none."""
        ...

    @staticmethod
    def getw_ua() -> Xval:
        r"""User-Agent; `<null>` when there is none."""
        ...

    @staticmethod
    def ifdef(name: str, /) -> bool:
        r"""Whether a name is defined."""
        ...

    @staticmethod
    def ifndef(name: str, /) -> bool:
        r"""Whether a name is not defined."""
        ...

kx: _kx

class _maxfwd:
    """`KSR.maxfwd`"""

    @staticmethod
    def is_maxfwd_lt(max_value: int, /) -> int:
        r"""Whether Max-Forwards is less than `max_value`.

        Returns 1 or -1 (equal or greater, or `max_value` is not 0 to 255); -2 when there is no such header, -3 when its value is not a number. After
        `process_maxfwd` the lowered value counts."""
        ...

    @staticmethod
    def process_maxfwd(max_value: int, /) -> int:
        r"""Lowers Max-Forwards by one, or adds it with `max_value` when the request has none.

        Returns 1 when it was lowered (never above `max_limit`), 2 when it was added, -1 when it was 0 already: answer
        483 Too Many Hops; -2 when the value is not a number; -1 also for a `max_value` that is not 0 to 255.
        RFC 3261 §16.3 step 3, §16.6 step 3."""
        ...

maxfwd: _maxfwd

class _nathelper:
    """`KSR.nathelper`"""

    @staticmethod
    def add_contact_alias() -> int:
        r"""As `set_contact_alias` when the Contact URI is not the sender's address, port and transport already; `save` works with the original.
        Returns 1, 2 when nothing was to do, -1 when there is no such Contact."""
        ...

    @staticmethod
    def add_contact_alias_addr(ip: str, port: str, proto: str, /) -> int:
        r"""Adds an alias with this address, port and transport to the Contact URI. Returns 1, or -1 when one of them is none."""
        ...

    @staticmethod
    def add_rcv_param(flag: int, /) -> int:
        r"""Adds a parameter `received` with the sender's address as a URI to every Contact: to the header, or with a flag other than 0 to the
        URI (UDP only). For a registrar behind this server. Returns 1, or -1 when a Contact cannot be read."""
        ...

    @staticmethod
    def fix_nated_contact() -> int:
        r"""Writes the sender's address and port into the Contact URI. `save` and everything later works with it. Returns 1, or -1 when there is
        no such Contact or it was changed already."""
        ...

    @staticmethod
    def fix_nated_register() -> int:
        r"""Writes the sender's address as a URI to `received_avp`, where `save` finds it: the contact is then reached at that address.
        Returns 1, or -1 without that parameter."""
        ...

    @staticmethod
    def fix_nated_sdp(flags: int, /) -> int:
        r"""Changes the SDP. Flags: 1 adds `a=direction:active` to every medium; 2 writes the sender's address into `c=` lines; 4 adds
        `nortpproxy_str`; 8 writes it into the `o=` line. With 2 or 8 `a=rtcp` follows.

        Returns 1 when an address was changed, 2 when none was, -1 without SDP."""
        ...

    @staticmethod
    def fix_nated_sdp_ip(flags: int, ip: str, /) -> int:
        r"""As `fix_nated_sdp` with this address in place of the sender's; empty: the sender's."""
        ...

    @staticmethod
    def handle_ruri_alias() -> int:
        r"""Takes the first `alias` out of the Request-URI and makes it the next hop `$du`. Returns 1, 2 when there is none, -1 when it cannot
        be read."""
        ...

    @staticmethod
    def handle_ruri_alias_mode(mode: int, /) -> int:
        r"""As `handle_ruri_alias`; `mode` other than 0: the last alias."""
        ...

    @staticmethod
    def is_rfc1918(address: str, /) -> int:
        r"""Whether a text is a private IPv4 address (RFC 1918, RFC 6598). Returns 1 or -1."""
        ...

    @staticmethod
    def nat_uac_test(flags: int, /) -> int:
        r"""Whether the sender seems to be behind NAT. Flags, any of which is enough:

        1 the Contact is a private address; 2 the topmost Via is not the sender's address; 4 the topmost Via is a private address; 8 the SDP
        has a private address; 16 the topmost Via has another port than the sender; 32 the sender is a private address; 64 it came over
        WebSocket; 128 the Contact has another port than the sender; 256 the SDP has another address than the sender; 512 where it goes is
        not what the Request-URI says (replies: what the second Via says), or is over WebSocket. Returns 1 or -1."""
        ...

    @staticmethod
    def set_alias_to_pv(pv: str, /) -> int:
        r"""Writes the alias of the Contact to a variable, as a SIP URI. Returns 1, or -1 when there is none."""
        ...

    @staticmethod
    def set_contact_alias() -> int:
        r"""Adds `;alias=ip~port~transport` with the sender's address to the Contact URI, for `handle_ruri_alias` in later requests of the
        dialog. `save` works with it. Returns 1, or -1 when there is no such Contact or it was changed already."""
        ...

    @staticmethod
    def set_contact_alias_trim() -> int:
        r"""As `set_contact_alias`, after removing an alias that is there already."""
        ...

nathelper: _nathelper

class _path:
    """`KSR.path`"""

    @staticmethod
    def add_path() -> int:
        r"""Adds a Path row with this server's address: `<sip:192.0.2.1;lr>`, above those that are there. Returns 1 or -1."""
        ...

    @staticmethod
    def add_path_advertised_address(address: str, /) -> int:
        r"""As `add_path`, with this address (`host:port;transport=tcp`) in place of the socket's."""
        ...

    @staticmethod
    def add_path_advertised_address_user(address: str, user: str, /) -> int:
        r"""As `add_path_advertised_address`, with a user part."""
        ...

    @staticmethod
    def add_path_advertised_address_user_params(address: str, user: str, params: str, /) -> int:
        r"""As `add_path_advertised_address`, with a user part and further URI parameters."""
        ...

    @staticmethod
    def add_path_received() -> int:
        r"""As `add_path`, with the sender's address in a parameter `received`."""
        ...

    @staticmethod
    def add_path_received_advertised_address(address: str, /) -> int:
        r"""As `add_path_advertised_address`, with the sender's address in a parameter `received`."""
        ...

    @staticmethod
    def add_path_received_advertised_address_user(address: str, user: str, /) -> int:
        r"""As `add_path_received_advertised_address`, with a user part."""
        ...

    @staticmethod
    def add_path_received_advertised_address_user_params(address: str, user: str, params: str, /) -> int:
        r"""As `add_path_received_advertised_address`, with a user part and further URI parameters."""
        ...

    @staticmethod
    def add_path_received_user(user: str, /) -> int:
        r"""As `add_path_received`, with a user part."""
        ...

    @staticmethod
    def add_path_received_user_params(user: str, params: str, /) -> int:
        r"""As `add_path_received`, with a user part and further URI parameters."""
        ...

    @staticmethod
    def add_path_user(user: str, /) -> int:
        r"""As `add_path`, with a user part."""
        ...

    @staticmethod
    def add_path_user_params(user: str, params: str, /) -> int:
        r"""As `add_path`, with a user part and further URI parameters (`ob;x=y`). Either may be empty."""
        ...

path: _path

class _permissions:
    """`KSR.permissions`"""

    @staticmethod
    def allow_address(group: int, address: str, port: int, /) -> int:
        r"""Whether an address (or name, compared as written) and a port are in a group of the address table. Returns 1 or -1."""
        ...

    @staticmethod
    def allow_address_group(address: str, port: int, /) -> int:
        r"""The group an address (or name) and a port are in; -1 when in none."""
        ...

    @staticmethod
    def allow_register(basename: str, /) -> int:
        r"""Whether the allow and deny files of that name let To register the contacts of the request. Returns 1 or -1."""
        ...

    @staticmethod
    def allow_register_files(allow_file: str, deny_file: str, /) -> int:
        r"""As `allow_register`, with these files."""
        ...

    @staticmethod
    def allow_register_include_port(basename: str, /) -> int:
        r"""As `allow_register`, with the ports of the contacts."""
        ...

    @staticmethod
    def allow_register_include_port_files(allow_file: str, deny_file: str, /) -> int:
        r"""As `allow_register_include_port`, with these files."""
        ...

    @staticmethod
    def allow_routing() -> int:
        r"""Whether the allow and deny files of `default_allow_file` and `default_deny_file` let From call the Request-URI and the branches.

        All of them in the allow file: 1; else one of them in the deny file: -1; else 1."""
        ...

    @staticmethod
    def allow_routing_base(basename: str, /) -> int:
        r"""As `allow_routing`, with the files of that name and `allow_suffix`, `deny_suffix`."""
        ...

    @staticmethod
    def allow_routing_files(allow_file: str, deny_file: str, /) -> int:
        r"""As `allow_routing`, with these files."""
        ...

    @staticmethod
    def allow_source_address(group: int, /) -> int:
        r"""Whether the sender's address and port are in a group of the address table. Returns 1 or -1.

        The tag of the row goes into `peer_tag_avp`."""
        ...

    @staticmethod
    def allow_source_address_group() -> int:
        r"""The group the sender's address and port are in; -1 when in none."""
        ...

    @staticmethod
    def allow_trusted() -> int:
        r"""Whether the sender is a trusted peer: by source address, transport, From and Request-URI. Returns 1, with `peer_tag_mode` 1 the
        number of rows that fit, or -1."""
        ...

    @staticmethod
    def allow_trusted_furi(src_ip: str, proto: str, furi: str, /) -> int:
        r"""As `allow_trusted`, for this source address, transport and From URI."""
        ...

    @staticmethod
    def allow_trusted_peer(src_ip: str, proto: str, /) -> int:
        r"""As `allow_trusted`, for this source address and transport (`any`, `udp`, `tcp`, ...)."""
        ...

    @staticmethod
    def allow_uri(basename: str, uri: str, /) -> int:
        r"""Whether the allow and deny files of that name let From have a URI, which is compared as it is. Returns 1 or -1."""
        ...

permissions: _permissions

class _pike:
    """`KSR.pike`"""

    @staticmethod
    def pike_check_ip(sip: str, /) -> int:
        r"""As `pike_check_req`, for this address; IPv6 with or without brackets. Returns -1 also for what is no address."""
        ...

    @staticmethod
    def pike_check_req() -> int:
        r"""Counts the request for its sender's address.

        Returns 1; -2 when this request makes the address a flooder, -1 for further ones. An address is refused from then on to the end of
        the first unit with fewer requests than `reqs_density_per_unit`."""
        ...

pike: _pike

class _pv:
    """`KSR.pv`"""

    @staticmethod
    def get(pv: str, /) -> Xval:
        r"""Value of a pseudo-variable: int, text, or null."""
        ...

    @staticmethod
    def gete(pv: str, /) -> Xval:
        r"""Value of a pseudo-variable; an empty text when it is null."""
        ...

    @staticmethod
    def geti(pv: str, /) -> int:
        r"""Value of a pseudo-variable as an integer: the number a text begins with, 0 when there is none."""
        ...

    @staticmethod
    def getl(pv: str, /) -> Xval:
        r"""Value of a pseudo-variable as a 64 bit integer, as `geti`."""
        ...

    @staticmethod
    def getvn(pv: str, default: int, /) -> Xval:
        r"""Value of a pseudo-variable; a number of the caller's choice when it is null."""
        ...

    @staticmethod
    def getvs(pv: str, default: str, /) -> Xval:
        r"""Value of a pseudo-variable; a text of the caller's choice when it is null."""
        ...

    @staticmethod
    def getw(pv: str, /) -> Xval:
        r"""Value of a pseudo-variable; the text `<null>` when it is null."""
        ...

    @staticmethod
    def is_null(pv: str, /) -> bool:
        r"""Whether a pseudo-variable is null."""
        ...

    @staticmethod
    def seti(pv: str, value: int, /) -> bool:
        r"""Writes an integer. False when the pseudo-variable does not exist or refuses it."""
        ...

    @staticmethod
    def setl(pv: str, value: int, /) -> bool:
        r"""Writes a 64 bit integer, as `seti`."""
        ...

    @staticmethod
    def sets(pv: str, value: str, /) -> bool:
        r"""Writes a text. False when the pseudo-variable does not exist or refuses it."""
        ...

    @staticmethod
    def unset(pv: str, /) -> bool:
        r"""Writes null: removes the value."""
        ...

pv: _pv

class _pvx:
    """`KSR.pvx`"""

    @staticmethod
    def avp_get(name: str, /) -> Xval:
        r"""Newest value of `$avp(name)`, null when there is none."""
        ...

    @staticmethod
    def avp_gete(name: str, /) -> Xval:
        r"""Newest value of `$avp(name)`, an empty text when there is none."""
        ...

    @staticmethod
    def avp_getw(name: str, /) -> Xval:
        r"""Newest value of `$avp(name)`, `<null>` when there is none."""
        ...

    @staticmethod
    def avp_is_null(name: str, /) -> int:
        r"""1 when `$avp(name)` is null, else -1."""
        ...

    @staticmethod
    def avp_rm(name: str, /) -> int:
        r"""Removes all values of `$avp(name)`."""
        ...

    @staticmethod
    def avp_seti(name: str, value: int, /) -> int:
        r"""Adds an integer to `$avp(name)`."""
        ...

    @staticmethod
    def avp_sets(name: str, value: str, /) -> int:
        r"""Adds a text to `$avp(name)`."""
        ...

    @staticmethod
    def evalx(destination: str, format: str, /) -> int:
        r"""Evaluates a text with pseudo-variables and writes the result to another pseudo-variable."""
        ...

    @staticmethod
    def pv_var_to_xavp(name: str, xname: str, /) -> int:
        r"""Copies `$var(name)` (all of them for `*`) into a new `$xavp(xname)` as fields."""
        ...

    @staticmethod
    def pv_xavi_print() -> int:
        r"""Writes all XAVIs to the log."""
        ...

    @staticmethod
    def pv_xavp_print() -> int:
        r"""Writes all XAVPs to the log."""
        ...

    @staticmethod
    def pv_xavp_to_var(xname: str, /) -> int:
        r"""Copies the fields of `$xavp(xname)` into `$var(..)` of their names. -1 when there is no such value."""
        ...

    @staticmethod
    def pv_xavu_print() -> int:
        r"""Writes all XAVUs to the log."""
        ...

    @staticmethod
    def sbranch_append() -> int:
        r"""Adds the static branch (`$sbranch(..)`) to the destination set. -1 when it has no URI or the set is full."""
        ...

    @staticmethod
    def sbranch_reset() -> int:
        r"""Empties the static branch."""
        ...

    @staticmethod
    def sbranch_set_ruri() -> int:
        r"""Makes the static branch (`$sbranch(..)`) the Request-URI with all that goes with it. -1 when it has no URI."""
        ...

    @staticmethod
    def shv_get(name: str, /) -> Xval:
        r"""Value of `$shv(name)`, 0 when it was never written."""
        ...

    @staticmethod
    def shv_seti(name: str, value: int, /) -> int:
        r"""Writes an integer to `$shv(name)`, shared by all workers."""
        ...

    @staticmethod
    def shv_sets(name: str, value: str, /) -> int:
        r"""Writes a text to `$shv(name)`, shared by all workers."""
        ...

    @staticmethod
    def shvinc_get(name: str, /) -> Xval:
        r"""Adds one to `$shv(name)` and returns the new value."""
        ...

    @staticmethod
    def var_get(name: str, /) -> Xval:
        r"""Value of `$var(name)`, 0 when unset."""
        ...

    @staticmethod
    def var_seti(name: str, value: int, /) -> int:
        r"""Writes an integer to `$var(name)`."""
        ...

    @staticmethod
    def var_sets(name: str, value: str, /) -> int:
        r"""Writes a text to `$var(name)`."""
        ...

    @staticmethod
    def xavi_child_get(name: str, field: str, /) -> Xval:
        r"""Value of `$xavi(name=>field)`, null when there is none."""
        ...

    @staticmethod
    def xavi_child_gete(name: str, field: str, /) -> Xval:
        r"""Value of `$xavi(name=>field)`, an empty text when there is none."""
        ...

    @staticmethod
    def xavi_child_getw(name: str, field: str, /) -> Xval:
        r"""Value of `$xavi(name=>field)`, `<null>` when there is none."""
        ...

    @staticmethod
    def xavi_child_is_null(name: str, field: str, /) -> int:
        r"""1 when `$xavi(name=>field)` is null, else -1."""
        ...

    @staticmethod
    def xavi_child_rm(name: str, field: str, /) -> int:
        r"""Removes `$xavi(name=>field)`."""
        ...

    @staticmethod
    def xavi_child_seti(name: str, field: str, value: int, /) -> int:
        r"""Writes an integer to `$xavi(name[0]=>field)`, making the value when there is none."""
        ...

    @staticmethod
    def xavi_child_sets(name: str, field: str, value: str, /) -> int:
        r"""Writes a text to `$xavi(name[0]=>field)`, making the value when there is none."""
        ...

    @staticmethod
    def xavi_get(name: str, /) -> Xval:
        r"""Newest value of `$xavi(name)`, null when there is none."""
        ...

    @staticmethod
    def xavi_get_keys(name: str, index: int, /) -> Union[List[str], None]:
        r"""Names of the fields of `$xavi(name)` at a position; null when it has none."""
        ...

    @staticmethod
    def xavi_getd(name: str, /) -> Union[List[Dict[str, Xval]], None]:
        r"""All values of `$xavi(name)` that have fields, as a list of maps."""
        ...

    @staticmethod
    def xavi_getd_p1(name: str, index: int, /) -> Union[Dict[str, Xval], None]:
        r"""The value of `$xavi(name)` at a position, as a map of its fields; null when it has none."""
        ...

    @staticmethod
    def xavi_gete(name: str, /) -> Xval:
        r"""Newest value of `$xavi(name)`, an empty text when there is none."""
        ...

    @staticmethod
    def xavi_getw(name: str, /) -> Xval:
        r"""Newest value of `$xavi(name)`, `<null>` when there is none."""
        ...

    @staticmethod
    def xavi_is_null(name: str, /) -> int:
        r"""1 when `$xavi(name)` is null, else -1."""
        ...

    @staticmethod
    def xavi_rm(name: str, /) -> int:
        r"""Removes the newest value of `$xavi(name)`."""
        ...

    @staticmethod
    def xavi_rm_all(name: str, /) -> int:
        r"""Removes all values of `$xavi(name)`."""
        ...

    @staticmethod
    def xavi_seti(name: str, value: int, /) -> int:
        r"""Adds an integer to `$xavi(name)`."""
        ...

    @staticmethod
    def xavi_sets(name: str, value: str, /) -> int:
        r"""Adds a text to `$xavi(name)`."""
        ...

    @staticmethod
    def xavp_child_get(name: str, field: str, /) -> Xval:
        r"""Value of `$xavp(name=>field)`, null when there is none."""
        ...

    @staticmethod
    def xavp_child_gete(name: str, field: str, /) -> Xval:
        r"""Value of `$xavp(name=>field)`, an empty text when there is none."""
        ...

    @staticmethod
    def xavp_child_getw(name: str, field: str, /) -> Xval:
        r"""Value of `$xavp(name=>field)`, `<null>` when there is none."""
        ...

    @staticmethod
    def xavp_child_is_null(name: str, field: str, /) -> int:
        r"""1 when `$xavp(name=>field)` is null, else -1."""
        ...

    @staticmethod
    def xavp_child_rm(name: str, field: str, /) -> int:
        r"""Removes `$xavp(name=>field)`."""
        ...

    @staticmethod
    def xavp_child_seti(name: str, field: str, value: int, /) -> int:
        r"""Writes an integer to `$xavp(name[0]=>field)`, making the value when there is none."""
        ...

    @staticmethod
    def xavp_child_sets(name: str, field: str, value: str, /) -> int:
        r"""Writes a text to `$xavp(name[0]=>field)`, making the value when there is none."""
        ...

    @staticmethod
    def xavp_copy(source: str, index: int, destination: str, /) -> int:
        r"""Copies the value of `$xavp(source)` at a position to the end of `$xavp(destination)`."""
        ...

    @staticmethod
    def xavp_copy_dst(source: str, index: int, destination: str, behind: int, /) -> int:
        r"""Copies the value of `$xavp(source)` at a position behind the value of `$xavp(destination)` at another."""
        ...

    @staticmethod
    def xavp_get(name: str, /) -> Xval:
        r"""Newest value of `$xavp(name)`, null when there is none."""
        ...

    @staticmethod
    def xavp_get_keys(name: str, index: int, /) -> Union[List[str], None]:
        r"""Names of the fields of `$xavp(name)` at a position; null when it has none."""
        ...

    @staticmethod
    def xavp_getd(name: str, /) -> Union[List[Dict[str, Xval]], None]:
        r"""All values of `$xavp(name)` that have fields, as a list of maps."""
        ...

    @staticmethod
    def xavp_getd_p1(name: str, index: int, /) -> Union[Dict[str, Xval], None]:
        r"""The value of `$xavp(name)` at a position, as a map of its fields; null when it has none."""
        ...

    @staticmethod
    def xavp_gete(name: str, /) -> Xval:
        r"""Newest value of `$xavp(name)`, an empty text when there is none."""
        ...

    @staticmethod
    def xavp_getw(name: str, /) -> Xval:
        r"""Newest value of `$xavp(name)`, `<null>` when there is none."""
        ...

    @staticmethod
    def xavp_is_null(name: str, /) -> int:
        r"""1 when `$xavp(name)` is null, else -1."""
        ...

    @staticmethod
    def xavp_lshift(name: str, index: int, /) -> int:
        r"""Removes the values of `$xavp(name)` before a position, so that it becomes the first; a negative position counts from the end."""
        ...

    @staticmethod
    def xavp_params_explode(params: str, xname: str, /) -> int:
        r"""Makes a new `$xavp(xname)` whose fields are the parameters `a=1;b=2`. -1 when the list is empty or breaks the syntax."""
        ...

    @staticmethod
    def xavp_params_implode(xname: str, destination: str, /) -> int:
        r"""Writes the fields of `$xavp(xname)` as `a=1;b=2;` to a pseudo-variable. -1 when there is no such value."""
        ...

    @staticmethod
    def xavp_params_implode_qval(xname: str, destination: str, /) -> int:
        r"""As `xavp_params_implode`, with the values in double quotes."""
        ...

    @staticmethod
    def xavp_push_dst(name: str, /) -> int:
        r"""Makes `$xavp(name)` the destination: its fields `uri dst_uri path ruid location_ua flags q`, or its text as `$du`. -1 when there
        is no such value."""
        ...

    @staticmethod
    def xavp_rm(name: str, /) -> int:
        r"""Removes the newest value of `$xavp(name)`."""
        ...

    @staticmethod
    def xavp_rm_all(name: str, /) -> int:
        r"""Removes all values of `$xavp(name)`."""
        ...

    @staticmethod
    def xavp_seti(name: str, value: int, /) -> int:
        r"""Adds an integer to `$xavp(name)`."""
        ...

    @staticmethod
    def xavp_sets(name: str, value: str, /) -> int:
        r"""Adds a text to `$xavp(name)`."""
        ...

    @staticmethod
    def xavp_slist_explode(list: str, separator: str, mode: str, xname: str, /) -> int:
        r"""Makes a new `$xavp(xname)` with the items of a list as fields `v`; `t` in `mode` takes white space around items away."""
        ...

    @staticmethod
    def xavp_xparams_explode(params: str, separator: str, xname: str, /) -> int:
        r"""As `xavp_params_explode`, with another separator."""
        ...

    @staticmethod
    def xavu_child_get(name: str, field: str, /) -> Xval:
        r"""Value of `$xavu(name=>field)`, null when there is none."""
        ...

    @staticmethod
    def xavu_child_gete(name: str, field: str, /) -> Xval:
        r"""Value of `$xavu(name=>field)`, an empty text when there is none."""
        ...

    @staticmethod
    def xavu_child_getw(name: str, field: str, /) -> Xval:
        r"""Value of `$xavu(name=>field)`, `<null>` when there is none."""
        ...

    @staticmethod
    def xavu_child_is_null(name: str, field: str, /) -> int:
        r"""1 when `$xavu(name=>field)` is null, else -1."""
        ...

    @staticmethod
    def xavu_child_rm(name: str, field: str, /) -> int:
        r"""Removes `$xavu(name=>field)`."""
        ...

    @staticmethod
    def xavu_child_seti(name: str, field: str, value: int, /) -> int:
        r"""Writes an integer to `$xavu(name=>field)`."""
        ...

    @staticmethod
    def xavu_child_sets(name: str, field: str, value: str, /) -> int:
        r"""Writes a text to `$xavu(name=>field)`."""
        ...

    @staticmethod
    def xavu_get(name: str, /) -> Xval:
        r"""Value of `$xavu(name)`, null when there is none."""
        ...

    @staticmethod
    def xavu_gete(name: str, /) -> Xval:
        r"""Value of `$xavu(name)`, an empty text when there is none."""
        ...

    @staticmethod
    def xavu_getw(name: str, /) -> Xval:
        r"""Value of `$xavu(name)`, `<null>` when there is none."""
        ...

    @staticmethod
    def xavu_is_null(name: str, /) -> int:
        r"""1 when `$xavu(name)` is null, else -1."""
        ...

    @staticmethod
    def xavu_params_explode(params: str, xname: str, /) -> int:
        r"""Makes `$xavu(xname)` hold the parameters `a=1;b=2` as fields."""
        ...

    @staticmethod
    def xavu_params_implode(xname: str, destination: str, /) -> int:
        r"""Writes the fields of `$xavu(xname)` as `a=1;b=2;` to a pseudo-variable. -1 when there is no such value."""
        ...

    @staticmethod
    def xavu_rm(name: str, /) -> int:
        r"""Removes `$xavu(name)`."""
        ...

    @staticmethod
    def xavu_seti(name: str, value: int, /) -> int:
        r"""Writes an integer to `$xavu(name)`."""
        ...

    @staticmethod
    def xavu_sets(name: str, value: str, /) -> int:
        r"""Writes a text to `$xavu(name)`."""
        ...

pvx: _pvx

class _registrar:
    """`KSR.registrar`"""

    @staticmethod
    def add_sock_hdr(header: str, /) -> int:
        r"""Adds a header with the socket the request came in on, `udp:192.0.2.1:5060`, for a registrar behind this server."""
        ...

    @staticmethod
    def lookup(table: str, /) -> int:
        r"""Replaces the Request-URI by the best contact of its user; the others become branches, by q.

        Sets with it the next hop (Path or where the REGISTER came from), socket, branch flags and q. Returns 1 when there is a contact,
        -1 none, -2 none that supports the method (`method_filtering`), -3 for a Request-URI that names no user."""
        ...

    @staticmethod
    def lookup_branches(table: str, /) -> int:
        r"""As `lookup` for the Request-URI and for every branch that has only a URI so far."""
        ...

    @staticmethod
    def lookup_to_dset(table: str, uri: str, /) -> int:
        r"""Adds all contacts of a URI as branches; the Request-URI stays. Returns as `lookup`."""
        ...

    @staticmethod
    def lookup_uri(table: str, uri: str, /) -> int:
        r"""As `lookup`, for the given URI in place of the Request-URI."""
        ...

    @staticmethod
    def lookup_xavp(table: str, uri: str, record_xavp: str, contacts_xavp: str, /) -> int:
        r"""Writes the record of a URI to one XAVP (aor, domain, aorhash, count) and each of its contacts to another (ruid, addr, expires, q,
        received, path and more); the destination set stays. Returns 1, or -1 when there is no contact."""
        ...

    @staticmethod
    def reg_fetch_contacts(table: str, uri: str, profile: str, /) -> int:
        r"""Fetches the contacts of a URI's user for `$ulc(profile=>attr)`. Returns 1, or -1 when there are none."""
        ...

    @staticmethod
    def reg_free_contacts(profile: str, /) -> int:
        r"""Forgets what `reg_fetch_contacts` fetched."""
        ...

    @staticmethod
    def reg_from_user(table: str, uri: str, flags: int, /) -> int:
        r"""Whether the message comes from the address of a contact of a URI's user (`received`, else the contact itself): 1, or -1.

        Flags: 1 any port, 2 any transport."""
        ...

    @staticmethod
    def reg_send_reply() -> int:
        r"""Sends the reply that `save` with flag 2 held back. Returns -1 when there is none."""
        ...

    @staticmethod
    def registered(table: str, /) -> int:
        r"""Whether the user of the Request-URI (of To, in replies) has a contact: 1, or -1."""
        ...

    @staticmethod
    def registered_action(table: str, uri: str, match_option: int, match_action: int, /) -> int:
        r"""As `registered_flags`; actions: 1 restore the contact's XAVP (`xavp_contact`), 2 do not write `xavp_rcd`."""
        ...

    @staticmethod
    def registered_flags(table: str, uri: str, match_option: int, /) -> int:
        r"""As `registered_uri`, for contacts with the values in `xavp_cfg`: 1 `match_callid`, 2 `match_received`, 4 `match_contact`."""
        ...

    @staticmethod
    def registered_uri(table: str, uri: str, /) -> int:
        r"""Whether the user of a URI has a contact: 1, or -1. An empty URI is the Request-URI."""
        ...

    @staticmethod
    def save(table: str, flags: int, /) -> int:
        r"""Binds the contacts of a REGISTER to its To address in a location table, removes or lists them (RFC 3261 §10.3), and answers it.

        All contacts are bound or none. Flags: 1 not into the database; 2 no reply, see `reg_send_reply`; 4 one contact per user: the
        others go; 8 without `expires_range`; 16 with 2: the reply headers are added to the script's own reply.

        Returns 1 when contacts were added (or it was a retransmission), 2 updated, 3 removed, 4 only listed; -1 when the request was
        refused, -2 when there would be more than `max_contacts`."""
        ...

    @staticmethod
    def save_uri(table: str, flags: int, uri: str, /) -> int:
        r"""As `save`, for the given URI in place of the To URI; empty: the To URI."""
        ...

    @staticmethod
    def set_q_override(q: str, /) -> int:
        r"""q (`0.0` to `1.0`) for the contacts of the next `save` of this message, whatever they say. Returns -1 for no such value."""
        ...

    @staticmethod
    def ulc_cget(profile: str, attr: str, index: int, /) -> Xval:
        r"""An attribute of the fetched contact at a place, see `$ulc`. Null when there is none."""
        ...

    @staticmethod
    def ulc_rget(profile: str, attr: str, /) -> Xval:
        r"""An attribute of the fetched record: aor, domain, aorhash, count. Null when there is none."""
        ...

    @staticmethod
    def unregister(table: str, uri: str, /) -> int:
        r"""Removes all contacts of a URI's user. Returns 1, or -1 when the URI names no user or there is no such table."""
        ...

    @staticmethod
    def unregister_ruid(table: str, uri: str, ruid: str, /) -> int:
        r"""Removes the contact with a record id. Returns as `unregister`, -3 when there is no such contact."""
        ...

registrar: _registrar

class _rr:
    """`KSR.rr`"""

    @staticmethod
    def add_rr_param(sparam: str, /) -> int:
        r"""Adds a URI parameter (`;name=value`) to the Record-Route of this message, made already or later.

        In a branch route it holds for that branch only. It is read back by `check_route_param` in later requests. Returns 1."""
        ...

    @staticmethod
    def check_route_param(sre: str, /) -> int:
        r"""Whether the parameters of this server's own Route match a regular expression. After `loose_route`.

        Returns 1 or -1; -1 also when no Route was this server."""
        ...

    @staticmethod
    def is_direction(dir: str, /) -> int:
        r"""Whether the request goes `upstream` (callee to caller) or `downstream` (caller to callee).

        Compares the `ftag` of this server's own Route with the From tag; without it: downstream. Returns 1, -1 for the other
        direction, -6 for an unknown word."""
        ...

    @staticmethod
    def loose_route() -> int:
        r"""Routes by the Route headers of the request (RFC 3261 §16.4 and §16.12).

        Removes the topmost Route when it is this server (both, when they are a pair with `r2`), and makes the next one the
        destination `$du`; a strict router before or after this server is served as well. Returns 1 when a route was found; -1
        when there is none or it cannot be read; -3 when the only Route was this server in a request without To tag (preloaded)."""
        ...

    @staticmethod
    def loose_route_mode(vmode: int, /) -> int:
        r"""As `loose_route`; with `vmode` 1 the Request-URI is not compared with this server's addresses (no strict routing towards
        us), for application servers that use this server's address in their Contact."""
        ...

    @staticmethod
    def loose_route_preloaded() -> int:
        r"""As `loose_route`, but 1 only when the one Route of a request outside of a dialog named this server; everything else -1."""
        ...

    @staticmethod
    def next_hop_route() -> int:
        r"""Whether `loose_route` found a next hop behind this server's own Route. Returns 1 or -1."""
        ...

    @staticmethod
    def record_route() -> int:
        r"""Puts this server into the path of the dialog: a Record-Route row before all others.

        The row names the socket the request came in through; when a branch leaves through another one, a second row for that
        socket stands above it (`enable_double_rr`). In requests within a dialog call it after `loose_route`, so that the
        direction is known. Returns 1; -1 when the message has one from this server already. RFC 3261 §16.6 step 4."""
        ...

    @staticmethod
    def record_route_advertised_address(address: str, /) -> int:
        r"""Record-Route with this address (`host:port`); two rows when the transports of both sides differ. Returns 1, or -1 when the
        message has one already."""
        ...

    @staticmethod
    def record_route_params(sparams: str, /) -> int:
        r"""As `record_route`, with URI parameters (`;name=value`) added."""
        ...

    @staticmethod
    def record_route_preset(addr1: str, addr2: str, /) -> int:
        r"""Two Record-Route rows with these texts as addresses: `addr1` for the outgoing side, `addr2` for the incoming side. Add `;r2=on`
        to both. Returns 1, or -1 when the message has one already."""
        ...

    @staticmethod
    def record_route_preset_one(addr1: str, /) -> int:
        r"""Record-Route with this text as address (`host:port;params`, no scheme), whatever the socket. Returns 1, or -1 when the message
        has one already."""
        ...

    @staticmethod
    def remove_record_route() -> int:
        r"""Takes back what `record_route` and its variants added to this message. Returns 1."""
        ...

rr: _rr

class _rtpengine:
    """`KSR.rtpengine`"""

    @staticmethod
    def block_dtmf(flags: str, /) -> int:
        r"""As `block_dtmf0`, with flags."""
        ...

    @staticmethod
    def block_dtmf0() -> int:
        r"""The relay sends no DTMF events on, as `block_media`. Returns 1 or -1."""
        ...

    @staticmethod
    def block_dtmf2(flags: str, via_branch: str, /) -> int:
        r"""As `block_dtmf`, with the kind of `via-branch` as an argument; empty: none."""
        ...

    @staticmethod
    def block_media(flags: str, /) -> int:
        r"""As `block_media0`, with flags."""
        ...

    @staticmethod
    def block_media0() -> int:
        r"""The relay sends no media on, for the whole call or, with flag `directional`, those of the sender. Returns 1 or -1."""
        ...

    @staticmethod
    def block_media2(flags: str, via_branch: str, /) -> int:
        r"""As `block_media`, with the kind of `via-branch` as an argument; empty: none."""
        ...

    @staticmethod
    def play_dtmf(flags: str, /) -> int:
        r"""Plays a DTMF event as if the sender had: `code=1 duration=250 volume=-8 pause=100`. Returns 1 or -1."""
        ...

    @staticmethod
    def play_media(flags: str, /) -> int:
        r"""Plays to the sender, or to the side that `from-tag=` names: `file=/x.wav`, `db-id=7`. Its length goes to `media_duration`. Returns 1 or
        -1."""
        ...

    @staticmethod
    def play_media2(flags: str, via_branch: str, /) -> int:
        r"""As `play_media`, with the kind of `via-branch` as an argument; empty: none."""
        ...

    @staticmethod
    def rtpengine_answer(flags: str, /) -> int:
        r"""As `rtpengine_answer0`, with the flags of `rtpengine_manage`."""
        ...

    @staticmethod
    def rtpengine_answer0() -> int:
        r"""Gives the SDP of this message to the relay as the answer and takes what it makes of it. Returns 1, or -1 also without To tag."""
        ...

    @staticmethod
    def rtpengine_answer2(flags: str, via_branch: str, /) -> int:
        r"""As `rtpengine_answer`, with the kind of `via-branch` as an argument; empty: none."""
        ...

    @staticmethod
    def rtpengine_connect(flags: str, /) -> int:
        r"""As `rtpengine_connect0`, with flags."""
        ...

    @staticmethod
    def rtpengine_connect0() -> int:
        r"""Connects two sides of different calls that the relay knows: From tag and To tag, or flags `from-tag=` and `to-tag=`. Returns 1 or -1."""
        ...

    @staticmethod
    def rtpengine_connect2(flags: str, via_branch: str, /) -> int:
        r"""As `rtpengine_connect`, with the kind of `via-branch` as an argument; empty: none."""
        ...

    @staticmethod
    def rtpengine_delete(flags: str, /) -> int:
        r"""As `rtpengine_delete0`, with flags."""
        ...

    @staticmethod
    def rtpengine_delete0() -> int:
        r"""Ends the call at the relay. Returns 1, or -1 when no relay does it."""
        ...

    @staticmethod
    def rtpengine_delete2(flags: str, via_branch: str, /) -> int:
        r"""As `rtpengine_delete`, with the kind of `via-branch` as an argument; empty: none."""
        ...

    @staticmethod
    def rtpengine_manage(flags: str, /) -> int:
        r"""As `rtpengine_manage0`, with flags separated by blanks: `replace-origin`, `ICE=remove`, `direction=priv direction=pub`, `RTP/SAVPF`,
        `via-branch=1`, `to-tag`, `from-tag=...`, `call-id=...` and all that the relay knows."""
        ...

    @staticmethod
    def rtpengine_manage0() -> int:
        r"""Does what a message needs: an INVITE, UPDATE or PRACK with SDP is offered, an ACK or a reply with SDP is the answer (the offer,
        when the INVITE had none), BYE, CANCEL, failure routes and replies from 300 on end the call.

        Waits for the relay. Returns 1 also when nothing was to be done, -1 for other messages or when no relay does it."""
        ...

    @staticmethod
    def rtpengine_manage2(flags: str, via_branch: str, /) -> int:
        r"""As `rtpengine_manage`, with the kind of `via-branch` as an argument; empty: none."""
        ...

    @staticmethod
    def rtpengine_offer(flags: str, /) -> int:
        r"""As `rtpengine_offer0`, with the flags of `rtpengine_manage`."""
        ...

    @staticmethod
    def rtpengine_offer0() -> int:
        r"""Gives the SDP of this message to the relay as an offer and takes what it makes of it.

        Waits for the relay. Returns 1, or -1 when there is no SDP or no relay does it."""
        ...

    @staticmethod
    def rtpengine_offer2(flags: str, via_branch: str, /) -> int:
        r"""As `rtpengine_offer`, with the kind of `via-branch` as an argument; empty: none."""
        ...

    @staticmethod
    def rtpengine_query(flags: str, /) -> int:
        r"""As `rtpengine_query0`, with flags."""
        ...

    @staticmethod
    def rtpengine_query0() -> int:
        r"""Asks the relay about the call: variables of the MOS parameters are set. Returns 1 or -1."""
        ...

    @staticmethod
    def rtpengine_query2(flags: str, via_branch: str, /) -> int:
        r"""As `rtpengine_query`, with the kind of `via-branch` as an argument; empty: none."""
        ...

    @staticmethod
    def rtpengine_query_v(fmt: str, pv: str, /) -> int:
        r"""Asks the relay about the call and writes the answer to a variable as JSON: `fmt` `j` in one line, `jp` with line breaks. Returns 1 or
        -1."""
        ...

    @staticmethod
    def rtpengine_subscribe_answer(flags: str, /) -> int:
        r"""Gives the SDP of this message to the relay, as the third party's answer to the offer of `rtpengine_subscribe_request`; flags name
        the call with `call-id=`, unless this message belongs to it, and the third party with `to-tag=`. The relay sends the copies from then
        on; with `allow-transcoding` also when the third party took only some of the codecs.

        Waits for the relay. Returns 1, or -1 when there is no SDP or no `to-tag=`, or no relay does it."""
        ...

    @staticmethod
    def rtpengine_subscribe_request(flags: str, sdp_avp: str, to_tag_avp: str, stream_xavp: str, /) -> int:
        r"""Asks the relay for a copy of the call's media: of the sender of this message, of the sides that `from-tags=` names (also several
        times), or of both with `all`; `siprec` numbers the streams. `sdp_avp` gets the offer for the third party, `to_tag_avp` the tag it has
        in the call from now on (`to-tag=` chooses it), the XAVP `stream_xavp` a value for each side with its `tag` and the `label` of each
        stream.

        Waits for the relay. Returns 1, or -1 when no relay does it."""
        ...

    @staticmethod
    def rtpengine_unsubscribe(flags: str, /) -> int:
        r"""Ends the copies to the third party of `to-tag=`, with the flags of `rtpengine_subscribe_answer`. Returns 1 or -1; 1 also when the relay
        knows no such tag."""
        ...

    @staticmethod
    def set_rtpengine_set(set: int, /) -> int:
        r"""The set of nodes for further functions in this message. Returns 1, or -1 when there is no such set."""
        ...

    @staticmethod
    def set_rtpengine_set2(set: int, second: int, /) -> int:
        r"""As `set_rtpengine_set`, with a second set that offers and answers go to after the first: one relay for each side."""
        ...

    @staticmethod
    def silence_media(flags: str, /) -> int:
        r"""As `silence_media0`, with flags."""
        ...

    @staticmethod
    def silence_media0() -> int:
        r"""The relay sends silence in place of media, as `block_media`. Returns 1 or -1."""
        ...

    @staticmethod
    def silence_media2(flags: str, via_branch: str, /) -> int:
        r"""As `silence_media`, with the kind of `via-branch` as an argument; empty: none."""
        ...

    @staticmethod
    def start_forwarding(flags: str, /) -> int:
        r"""As `start_forwarding0`, with flags."""
        ...

    @staticmethod
    def start_forwarding0() -> int:
        r"""The relay sends copies of the media to its recording daemon, as `block_media`. Returns 1 or -1."""
        ...

    @staticmethod
    def start_forwarding2(flags: str, via_branch: str, /) -> int:
        r"""As `start_forwarding`, with the kind of `via-branch` as an argument; empty: none."""
        ...

    @staticmethod
    def start_recording() -> int:
        r"""Records the call at the relay. Returns 1 or -1."""
        ...

    @staticmethod
    def stop_forwarding(flags: str, /) -> int:
        r"""As `stop_forwarding0`, with flags."""
        ...

    @staticmethod
    def stop_forwarding0() -> int:
        r"""Ends what `start_forwarding` began. Returns 1 or -1."""
        ...

    @staticmethod
    def stop_forwarding2(flags: str, via_branch: str, /) -> int:
        r"""As `stop_forwarding`, with the kind of `via-branch` as an argument; empty: none."""
        ...

    @staticmethod
    def stop_media(flags: str, /) -> int:
        r"""As `stop_media0`, with flags."""
        ...

    @staticmethod
    def stop_media0() -> int:
        r"""Ends what `play_media` plays. Returns 1 or -1."""
        ...

    @staticmethod
    def stop_media2(flags: str, via_branch: str, /) -> int:
        r"""As `stop_media`, with the kind of `via-branch` as an argument; empty: none."""
        ...

    @staticmethod
    def stop_recording() -> int:
        r"""Ends the recording of the call. Returns 1 or -1."""
        ...

    @staticmethod
    def unblock_dtmf(flags: str, /) -> int:
        r"""As `unblock_dtmf0`, with flags."""
        ...

    @staticmethod
    def unblock_dtmf0() -> int:
        r"""Ends what `block_dtmf` began. Returns 1 or -1."""
        ...

    @staticmethod
    def unblock_dtmf2(flags: str, via_branch: str, /) -> int:
        r"""As `unblock_dtmf`, with the kind of `via-branch` as an argument; empty: none."""
        ...

    @staticmethod
    def unblock_media(flags: str, /) -> int:
        r"""As `unblock_media0`, with flags."""
        ...

    @staticmethod
    def unblock_media0() -> int:
        r"""Ends what `block_media` began; flag `all`: for all sides. Returns 1 or -1."""
        ...

    @staticmethod
    def unblock_media2(flags: str, via_branch: str, /) -> int:
        r"""As `unblock_media`, with the kind of `via-branch` as an argument; empty: none."""
        ...

    @staticmethod
    def unsilence_media(flags: str, /) -> int:
        r"""As `unsilence_media0`, with flags."""
        ...

    @staticmethod
    def unsilence_media0() -> int:
        r"""Ends what `silence_media` began. Returns 1 or -1."""
        ...

    @staticmethod
    def unsilence_media2(flags: str, via_branch: str, /) -> int:
        r"""As `unsilence_media`, with the kind of `via-branch` as an argument; empty: none."""
        ...

rtpengine: _rtpengine

class _rtpproxy:
    """`KSR.rtpproxy`"""

    @staticmethod
    def rtpproxy_answer(flags: str, /) -> int:
        r"""As `rtpproxy_answer0`, with the flags of `rtpproxy_manage`."""
        ...

    @staticmethod
    def rtpproxy_answer0() -> int:
        r"""Makes the SDP of this reply or ACK go through the relay, as the answer. Returns as `rtpproxy_offer0`."""
        ...

    @staticmethod
    def rtpproxy_answer_ip(flags: str, ip: str, /) -> int:
        r"""As `rtpproxy_answer`, with this address in the SDP in place of the relay's."""
        ...

    @staticmethod
    def rtpproxy_destroy(flags: str, /) -> int:
        r"""As `rtpproxy_destroy0`, with flags `1` `2` `3` `b` `t` of `rtpproxy_manage`."""
        ...

    @staticmethod
    def rtpproxy_destroy0() -> int:
        r"""Ends the session of the call. Returns 1, or -3 when no relay answers."""
        ...

    @staticmethod
    def rtpproxy_manage(flags: str, /) -> int:
        r"""As `rtpproxy_manage0`, with flags: `c` the session's `c=` too when streams have their own, `o` the address in `o=` (always done),
        `r` trust addresses in the SDP, `a` asymmetric, `w` symmetric by force, `i` `e` interfaces, `x` interfaces by address family, `f`
        although it is marked, `l` only a session that is there, `1` `2` `3` `b` the branch (or `extra_id_pv`) behind the Call-ID, `zNN`
        milliseconds in a packet, `t` end the call whatever the To tag."""
        ...

    @staticmethod
    def rtpproxy_manage0() -> int:
        r"""Does what a message needs: an INVITE, UPDATE or PRACK with SDP is offered, an ACK or a reply with SDP is the answer (the offer, when
        the INVITE had none), BYE, CANCEL, failure routes and replies from 300 on end the session.

        Waits for the relay. Returns 1 also when nothing was to be done, -1 for other messages, -2 when the SDP went through a relay
        already, -3 when no relay answers."""
        ...

    @staticmethod
    def rtpproxy_manage_ip(flags: str, ip: str, /) -> int:
        r"""As `rtpproxy_manage`, with this address in the SDP in place of the relay's."""
        ...

    @staticmethod
    def rtpproxy_offer(flags: str, /) -> int:
        r"""As `rtpproxy_offer0`, with the flags of `rtpproxy_manage`."""
        ...

    @staticmethod
    def rtpproxy_offer0() -> int:
        r"""Makes the SDP of this message go through the relay, as an offer.

        Waits for the relay. Returns 1, -1 when there is no SDP or the relay refuses, -2 when it went through a relay already, -3 when no
        relay answers."""
        ...

    @staticmethod
    def rtpproxy_offer_ip(flags: str, ip: str, /) -> int:
        r"""As `rtpproxy_offer`, with this address in the SDP in place of the relay's."""
        ...

    @staticmethod
    def rtpproxy_stop_stream2uac() -> int:
        r"""Ends what `rtpproxy_stream2uac` plays."""
        ...

    @staticmethod
    def rtpproxy_stop_stream2uas() -> int:
        r"""Ends what `rtpproxy_stream2uas` plays."""
        ...

    @staticmethod
    def rtpproxy_stream2uac(prompt: str, count: int, /) -> int:
        r"""Plays a prompt (a file of the relay) to the caller, `count` times, -1 for ever. Returns 1, -1 when the relay refuses, -3 when none
        answers."""
        ...

    @staticmethod
    def rtpproxy_stream2uas(prompt: str, count: int, /) -> int:
        r"""Plays a prompt to the callee; as `rtpproxy_stream2uac`."""
        ...

    @staticmethod
    def set_rtpproxy_set(rset: int, /) -> int:
        r"""The set of nodes for further functions in this message. Returns 1, or -1 when there is no such set."""
        ...

    @staticmethod
    def start_recording() -> int:
        r"""Records the session at the relay. Returns 1, -1 when it refuses, -3 when no relay answers."""
        ...

rtpproxy: _rtpproxy

class _sanity:
    """`KSR.sanity`"""

    @staticmethod
    def sanity_check(mflags: int, uflags: int, /) -> int:
        r"""Checks the request and, when something is wrong, answers it.

        `mflags` is a sum of: 1 SIP version (505), 2 scheme of the Request-URI (400, 416), 4 required headers, 32 CSeq method, 64 CSeq
        number, 128 Content-Length, 256 Expires, 512 Proxy-Require (420 with Unsupported), 1024 URIs can be read, 2048 digest
        credentials, 4096 one tag only in From and To, 8192 digest credentials (other schemes pass), 16384 topmost Via. `uflags`
        says which URIs: 1 Request-URI, 2 From, 4 To, 8 Contact. Returns 1, or -1 when the request was refused (and, unless
        `noreply` is set, answered). RFC 3261 §8.2, §16.3."""
        ...

    @staticmethod
    def sanity_check_defaults() -> int:
        r"""As `sanity_check` with the parameters `default_checks` and `uri_checks`. Returns 1 or -1."""
        ...

    @staticmethod
    def sanity_reply() -> int:
        r"""With `noreply`: sends the answer the last failed check of this request deserves. Returns 1, also when there is nothing to send."""
        ...

sanity: _sanity

class _sdpops:
    """`KSR.sdpops`"""

    @staticmethod
    def keep_codecs_by_id(codecs: str, media: str, /) -> int:
        r"""Removes all codecs but these, by payload type number. Returns as `remove_codecs_by_name`."""
        ...

    @staticmethod
    def keep_codecs_by_name(codecs: str, media: str, /) -> int:
        r"""Removes all codecs but these, by name. Returns as `remove_codecs_by_name`."""
        ...

    @staticmethod
    def remove_codecs_by_id(codecs: str, media: str, /) -> int:
        r"""As `remove_codecs_by_name`, by payload type number."""
        ...

    @staticmethod
    def remove_codecs_by_name(codecs: str, media: str, /) -> int:
        r"""Removes codecs by name (comma list) from streams of a kind; empty: from all. With them go their `a=rtpmap`, `a=fmtp`,
        `a=rtcp-fb`. Returns 0, or -1 without SDP or when no stream has one of them."""
        ...

    @staticmethod
    def remove_line_by_prefix(prefix: str, media: str, /) -> int:
        r"""Removes lines that begin with a text from streams of a kind (`audio`); empty: from everywhere. Returns how many, -1 without SDP."""
        ...

    @staticmethod
    def remove_media(media: str, /) -> int:
        r"""Removes the streams of a kind (`video`). Returns how many. RFC 3264 §6 wants as many streams in the answer as in the offer."""
        ...

    @staticmethod
    def sdp_content() -> int:
        r"""Whether the message has SDP: its body, or a part of it. Returns 1 or -1."""
        ...

    @staticmethod
    def sdp_content_flags(flags: int, /) -> int:
        r"""As `sdp_content`; with flags other than 0 only Content-Type is looked at, of the message or of a part."""
        ...

    @staticmethod
    def sdp_get(pv: str, /) -> int:
        r"""Writes the SDP to a variable. Returns 1, -2 without SDP, -1 when the variable cannot be written."""
        ...

    @staticmethod
    def sdp_get_address_family() -> int:
        r"""Family of the first `c=` address: 4 or 6; -1 when there is none."""
        ...

    @staticmethod
    def sdp_get_line_startswith(pv: str, start: str, /) -> int:
        r"""Writes the first line that begins with a text to a variable. Returns 1, -1 when there is none, -2 without SDP."""
        ...

    @staticmethod
    def sdp_iterator_append(iname: str, text: str, /) -> int:
        r"""Adds text (with its line end) behind the line an iterator stands on. Returns 1, or -1 when it stands on none."""
        ...

    @staticmethod
    def sdp_iterator_end(iname: str, /) -> int:
        r"""Closes an iterator. Returns 1, or -1 when it is not open."""
        ...

    @staticmethod
    def sdp_iterator_insert(iname: str, text: str, /) -> int:
        r"""Adds text (with its line end) before the line an iterator stands on. Returns 1, or -1 when it stands on none."""
        ...

    @staticmethod
    def sdp_iterator_next(iname: str, /) -> int:
        r"""Moves to the next line; to the first one right after the start. Returns 1, or -1 at the end."""
        ...

    @staticmethod
    def sdp_iterator_rm(iname: str, /) -> int:
        r"""Removes the line an iterator stands on. Returns 1, or -1 when it stands on none."""
        ...

    @staticmethod
    def sdp_iterator_start(iname: str, /) -> int:
        r"""Opens an iterator over the lines of the SDP, before the first one. Four can be open in a worker. Returns 1, or -1 without SDP or when
        there are too many."""
        ...

    @staticmethod
    def sdp_iterator_value(iname: str, /) -> Xval:
        r"""The line an iterator stands on, with its line end; null when it stands on none."""
        ...

    @staticmethod
    def sdp_print(level: int, /) -> int:
        r"""Logs how the SDP was understood, at this level (-5 to 3). Returns 1."""
        ...

    @staticmethod
    def sdp_transport(pv: str, /) -> int:
        r"""Writes the transport of all streams to a variable. Returns 1, -2 when they have different ones, -1 without SDP."""
        ...

    @staticmethod
    def sdp_with_active_media(media: str, /) -> int:
        r"""Whether the SDP has a stream of a kind that is not refused (port 0) and not inactive. Returns 1 or 0."""
        ...

    @staticmethod
    def sdp_with_codecs_by_id(codecs: str, /) -> int:
        r"""Whether streams have codecs of a comma list of payload type numbers. Returns 1 when every stream has all, 2 when some have some, 0
        none, -1 without SDP."""
        ...

    @staticmethod
    def sdp_with_codecs_by_name(codecs: str, /) -> int:
        r"""As `sdp_with_codecs_by_id`, by name; -1 also when no stream has one of them."""
        ...

    @staticmethod
    def sdp_with_ice() -> int:
        r"""Whether the SDP has ICE candidates (RFC 8839). Returns 1 or -1."""
        ...

    @staticmethod
    def sdp_with_media(media: str, /) -> int:
        r"""Whether the SDP has a stream of a kind (`audio`, `video`). Returns 1 or 0."""
        ...

    @staticmethod
    def sdp_with_transport(transport: str, /) -> int:
        r"""Whether a stream has this transport (`RTP/AVP`). Returns 1 or -1."""
        ...

    @staticmethod
    def sdp_with_transport_like(part: str, /) -> int:
        r"""Whether a stream's transport has this text in it (`AVPF`). Returns 1 or -1."""
        ...

sdpops: _sdpops

class _siputils:
    """`KSR.siputils`"""

    @staticmethod
    def add_uri_param(sparam: str, /) -> int:
        r"""Adds a parameter (`name=value` or `name`) to the Request-URI, before its headers. Returns 1; -1 when the Request-URI cannot be read."""
        ...

    @staticmethod
    def cmp_aor(s1: str, s2: str, /) -> int:
        r"""Compares user, host and port of two URIs: the same address of record. Returns 1, -1 when not, -2 when one cannot be read."""
        ...

    @staticmethod
    def cmp_hdr_name(s1: str, s2: str, /) -> int:
        r"""Whether two texts name the same header: without case, compact forms included. Returns 1 or -2."""
        ...

    @staticmethod
    def cmp_uri(s1: str, s2: str, /) -> int:
        r"""Compares two URIs by RFC 3261 §19.1.4. Returns 1 when they are equivalent, -1 when not, -2 when one cannot be read."""
        ...

    @staticmethod
    def contact_param_check(nparam: str, /) -> int:
        r"""Whether a Contact URI has this parameter. Returns 1 or -1."""
        ...

    @staticmethod
    def contact_param_decode(nparam: str, /) -> int:
        r"""Restores every Contact URI from the parameter that `contact_param_encode` made. Contacts without it stay. Returns 1, or -1
        when a Contact cannot be read."""
        ...

    @staticmethod
    def contact_param_decode_ruri(nparam: str, /) -> int:
        r"""Restores the Request-URI from the parameter that `contact_param_encode` made. Returns 1; -1 when it has no such parameter."""
        ...

    @staticmethod
    def contact_param_encode(nparam: str, saddr: str, /) -> int:
        r"""Replaces every Contact URI by `saddr` (a URI) with a parameter `nparam` that holds the old one in base64url.

        Returns 1, or -1 when a Contact cannot be read."""
        ...

    @staticmethod
    def contact_param_encode_alias(nparam: str, saddr: str, /) -> int:
        r"""As `contact_param_encode`, where the encoded URI first gets an `alias` parameter with the sender's address, port and transport."""
        ...

    @staticmethod
    def contact_param_rm(nparam: str, /) -> int:
        r"""Removes a parameter from every Contact URI. Returns 1, or -1 when a Contact cannot be read."""
        ...

    @staticmethod
    def decode_contact() -> int:
        r"""Restores the Request-URI from what `encode_contact` made. Returns 1, or a negative number when it has not that form."""
        ...

    @staticmethod
    def decode_contact_header() -> int:
        r"""Restores every Contact URI from what `encode_contact` made. Returns 1, or a negative number when one has not that form."""
        ...

    @staticmethod
    def encode_contact(eprefix: str, eaddr: str, /) -> int:
        r"""Replaces every Contact URI by `sip:PREFIX*user*password*host*port*transport@HOSTPART`.

        Other parameters are lost. Returns 1, or a negative number when a Contact cannot be read."""
        ...

    @staticmethod
    def has_totag() -> int:
        r"""Whether To has a tag: a request within a dialog. Returns 1 or -1. RFC 3261 §12.2."""
        ...

    @staticmethod
    def hdr_date_check(tdiff: int, /) -> int:
        r"""Whether the Date header is not older than `tdiff` seconds.

        Returns 1; -1 without Date, -3 when it cannot be read, -4 when it is older. RFC 3261 §20.17."""
        ...

    @staticmethod
    def is_alphanum(stval: str, /) -> int:
        r"""Whether the text is ASCII letters and digits only. Returns 1 or -3."""
        ...

    @staticmethod
    def is_alphanumex(stval: str, seset: str, /) -> int:
        r"""Whether the text is ASCII letters, digits and characters of `seset` only. Returns 1 or -3."""
        ...

    @staticmethod
    def is_first_hop() -> int:
        r"""Whether this server is the first behind the sender; as `is_first_hop_mode(0)`."""
        ...

    @staticmethod
    def is_first_hop_mode(mode: int, /) -> int:
        r"""Whether this server is the first behind the sender.

        A request: it has one Via. A reply: its topmost Record-Route is this server and, unless `mode` is 1, it has an IP address and the
        reply did not come from one of our own. Returns 1 or -1. Spirals are not seen."""
        ...

    @staticmethod
    def is_gruu() -> int:
        r"""Whether the Request-URI is a GRUU (RFC 5627). Returns 1 for a public one (`gr` with a value), 2 for a temporary one, -1 otherwise."""
        ...

    @staticmethod
    def is_http() -> int:
        r"""Whether the message is HTTP: always -1, HTTP does not come to routes here."""
        ...

    @staticmethod
    def is_numeric(stval: str, /) -> int:
        r"""Whether the text is digits only. Returns 1 or -2."""
        ...

    @staticmethod
    def is_reply() -> int:
        r"""Whether the message is a reply. Returns 1 or -1."""
        ...

    @staticmethod
    def is_request() -> int:
        r"""Whether the message is a request. Returns 1 or -1."""
        ...

    @staticmethod
    def is_sip() -> int:
        r"""Whether the message is SIP: always 1."""
        ...

    @staticmethod
    def is_tel_number(stval: str, /) -> int:
        r"""Whether the text is a telephone number: digits, with one `+` before them or without. Returns 1 or -2."""
        ...

    @staticmethod
    def is_uri(suri: str, /) -> int:
        r"""Whether the text is a URI. Returns 1 or -1. RFC 3261 §19.1, RFC 3966."""
        ...

    @staticmethod
    def is_user(suser: str, /) -> int:
        r"""Whether the user name in the request's digest credentials is this. Returns 1 or -1; -1 without credentials."""
        ...

    @staticmethod
    def options_reply() -> int:
        r"""Answers an OPTIONS for this server itself (no user in the Request-URI) with 200 and the capabilities of the parameters.

        Returns 1; -1 for other requests or when it could not be sent. RFC 3261 §11.2."""
        ...

    @staticmethod
    def sip_parse_headers() -> int:
        r"""Reads all headers. Returns 1, or -1 when one that RFC 3261 requires is missing or wrong."""
        ...

    @staticmethod
    def uri_param(sparam: str, /) -> int:
        r"""Whether the Request-URI has this parameter without a value. Returns 1 or -1."""
        ...

    @staticmethod
    def uri_param_any(sparam: str, /) -> int:
        r"""Whether the Request-URI has this parameter, with or without a value. Returns 1 or -1."""
        ...

    @staticmethod
    def uri_param_rm(sparam: str, /) -> int:
        r"""Removes a parameter from the Request-URI. Returns 1, also when it was not there; -1 when the Request-URI cannot be read."""
        ...

    @staticmethod
    def uri_param_value(sparam: str, svalue: str, /) -> int:
        r"""Whether the Request-URI has this parameter with this value. Returns 1 or -1."""
        ...

siputils: _siputils

class _sl:
    """`KSR.sl`"""

    @staticmethod
    def send_reply(code: int, reason: str, /) -> int:
        r"""Answers the request: within its transaction when there is one, else as `sl_send_reply`.

        Returns 1; -1 when it could not be sent, for an ACK, or when the transaction has its final reply already."""
        ...

    @staticmethod
    def send_reply_error() -> int:
        r"""As `sl_reply_error`, within the transaction when there is one. Returns 1, or -1 when it could not be sent."""
        ...

    @staticmethod
    def send_reply_mode(code: int, reason: str, mode: int, /) -> int:
        r"""As `send_reply`; `mode` adds 1: open no connection for the reply, 2: close the connection after it."""
        ...

    @staticmethod
    def sl_forward_reply(code: str, reason: str, /) -> int:
        r"""Forwards the received reply now, without its transaction; `code` and `reason`, when not empty, replace those of the status line.

        The new code must be of the same class. The reply is forwarded again when the route ends, unless it is dropped. Returns 1; -1
        for a request, another class, or when the Via below ours has no address."""
        ...

    @staticmethod
    def sl_reply_error() -> int:
        r"""Answers, without a transaction, with the cause of the last failure (478 for a name that cannot be resolved, ...), else with
        `default_code` and `default_reason`. Returns 1, or -1 when it could not be sent."""
        ...

    @staticmethod
    def sl_send_reply(code: int, reason: str, /) -> int:
        r"""Answers the request without a transaction, once and without retransmissions.

        For a 3xx the destination set (the Request-URI when it was changed, and the branches) goes into Contact. Returns 1; -1 for
        an ACK, for a reply, or when it could not be sent. RFC 3261 §16.11."""
        ...

sl: _sl

class _statistics:
    """`KSR.statistics`"""

    @staticmethod
    def reset_stat(sname: str, /) -> int:
        r"""Sets a statistic to 0, unless it was defined with `no_reset`. Returns 1, or -1 when there is none of that name."""
        ...

    @staticmethod
    def update_stat(sname: str, sval: int, /) -> int:
        r"""Adds to a statistic, of the script or any other that is kept. Returns 1, or -1 when there is none of that name."""
        ...

statistics: _statistics

class _textops:
    """`KSR.textops`"""

    @staticmethod
    def append_body_part(txt: str, ctype: str, /) -> int:
        r"""Appends a part to a multipart body; further header rows may follow the media type, separated by CRLF. Returns 1, or -1 when the body
        is not multipart."""
        ...

    @staticmethod
    def append_body_part_cd(txt: str, ctype: str, cdisp: str, /) -> int:
        r"""As `append_body_part`, with a Content-Disposition."""
        ...

    @staticmethod
    def append_body_part_hex(htxt: str, ctype: str, /) -> int:
        r"""As `append_body_part`, with the content in hexadecimal digits. Returns -1 also when it is not such a text."""
        ...

    @staticmethod
    def append_body_part_hex_cd(htxt: str, ctype: str, cdisp: str, /) -> int:
        r"""As `append_body_part_hex`, with a Content-Disposition."""
        ...

    @staticmethod
    def cmp_istr(s1: str, s2: str, /) -> int:
        r"""As `cmp_str`, letters in either case."""
        ...

    @staticmethod
    def cmp_str(s1: str, s2: str, /) -> int:
        r"""Compares two texts. Returns 1 when they are equal, -1 when the first comes behind the second, -2 when it comes before it."""
        ...

    @staticmethod
    def ends_with(s1: str, s2: str, /) -> int:
        r"""Whether the first text ends with the second. Returns 1; -1 when it is shorter, else how they compare, as `cmp_str`."""
        ...

    @staticmethod
    def filter_body(content_type: str, /) -> int:
        r"""Leaves of a multipart body only the first part of this media type. Content-Type stays: replace it. Returns 1, or -1 when there is no
        such part."""
        ...

    @staticmethod
    def get_body_part(ctype: str, pvname: str, /) -> int:
        r"""Puts the content of the first part of this media type into a pseudo-variable; a body that is not multipart as it is, whatever its
        type. Returns 1, or -1 when there is none."""
        ...

    @staticmethod
    def get_body_part_raw(ctype: str, pvname: str, /) -> int:
        r"""As `get_body_part`, with the header rows of the part."""
        ...

    @staticmethod
    def has_body() -> int:
        r"""Whether the message has a body. Returns 1 or -1."""
        ...

    @staticmethod
    def has_body_type(ctype: str, /) -> int:
        r"""Whether the message has a body of this media type (`application/sdp`). Returns 1 or -1."""
        ...

    @staticmethod
    def in_list(subject: str, list: str, sep: str, /) -> int:
        r"""Whether a text is an element of a list; `sep` is one character. White space around elements does not count. Returns 1 or -1."""
        ...

    @staticmethod
    def in_list_prefix(subject: str, list: str, sep: str, /) -> int:
        r"""Whether an element of a list is how a text begins; `sep` is one character. Returns 1 or -1."""
        ...

    @staticmethod
    def is_audio_on_hold() -> int:
        r"""Whether an audio stream of the SDP is on hold. Returns 1 for a null address (RFC 2543), 2 for `sendonly` or `inactive` (RFC 3264), -1
        when none is."""
        ...

    @staticmethod
    def is_present_hf(hname: str, /) -> int:
        r"""Whether the message has a header of this name, compact forms included. Returns 1 or -1."""
        ...

    @staticmethod
    def is_present_hf_re(ematch: str, /) -> int:
        r"""Whether the name of a header matches a regular expression. Returns 1 or -1."""
        ...

    @staticmethod
    def is_privacy(privacy: str, /) -> int:
        r"""Whether Privacy asks for this: `header session user none critical id history` (RFC 3323, RFC 3325). Returns 1 or -1."""
        ...

    @staticmethod
    def regex_substring(input: str, regex: str, mindex: int, nmatch: int, dst: str, /) -> int:
        r"""Matches a regular expression with groups; group `mindex` (0 is the whole match) goes into a pseudo-variable. `nmatch` is how many
        groups to look at. Returns 1; -2 when nothing matches, -1 for a group that is not there."""
        ...

    @staticmethod
    def remove_body_part(ctype: str, /) -> int:
        r"""Removes the first part of this media type from a multipart body. Returns 1, or -1 when there is none."""
        ...

    @staticmethod
    def remove_hf(hname: str, /) -> int:
        r"""Removes all rows of a header, compact forms included. Returns 1, also when there was none."""
        ...

    @staticmethod
    def remove_hf_exp(ematch: str, eskip: str, /) -> int:
        r"""Removes all rows whose name matches the first regular expression and not the second. Returns 1, or -1 when there is none."""
        ...

    @staticmethod
    def remove_hf_idx(hname: str, idx: int, /) -> int:
        r"""Removes the row of a header at an index: 0 is the first, -1 the last. Returns 1, or 2 when there is no such row."""
        ...

    @staticmethod
    def remove_hf_match(hname: str, op: str, expr: str, /) -> int:
        r"""Removes the rows of a header whose value fits: `op` is `eq` equal, `ne` not equal, `in` contains, `re` matches a regular
        expression. Returns 1; -2 when there is none, -1 for an unknown operator."""
        ...

    @staticmethod
    def remove_hf_re(regex: str, /) -> int:
        r"""Removes all rows whose name matches a regular expression. Returns 1, or -1 when there is none."""
        ...

    @staticmethod
    def replace(sre: str, sval: str, /) -> int:
        r"""Replaces the first match of a regular expression behind the first line. Returns 1, or -1 when nothing matches."""
        ...

    @staticmethod
    def replace_all(sre: str, sval: str, /) -> int:
        r"""Replaces every match of a regular expression behind the first line. Returns 1, or -1 when nothing matches."""
        ...

    @staticmethod
    def replace_body(sre: str, sval: str, /) -> int:
        r"""Replaces the first match of a regular expression in the body. Returns 1, or -1 when nothing matches."""
        ...

    @staticmethod
    def replace_body_all(sre: str, sval: str, /) -> int:
        r"""Replaces every match of a regular expression in the body, line by line. Returns 1, or -1 when nothing matches."""
        ...

    @staticmethod
    def replace_body_atonce(sre: str, sval: str, /) -> int:
        r"""Replaces every match of a regular expression in the body, over line ends. Returns 1, or -1 when nothing matches."""
        ...

    @staticmethod
    def replace_body_str(mkey: str, rval: str, mode: str, /) -> int:
        r"""Replaces a text in the body: `mode` `f` the first time, `a` every time. Returns 1, or -1 for an unknown mode."""
        ...

    @staticmethod
    def replace_hdrs(sre: str, sval: str, /) -> int:
        r"""Replaces the first match of a regular expression in the headers. Returns 1, or -1 when nothing matches."""
        ...

    @staticmethod
    def replace_hdrs_str(mkey: str, rval: str, mode: str, /) -> int:
        r"""Replaces a text in the headers: `mode` `f` the first time, `a` every time. Returns 1, or -1 for an unknown mode."""
        ...

    @staticmethod
    def replace_str(mkey: str, rval: str, mode: str, /) -> int:
        r"""Replaces a text behind the first line: `mode` `f` the first time, `a` every time. Returns 1, or -1 for an unknown mode."""
        ...

    @staticmethod
    def search(regex: str, /) -> int:
        r"""Whether a regular expression matches in the message behind its first line. Letters in either case, line by line. Returns 1 or -1."""
        ...

    @staticmethod
    def search_append(regex: str, text: str, /) -> int:
        r"""Puts text behind the first match of a regular expression in the message. Returns 1, or -1 when nothing matches."""
        ...

    @staticmethod
    def search_append_body(regex: str, text: str, /) -> int:
        r"""Puts text behind the first match of a regular expression in the body. Returns 1, or -1 when nothing matches."""
        ...

    @staticmethod
    def search_body(regex: str, /) -> int:
        r"""Whether a regular expression matches in the body. Returns 1 or -1."""
        ...

    @staticmethod
    def search_hf(hname: str, regex: str, flags: str, /) -> int:
        r"""Whether a regular expression matches in the values of a header: `flags` is `a` all rows, `f` the first, `l` the last. Returns 1 or -1."""
        ...

    @staticmethod
    def search_str(stext: str, regex: str, /) -> int:
        r"""Whether a regular expression matches in a text. Returns 1, -1 when not, -2 for an empty text."""
        ...

    @staticmethod
    def set_body(nb: str, nc: str, /) -> int:
        r"""Replaces the body and Content-Type of the message. Returns 1, or -1 when one of them is empty."""
        ...

    @staticmethod
    def set_body_hex(htxt: str, nc: str, /) -> int:
        r"""As `set_body`, with the body in hexadecimal digits; white space between them is skipped. Returns 1, or -1 when it is not such a text."""
        ...

    @staticmethod
    def set_body_multipart(nbody: str, ctype: str, delim: str, /) -> int:
        r"""Replaces the body by a multipart one with this part and this boundary. Returns 1, or -1 when one is empty."""
        ...

    @staticmethod
    def set_body_multipart_boundary(delim: str, /) -> int:
        r"""Makes the body the first part of a multipart one with this boundary. Returns 1, or -1 without a body."""
        ...

    @staticmethod
    def set_body_multipart_content(nbody: str, ctype: str, /) -> int:
        r"""Replaces the body by a multipart one with this part, with the boundary `unique-boundary-1`. Returns 1, or -1 when one is empty."""
        ...

    @staticmethod
    def set_body_multipart_mode() -> int:
        r"""Makes the body the first part of a multipart one, with the boundary `unique-boundary-1`. Returns 1, or -1 without a body."""
        ...

    @staticmethod
    def set_reply_body(nb: str, nc: str, /) -> int:
        r"""Gives replies that this server makes to the request a body and its Content-Type. Returns 1, or -1 when one of them is empty."""
        ...

    @staticmethod
    def set_reply_body_hex(htxt: str, nc: str, /) -> int:
        r"""As `set_reply_body`, with the body in hexadecimal digits. Returns 1, or -1 when it is not such a text."""
        ...

    @staticmethod
    def starts_with(s1: str, s2: str, /) -> int:
        r"""Whether the first text begins with the second. Returns 1; -1 when it is shorter, else how they compare, as `cmp_str`."""
        ...

    @staticmethod
    def str_all_in(s1: str, s2: str, /) -> int:
        r"""Whether all characters of the first text are in the second. Returns 1 or -1."""
        ...

    @staticmethod
    def str_any_in(s1: str, s2: str, /) -> int:
        r"""Whether any character of the second text is in the first. Returns 1 or -1."""
        ...

    @staticmethod
    def str_find(s1: str, s2: str, /) -> int:
        r"""Where the second text is in the first, counted from 1; -1 when it is not."""
        ...

    @staticmethod
    def str_ifind(s1: str, s2: str, /) -> int:
        r"""As `str_find`, letters in either case."""
        ...

    @staticmethod
    def subst(subex: str, /) -> int:
        r"""Substitutes in the message behind its first line: `/re/repl/flags` with `\0`..`\9`, `\u` (Request-URI) and pseudo-variables in
        `repl`, and flags `i` (letters in either case), `g` (every match), `s` (line ends are text). Returns 1, or -1 when nothing
        matches."""
        ...

    @staticmethod
    def subst_body(subex: str, /) -> int:
        r"""As `subst`, in the body. Returns 1, or -1 when nothing matches."""
        ...

    @staticmethod
    def subst_hf(hname: str, subex: str, flags: str, /) -> int:
        r"""As `subst`, in the values of a header: `flags` is `a` all rows, `f` the first, `l` the last. Returns 1, or -1 when nothing matches."""
        ...

    @staticmethod
    def subst_uri(subex: str, /) -> int:
        r"""As `subst`, in the Request-URI. Returns 1, or -1 when nothing matches or the result is not a URI."""
        ...

    @staticmethod
    def subst_user(subex: str, /) -> int:
        r"""As `subst`, in the user part of the Request-URI. Returns 1, or -1 when nothing matches."""
        ...

    @staticmethod
    def subst_v(itext: str, subex: str, opv: str, /) -> int:
        r"""As `subst`, in a text; the result goes into a pseudo-variable. Returns 1, or -1 when nothing matches."""
        ...

textops: _textops

class _textopsx:
    """`KSR.textopsx`"""

    @staticmethod
    def append_hf_value(hexp: str, val: str, /) -> int:
        r"""Adds a value behind the one that `hexp` names (`Header[2]`); without index, or when there is no such value, as a new row at the
        end. Returns 1, or -1 when `hexp` is not of that form."""
        ...

    @staticmethod
    def assign_hf_value(hexp: str, val: str, /) -> int:
        r"""Replaces the value or the parameter that `hexp` names (`Header[2].param`, without index the first); a parameter that is not
        there is added, an empty text leaves it without value. Returns 1, or -1 when there is no such value."""
        ...

    @staticmethod
    def assign_hf_value2(hexp: str, val: str, /) -> int:
        r"""As `assign_hf_value`, for headers like Authorization where commas stand between parameters: a row is one value."""
        ...

    @staticmethod
    def bl_iterator_append(iname: str, text: str, /) -> int:
        r"""Adds text behind the line the iterator stands on. Returns 1, or -1 when it stands on none."""
        ...

    @staticmethod
    def bl_iterator_end(iname: str, /) -> int:
        r"""Closes a body line iterator. Returns 1, or -1 when it is not open."""
        ...

    @staticmethod
    def bl_iterator_insert(iname: str, text: str, /) -> int:
        r"""Adds text before the line the iterator stands on. Returns 1, or -1 when it stands on none."""
        ...

    @staticmethod
    def bl_iterator_next(iname: str, /) -> int:
        r"""Moves to the next line; to the first one right after the start. Returns 1, or -1 at the end."""
        ...

    @staticmethod
    def bl_iterator_rm(iname: str, /) -> int:
        r"""Removes the line the iterator stands on. Returns 1, or -1 when it stands on none."""
        ...

    @staticmethod
    def bl_iterator_start(iname: str, /) -> int:
        r"""Opens an iterator over the lines of the body, before the first one. Four can be open in a worker. Returns 1, or -1 when there are too
        many."""
        ...

    @staticmethod
    def bl_iterator_value(iname: str, /) -> Xval:
        r"""The line the iterator stands on, with its line end; null when it stands on none."""
        ...

    @staticmethod
    def change_reply_status(code: int, reason: str, /) -> int:
        r"""Changes code and reason of the reply before it is forwarded. The class of 1xx and 2xx stays. Returns 1 or -1."""
        ...

    @staticmethod
    def change_reply_status_code(code: int, /) -> int:
        r"""As `change_reply_status`, for the code only. Returns 1 or -1."""
        ...

    @staticmethod
    def exclude_hf_value(hexp: str, val: str, /) -> int:
        r"""Removes a value from a header's list if it is there. Returns 1."""
        ...

    @staticmethod
    def fnmatch(val: str, matchex: str, /) -> int:
        r"""Whether a text matches a shell pattern (`* ? [a-z]`). Returns 0 when it does, else -1: test with `>= 0`."""
        ...

    @staticmethod
    def fnmatch_ex(val: str, matchex: str, flags: str, /) -> int:
        r"""As `fnmatch`; with `i` in `flags` letters match in either case."""
        ...

    @staticmethod
    def hf_iterator_append(iname: str, htext: str, /) -> int:
        r"""Adds rows (with CRLF) behind the one the iterator stands on. Returns 1, or -1 when it stands on none."""
        ...

    @staticmethod
    def hf_iterator_end(iname: str, /) -> int:
        r"""Closes a header iterator. Returns 1, or -1 when it is not open."""
        ...

    @staticmethod
    def hf_iterator_hbody(iname: str, /) -> Xval:
        r"""Value of the header row the iterator stands on; null when it stands on none."""
        ...

    @staticmethod
    def hf_iterator_hname(iname: str, /) -> Xval:
        r"""Name of the header row the iterator stands on; null when it stands on none."""
        ...

    @staticmethod
    def hf_iterator_insert(iname: str, htext: str, /) -> int:
        r"""Adds rows (with CRLF) before the one the iterator stands on. Returns 1, or -1 when it stands on none."""
        ...

    @staticmethod
    def hf_iterator_next(iname: str, /) -> int:
        r"""Moves to the next header row; to the first one right after the start. Returns 1, or -1 at the end."""
        ...

    @staticmethod
    def hf_iterator_prev(iname: str, /) -> int:
        r"""Moves to the header row before. Returns 1, or -1 when the iterator stands before the first one."""
        ...

    @staticmethod
    def hf_iterator_rm(iname: str, /) -> int:
        r"""Removes the header row the iterator stands on. Returns 1, or -1 when it stands on none."""
        ...

    @staticmethod
    def hf_iterator_start(iname: str, /) -> int:
        r"""Opens an iterator over the header rows, before the first one. Four can be open in a worker. Returns 1, or -1 when there are too many."""
        ...

    @staticmethod
    def hf_value_exists(hexp: str, val: str, /) -> int:
        r"""Whether a value is in a header's list. Returns 1 or -1."""
        ...

    @staticmethod
    def include_hf_value(hexp: str, val: str, /) -> int:
        r"""Adds a value to a header's list unless it is there: `Supported`, `path`. Returns 1."""
        ...

    @staticmethod
    def insert_hf_value(hexp: str, val: str, /) -> int:
        r"""Adds a value before the one that `hexp` names (`Header[2]`); without index as a new row before the first one, or at the top when
        there is none; with an index and no such header as a new row behind all others. Returns 1; -1 when there are values but none of
        that index."""
        ...

    @staticmethod
    def keep_hf() -> int:
        r"""Removes all headers but Via, From, To, Call-ID, CSeq, Content-Length, Content-Type, Max-Forwards, Contact, Route and Record-Route.
        Returns -1, as Kamailio does although it was done."""
        ...

    @staticmethod
    def keep_hf_re(sre: str, /) -> int:
        r"""As `keep_hf`, and headers whose name matches the regular expression stay as well. Returns -1."""
        ...

    @staticmethod
    def msg_apply_changes() -> int:
        r"""Applies all changes to the message, so that what follows sees them. Before a transaction is made, in request and reply routes.

        Returns 1; -1 in other routes, after `record_route`, or when the result would be no SIP message: then nothing is changed."""
        ...

    @staticmethod
    def msg_set_buffer(obuf: str, /) -> int:
        r"""Replaces the whole message by this text; a request by a request, a reply by a reply. Changes made so far are dropped.

        Returns 1; -1 in other than request and reply routes or when the text is no SIP message."""
        ...

    @staticmethod
    def remove_body() -> int:
        r"""Removes the body and Content-Type. Returns 1, or -1 when there is no body."""
        ...

    @staticmethod
    def remove_hf_value(hexp: str, /) -> int:
        r"""Removes the value or the parameter that `hexp` names (`Header[2].param`, without index the first). Returns 1, or -1 when there is
        none."""
        ...

    @staticmethod
    def remove_hf_value2(hexp: str, val: str, /) -> int:
        r"""As `remove_hf_value`, for headers like Authorization where commas stand between parameters. The second parameter is not used."""
        ...

textopsx: _textopsx

class _tm:
    """`KSR.tm`"""

    @staticmethod
    def ki_t_load_contacts_mode(mode: int, /) -> int:
        r"""`t_load_contacts`; mode 1 keeps the order of the set and tries one contact at a time."""
        ...

    @staticmethod
    def t_any_replied() -> int:
        r"""1 when some branch got a reply."""
        ...

    @staticmethod
    def t_any_timeout() -> int:
        r"""1 when some branch timed out."""
        ...

    @staticmethod
    def t_branch_replied() -> int:
        r"""Failure route: 1 when the branch it is about got a reply."""
        ...

    @staticmethod
    def t_branch_timeout() -> int:
        r"""Failure route: 1 when the branch it is about timed out."""
        ...

    @staticmethod
    def t_check_status(pattern: str, /) -> int:
        r"""1 when the code of the current reply (reply and failure routes: the one they are about) matches the regular expression."""
        ...

    @staticmethod
    def t_check_trans() -> int:
        r"""Whether the message belongs to a transaction: 1 for a CANCEL whose INVITE is known and for the ACK to a 2xx; 0 when the message
        was a retransmission or the ACK to a negative reply and is now taken care of; -1 otherwise."""
        ...

    @staticmethod
    def t_clean() -> int:
        r"""Frees transactions that should be gone. There never are any here; returns 1."""
        ...

    @staticmethod
    def t_drop_replies(mode: str, /) -> int:
        r"""Failure route: forget replies: `a` all, `l` those of the last round, `n` none,
        whatever `failure_reply_mode` says."""
        ...

    @staticmethod
    def t_drop_replies_all() -> int:
        r"""Failure route: forget all replies collected so far when the best one is chosen."""
        ...

    @staticmethod
    def t_exists() -> int:
        r"""1 when the message's transaction exists, without changing anything."""
        ...

    @staticmethod
    def t_get_branch_index() -> int:
        r"""Index of the current branch (branch, reply and branch-failure routes), -1 elsewhere."""
        ...

    @staticmethod
    def t_get_status_code() -> int:
        r"""Code of the current reply: in reply routes the reply's, in failure routes the chosen one, else the last one sent; -1 when there is none."""
        ...

    @staticmethod
    def t_grep_status(status: int, /) -> int:
        r"""1 when some branch got this code."""
        ...

    @staticmethod
    def t_is_canceled() -> int:
        r"""1 when a CANCEL came for the transaction."""
        ...

    @staticmethod
    def t_is_expired() -> int:
        r"""Failure route: 1 when the transaction failed because its hard limit was reached or its timers ran out."""
        ...

    @staticmethod
    def t_is_retr_async_reply() -> int:
        r"""1 when the reply is a retransmission that answers an asynchronous route. Never here: retransmissions are absorbed."""
        ...

    @staticmethod
    def t_is_set(target: str, /) -> int:
        r"""Whether a route is armed: `branch_route`, `failure_route`, `onreply_route`, `branch_failure_route`."""
        ...

    @staticmethod
    def t_load_contacts() -> int:
        r"""Puts the destination set aside, ordered by q, for `t_next_contacts` (serial forking, RFC 3261 §16.6)."""
        ...

    @staticmethod
    def t_lookup_cancel() -> int:
        r"""1 when the INVITE of this CANCEL is known."""
        ...

    @staticmethod
    def t_lookup_cancel_flags(flags: int, /) -> int:
        r"""`t_lookup_cancel`; flag 1 copies the INVITE's message flags to the CANCEL."""
        ...

    @staticmethod
    def t_lookup_request() -> int:
        r"""1 when a transaction of this request exists."""
        ...

    @staticmethod
    def t_newtran() -> int:
        r"""Makes the transaction. 1 made, 0 the request is a retransmission and was taken care of, -1 not possible."""
        ...

    @staticmethod
    def t_next_contact_flow() -> int:
        r"""Another flow of the contact that failed (RFC 5626). -2: there is none."""
        ...

    @staticmethod
    def t_next_contacts() -> int:
        r"""Makes the contacts with the next highest q the destination set. -2 when there are no more, 1 otherwise."""
        ...

    @staticmethod
    def t_on_branch(name: str, /) -> int:
        r"""Names the callback that runs for each branch before it is sent (branch route). Empty: none."""
        ...

    @staticmethod
    def t_on_branch_failure(name: str, /) -> int:
        r"""Names the callback that runs when one branch failed. Empty: none."""
        ...

    @staticmethod
    def t_on_failure(name: str, /) -> int:
        r"""Names the callback that runs when all branches failed (failure route). It holds once: arm it again inside. Empty: none."""
        ...

    @staticmethod
    def t_on_reply(name: str, /) -> int:
        r"""Names the callback that runs for each reply of the transaction but 100 (onreply route). Empty: none."""
        ...

    @staticmethod
    def t_relay() -> int:
        r"""Sends the request on, statefully, to the destination set: Request-URI or `$du`, and the branches added.

        Makes the transaction, answers an INVITE 100, runs the branch route for each branch and sends (RFC 3261 §16.6). A CANCEL
        cancels its INVITE's branches and is answered 200; an ACK to a 2xx is sent on without a transaction. In a failure route the
        new branches continue the transaction (serial forking). Returns 1 sent, 0 the request was taken care of (a retransmission, or
        503 at the transaction limit), -1 nothing could be sent: answer with `sl_reply_error`."""
        ...

    @staticmethod
    def t_relay_to_flags(flags: int, /) -> int:
        r"""`t_relay` with flags: 0x01 no automatic 100, 0x02 no reply of our own when it fails."""
        ...

    @staticmethod
    def t_relay_to_proto(proto: str, /) -> int:
        r"""`t_relay` by the URIs, over this transport: `udp`, `tcp`, `tls`, `sctp`."""
        ...

    @staticmethod
    def t_relay_to_proto_addr(proto: str, host: str, port: int, /) -> int:
        r"""`t_relay` to a host and port over a transport."""
        ...

    @staticmethod
    def t_relay_to_proxy(proxy: str, /) -> int:
        r"""`t_relay` to a fixed next hop, `udp:192.0.2.1:5060`, whatever the URIs say."""
        ...

    @staticmethod
    def t_relay_to_proxy_flags(proxy: str, flags: int, /) -> int:
        r"""`t_relay_to_proxy` with the flags of `t_relay_to_flags`."""
        ...

    @staticmethod
    def t_release() -> int:
        r"""Ends the transaction without a reply. Returns 1, also when there is none."""
        ...

    @staticmethod
    def t_replicate(uri: str, /) -> int:
        r"""Sends a copy of the request to this SIP URI; its replies are dropped."""
        ...

    @staticmethod
    def t_reply(status: int, reason: str, /) -> int:
        r"""Answers within the transaction, which must exist (`t_newtran`). Returns -1 when it does not."""
        ...

    @staticmethod
    def t_reply_error() -> int:
        r"""Answers within the transaction with the error that the last function met, 500 when there is none."""
        ...

    @staticmethod
    def t_reset_fr() -> int:
        r"""Sets the `fr` timers of this transaction back to the parameters."""
        ...

    @staticmethod
    def t_reset_max_lifetime() -> int:
        r"""Sets the hard limits back to the parameters."""
        ...

    @staticmethod
    def t_reset_retr() -> int:
        r"""Sets T1 and T2 back to the parameters."""
        ...

    @staticmethod
    def t_retransmit_reply() -> int:
        r"""Sends the last reply of the transaction again."""
        ...

    @staticmethod
    def t_save_lumps() -> int:
        r"""Lets later routes of the transaction see the changes made to the request so far; `t_relay` does so by itself. -1 without
        a transaction."""
        ...

    @staticmethod
    def t_send_reply(status: int, reason: str, /) -> int:
        r"""Answers within the transaction and makes it when there is none."""
        ...

    @staticmethod
    def t_set_auto_inv_100(on: int, /) -> int:
        r"""0: no automatic 100 for this INVITE."""
        ...

    @staticmethod
    def t_set_disable_6xx(on: int, /) -> int:
        r"""1: a 6xx to this request counts as any other failure."""
        ...

    @staticmethod
    def t_set_disable_failover(on: int, /) -> int:
        r"""1: no DNS failover for this request. There is none yet, so nothing changes."""
        ...

    @staticmethod
    def t_set_disable_internal_reply(on: int, /) -> int:
        r"""1: no reply of our own (408, 500) when all branches failed without one."""
        ...

    @staticmethod
    def t_set_fr(fr_inv: int, fr: int, /) -> int:
        r"""Sets `fr_inv_timer` and `fr_timer` of this transaction, milliseconds; 0 leaves one as it is."""
        ...

    @staticmethod
    def t_set_fr_inv(fr_inv: int, /) -> int:
        r"""Sets `fr_inv_timer` of this transaction, milliseconds."""
        ...

    @staticmethod
    def t_set_max_lifetime(invite: int, noninvite: int, /) -> int:
        r"""Sets the hard limits of this transaction, milliseconds, for INVITE and others; 0 leaves one as it is."""
        ...

    @staticmethod
    def t_set_no_auto_ack(on: int, /) -> int:
        r"""1: no ACK of our own to a negative reply."""
        ...

    @staticmethod
    def t_set_no_e2e_cancel_reason(on: int, /) -> int:
        r"""1: do not copy the Reason of a received CANCEL to the CANCELs sent."""
        ...

    @staticmethod
    def t_set_retr(t1: int, t2: int, /) -> int:
        r"""Sets T1 and T2 of this transaction, milliseconds; 0 leaves one as it is."""
        ...

    @staticmethod
    def t_uac_send(method: str, ruri: str, next_hop: str, socket: str, headers: str, body: str, /) -> int:
        r"""Sends a request of our own: method, Request-URI, next hop (empty: by the Request-URI), socket (empty: default), header rows
        (From and To at least), body. Its replies end here."""
        ...

    @staticmethod
    def t_use_uac_headers() -> int:
        r"""Use the headers the `uac` module set for the branches. Without that module nothing changes."""
        ...

tm: _tm

class _tmx:
    """`KSR.tmx`"""

    @staticmethod
    def t_cancel_branches(which: str, /) -> int:
        r"""Cancels branches: `all`, `others` (all but the current one), `this`. -1 when the transaction has none."""
        ...

    @staticmethod
    def t_cancel_callid(callid: str, cseq: str, flag: int, /) -> int:
        r"""Cancels the INVITE with this Call-ID and CSeq number. 1 when it is known. `flag`: a message flag set in it, -1 none."""
        ...

    @staticmethod
    def t_cancel_callid_reason(callid: str, cseq: str, flag: int, reason: int, /) -> int:
        r"""`t_cancel_callid` with `Reason: SIP;cause=<reason>` in the CANCEL."""
        ...

    @staticmethod
    def t_check_trans() -> int:
        r"""Kept for scripts that call it here: whether the message belongs to a transaction, as `KSR.tm.t_check_trans`."""
        ...

    @staticmethod
    def t_continue(index: int, label: int, callback: str, /) -> int:
        r"""Continues a suspended request with this callback; -1 when the transaction is not known or not suspended."""
        ...

    @staticmethod
    def t_drop() -> int:
        r"""Ends the transaction without a reply to the caller and without waiting."""
        ...

    @staticmethod
    def t_drop_rcode(code: int, /) -> int:
        r"""`t_drop`, noting this code as the transaction's result."""
        ...

    @staticmethod
    def t_flush_flags() -> int:
        r"""Copies the message flags into the transaction, for its later routes."""
        ...

    @staticmethod
    def t_flush_xflags() -> int:
        r"""Copies the extended message flags into the transaction."""
        ...

    @staticmethod
    def t_is_branch_route() -> int:
        r"""1 in a branch route."""
        ...

    @staticmethod
    def t_is_failure_route() -> int:
        r"""1 in a failure route."""
        ...

    @staticmethod
    def t_is_reply_route() -> int:
        r"""1 in a reply route."""
        ...

    @staticmethod
    def t_is_request_route() -> int:
        r"""1 in a request route."""
        ...

    @staticmethod
    def t_precheck_trans() -> int:
        r"""1 when the request is a retransmission of one that is being worked on. Such requests are absorbed before the script, so this is
        -1 for every request a script sees."""
        ...

    @staticmethod
    def t_reply_callid(callid: str, cseq: str, code: int, reason: str, /) -> int:
        r"""Answers the request with this Call-ID and CSeq number. 1 when it is known."""
        ...

    @staticmethod
    def t_reuse_branch() -> int:
        r"""Failure route: makes a new branch from the failed one's attributes."""
        ...

    @staticmethod
    def t_suspend() -> int:
        r"""Holds the request: its transaction waits for `t_continue` or the `fr` timer. `$T(id_index)` and `$T(id_label)` name it."""
        ...

    @staticmethod
    def t_uac_ack_local(ruri: str, next_hop: str, headers: str, body: str, /) -> int:
        r"""Sends an ACK of our own for an INVITE made here: Request-URI, next hop, header rows, body."""
        ...

tmx: _tmx

class _uri_db:
    """`KSR.uri_db`"""

    @staticmethod
    def check_from() -> int:
        r"""Whether the user of From is the one that authenticated, or with `use_uri_table` one that user may have.

        Returns 1; -1 it is no URI or the database does not answer, -2 nobody authenticated, -4 it has no user, -9 no such row, -10
        another user."""
        ...

    @staticmethod
    def check_to() -> int:
        r"""As `check_from`, for To."""
        ...

    @staticmethod
    def check_uri(uri: str, /) -> int:
        r"""As `check_from`, for this URI."""
        ...

    @staticmethod
    def check_uri_realm(uri: str, username: str, realm: str, /) -> int:
        r"""As `check_uri`, for this user and realm instead of those that authenticated."""
        ...

    @staticmethod
    def does_uri_exist() -> int:
        r"""Whether the user of the Request-URI is in the table. Returns 1; -5 when it is not, -1 when the database does not answer."""
        ...

uri_db: _uri_db

class _x:
    """`KSR.x`"""
    class Exit(SystemExit): ...
    class Drop(SystemExit): ...

    @staticmethod
    def drop() -> int:
        r"""Ends the route and drops the message: a reply is not forwarded, a branch is not sent. Raises `KSR.x.Drop`, which passes through
        `except Exception`."""
        ...

    @staticmethod
    def exit() -> int:
        r"""Ends the route, as `sys.exit()` does. Raises `KSR.x.Exit`, which passes through `except Exception`."""
        ...

    @staticmethod
    def modf(function: str, /, *arguments: Union[int, str]) -> int:
        r"""Calls a function of the native route language by its name there: `KSR.x.modf("append_hf", "X-A: b\r\n")`. Arguments are texts or
        numbers, as in the native language. Returns its result, -1 when there is no such function or it refuses the arguments."""
        ...

x: _x

class _xlog:
    """`KSR.xlog`"""

    @staticmethod
    def xalert(txt: str, /) -> int:
        r"""Writes a line of level alert; pseudo-variables in the text are replaced. Returns 1."""
        ...

    @staticmethod
    def xcrit(txt: str, /) -> int:
        r"""Writes a line of level critical; pseudo-variables in the text are replaced. Returns 1."""
        ...

    @staticmethod
    def xdbg(txt: str, /) -> int:
        r"""Writes a debug line; pseudo-variables in the text are replaced. Returns 1."""
        ...

    @staticmethod
    def xerr(txt: str, /) -> int:
        r"""Writes an error line; pseudo-variables in the text are replaced. Returns 1."""
        ...

    @staticmethod
    def xinfo(txt: str, /) -> int:
        r"""Writes an information line; pseudo-variables in the text are replaced. Returns 1."""
        ...

    @staticmethod
    def xlog(slevel: str, txt: str, /) -> int:
        r"""Writes a line at a level: `L_ALERT L_BUG L_CRIT L_ERR L_WARN L_NOTICE L_INFO L_DBG`, a number from -5 to 3, or a pseudo-variable that
        holds one. Returns 1, or -1 for an unknown level."""
        ...

    @staticmethod
    def xlog_facility(facility: str, slevel: str, txt: str, /) -> int:
        r"""As `xlog`, with a syslog facility (`LOG_LOCAL3`) for this line."""
        ...

    @staticmethod
    def xnotice(txt: str, /) -> int:
        r"""Writes a notice; pseudo-variables in the text are replaced. Returns 1."""
        ...

    @staticmethod
    def xwarn(txt: str, /) -> int:
        r"""Writes a warning; pseudo-variables in the text are replaced. Returns 1."""
        ...

xlog: _xlog
