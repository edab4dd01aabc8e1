"""A proxy before Redis that makes it slow: whatever is asked arrives so much later."""

import asyncio
import contextlib
import threading

from loadtests.waiting import free_port

_CHUNK_BYTES = 1 << 16


class Proxy:
    """Passes bytes on between its port and that of Redis. `delay_ms` may change while it runs."""

    def __init__(self, target_port: int) -> None:
        self.port, self.delay_ms, self.passed = free_port(), 0.0, 0
        self._target_port = target_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def __enter__(self) -> "Proxy":
        self._thread.start()
        starting = asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(10)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            redis_reader, redis_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.close()
            return
        back = asyncio.create_task(self._pass(redis_reader, writer, slowly=False))
        try:
            await self._pass(reader, redis_writer, slowly=True)
        finally:
            redis_writer.close()
            writer.close()
            back.cancel()

    async def _pass(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, slowly: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while chunk := await source.read(_CHUNK_BYTES):
                if slowly and self.delay_ms:
                    self.passed += 1
                    await asyncio.sleep(self.delay_ms / 1000)
                sink.write(chunk)
                await sink.drain()
