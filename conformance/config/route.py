"""Routing for the conformance scenarios; runs unchanged on Trunkline and on Kamailio."""
import KSR

NAT = hasattr(KSR, "nathelper")
FLT_NATS = 5
FLB_NATB = 6


def mod_init():
    return Router()


class Router:
    def child_init(self, rank):
        return 0

    def ksr_request_route(self, msg):
        if KSR.maxfwd.process_maxfwd(10) < 0:
            KSR.sl.sl_send_reply(483, "Too Many Hops")
            return 1
        if KSR.is_OPTIONS() and KSR.is_myself_ruri():
            KSR.sl.sl_send_reply(200, "Keepalive")
            return 1
        if NAT:
            self.natdetect()
        if KSR.is_CANCEL():
            if KSR.tm.t_check_trans() > 0:
                self.relay()
            return 1
        if KSR.siputils.has_totag() > 0:
            return self.within_dialog()
        if KSR.is_ACK():
            return 1
        if KSR.tm.t_check_trans() == 0:
            return 1  # a retransmission, taken care of
        KSR.hdr.remove("Route")
        do = KSR.pv.get("$hdr(X-Do)")  # what a scenario asks for
        if do == "auth" and not self.authenticated():
            return 1
        if KSR.is_REGISTER():
            return self.register(do)
        if not KSR.is_myself_ruri():
            KSR.sl.sl_send_reply(403, "Not relaying")
            return 1
        if KSR.pv.is_null("$rU"):
            KSR.sl.sl_send_reply(484, "Address Incomplete")
            return 1
        if do == "advertise":
            KSR.set_advertised_address("192.0.2.81")
            KSR.set_advertised_port("5081")
        if KSR.is_method_in("IS"):
            KSR.rr.record_route()
        found = KSR.registrar.lookup("location")
        if found < 0:
            if found == -2:
                KSR.sl.sl_send_reply(405, "Method Not Allowed")
            else:
                KSR.sl.sl_send_reply(404, "Not Found")
            return 1
        if do == "answer":
            KSR.tm.t_newtran()
            KSR.hdr.append_to_reply("X-Answered: here\r\n")
            KSR.tm.t_reply(480, "Gone fishing")
            return 1
        if do == "early":
            KSR.tm.t_newtran()
            KSR.tm.t_reply(183, "Looking around")
        if do == "append":
            KSR.pv.sets("$ru", "sip:bob@conformance.test")
            KSR.registrar.lookup("location")
            KSR.corex.append_branch_uri_q(KSR.pv.get("$hdr(X-Uri)"), "0.3")
        if do == "stateless":
            if KSR.forward() < 0:
                KSR.sl.sl_reply_error()
            return 1
        if do == "serial":
            KSR.tm.t_load_contacts()
            KSR.tm.t_next_contacts()
        if KSR.is_INVITE():
            KSR.tm.t_on_branch("ksr_branch")
            KSR.tm.t_on_reply("ksr_onreply")
            KSR.tm.t_on_failure("ksr_failure")
        return self.relay()

    def authenticated(self):
        result = KSR.auth.pv_auth_check("conformance.test", "secret", 0, 1)
        if result > 0:
            KSR.auth.consume_credentials()
            return True
        KSR.hdr.append_to_reply("X-Auth: " + str(result) + "\r\n")
        KSR.auth.auth_challenge("conformance.test", 17 if result == -4 else 1)
        return False

    def register(self, do):
        if do == "received":
            KSR.pv.sets("$avp(received)", "sip:" + KSR.pv.get("$si") + ":" + str(KSR.pv.get("$sp")))
        if KSR.isflagset(FLT_NATS):
            KSR.setbflag(FLB_NATB)
        flags = {"one": 4, "silent": 2}.get(do, 0)
        if KSR.registrar.save("location", flags) < 0:
            KSR.sl.sl_reply_error()
        elif do == "silent":
            KSR.sl.sl_send_reply(202, "Later")
        return 1

    def within_dialog(self):
        if KSR.rr.loose_route() > 0:
            if KSR.pv.get("$hdr(X-Do)") == "direction":
                upstream = KSR.rr.is_direction("upstream") > 0
                KSR.hdr.append("X-Direction: " + ("upstream" if upstream else "downstream") + "\r\n")
            if NAT:
                if not KSR.isdsturiset():
                    KSR.nathelper.handle_ruri_alias()
                if KSR.is_ACK():
                    self.natmanage()
            return self.relay()
        if KSR.is_ACK():
            if KSR.tm.t_check_trans() > 0:
                self.relay()
            return 1
        KSR.sl.sl_send_reply(404, "Not here")
        return 1

    def relay(self):
        if KSR.tm.t_relay() < 0:
            KSR.sl.sl_reply_error()
        return 1

    def natdetect(self):
        KSR.force_rport()
        if KSR.nathelper.nat_uac_test(19) > 0:
            if KSR.is_REGISTER():
                KSR.nathelper.fix_nated_register()
            elif KSR.siputils.is_first_hop() > 0:
                KSR.nathelper.set_contact_alias()
            KSR.setflag(FLT_NATS)

    def natmanage(self):
        request = KSR.siputils.is_request() > 0
        if request and KSR.siputils.has_totag() > 0 and KSR.rr.check_route_param("nat=yes") > 0:
            KSR.setbflag(FLB_NATB)
        if not (KSR.isflagset(FLT_NATS) or KSR.isbflagset(FLB_NATB)):
            return
        KSR.rtpproxy.rtpproxy_manage("co")
        if request and KSR.siputils.has_totag() < 0 and KSR.tmx.t_is_branch_route() > 0:
            KSR.rr.add_rr_param(";nat=yes")
        if not request and KSR.isbflagset(FLB_NATB):
            KSR.nathelper.set_contact_alias()

    def ksr_branch(self, msg):
        if NAT:
            self.natmanage()
        KSR.hdr.append("X-Branch: " + str(KSR.pv.get("$T_branch_idx")) + "\r\n")
        return 1

    def ksr_onreply(self, msg):
        if NAT and 100 < KSR.pv.get("$rs") < 300:
            self.natmanage()
        if KSR.pv.get("$hdr(X-Drop)") == "yes":
            KSR.set_drop()
            return 1
        if KSR.pv.get("$rs") == 180:
            KSR.hdr.append("X-Ringing: seen\r\n")
        return 1

    def ksr_failure(self, msg):
        if NAT:
            self.natmanage()
        if KSR.tm.t_is_canceled() > 0:
            return 1
        if KSR.pv.get("$hdr(X-Do)") == "serial":
            if KSR.tm.t_next_contacts() > 0:
                KSR.tm.t_on_branch("ksr_branch")
                KSR.tm.t_on_failure("ksr_failure")
                self.relay()
            return 1
        if KSR.pv.get("$hdr(X-Do)") == "answer-failure":
            KSR.tm.t_reply(488, "Not this way")
            return 1
        if KSR.pv.get("$hdr(X-Do)") == "observe":
            seen = [KSR.pv.get("$T_reply_code"), KSR.pv.get("$rs"), KSR.pv.get("$T_branch_idx"), KSR.pv.get("$ru"), KSR.pv.get("$tU"),
                    KSR.tm.t_branch_timeout(), KSR.tm.t_any_timeout(), KSR.tm.t_check_status("[34]..")]
            KSR.hdr.append_to_reply("X-Seen: " + " ".join(str(x) for x in seen) + "\r\n")
            KSR.tm.t_reply(499, "Seen")
            return 1
        # A busy or silent callee with a mailbox: "<user>-mailbox" is registered.
        if KSR.tm.t_check_status("486|408") > 0 and not KSR.pv.get("$rU").endswith("-mailbox"):
            KSR.pv.sets("$ru", "sip:" + KSR.pv.get("$tU") + "-mailbox@conformance.test")
            if KSR.registrar.lookup("location") > 0:
                self.relay()
        return 1

    def ksr_reply_route(self, msg):
        return 1

    def ksr_onsend_route(self, msg):
        watcher = KSR.pv.get("$hdr(X-Watch)")
        if watcher and KSR.siputils.is_reply() > 0:
            self.tell(watcher)
            KSR.set_drop()  # without effect, as 0: the transaction has moved on
            return 0
        return 1

    def tell(self, watcher):
        """What is to be seen of a reply that is about to leave."""
        to, by, source = "$sndto(ip):$sndto(port)", "$sndfrom(ip):$sndfrom(port)", "$si:$sp"
        rows = ["To: " + to, "By: " + by, "Source: " + source, "Transport: $sndto(sproto) $sndto(af)", "Method: $rm",
                "Branch: $T_branch_idx", "Changed: $hdr(X-Ringing)"]
        KSR.pvx.evalx("$var(told)", "SIP/2.0 $rs Seen\r\n" + "\r\n".join(rows) + "\r\n")
        sent = KSR.pv.get("$sndto(buf)")
        text = KSR.pv.get("$var(told)")
        text += "Vias: %d\r\nIn what is sent: %s\r\n" % (sent.count("Via:"), "X-Ringing" in sent)
        KSR.corex.send_data("sip:" + watcher, text)
