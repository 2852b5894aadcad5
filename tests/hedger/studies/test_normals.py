"""Random numbers against their authors' vectors, and normal numbers against the normal distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from hedger.studies.normals import normal_pair, normals, philox, uniform


def random_bits(counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, int, int, int]:
    """Philox 4x32-10 in Python's own integers, as the paper writes it."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        high0, low0 = divmod(0xD2511F53 * c0, 2**32)
        high1, low1 = divmod(0xCD9E8D57 * c2, 2**32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


# Random123's known-answer tests (kat_vectors, philox4x32 10)
@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0,) * 4, (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_bits_are_the_published_ones(
    counter: tuple[int, int, int, int], key: tuple[int, int], expected: str
) -> None:
    assert " ".join(f"{word:08x}" for word in philox(*counter, *key)) == expected
    assert " ".join(f"{word:08x}" for word in random_bits(counter, key)) == expected


def test_a_number_is_a_function_of_seed_stream_path_and_step() -> None:
    seed, stream, first = 0x1234567890ABCDEF, 3, 40
    drawn = normals(seed, 10, 6, stream=stream, first_path=first)
    for step in range(10):
        for path in range(6):
            bits = random_bits((step // 4, first + path, stream, 0), (seed % 2**32, seed >> 32))
            radius_word, angle_word = bits[:2] if step % 4 < 2 else bits[2:]
            radius = math.sqrt(-2.0 * math.log((radius_word + 0.5) / 2**32))
            angle = ((angle_word % 2**30 + 0.5) / 2**30 - 0.5) * math.pi / 2
            sine, cosine = math.sin(angle), math.cos(angle)
            if angle_word >> 30 & 1:  # the other quarter of the half circle
                sine, cosine = cosine, sine
            sign = -1.0 if angle_word >> 31 else 1.0
            wanted = sign * radius * (sine if step % 2 else cosine)
            assert drawn[step, path] == pytest.approx(wanted, rel=1e-13, abs=1e-15)


def test_they_are_normal_and_independent() -> None:
    z = normals(11, 400, 2500)
    assert stats.kstest(z.ravel(), "norm").pvalue > 1e-3
    count = z.size
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170)):
        assert abs((z**power).mean() - moment) < 4.5 * math.sqrt(variance / count)
    # neighbours in step (pairs of one draw among them) and in path, and their squares
    for a, b in ((z[:-1], z[1:]), (z[0::2], z[1::2]), (z[:, :-1], z[:, 1:]), (z[:-4], z[4:])):
        for x, y in ((a, b), (a**2 - 1, b**2 - 1)):
            assert abs(np.corrcoef(x.ravel(), y.ravel())[0, 1]) < 4.5 / math.sqrt(a.size)
    other = normals(11, 400, 2500, stream=1)
    assert abs(np.corrcoef(z.ravel(), other.ravel())[0, 1]) < 4.5 / math.sqrt(count)
    assert not np.isclose(z, normals(12, 400, 2500)).all(axis=0).any()


def test_ends_of_the_range_are_finite() -> None:
    words = (0, 1, 2**30 - 1, 2**30, 2**31 - 1, 2**31, 2**32 - 1)
    pairs = np.array([normal_pair(a, b) for a in words for b in words])
    assert np.isfinite(pairs).all()
    assert np.abs(pairs).max() < 6.77
    assert 0.0 < uniform(0) < uniform(2**32 - 1) < 1.0


@pytest.mark.parametrize(
    "wrong",
    [{"seed": -1}, {"seed": 2**63}, {"steps": -1}, {"paths": -1}, {"stream": 2**32}, {"first_path": -1}],
)
def test_what_the_words_cannot_hold_is_refused(wrong: dict[str, int]) -> None:
    asked = {"seed": 1, "steps": 2, "paths": 2} | wrong
    with pytest.raises(ValueError, match=r"SEED|NORMALS"):
        normals(asked.pop("seed"), asked.pop("steps"), asked.pop("paths"), **asked)
