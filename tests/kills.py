#!/usr/bin/env python3
"""Kill or fail every command that writes, and show that the store is whole after the next run.

usage: tests/kills.py --bin PATH [--kills N] [--faults] [--only COMMAND]

--kills N   kill commands with SIGKILL at N random instants, shared out evenly (default 100)
--faults    then fail one call of each kind in each command, with EIO, ENOSPC and a kill, with and without the exchange of
            folders (needs strace)

After each: the command runs again and succeeds; every report is in the rows once; `verify` is content; the originals still
give every report when the ledger is removed; what the command wrote elsewhere (an export, a backup, a site) is whole.
`ingest`, `compact`, `rebuild` and `prune` are in tests/it/robustness/fault_injection.rs too; `fetch` is killed by the IMAP
scenarios, which need a server.
"""
import argparse, collections, json, os, pathlib, random, shutil, socket, subprocess, sys, tempfile, threading, time

STORED, ALL = 12, 16
CALLS = "write pwrite64 fsync fdatasync rename renameat2 unlink linkat mkdir rmdir ftruncate".split()
FAULTS = ["error=EIO", "error=ENOSPC", "signal=KILL"]
NOW = "2026-03-20T06:00:00Z"


def report(number, count=None):
    """A report of one row, in one of three months, whose count is its number in thousands. Every other one fails: a sender
    of the domain itself whose signature breaks gives an action to acknowledge."""
    begin, result = 1767225600 + number % 3 * 31 * 86400, "pass" if number % 2 else "fail"
    row = (f"<record><row><source_ip>192.0.2.1</source_ip><count>{1000 * (count or number)}</count><policy_evaluated><disposition>none</disposition><dkim>{result}</dkim><spf>fail</spf></policy_evaluated></row>"
           f"<identifiers><header_from>example.com</header_from></identifiers><auth_results><dkim><domain>example.com</domain><selector>s</selector><result>{result}</result></dkim></auth_results></record>")
    return (f"<feedback><report_metadata><org_name>r{number}</org_name><email>d@example.net</email><report_id>{number}</report_id><date_range><begin>{begin}</begin><end>{begin + 86399}</end></date_range></report_metadata>"
            f"<policy_published><domain>example.com</domain><p>none</p></policy_published>{row}</feedback>")


def dns_server():
    """Answers every question with NXDOMAIN."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve():
        while True:
            query, address = server.recvfrom(4096)
            end = 12
            while query[end]:
                end += query[end] + 1
            server.sendto(query[:2] + b"\x85\x83\x00\x01" + bytes(6) + query[12:end + 5], address)

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{server.getsockname()[1]}"


class Store:
    """A folder with a store, and the program that is run on it."""

    def __init__(self, binary, work):
        self.binary, self.work = binary, pathlib.Path(work)
        self.environment = {**os.environ, "HOME": str(self.work / "home"), "DMARQUET_STORE": str(self.work / "store")}

    def command(self, args):
        return [self.binary, "--config", "settings.toml", *args]

    def run(self, *args, check=(0,)):
        done = subprocess.run(self.command(args), cwd=self.work, env=self.environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode in check, f"{' '.join(args)}: exit {done.returncode} {done.stderr.strip()[:300]}"
        return done.stdout

    def start(self, args, before=()):
        return subprocess.Popen([*before, *self.command(args)], cwd=self.work, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def counts(self):
        return sorted(json.loads(line)["count"] // 1000 for line in self.run("export", "--format", "ndjson").splitlines())


def base(binary, work):
    store = Store(binary, work)
    (store.work / "in").mkdir(), (store.work / "new").mkdir()
    (store.work / "settings.toml").write_text('domains = ["example.com"]\n')
    for number in range(1, STORED + 1):
        (store.work / f"in/{number}.xml").write_text(report(number))
        if number % 3 == 0:
            store.run("ingest", "in")
    # One in conflict with another, of the same rows but one count, and one that cannot be read.
    (store.work / "conflict.xml").write_text(report(3, 300)), (store.work / "broken.xml").write_text("<feedback>")
    store.run("ingest", "conflict.xml", "broken.xml", check=(1,))
    for number in range(STORED + 1, ALL + 1):
        (store.work / f"new/{number}.xml").write_text(report(number))
    return store


def whole(store, expected, what):
    """Every report once, in what is read and in what is kept."""
    assert store.counts() == expected, f"{what}: the rows are {store.counts()}"
    store.run("verify")
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"):
        (store.work / "store" / name).unlink(missing_ok=True)
    store.run("rebuild")
    assert store.counts() == expected, f"{what}: from the originals the rows are {store.counts()}"


def exported(store):
    told = json.loads(store.run("summary", "--records", "out", "--from", "2026-01-01", "--to", "2026-03-31", "--format", "json"))
    assert told["totals"]["messages"] == 1000 * sum(range(1, STORED + 1)), f"the export has {told['totals']['messages']} messages"


def backed_up(store):
    told = json.loads(store.run("--store", "copy", "status", "--format", "json"))
    assert told["reports"] == STORED, f"the backup has {told['reports']} reports"
    store.run("--store", "copy", "verify")


def told_as_site(store):
    assert (store.work / "site/index.html").stat().st_size > 0, "no first page"


def commands(store, server):
    """Name, words, exit codes of a run that is repeated, and what must hold of what it writes elsewhere."""
    conflict = json.loads(store.run("rejected", "list", "--conflicts", "--format", "json"))[0]["id"]
    actions = json.loads(store.run("summary", "--week", "2026-W10", "--format", "json", "--now", NOW))["actions"]
    yield "ingest", ["ingest", "in"], (0,), None
    yield "compact", ["compact"], (0,), None
    yield "rebuild", ["rebuild"], (0,), None
    yield "prune", ["prune", "--keep", "1m"], (0,), None
    yield "export", ["export", "--out", "out"], (0,), exported
    yield "backup", ["backup", "copy"], (0,), backed_up
    yield "promote", ["rejected", "promote", str(conflict)], (0, 1, 2), None
    yield "retry", ["rejected", "retry"], (0, 1), None
    if actions:
        yield "ack", ["ack", actions[0]["id"], "--note", "a note", "--now", NOW], (0,), None
    yield "enrich", ["enrich", "--weeks", "500", "--server", server], (0,), None
    yield "check", ["check", "--all", "--server", server], (0, 1), None
    yield "alert", ["alert", "--now", NOW], (0,), None
    yield "site", ["site", "--out", "site", "--now", NOW], (0,), told_as_site


def expected_rows(name):
    if name == "prune":
        return [[]]
    rows = list(range(1, (ALL if name == "ingest" else STORED) + 1))
    other = sorted([count for count in rows if count != 3] + [300])
    return [other, rows] if name == "promote" else [rows]


def trial(origin, name):
    work = tempfile.TemporaryDirectory()
    for part in ("store", "in"):
        shutil.copytree(origin.work / part, pathlib.Path(work.name) / part)
    shutil.copy(origin.work / "settings.toml", work.name)
    if name == "ingest":
        shutil.copytree(origin.work / "new", pathlib.Path(work.name) / "in", dirs_exist_ok=True)
    return work


def finish(store, name, words, codes, elsewhere, what):
    store.run(*words, check=codes)
    if elsewhere:
        elsewhere(store)
    rows = store.counts()
    choices = expected_rows(name)
    assert rows in choices, f"{what}: the rows are {rows}"
    whole(store, rows, what)


def kills(origin, all_commands, number):
    table = collections.Counter()
    took = {}
    for turn in range(10 * number):
        if sum(table.values()) == number:
            break
        name, words, codes, elsewhere = all_commands[turn % len(all_commands)]
        with trial(origin, name) as work:
            store = Store(origin.binary, work)
            begin = time.time()
            process = store.start(words)
            instant = random.uniform(0, took.setdefault(name, .15))
            try:
                process.wait(instant)
                # It was quicker: this instant says nothing.
                took[name] = max(.01, took[name] * .9)
                continue
            except subprocess.TimeoutExpired:
                process.kill(), process.wait()
                took[name] *= 1.05
            table[name] += 1
            if random.random() < .3:
                # And the run that makes up for it.
                again = store.start(words)
                time.sleep(random.uniform(0, took[name]))
                if again.poll() is None:
                    table[name] += 1
                again.kill(), again.wait()
            finish(store, name, words, codes, elsewhere, f"{name} killed after {instant:.3f} s")
    return table


def faults(origin, all_commands):
    table = collections.Counter()
    for place, (name, words, codes, elsewhere) in enumerate(all_commands):
        with trial(origin, name) as work:
            store = Store(origin.binary, work)
            log = pathlib.Path(work) / "log"
            store.start(words, ["strace", "-f", "-qq", "-o", str(log), "-e", f"trace={','.join(CALLS)}"]).wait()
            made = collections.Counter((line.split()[0], line.split()[1].split("(")[0]) for line in log.read_text().splitlines() if "(" in line)
        most = collections.Counter()
        for (_, call), count in made.items():
            if call in CALLS:
                most[call] = max(most[call], count)
        for index, (call, count) in enumerate(sorted(most.items())):
            for at, fault in enumerate(FAULTS):
                exchange = (place + index + at) % 2 == 0
                if call == "renameat2" and not exchange:
                    continue
                nth = (count * (at + 1) + 3) // 4 or 1
                expressions = ["-e", f"trace={call},renameat2", "-e", f"inject={call}:{fault}:when={nth}"]
                if not exchange:
                    expressions += ["-e", "inject=renameat2:error=EINVAL"]
                what = f"{name}: {fault} at {call} {nth}, exchange {exchange}"
                with trial(origin, name) as work:
                    store = Store(origin.binary, work)
                    store.start(words, ["strace", "-f", "-qq", "-o", "/dev/null", *expressions]).wait()
                    finish(store, name, words, codes, elsewhere, what)
                table[name] += 1
    return table


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--only")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        origin = base(os.path.abspath(args.bin), work)
        chosen = [command for command in commands(origin, dns_server()) if args.only in (None, command[0])]
        for title, table in (("kills", kills(origin, chosen, args.kills)), ("faults", faults(origin, chosen) if args.faults else {})):
            if table:
                print(title + ": " + ", ".join(f"{name} {count}" for name, count in table.items()) + f"; {sum(table.values())} in all, and every report once each time")


if __name__ == "__main__":
    main()
