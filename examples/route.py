"""A registrar and record-routing proxy in KEMI Python: a starting point for your own. It runs on Kamailio as it is.

KSR functions mostly answer with numbers: above 0 is yes, below 0 is no. Say `trunkline check -f examples/kamailio.cfg`
after a change: it finds misspelt functions, pseudo-variables and callbacks without starting anything.
"""
import KSR


def mod_init():
    """Runs once per interpreter and returns the object whose methods route."""
    return Router()


class Router:
    def child_init(self, rank):
        """Runs once in every worker: the place to open what a worker needs for itself."""
        return 0

    def ksr_request_route(self, msg):
        """Every request. Callbacks return a number: Kamailio 5.6 stumbles over None."""
        self.route()
        return 1

    def route(self):
        if self.refused():
            return

        # A CANCEL goes where its INVITE went. Nobody answers for an INVITE that was never here.
        if KSR.is_CANCEL():
            if KSR.tm.t_check_trans() > 0:
                self.relay()
            return

        # A tag in To: the request belongs to a dialog, and its Route headers say where it goes.
        if KSR.siputils.has_totag() > 0:
            self.within_dialog()
            return

        # From here on requests are new. Retransmissions end here, and an ACK has nothing to acknowledge.
        if KSR.tm.t_check_trans() == 0 or KSR.is_ACK():
            return

        # Whoever is new here does not choose the way: with Route headers of its own we would be an open relay.
        KSR.hdr.remove("Route")

        if not KSR.is_myself_ruri():
            KSR.sl.sl_send_reply(403, "Not Relaying")
        elif KSR.is_REGISTER():
            self.register()
        elif KSR.pv.is_null("$rU"):
            self.for_us()
        else:
            self.to_user()

    def refused(self):
        """Requests that go no further, whatever they want."""
        if KSR.maxfwd.process_maxfwd(10) < 0:
            KSR.sl.sl_send_reply(483, "Too Many Hops")
            return True
        if KSR.sanity.sanity_check(17895, 7) < 0:
            # sanity_check() has answered.
            KSR.warn("malformed %s from %s\n" % (KSR.pv.get("$rm"), KSR.pv.get("$si")))
            return True
        # Answer to where the request came from, even when its Via says something else (RFC 3581).
        KSR.force_rport()
        return False

    def register(self):
        """Binds the caller's address to its contacts. Ask for a password first (module auth) on a real network."""
        if KSR.registrar.save("location", 0) < 0:
            KSR.sl.sl_reply_error()

    def for_us(self):
        """The Request-URI names this server and nobody on it."""
        if KSR.is_OPTIONS():
            KSR.sl.sl_send_reply(200, "Keepalive")
        else:
            KSR.sl.sl_send_reply(484, "Address Incomplete")

    def to_user(self):
        """To wherever the user has registered; several contacts ring at once."""
        found = KSR.registrar.lookup("location")
        if found == -2:
            KSR.sl.sl_send_reply(405, "Method Not Allowed")
        elif found < 0:
            KSR.sl.sl_send_reply(404, "Not Found")
        else:
            if KSR.is_method_in("IS"):
                # Stay on the path of what follows in the dialog: re-INVITE, BYE, NOTIFY.
                KSR.rr.record_route()
            if KSR.is_INVITE():
                KSR.tm.t_on_failure("ksr_failure_route")
            self.relay()

    def within_dialog(self):
        """Requests inside a dialog follow the path that record_route() laid."""
        if KSR.rr.loose_route() > 0:
            self.relay()
        elif KSR.is_ACK():
            # Without Route headers it can only be for a transaction of ours.
            if KSR.tm.t_check_trans() > 0:
                self.relay()
        else:
            KSR.sl.sl_send_reply(404, "Not Here")

    def relay(self):
        if KSR.tm.t_relay() < 0:
            KSR.sl.sl_reply_error()

    def ksr_failure_route(self, msg):
        """All contacts have failed, and the best reply is about to go to the caller.

        To try somebody else instead (voice mail, a second number), set the Request-URI and relay:
            KSR.seturi("sip:voicemail@127.0.0.1:5080")
            self.relay()
        """
        if KSR.tm.t_is_canceled() > 0:
            return 1
        if KSR.tm.t_check_status("486|600") > 0:
            KSR.info("%s is busy\n" % KSR.pv.get("$tu"))
        elif KSR.tm.t_check_status("408|480") > 0:
            KSR.info("nobody answers at %s\n" % KSR.pv.get("$tu"))
        return 1

    # Kamailio 5.6 asks for these two whether there is something to do or not.

    def ksr_reply_route(self, msg):
        """Every reply, before its transaction sees it."""
        return 1

    def ksr_onsend_route(self, msg):
        """Every message that leaves, just before it does."""
        return 1
