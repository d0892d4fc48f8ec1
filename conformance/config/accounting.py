"""Routing for the comparison of accounting and dialogs; runs unchanged on Trunkline and on Kamailio."""
import KSR

ACC, MISSED, FAILED = 1, 2, 3


def mod_init():
    return Router()


class Router:
    def child_init(self, rank):
        KSR.info("child_init(%d)\n" % rank)
        return 0

    def ksr_request_route(self, msg):
        if KSR.is_OPTIONS():
            KSR.sl.sl_send_reply(200, "Keepalive")
            return 1
        if KSR.is_CANCEL():
            if KSR.tm.t_check_trans() > 0:
                KSR.tm.t_relay()
            return 1
        if KSR.siputils.has_totag() > 0:
            if KSR.rr.loose_route() > 0:
                self.say("within")
                if KSR.is_BYE():
                    KSR.setflag(ACC)
                    KSR.setflag(FAILED)
                KSR.tm.t_relay()
            elif KSR.is_ACK() and KSR.tm.t_check_trans() > 0:
                KSR.tm.t_relay()
            return 1
        do = KSR.pv.get("$hdr(X-Do)") or ""
        KSR.rr.record_route()
        KSR.setflag(ACC)
        KSR.setflag(MISSED)
        if do == "failed":
            KSR.setflag(FAILED)
        KSR.pv.sets("$avp(leg)", "one")
        if do == "legs":
            KSR.pv.sets("$avp(leg)", "two")
        KSR.dialog.dlg_manage()
        KSR.pv.sets("$dlg_var(what)", do)
        KSR.dialog.set_dlg_profile("caller", "alice")
        self.say("made")
        if do == "local":
            KSR.tm.t_newtran()
            KSR.tm.t_reply(404, "Gone Away")
            return 1
        if do == "stateless":
            KSR.acc.acc_log_request("404 not here")
            KSR.sl.sl_send_reply(404, "Not here")
            return 1
        KSR.pv.sets("$ru", KSR.pv.get("$hdr(X-Uri)"))
        KSR.tm.t_on_failure("ksr_failure")
        KSR.tm.t_relay()
        return 1

    def ksr_reply_route(self, msg):
        return 1

    def ksr_onsend_route(self, msg):
        return 1

    def ksr_failure(self, msg):
        do = KSR.pv.get("$hdr(X-Do)") or ""
        if do == "serial":
            KSR.setflag(MISSED)
            KSR.pv.sets("$ru", KSR.pv.get("$hdr(X-Uri2)"))
            KSR.tm.t_relay()
        elif do == "mapped":
            KSR.tm.t_reply(404, "Mapped")
        return 1

    def ksr_dialog_event(self, msg, event):
        # Kamailio 5.6 also calls it for the ACK, as "unknown".
        if event != "unknown":
            self.say(event)
        return 1

    def say(self, what):
        KSR.info("SAY " + what + " " + str(KSR.pv.get("$dlg(callid)")) + " count " + str(KSR.pv.get("$DLG_count"))
                 + " what " + str(KSR.pv.get("$dlg_var(what)")) + " known " + str(KSR.dialog.is_known_dlg())
                 + " in " + str(KSR.dialog.is_in_profile("caller", "alice")) + "\n")
