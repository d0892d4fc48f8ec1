"""Routing for release/build: every path that traffic takes, in about the proportions in which it takes them."""
import KSR


def mod_init():
    return Router()


class Router:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        if KSR.maxfwd.process_maxfwd(10) < 0:
            KSR.sl.sl_send_reply(483, "Too Many Hops")
            return 1
        if KSR.pv.get("$ua") == "scanner":
            return 1
        KSR.force_rport()
        if KSR.is_CANCEL():
            if KSR.tm.t_check_trans() > 0:
                self.relay()
            return 1
        if KSR.siputils.has_totag() > 0:
            return self.within_dialog()
        if KSR.tm.t_check_trans() == 0 or KSR.is_ACK():
            return 1
        KSR.hdr.remove("Route")
        if KSR.is_REGISTER():
            return self.register()
        if KSR.is_OPTIONS():
            KSR.sl.sl_send_reply(200, "Keepalive")
            return 1
        return self.to_user()

    def register(self):
        if KSR.pv.get("$fU").startswith("s"):
            if KSR.auth.pv_www_authenticate("train.test", "secret", 0) < 0:
                KSR.auth.www_challenge("train.test", 0)
                return 1
        if KSR.registrar.save("location", 0) < 0:
            KSR.sl.sl_reply_error()
        return 1

    def to_user(self):
        if KSR.is_INVITE() and KSR.sanity.sanity_check(17895, 7) < 0:
            return 1
        if KSR.registrar.lookup("location") < 0:
            KSR.sl.sl_send_reply(404, "Not Found")
            return 1
        if KSR.is_method_in("IS"):
            KSR.rr.record_route()
        if KSR.is_INVITE():
            KSR.htable.sht_inc("calls", KSR.pv.get("$fU"))
            KSR.tm.t_on_reply("ksr_onreply_manage")
            KSR.tm.t_on_failure("ksr_failure_route")
        self.relay()
        return 1

    def within_dialog(self):
        if KSR.rr.loose_route() > 0:
            self.relay()
        elif KSR.is_ACK():
            if KSR.tm.t_check_trans() > 0:
                self.relay()
        else:
            KSR.sl.sl_send_reply(404, "Not Here")
        return 1

    def relay(self):
        if KSR.tm.t_relay() < 0:
            KSR.sl.sl_reply_error()

    def ksr_onreply_manage(self, msg):
        if KSR.pv.get("$rs") == 200:
            KSR.nathelper.fix_nated_contact()
        return 1

    def ksr_failure_route(self, msg):
        return 1
