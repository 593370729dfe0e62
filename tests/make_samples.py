#!/usr/bin/env python3
"""Make samples/: seven weeks of DMARC aggregate reports in the shapes that real reporters use.

usage: make_samples.py [--check] [OUT]      OUT: default samples/ beside this folder

Contains the story (who sends as which domain, and what breaks when), the peculiarities of each reporter's XML, and the
forms in which the reports are sent. The files are the same on every machine except for compressed bytes, which may
differ between versions of zlib: `--check` writes nothing and compares the content.

Policy domains, sources and people are reserved for documentation (RFC 2606, 5737, 3849). Reporters have
the names of real ones; what they report is invented.

The story, 2026-W41 to 2026-W47 (5 October to 22 November):
  example.com         p=reject and in good order: own servers, a newsletter sender with a return path of its own, plain
                      forwarders that keep DKIM alive, a list that breaks it, a little spoofing. A second newsletter
                      sender falls silent after W46.
  example.net         p=none, p=quarantine from 26 October. The invoice server signs with a selector that is published
                      nowhere from 4 November. A CRM service was never aligned; a survey tool, unaligned too, is new
                      in W47. One own server is missing in SPF.
  example.org         p=none: forwarding that receivers recognize, spoofing from scattered addresses, and from
                      19 November a wave from one new address.
  news.example.org    a sub-domain with a record of its own, strict, pct=50.
  parked.example.net  sends nothing: all that is seen is spoofing.
Seznam reports until W45 and then no more.
"""
import argparse, base64, email, hashlib, io, pathlib, quopri, struct, sys, zipfile, zlib
from collections import namedtuple
from datetime import date, datetime, timedelta, timezone
from email.utils import format_datetime
from xml.sax.saxutils import escape

DAY = 86400
MONDAY = {week: date.fromisocalendar(2026, week, 1) for week in range(41, 48)}


def dice(sides, *what):
    """A number below `sides` that is the same for the same `what` on every machine."""
    digest = hashlib.sha256("|".join(map(str, what)).encode()).digest()
    return int.from_bytes(digest[:8], "big") % sides


# ---------------------------------------------------------------------------------------------------------------
# The story: policies, senders, and the rows that a reporter sees on a day.

Policy = namedtuple("Policy", "p sp adkim aspf pct fo")
Row = namedtuple("Row", "ip count header_from envelope_from dkim spf reason")
# dkim: (domain, selector, result) one a signature; spf: (domain, result); reason: (type, comment) or None.
# volume: messages a day at all receivers together; days: which weekdays (0 = Monday), None = all, fewer at weekends.
Sender = namedtuple("Sender", "domain ip volume header_from envelope_from dkim spf reason since until days")


def policy_of(domain, day):
    if domain == "example.com":
        return Policy("reject", "reject", "r", "r", 100, "1")
    if domain == "example.net":
        p = "none" if day < date(2026, 10, 26) else "quarantine"
        return Policy(p, p, "r", "r", 100, "0")
    if domain == "news.example.org":
        return Policy("quarantine", "quarantine", "s", "s", 50, "0")
    if domain == "parked.example.net":
        return Policy("reject", "reject", "s", "s", 100, "0")
    return Policy("none", "none", "r", "r", 100, "0")


def sender(domain, ip, volume, dkim, spf, header_from=None, envelope_from=None, reason=None, since=None, until=None,
           days=None):
    header_from = header_from or domain
    if envelope_from is None:
        envelope_from = spf[0]
    return Sender(domain, ip, volume, header_from, envelope_from, tuple(dkim), spf, reason,
                  since or date(2026, 1, 1), until or date(2027, 1, 1), days)


OWN_COM = ("example.com", "s2026", "pass")
OWN_NET = ("example.net", "mta1", "pass")
OWN_ORG = ("example.org", "org-k1", "pass")
BROKEN = date(2026, 11, 4)   # the invoice server's selector was changed and not published
WAVE = date(2026, 11, 19)    # the spoofing wave on example.org begins

SENDERS = [
    # example.com: in good order.
    sender("example.com", "192.0.2.10", 2400, [OWN_COM], ("example.com", "pass")),
    sender("example.com", "192.0.2.11", 1900, [OWN_COM], ("example.com", "pass")),
    sender("example.com", "2001:db8:10::25", 900, [OWN_COM], ("example.com", "pass")),
    sender("example.com", "192.0.2.15", 260, [("shop.example.com", "shop1", "pass")], ("bounce.shop.example.com", "pass"),
           header_from="shop.example.com"),
    sender("example.com", "198.51.100.20", 9000, [("example.com", "nl1", "pass"), ("mailer.example", "m1", "pass")],
           ("bounce.mailer.example", "pass"), days=(1, 3)),
    sender("example.com", "198.51.100.21", 8600, [("example.com", "nl1", "pass"), ("mailer.example", "m1", "pass")],
           ("bounce.mailer.example", "pass"), days=(1, 3)),
    sender("example.com", "198.51.100.40", 700, [("example.com", "old-esp", "pass")], ("old-esp.example", "pass"),
           until=date(2026, 11, 15)),
    # Forwarded as it was: DKIM lives, SPF is the forwarder's.
    sender("example.com", "203.0.113.80", 60, [OWN_COM], ("example.com", "fail")),
    sender("example.com", "203.0.113.81", 25, [OWN_COM], ("alumni.example", "pass")),
    # A list that changes the text: DKIM breaks.
    sender("example.com", "203.0.113.90", 45, [("example.com", "s2026", "fail"), ("lists.example", "l1", "pass")],
           ("lists.example", "pass"), reason=("local_policy", "arc=pass")),
    sender("example.com", "203.0.113.91", 30, [("example.com", "s2026", "fail")], ("groups.example", "pass")),
    # example.net: what there is to do.
    sender("example.net", "192.0.2.50", 1500, [OWN_NET], ("example.net", "pass")),
    sender("example.net", "192.0.2.60", 620, [("example.net", "inv2025", "pass")], ("example.net", "softfail"),
           header_from="billing.example.net", envelope_from="example.net", until=BROKEN - timedelta(days=1)),
    sender("example.net", "192.0.2.60", 620, [("example.net", "inv2026", "permerror")], ("example.net", "softfail"),
           header_from="billing.example.net", envelope_from="example.net", since=BROKEN),
    sender("example.net", "198.51.100.77", 380, [("crm-cloud.example", "c3", "pass")], ("bounce.crm-cloud.example", "pass")),
    sender("example.net", "198.51.100.66", 900, [("survey-tool.example", "st", "pass")], ("mail.survey-tool.example", "pass"),
           since=date(2026, 11, 17), days=(1, 2, 3)),
    sender("example.net", "192.0.2.11", 110, [], ("example.net", "softfail")),
    sender("example.net", "203.0.113.80", 20, [OWN_NET], ("example.net", "fail")),
    # example.org: p=none.
    sender("example.org", "192.0.2.110", 1100, [OWN_ORG], ("example.org", "pass")),
    sender("example.org", "2001:db8:110::25", 300, [OWN_ORG], ("example.org", "pass")),
    sender("example.org", "192.0.2.111", 140, [], ("example.org", "pass")),
    sender("example.org", "203.0.113.33", 70, [("example.org", "org-k1", "fail")], ("example.org", "softfail"),
           reason=("forwarded", "")),
    sender("example.org", "2001:db8:f0::33", 25, [("example.org", "org-k1", "fail")], ("example.org", "softfail"),
           reason=("mailing_list", "")),
    sender("example.org", "198.51.100.200", 2600, [], ("example.org", "softfail"), since=WAVE),
    # news.example.org: strict, half of what fails is let through.
    sender("news.example.org", "192.0.2.120", 800, [("news.example.org", "n1", "pass")], ("news.example.org", "pass"),
           days=(2,)),
    sender("news.example.org", "192.0.2.121", 60, [("example.org", "org-k1", "pass")], ("example.org", "pass"), days=(2, 4)),
]

# How many addresses spoof a domain on a day, and how much each sends.
SPOOFING = {"example.com": (3, 6), "example.net": (2, 5), "example.org": (9, 14), "parked.example.net": (4, 8)}


def spoofers(domain, day, reporter):
    """Scattered addresses, few messages each, nothing that passes as the domain."""
    addresses, most = SPOOFING.get(domain, (0, 0))
    for n in range(dice(addresses + 1, "addresses", domain, day, reporter.org)):
        place = dice(120, "place", domain, day, n)
        ip = f"203.0.113.{100 + place}" if place % 5 else f"2001:db8:bad:{place:x}::{n + 1:x}"
        count = 1 + dice(most, "count", domain, day, reporter.org, n)
        if dice(4, "own envelope", ip) == 0:
            yield Row(ip, count, domain, f"host{place}.example", (), (f"host{place}.example", "none"), None)
        else:
            yield Row(ip, count, domain, domain, (), (domain, "fail" if domain != "example.org" else "softfail"), None)


def rows(domain, day, reporter):
    """What one reporter sees of a domain on a day."""
    found = []
    for s in SENDERS:
        if s.domain != domain or not s.since <= day <= s.until or (s.days and day.weekday() not in s.days):
            continue
        weekend = 30 if day.weekday() >= 5 and not s.days else 100
        weather = 80 + dice(41, "weather", s.ip, domain, day, reporter.org)
        count = s.volume * reporter.share * weekend * weather // 1_000_000
        if count:
            found.append(Row(s.ip, count, s.header_from, s.envelope_from, s.dkim, s.spf, s.reason))
    return found + list(spoofers(domain, day, reporter))


# ---------------------------------------------------------------------------------------------------------------
# A receiver's verdict on a row, according to DMARC.

def organization(domain):
    return ".".join(domain.split(".")[-2:])


def aligned(domain, header_from, mode):
    return domain == header_from if mode == "s" else organization(domain) == organization(header_from)


def alignment(row, policy):
    """Whether DKIM and SPF pass as the author's domain."""
    dkim = any(r == "pass" and aligned(d, row.header_from, policy.adkim) for d, _, r in row.dkim)
    return dkim, row.spf[1] == "pass" and aligned(row.spf[0], row.header_from, policy.aspf)


def verdict(row, policy, policy_domain, rfc9990):
    """(disposition, dkim, spf, reason) of policy_evaluated."""
    dkim, spf = alignment(row, policy)
    asked = policy.p if row.header_from == policy_domain else policy.sp
    reason = row.reason
    if dkim or spf:
        disposition, reason = "pass" if rfc9990 and asked != "none" else "none", None
    elif asked == "none":
        disposition = "none"
    elif reason:
        disposition = "none"
    else:
        disposition = asked
    if rfc9990 and reason and reason[0] == "forwarded":
        reason = ("trusted_forwarder", reason[1])
    return disposition, "pass" if dkim else "fail", "pass" if spf else "fail", reason


# ---------------------------------------------------------------------------------------------------------------
# The reporters and the peculiarities of their XML.

# share: percent of the traffic that it receives. habits, absent ones are off:
#   declaration, root (attributes), indent, eol, version, end (what is added to begin), start (hours from midnight)
#   contact, generator, policy (child elements in order), ids (identifiers in order), scope, human (DKIM human_result)
#   result_first (result before selector), one_each (a record a message), drop_dkim (no auth_results/dkim), rfc9990
Reporter = namedtuple("Reporter", "org email submitter share habits")
XSD = ' xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
DMARC2 = ' xmlns="urn:ietf:params:xml:ns:dmarc-2.0"'
XML = '<?xml version="1.0" encoding="UTF-8" ?>\n'
OLD = ("domain", "adkim", "aspf", "p", "sp", "pct")

GOOGLE = Reporter("google.com", "noreply-dmarc-support@google.com", "google.com", 40, dict(
    declaration=XML, indent="  ", end=DAY - 1, contact="https://support.google.com/a/answer/2466580",
    policy=("domain", "adkim", "aspf", "p", "sp", "pct", "np"), ids=("header_from",), result_first=True))
OUTLOOK = Reporter("Outlook.com", "dmarcreport@microsoft.com", "protection.outlook.com", 20, dict(
    declaration='<?xml version="1.0"?>\n', root=XSD, indent="  ", version="1.0", end=DAY,
    policy=("domain", "adkim", "aspf", "p", "sp", "pct", "fo"), ids=("envelope_to", "envelope_from", "header_from"),
    scope=True, recipient="outlook-customer.example"))
ENTERPRISE = Reporter("Enterprise Outlook", "dmarcreport@microsoft.com", "enterprise.protection.outlook.com", 12, dict(
    declaration='<?xml version="1.0"?>', root=XSD, version="1.0", end=DAY,
    policy=("domain", "adkim", "aspf", "p", "sp", "pct", "fo"), ids=("envelope_to", "envelope_from", "header_from"),
    scope=True, recipient="customer.example"))
YAHOO = Reporter("Yahoo", "dmarchelp@yahooinc.com", "yahoo.com", 14, dict(
    declaration='<?xml version="1.0"?>\t\n', indent="  ", eol="\t\n", end=DAY - 1,
    policy=("domain", "adkim", "aspf", "p", "pct"), ids=("header_from",)))
FASTMAIL = Reporter("Fastmail Pty Ltd", "reports@fastmaildmarc.com", "fastmaildmarc.com", 4, dict(
    declaration='<?xml version="1.0"?>\n', root=DMARC2, indent="\t", version="1.0", end=DAY - 1, rfc9990=True,
    contact="https://fastmail.com/", generator="Mail::DMARC 1.20260621",
    policy=("discovery_method", "domain", "fo", "np", "p", "sp", "testing"), ids=("envelope_from", "header_from"),
    scope=True, human=True, discovery="treewalk"))
GMX = Reporter("GMX", "noreply-dmarc@sicher.gmx.net", "gmx.net", 5, dict(
    declaration='<?xml version="1.0" encoding="UTF-8"?>\n', root=DMARC2, indent="   ", version="1.0", end=DAY - 1,
    contact="https://postmaster.gmx.net/en/case?c=r2002",
    policy=("domain", "p", "sp", "adkim", "aspf", "testing", "discovery_method"), ids=("envelope_from", "header_from"),
    scope=True, discovery="psl"))
WEBDE = GMX._replace(org="WEB.DE", email="noreply-dmarc@sicher.web.de", submitter="web.de", share=4)
MAILRU = Reporter("Mail.Ru", "dmarc_support@corp.mail.ru", "mail.ru", 5, dict(
    declaration="<?xml version='1.0' encoding='utf-8'?>", end=DAY, contact="http://help.mail.ru/mail-help",
    policy=OLD, ids=("header_from",), scope=True))
COMCAST = Reporter("comcast.net", "dmarc_reports@comcast.net", "comcast.net", 6, dict(
    declaration='<?xml version="1.0" encoding="UTF-8"?>\n', indent="  ", version="1.0", end=DAY - 1,
    policy=OLD + ("fo",), ids=("envelope_from", "header_from"), scope=True))
AMAZON = Reporter("Amazon SES", "postmaster@amazonses.com", "amazonses.com", 3, dict(
    declaration='<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n', indent="    ", version="0.1", end=DAY,
    policy=("domain", "adkim", "aspf", "p", "sp", "pct", "fo"), ids=("envelope_from", "header_from")))
MIMECAST = Reporter("mimecast.org", "no-reply@de-1.mimecastreport.com", "mimecast.org", 4, dict(
    declaration='<?xml version="1.0" encoding="UTF-8"?>\n', indent="    ", end=DAY - 1, contact="http://www.mimecast.com/",
    policy=OLD + ("fo",), ids=("envelope_from", "header_from"), scope=True, human=""))
SEZNAM = Reporter("seznam.cz a.s.", "abuse@seznam.cz", "seznam.cz", 4, dict(
    declaration='<?xml version="1.0" encoding="UTF-8"?>\n', indent="  ", end=DAY - 1,
    policy=OLD, ids=("envelope_from", "header_from"), scope=True))
OPENDMARC = Reporter("mx.smallbox.example", "postmaster@smallbox.example", "mx.smallbox.example", 1, dict(
    declaration='<?xml version="1.0" encoding="UTF-8"?>\n', indent=" ", end=DAY - 1,
    policy=OLD, ids=("header_from",), one_each=True, drop_dkim=True))
RSPAMD = Reporter("Verein für freie Post", "dmarc@verein.example", "mail.verein.example", 1, dict(
    declaration='<?xml version="1.0" encoding="UTF-8"?>\n', indent="  ", start=-1, end=DAY - 1,
    policy=OLD, ids=("envelope_from", "header_from"), scope=True))
CISCO = Reporter("Bank of Example", "dmarc-admin@bank.example", "esa1.bank.example", 2, dict(
    declaration='<?xml version="1.0" encoding="UTF-8" ?>\n', indent="  ", version="1.0", end=DAY,
    contact="https://bank.example/postmaster", policy=OLD + ("fo",), ids=("envelope_from", "header_from"), scope=True))
COLLEGE = Reporter("college.example", "postmaster@college.example", "college.example", 2, dict(
    declaration='<?xml version="1.0" encoding="ISO-8859-1"?>\n', indent="  ", end=3 * DAY - 1, charset="latin-1",
    contact="Universitätsstraße 1", policy=OLD, ids=("header_from",)))
WP = Reporter("wp.pl", "dmarc@wp.pl", "wp.pl", 0, dict(
    declaration='<?xml version="1.0"?>\n', indent="  ", end=DAY - 1, policy=OLD, ids=("header_from",)))


class Report:
    """One report: a reporter, a domain and a day, with its XML and the names that go with it."""

    def __init__(self, reporter, domain, day):
        self.reporter, self.domain, self.day, self.habits = reporter, domain, day, reporter.habits
        midnight = int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp())
        self.begin = midnight + 3600 * self.habits.get("start", 0)
        self.end = self.begin + self.habits["end"]
        self.id = self.make_id()
        self.policy = policy_of(domain, day)
        self.rows = rows(domain, day, reporter)
        self.sent = datetime.fromtimestamp(midnight + DAY + 3600 + dice(6 * 3600, self.id), timezone.utc)

    def make_id(self):
        number = dice(10**19, self.reporter.org, self.domain, self.day)
        return {
            "google.com": f"{number:019d}",
            "Yahoo": f"{self.begin + DAY + number % 9000}.{number % 10**6:06d}",
            "Mail.Ru": f"{number:020d}{self.begin}",
            "mx.smallbox.example": f"{self.domain}:{self.begin}",
            "mimecast.org": hashlib.sha256(str(number).encode()).hexdigest(),
        }.get(self.reporter.org, hashlib.md5(str(number).encode()).hexdigest())

    def name(self, ending="xml.gz"):
        return f"{self.reporter.submitter}!{self.domain}!{self.begin}!{self.end}.{ending}"

    def subject(self):
        return f"Report domain: {self.domain} Submitter: {self.reporter.submitter} Report-ID: {self.id}"

    def xml(self):
        children = [("version", self.habits["version"])] if "version" in self.habits else []
        children += [("report_metadata", self.metadata()), ("policy_published", self.policy_published())]
        children += [("record", self.record(row)) for row in self.each_row()]
        text = self.habits["declaration"] + self.write("feedback", children, 0)
        return text.encode(self.habits.get("charset", "utf-8"))

    def each_row(self):
        """The rows as this reporter lists them: what the sample of `pct` lets through apart, or a row a message."""
        for row in self.rows:
            spared = 0 if any(alignment(row, self.policy)) else row.count * (100 - self.policy.pct) // 100
            listed = [row._replace(count=row.count - spared)]
            if spared:
                listed.append(row._replace(count=spared, reason=("sampled_out", "")))
            for each in listed:
                yield from [each._replace(count=1)] * each.count if self.habits.get("one_each") else [each]

    def metadata(self):
        reporter, habits = self.reporter, self.habits
        children = [("org_name", reporter.org), ("email", reporter.email)]
        if "contact" in habits:
            children.append(("extra_contact_info", habits["contact"]))
        children += [("report_id", self.id), ("date_range", [("begin", str(self.begin)), ("end", str(self.end))])]
        if "generator" in habits:
            children.append(("generator", habits["generator"]))
        return children

    def policy_published(self):
        policy = self.policy
        values = dict(policy._asdict(), domain=self.domain, np=policy.sp, pct=str(policy.pct), testing="n",
                      discovery_method=self.habits.get("discovery"))
        return [(name, values[name]) for name in self.habits["policy"]]

    def record(self, row):
        habits = self.habits
        disposition, dkim, spf, reason = verdict(row, self.policy, self.domain, habits.get("rfc9990"))
        evaluated = [("disposition", disposition), ("dkim", dkim), ("spf", spf)]
        if reason:
            evaluated.append(("reason", [("type", reason[0]), ("comment", reason[1])]))
        names = dict(header_from=row.header_from, envelope_from=row.envelope_from, envelope_to=habits.get("recipient"))
        results = [] if habits.get("drop_dkim") else [("dkim", self.dkim(*signature)) for signature in row.dkim]
        scope = [("scope", "mfrom")] if habits.get("scope") else []
        results.append(("spf", [("domain", row.spf[0]), *scope, ("result", row.spf[1])]))
        return [
            ("row", [("source_ip", row.ip), ("count", str(row.count)), ("policy_evaluated", evaluated)]),
            ("identifiers", [(name, names[name]) for name in habits["ids"]]),
            ("auth_results", results)]

    def dkim(self, domain, selector, result):
        children = [("domain", domain), ("selector", selector), ("result", result)]
        if self.habits.get("result_first"):
            children = [("domain", domain), ("result", result), ("selector", selector)]
        if self.habits.get("human") is not None and "human" in self.habits:
            words = {"pass": "pass", "fail": "fail (body has been altered)", "permerror": "permerror (no key for signature)"}
            children.append(("human_result", words[result] if self.habits["human"] else ""))
        return children

    def write(self, name, content, depth):
        """An element and all below it, in the reporter's own indentation."""
        pad = self.habits.get("indent", "") * depth
        eol = self.habits.get("eol", "\n" if "indent" in self.habits else "")
        attributes = self.habits.get("root", "") if depth == 0 else ""
        if content == "":
            return f"{pad}<{name}{attributes}/>{eol}"
        if isinstance(content, str):
            return f"{pad}<{name}{attributes}>{escape(content)}</{name}>{eol}"
        inside = "".join(self.write(child, below, depth + 1) for child, below in content)
        return f"{pad}<{name}{attributes}>{eol}{inside}{pad}</{name}>{eol}"


# ---------------------------------------------------------------------------------------------------------------
# Archives, without a clock in them.

def gz(data, name=None):
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = squeeze.compress(data) + squeeze.flush()
    head = b"\x1f\x8b\x08" + (b"\x08" if name else b"\x00") + b"\0\0\0\0\x02\x03" + (name.encode() + b"\0" if name else b"")
    return head + body + struct.pack("<II", zlib.crc32(data), len(data))


def zipped(*members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members:
            entry = zipfile.ZipInfo(name, (2026, 11, 23, 0, 0, 0))
            entry.compress_type, entry.create_system, entry.external_attr = zipfile.ZIP_DEFLATED, 3, 0o644 << 16
            archive.writestr(entry, data)
    return out.getvalue()


def google_zip(report):
    return zipped((report.name("xml"), report.xml()))


# ---------------------------------------------------------------------------------------------------------------
# Mails, each form as its reporter sends it.

def base64_lines(data):
    return base64.encodebytes(data).decode()


def head(report, sender_address=None, subject=None, to="dmarc@example.com"):
    """The headers that every report mail has. The receiving server's own verdict is at the top."""
    return (f"Authentication-Results: mx.example.com; dmarc=pass header.from={(sender_address or report.reporter.email).split('@')[1]}\n"
            f"From: {sender_address or report.reporter.email}\nTo: {to}\n"
            f"Subject: {subject or report.subject()}\n"
            f"Date: {format_datetime(report.sent)}\n"
            f"Message-ID: <{hashlib.md5(report.id.encode()).hexdigest()[:20]}@mailer.report.example>\n"
            "MIME-Version: 1.0\n")


def part(kind, data, name=None, disposition="attachment"):
    """One base64 part. `kind` is a media type with its parameters."""
    names = f'; name="{name}"' if name else ""
    filename = f'; filename="{name}"' if name else ""
    return (f"Content-Type: {kind}{names}\nContent-Transfer-Encoding: base64\n"
            f"Content-Disposition: {disposition}{filename}\n\n{base64_lines(data)}")


def multipart(kind, *parts):
    mark = "=_" + hashlib.md5("".join(parts).encode()).hexdigest()[:16]
    body = "".join(f"--{mark}\n{each}\n" for each in parts)
    return f'Content-Type: multipart/{kind}; boundary="{mark}"\n\n{body}--{mark}--\n'


def text_part(text, kind="plain"):
    return f"Content-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: 7bit\n\n{text}\n"


def google_mail(report):
    """The whole message is one zip: no multipart."""
    return head(report) + part("application/zip", google_zip(report), report.name("zip"))


def outlook_mail(report):
    """Subject as a base64 encoded word, an empty text part, a note in HTML, the gzip."""
    words = base64.b64encode(f"Report Domain: {report.domain} Submitter: protection.outlook.com".encode()).decode()
    note = ("<div style=\"font-family:sans-serif\">This is a DMARC aggregate report from Microsoft Corporation. "
            "Please do not respond to this e-mail.</div>")
    inner = multipart("alternative", text_part(""), text_part(note, "html"))
    attachment = part("application/gzip", gz(report.xml()), report.name())
    return head(report, subject=f"=?utf-8?B?{words}?=") + multipart("mixed", inner, attachment)


def plain_mail(report, kind="application/gzip", note="This is an aggregate report.", data=None, name=None):
    attachment = part(kind, gz(report.xml()) if data is None else data, name or report.name())
    return head(report) + multipart("mixed", text_part(note), attachment)


def mailru_mail(report):
    subject = f"Report Domain: {report.domain}; Submitter: Mail.Ru; Report-ID: {report.id}"
    attachment = part("application/gzip", gz(report.xml()), report.name())
    return head(report, subject=subject) + multipart("mixed", text_part("This is a DMARC aggregate report for your domain"), attachment)


def amazon_mail(report, kind="application/octet-stream"):
    """The name is split in pieces (RFC 2231)."""
    name = report.name()
    cut = len(name) // 2
    attachment = (f"Content-Type: {kind}; \n\tname*0=\"{name[:cut]}\"; \n\tname*1=\"{name[cut:]}\"\n"
                  f"Content-Transfer-Encoding: base64\nContent-Disposition: attachment; \n"
                  f"\tfilename*0=\"{name[:cut]}\"; \n\tfilename*1=\"{name[cut:]}\"\n\n{base64_lines(gz(report.xml()))}")
    subject = (f"Dmarc Aggregate Report Domain: {{{report.domain}}}  Submitter: {{Amazon SES}}  "
               f"Date: {{{report.day}}}\n  Report-ID: {{{report.id}}}")
    return head(report, subject=subject) + multipart("mixed", text_part("This MIME email was sent through Amazon SES."), attachment)


def mimecast_mail(report):
    """One part; two bytes follow the gzip stream."""
    return head(report) + part("application/gzip", gz(report.xml()) + b"\r\n", report.name())


def rspamd_mail(report):
    """The archive is an alternative to the text."""
    attachment = part("application/gzip", gz(report.xml()), report.name())
    return head(report) + multipart("alternative", text_part("This is an aggregate report."), attachment)


def inline_mail(report):
    """The XML itself, quoted-printable, without a name."""
    body = quopri.encodestring(report.xml()).decode()
    return head(report) + multipart("mixed", text_part("Our report, uncompressed."),
                                    f"Content-Type: text/xml; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n"
                                    f"Content-Disposition: inline\n\n{body}")


def two_in_one(first, second):
    return head(first, subject="DMARC reports of two days") + multipart(
        "mixed", text_part("Two reports."), part("application/gzip", gz(first.xml()), first.name()),
        part("application/gzip", gz(second.xml()), second.name()))


def forwarded(report):
    """A colleague forwards a report mail as an attachment."""
    original = google_mail(report)
    return ("From: Ann Postmaster <ann@example.com>\nTo: dmarc@example.com\nSubject: Fwd: went to my box again\n"
            f"Date: {format_datetime(report.sent + timedelta(hours=8))}\nMessage-ID: <fwd-{report.begin}@example.com>\nMIME-Version: 1.0\n"
            + multipart("mixed", text_part("This one came to me instead of the report box."),
                        f"Content-Type: message/rfc822\nContent-Disposition: attachment; filename=\"report.eml\"\n\n{original}"))


def mbox(*mails):
    """mboxrd: lines of the mail that begin like a separator are quoted."""
    out = []
    for sent, mail in mails:
        quoted = "".join(">" + line if line.lstrip(">").startswith("From ") else line for line in mail.splitlines(True))
        out.append(f"From MAILER-DAEMON {sent:%a %b %d %H:%M:%S %Y}\n{quoted}\n")
    return "".join(out)


# Mails that are not DMARC aggregate reports but arrive in the same mailbox.

def tls_report():
    report = (b'{"organization-name":"Google Inc.","date-range":{"start-datetime":"2026-11-18T00:00:00Z",'
              b'"end-datetime":"2026-11-18T23:59:59Z"},"contact-info":"smtp-tls-reporting@google.com",'
              b'"report-id":"2026-11-18T00:00:00Z_example.com","policies":[{"policy":{"policy-type":"sts",'
              b'"policy-string":["version: STSv1","mode: enforce","mx: mx.example.com","max_age: 604800"],'
              b'"policy-domain":"example.com","mx-host":["mx.example.com"]},"summary":{"total-successful-session-count":812,'
              b'"total-failure-session-count":0}}]}')
    name = "google.com!example.com!1795392000!1795478399!001.json.gz"
    return ("From: noreply-smtp-tls-reporting@google.com\nTo: dmarc@example.com\n"
            "Subject: Report Domain: example.com Submitter: google.com Report-ID: <2026.11.18T00.00.00Z+example.com@google.com>\n"
            "Date: Thu, 19 Nov 2026 09:12:44 +0000\nMessage-ID: <tls-20261118@mailer.report.example>\nMIME-Version: 1.0\n"
            "TLS-Report-Domain: example.com\nTLS-Report-Submitter: google.com\n"
            + multipart("report; report-type=tlsrpt", text_part("This is an aggregate TLS report from google.com"),
                        part("application/tlsrpt+gzip", gz(report), name)))


def bounce():
    return ("Return-Path: <>\nFrom: Mail Delivery System <mailer-daemon@mx.example.com>\nTo: dmarc@example.com\n"
            "Subject: Undelivered Mail Returned to Sender\nDate: Fri, 20 Nov 2026 06:01:02 +0000\n"
            "Message-ID: <bounce-20261120@mx.example.com>\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n"
            + multipart("report; report-type=delivery-status",
                        text_part("The mail system could not deliver your message to nobody@college.example."),
                        "Content-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n\n"
                        "Final-Recipient: rfc822; nobody@college.example\nAction: failed\nStatus: 5.1.1\n",
                        "Content-Type: text/rfc822-headers\n\nFrom: dmarc@example.com\nTo: nobody@college.example\nSubject: your report\n"))


def failure_report():
    return ("From: dmarc-noreply@linkedin.com\nTo: dmarc-failures@example.com\nSubject: FW: Your invoice\n"
            "Date: Thu, 19 Nov 2026 14:20:00 +0000\nMessage-ID: <arf-20261119@mailer.report.example>\nMIME-Version: 1.0\n"
            + multipart("report; report-type=feedback-report",
                        text_part("This is an email abuse report for an email message received from IP 203.0.113.140."),
                        "Content-Type: message/feedback-report\n\nFeedback-Type: auth-failure\nUser-Agent: Lua/1.0\nVersion: 1\n"
                        "Original-Mail-From: mallory@host7.example\nArrival-Date: Thu, 19 Nov 2026 14:19:58 +0000\n"
                        "Source-IP: 203.0.113.140\nReported-Domain: example.com\nAuth-Failure: dmarc\nIdentity-Alignment: none\n",
                        "Content-Type: text/rfc822-headers\n\nFrom: billing@example.com\nTo: someone@linkedin.com\nSubject: Your invoice\n"))


def null_report():
    """The reporter saw nothing, and says so in a row without an address."""
    report = Report(CISCO, "example.com", MONDAY[47] + timedelta(days=6))
    report.rows = [Row("", 0, "example.com", "", (), ("example.com", "none"), None)]
    return report


# ---------------------------------------------------------------------------------------------------------------
# Which report is sent in which form.

def on(reporter, domain, week, weekday):
    return Report(reporter, domain, MONDAY[week] + timedelta(days=weekday))


def box(form, reporter, *days):
    """Mails of one reporter for (domain, week, weekday) each, as an mbox."""
    reports = [on(reporter, *each) for each in days]
    return mbox(*((report.sent, form(report)) for report in reports))


THREE = ("example.com", "example.net", "example.org")


def samples():
    """Every file: its path below samples/, and its bytes."""
    october = [(domain, week, 1) for week in (41, 42, 43, 44) for domain in THREE]
    november = [(domain, 45, 3) for domain in THREE] + [(domain, 46, 1) for domain in THREE]
    this_week = [(domain, 47, weekday) for weekday in range(7) for domain in THREE]
    # Google sent one of October's reports twice: it counts once.
    yield "google/2026-10.mbox", box(google_mail, GOOGLE, *october, october[4])
    yield "google/2026-11.mbox", box(google_mail, GOOGLE, *november)
    yield "google/2026-w47.mbox", box(google_mail, GOOGLE, *this_week[:-1])
    # The last report of the week took the long way: forwarded by hand.
    yield "forwarded-by-ann.eml", forwarded(on(GOOGLE, *this_week[-1]))
    yield "google/news-subdomain.eml", google_mail(on(GOOGLE, "news.example.org", 47, 2))
    bare = on(GOOGLE, "news.example.org", 45, 2)
    yield bare.name("zip"), google_zip(bare)

    yield "outlook/outlook-com-w47.eml", outlook_mail(on(OUTLOOK, "example.com", 47, 1))
    yield "outlook/outlook-net-w47.eml", outlook_mail(on(OUTLOOK, "example.net", 47, 2))
    yield "outlook/outlook-org-w47.eml", outlook_mail(on(OUTLOOK, "example.org", 47, 3))
    yield "outlook/enterprise-net-w47.eml", outlook_mail(on(ENTERPRISE, "example.net", 47, 3))
    yield "outlook/enterprise-com-w46.eml", outlook_mail(on(ENTERPRISE, "example.com", 46, 2))
    for reporter, domain, week, weekday in ((OUTLOOK, "example.com", 45, 1), (OUTLOOK, "example.net", 46, 2), (OUTLOOK, "example.org", 44, 0),
                                            (OUTLOOK, "example.net", 43, 2), (ENTERPRISE, "example.com", 44, 3), (ENTERPRISE, "example.org", 42, 1)):
        report = on(reporter, domain, week, weekday)
        yield f"outlook/{report.name()}", gz(report.xml())

    for domain, week, weekday in (("example.com", 47, 1), ("example.net", 43, 4), ("example.org", 46, 5), ("parked.example.net", 47, 2),
                                  ("parked.example.net", 44, 2)):
        report = on(YAHOO, domain, week, weekday)
        yield f"yahoo/{report.name()}", gz(report.xml())
    yield "yahoo/yahoo-org-w47.eml", plain_mail(on(YAHOO, "example.org", 47, 4), note="This is an aggregate report from Yahoo Inc.")
    yield "yahoo/yahoo-net-w47.eml", plain_mail(on(YAHOO, "example.net", 47, 1), note="This is an aggregate report from Yahoo Inc.")

    # A Maildir with what Fastmail sends, in the form of RFC 9990.
    yield "Maildir/cur/1795003200.M1P7.mx,S=1", plain_mail(on(FASTMAIL, "example.org", 46, 3))
    yield "Maildir/new/1795435200.M2P7.mx", plain_mail(on(FASTMAIL, "example.com", 47, 2))
    yield "Maildir/new/1795521600.M3P7.mx", plain_mail(on(FASTMAIL, "example.net", 47, 3))

    yield "gmx-org-w47.eml", plain_mail(on(GMX, "example.org", 47, 3))
    for reporter, domain, week, weekday in ((GMX, "example.com", 45, 2), (WEBDE, "example.net", 46, 1), (WEBDE, "example.com", 47, 3)):
        report = on(reporter, domain, week, weekday)
        yield report.name(), gz(report.xml(), report.name("xml"))

    yield "mailru-org-w47.eml", mailru_mail(on(MAILRU, "example.org", 47, 2))
    yield "mailru-org-w44.eml", mailru_mail(on(MAILRU, "example.org", 44, 4))
    for week, weekday in ((42, 3), (47, 1)):
        report = on(COMCAST, "example.com", week, weekday)
        yield report.name(), gz(report.xml())
    yield "amazon-net-w47.eml", amazon_mail(on(AMAZON, "example.net", 47, 2))
    yield "amazon-com-w44.eml", amazon_mail(on(AMAZON, "example.com", 44, 1), "application/x-gzip")
    yield "mimecast-com-w47.eml", mimecast_mail(on(MIMECAST, "example.com", 47, 3))
    padded = on(MIMECAST, "example.net", 45, 4)
    yield padded.name(), gz(padded.xml()) + b"\r\n"

    for domain, week, weekday in (("example.com", 41, 1), ("example.org", 43, 2), ("example.net", 45, 1)):
        report = on(SEZNAM, domain, week, weekday)
        yield report.name("xml.zip"), zipped((report.name("xml"), report.xml()))

    small = on(OPENDMARC, "example.org", 47, 4)
    yield "small/opendmarc-org-w47.eml", plain_mail(small, "application/zip", data=zipped((small.name("xml"), small.xml())), name=small.name("zip"))
    report = on(OPENDMARC, "example.net", 46, 0)
    yield f"small/{report.name('xml')}", report.xml()
    yield "small/rspamd-com-w46.eml", rspamd_mail(on(RSPAMD, "example.com", 46, 1))
    yield "small/rspamd-org-w47.eml", inline_mail(on(RSPAMD, "example.org", 47, 2))
    yield "small/bank-two-days-w47.eml", two_in_one(on(CISCO, "example.com", 47, 1), on(CISCO, "example.com", 47, 2))
    # Three days in one report, and Latin-1.
    report = on(COLLEGE, "example.com", 46, 4)
    yield f"small/{report.name('xml')}", report.xml()
    yield "small/bank-null-report-w47.eml", plain_mail(null_report())
    report = on(WP, "example.net", 45, 0)
    report.rows = []
    yield f"small/{report.name()}", gz(report.xml())

    # What an administrator keeps: a zip of reports with what a Mac leaves in it.
    kept = [on(YAHOO, domain, week, 2) for week in (41, 42) for domain in THREE]
    yield "kept/yahoo-october.zip", zipped(*((f"october/{each.name('xml')}", each.xml()) for each in kept),
                                           ("__MACOSX/october/._yahoo", b"\0\5\x16\7"), ("october/.DS_Store", b"\0\0\0\1Bud1"))

    yield "tls/google-com-w47.eml", tls_report()
    yield "not-reports/bounce.eml", bounce()
    yield "not-reports/failure-report.eml", failure_report()


# ---------------------------------------------------------------------------------------------------------------

def inside(data):
    """The content of a file, independent of the version of zlib."""
    if data[:2] == b"\x1f\x8b":
        squeezed = zlib.decompressobj(31)
        return ["gzip", inside(squeezed.decompress(data)), squeezed.unused_data]
    if data[:4] == b"PK\3\4":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return ["zip", *((name, inside(archive.read(name))) for name in archive.namelist())]
    if data[:5] == b"From ":
        return ["mbox", *(inside(b"\n" + each) if n else each for n, each in enumerate(data.split(b"\n\nFrom ")))] \
            if b"\n\nFrom " in data else ["mbox", inside(data.partition(b"\n")[2])]
    if b"\nMIME-Version:" in data[:4000]:
        return ["mail", *(leaf(each) for each in email.message_from_bytes(data.lstrip(b"\n")).walk())]
    return data


def leaf(each):
    """A part's headers without the boundary, which hangs on the squeezed bytes, and what it holds."""
    headers = [(name, value.partition("boundary=")[0]) for name, value in each.items()]
    return headers, None if each.is_multipart() else inside(each.get_payload(decode=True) or b"")


def main():
    args = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    args.add_argument("--check", action="store_true", help="compare, write nothing; exit 1 where a file differs")
    args.add_argument("out", nargs="?", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parent.parent / "samples")
    args = args.parse_args()
    made = {path: data.encode() if isinstance(data, str) else data for path, data in samples()}
    if args.check:
        there = {str(p.relative_to(args.out)) for p in args.out.rglob("*") if p.is_file()} - {"README.md"}
        faults = [f"missing: {path}" for path in sorted(made.keys() - there)]
        faults += [f"not made by this script: {path}" for path in sorted(there - made.keys()) if not path.startswith(("rendered/", "config/"))]
        faults += [f"differs: {path}" for path in sorted(made.keys() & there)
                   if (on_disk := (args.out / path).read_bytes()) != made[path] and inside(on_disk) != inside(made[path])]
        print("\n".join(faults) or f"{len(made)} files as made")
        return 1 if faults else 0
    for path, data in made.items():
        (args.out / path).parent.mkdir(parents=True, exist_ok=True)
        (args.out / path).write_bytes(data)
    print(f"{len(made)} files, {sum(map(len, made.values()))} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
