#!/usr/bin/env python3
"""Run each named query of docs/query.md with the program and with DuckDB over the same export: equal answers, time, memory.

usage: query_duckdb.py make PROGRAM FOLDER --rows 1000000      reports through `ingest` into FOLDER/store, then FOLDER/lake
       query_duckdb.py run PROGRAM FOLDER... [--runs 3] [--threads 2] [--only NAME]

Needs duckdb. Both programs write their answer as CSV to a file, with the same number of threads and files in the page cache; the figures are
medians: seconds of wall clock, of processor time ("busy"), MiB at the peak. The program is measured from start to end. For
DuckDB, only the query is timed, not the start of Python; its memory is that of its process, which takes some 60 MiB before any
query. Each report has N/1000 records (at most 25,000), from 64 bodies generated once; later reports have later bodies, so that
each week has new addresses. Exits with 1 if an answer differs or is empty.
"""
import argparse, csv, datetime as dt, gzip, json, os, pathlib, random, shutil, statistics, subprocess, sys, time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
import query as check

BODIES, DAYS, LAST, WEEK = 64, 365, dt.date(2026, 11, 22), "2026-W47"
POLICIES = ("none", "quarantine", "reject")
DOMAINS = [(f"d{number}.example.com", POLICIES[number % 3]) for number in range(16)]


def record(dice, body, domain, policy):
    """A record from an own server, a forwarder, or a spoofer; the spoofers' addresses are those of the body."""
    kind = dice.random()
    if kind < 0.6:
        address, dkim, spf = f"192.0.2.{dice.randrange(1, 255)}", dice.random() < 0.95, dice.random() < 0.9
    elif kind < 0.7:
        address, dkim, spf = f"203.0.113.{dice.randrange(1, 255)}", dice.random() < 0.8, False
    else:
        address, dkim, spf = f"2001:db8:{body:x}:{dice.randrange(4096):x}::{dice.randrange(1, 5):x}", False, False
    lenient = dkim or spf or policy == "none" or dice.random() < 0.2
    # One in a hundred reporters' verdicts contradicts its evidence.
    told = not dkim if dice.random() < 0.01 else dkim
    word = {True: "pass", False: "fail"}
    count = min(int(dice.paretovariate(1.1)), 100_000)
    header = domain if dice.random() < 0.8 else f"news.{domain}"
    return (
        f"<record><row><source_ip>{address}</source_ip><count>{count}</count><policy_evaluated>"
        f"<disposition>{'none' if lenient else policy}</disposition><dkim>{word[told]}</dkim><spf>{word[spf]}</spf></policy_evaluated>"
        f"</row><identifiers><header_from>{header}</header_from><envelope_from>bounce.{domain}</envelope_from></identifiers>"
        f"<auth_results><dkim><domain>{domain}</domain><selector>s{dice.randrange(4)}</selector><result>{word[dkim]}</result></dkim>"
        f"<spf><domain>bounce.{domain}</domain><scope>mfrom</scope><result>{word[spf]}</result></spf></auth_results></record>\n"
    )


def head(day, number, domain, policy):
    begin = int(dt.datetime(day.year, day.month, day.day, tzinfo=dt.timezone.utc).timestamp())
    reporter = f"reporter-{number % 60}.example.net"
    return (
        f'<?xml version="1.0"?>\n<feedback><report_metadata><org_name>{reporter}</org_name><email>dmarc@{reporter}</email>'
        f"<report_id>{begin}.{number}</report_id><date_range><begin>{begin}</begin><end>{begin + 86399}</end></date_range>"
        f"</report_metadata>\n<policy_published><domain>{domain}</domain><p>{policy}</p></policy_published>\n"
    )


def stranger(dice, domain, policy, weight):
    """A record of mail that neither is signed nor returns to the domain: a spoofer's, as the summary sees it."""
    return (
        f"<record><row><source_ip>2001:db8:ffff:{dice.randrange(300):x}::1</source_ip><count>{weight * dice.randrange(1, 40)}</count>"
        f"<policy_evaluated><disposition>{policy}</disposition><dkim>fail</dkim><spf>fail</spf></policy_evaluated></row>"
        f"<identifiers><header_from>{domain}</header_from><envelope_from>mail.example.org</envelope_from></identifiers>"
        "<auth_results><spf><domain>mail.example.org</domain><scope>mfrom</scope><result>fail</result></spf></auth_results></record>\n"
    )


def tls(day, number):
    """A TLS report with failures of two kinds."""
    domain = f"d{number % 16}.example.com"
    failed = {"certificate-expired": 1 + number % 7, "starttls-not-supported": number % 3}
    details = [{"result-type": kind, "receiving-mx-hostname": f"mx{number % 2}.{domain}", "failed-session-count": count}
               for kind, count in failed.items() if count]
    policy = {"policy": {"policy-type": "sts", "policy-domain": domain},
              "summary": {"total-successful-session-count": 500, "total-failure-session-count": sum(failed.values())},
              "failure-details": details}
    return json.dumps({"organization-name": f"reporter-{number % 5}.example.net", "report-id": str(number), "policies": [policy],
                       "contact-info": "tls@example.net",
                       "date-range": {"start-datetime": f"{day}T00:00:00Z", "end-datetime": f"{day}T23:59:59Z"}})


def make(program, folder, rows):
    dice = random.Random(7)
    records = min(max(rows // 1000, 1), 25_000)
    reports = -(-rows // records)
    bodies = []
    for body in range(BODIES):
        rows_of = "".join(record(dice, body, *DOMAINS[body % 16]) for _ in range(records))
        bodies.append(gzip.compress((rows_of + "</feedback>\n").encode(), 1))
    incoming = folder / "incoming"
    incoming.mkdir(parents=True)

    def ingest():
        subprocess.run([program, "--store", folder / "store", "ingest", "-q", incoming], check=True)
        for file in incoming.iterdir():
            file.unlink()

    for number in range(reports):
        day = LAST - dt.timedelta(days=DAYS - 1 - number * DAYS // reports)
        which = (number * (BODIES - 15) // reports) + number % 16
        data = gzip.compress(head(day, number, *DOMAINS[which % 16]).encode(), 1) + bodies[which]
        (incoming / f"{number:08}.xml.gz").write_bytes(data)
        if number % 64 == 63:
            ingest()
    for number, (domain, policy) in enumerate(DOMAINS):
        rows_of = "".join(stranger(dice, domain, policy, 1 + rows // 50_000) for _ in range(300))
        (incoming / f"stranger-{number}.xml").write_text(head(LAST, 10**6 + number, domain, policy) + rows_of + "</feedback>")
    for number in range(3 * DAYS):
        day = LAST - dt.timedelta(days=number // 3)
        (incoming / f"tls-{number:08}.json").write_text(tls(day, number))
    ingest()
    incoming.rmdir()
    export(program, folder)


def export(program, folder):
    shutil.rmtree(folder / "lake", ignore_errors=True)
    subprocess.run([program, "--store", folder / "store", "export", "--link", "--out", folder / "lake"], check=True)


DUCK = """
import duckdb, sys, time
lake, threads, out, sql, *tables = sys.argv[1:]
db = duckdb.connect(config={"threads": threads})
db.execute("SET enable_progress_bar = false")
for table in tables:
    db.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{lake}/{table}/**/*.parquet', hive_partitioning = false)")
start, busy = time.monotonic(), time.process_time()
db.execute(f"COPY ({sql}) TO '{out}' (FORMAT csv, HEADER)")
print(time.monotonic() - start, time.process_time() - busy)
"""


def measured(command, environment, out=subprocess.DEVNULL):
    """Seconds from start to end and of processor time, peak memory in MiB, and what it wrote to standard output."""
    start = time.monotonic()
    child = subprocess.Popen([str(word) for word in command], stdout=out, env=environment)
    said = child.stdout.read().decode() if child.stdout else ""
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{command[:4]}: exit status {os.waitstatus_to_exitcode(status)}, expected 0")
    return (time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024), said


def answer(path):
    with open(path, newline="") as file:
        head, *rows = csv.reader(file)
    return head, sorted(rows)


def run(program, folder, asked):
    lake, scratch = folder / "lake", folder / "answers"
    scratch.mkdir(exist_ok=True)
    environment = {**os.environ, "POLARS_MAX_THREADS": str(asked.threads), "RAYON_NUM_THREADS": str(asked.threads)}
    sunday = dt.date.fromisocalendar(*map(int, WEEK.split("-W")), 7)
    tables = [table for table in check.TABLES if any((lake / table).glob("**/*.parquet"))]
    files = list((lake / "records").glob("**/*.parquet"))
    rows = int(subprocess.run([program, "query", "SELECT COUNT(*) AS n FROM records", "--records", lake, "--format", "csv",
                               "--config", "/dev/null"], check=True, capture_output=True, text=True).stdout.split()[1])
    print(f"\n{rows:,} records in {len(files)} files, {sum(file.stat().st_size for file in files) / 2**20:,.0f} MiB\n")
    head = [f"{who} {unit}".strip() for unit in ("s", "busy s", "MiB") for who in ("dmarquet", "DuckDB")]
    print(f"| query | rows | {' | '.join([*head[:2], 'ratio', *head[2:4], 'ratio', *head[4:], 'ratio'])} |\n|---|{'--:|' * 10}")
    faults, ratios = [], []
    for name, period, sql in check.named():
        if asked.only and name != asked.only:
            continue
        about = WEEK if period == "last week" else None
        bounds = {"from": sunday - dt.timedelta(days=6), "to": sunday} if about else {"from": dt.date(1, 1, 1), "to": dt.date(9999, 12, 31)}
        sql = sql.format(week=about or "", **bounds)
        command = [program, "query", name, "--records", lake, "--format", "csv", "--config", "/dev/null", *(["--week", about] if about else [])]
        ours, theirs = [], []
        for _ in range(asked.runs):
            with open(scratch / "ours.csv", "wb") as out:
                ours.append(measured(command, environment, out)[0])
            duck = [sys.executable, "-c", DUCK, lake, asked.threads, scratch / "theirs.csv", sql, *tables]
            figures, said = measured(duck, environment, subprocess.PIPE)
            theirs.append((*map(float, said.split()), figures[2]))
        found, wanted = answer(scratch / "ours.csv"), answer(scratch / "theirs.csv")
        if found != wanted:
            differing = next((pair for pair in zip(found[1], wanted[1]) if pair[0] != pair[1]), (len(found[1]), len(wanted[1])))
            faults.append(f"{name}: {differing[0]}, DuckDB has {differing[1]}")
        if not wanted[1]:
            faults.append(f"{name}: no rows to compare")
        ours, theirs = ([statistics.median(values) for values in zip(*runs)] for runs in (ours, theirs))
        ratios.append([mine / other for mine, other in zip(ours, theirs)])
        cells = (f"{mine:.{digits}f} | {other:.{digits}f} | {mine / other:.2f}" for mine, other, digits in zip(ours, theirs, (3, 3, 0)))
        print(f"| {name} | {len(wanted[1]):,} | {' | '.join(cells)} |", flush=True)
    means = (f"{statistics.geometric_mean(values):.2f}" for values in zip(*ratios))
    print(f"| geometric mean | | | | {' | | | '.join(means)} |")
    return faults


def main():
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("what", choices=["make", "export", "run"])
    words.add_argument("program", type=pathlib.Path)
    words.add_argument("folders", nargs="+", type=pathlib.Path)
    words.add_argument("--rows", type=int, default=1_000_000)
    words.add_argument("--runs", type=int, default=3)
    words.add_argument("--threads", type=int, default=2)
    words.add_argument("--only")
    asked = words.parse_args()
    program, faults = asked.program.resolve(), []
    for folder in asked.folders:
        if asked.what == "make":
            make(program, folder, asked.rows)
        elif asked.what == "export":
            export(program, folder)
        else:
            faults += run(program, folder, asked)
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
