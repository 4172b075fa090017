#!/usr/bin/env python3
"""Writes access.log and labels.csv: sixteen minutes of the real lines of real.log, minute by minute with only the minute changed, and among
them four generated attacks, one each from the addresses of RFC 5737 for documentation. Seeded; run it in this folder."""
import csv, datetime, random

rng = random.Random(17)
real = [line.rstrip("\n") for line in open("real.log")]
start = datetime.datetime(2015, 5, 17, 10, 5, tzinfo=datetime.timezone.utc)
MINUTES = 16
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:25.0) Gecko/20100101 Firefox/25.0"


def stamp(at):
    return at.strftime("%d/%b/%Y:%H:%M:%S +0000")


lines = []  # (time, order, text, label)
for minute in range(MINUTES):
    for order, line in enumerate(real):
        head, rest = line.split("[", 1)
        at = start + datetime.timedelta(minutes=minute, seconds=int(rest[18:20]))
        lines.append((at, order, f"{head}[{stamp(at)}]{rest.split(']', 1)[1]}", None))


def attack(kind, minute, seconds, count, request):
    begin = start + datetime.timedelta(minutes=minute, seconds=20)
    times = sorted(begin + datetime.timedelta(seconds=rng.randrange(seconds)) for _ in range(count))
    for at in times:
        client, method, path, status, size = request()
        text = f'{client} - - [{stamp(at)}] "{method} {path} HTTP/1.1" {status} {size} "-" "{AGENT}"'
        lines.append((at, 1000 + rng.randrange(1000), text, (kind, times[0], times[-1])))


attack("brute-force", 4, 80, 160, lambda: ("203.0.113.24", "POST", "/login", 401, 612))
attack("path-scan", 7, 60, 180, lambda: ("203.0.113.77", "GET", f"/backup/{rng.randrange(100000):05d}", 404, 294))
attack("flood", 10, 40, 300, lambda: (f"198.51.100.{rng.randrange(1, 51)}", "GET", "/", rng.choice([200] * 9 + [503]), 37932))
attack("server-errors", 13, 80, 140, lambda: (f"192.0.2.{rng.randrange(1, 200)}", "GET", f"/search?q={rng.randrange(900)}", rng.choice([500, 502, 503]), 512))

lines.sort(key=lambda line: (line[0], line[1]))
with open("access.log", "w") as out:
    out.writelines(text + "\n" for _, _, text, _ in lines)
with open("labels.csv", "w", newline="") as out:
    table = csv.writer(out, lineterminator="\n")
    table.writerow(["first", "last", "kind", "start", "end"])
    for number, (_, _, _, label) in enumerate(lines, 1):
        if label:
            table.writerow([number, number, label[0], label[1].isoformat(), label[2].isoformat()])
