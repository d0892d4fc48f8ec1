#!/usr/bin/env python3
"""Trunkline against Kamailio in one run: CPU per unit, rate, latency, memory; ratios are what counts.

  benches/compare.py [--jobs a,b,c,d,d2,e] [--quick] [--trunkline BINARY] [--kit FOLDER] [--out FILE.json]

The load kit (sipgen, measure.py, kam.cfg, job_*.py, mk61.sh) is the project's; --kit or BENCH_KIT names its folder, default
../shared/bench beside the repository. Kamailio 6.1 runs in the chroot that mk61.sh makes, with its fast allocator (-x fm -X fm).
Jobs: a OPTIONS answered by the script, b a call through a record-routing proxy, c REGISTER refresh among 100,000 AoRs, d digest REGISTER
against one password, d2 the same with the subscribers in SQLite, e a call between registered users through the packaged
kamailio-basic-kemi deployment (kamailio's Debian package must be installed for its files), location and accounting without database.
"""
import argparse
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
# Letter, rounds, options of a round. The machine has better and worse minutes: the subjects take turns, and medians of the rounds are compared.
JOBS = {
    "a": ("A", 4, "--job options --rate 10000 --repeat 1 --repeat-rate 2 --seconds 1.5 --mem"),
    "b": ("B", 3, "--job call --rate 1500 --window 16 --drain 6.5 --seconds 2 --repeat 1 --repeat-rate 2"),
    "c": ("C", 5, "--job register --rate 5000 --fill 100000 --mem --repeat 1 --repeat-rate 2 --seconds 1.5"),
    "d": ("D", 5, "--job regauth --rate 3000 --fill 20000 --users 20000 --repeat 1 --repeat-rate 2 --seconds 1.5"),
    "d2": ("D2", 4, "--job regauth --rate 1000 --fill 20000 --users 20000 --repeat 1 --repeat-rate 2 --seconds 1.5"),
    "e": ("E", 3, "--job call --rate 1000 --window 16 --warm 6 --drain 6.5 --users 1000 --seconds 1.5 --repeat 1 --repeat-rate 2"),
}
QUICK = {
    "a": ("A", 1, "--job options --rate 10000 --repeat 1 --repeat-rate 1 --seconds 1"),
    "b": ("B", 1, "--job call --rate 1500 --window 16 --drain 6.5 --seconds 1 --repeat 1 --repeat-rate 1"),
    "c": ("C", 1, "--job register --rate 5000 --fill 20000 --mem --repeat 1 --repeat-rate 1 --seconds 1"),
    "d": ("D", 1, "--job regauth --rate 3000 --fill 20000 --users 20000 --repeat 1 --repeat-rate 1 --seconds 1"),
    "d2": ("D2", 1, "--job regauth --rate 1000 --fill 20000 --users 20000 --repeat 1 --repeat-rate 1 --seconds 1"),
    "e": ("E", 1, "--job call --rate 1000 --window 16 --drain 6.5 --users 1000 --repeat 1 --repeat-rate 1 --seconds 1"),
}
# Callees of job e: registered with their passwords under a host name, as the script's NAT test would see a private address otherwise.
CALLEES = [
    "--prefill", "-j regauth -n 1000 -c 1000 -w 8 -d 30 -U x -H ua.bench",
    "--gen-arg=-U", "--gen-arg=sip:u{u}@bench.test", "--gen-arg=-H", "--gen-arg=ua.bench",
]
GOAL = 0.60


def prepare(args, job):
    """What a job needs beside the servers: subscribers, the packaged configuration."""
    env = dict(os.environ, BENCH_RUN=args.run)
    if job in ("D2", "E"):
        users = os.path.join(args.run, "users.sqlite")
        subprocess.run([sys.executable, os.path.join(args.kit, "mkdb.py"), users, "20000"], check=True, stdout=subprocess.DEVNULL)
    if job == "E":
        env |= {"NO_USRLOCDB": "1", "NO_ACCDB": "1"}
        subprocess.run(["bash", os.path.join(args.kit, "prep_e.sh")], check=True, env=env)


def kamailio(args, subject, job):
    kit = args.kit
    if job == "E":
        return f"{shlex.quote(os.path.join(kit, 'kam_e.sh'))} 61 {subject} 2 -x fm -X fm"
    return f"{shlex.quote(os.path.join(kit, 'kam.sh'))} 61 {subject} {job} 2 -x fm -X fm"


def trunkline(args, job):
    kit, letter = args.kit, job.lower()
    if job == "E":
        config = os.path.join(args.run, "e", "kamailio-basic-kemi.cfg")
        return f"{shlex.quote(args.trunkline)} -DD -E -f {shlex.quote(config)} -A KIDS=2 -A WITH_CFGPYTHON3"
    script = os.path.join(kit, f"job_{letter}.py")
    return " ".join([
        shlex.quote(args.trunkline), "-DD -E -f", shlex.quote(os.path.join(kit, "kam.cfg")), f"-A JOB_{job} -A KIDS=2 -A WITH_KEMI",
        "-A", shlex.quote(f'KEMI_SCRIPT="{script}"'),
        "-A", shlex.quote('DBURL="sqlite:///%s"' % os.path.join(args.run, "users.sqlite")),
        "-A", shlex.quote('CTLSOCK="unix:%s"' % os.path.join(args.run, "trunkline_ctl")),
    ])


def know_callees(args, subject):
    """Job e: tells the server the address of ua.bench."""
    if subject == "trunkline":
        return f"{shlex.quote(args.trunkline)} ctl --ctl {shlex.quote(os.path.join(args.run, 'trunkline.sock'))} dns.add_a ua.bench 3600 127.0.0.1 0"
    root = os.environ.get("KAM61_ROOT", os.path.expanduser("~/.cache/trunkline-bench/kam61"))
    return f"chroot {shlex.quote(root)} kamcmd dns.add_a ua.bench 3600 127.0.0.1 0"


def measure(args, label, start, options, out):
    command = [sys.executable, os.path.join(args.kit, "measure.py"), "--start", start, "--label", label, "--json", out, *options]
    print(f"\n== {label}", flush=True)
    env = dict(os.environ, BENCH_RUN=args.run, TRUNKLINE_CTL=os.path.join(args.run, "trunkline.sock"))
    subprocess.run(command, check=True, env=env)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--jobs", default=",".join(JOBS), help="of %(default)s")
    p.add_argument("--quick", action="store_true", help="one short run each: a look, not a result")
    p.add_argument("--trunkline", default=os.path.join(ROOT, "target", "profiled", "trunkline"))
    p.add_argument("--kit", default=os.environ.get("BENCH_KIT", os.path.join(ROOT, "..", "shared", "bench")))
    p.add_argument("--subjects", default="kemi,native,trunkline")
    p.add_argument("--out")
    args = p.parse_args()
    args.kit = os.path.abspath(args.kit)
    args.run = os.environ.get("BENCH_RUN", os.path.expanduser("~/.cache/trunkline-bench/run"))
    os.makedirs(args.run, exist_ok=True)
    if not os.path.exists(args.trunkline):
        sys.exit(f"{args.trunkline}: build it first (make release)")
    subprocess.run(["bash", "-c", f". {shlex.quote(os.path.join(args.kit, 'env.sh'))}"], check=True, env=dict(os.environ, BENCH_RUN=args.run))
    out = args.out or tempfile.mktemp(suffix=".jsonl", prefix="trunkline-bench-")
    if os.path.exists(out):
        os.unlink(out)
    for name in args.jobs.split(","):
        job, rounds, options = (QUICK if args.quick else JOBS)[name]
        prepare(args, job)
        subjects = args.subjects.split(",")
        for number in range(rounds):
            for subject in subjects if number % 2 == 0 else subjects[::-1]:
                start = trunkline(args, job) if subject == "trunkline" else kamailio(args, subject, job)
                extra = CALLEES + ["--after-start", know_callees(args, subject)] if job == "E" else []
                measure(args, f"{name} {subject}", start, options.split() + extra, out)
    report(out)


def medians(path):
    """For each label and mode the median over the rounds of whatever is a number."""
    rounds = {}
    for line in open(path):
        o = json.loads(line)
        rounds.setdefault(o["label"], {}).setdefault(o["mode"].split()[0], []).append(o)
    numbers = lambda rows: {k: statistics.median(r[k] for r in rows) for k, v in rows[0].items() if isinstance(v, (int, float))}
    return {label: {mode: numbers(rows) for mode, rows in modes.items()} for label, modes in rounds.items()}


def report(path):
    rows = medians(path)
    print("\njob  mode        trunkline        Kamailio Python     ratio   Kamailio native     ratio   p99 us (t/py/nat)")
    for job in JOBS:
        t, k, n = (rows.get(f"{job} {s}", {}) for s in ("trunkline", "kemi", "native"))
        for mode, title in (("closed", "saturated"), ("open", "fixed")):
            if not all(mode in x for x in (t, k, n)):
                continue
            a, b, c = (x[mode]["cpu_sched_us"] for x in (t, k, n))
            r = [x[mode]["rate"] for x in (t, k, n)]
            p99 = "/".join(f"{x[mode]['p99_us']:.0f}" for x in (t, k, n))
            ok = "" if a <= GOAL * b and a < c else "  above the goal"
            print(f"{job}    {title:<10} {a:7.1f} us {r[0]:8.0f}/s {b:7.1f} us {r[1]:8.0f}/s {a / b:6.2f} {c:8.1f} us {r[2]:8.0f}/s {a / c:6.2f}   {p99}{ok}")
        for who, x in (("trunkline", t), ("Kamailio Python", k), ("Kamailio native", n)):
            if "mem-idle" in x and "mem-filled" in x and "fill" in x:
                per = (x["mem-filled"]["pss"] - x["mem-idle"]["pss"]) * 1024 * 1024 / max(x["fill"]["done"], 1)
                print(f"{job}    memory     {who}: {x['mem-idle']['pss']} MB idle, {x['mem-filled']['pss']} MB with {x['fill']['done']:.0f} contacts: {per:.0f} bytes each (pss)")
    print(f"\nraw rows: {path}")


if __name__ == "__main__":
    main()
