"""The structure of the code, as rules. A reader learns the architecture from the two tables below.

A new module fails here until it has a place in a table; that is the moment to think about where it belongs.
"""

import ast
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
from support import CSRC, ROOT, compile_all, need_tool, repository_files, run_python

# C: a folder may include itself and what stands to its left. One file each for OpenMP and for allocation.
C_LAYERS = ["common.h", "kernels", "cpu", "core", "python"]

# Python: a module may import its own row and the rows above it.
PYTHON_LAYERS = [
    ["_core"],
    ["_arrays", "_figures", "_files", "_progress", "runtime"],
    [
        *("activation", "_geometry", "conv", "conv_backward", "layer"),
        *("_initialize", "_torch_stream", "rng", "_truncated", "_structured", "init"),
        *("_gains", "_operator_norm", "_response_plot", "frequency", "spectral"),
        *("_images", "moments", "color", "_sums", "_sampling", "_level_records", "_state_checks", "summary", "stats"),
        "stages",
    ],
    [
        *("_patches", "feature_moments", "_gauss", "prediction", "calibration"),
        *("_factor_sample", "_factor_levels", "_factor_analysis", "_factor_plot", "factorial"),
    ],
    ["diagnosis"],
    ["demo"],
    ["scanning", "distributed", "torch"],
    ["cli"],
]
# Inside diagnosis/ data flows one way: evidence -> trace -> causes -> findings -> what people see.
DIAGNOSIS_LAYERS = [
    ["thresholds", "display", "evidence", "learning"],
    ["trace"],
    ["signs", "suspicion"],
    ["network_causes", "range_causes", "display_causes", "causes"],
    ["engine", "what_if"],
    ["words", "pictures", "plots", "page", "report"],
]

# Inside scanning/ too: files and places -> pictures -> measures -> who measures them -> what is kept and said of it.
SCANNING_LAYERS = [
    ["tars"],
    ["containers"],
    ["places", "reading"],
    ["measuring"],
    ["engines", "checkpoint", "records", "page", "result"],
    ["work"],
    ["local"],
]

# Where packages that are not always installed may be imported at all.
ONLY_IN = {
    "torch": "ganchroma/torch/",
    "torchmetrics": "ganchroma/torch/metric.py",
    "sklearn": "ganchroma/torch/experiments/photographs.py",
    "pyarrow": "ganchroma/scanning/records.py",
    "dask": "ganchroma/distributed.py",
    "distributed": "ganchroma/distributed.py",
}

# What a plain `import ganchroma` must not load: slow, or not always there.
NOT_AT_IMPORT = ["torch", "dask", "matplotlib", "PIL", "tqdm", "skimage", "safetensors", "scipy", "multiprocessing"]
# Half of what the import takes, where they are loaded on first use.
NOT_AT_IMPORT += ["numpy.random", "zipfile", "secrets"]

C_FILES = sorted(path for path in CSRC.rglob("*") if path.suffix in (".c", ".h"))
PYTHON_FILES = sorted((ROOT / "ganchroma").rglob("*.py"))


def name(path):
    return path.relative_to(ROOT).as_posix()


def lines_matching(pattern, paths):
    found = []
    for path in paths:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            if re.search(pattern, line):
                found.append(f"{name(path)}:{number}: {line.strip()}")
    return found


def test_the_tables_cover_real_files():
    assert len(C_FILES) > 20
    assert len(PYTHON_FILES) >= 4


# -- C ------------------------------------------------------------------------------------------------------------


def c_layer(path):
    return C_LAYERS.index(Path(path).parts[0])


def test_c_includes_point_down():
    wrong = []
    for path in C_FILES:
        own = path.relative_to(CSRC)
        for included in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.MULTILINE):
            assert (CSRC / included).is_file(), f"{own} includes {included}: write paths from csrc/"
            if c_layer(included) > c_layer(own):
                wrong.append(f"{own} includes {included}")
    assert not wrong


def test_python_is_known_only_to_the_binding():
    outside = [path for path in C_FILES if "python" not in path.relative_to(CSRC).parts]
    assert lines_matching(r"Python\.h|numpy/|\bPy[A-Z_]\w*\(", outside) == []


def test_openmp_is_known_only_to_parallel_h():
    outside = [path for path in C_FILES if path != CSRC / "core/parallel.h"]
    assert lines_matching(r"\bomp\b|\bomp_|\b_OPENMP\b", outside) == []
    # The OpenMP runtime may be shared with other libraries: changing its settings changes theirs.
    assert lines_matching(r"\bomp_set_\w+\s*\(", C_FILES) == []


def test_intrinsics_are_known_only_to_the_vocabularies():
    outside = [path for path in C_FILES if "simd" not in path.parts]
    x86 = r"\b_mm\d*_\w+|\b__m(128|256|512|mask)"
    arm = r"\bv[a-z]+\d*q(_\w+)?_[fsu](8|16|32|64)\b|\b(float|u?int)\d+x\d+_t\b"
    assert lines_matching(f"{x86}|{arm}", outside) == []


def test_memory_comes_from_one_allocator():
    below_python = [path for path in C_FILES if c_layer(path.relative_to(CSRC)) < C_LAYERS.index("python")]
    pattern = r"\b(m|c|re|aligned_)alloc\s*\(|\bposix_memalign\b|\balloca\b|\bfree\s*\("
    assert lines_matching(pattern, [path for path in below_python if path != CSRC / "core/memory.c"]) == []
    kernels = [path for path in below_python if "kernels" in path.parts]
    assert lines_matching(r"\bgch_(alloc|free)\b|\bgch_status\b|\bpthread_", kernels) == []


def test_vocabularies_have_the_same_words():
    function = re.compile(r"^(?:GCH_INLINE|static) .*?\b((?:f32|f64|u8|i32|u32|u64)_\w+)\(", re.MULTILINE)
    constant = re.compile(r"^#\s*define ((?:F32|F64|U32|GCH)_(?!SIMD)\w+)", re.MULTILINE)
    words = {}
    for path in (CSRC / "kernels/simd").glob("*.h"):
        text = path.read_text()
        words[path.stem] = {*function.findall(text), *constant.findall(text)}
    assert set(words) == {"scalar", "avx2", "avx512", "neon"}
    assert len(words["scalar"]) > 40
    for isa, own in words.items():
        assert own == words["scalar"], f"simd/{isa}.h"


def test_only_the_module_is_exported():
    nm = need_tool("nm")
    library = sys.modules["ganchroma._core"].__file__
    listing = subprocess.run([nm, "-D", "--defined-only", library], capture_output=True, text=True, check=True).stdout
    exported = {line.split()[-1] for line in listing.splitlines()} - {"_init", "_fini"}
    assert exported == {"PyInit__core"}


@pytest.mark.slow  # it compiles everything
@pytest.mark.timeout(600)
def test_global_c_names_have_the_prefix(tmp_path):
    nm, compiler = need_tool("nm"), need_tool("cc")
    objects = compile_all(compiler, [path for path in C_FILES if path.suffix == ".c"], tmp_path, "-O0")
    listing = subprocess.run([nm, "--defined-only", "-g", *objects], capture_output=True, text=True, check=True).stdout
    names = {line.split()[-1] for line in listing.splitlines() if len(line.split()) == 3}
    assert "gch_isa_scalar" in names
    assert sorted(n for n in names if not n.startswith("gch_")) == ["PyInit__core"]


# -- Python -------------------------------------------------------------------------------------------------------


def imports(path):
    """(absolute dotted name, line) of everything that a file imports, wherever it does so."""
    package = path.relative_to(ROOT).with_suffix("").parts
    package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{source}.{alias.name}", node.lineno


def row(layers, module):
    for index, modules in enumerate(layers):
        if module in modules:
            return index
    raise AssertionError(f"{module} has no place in the tables of {Path(__file__).name}: decide where it belongs")


def upward(files, prefix, layers):
    """Imports that go from a row to one below it."""
    wrong = []
    for path in files:
        own = path.relative_to(ROOT / prefix.replace(".", "/")).with_suffix("").parts[0]
        if own == "__init__":
            continue
        for imported, line in imports(path):
            if not imported.startswith(prefix + "."):
                continue
            target = imported[len(prefix) + 1 :].split(".")[0]
            if target == "__version__":
                continue
            if row(layers, target) > row(layers, own):
                wrong.append(f"{name(path)}:{line} imports {imported}")
    return wrong


def test_python_imports_point_down():
    assert upward(PYTHON_FILES, "ganchroma", PYTHON_LAYERS) == []


def test_diagnosis_flows_one_way():
    files = [path for path in PYTHON_FILES if "diagnosis" in path.parts]
    assert upward(files, "ganchroma.diagnosis", DIAGNOSIS_LAYERS) == []


def test_scanning_flows_one_way():
    files = [path for path in PYTHON_FILES if "scanning" in path.parts]
    assert upward(files, "ganchroma.scanning", SCANNING_LAYERS) == []


def test_optional_packages_stay_where_they_belong():
    wrong = []
    for path in PYTHON_FILES:
        for imported, line in imports(path):
            home = ONLY_IN.get(imported.split(".")[0])
            if home is not None and not name(path).startswith(home):
                wrong.append(f"{name(path)}:{line} imports {imported}")
    assert not wrong


def test_import_is_light():
    listing = run_python("import sys, ganchroma; print(*sys.modules)")
    assert listing.returncode == 0, listing.stderr
    loaded = set(listing.stdout.split())
    assert "numpy" in loaded
    assert sorted(loaded & set(NOT_AT_IMPORT)) == []


def test_import_leaves_subnormals_alone():
    # A library linked with -ffast-math turns them off for the whole process.
    result = run_python("import sys, ganchroma; print(sys.float_info.min * 0.5 > 0)")
    assert result.stdout.strip() == "True", result.stderr


def test_public_names_exist_and_are_documented():
    import ganchroma

    for public in ganchroma.__all__:
        value = getattr(ganchroma, public)
        assert public.startswith("__") or value.__doc__, public
        if isinstance(value, type | types.FunctionType):
            assert ">>> " in value.__doc__, f"{public} has no example"
            parts = {name: part for name, part in vars(value).items() if isinstance(part, property) and name[0] != "_"}
            undocumented = [name for name, part in parts.items() if not part.__doc__]
            assert undocumented == [], public


# -- files --------------------------------------------------------------------------------------------------------


def test_files_stay_short():
    long = {}
    for path in repository_files():
        if path.suffix in (".c", ".h", ".py", ".pyi"):
            count = len(path.read_text().splitlines())
            if count > (120 if path == ROOT / "setup.py" else 500):
                long[name(path)] = count
    assert long == {}


def test_texts_name_no_place_on_somebodys_machine():
    texts = [path for path in repository_files() if path.suffix not in (".png", ".npz", ".npy", ".jpg", ".seed")]
    assert len(texts) > 30
    assert lines_matching(r"(?<![\w.~$}])/(work|tmp|root|home|opt|mnt|Users)/", texts) == []


@pytest.mark.parametrize("path", PYTHON_FILES, ids=name)
def test_nothing_is_swallowed(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ExceptHandler):
            caught = getattr(node.type, "id", None) if node.type else "BaseException"
            broad = caught in ("Exception", "BaseException")
            silent = all(isinstance(statement, ast.Pass) for statement in node.body)
            assert not (broad and silent), f"{name(path)}:{node.lineno} hides every error"
