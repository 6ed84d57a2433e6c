# `make demo` and `make test` do all of their own set-up: they need Python >= 3.11, a C compiler and make.
# The package is installed in .venv, editable: Python changes count at once, changes in csrc/ at the next make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install -qq --no-warn-script-location
PYTEST := PYTHONFAULTHANDLER=1 $(BIN)/pytest
# As many tests at a time as there are processors: threads that have nothing to do must not spin.
PASSIVE := OMP_WAIT_POLICY=passive OPENBLAS_NUM_THREADS=1
TOGETHER := -n auto --dist loadscope
PYTEST_TOGETHER := $(PASSIVE) $(PYTEST) $(TOGETHER)
SUBMAKE := @+$(MAKE) --no-print-directory
JOBS := $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
C_SOURCES := $(shell find csrc -name '*.c' -o -name '*.h')
C_TIDY = $(C_SOURCES) $(wildcard tests/c/*.[ch] tests/fuzz/*.[ch] benchmarks/*.c)

.PHONY: help demo test test-slow test-c check-all lint format bench perf-check perf-record asan ubsan tsan emulated faults valgrind coverage \
    reliability fuzz fuzzers bad-inputs notebooks parity check-prediction operator-norm claims confusion scale wheel clean core c-checks check-wheel \
    serial leaks

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/extra-demo ## where did the colour go? the answer for an untrained generator, in ganchroma-demo/
	$(SUBMAKE) core
	$(BIN)/ganchroma demo

test: $(VENV)/extra-test ## everything a change must pass: C checks, Python tests, docstring examples
	$(SUBMAKE) core test-c
	$(PYTEST_TOGETHER) -m "not slow"

test-slow: $(VENV)/extra-test ## the tests that take longer
	$(SUBMAKE) core
	$(PYTEST) -m slow $(LEAKS:%=--ignore=%)

LEAKS := tests/test_leaks.py tests/parity/test_leaks_torch.py
leaks: $(VENV)/extra-test ## every function a thousand times, right and wrong: references, memory and files stay flat
	$(SUBMAKE) core
	$(PYTEST_TOGETHER) $(LEAKS)

check-all: ## everything that can be checked, one after the other: hours
	$(SUBMAKE) -j1 lint test test-slow leaks check-wheel serial emulated asan ubsan tsan faults valgrind coverage fuzz

lint: $(VENV)/extra-dev ## ruff, mypy, clang-format: report only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(C_TIDY)

format: $(VENV)/extra-dev ## put everything into the house style
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(C_TIDY)

bench: $(VENV)/extra-bench ## verify, then time: ours, every peer, share of what the machine can do; BENCH="--only 3x3", BENCH=--write
	$(SUBMAKE) core
	$(BIN)/python -m benchmarks $(BENCH)

perf-check: $(VENV)/extra-test ## fails where representative calls take 3 % more instructions than on record; needs valgrind
	$(SUBMAKE) core
	$(BIN)/python -m benchmarks.instructions

perf-record: $(VENV)/extra-test ## puts the instructions of this version on record
	$(SUBMAKE) core
	$(BIN)/python -m benchmarks.instructions --write

notebooks: $(VENV)/extra-test ## run the notebooks, as they stand: with what they show, in build/notebooks/
	$(SUBMAKE) core
	GANCHROMA_NOTEBOOKS=whole $(PYTEST) tests/test_notebooks.py
	@echo 'The notebooks with what they show:' build/notebooks/*.ipynb

parity: $(VENV)/extra-test ## every function beside its counterpart in PyTorch: writes docs/parity.md
	$(SUBMAKE) core
	$(BIN)/python docs/parity.py

check-prediction: $(VENV)/extra-test ## predicted and calibrated colours on images not used for either: writes docs/prediction.md
	$(SUBMAKE) core
	$(BIN)/python docs/prediction.py

operator-norm: $(VENV)/extra-test ## gains of a convolution beside the norm PyTorch divides by: writes docs/operator_norm.md
	$(SUBMAKE) core
	$(BIN)/python docs/operator_norm.py

claims: $(VENV)/extra-test ## what the article claims, measured and trained anew: writes docs/claims.md
	$(SUBMAKE) core
	$(BIN)/python docs/claims

confusion: $(VENV)/extra-test ## the diagnosis on labelled cases never seen: writes docs/confusion.md
	$(SUBMAKE) core
	$(BIN)/python tests/diagnosis/score.py --write

scale: $(VENV)/extra-test ## 20,000 pictures scanned in every way, beside decoding alone: writes docs/scale.md
	$(SUBMAKE) core
	PYTHONPATH=docs $(BIN)/python -m scale

reliability: $(VENV)/extra-dev ## counts all that is done to break it: hours, and goes on where it was interrupted; writes docs/reliability.md
	$(SUBMAKE) core
	$(BIN)/python docs/reliability.py

bad-inputs: $(VENV)/extra-test ## what every function says of every wrong argument: writes build/bad_inputs.md
	$(SUBMAKE) core
	$(BIN)/python -W ignore tests/test_bad_inputs.py build/bad_inputs.md

wheel: $(VENV)/extra-test ## source distribution and wheel, in dist/
	$(BIN)/python -m build --quiet

# What the tests need besides comes from .venv, through a .pth file; the package under test is the wheel's alone.
WHEEL := build/wheel
check-wheel: $(VENV)/extra-test ## what users install on Linux: source distribution -> repaired wheel -> tests where no checkout is
	@rm -rf $(WHEEL) && mkdir -p $(WHEEL)
	@echo 'Building the source distribution, and from it a wheel'
	@$(BIN)/python -m build --quiet --no-isolation --sdist --outdir $(WHEEL)
	@tar xzf $(WHEEL)/*.tar.gz -C $(WHEEL) && mv $(WHEEL)/ganchroma-*/ $(WHEEL)/clean
	@GANCHROMA_ABI3=1 GANCHROMA_CFLAGS=-g0 $(BIN)/python -m build --quiet --no-isolation --wheel --outdir $(WHEEL)/made $(WHEEL)/clean
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/auditwheel repair --wheel-dir $(WHEEL) $(WHEEL)/made/*.whl
	@cd $(WHEEL)/clean && rm -rf ganchroma ganchroma_program.py build *.egg-info
	@$(BIN)/python -m venv --without-pip $(WHEEL)/env
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >$(WHEEL)/needed.pth
	@mv $(WHEEL)/needed.pth $(WHEEL)/env/lib/python3*/site-packages
	@$(BIN)/python -m pip --python $(WHEEL)/env/bin/python install -qq --no-deps --no-index $(WHEEL)/*.whl
	@$(WHEEL)/env/bin/ganchroma info | grep 'ganchroma.libs/libgomp-'
	cd $(WHEEL)/clean && GANCHROMA_BUILD=$(abspath $(WHEEL)/env) $(PASSIVE) $(abspath $(WHEEL)/env/bin/python) -m pytest $(TOGETHER) \
	    @tests/installed.txt

serial: $(VENV)/extra-test ## built by a compiler without OpenMP: says so, and gives the same numbers
	@CC='sh tests/without_openmp.sh' $(BIN)/python setup.py --quiet build --build-base build/serial --build-lib build/serial/lib
	@PYTHONPATH=build/serial/lib $(BIN)/ganchroma info | grep 'one thread'
	GANCHROMA_BUILD=build/serial/lib PYTHONPATH=build/serial/lib $(PYTEST_TOGETHER) -p no:cacheprovider @tests/installed.txt

clean: ## remove what was built; .venv stays
	rm -rf build dist *.egg-info ganchroma/_core*.so .pytest_cache .mypy_cache .ruff_cache .hypothesis ganchroma-demo
	rm -f $(VENV)/ganchroma

# -- the virtual environment: a stamp for the package, one for each extra ------------------------------------------

$(VENV)/ganchroma: pyproject.toml setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo 'ganchroma needs Python >= 3.11;' \
	    '$(PYTHON) is $(or $(shell $(PYTHON) --version 2>&1),missing). Name another: make PYTHON=python3.12'; exit 1; }
	@test -x $(BIN)/python || { echo 'Making $(VENV)'; $(PYTHON) -m venv $(VENV); }
	@echo 'Building and installing ganchroma in $(VENV)'
	@$(PIP) 'setuptools>=77' 'numpy>=2'
	@$(PIP) --no-build-isolation --no-deps --editable .
	@mkdir -p build && touch build/core $@

# By name: the package itself is there already, so that this adds the extra's requirements and nothing else.
$(VENV)/extra-%: $(VENV)/ganchroma
	@echo 'Installing what "$*" needs in $(VENV) (once)'
	@$(PIP) 'ganchroma[$*]'
	@touch $@

core: build/core
	@:

build/core: setup.py $(C_SOURCES) | $(VENV)/ganchroma
	@echo 'Building the C core'
	@$(BIN)/python setup.py --quiet build_ext --inplace
	@mkdir -p build && touch $@

# -- the checks in plain C: every tests/c/test_*.c is a program of its own -----------------------------------------

C_BUILD ?= build/c
C_FLAGS ?= -O2 -g
C_OPENMP ?= $(shell echo 'int main(void) { return 0; }' | $(CC) -fopenmp -include omp.h -x c - -o /dev/null 2>/dev/null && echo -fopenmp)
C_ALL = -std=c11 -D_GNU_SOURCE -DGCH_FAULTS -ffp-contract=off -fno-math-errno -Wall -Wextra -Icsrc -MMD -pthread $(C_FLAGS) $(C_OPENMP)
C_OBJECTS := $(patsubst csrc/%.c,$(C_BUILD)/%.o,$(wildcard csrc/core/*.c csrc/cpu/*.c csrc/kernels/*.c))
C_CHECKS := $(patsubst tests/c/%.c,$(C_BUILD)/%,$(wildcard tests/c/test_*.c))

test-c: ## the checks in plain C alone
	$(SUBMAKE) -j$(JOBS) --output-sync=target c-checks

c-checks: $(C_CHECKS)
	@for check in $(C_CHECKS); do $(C_RUN) $$check || exit 1; done

$(C_BUILD)/libganchroma.a: $(C_OBJECTS)
	@rm -f $@ && $(AR) rcs $@ $^

$(C_BUILD)/%.o: csrc/%.c
	@mkdir -p $(@D)
	@$(CC) $(C_ALL) -c $< -o $@

$(C_BUILD)/test_%: tests/c/test_%.c $(C_BUILD)/libganchroma.a
	@$(CC) $(C_ALL) -Itests/c $< $(C_BUILD)/libganchroma.a -o $@ -lm

-include $(C_OBJECTS:.o=.d) $(C_CHECKS:=.d)

# Debian and Ubuntu: apt-get install qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross
need = @command -v $(1) >/dev/null || { echo 'make $@ needs $(1); Debian: apt-get install $(2)'; exit 1; }
# What the emulator lacks and would warn of: nothing that the core asks for.
HASWELL := Haswell,-pcid,-x2apic,-tsc-deadline,-hle,-invpcid,-rtm

emulated: ## the C checks on AArch64 (NEON), on an AVX2 processor and on one without AVX; needs qemu-user
	$(call need,aarch64-linux-gnu-gcc,gcc-aarch64-linux-gnu)
	$(call need,qemu-aarch64,qemu-user)
	$(call need,qemu-x86_64,qemu-user)
	@echo 'AArch64, NEON'
	$(SUBMAKE) test-c CC=aarch64-linux-gnu-gcc AR=aarch64-linux-gnu-ar C_BUILD=build/aarch64 C_FLAGS='-O2 -g1' \
	    C_RUN='OMP_WAIT_POLICY=passive CHECK_BEST=neon qemu-aarch64 -L /usr/aarch64-linux-gnu'
	@echo 'x86-64, Nehalem: without AVX'
	$(SUBMAKE) test-c C_RUN='OMP_WAIT_POLICY=passive CHECK_BEST=scalar qemu-x86_64 -cpu Nehalem'
	@echo 'x86-64, Haswell: AVX2'
	$(SUBMAKE) test-c C_RUN='OMP_WAIT_POLICY=passive CHECK_BEST=avx2 CHECK_GUARDS=readable qemu-x86_64 -cpu $(HASWELL)'

# -- sanitizers: a build of their own in build/, the installed one stays as it is -----------------------------------

SANITIZED = --ignore=tests/parity --ignore=tests/test_packaging.py --ignore=tests/test_compilers.py --ignore=tests/test_layering.py \
    --ignore=tests/test_notebooks.py --ignore=tests/test_benchmarks.py --ignore=tests/test_spills.py tests
# Kernels rolled up, and -g1, of which line numbers are enough: what a sanitizer adds to each step takes long to compile.
ASAN := -DGCH_FAULTS -DGCH_ROLLED -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1 -g1
UBSAN := -DGCH_ROLLED -fsanitize=undefined,float-cast-overflow -fno-sanitize-recover=undefined,float-cast-overflow -O1 -g1

define sanitize # name, flags, environment of pytest, what it runs
	$(SUBMAKE) test-c C_BUILD=build/$(1)/c C_FLAGS='$(2)'
	@GANCHROMA_CFLAGS='$(2)' $(BIN)/python setup.py --quiet build --build-base build/$(1) --build-lib build/$(1)/lib
	GANCHROMA_BUILD=build/$(1)/lib PYTHONPATH=build/$(1)/lib $(3) $(PYTEST_TOGETHER) -p no:cacheprovider --timeout=900 -m "not slow" \
	    $(or $(4),$(SANITIZED))
endef

asan: $(VENV)/extra-test ## wrong addresses and undefined behaviour, in the C checks (leaks too) and the Python tests
	$(call sanitize,asan,$(ASAN),ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)")

ubsan: $(VENV)/extra-test ## undefined behaviour alone: faster
	$(call sanitize,ubsan,$(UBSAN),)

faults: $(VENV)/extra-test ## each allocation failing in turn: of the core in a build of its own, and of Python in every function of the core
	@GANCHROMA_CFLAGS=-DGCH_FAULTS $(BIN)/python setup.py --quiet build --build-base build/faults --build-lib build/faults/lib
	GANCHROMA_BUILD=build/faults/lib PYTHONPATH=build/faults/lib $(PYTEST) -p no:cacheprovider tests/test_memory.py

# The kernels are left out: each pixel would count the lines that it passes. So are the tests of what does not call C
# itself. What a child of a fork passes is not counted, and where one instruction set alone goes, by its machine only.
COVERAGE := -DGCH_FAULTS --coverage -fprofile-update=atomic -fprofile-exclude-files=csrc/kernels/ -O1
COVERED := $(wildcard $(patsubst %,tests/test_%.py,activation bad_inputs color conv* frequency hostile_arrays layer memory moments \
    operator_norm rng runtime spectral stats* torch_stream))
GCOVR = $(BIN)/gcovr --add-tracefile build/coverage/lines.json

coverage: $(VENV)/extra-dev ## lines and branches of C that tests pass: below 95 % of the lines of the core or of the binding it fails; needs GCC
	@mkdir -p build/coverage && find build/coverage -name '*.gcda' -delete
	$(call sanitize,coverage,$(COVERAGE),,$(COVERED))
	@$(BIN)/gcovr --root . --filter csrc/ --json build/coverage/lines.json build/coverage
	@$(GCOVR) --txt - --json-summary build/coverage/summary.json
	@$(GCOVR) --txt-metric branch
	@for part in core python; do $(GCOVR) --filter csrc/$$part/ --fail-under-line 95 >/dev/null || exit 1; done

valgrind: $(VENV)/extra-test ## memory errors and leaks with frames of ours, on AVX2: valgrind hides AVX-512
	$(call need,valgrind,valgrind)
	$(SUBMAKE) core
	$(SUBMAKE) test-c C_RUN='OMP_WAIT_POLICY=passive valgrind --quiet --error-exitcode=1'
	@echo 'Every function from Python (minutes)'
	@$(PASSIVE) PYTHONMALLOC=malloc PYTHONPATH=. valgrind --quiet --leak-check=full \
	    --num-callers=30 --error-limit=no --xml=yes --xml-file=build/valgrind.xml $(BIN)/python tests/valgrind.py
	@$(BIN)/python tests/valgrind.py build/valgrind.xml

# What is found lies in build/fuzz; inputs that are worth keeping go into tests/fuzz/corpus.
FUZZERS := $(patsubst tests/fuzz/%.c,build/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
SECONDS := 60
LIMITS = -max_total_time=$(SECONDS) -timeout=20 -max_len=4096 -print_final_stats=1 -verbosity=0 \
    -artifact_prefix=build/fuzz/$(1)- build/fuzz/found/$(1) tests/fuzz/corpus/$(1)
fuzz: $(VENV)/extra-fuzz ## what nobody would write: into the core with libFuzzer, SECONDS=60 a target; from Python with Atheris, Hypothesis
	$(call need,clang,clang)
	$(SUBMAKE) fuzzers CC=clang C_OPENMP= C_BUILD=build/fuzz C_FLAGS='$(UBSAN:undefined,float-cast-overflow=address,undefined,float-cast-overflow) -fsanitize=fuzzer-no-link'
	@for name in $(notdir $(FUZZERS)); do echo "$$name"; mkdir -p build/fuzz/found/$$name tests/fuzz/corpus/$$name; \
	    build/fuzz/$$name -print_funcs=0 $(call LIMITS,$$name) || exit 1; done
	$(SUBMAKE) core
	@echo fuzz_files; mkdir -p build/fuzz/found/fuzz_files
	@$(BIN)/python -W ignore tests/fuzz/fuzz_files.py $(call LIMITS,fuzz_files)
	GANCHROMA_EXAMPLES=$$((20 * $(SECONDS))) $(PYTEST) --timeout=0 \
	    tests/test_hostile_arrays.py tests/parity/test_hostile_tensors_torch.py

fuzzers: $(FUZZERS)

build/fuzz/fuzz_%: tests/fuzz/fuzz_%.c build/fuzz/libganchroma.a
	@$(CC) $(C_ALL) -fsanitize=fuzzer -Itests/fuzz $< build/fuzz/libganchroma.a -o $@ -lm

# With GCC's OpenMP the sanitizer sees races that are none; Clang's tells it about its barriers through Archer. Where
# that library is missing, the checks run without OpenMP: their own threads still meet in the core. What happens inside
# the OpenMP runtime, which was not compiled for the sanitizer, is left out, as Archer asks for.
CLANG_OPENMP := echo 'int main(void) { return 0; }' | clang -fopenmp -include omp.h -x c - -o /dev/null 2>/dev/null
tsan: ## data races, in the C checks, with Clang
	$(call need,clang,clang)
	@$(CLANG_OPENMP) || echo 'Clang finds no OpenMP, the checks run without; Debian: apt-get install libomp-dev'
	$(SUBMAKE) test-c CC=clang C_BUILD=build/tsan/c C_FLAGS='-DGCH_ROLLED -fsanitize=thread -O1 -g1' \
	    C_OPENMP="$$($(CLANG_OPENMP) && echo -fopenmp)" OMP_TOOL_LIBRARIES=libarcher.so \
	    TSAN_OPTIONS=ignore_noninstrumented_modules=1
