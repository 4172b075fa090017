#!/usr/bin/env python3
"""The server's WebSockets as a client sees them that is not ours (PyPI: websockets): websocket.py HOST:PORT.

Every size of message, fragments, pings, closing codes, what is too large, a client that never reads, and many clients at a time.
"""
import asyncio
import sys
import time

import websockets
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Opcode

ADDRESS = sys.argv[1]
URL = f"ws://{ADDRESS}/ws"
MAXIMUM = 64 << 10


async def sizes():
    async with connect(URL, compression=None) as socket:
        for size in (0, 1, 125, 126, 127, 4096, 65_535, MAXIMUM):
            for message in ("é" * (size // 2) + "x" * (size % 2), bytes(size)):
                await socket.send(message)
                assert await socket.recv() == message, size


async def fragments():
    async with connect(URL) as socket:
        await socket.send(["a", "", "bc", "d" * 1000])
        assert await socket.recv() == "abc" + "d" * 1000
        await socket.send([b"\xff", b"\x00"])
        assert await socket.recv() == b"\xff\x00"


async def pings():
    async with connect(URL) as socket:
        for payload in (b"", b"x" * 125):
            assert await asyncio.wait_for(await socket.ping(payload), 5) >= 0


async def closing():
    for code in (1000, 1001, 3000, 4999):
        async with connect(URL) as socket:
            await socket.close(code, "bye")
            assert socket.close_code == code, socket.close_code


async def refused():
    async def code_after(act):
        async with connect(URL, max_size=None) as socket:
            await act(socket)
            try:
                await socket.recv()
            except ConnectionClosed as closed:
                return closed.rcvd.code
        return None

    async def raw(socket, opcode, data):
        socket.protocol.send_frame(websockets.frames.Frame(opcode, data))
        socket.send_data()

    assert await code_after(lambda s: s.send(bytes(MAXIMUM + 1))) == 1009
    assert await code_after(lambda s: raw(s, Opcode.TEXT, b"\xff")) == 1007
    assert await code_after(lambda s: raw(s, Opcode.CONT, b"x")) == 1002
    for path, status in (("/ws/", 200), ("/other", 200)):
        try:
            async with connect(f"ws://{ADDRESS}{path}"):
                raise AssertionError(path)
        except InvalidStatus as error:
            assert error.response.status_code == status


async def slow():
    """One that never reads is closed, and others do not notice."""
    reader, writer = await asyncio.open_connection(*ADDRESS.split(":"), limit=1)
    writer.write(
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    frame = b"\x82\xfe\xff\xff" + bytes(4) + bytes(65_535)
    began = time.monotonic()
    broken = False
    async with connect(URL) as other:
        while time.monotonic() - began < 60 and not broken:
            try:
                writer.write(frame)
                await asyncio.wait_for(writer.drain(), 0.2)
            except TimeoutError:
                pass
            except OSError:
                broken = True
            await other.send("still here")
            assert await asyncio.wait_for(other.recv(), 5) == "still here"
    assert broken, "a client that never reads was not dropped within a minute"
    writer.close()


async def many():
    async def one(index):
        async with connect(URL) as socket:
            for turn in range(5):
                await socket.send(f"{index} {turn}")
                assert await socket.recv() == f"{index} {turn}"

    await asyncio.gather(*(one(index) for index in range(300)))


async def main():
    for check in (sizes, fragments, pings, closing, refused, many, slow):
        began = time.monotonic()
        await asyncio.wait_for(check(), 90)
        print(f"websocket-test: {check.__name__} in {time.monotonic() - began:.1f} s")


asyncio.run(main())
