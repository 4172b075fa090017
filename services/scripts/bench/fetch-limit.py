#!/usr/bin/env python3
"""Stands between Kafka clients and noida-db 0.2.3 and answers fetches with as much as they ask for.

A broker gives at most `max_bytes` in an answer and `partition_max_bytes` of a partition, and more only where the first batch alone is larger
(KIP-74). noida-db gives everything that there is, 160 MB at once of a backlog of that size, which no client setting bounds. What it has given is
kept here and dealt out in whole batches. Without transactions only; against Kafka itself none of this is needed.

    fetch-limit.py <port to listen on> <port of noida-db> [<the name by which both are known; 127.0.0.1>]
"""
import os
import socket
import struct
import sys
import threading

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "crash-test"))
broker = __import__("aborted-filter")
Reader, frames, send, close = broker.Reader, broker.frames, broker.send, broker.close


class Kept:
    """What one client was given: (topic, partition) -> batches as (offset of the first record, offset behind the last, bytes), and the three offsets of
    the partition. Another client is elsewhere in the same topics."""

    def __init__(self):
        self.lock, self.batches, self.ends = threading.Lock(), {}, {}


def asked_for(request):
    """Body of a Fetch 11 request: its limit and {(topic, partition): (offset, limit)}."""
    reader = Reader(request)
    reader.take("i"), reader.take("i"), reader.take("i")
    limit, partitions = reader.take("i"), {}
    reader.take("b"), reader.take("i"), reader.take("i")
    for _ in range(reader.take("i")):
        topic = reader.string()
        for _ in range(reader.take("i")):
            partition = reader.take("i")
            reader.take("i")
            offset = reader.take("q")
            reader.take("q")
            partitions[topic, partition] = offset, reader.take("i")
    return limit, partitions


def keep(kept, response):
    """Takes over what a Fetch 11 response brings; false where it is an error, which is passed on as it is."""
    reader = Reader(response)
    reader.take("i")
    if reader.take("h") != 0:
        return False
    reader.take("i")
    fresh = {}
    for _ in range(reader.take("i")):
        topic = reader.string()
        for _ in range(reader.take("i")):
            partition = reader.take("i")
            if reader.take("h") != 0:
                return False
            offsets = reader.take("q"), reader.take("q"), reader.take("q")
            for _ in range(reader.take("i")):
                reader.take("q"), reader.take("q")
            reader.take("i")
            records, found, at = reader.bytes(reader.take("i")), [], 0
            while at + 61 <= len(records):
                base, length = struct.unpack_from(">qi", records, at)
                end = at + 12 + length
                if end > len(records):
                    break
                found.append((base, base + struct.unpack_from(">i", records, at + 23)[0] + 1, records[at:end]))
                at = end
            fresh[topic, partition] = found, offsets
    with kept.lock:
        for place, (found, offsets) in fresh.items():
            if found:
                kept.batches[place] = found
            kept.ends[place] = offsets
    return True


def dealt(kept, limit, partitions):
    """Body of a Fetch 11 response from what is kept; None where that has nothing for it."""
    out, total, topics = bytearray(), 0, {}
    with kept.lock:
        for (topic, partition), (offset, most) in partitions.items():
            records, size = [], 0
            for first, behind, data in kept.batches.get((topic, partition), ()):
                if behind <= offset:
                    continue
                if first > offset and not records:
                    break
                if (size + len(data) > most or total + len(data) > limit) and (records or total):
                    break
                records.append(data)
                size, total = size + len(data), total + len(data)
            high, stable, start = kept.ends.get((topic, partition), (-1, -1, -1))
            body = struct.pack(">ihqqqiii", partition, 0, high, stable, start, 0, -1, size) + b"".join(records)
            topics.setdefault(topic, []).append(body)
    if total == 0:
        return None
    out += struct.pack(">ihii", 0, 0, 0, len(topics))
    for topic, bodies in topics.items():
        out += struct.pack(">h", len(topic)) + topic + struct.pack(">i", len(bodies)) + b"".join(bodies)
    return bytes(out)


def serve(client, own_port, port, host):
    other = socket.create_connection((host, port))
    named = struct.pack(">h", len(host)) + host.encode()
    for side in (client, other):
        side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    asked, sending, kept = {}, threading.Lock(), Kept()

    def answer(frame):
        with sending:
            send(client, frame)

    def requests():
        try:
            for frame in frames(client):
                key, version, correlation = struct.unpack_from(">hhi", frame)
                if key == broker.FETCH:
                    if version != 11:
                        sys.exit(f"Fetch version {version} is not known here; librdkafka 2.0 sends 11.")
                    reader = Reader(frame, 8)
                    reader.string()
                    wanted = asked_for(frame[reader.at:])
                    body = dealt(kept, *wanted)
                    if body is not None:
                        answer(struct.pack(">i", correlation) + body)
                        continue
                    asked[correlation] = key, wanted
                elif key in (broker.METADATA, broker.FIND_COORDINATOR):
                    asked[correlation] = key, None
                send(other, frame)
        except OSError:
            pass
        finally:
            close(other)

    threading.Thread(target=requests, daemon=True).start()
    try:
        for frame in frames(other):
            key, wanted = asked.pop(struct.unpack_from(">i", frame)[0], (None, None))
            if key == broker.FETCH:
                body = dealt(kept, *wanted) if keep(kept, frame[4:]) else None
                frame = frame[:4] + body if body is not None else frame
            elif key is not None:
                frame = frame.replace(named + struct.pack(">i", port), named + struct.pack(">i", own_port))
            answer(frame)
    except OSError:
        pass
    finally:
        close(client)
        close(other)


def main():
    own_port, port = int(sys.argv[1]), int(sys.argv[2])
    host = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1"
    listener = socket.create_server((host, own_port), backlog=128)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, own_port, port, host), daemon=True).start()


if __name__ == "__main__":
    main()
