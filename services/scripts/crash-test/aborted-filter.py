#!/usr/bin/env python3
"""Stands between Kafka clients and noida-db 0.2.3 and takes out of its fetch responses what Kafka would not say.

A fetch response lists the aborted transactions that overlap what it carries (KIP-98; `collectAbortedTransactions` in Kafka's LogSegment takes
those whose last offset is at or above the fetch offset). noida-db lists every aborted transaction of the partition. A consumer takes such an
entry to mean "what this producer writes from here on is aborted, until its marker comes"; the marker lies behind it and never comes, so a
consumer that fetches from an offset above it drops everything that the producer, which has the same id again after a restart in place, commits.
librdkafka and kafka-python do so alike. Against Kafka itself none of this is needed.

    aborted-filter.py <port to listen on> <port of noida-db>
"""
import socket
import struct
import sys
import threading

FETCH, METADATA, FIND_COORDINATOR = 1, 3, 10
HOST = b"\x00\x09127.0.0.1"

# Offsets of abort markers that went by: (topic, partition, producer id) -> set.
markers = {}
lock = threading.Lock()


class Reader:
    """Big-endian fields, one after another."""

    def __init__(self, data, at=0):
        self.data, self.at = data, at

    def take(self, form):
        value, = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return value

    def bytes(self, count):
        self.at += max(count, 0)
        return bytes(self.data[self.at - max(count, 0):self.at])

    def string(self):
        return self.bytes(self.take("h"))


def fetch_offsets(request):
    """Request body of Fetch 11, the newest that librdkafka 2.0 speaks: {(topic, partition): fetch offset}."""
    reader = Reader(request)
    reader.take("i"), reader.take("i"), reader.take("i"), reader.take("i"), reader.take("b"), reader.take("i"), reader.take("i")
    offsets = {}
    for _ in range(reader.take("i")):
        topic = reader.string()
        for _ in range(reader.take("i")):
            partition = reader.take("i")
            reader.take("i")
            offsets[topic, partition] = reader.take("q")
            reader.take("q"), reader.take("i")
    return offsets


def note_markers(topic, partition, records):
    """Remembers where transactions were aborted. A record set is a row of batches (magic 2); the last may be cut off."""
    at = 0
    while at + 61 <= len(records):
        base, length = struct.unpack_from(">qi", records, at)
        attributes, = struct.unpack_from(">h", records, at + 21)
        if attributes & 0x20 and at + 12 + length <= len(records):
            producer, = struct.unpack_from(">q", records, at + 43)
            body = records[at + 61:at + 12 + length]
            # One record: length, attributes, timestamp delta, offset delta (all of one byte here), key length 4, version, type.
            if struct.unpack_from(">h", body, body.index(b"\x08\x00\x00") + 3)[0] == 0:
                with lock:
                    markers.setdefault((topic, partition, producer), set()).add(base)
        at += 12 + length


def filtered(response, offsets):
    """Body of a Fetch 11 response without the aborted transactions that ended below the offset that was fetched from."""
    reader, out = Reader(response), bytearray()
    reader.take("i"), reader.take("h"), reader.take("i")
    topics = reader.take("i")
    out += response[:reader.at]
    for _ in range(topics):
        start = reader.at
        topic = reader.string()
        partitions = reader.take("i")
        out += response[start:reader.at]
        for _ in range(partitions):
            start = reader.at
            partition = reader.take("i")
            reader.take("h"), reader.take("q"), reader.take("q"), reader.take("q")
            out += response[start:reader.at]
            aborted = [(reader.take("q"), reader.take("q")) for _ in range(reader.take("i"))]
            replica = reader.take("i")
            records = reader.bytes(reader.take("i"))
            note_markers(topic, partition, records)
            floor = offsets.get((topic, partition), 0)
            kept = []
            for producer, first in aborted:
                with lock:
                    ends = [end for end in markers.get((topic, partition, producer), ()) if end > first]
                if not ends or min(ends) >= floor:
                    kept.append((producer, first))
            out += struct.pack(">i", len(kept)) + b"".join(struct.pack(">qq", *entry) for entry in kept)
            out += struct.pack(">ii", replica, len(records)) + records
    return bytes(out) + response[reader.at:]


def frames(connection):
    """Size-delimited messages until the other side is gone."""
    data = bytearray()
    while True:
        while len(data) >= 4:
            size, = struct.unpack_from(">i", data)
            if len(data) < 4 + size:
                break
            yield bytes(data[4:4 + size])
            del data[:4 + size]
        try:
            more = connection.recv(1 << 18)
        except OSError:
            return
        if not more:
            return
        data += more


def send(connection, frame):
    connection.sendall(struct.pack(">i", len(frame)) + frame)


def close(connection):
    """Also ends a recv() of another thread."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()


def serve(client, own_port, port):
    broker = socket.create_connection(("127.0.0.1", port))
    for side in (client, broker):
        side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    asked = {}

    def requests():
        try:
            for frame in frames(client):
                key, version, correlation = struct.unpack_from(">hhi", frame)
                if key == FETCH:
                    if version != 11:
                        sys.exit(f"Fetch version {version} is not known here; librdkafka 2.0 sends 11.")
                    reader = Reader(frame, 8)
                    reader.string()
                    asked[correlation] = FETCH, fetch_offsets(frame[reader.at:])
                elif key in (METADATA, FIND_COORDINATOR):
                    asked[correlation] = key, None
                send(broker, frame)
        except OSError:
            pass
        finally:
            close(broker)

    threading.Thread(target=requests, daemon=True).start()
    try:
        for frame in frames(broker):
            key, offsets = asked.pop(struct.unpack_from(">i", frame)[0], (None, None))
            if key == FETCH:
                frame = frame[:4] + filtered(frame[4:], offsets)
            elif key is not None:
                frame = frame.replace(HOST + struct.pack(">i", port), HOST + struct.pack(">i", own_port))
            send(client, frame)
    except OSError:
        pass
    finally:
        close(client)
        close(broker)


def main():
    own_port, port = int(sys.argv[1]), int(sys.argv[2])
    listener = socket.create_server(("127.0.0.1", own_port), backlog=128)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, own_port, port), daemon=True).start()


if __name__ == "__main__":
    main()
