"""A registrar and record-routing proxy in KEMI Python; the same file runs on Kamailio.

Kamailio's words, RFC 3261's numbers: ints are results (1 true, below 0 false), replies go out by KSR.sl or KSR.tm.
"""
import KSR


def mod_init():
    """Run once per interpreter; returns the object whose methods route."""
    return Router()


class Router:
    def child_init(self, rank):
        """Run once per worker."""
        return 0

    def ksr_request_route(self, msg):
        """Every request that no transaction knows already."""
        if KSR.maxfwd.process_maxfwd(10) < 0:
            KSR.sl.sl_send_reply(483, "Too Many Hops")
            return 1
        if KSR.sanity.sanity_check(17895, 7) < 0:
            KSR.warn("malformed request from " + KSR.pv.get("$si") + "\n")
            return 1
        if KSR.is_OPTIONS() and KSR.is_myself_ruri() and KSR.pv.is_null("$rU"):
            KSR.sl.sl_send_reply(200, "Keepalive")
            return 1

        # CANCEL goes where its INVITE went; what we do not know is not ours to cancel.
        if KSR.is_CANCEL():
            if KSR.tm.t_check_trans() > 0:
                self.relay()
            return 1

        # A To tag: the request belongs to a dialog and follows its route set.
        if KSR.siputils.has_totag() > 0:
            return self.within_dialog()

        # An ACK here has nothing to acknowledge; a retransmission is answered from its transaction.
        if KSR.is_ACK() or KSR.tm.t_check_trans() == 0:
            return 1

        # A Route header of a new request would make us an open relay.
        KSR.hdr.remove("Route")

        if KSR.is_REGISTER():
            if KSR.registrar.save("location", 0) < 0:
                KSR.sl.sl_reply_error()
            return 1

        if not KSR.is_myself_ruri():
            KSR.sl.sl_send_reply(403, "Not relaying")
            return 1
        if KSR.pv.is_null("$rU"):
            KSR.sl.sl_send_reply(484, "Address Incomplete")
            return 1

        # Stay in the path of what follows: re-INVITE, BYE.
        if KSR.is_method_in("IS"):
            KSR.rr.record_route()

        found = KSR.registrar.lookup("location")
        if found == -2:
            KSR.sl.sl_send_reply(405, "Method Not Allowed")
            return 1
        if found < 0:
            KSR.sl.sl_send_reply(404, "Not Found")
            return 1
        if KSR.is_INVITE():
            KSR.tm.t_on_failure("ksr_failure_route")
        return self.relay()

    def within_dialog(self):
        if KSR.rr.loose_route() > 0:
            return self.relay()
        if KSR.is_ACK():
            # The ACK to a negative reply of a transaction here.
            if KSR.tm.t_check_trans() > 0:
                self.relay()
            return 1
        KSR.sl.sl_send_reply(404, "Not Here")
        return 1

    def relay(self):
        if KSR.tm.t_relay() < 0:
            KSR.sl.sl_reply_error()
        return 1

    def ksr_failure_route(self, msg):
        """Every branch has failed. A second target would be tried here: set $ru, then relay."""
        if KSR.tm.t_is_canceled() > 0:
            return 1
        if KSR.tm.t_check_status("408|480") > 0:
            KSR.info("nobody answered at " + KSR.pv.get("$tu") + "\n")
        return 1

    def ksr_reply_route(self, msg):
        """Every reply, before its transaction sees it."""
        return 1

    def ksr_onsend_route(self, msg):
        """Every request just before it is sent; no use of it here."""
        return 1
