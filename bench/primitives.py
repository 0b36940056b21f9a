"""What this machine does at most: signature verifications and disk syncs in the same run, to read the rest by."""

import os
import tempfile
import threading
import time
from pathlib import Path

from node.crypto.keys import generate_key, verify_signature


def verifications_per_second(*, threads: int, seconds: float = 1.0) -> float:
    """Return Ed25519 verifications a second over `threads` threads (libsodium releases the GIL)."""
    key = generate_key()
    message = bytes(200)
    signature = key.sign(message)
    counts = [0] * threads
    end = time.perf_counter() + seconds

    def work(number: int) -> None:
        while time.perf_counter() < end:
            for _ in range(50):
                verify_signature(key.public_key, message, signature)
            counts[number] += 50

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    begin = time.perf_counter()
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - begin)


def sync_milliseconds(*, times: int = 100) -> tuple[float, float]:
    """Return p50 and p99 of an append of 256 bytes with fdatasync."""
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        handle = os.open(Path(folder) / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for _ in range(times):
                begin = time.perf_counter()
                os.write(handle, bytes(256))
                os.fdatasync(handle)
                taken.append((time.perf_counter() - begin) * 1000)
        finally:
            os.close(handle)
    taken.sort()
    return taken[len(taken) // 2], taken[int(len(taken) * 0.99) - 1]
