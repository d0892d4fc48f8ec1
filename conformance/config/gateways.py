"""Gateways and floods; runs unchanged on Trunkline and on Kamailio."""
import KSR


def mod_init():
    return Router()


class Router:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        # As the stock script does it.
        if not KSR.is_myself_srcip():
            if not KSR.pv.is_null("$sht(ipban=>$si)"):
                return 1
            if KSR.pike.pike_check_req() < 0:
                KSR.pv.seti("$sht(ipban=>$si)", 1)
                return 1
        if not KSR.pv.is_null("$sht(short=>$fU)"):
            return 1
        do = KSR.pv.gete("$hdr(X-Do)")
        if do == "ban":
            KSR.pv.seti("$sht(short=>$fU)", 1)
        if do == "states":
            active = [KSR.dispatcher.ds_is_active_uri(1, uri) for uri in KSR.pv.get("$hdr(X-Uris)").split(",")]
            KSR.hdr.append_to_reply("X-States: %s\r\n" % active)
            KSR.hdr.append_to_reply("X-Events: %s\r\n" % KSR.pv.get("$shv(events)"))
        if do in ("", "ban", "states"):
            KSR.sl.sl_send_reply(200, "OK")
            return 1
        group, algorithm = {"round": (1, 4), "hash": (1, 0), "weight": (2, 9), "first": (2, 8)}[do]
        if KSR.dispatcher.ds_select_dst(group, algorithm) < 0:
            KSR.sl.sl_send_reply(404, "No destination")
            return 1
        KSR.tm.t_on_failure("ksr_failure")
        if KSR.tm.t_relay() < 0:
            KSR.sl.sl_reply_error()
        return 1

    # Kamailio stumbles over these when they are missing.
    def ksr_reply_route(self, msg):
        return 1

    def ksr_onsend_route(self, msg):
        return 1

    def ksr_failure(self, msg):
        if KSR.pv.get("$hdr(X-Mark)") == "yes":
            KSR.dispatcher.ds_mark_dst_state("ip")
        if KSR.dispatcher.ds_next_dst() > 0:
            KSR.tm.t_on_failure("ksr_failure")
            KSR.tm.t_relay()
        return 1

    def ksr_dispatcher_event(self, msg, event):
        KSR.pv.sets("$shv(events)", "%s %s" % (event, KSR.pv.get("$ru")))
        return 1
