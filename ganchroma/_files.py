"""Files: written so that a reader never sees half of one, read with errors that name the file and the reason."""

import codecs
import errno
import math
import os
import re
import stat
from collections.abc import Callable, Container, Mapping
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import zipfile

MOST_HEADER = 1 << 14  # bytes: NumPy refuses a longer one, but reads it first
BAND = 64  # rows
BITS_PER_SAMPLE, SAMPLE_FORMAT, SIGNED = 258, 339, 2  # tags of a TIFF, and what the second may be
LARGEST = 1 << 30  # bytes: no picture that Pillow opens has more, however it is stored

# What a picture may be, whatever its ending says; MPO is read as JPEG. Of all that Pillow knows some would start other
# programs, as PostScript does Ghostscript.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "AVIF", "JPEG2000", "TGA", "TIFF", "WEBP")

# By their endings: what is looked for in a folder, and what no other file may be called.
_NAMES = "avif bmp gif j2k jfif jp2 jpe jpeg jpg pbm pgm png pnm ppm tga tif tiff webp"
PICTURES = frozenset(f".{name}" for name in _NAMES.split())
ARCHIVES = (".tar", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
ARRAYS = (".npy", ".npz", ".safetensors")
_DATA = {"a picture": (*PICTURES, ".svg"), "arrays": ARRAYS, "an archive": ARCHIVES}
_BEGINNING = 4096  # bytes: compressed or not, numbers have among so many a zero or what is no UTF-8
_NETPBM = re.compile(rb"P[1-7Ff]\s")  # such pictures may be text throughout


def check_unpacked(size: int, packed: int) -> None:
    """Refuse what a few bytes claim to unpack to, a bomb or a lie.

    Raises
    ------
    ValueError
        If that is more than `LARGEST` and more than a hundred times what is packed.
    """
    if size > LARGEST and size > 100 * packed:
        raise ValueError(
            f"{packed:,} bytes unpack to {size:,}, which may fill the memory; "
            "if that is meant, save it without compression"
        )


def too_large(size: int) -> str:
    """Why a member of an archive is no picture."""
    return f"it would take {size:,} bytes; a picture has {LARGEST:,} at most"


def check_picture_size(size: int) -> None:
    """Refuse a member of an archive that claims to be larger than any picture, with a ValueError."""
    if size > LARGEST:
        raise ValueError(too_large(size))


def open_regular(path: str | os.PathLike[str]) -> IO[bytes]:
    """Open a file to read it. A pipe or a device would be waited for, perhaps for ever: an OSError."""
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError(errno.EINVAL, "it is no regular file", os.fspath(path))
    return open(path, "rb")


def open_member(archive: "zipfile.ZipFile", entry: "zipfile.ZipInfo") -> IO[bytes]:
    """A member of a zip, of which a read unpacks no more than it asks for.

    Raises
    ------
    ValueError
        If it is neither stored nor deflated: of the other methods zipfile unpacks in one go whatever there is.
    """
    import zipfile

    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        known = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "lzma"}
        name = known.get(entry.compress_type, f"method {entry.compress_type}")
        raise ValueError(f"it is compressed by {name}; accepted in a .zip or .npz: deflate, or no compression")
    return archive.open(entry)


def check_path(path: Any, name: str = "path") -> str:
    """`path` as a string, or an error that names the argument: an integer would be taken for an open file.

    Raises
    ------
    TypeError
        If it is neither a string nor a path.
    ValueError
        If it has a NUL character, which no file's name has.
    """
    try:
        given = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"{name} must be a string or a path, got {path!r}") from None
    if "\0" in given:
        raise ValueError(f"{name} is {given!r}, which has a NUL character; accepted: a path without")
    return given


class Result(NamedTuple):
    """A kind of file that is written: it may replace others of its kind, and text.

    Attributes
    ----------
    holds : str
        In words, what such a file holds.
    is_one : callable
        Whether the file of this name is one.
    ending : str
        Of pictures or arrays, which it may have all the same.
    """

    holds: str
    is_one: Callable[[str], bool]
    ending: str = ""


def is_text(path: str) -> bool:
    """Whether a file is UTF-8, and neither pictures nor arrays, as far as its beginning tells."""
    with open_regular(path) as file:
        beginning = file.read(_BEGINNING)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)  # which may end within a character
    except UnicodeDecodeError:
        return False
    return b"\0" not in beginning and not _NETPBM.match(beginning)


TEXT = Result("text", is_text)


def check_result(path: Any, name: str, kind: Result = TEXT) -> str:
    """`path` as that of a result, where neither pictures nor arrays are lost: the one place that decides.

    Raises
    ------
    TypeError, ValueError
        If it is no path, it or what it links to has the ending of data, or a file stands there that is neither text
        nor of this kind.
    """
    given = check_path(path, name)
    target = os.path.realpath(given)
    for file, told in ((given, given), (target, f"{given}, a link to {target}")):
        for what, endings in _DATA.items():
            if file.lower().endswith(endings) and not (kind.ending and file.lower().endswith(kind.ending)):
                raise ValueError(f"{name} is {told}, the name of {what}; accepted: another ending")
    if os.path.isfile(given) and not (is_text(given) or kind.is_one(given)):
        raise ValueError(f"{name} is {given}, which holds no {kind.holds}; accepted: a new file, or one that does")
    return given


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Write `data` under a temporary name beside `path`, then rename: the old file or the new one, nothing between.

    Only a regular file is replaced, a symbolic link's target in its place; a device or a pipe is written to. So a
    read-only file is replaced too, and another hard link to it keeps what was.

    Raises
    ------
    TypeError
        If `path` is none.
    OSError
        If that fails; it names `path`, and what stood there is untouched.
    """
    name = check_path(path)
    try:
        mode = _mode(name)
        if mode is None or stat.S_ISREG(mode):
            _replace(Path(os.path.realpath(name)), data)
        else:
            with open(name, "wb") as stream:
                stream.write(data)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), name) from None


def _mode(path: str) -> int | None:
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None


def temporary_name(target: Path) -> Path:
    """A name of its own in the same folder: for what becomes `target` once it is whole."""
    return target.with_name(f".ganchroma-{os.urandom(4).hex()}")


def _replace(target: Path, data: bytes) -> None:
    temporary = temporary_name(target)
    try:
        temporary.write_bytes(data)
        put_in_place(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def put_in_place(temporary: Path, target: Path) -> None:
    """Rename what is whole, with the permissions of the file that stood there."""
    if target.exists():
        temporary.chmod(stat.S_IMODE(target.stat().st_mode))
    os.replace(temporary, target)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """`write_bytes` of UTF-8 text, over other text alone; what UTF-8 has not, as in file names, becomes an escape."""
    write_bytes(check_result(path, "path"), text.encode(errors="backslashreplace"))


def csv_field(text: str) -> str:
    """`csv.writer` of Python 3.11 lets a carriage return through, which ends a row."""
    return '"' + text.replace('"', '""') + '"' if any(sign in text for sign in '",\r\n') else text


def printable(name: str) -> str:
    """A file's name with escapes for what can't be encoded, and for what would do something to a terminal."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in name)


def read_picture(path: str | os.PathLike[str], stream: IO[bytes] | None = None) -> NDArray[np.uint8]:
    """An image file as (H, W, 3) uint8: what a viewer with a white background shows of its first frame.

    Transparency is laid over white, palettes are looked up, gray of 12 and 16 bits is rounded to 8. Of a colour with 16
    bits a channel the upper 8 are taken. With `stream` the bytes come from there, and `path` is its name.

    Raises
    ------
    ImportError
        If Pillow is missing.
    ValueError
        If the file can't be read; the message names the file and the reason.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise ImportError('reading image files needs Pillow: pip install "ganchroma[report]"') from error
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]  # not every Pillow has all
    try:
        # Never by its path: Pillow may map it into memory, and a file that shrinks would end the process.
        with (
            open_regular(path) if stream is None else nullcontext(stream) as file,
            Image.open(file, formats=formats) as image,
        ):
            stored = image.tile[0][3] if image.format == "PNG" else None
            image.load()
            _check_numbers(image)
            if image.mode == "RGB" and not image.has_transparency_data:
                return np.asarray(image)
            if image.mode.startswith("I"):
                return _read_gray(image)
            if image.has_transparency_data:
                _mend_transparency(image, stored)
                white = Image.new("RGBA", image.size, "white")
                white.alpha_composite(image.convert("RGBA"))
                return np.asarray(white.convert("RGB"))
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except UnidentifiedImageError:
        raise ValueError(f"{path}: not a picture of a kind that is opened: {', '.join(formats)}") from None
    except Exception as error:  # decoders raise whatever their format's code happens to meet
        raise ValueError(f"{path}: {reason_of(error)}") from error


def _check_numbers(image: Any) -> None:
    """Refuse numbers of which nothing says which is white."""
    signed = SIGNED in getattr(image, "tag_v2", {}).get(SAMPLE_FORMAT, ())
    if image.mode == "F" or (image.mode == "L" and signed):
        kind = "signed" if signed else "float"
        raise ValueError(f"{kind} pixels have no stated range; save them as .npy and state the range")
    if image.mode == "I" and image.format == "TIFF":  # 32 bits, or a sign; of other formats it is 16-bit gray
        low, high = image.getextrema()
        raise ValueError(
            f"its values go from {low} to {high}, and integers of 32 bits or with a sign have no stated range; "
            "accepted: 16 bits without, 0 to 65535; save them as .npy and state the range"
        )


def _mend_transparency(image: Any, stored: Any) -> None:
    """PNG has its transparent colour as pixels are stored; Pillow compares it with what they become, 8 bits each."""
    if stored == "RGB;16B":
        raise ValueError("its transparent colour has 16 bits a channel, and 8 are read; save it with an alpha channel")
    if stored in ("L;2", "L;4"):
        image.info["transparency"] *= 255 // ((1 << int(stored[2:])) - 1)


def _read_gray(image: Any) -> NDArray[np.uint8]:
    """16-bit gray in bands of rows: several arrays of all pixels take gigabytes."""
    bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))[0]
    most = (1 << bits) - 1  # Pillow opens a TIFF of 12 bits as it does one of 16, the numbers as they are
    transparent = image.info.get("transparency", -1)  # such pixels are white
    pixels = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, BAND):
        band = np.asarray(image.crop((0, top, image.width, min(top + BAND, image.height))))
        levels = (band.astype(np.uint32) * 255 + most // 2) // most  # rounded
        levels[band == transparent] = 255
        pixels[top : top + BAND] = levels.astype(np.uint8)[..., np.newaxis].repeat(3, axis=-1)
    return pixels


def read_arrays(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """The arrays of a .npy (under the name ""), .npz or .safetensors file. Nothing is ever unpickled.

    Raises
    ------
    ImportError
        If safetensors is missing for such a file.
    ValueError
        If the file can't be read; the message names the file and the reason.
    """
    kind = Path(path).suffix.lower()
    if kind in (".pt", ".pth", ".ckpt", ".bin", ".pkl"):
        raise ValueError(
            f"{path}: pickled files are not opened, they can run code; save the arrays with numpy.savez "
            "or safetensors.torch.save_file"
        )
    if kind not in ARRAYS:
        raise ValueError(f"{path}: accepted are .npy, .npz and .safetensors")
    try:
        with open_regular(path) as stream:
            if kind == ".safetensors":
                return _read_safetensors(stream)
            return read_npz(stream) if kind == ".npz" else {"": read_npy(stream, os.fstat(stream.fileno()).st_size)}
    except ImportError:
        raise
    except MemoryError:
        raise MemoryError(f"{path}: not enough memory for what it holds") from None
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except Exception as error:  # a truncated file can fail anywhere in zip, header or data
        raise ValueError(f"{path}: {reason_of(error)}") from error


def npz_bytes(arrays: Mapping[str, Any]) -> bytes:
    """What an .npz file of these arrays holds: the same bytes for the same arrays."""
    buffer = BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def read_npz(stream: IO[bytes], names: Container[str] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an open .npz file, or those with these names; whatever else the archive holds is left out.

    Raises
    ------
    ValueError
        If it is damaged, or claims to unpack to more than any memory, or an array's header asks for more than its part
        of the file holds.
    """
    import zipfile  # with all that it can decompress: more than a tenth of what `import ganchroma` takes

    if not zipfile.is_zipfile(stream):
        raise ValueError("it is no complete .npz file")
    arrays, unpacked, packed = {}, 0, stream.seek(0, os.SEEK_END)
    with zipfile.ZipFile(stream) as archive:
        for entry in archive.infolist():
            if not entry.filename.endswith(".npy"):
                continue
            name = entry.filename.removesuffix(".npy")
            unpacked += entry.file_size
            try:
                check_unpacked(unpacked, packed)
                with open_member(archive, entry) as part:
                    if names is None or name in names:
                        arrays[name] = read_npy(part, entry.file_size)
                    else:
                        read_npy_header(part, entry.file_size)  # it has to be an array all the same
            except ValueError as error:
                raise ValueError(f"array {name!r}: {error}") from None
    return arrays


def read_npy(stream: IO[bytes], size: int) -> NDArray[Any]:
    """The array of an open .npy file of `size` bytes. Raises a ValueError if it is damaged."""
    read_npy_header(stream, size)
    stream.seek(0)
    array: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
    return array


def read_npy_header(stream: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """(shape, whether in Fortran's order, dtype) of a .npy file of `size` bytes, believed only as far as it goes.

    The stream is left where the numbers begin.
    """
    stream.seek(0)
    head = BytesIO(stream.read(MOST_HEADER))
    first, later = np.lib.format.read_array_header_1_0, np.lib.format.read_array_header_2_0
    try:
        shape, fortran, dtype = (first if np.lib.format.read_magic(head) == (1, 0) else later)(head)
    except Exception:  # all of it is in memory: what fails is parsing, with errors of Python's tokenizer, parser, NumPy
        raise ValueError("it does not begin as a .npy file does") from None
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are not opened, they can run code; save arrays of numbers")
    if dtype.itemsize == 0:
        raise ValueError(f"it holds items of no bytes, {dtype}")
    held, wanted = size - head.tell(), math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or wanted > held:
        raise ValueError(f"it is cut off or damaged: an array of shape {shape} needs {wanted} bytes, {held} follow")
    stream.seek(head.tell())
    return tuple(shape), fortran, dtype


def _read_safetensors(stream: IO[bytes]) -> dict[str, NDArray[Any]]:
    try:
        from safetensors import SafetensorError
        from safetensors import numpy as safetensors
    except ImportError as error:
        raise ImportError('reading .safetensors needs safetensors: pip install "ganchroma[report]"') from error
    try:
        return dict(safetensors.load(stream.read()))
    except (TypeError, AttributeError, KeyError, SafetensorError) as error:
        lacking = re.search(r"(?<!`)\b(BF16|F\d)", str(error))  # `F8` is what might have been written
        if lacking is None:
            raise
        kind = lacking[0].replace("F", "float").lower()
        raise ValueError(
            f"it holds {kind}, which NumPy has not; save it as float32: tensor.float() before save_file"
        ) from None


def reason_of(error: BaseException) -> str:
    """What went wrong, without the name of the file."""
    if isinstance(error, MemoryError):
        return "not enough memory"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).strip() or type(error).__name__
