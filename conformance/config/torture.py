"""Routing for the RFC 4475 torture messages: checks as a careful operator would, answers everything it can."""
import KSR


def mod_init():
    return Router()


class Router:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        # Proxy-Require too (512), but not 128: in a datagram, octets after Content-Length are ignored (RFC 3261 §18.3). Of the URIs only
        # the Request-URI: From and To may have any scheme.
        if KSR.sanity.sanity_check(1895, 1) < 0:
            return 1
        if KSR.is_REGISTER():
            if KSR.registrar.save("location", 0) < 0:
                return 1
            return 1
        if KSR.maxfwd.process_maxfwd(10) < 0:
            KSR.sl.sl_send_reply(483, "Too Many Hops")
            return 1
        KSR.sl.sl_send_reply(200, "OK")
        return 1

    def ksr_reply_route(self, msg):
        return 1

    def ksr_onsend_route(self, msg):
        return 1
