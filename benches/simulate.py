#!/usr/bin/env python3
"""Fill a store with the program itself, with years of daily runs or very many rows; or make report files.

usage: simulate.py daily DMARQUET STORE --days 1096 --reports 913 [--plot FILE.tsv]
       simulate.py rows DMARQUET STORE --rows 50000000 --days 365
       simulate.py files - FOLDER --files 20000 [--records N] [--first N]
       simulate.py mbox - FOLDER --files 400000

`daily` runs `ingest -` once per simulated day with an mbox of small reports, and writes one line per run: day, seconds, peak
memory (MiB), files, bytes of the ledger. `rows` makes reports of 25,000 records (a gzip file of two members: its own
head, and one of 16 bodies compressed once) and ingests them 64 at a time. `mbox` makes the same reports twice: as gzip
files in FOLDER/files, and as mails with some 3 KB of headers in FOLDER/mbox, where 400,000 come to about 2 GB. All names
are reserved for documentation.
"""

import argparse
import base64
import datetime
import gzip
import hashlib
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

LAST = datetime.date(2026, 11, 22)
RECORDS = 25_000
BODIES = 16


def head(day, number, domain):
    begin = int(datetime.datetime(day.year, day.month, day.day, tzinfo=datetime.timezone.utc).timestamp())
    reporter = f"reporter-{number % 60}.example.net"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<feedback>\n<report_metadata><org_name>{reporter}</org_name>'
        f"<email>dmarc@{reporter}</email><report_id>{begin}.{number}</report_id><date_range><begin>{begin}</begin>"
        f"<end>{begin + 86399}</end></date_range></report_metadata>\n<policy_published><domain>{domain}</domain>"
        "<adkim>r</adkim><aspf>r</aspf><p>reject</p><sp>reject</sp><pct>100</pct></policy_published>\n"
    )


def record(dice, domain):
    address = f"10.{dice.randrange(8)}.{dice.randrange(256)}.{dice.randrange(1, 255)}"
    dkim, spf = (dice.choice(["pass", "pass", "pass", "fail"]) for _ in range(2))
    count = min(int(dice.paretovariate(1.1)), 100_000)
    return (
        f"<record><row><source_ip>{address}</source_ip><count>{count}</count><policy_evaluated><disposition>none"
        f"</disposition><dkim>{dkim}</dkim><spf>{spf}</spf></policy_evaluated></row><identifiers><header_from>{domain}"
        f"</header_from><envelope_from>bounce.{domain}</envelope_from></identifiers><auth_results><dkim><domain>{domain}"
        f"</domain><selector>s{dice.randrange(4)}</selector><result>{dkim}</result></dkim><spf><domain>bounce.{domain}"
        f"</domain><scope>mfrom</scope><result>{spf}</result></spf></auth_results></record>\n"
    )


def mail(text, number):
    return (
        f"From MAILER-DAEMON Thu Jan  1 00:00:00 2026\nFrom: dmarc@reporter.example.net\nTo: dmarc@example.com\n"
        f"Subject: Report Domain: example.com Report-ID: {number}\nMIME-Version: 1.0\n"
        f"Content-Type: text/xml; name=report.xml\n\n{text}\n\n"
    )


def run(program, store, paths, given=None):
    """One ingest; gives its seconds and its peak memory in MiB."""
    start = time.monotonic()
    command = [program, "--store", store, "ingest", "--format", "json", *paths]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    if given is not None:
        child.stdin.write(given)
    child.stdin.close()
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"ingest: exit status {os.waitstatus_to_exitcode(status)}, expected 0")
    return time.monotonic() - start, usage.ru_maxrss / 1024


def daily(asked):
    out = open(asked.plot, "w") if asked.plot else sys.stdout
    dice = random.Random(7)
    for back in range(asked.days - 1, -1, -1):
        day = LAST - datetime.timedelta(days=back)
        mails = []
        for number in range(asked.reports):
            domain = f"d{number % 5}.example.com"
            rows = "".join(record(dice, domain) for _ in range(dice.choice([1, 1, 2, 5])))
            mails.append(mail(head(day, number, domain) + rows + "</feedback>", number))
        seconds, peak = run(asked.program, asked.store, ["-"], "".join(mails).encode())
        store = pathlib.Path(asked.store)
        files = sum(1 for folder in ("records", "originals") for path in (store / folder).rglob("*") if path.is_file())
        ledger = sum(path.stat().st_size for path in store.glob("ledger.sqlite*"))
        print(day, f"{seconds:.3f}", f"{peak:.0f}", files, ledger, sep="\t", file=out, flush=True)


def rows(asked):
    dice = random.Random(7)
    domains = [f"d{number}.example.com" for number in range(BODIES)]
    bodies = [
        gzip.compress(("".join(record(dice, domain) for _ in range(RECORDS)) + "</feedback>\n").encode(), 1)
        for domain in domains
    ]
    folder = pathlib.Path(asked.store + ".incoming")
    made, reports = 0, -(-asked.rows // RECORDS)
    while made < reports:
        folder.mkdir()
        for number in range(made, min(made + 64, reports)):
            day = LAST - datetime.timedelta(days=asked.days - 1 - number * asked.days // reports)
            which = number % BODIES
            data = gzip.compress(head(day, number, domains[which]).encode(), 1) + bodies[which]
            name = hashlib.sha256(str(number).encode()).hexdigest()[:16]
            (folder / f"{number:08}-{name}.xml.gz").write_bytes(data)
        made = min(made + 64, reports)
        seconds, peak = run(asked.program, asked.store, [str(folder)])
        print(made * RECORDS, f"{seconds:.2f}", f"{peak:.0f}", sep="\t", flush=True)
        shutil.rmtree(folder)


def report(dice, number, records=0):
    """A report of so many records; without a wish: median 3 and a long tail, as reports are."""
    day = LAST - datetime.timedelta(days=number % 56)
    domain = f"d{number % 5}.example.com"
    count = records or min(int(2 * dice.paretovariate(1.3)), 3000)
    text = head(day, number, domain) + "".join(record(dice, domain) for _ in range(count)) + "</feedback>\n"
    return f"reporter-{number % 60}.example.net!{domain}!{number:07}.xml.gz", gzip.compress(text.encode(), 6)


def files(asked):
    dice = random.Random(asked.first)
    folder = pathlib.Path(asked.store)
    folder.mkdir(parents=True)
    for number in range(asked.first, asked.first + asked.files):
        name, data = report(dice, number, asked.records)
        (folder / name).write_bytes(data)


def mbox(asked):
    dice = random.Random(7)
    folder = pathlib.Path(asked.store)
    (folder / "files").mkdir(parents=True)
    with open(folder / "mbox", "wb") as out:
        for number in range(asked.files):
            name, data = report(dice, number, 1 + number % 3)
            (folder / "files" / name).write_bytes(data)
            trace = "".join(
                f"Received: from hop{hop}.example.net (hop{hop}.example.net [192.0.2.{hop}])\n"
                f"\tby hop{hop + 1}.example.net (Postfix) with ESMTPS id {dice.getrandbits(64):016x}\n"
                f"\tfor <dmarc@example.com>; Sun, 22 Nov 2026 00:00:0{hop} +0000 (UTC)\n"
                f"X-Signature-{hop}: {dice.getrandbits(3000):x}\n"
                for hop in range(3)
            )
            body = base64.encodebytes(data).decode()
            out.write(
                f"From MAILER-DAEMON Thu Jan  1 00:00:00 2026\n{trace}From: dmarc@reporter.example.net\n"
                f"To: dmarc@example.com\nSubject: Report Domain: example.com Report-ID: {number}\nMIME-Version: 1.0\n"
                f"Message-ID: <{number}@reporter.example.net>\nContent-Type: application/gzip; name={name}\n"
                f"Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename={name}\n\n{body}\n".encode()
            )


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("what", choices=["daily", "rows", "files", "mbox"])
    words.add_argument("program")
    words.add_argument("store")
    words.add_argument("--days", type=int, default=365)
    words.add_argument("--reports", type=int, default=1000)
    words.add_argument("--rows", type=int, default=50_000_000)
    words.add_argument("--files", type=int, default=20_000)
    words.add_argument("--records", type=int, default=0)
    words.add_argument("--first", type=int, default=0)
    words.add_argument("--plot")
    asked = words.parse_args()
    {"daily": daily, "rows": rows, "files": files, "mbox": mbox}[asked.what](asked)


main()
