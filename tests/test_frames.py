"""Frames, compared with bytes computed by hand from RFC 6455, section 5.2."""

import unittest
from unittest import mock

from tornado_wstest.errors import UsageError
from tornado_wstest.frames import NO_CODE, NO_FRAME, Opcode, encode_frame

KEY = b"\x37\xfa\x21\x3d"  # the key of the examples in section 5.7


def masked(opcode, payload, **options):
    """Return a frame that is masked with `KEY`."""
    with mock.patch("tornado_wstest.frames.os.urandom", return_value=KEY):
        return encode_frame(opcode, payload, **options)


def unmasked(opcode, payload=b"", **options):
    """Return a frame that is not masked."""
    return encode_frame(opcode, payload, masked=False, **options)


class ExamplesTest(unittest.TestCase):
    """The examples of section 5.7, byte for byte."""

    def test_unmasked_text(self):
        """A single-frame unmasked text message."""
        self.assertEqual(unmasked(Opcode.TEXT, b"Hello"), bytes.fromhex("810548656c6c6f"))

    def test_masked_text(self):
        """A single-frame masked text message."""
        self.assertEqual(masked(Opcode.TEXT, b"Hello"), bytes.fromhex("818537fa213d7f9f4d5158"))

    def test_fragmented_text(self):
        """A fragmented unmasked text message."""
        frames = unmasked(Opcode.TEXT, b"Hel", fin=False) + unmasked(Opcode.CONTINUATION, b"lo")
        self.assertEqual(frames, bytes.fromhex("010348656c80026c6f"))

    def test_ping_and_pong(self):
        """An unmasked ping, and a masked pong."""
        self.assertEqual(unmasked(Opcode.PING, b"Hello"), bytes.fromhex("890548656c6c6f"))
        self.assertEqual(masked(Opcode.PONG, b"Hello"), bytes.fromhex("8a8537fa213d7f9f4d5158"))

    def test_256_bytes(self):
        """256 bytes in a single unmasked frame: the length takes two bytes."""
        self.assertEqual(unmasked(Opcode.BINARY, bytes(256)), bytes.fromhex("827e0100") + bytes(256))

    def test_64_kib(self):
        """64 KiB in a single unmasked frame: the length takes eight bytes."""
        self.assertEqual(unmasked(Opcode.BINARY, bytes(65536)), bytes.fromhex("827f0000000000010000") + bytes(65536))


class HeaderTest(unittest.TestCase):
    """What stands in front of the payload."""

    def test_empty_frame(self):
        """A frame without a payload is two bytes, and the key if it is masked."""
        self.assertEqual(unmasked(Opcode.CLOSE), b"\x88\x00")
        self.assertEqual(masked(Opcode.CLOSE, b""), b"\x88\x80" + KEY)

    def test_lengths_at_their_limits(self):
        """Each length is declared in as few bytes as can hold it."""
        headers = {
            125: b"\x82\x7d",
            126: b"\x82\x7e\x00\x7e",
            65535: b"\x82\x7e\xff\xff",
            65536: b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00",
        }
        for length, header in headers.items():
            with self.subTest(length=length):
                self.assertEqual(unmasked(Opcode.BINARY, bytes(length)), header + bytes(length))

    def test_masked_length(self):
        """A masked frame has the mask bit beside its length, short or long."""
        self.assertEqual(masked(Opcode.BINARY, bytes(125))[:6], b"\x82\xfd" + KEY)
        self.assertEqual(masked(Opcode.BINARY, bytes(126))[:8], b"\x82\xfe\x00\x7e" + KEY)
        self.assertEqual(masked(Opcode.BINARY, bytes(65536))[:14], b"\x82\xff\0\0\0\0\0\1\0\0" + KEY)

    def test_length_that_lies(self):
        """The declared length need not be the payload's."""
        self.assertEqual(unmasked(Opcode.TEXT, b"Hello", length=2), b"\x81\x02Hello")
        self.assertEqual(unmasked(Opcode.TEXT, b"", length=2**64 - 1), b"\x81\x7f" + b"\xff" * 8)

    def test_reserved_bits(self):
        """RSV1 is 4, RSV2 is 2, RSV3 is 1."""
        self.assertEqual([unmasked(Opcode.TEXT, rsv=rsv)[0] for rsv in (4, 2, 1, 7)], [0xC1, 0xA1, 0x91, 0xF1])

    def test_reserved_opcodes(self):
        """An opcode that no RFC defines can be sent, final or not."""
        self.assertEqual([unmasked(3)[0], unmasked(15)[0], unmasked(15, fin=False)[0]], [0x83, 0x8F, 0x0F])

    def test_close_codes_that_never_travel(self):
        """The two codes that stand for no code and for no frame are the RFC's."""
        self.assertEqual((NO_CODE, NO_FRAME), (1005, 1006))


class PayloadTest(unittest.TestCase):
    """What the frame carries."""

    def test_masked_by_default(self):
        """A frame is masked unless told otherwise, with a new key each time, and unmasks to its payload."""
        frames = [encode_frame(Opcode.BINARY, b"Hello, world") for _ in range(5)]
        self.assertGreater(len({frame[2:6] for frame in frames}), 1)
        for frame in frames:
            key, payload = frame[2:6], frame[6:]
            self.assertEqual(bytes(payload[i] ^ key[i % 4] for i in range(len(payload))), b"Hello, world")

    def test_buffers_are_payloads(self):
        """A bytearray and a memoryview are taken as bytes are, whatever their items."""
        words = memoryview(b"Hell").cast("H")
        self.assertEqual(unmasked(Opcode.TEXT, bytearray(b"Hell")), b"\x81\x04Hell")
        self.assertEqual(unmasked(Opcode.TEXT, words), b"\x81\x04Hell")

    def test_a_mask_of_ones_own(self):
        """A mask that is given makes the same frame each time, also one whose payload is no multiple of four."""
        frame = encode_frame(Opcode.TEXT, b"Hello", mask=KEY)
        self.assertEqual(frame, bytes.fromhex("818537fa213d7f9f4d5158"))
        self.assertEqual(encode_frame(Opcode.PING, mask=KEY), b"\x89\x80" + KEY)


class MisuseTest(unittest.TestCase):
    """What no frame can hold."""

    def test_opcode_out_of_range(self):
        """An opcode has four bits, and is a number."""
        for opcode in (-1, 16, 1.0, "text"):
            with self.assertRaisesRegex(UsageError, f"an opcode is a number from 0 to 15, not {opcode!r}"):
                encode_frame(opcode)

    def test_reserved_bits_out_of_range(self):
        """There are three reserved bits."""
        for rsv in (-1, 8, None):
            with self.assertRaisesRegex(UsageError, rf"rsv is a number from 0 to 7 \(RSV1 is 4\), not {rsv}"):
                encode_frame(Opcode.TEXT, rsv=rsv)

    def test_length_out_of_range(self):
        """A declared length has 64 bits."""
        for length in (-1, 2**64, 1.5):
            with self.assertRaisesRegex(UsageError, f"a declared length is .*, not {length}$"):
                encode_frame(Opcode.TEXT, length=length)

    def test_mask_that_is_none(self):
        """A mask has four bytes, and belongs to a frame that is masked."""
        for mask, masked in ((b"abc", True), ("abcd", True), (KEY, False)):
            with self.assertRaisesRegex(UsageError, "a mask is four bytes of a frame that is masked, not "):
                encode_frame(Opcode.TEXT, b"Hello", mask=mask, masked=masked)

    def test_payload_that_is_text(self):
        """A str is no payload: its encoding is for the test to say."""
        with self.assertRaisesRegex(UsageError, "a frame's payload is bytes, not 'Hello'"):
            encode_frame(Opcode.TEXT, "Hello")
