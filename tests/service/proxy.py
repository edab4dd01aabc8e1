"""A small TCP proxy before a real Redis, whose faults a test plants: it delays, or nothing listens any more."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator


class Proxy:
    """Passes on what comes, replies after `delay_seconds`; `refuse` and `listen` close and open its port."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port = probe.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.delay_seconds = 0.0
        self.connections = 0

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}"

    async def listen(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self._port)

    async def refuse(self) -> None:
        """From now on nothing listens, and who was connected is cut off."""
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._tasks.add(asyncio.current_task())
        behind_reader, behind = await asyncio.open_unix_connection(self._socket_path)
        ends = {writer, behind}
        self._writers |= ends
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass(reader, behind))
                both.create_task(self._reply(behind_reader, writer))
        except* OSError:
            pass
        finally:
            self._tasks.discard(asyncio.current_task())
            self._writers -= ends
            behind.close()
            writer.close()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while content := await reader.read(65_536):
            await asyncio.sleep(self.delay_seconds)
            writer.write(content)
            await writer.drain()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while content := await reader.read(65_536):
        writer.write(content)
        await writer.drain()
    writer.write_eof()


@contextlib.asynccontextmanager
async def proxy_of(socket_path: str) -> AsyncIterator[Proxy]:
    proxy = Proxy(socket_path)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.refuse()
