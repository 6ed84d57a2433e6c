"""In the loops that multiply and add, vector registers stay in registers.

A compiler that runs out of them stores some on the stack and loads them again, in each turn of the loop: every result
is as it was, and half of the speed can be gone. So the compiled extension itself is read, whatever its functions are
called. Hot loops are the innermost ones with at least as many packed multiply-adds as the smallest tile has sums.
"""

import platform
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from support import need_tool

from ganchroma import _core

HOT = 12  # packed multiply-adds
JUDGED = rb"GCC: \([^)\0]*\) 12\."  # another compiler has other numbers
PROTECTED = b"__stack_chk_fail"  # code that looks after its stack, as the flags of some distributions ask for ...
COSTLY = "frequency_values"  # ... has more spills in this function

# Registers, functions, and how many spills there may be for each multiply-add. Everything else must have none.
ALLOWED = [
    ("zmm", r"conv_points_f\d\d|product_tile_\w+", 0.07),  # one in a turn, of 32 registers that are all in use
    ("ymm", r"conv_points_f\d\d", 0.17),
    ("ymm", r"conv_tiles_\d_[34]_f\d\d", 1.7),  # 12 and 16 sums of 16 registers
    ("ymm", r"product_tile_3_(1_4|4_1)_f\d\d", 0.7),  # 12 sums too
    ("ymm", r"activation_apply_f\d\d", 1.1),  # constants of polynomials, more than there are registers
    ("zmm", r"color_(planes|woven)_run_f32\S*", 0.45),  # likewise
    ("zmm", r"bytes_chroma", 0.1),  # its two sums, once in a turn of a hundred steps
    ("ymm", r"color_(planes|woven)_run_f32\S*|bytes_chroma", 0.9),
    ("ymm", r"frequency_values|torch_normal_polynomial_f32", 0.9),
]

FUNCTION = re.compile(r"^[0-9a-f]+ <(.+)>:$")
INSTRUCTION = re.compile(r"^ *([0-9a-f]+):\t(\S+) *(.*)$")
JUMP = re.compile(r"^j\w+$")
MULTIPLY_ADD = re.compile(r"^vfn?m(add|sub)\w*p[sd]$")
VECTOR = re.compile(r"%[yz]mm\d")
# With an index it is an array of the function's own, which is meant.
STACK = re.compile(r"(?:^|,)-?(?:0x[0-9a-f]+)?\(%(rsp|rbp)\)")
FRAME = re.compile(r"%rsp,%rbp$")


class Line(NamedTuple):
    address: int
    name: str
    operands: str

    @property
    def multiplies(self) -> bool:
        return bool(MULTIPLY_ADD.match(self.name) and VECTOR.search(self.operands))

    def spills(self, has_frame: bool) -> bool:
        """Whether it moves a vector to or from the stack."""
        found = STACK.search(self.operands)
        return bool(found and VECTOR.search(self.operands) and (has_frame or found[1] == "rsp"))


def functions(listing: str) -> Iterator[tuple[str, list[Line]]]:
    """Of a listing by objdump."""
    name, lines = "", []
    for text in listing.splitlines():
        if found := FUNCTION.match(text):
            yield name, lines
            name, lines = found[1], []
        elif found := INSTRUCTION.match(text):
            lines.append(
                Line(int(found[1], 16), found[2], found[3].split(" ")[0] if JUMP.match(found[2]) else found[3])
            )
    yield name, lines


def innermost_loops(lines: list[Line]) -> Iterator[list[Line]]:
    """From each jump backwards to where it goes, unless another such pair lies within."""
    place = {line.address: index for index, line in enumerate(lines)}
    pairs = []
    for end, line in enumerate(lines):
        if JUMP.match(line.name) and re.fullmatch(r"[0-9a-f]+", line.operands):
            start = place.get(int(line.operands, 16), end + 1)
            if start <= end:
                pairs.append((start, end))
    for start, end in pairs:
        if not any((start, end) != other and start <= other[0] and other[1] <= end for other in pairs):
            yield lines[start : end + 1]


class Loop(NamedTuple):
    function: str
    registers: str
    multiplied: int
    spilled: list[str]

    @property
    def allowed(self) -> float:
        """How many spills."""
        return self.multiplied * max(
            (
                share
                for registers, pattern, share in ALLOWED
                if registers == self.registers and re.fullmatch(pattern, self.function)
            ),
            default=0.0,
        )


def hot_loops(listing: str) -> Iterator[Loop]:
    for name, lines in functions(listing):
        has_frame = any(line.name in ("mov", "lea") and FRAME.search(line.operands) for line in lines)
        for loop in innermost_loops(lines):
            multiplied = [line for line in loop if line.multiplies]
            if len(multiplied) >= HOT:
                registers = "zmm" if any("%zmm" in line.operands for line in multiplied) else "ymm"
                spilled = [f"{line.name} {line.operands}" for line in loop if line.spills(has_frame)]
                yield Loop(name, registers, len(multiplied), spilled)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="it reads the instructions of x86-64")
def test_vectors_stay_in_registers():
    objdump = need_tool("objdump")
    extension = Path(_core.__file__).read_bytes()
    if not re.search(JUDGED, extension):
        pytest.skip("judged for GCC 12 only: the extension was compiled by something else")
    command = [objdump, "-d", "--no-show-raw-insn", _core.__file__]
    listing = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    loops = list(hot_loops(listing))
    for registers in ("ymm", "zmm"):
        kernels = [loop for loop in loops if loop.registers == registers and loop.function.startswith("conv_")]
        assert len(kernels) > 10, f"the kernels on {registers} were not found"
    if PROTECTED in extension:
        loops = [loop for loop in loops if loop.function != COSTLY]
    wrong = [loop for loop in loops if len(loop.spilled) > loop.allowed]
    assert not wrong, "\n".join(
        f"{loop.function}: {len(loop.spilled)} spills, e.g. {loop.spilled[0]}" for loop in wrong
    )


# -- what is found, in listings that are short ----------------------------------------------------------------------


def listing(*body, function="kernel", turn="jne"):
    """A function whose loop holds `body`, then enough multiply-adds."""
    multiply_adds = [f"vfmadd231ps %zmm{i},%zmm30,%zmm31" for i in range(HOT)]
    lines = ["mov %rsp,%rbp", *body, *multiply_adds, f"{turn} 1001 <{function}+0x1>", "ret"]
    text = [f"    {0x1000 + i:x}:\t{line.replace(' ', '   ', 1)}" for i, line in enumerate(lines)]
    return "\n".join([f"0000000000001000 <{function}>:", *text])


@pytest.mark.parametrize(
    ("line", "spills"),
    [
        ("vmovaps %zmm3,-0x78(%rsp)", True),
        ("vmovaps (%rsp),%ymm3", True),
        ("vfmadd231ps 0x40(%rbp),%zmm1,%zmm2", True),
        ("vmovaps 0x40(%rsp,%rax,4),%zmm3", False),
        ("vmovaps 0x40(%rdi),%zmm3", False),
        ("mov 0x40(%rsp),%rax", False),
    ],
)
def test_a_spill_is_a_vector_on_the_stack(line, spills):
    (loop,) = hot_loops(listing(line))
    assert (loop.function, loop.registers, loop.multiplied, loop.allowed) == (
        "kernel",
        "zmm",
        12 + line.count("fma"),
        0,
    )
    assert len(loop.spilled) == spills


def test_without_a_frame_rbp_is_any_register():
    text = listing("vmovaps 0x40(%rbp),%zmm3")
    assert next(hot_loops(text)).spilled
    assert not next(hot_loops(text.replace("%rsp,%rbp", "%rdi,%rax"))).spilled


def test_only_innermost_loops_count():
    inner = listing("vmovaps (%rsp),%zmm1").replace("ret", "jmp   1000 <kernel>")
    assert len(list(hot_loops(inner))) == 1
    assert not list(hot_loops(listing(turn="call")))
    assert next(hot_loops(listing(function="conv_points_f32"))).allowed == pytest.approx(12 * 0.07)
