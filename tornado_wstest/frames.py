"""RFC 6455 frames as bytes.

A frame encoder that also builds what a well-behaved one refuses to: reserved bits, a length that lies,
an unmasked client. Section numbers are those of RFC 6455.
"""

import enum
import os
import struct

from .errors import UsageError
from .text import show

__all__ = ["NO_CODE", "NO_FRAME", "Opcode", "encode_frame"]

NO_CODE = 1005
"""The close code of a close frame that carried none (section 7.1.5)."""

NO_FRAME = 1006
"""The close code of a connection that was lost without a close frame (section 7.1.5)."""


class Opcode(enum.IntEnum):
    """The opcodes that section 5.2 defines; 3 to 7 and 11 to 15 are reserved."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


def encode_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    length: int | None = None,
    mask: bytes | None = None,
) -> bytes:
    """Return one frame as a client sends it (section 5.2).

    ::

        encode_frame(Opcode.TEXT, b"hel", fin=False) + encode_frame(Opcode.CONTINUATION, b"lo")

    :arg opcode: 0 to 15, the reserved ones too
    :arg payload: what the frame carries, unmasked
    :arg fin: is this the last frame of its message?
    :arg rsv: the three reserved bits, as a number from 0 to 7 (RSV1 is 4)
    :arg masked: mask the payload, as section 5.3 demands of a client
    :arg length: the length to declare, if it is not the payload's
    :arg mask: the four bytes to mask with; new ones each time by default
    """
    if not isinstance(opcode, int) or not 0 <= opcode <= 15:
        raise UsageError(f"an opcode is a number from 0 to 15, not {show(opcode)}")
    if not isinstance(rsv, int) or not 0 <= rsv <= 7:
        raise UsageError(f"rsv is a number from 0 to 7 (RSV1 is 4), not {show(rsv)}")
    if not isinstance(payload, (bytes, bytearray, memoryview)):
        raise UsageError(f"a frame's payload is bytes, not {show(payload)}")
    payload = bytes(payload)
    if mask is not None and (not isinstance(mask, bytes) or len(mask) != 4 or not masked):
        raise UsageError(f"a mask is four bytes of a frame that is masked, not {show(mask)}")
    declared = len(payload) if length is None else length
    if not isinstance(declared, int) or not 0 <= declared < 2**64:
        raise UsageError(f"a declared length is a number from 0 to 2**64 - 1, not {show(length)}")
    first = (0x80 if fin else 0) | rsv << 4 | opcode
    mask_bit = 0x80 if masked else 0
    if declared < 126:
        header = struct.pack("!BB", first, mask_bit | declared)
    elif declared < 2**16:
        header = struct.pack("!BBH", first, mask_bit | 126, declared)
    else:
        header = struct.pack("!BBQ", first, mask_bit | 127, declared)
    if not masked:
        return header + payload
    key = os.urandom(4) if mask is None else mask
    stream = (key * (len(payload) // 4 + 1))[: len(payload)]
    # As two numbers, because byte by byte a megabyte takes a quarter of a second.
    masked_payload = int.from_bytes(payload) ^ int.from_bytes(stream)
    return header + key + masked_payload.to_bytes(len(payload))
