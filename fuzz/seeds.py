#!/usr/bin/env python3
"""Make the inputs that fuzzing starts with, from samples/ and from a few forms that samples/ does not have.

usage: seeds.py OUT      OUT/NAME/... for each target NAME; fuzz/corpus has what `cargo fuzz cmin` keeps of them

The files are small, and the same on every machine except for compressed bytes. Names and addresses are reserved ones.
"""
import argparse, gzip, io, itertools, pathlib, re, struct, zipfile, zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
LARGEST = 8 << 10

XML = """<?xml version="1.0" encoding="UTF-8"?>
<feedback><version>1.0</version><report_metadata><org_name>mx.example.net</org_name><email>d@example.net</email>
<extra_contact_info/><report_id>r&amp;1</report_id><date_range><begin>1794787200</begin><end>1794873599</end></date_range>
<error>none</error></report_metadata><policy_published><domain>example.com</domain><adkim>r</adkim><aspf>s</aspf>
<p>reject</p><sp>none</sp><pct>100</pct><fo>1:d</fo></policy_published><record><row><source_ip>192.0.2.7</source_ip>
<count>3</count><policy_evaluated><disposition>reject</disposition><dkim>fail</dkim><spf>fail</spf><reason><type>other
</type><comment><![CDATA[a<b]]></comment></reason></policy_evaluated></row><identifiers><header_from>example.com
</header_from><envelope_from/></identifiers><auth_results><dkim><domain>esp.example</domain><selector>s1</selector>
<result>pass</result></dkim><spf><domain>example.com</domain><scope>mfrom</scope><result>softfail</result></spf>
</auth_results></record></feedback>"""
ZONES = [
    "$TTL 1h\n@ 3600 IN SOA ns1 hostmaster (\n 1 ; serial\n 2 3 4 5 )\n\tNS ns1\n\tIN 300 MX 10 mx\nmx A 192.0.2.25\n  AAAA 2001:db8::25\n"
    "@ TXT ( \"v=spf1 mx \" ; a comment\n \"-all\" )\n$ORIGIN sub.example.com.\nwww IN CNAME @\n*.x TXT a\\;b\\065\ndept NS ns.example.net.\n"
    "@ CAA 0 issue \"ca.example\"\n",
    "_dmarc TXT \"v=DMARC1; p=none\"\ns1._domainkey CNAME s1.dkim.example.net.\nloop CNAME loop\n",
    "@ 2w LOC 52 22 23.000 N 4 53 32.000 E -2m\n@ MX 0 .\n1.2.0.192.in-addr.arpa. PTR mx\n@ SPF x\n@ CH TXT y\n",
    "$INCLUDE other.zone\n", "@ TXT \"open\n", "@ A 192.0.2.300\n", "\tA 192.0.2.1\n", "@ TXT \\999\n", "@ TXT ( x\n", "@ TXT x )\n",
]
SMALL = "<feedback><report_metadata><org_name>o</org_name><report_id>1</report_id><date_range><begin>1794787200</begin>" \
    "<end>1794873599</end></date_range></report_metadata><policy_published><domain>example.com</domain><p>none</p>" \
    "</policy_published><record><row><source_ip>2001:db8::1</source_ip><count>1</count></row></record></feedback>"


def samples(*endings):
    for path in sorted((ROOT / "samples").rglob("*")):
        if path.is_file() and path.name.endswith(endings) and path.stat().st_size <= LARGEST:
            yield path.read_bytes()


def documents():
    """Reports as XML, in the shapes that reporters give them and in some that nobody should."""
    for packed in samples(".gz"):
        yield zlib.decompressobj(31).decompress(packed)  # one sender adds two bytes behind
    for packed in samples(".zip"):
        with zipfile.ZipFile(io.BytesIO(packed)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    yield from (XML.encode(), SMALL.encode(), XML.encode("utf-16"), SMALL.encode("utf-16-le"))
    for change in [
        ("<feedback>", "\ufeff<!DOCTYPE feedback><f:feedback xmlns:f='urn:ietf:params:xml:ns:dmarc-2.0'>"),
        ("<feedback>", "<!DOCTYPE feedback [<!ENTITY a \"b\">]><feedback>"),
        ("</feedback>", "</feedback>\n" + SMALL),
        ("identifiers>", "identities>"),
        ("<count>3</count>", "<COUNT>&#51;</COUNT><count >4</count ><x a='>'/>"),
        ("<row>", "<row><!-- - --><?a?>&nope;<reason>bare</reason>"),
        ("</record>", "<extension><y:z xmlns:y='u'>1</y:z></extension>"),
        ("UTF-8", "ISO-8859-1"),
    ]:
        yield XML.replace(*change).encode("utf-8")
    yield XML.replace("none</error>", "\u00e9</error>").encode("latin-1")
    yield XML.replace("UTF-8", "windows-1252").replace("none</error>", "\u00e9</error>").encode()
    for encoding in ("utf-32", "utf-32-be", "utf-32-le"):
        yield SMALL.encode(encoding)
    yield SMALL.encode("utf-32-le") + b"\0\xff\xff\xff\0"
    # Elements nobody knows in every place, and words, numbers and names that are none.
    for place in ("report_metadata", "date_range", "policy_published", "row", "policy_evaluated", "identifiers", "auth_results", "dkim", "spf", "record", "feedback"):
        yield XML.replace(f"</{place}>", f"<unknown><a/>b</unknown></{place}>", 1).encode()
    for change in [
        ("mx.example.net", ""), ("r&amp;1", " "), ("<org_name>mx.example.net</org_name><email>d@example.net", "<email>nobody"),
        ("<domain>example.com</domain><adkim>", "<domain>..</domain><adkim>"), ("<p>reject", "<p>perhaps"), (">100<", ">101<"),
        ("192.0.2.7", "[192.0.2.7]:25"), ("192.0.2.7", "somewhere"), ("192.0.2.7", ""), (">3<", ">-3<"), (">3<", ">9223372036854775807<"),
        ("<envelope_from/>", "<envelope_from>a b</envelope_from>"), ("<header_from>example.com\n", "<header_from>a@example.com"),
        ("<header_from>example.com\n", "<header_from>!"), (">softfail<", ">hardfail<"), (">pass<", ">temperror<"), (">pass<", "><"),
        ("<type>other\n</type>", ""), ("<type>other\n</type>", "<type>mailing list</type><x/>bare"), ("<reason>", "<reason>forwarded</reason><reason>"),
        ("<scope>", "<human_result>why</human_result><scope>"), ("<error>", "<generator>g</generator><error>"), (">none</error", ">a\rb\r\nc&#13;&#x0;&#xd800;\x01 < &x</error"),
        ("<record>", "<record><row><source_ip>192.0.2.9</source_ip><count>9223372036854775807</count></row></record><record>"),
        ("</feedback>", ""), ("</record></feedback>", "<"), ("<feedback>", "<feedback" + " a='b'" * 40 + ">"),
        ("<dkim><domain>", "<dkim/><dkim><domain>"), ("<feedback>", "<feedback><feedback>" + "<a>" * 70), ("<feedback>", "</x>" * 70 + "<feedback>"),
    ]:
        yield XML.replace(*change).encode()
    yield (SMALL * 4).encode()
    yield b"<html><body>no report</body></html>"
    yield b"<feedback></feedback>"


def zips():
    yield from samples(".zip")
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.writestr("a/", b"")
            archive.writestr("../b.xml", SMALL)
            archive.writestr("__MACOSX/x", b"x")
            archive.writestr("c.xml.gz", gzip.compress(SMALL.encode(), mtime=0))
            archive.comment = b"PK\x05\x06 comment"
        yield out.getvalue()
        yield b"before it" + out.getvalue()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, archive.open("z64.xml", "w", force_zip64=True) as member:
        member.write(b"<feedback/>")
    whole = out.getvalue()
    end = whole.rindex(b"PK\x05\x06")
    size, offset = struct.unpack("<II", whole[end + 12:end + 20])
    record = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, 1, 1, size, offset)
    locator = b"PK\x06\x07" + struct.pack("<IQI", 0, end, 1)
    yield whole[:end] + record + locator + b"PK\x05\x06" + b"\0\0\0\0\xff\xff\xff\xff" + b"\xff" * 8 + b"\0\0"
    locked = bytearray(next(zips_of_one()))
    at = locked.index(b"PK\x01\x02")
    locked[at + 8] |= 1
    yield bytes(locked)


def packed_otherwise():
    """What is no report, is too much, or is packed as nothing that is opened."""
    yield gzip.compress(b"", mtime=0)
    yield gzip.compress(b"<feedback>" + b" " * 70000, mtime=0)
    yield zlib.compress(b"<feedback>" + b" " * 70000)
    yield gzip.compress(SMALL.encode(), mtime=0)[:-20]
    yield gzip.compress(SMALL.encode(), mtime=0)[:-8] + b"\0" * 8
    yield zlib.compress(SMALL.encode())[:-30]
    yield from (b"", b" \r\n", b"{}", b"a text", b"<!DOCTYPE html>", b"\0\1\2", b"Rar!\x1a\7\0", b"7z\xbc\xaf\x27\x1c", b"BZh91AY&SY", b"\xfd7zXZ\0", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"%PDF-1.4", b"(\xb5/\xfd")
    for names in (["a.txt"], ["a.txt", "b.bin"], [], ["a.xml", "b.xml", "c.xml"]):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.writestr(name, b"" if name == "c.xml" else b"x" * 10)
        yield out.getvalue()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.xml", b"<feedback>" + b" " * 70000)
    yield out.getvalue()
    yield from (next(zips_of_one())[:-40] , next(zips_of_one()).replace(b"PK\1\2", b"PK\1\3"))


def zips_of_one():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("r.xml", SMALL)
    yield out.getvalue()


def mails():
    yield from samples(".eml")
    part = "--b\r\nContent-Type: {}\r\nContent-Transfer-Encoding: {}\r\n\r\n{}\r\n"
    parts = part.format("text/plain", "7bit", "hello") + part.format("application/xml; name*0=a; name*1=\".xml\"", "quoted-printable", "<feedback=3E=\r\n</feedback>")
    parts += part.format("message/rfc822", "base64", "U3ViamVjdDogeA0KDQpi") + part.format("multipart/digest; boundary=i", "8bit", "--i\r\n\r\nSubject: y\r\n\r\nz\r\n--i--")
    head = "From: \"a\" (c) <d@example.net>\r\nSubject: =?utf-8?b?w6k=?= Report Domain: example.com\r\n" \
        "Authentication-Results: mx.example.com (v1);\r\n dmarc=fail (p=none) header.from=example.net; spf=pass\r\n" \
        "Date: Tue, 24 Nov 2026 06:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n"
    yield (head + "Content-Type: multipart/mixed; boundary=\"b\"\r\n\r\n" + parts + "--b--\r\n").encode()
    yield (head + "Content-Type: multipart/mixed\r\n\r\n" + parts).encode()
    yield (head + "Content-Transfer-Encoding: x-uuencode\r\n\r\nbegin 644 r.xml\r\n+/&9E961B86-K/@``\r\n`\r\nend\r\n").encode()
    yield (head + "Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n" + part.format("message/feedback-report", "7bit", "Feedback-Type: auth-failure") + parts).encode()
    whole = "PGZlZWRiYWNrPjwvZmVlZGJhY2s+"
    report = "Content-Type: application/gzip; name=\"a!example.com!1794787200!1794873599.xml.gz\"\r\nContent-Transfer-Encoding: {}\r\n\r\n{}\r\n"
    for encoding, text in (("base64", "H4sIAAAA!!!!"), ("base64", "PGZl*"), ("7bit", whole), ("x-unknown", "x"), ("quoted-printable", "=3C=ZZ")):
        yield (head + report.format(encoding, text)).encode()
    yield (head + "\r\n" + whole).encode()
    yield (head + "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part.format("text/plain", "7bit", "x") * 25 + "--b--").encode()
    yield (head + "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(9)) + "\r\nx").encode()
    yield (head + "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDogeA0KDQpi").encode()
    yield (head + "Content-Type: text/plain\r\n\r\nwords\r\nbegin 644 a!example.com!1!2.xml\r\n" + "M" + "0" * 60 + "\r\n`\r\nend\r\n").encode()
    yield (head + "Auto-Submitted: auto-replied\r\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nMIAG").encode()


def mailboxes():
    line = b"From a@example.com Wed Mar  4 01:10:00 2026\n"
    yield line + b"Subject: x\n\nbody\n>From here\n\n" + line + b"Subject: y\n\n\n\n" + line
    yield b"Subject: first\n\nno line before it\n\nFrom b 01:10\n\n\r\n\r\nFrom c 02:20:00\r\nz"
    yield line.replace(b"\n", b"\r\n") + b"Subject: x\r\n\r\nbody\r\n\r\nFrom here on\r\n" + line
    yield (line + b"Subject: x\n\nb\n\n") * 25
    yield b"From " + b"x" * 1030 + b" 01:10\n\nFrom a 01:10" + b"y" * 1009 + b"\nz\n\n" + line


def frames(*items):
    return b"".join(struct.pack("<I", len(part)) + part for item in items for part in item)


def said():
    """What a server says to the commands of a session, in their order: LOGIN, CAPABILITY where it was not said, ID where that
    may be asked, LIST, SELECT, UID FETCH of the list, of bodies, NOOP, flags, a move, an end. "~" is the next tag."""
    hello = "* OK [CAPABILITY IMAP4rev1 UIDPLUS MOVE {}] hello\r\n"
    login = "~ OK [CAPABILITY IMAP4rev1 IDLE UIDPLUS MOVE] in\r\n"
    able = "* CAPABILITY IMAP4rev1 IDLE {} LITERAL- SPECIAL-USE\r\n~ OK able\r\n"
    tree = "* LIST (\\HasNoChildren) \"/\" \"INBOX\"\r\n* LIST (\\Noselect \\Junk) \".\" {4}\r\n&AN-\r\n* LIST () NIL \"a&AOQ-\\\"b\"\r\n* LIST () \"/\" DMARC/done\r\n~ OK done\r\n"
    root = "* LIST (\\Noselect) \"/\" \"\"\r\n~ OK done\r\n"
    opened = "* FLAGS (\\Seen)\r\n* {} EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT {}] ok\r\n~ OK [READ-WRITE] done\r\n"
    listed = "* 1 FETCH (UID 5 RFC822.SIZE 11 INTERNALDATE \" 7-Nov-2026 02:44:25 -0700\")\r\n* 2 FETCH (INTERNALDATE NIL UID 8 RFC822.SIZE 2000)\r\n~ OK done\r\n"
    body = "* 1 FETCH (UID 5 BODY[] {11}\r\nSubject: \r\n)\r\n"
    start = hello.format("") + login + tree
    whole = start + opened.format(2, 9) + listed + body + "~ OK bodies\r\n"
    moved = "* OK [COPYUID 7 5 1] moved\r\n* 1 EXPUNGE\r\n~ OK moved\r\n"
    gone = "~ OK flagged\r\n* VANISHED 5\r\n* 1 EXPUNGE\r\n~ OK gone\r\n"
    yield hello.format("LOGINDISABLED") + login
    yield whole + "~ OK nothing\r\n* 1 FETCH (FLAGS (\\Seen))\r\n~ OK flagged\r\n" + moved + gone + "* BYE enough\r\n"
    for made in ("~ OK made\r\n~ NO no subscriptions\r\n", "~ NO [CANNOT] no\r\n~ NO [ALREADYEXISTS] is there\r\n~ OK\r\n", "~ NO\r\n~ NO\r\n~ BAD\r\n"):
        yield whole.replace("DMARC/done", "done") + "~ OK nothing\r\n" + made + "~ OK flagged\r\n" + moved + gone
        yield whole.replace("\"/\"", "\".\"").replace("DMARC/done", "INBOX.done") + "~ OK nothing\r\n" + made + "~ OK flagged\r\n" + moved + gone
    yield whole + "~ NO [INUSE] Suggested Backoff Time: 29 milliseconds\r\n"
    # Bodies in another order than asked for, of a mail nobody asked for, of none, in pieces of an answer, without an answer.
    three = listed.replace("2000", "40").replace("~", "* 3 FETCH (UID 6 RFC822.SIZE 12 INTERNALDATE \"01-Jan-2026 00:00:00 +0000\")\r\n~")
    later = start + opened.format(3, 9) + three
    other = "* 3 FETCH (UID 6 BODY[] {12}\r\nSubject: x\r\n)\r\n" + body + "* 2 FETCH (FLAGS (\\Seen) BODY[] \"short\" UID 8)\r\n~ OK done\r\n~ OK\r\n"
    flags = "* 1 FETCH (UID 5 FLAGS (\\Seen \\Deleted))\r\n* 2 FETCH (FLAGS () UID 8)\r\n* 4 FETCH (UID 99 FLAGS (x))\r\n~ OK looked\r\n"
    yield later + other + "~ OK flagged\r\n~ BAD cannot\r\n" + flags + flags + "~ OK copied\r\n~ OK flagged\r\n~ OK gone\r\n" + gone
    yield later + other + "~ NO [LIMIT] flags\r\n~ BAD cannot\r\n~ OK all gone\r\n~ NO\r\n"
    for words in ("UIDPLUS", "MOVE", "IMAP4rev2 ID"):
        number = "* ID (\"name\" \"x\")\r\n~ OK you\r\n" if "ID" in words.split() else ""
        yield "* OK hello\r\n~ OK in\r\n" + able.format(words) + number + later[later.index("* LIST"):] + other + "~ OK flagged\r\n" + flags + "~ OK copied\r\n~ OK flagged\r\n~ OK gone\r\n" + gone
    yield later + "* 3 EXPUNGE\r\n* 1 FETCH (BODY[] NIL UID 8)\r\n* 9 FETCH (UID 99 BODY[] \"\")\r\n" + body + "~ OK done\r\n~ OK done\r\n~ OK\r\n* 1 FETCH (UID 8)\r\n~ OK\r\n~ NO none\r\n"
    yield later + "* 1 FETCH (UID 5 BODY[] {60}\r\n" + "x" * 60 + " FLAGS (\\Seen))\r\n~ NO [UNAVAILABLE] later\r\n"
    yield later + body + "~ BAD [LIMIT] too many\r\n* BYE\r\n"
    yield start + opened.format(1, 9) + "* 1 FETCH (UID 5 RFC822.SIZE 900)\r\n~ OK done\r\n* 1 FETCH (UID 5 BODY[] {1200}\r\n" + "x" * 1200 + ")\r\n~ OK done\r\n"
    yield start + opened.format(0, 1) + "~ OK done\r\n~ OK done\r\n"
    yield start + opened.format(9, 90).replace("* OK [UIDNEXT 90] ok\r\n", "") + "* SEARCH 3 5 8\r\n* ESEARCH (TAG \"A0005\") UID MAX 8\r\n~ OK done\r\n" + listed
    yield start + "~ NO [NONEXISTENT] no such folder\r\n"
    yield "* OK hello\r\n* CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR\r\n~ OK\r\n~ OK in\r\n"
    yield hello.format("AUTH=PLAIN") + "+ \r\n" + login + tree.replace("\"/\" \"INBOX", "NIL \"INBOX") + root + opened.format(1, 9)
    yield "* PREAUTH hi\r\n"
    yield "* BYE [UNAVAILABLE] \xff\xfe\r\n"
    yield hello.format("") + "* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL\r\n* X-NEW {3}\r\nabc thing\r\n* STATUS x (MESSAGES 1)\r\n* 1 FETCH (X-GM-LABELS (a \"b\") MODSEQ (5))\r\n~ NO [AUTHENTICATIONFAILED] no\r\n"


def answers():
    for text in said():
        number = itertools.count(1)
        yield re.sub("~", lambda _: f"A{next(number):04}", text)


def settings():
    yield from samples(".toml")
    text = (ROOT / "samples/config/config.toml").read_text()
    yield re.sub(r"(?m)^# (\[?\[?\w.*)$", r"\1", text).encode()
    yield b"[[sender]]\nname = \"Our CRM\"\ndkim = [\"crm.example\"]\nptr = \"mta.crm.example\"\nbounce = []\n"
    box = 'store = "s"\n[[mailbox]]\nname = "a"\nhost = "mx.example.net"\nuser = "u"\n'
    for more in (
        'password_env = "P"\nfolders = ["A"]\nafter = "move"\nmove_to = "A"\nrejected_to = "A"', 'after = "keep"\nmove_to = "B"', 'security = "none"',
        'host = ""', 'auth = "xoauth2"', 'auth = "xoauth2"\ntoken_command = ["a", ""]', 'auth = "password"\ntoken_env = "T"', 'auth = "oauthbearer"\npassword_file = "~/p"',
        'auth = "xoauth2"\ntoken_file = "t"\n[mailbox.oauth2]\ntoken_url = "http://x"', 'auth = "oauthbearer"\n[mailbox.oauth2]\ntoken_url = "https://x.example/t"\nclient_id = "c"\nscope = "s"',
        'auth = "xoauth2"\n[mailbox.oauth2]\ntoken_url = "https://x.example/t"\nclient_id = "c"\nrefresh_token_env = "R"\nclient_secret_command = ["s"]', 'oauth2 = 1',
        'port = 0', 'port = 70000', 'security = 1', 'security = "\\u0000"', 'ca_file = ""', 'folders = [1, true, [], {}, 1.5, 1979-05-27]', 'name = "a"\nname = "b"',
    ):
        yield (box + more + "\n").encode()
    for more in (
        '[mailbox]\nname = "a"', 'mailbox = 1', 'mailbox = [1]', '[smtp]\nhost = "h"\nsendmail = "/x"', '[smtp]\nfrom = "a"\nto = []', '[smtp]\nhost = "h"\nuser = "u"', '[smtp]\nhost = "h"\npassword_env = "p"',
        '[smtp]\nhost = "127.0.0.1"\nsecurity = "none"\nfrom = "a@example.com"\nto = ["b@example.com"]', '[smtp]\nhost = "h"\nsecurity = "starttls"', '[[smtp]]', 'smtp = "x"', '[[sender]]', 'sender = {}',
        '[[sender]]\nname = ""\ndkim = ""\nptr = 1', '[[mailbox]]\n[[mailbox]]', 'store = "~/x"\n', 'store = """\n', '= 1', 'a.b.c = 1', '[summary]\nvolume = true',
    ):
        yield (more + "\n").encode()
    yield b"store = 1\n[[mailbox]]\nhosst = 'a'\nport = 0x1_0\nfolders = []\nafter = \"move\"\npassword = \"x\"\n[smtp]\nport = 99999\n"


# A line each; "|" stands for a line end.
VALUES = """1794787200|1794873599|a!b!1794787200!1794873599.xml.gz
2026-11-16T00:00:00Z|1794873599000|x
Mon, 16 Nov 2026 00:00:00 +0100|+1794873599.5|receiver!example.com!1794787200!1794873599!id.zip
192.0.2.7|::ffff:192.0.2.7|[IPv6:2001:db8::1]:25|2001:db8::5%eth0|192.0.2.7/32|192.0.2.7:25|192.000.002.007
B\u00dcCHER.Example.COM.|xn--bcher-kva.example|<user@example.com>|_dmarc.a\u3002b|a..b|\u00df.example|\u0130.example
Pass|hardfail|TempError|MAILFROM|other|sampled_out|quarantine|r\u0130
999999999999999999|-1|9223372036854775808
2026-11-16 00:00:00|17948735990000000|00000!111111111!222222222""".split("\n")


def ledger_rows():
    """A table, then what stands in its columns: 0 what the store would write, 1 null, 2 and 3 integers, 4 a real, 5 text, 6 a blob."""
    cells = [b"\0", b"\1", b"\2" + struct.pack("<q", 1 << 40), b"\3\x07", b"\4" + struct.pack("<d", 0.5), b"\5\4a\xffb\0", b"\6\2ab"]
    for table in range(9):
        # One of three tables is chosen by a byte, where they are read together.
        choices = [b"\0", b"\1", b"\2"] if table == 3 else [b""]
        yield bytes([table]) + b"".join(choice + bytes(40 if not choices[0] else 5) for choice in choices)
        for cell in cells[1:]:
            yield bytes([table]) + b"".join(choice + cell * (3 if choices[0] else 8) for choice in choices)
    text = lambda word: b"\5" + bytes([len(word)]) + word
    yield b"\7" + text(b"2001:db8::1") + text(b"network") + text(b'{"asn":64500,"as_name":"a","country":"NL"}')
    yield b"\7" + text(b"2001:db8::1") + text(b"ptr") + text(b'{"names":[],"confirmed":false}') + b"\1" * 2
    yield b"\1" + text(b"2024-02") + b"\2" + struct.pack("<q", (1 << 63) - 1) + text(b"10000-01")
    yield b"\0" + b"\0" * 33 + text(b'[{"code":"a","detail":""},{"code":1}]') + b"\0" * 30


def page_changes():
    """A file, then changes of it: where, what (0 overwrite, 2 put in, 3 take out; and how many bytes), and the bytes."""
    for which in range(7):
        yield bytes([which])
        for at in range(4, 12000, 1500):
            yield bytes([which]) + struct.pack("<HB", at, 1) + b"\xff"
        yield bytes([which]) + struct.pack("<HB", 60000, 0x24) + b"\0\0\0\0" + struct.pack("<HB", 500, 0x34) + b"\1\2\3\4"


def all_seeds():
    plain, packed, archives, letters, boxes = map(list, (documents(), samples(".gz"), zips(), mails(), mailboxes()))
    small = [document for document in plain if len(document) < 2100]
    packed += list(packed_otherwise()) + [zlib.compress(SMALL.encode()), gzip.compress(gzip.compress(SMALL.encode(), mtime=0), mtime=0), gzip.compress(boxes[0], mtime=0)]
    items = small + packed + archives + letters + boxes
    yield "unpack", items
    yield "core", items
    yield "zip", archives
    yield "mail", letters
    yield "mbox", boxes + [b"From a 01:10:00 Mon \n" + letter + b"\n\n" for letter in letters if len(letter) < 2000]
    yield "parse", plain
    yield "values", [line.replace("|", "\n").encode() for line in VALUES]
    yield "frames", [frames((b"a.xml", b"<a/>"), (b"", b""), (b"s3://b/c", b"x" * 1001), (b"", b"d")), frames((b"\xff", b"")) + b"\1\0"]
    yield "mbox_gz", list(packed_otherwise())[:8] + [gzip.compress(box, mtime=0) for box in boxes] + [gzip.compress(b"From a 01:10 Mon \n\n" * 400, mtime=0) + gzip.compress(b"\nFrom ", mtime=0) + b"\0" * 9]
    yield "gate", [answer.encode("latin-1") for answer in answers()]
    yield "session", [answer.encode("latin-1") for answer in answers()]
    yield "settings", list(settings())
    yield "ledger", list(ledger_rows())
    yield "zone", [zone.encode() for zone in ZONES]
    yield "pages", list(page_changes())


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("out", type=pathlib.Path)
    out = arguments.parse_args().out
    for name, seeds in all_seeds():
        folder = out / name
        folder.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(seeds, 1):
            (folder / f"seed-{number:03}").write_bytes(seed)
        print(f"{name}: {len(seeds)} seeds, {sum(map(len, seeds)) // 1024} KiB")


if __name__ == "__main__":
    main()
