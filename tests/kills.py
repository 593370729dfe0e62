#!/usr/bin/env python3
"""Kill every command that writes, or make its system calls fail, and check that the store is complete after the next run.

usage: tests/kills.py --bin PATH [--kills N] [--faults] [--only COMMAND]

--kills N   kill commands with SIGKILL at N random moments, distributed evenly (default 100)
--faults    then let one system call of each kind in each command fail, with EIO, ENOSPC and a kill, with and without the
            exchange of folders (needs strace)

After each: the command runs again and succeeds; every report and every TLS report is in the rows once; `verify` finds no problem;
what only the ledger knows (acknowledgments, alerts, names, DNS records, mailed summaries, what was rejected) is still there;
a rebuild from the originals has every report if the ledger is removed; what the command wrote elsewhere (an export, a
backup, a site, a mail, the mailbox of `fetch`) is complete. `fetch` polls a Dovecot by IMAP and POP3, and deletes or moves stored
mails; without Dovecot it is skipped. `ingest`, `compact`, `rebuild` and `prune` are in tests/it/robustness/fault_injection.rs too.
"""
import argparse, collections, contextlib, itertools, json, os, pathlib, random, shutil, socket, sqlite3, subprocess, sys, tempfile, threading, time

STORED, ALL, TLS = 12, 16, (1, 2)
CALLS = "write pwrite64 fsync fdatasync rename renameat2 unlink linkat mkdir rmdir ftruncate".split()
FAULTS = ["error=EIO", "error=ENOSPC", "signal=KILL"]
NOW = "2026-03-20T06:00:00Z"
HERE = pathlib.Path(__file__).resolve().parent
# Tables that cannot be rebuilt from originals, and the columns that identify a row.
REMEMBERED = {"events": "id", "alert_heard": "kind, name, run", "alert_senders": "policy_domain, mark", "alert_state": "name", "lookups": "name, kind",
              "dns_names": "domain, name, type", "dns_records": "name, type, meaning, first_seen", "mailed": "customer, period, address", "rejected": "hash"}
MAILBOX, BEFORE, UPGRADED = None, {}, []


def report(number, count=None):
    """A report of one row, in one of three months, whose count is its number in thousands. Every other one fails: a sender
    of the domain itself whose signature breaks gives an action to acknowledge."""
    begin, result = 1767225600 + number % 3 * 31 * 86400, "pass" if number % 2 else "fail"
    row = (f"<record><row><source_ip>192.0.2.1</source_ip><count>{1000 * (count or number)}</count><policy_evaluated><disposition>none</disposition><dkim>{result}</dkim><spf>fail</spf></policy_evaluated></row>"
           f"<identifiers><header_from>example.com</header_from></identifiers><auth_results><dkim><domain>example.com</domain><selector>s</selector><result>{result}</result></dkim></auth_results></record>")
    return (f"<feedback><report_metadata><org_name>r{number}</org_name><email>d@example.net</email><report_id>{number}</report_id><date_range><begin>{begin}</begin><end>{begin + 86399}</end></date_range></report_metadata>"
            f"<policy_published><domain>example.com</domain><p>none</p></policy_published>{row}</feedback>")


def dns_server():
    """Answers the query for a DMARC record, and all others with NXDOMAIN."""
    text = b"v=DMARC1; p=none"
    record = b"\xc0\x0c\0\x10\0\x01\0\0\x0e\x10" + (len(text) + 1).to_bytes(2, "big") + bytes([len(text)]) + text
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve():
        while True:
            query, address = server.recvfrom(4096)
            end = 12
            while query[end]:
                end += query[end] + 1
            found = query[12:end + 3] == b"\6_dmarc\7example\3com\0\0\x10"
            head = b"\x85\x80\0\1\0\1" if found else b"\x85\x83\0\1\0\0"
            server.sendto(query[:2] + head + bytes(4) + query[12:end + 5] + (record if found else b""), address)

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{server.getsockname()[1]}"


def tls_report(number):
    failure = {"result-type": "certificate-expired", "sending-mta-ip": "192.0.2.1", "failed-session-count": 2}
    policy = {"policy": {"policy-type": "sts", "policy-domain": "example.com"},
              "summary": {"total-successful-session-count": 1000 * number, "total-failure-session-count": 2}, "failure-details": [failure]}
    return json.dumps({"organization-name": f"t{number}", "contact-info": "tls@example.net", "report-id": f"tls-{number}",
                       "date-range": {"start-datetime": "2026-02-03T00:00:00Z", "end-datetime": "2026-02-03T23:59:59Z"}, "policies": [policy]})


class Mailbox:
    """A Dovecot mailbox with the new reports."""

    def __init__(self):
        self.server = subprocess.Popen([HERE / "dovecot/serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said = dict(line.strip().split("=", 1) for line in iter(self.server.stdout.readline, "READY\n") if "=" in line)
        self.ports, self.mail, self.turns = {"imap": said["IMAP"], "pop3": said["POP3"]}, pathlib.Path(said["FOLDER"]) / "mail", itertools.count()

    def settings(self, protocol, after):
        return (f'[[mailbox]]\nname = "m"\nprotocol = "{protocol}"\nhost = "127.0.0.1"\nport = {self.ports[protocol]}\nsecurity = "none"\n'
                f'user = "reports@example.com"\npassword_file = "password"\nafter = "{after}"\n' + ('move_to = "done"\n' if after == "move" else ""))

    def fill(self, work, protocol):
        """The new reports as mails, and nothing else."""
        for path in [*self.mail.glob("cur/*"), *self.mail.glob("new/*"), *self.mail.glob(".done/*/*")]:
            path.unlink(missing_ok=True)
        turn = next(self.turns)
        (work / "password").write_text("correct horse")
        (work / "password").chmod(0o600)
        with open(work / "settings.toml", "a") as settings:
            settings.write(self.settings(protocol, "move" if protocol == "imap" and turn % 2 else "delete"))
        for number in range(STORED + 1, ALL + 1):
            mail = self.mail / f"tmp/{turn}.{number}.example"
            mail.write_text(f"From: d@example.net\nTo: reports@example.com\nSubject: Report {number}\nMIME-Version: 1.0\nContent-Type: text/xml\n\n{report(number)}\n")
            mail.chmod(0o644)
            mail.rename(self.mail / f"new/{turn}.{number}.example")

    def done_with(self, store):
        """Check that nothing is left to fetch, and that moved mails still exist."""
        left = [path.name for path in [*self.mail.glob("cur/*"), *self.mail.glob("new/*")] if "T" not in path.name.partition(":2,")[2]]
        assert not left, f"{left} are still in the mailbox"
        moved = len({path.name.split(":")[0] for path in self.mail.glob(".done/*/*")})
        if 'after = "move"' in (store.work / "settings.toml").read_text():
            assert moved >= ALL - STORED, f"{moved} were moved"

    def close(self):
        self.server.stdin.close()
        self.server.wait()


class Store:
    """A folder with a store, and the program to run on it."""

    def __init__(self, binary, work):
        self.binary, self.work = binary, pathlib.Path(work)
        self.environment = {**os.environ, "HOME": str(self.work / "home"), "DMARQUET_STORE": str(self.work / "store")}

    def command(self, args):
        return [self.binary, "--config", "settings.toml", *args]

    def run(self, *args, check=(0,)):
        done = subprocess.run(self.command(args), cwd=self.work, env=self.environment, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL)
        assert done.returncode in check, f"{' '.join(args)}: exit {done.returncode} {done.stderr.strip()[:300]}"
        return done.stdout

    def start(self, args, before=()):
        return subprocess.Popen([*before, *self.command(args)], cwd=self.work, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def counts(self):
        """The numbers of the reports in the rows, and those of TLS reports as negative ones."""
        with tempfile.TemporaryDirectory() as out:
            self.run("export", "--format", "ndjson", "--out", f"{out}/all")
            rows = [[json.loads(line) for line in path.read_text().splitlines()] for path in map(pathlib.Path(out, "all").joinpath, ("records.ndjson", "tls_reports.ndjson")) if path.exists()]
        return sorted([row["count"] // 1000 for row in rows[0]] + [-row["successful_sessions"] // 1000 for row in sum(rows[1:], [])])

    def remembered(self):
        """What only the ledger knows."""
        with contextlib.closing(sqlite3.connect(self.work / "store/ledger.sqlite")) as ledger:
            return {table: set(ledger.execute(f"SELECT {key} FROM {table}")) for table, key in REMEMBERED.items()}


def base(binary, work):
    store = Store(binary, work)
    (store.work / "in").mkdir(), (store.work / "new").mkdir()
    (store.work / "sendmail").write_text("#!/bin/sh\ncat >> sent\n")
    (store.work / "sendmail").chmod(0o755)
    (store.work / "settings.toml").write_text(f'domains = ["example.com"]\n[smtp]\nsendmail = "{store.work}/sendmail"\nfrom = "d@example.com"\n'
                                              '[[customer]]\nname = "A"\ndomains = ["example.com"]\nmail_to = ["a@example.com"]\n')
    for number in range(1, STORED + 1):
        (store.work / f"in/{number}.xml").write_text(report(number))
        if number % 3 == 0:
            store.run("ingest", "in")
        if number == 6:
            store.run("backup", "copy")
    # One in conflict with another, of the same rows but one count, and one that cannot be read.
    (store.work / "conflict.xml").write_text(report(3, 300)), (store.work / "broken.xml").write_text("<feedback>")
    store.run("ingest", "conflict.xml", "broken.xml", check=(1,))
    for number in range(STORED + 1, ALL + 1):
        (store.work / f"new/{number}.xml").write_text(report(number))
    for number in TLS:
        (store.work / f"in/tls-{number}.json").write_text(tls_report(number))
    store.run("ingest", "in")
    # What only the ledger knows.
    server = dns_server()
    store.run("enrich", "--weeks", "500", "--server", server)
    store.run("check", "--all", "--server", server, check=(0, 1))
    store.run("alert", "--now", "2026-03-08T06:00:00Z")
    store.action = json.loads(store.run("summary", "--week", "2026-W10", "--format", "json", "--now", NOW))["actions"][0]["id"]
    store.run("ack", store.action, "--note", "an earlier note", "--now", NOW)
    store.run("summary", "--each-customer", "--mail", "--week", "2026-W09", "--now", "2026-03-19T06:00:00Z")
    return store


def whole(store, expected, what):
    """Check that every report is there once, in the rows and in the originals."""
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
    """Name, arguments, exit codes of a repeated run, and a check of what it writes elsewhere."""
    conflict = json.loads(store.run("rejected", "list", "--conflicts", "--format", "json"))[0]["id"]
    yield "ingest", ["ingest", "in"], (0,), None
    yield "compact", ["compact"], (0,), None
    yield "rebuild", ["rebuild"], (0,), None
    yield "prune", ["prune", "--keep", "1m"], (0,), None
    yield "export", ["export", "--out", "out"], (0,), exported
    yield "backup", ["backup", "copy"], (0,), backed_up
    yield "promote", ["rejected", "promote", str(conflict)], (0, 1, 2), None
    yield "retry", ["rejected", "retry"], (0, 1), None
    yield "ack", ["ack", store.action, "--note", "a note", "--now", NOW], (0,), None
    yield "enrich", ["enrich", "--weeks", "500", "--server", server], (0,), None
    yield "check", ["check", "--all", "--server", server], (0, 1), None
    yield "alert", ["alert", "--now", NOW], (0,), None
    yield "site", ["site", "--out", "site", "--now", NOW], (0,), told_as_site
    yield "backup again", ["backup", "copy"], (0,), backed_up
    yield "delta", ["export", "--out", "out", "--since-run", "0"], (0,), exported
    yield "link", ["export", "--out", "out", "--link"], (0,), exported
    yield "customers", ["export", "--each-customer", "--out", "each"], (0,), told_to_customers
    yield "mail", ["summary", "--each-customer", "--mail", "--week", "2026-W10", "--now", NOW], (0,), mailed
    yield "convert", ["convert", "in", "--format", "parquet", "--outcomes", "outcomes", "--reports", "heads"], (0,), converted
    yield "metrics", ["metrics", "--textfile", "metrics.prom", "--now", NOW], (0,), measured
    yield "upgrade", ["compact"], (0,), None
    if MAILBOX:
        yield "fetch imap", ["fetch"], (0,), MAILBOX.done_with
        yield "fetch pop3", ["fetch"], (0,), MAILBOX.done_with


def told_to_customers(store):
    told = json.loads(store.run("summary", "--records", str(next((store.work / "each").iterdir())), "--from", "2026-01-01", "--to", "2026-03-31", "--format", "json"))
    assert told["totals"]["messages"] == 1000 * sum(range(1, STORED + 1)), f"the customer's export has {told['totals']['messages']} messages"


def mailed(store):
    """At least once: a mail may have been sent before the ledger recorded it."""
    mails = (store.work / "sent").read_text().count("Subject: ")
    assert 1 <= mails <= 3, f"{mails} mails"
    assert len(store.remembered()["mailed"]) == 2, "the mail is not remembered"


def converted(store):
    outcomes = [json.loads(line)["outcome"] for line in (store.work / "outcomes").read_text().splitlines()]
    assert outcomes == ["stored"] * (STORED + len(TLS)), outcomes
    assert (store.work / "heads").read_bytes()[-4:] == b"PAR1", "the reports are cut"


def measured(store):
    assert "dmarquet_" in (store.work / "metrics.prom").read_text(), "no metrics"


def expected_rows(name):
    if name == "prune":
        return [[]]
    if name == "upgrade":
        return [UPGRADED]
    tls = [-number for number in reversed(TLS)]
    rows = list(range(1, (ALL if name == "ingest" or name.startswith("fetch") else STORED) + 1))
    other = sorted([count for count in rows if count != 3] + [300])
    return [tls + other, tls + rows] if name == "promote" else [tls + rows]


def trial(origin, name):
    work = tempfile.TemporaryDirectory()
    folder = pathlib.Path(work.name)
    shutil.copytree(origin.work / "in", folder / "in")
    shutil.copytree(HERE / "store-2" if name == "upgrade" else origin.work / "store", folder / "store")
    shutil.copy(origin.work / "settings.toml", folder)
    if name == "ingest":
        shutil.copytree(origin.work / "new", folder / "in", dirs_exist_ok=True)
    elif name == "backup again":
        shutil.copytree(origin.work / "copy", folder / "copy")
        (folder / "copy/backup-of").write_text((folder / "copy/backup-of").read_text().replace(str(origin.work), str(folder)))
    elif name.startswith("fetch"):
        MAILBOX.fill(folder, name.split()[1])
    return work


def restored(store, what):
    """An interrupted backup reads as the earlier or the new one, and restores at least that."""
    told = json.loads(store.run("--store", "copy", "status", "--format", "json"))["reports"]
    assert told in (6, STORED), f"{what}: the backup has {told} reports"
    shutil.copytree(store.work / "copy", store.work / "restored")
    (store.work / "restored/backup-of").unlink()
    store.run("--store", "restored", "rebuild")
    store.run("--store", "restored", "verify")
    again = json.loads(store.run("--store", "restored", "status", "--format", "json"))["reports"]
    assert again >= told, f"{what}: of {told} reports in the backup {again} are restored"


def finish(store, name, words, codes, elsewhere, what):
    if name == "backup again":
        restored(store, what)
    store.run(*words, check=codes)
    if elsewhere:
        elsewhere(store)
    rows = store.counts()
    choices = expected_rows(name)
    assert rows in choices, f"{what}: the rows are {rows}"
    if name not in ("upgrade", "promote", "retry"):
        kept = store.remembered()
        lost = {table: before - kept[table] for table, before in BEFORE.items() if before - kept[table]}
        assert not lost, f"{what}: the ledger lost {lost}"
    whole(store, rows, what)


def kills(origin, all_commands, number):
    table = collections.Counter()
    took = {}
    for turn in range(10 * number):
        if sum(table.values()) >= number:
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
    global MAILBOX, BEFORE, UPGRADED
    with tempfile.TemporaryDirectory() as work, contextlib.ExitStack() as stack:
        origin = base(os.path.abspath(args.bin), work)
        if shutil.which("dovecot", path=os.environ.get("PATH", "") + ":/usr/sbin") and pathlib.Path("/usr/lib/dovecot/pop3").exists():
            MAILBOX = stack.enter_context(contextlib.closing(Mailbox()))
        BEFORE = origin.remembered()
        assert all(BEFORE.values()), f"nothing to lose in {[table for table, rows in BEFORE.items() if not rows]}"
        with trial(origin, "upgrade") as old:
            UPGRADED = Store(origin.binary, old).counts()
        chosen = [command for command in commands(origin, dns_server()) if args.only in (None, command[0])]
        for title, table in (("kills", kills(origin, chosen, args.kills)), ("faults", faults(origin, chosen) if args.faults else {})):
            if table:
                print(title + ": " + ", ".join(f"{name} {count}" for name, count in table.items()) + f"; {sum(table.values())} in all, and every report once each time")


if __name__ == "__main__":
    main()
