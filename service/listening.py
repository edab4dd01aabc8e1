"""Two things about a listening TCP socket that Python has no words for (Linux).

The socket is shared: BentoML's parent holds it open until the last worker has ended. Who connects when no worker
takes connections any more would be queued by the kernel, and cut off at the end.
"""

import contextlib
import ctypes
import os
import socket
import struct

_SO_ATTACH_FILTER = 26  # in <asm-generic/socket.h>
_UNACKED = struct.Struct("=24xI")  # of struct tcp_info in <linux/tcp.h>; of a listening socket: its queue


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(_Instruction)))


_DROP_FIRST_PACKETS = (_Instruction * 5)(
    (0x30, 0, 0, 13),  # load the byte of TCP's flags
    (0x54, 0, 0, 0x12),  # of these SYN and ACK
    (0x15, 0, 1, 0x02),  # SYN alone, as in the first packet of a connection?
    (0x06, 0, 0, 0),  # then drop it
    (0x06, 0, 0, 0xFFFFFFFF),  # else let it through
)


def hold_off_newcomers(descriptor: int) -> None:
    """Let nobody begin to connect any more: their system tries again in a second, and is refused once the socket
    is closed. Who has begun is let in. A system that cannot do so lets them in; they may be cut off."""
    program = _Program(len(_DROP_FIRST_PACKETS), _DROP_FIRST_PACKETS)
    with contextlib.suppress(OSError), _own(descriptor) as listening:
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, bytes(program))


def waiting_in(descriptor: int) -> int:
    """How many connections nobody has taken yet. 0 where the system does not say."""
    try:
        with _own(descriptor) as listening:
            found = listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _UNACKED.size)
        return _UNACKED.unpack(found)[0]
    except (OSError, struct.error):
        return 0


def _own(descriptor: int) -> socket.socket:
    """The same socket under a name of ours: event loops wrap theirs."""
    return socket.socket(fileno=os.dup(descriptor))
