"""The kernel tests under sanitizers: `python tools/sanitize.py [address] [thread]`.

address  AddressSanitizer and UndefinedBehaviorSanitizer: no byte outside an array, no overflow, no misaligned access
thread   ThreadSanitizer: no two threads at one place without order

For each, the kernels are compiled into a `_kernels` module of its own, in a temporary folder, and all of tests/csrc
runs on it (these tests need no TensorFlow, whose own code would be watched too); then the C++ tests of csrc/tests.
The first finding ends the run. Exit status 3: the compiler has no sanitizers. EXTRA pytest arguments: after `--`.
"""

import concurrent.futures
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
# Of UndefinedBehaviorSanitizer what AddressSanitizer does not see anyway: the other checks (null, object-size, ...)
# double the time of compiling.
UNDEFINED = "signed-integer-overflow,shift,integer-divide-by-zero,float-cast-overflow,bounds,alignment,bool,enum,"
UNDEFINED += "nonnull-attribute,return,unreachable"


class Sanitizer(NamedTuple):
    """How to compile for one sanitizer, the library that must be loaded before Python, and the tests that say most."""

    flags: tuple[str, ...]
    library: str
    tests: tuple[str, ...]


SANITIZERS = {
    # Checks that are calls instead of instructions take two thirds of the time to compile.
    "address": Sanitizer(
        (f"-fsanitize=address,{UNDEFINED}", "--param=asan-instrumentation-with-call-threshold=0"), "libasan.so", ()
    ),
    # How work is shared out does not depend on the instruction set.
    "thread": Sanitizer(
        ("-fsanitize=thread", "-DKERASCNN_BASELINE_ONLY"), "libtsan.so", ("-k", "threads or properties")
    ),
}
FLAGS = ["-std=c++17", "-O1", "-g1", "-fno-omit-frame-pointer", "-fPIC", "-pthread", "-Icsrc", "-w"]
FLAGS += ["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fno-sanitize-recover=all"]


def cxx() -> str:
    """The compiler."""
    return os.environ.get("CXX") or "g++"


def runtime(library: str) -> Path | None:
    """The sanitizer's shared library, which must be loaded before Python; None where there is none."""
    done = subprocess.run([cxx(), f"-print-file-name={library}"], capture_output=True, text=True, check=False)
    path = Path(done.stdout.strip())
    return path.resolve() if path.is_absolute() and path.exists() else None


def sources(pattern: str) -> list[Path]:
    """Sources under csrc/, in a fixed order."""
    return sorted(path.relative_to(ROOT) for path in ROOT.glob(f"csrc/{pattern}"))


def cost(source: Path) -> int:
    """Roughly what compiling takes: the bytes of all files of its op's name."""
    return sum(path.stat().st_size for path in ROOT.glob(f"{source.parent}/{source.stem.split('_')[0]}*"))


def build(folder: Path, flags: tuple[str, ...]) -> Path:
    """The package with a sanitized `_kernels` in `folder`/package, and the C++ tests; their path."""
    import pybind11

    includes = [f"-isystem{path}" for path in (pybind11.get_include(), sysconfig.get_paths()["include"])]
    kernels, tests = sources("kernels/*.cc"), sources("tests/*.cc")
    module = [path for path in sources("python/*.cc") if path.stem != "cuda_on_cpu"]
    objects = {source: str(folder / f"{source.parent.name}_{source.stem}.o") for source in kernels + module + tests}

    def compile_one(source: Path) -> None:
        more = ["-fvisibility=hidden", *includes] if source in module else []
        command = [cxx(), *FLAGS, *flags, *more, "-c", str(source), "-o", objects[source]]
        subprocess.run(command, cwd=ROOT, check=True)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:  # what takes longest first
        list(pool.map(compile_one, [*sorted(kernels, key=cost, reverse=True), *module, *tests]))

    def link(output: Path, *groups: list[Path]) -> None:
        shared = ["-shared"] if output.suffix == ".so" else []
        found = [objects[source] for group in groups for source in group]
        subprocess.run([cxx(), *flags, "-pthread", *shared, *found, "-o", str(output)], check=True)

    package = folder / "package" / "kerascnn"
    shutil.copytree(ROOT / "kerascnn", package, ignore=shutil.ignore_patterns("*.so", "__pycache__", "_bin"))
    link(package / f"_kernels{sysconfig.get_config_var('EXT_SUFFIX')}", kernels, module)
    link(folder / "kernels_test", kernels, tests)
    return folder / "kernels_test"


def run(name: str, arguments: list[str]) -> None:
    """Builds and tests under one sanitizer."""
    sanitizer, start = SANITIZERS[name], time.monotonic()
    preload = runtime(sanitizer.library)
    if preload is None:
        print(f"sanitize: not run, because {cxx()} has no {sanitizer.library}", file=sys.stderr)
        sys.exit(3)
    with tempfile.TemporaryDirectory(prefix="kerascnn-sanitize-") as temporary:
        folder = Path(temporary)
        program = build(folder, sanitizer.flags)
        print(f"sanitize: {name}: compiled in {time.monotonic() - start:.0f} s", flush=True)
        environment = dict(os.environ)
        # Python itself never frees what it holds at exit, and its arenas hide nothing from the sanitizer this way.
        environment["ASAN_OPTIONS"] = "detect_leaks=0:allocator_may_return_null=1:abort_on_error=0"
        environment["UBSAN_OPTIONS"] = "print_stacktrace=1"
        environment["TSAN_OPTIONS"] = "halt_on_error=1:exitcode=66"
        # Address space layout randomisation leaves too little room for ThreadSanitizer's shadow on newer kernels.
        fixed = ["setarch", platform.machine(), "-R"] if name == "thread" and shutil.which("setarch") else []
        subprocess.run([*fixed, str(program)], env=environment, check=True, cwd=folder)
        environment |= {"LD_PRELOAD": str(preload), "PYTHONMALLOC": "malloc", "PYTHONPATH": str(folder / "package")}
        # Where the module cannot be loaded, pytest would only skip its tests.
        subprocess.run([*fixed, sys.executable, "-c", "import kerascnn._kernels"], env=environment, check=True)
        command = [sys.executable, "-m", "pytest", "--noconftest", "-q", "--capture=sys", "-p", "no:cacheprovider"]
        command += ["-c", str(ROOT / "pyproject.toml"), str(ROOT / "tests" / "csrc"), *(arguments or sanitizer.tests)]
        subprocess.run([*fixed, *command], env=environment, check=True, cwd=folder)
    print(f"sanitize: {name}: clean, {time.monotonic() - start:.0f} s", flush=True)


def main() -> None:
    """Runs what the command line names; both without names."""
    words = sys.argv[1:]
    arguments = words[words.index("--") + 1 :] if "--" in words else []
    names = words[: words.index("--")] if "--" in words else words
    if unknown := set(names) - set(SANITIZERS):
        sys.exit(f"sanitizers are {', '.join(SANITIZERS)}. Received: {', '.join(sorted(unknown))}")
    for name in names or SANITIZERS:
        try:
            run(name, arguments)
        except subprocess.CalledProcessError as error:
            sys.exit(f"sanitize: {name}: failed with status {error.returncode}")


if __name__ == "__main__":
    main()
