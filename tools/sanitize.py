"""The kernel tests under sanitizers: `python tools/sanitize.py [address] [thread] [cuda]`.

address  AddressSanitizer and UndefinedBehaviorSanitizer: no byte outside an array, no overflow, no misaligned access
thread   ThreadSanitizer: no two threads at one place without order
cuda     as address, the CUDA kernels, which the tests run on the CPU

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


# Checks that are calls instead of instructions take two thirds of the time to compile.
ADDRESS = (f"-fsanitize=address,{UNDEFINED}", "--param=asan-instrumentation-with-call-threshold=0")
SANITIZERS = {
    # The C++ tests run at every level of instruction sets, so those of Python need not.
    "address": Sanitizer(ADDRESS, "libasan.so", ("-k", "not level and not instruction_set")),
    # How work is shared out does not depend on the instruction set.
    "thread": Sanitizer(
        ("-fsanitize=thread", "-DKERASCNN_BASELINE_ONLY"), "libtsan.so", ("-k", "threads or properties")
    ),
    "cuda": Sanitizer((*ADDRESS, "-DKERASCNN_CUDA=1", "-DKERASCNN_CUDA_ON_CPU=1"), "libasan.so", ("-k", "test_cuda")),
}
FLAGS = ["-std=c++17", "-O1", "-g1", "-fno-omit-frame-pointer", "-fPIC", "-pthread", "-Icsrc"]
FLAGS += ["-Wall", "-Wextra", "-Werror", "-Wno-maybe-uninitialized", "-Wno-uninitialized"]
FLAGS += ["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fno-sanitize-recover=all"]


def cxx() -> str:
    """The compiler."""
    return os.environ.get("CXX") or "g++"


def runtime(library: str) -> Path | None:
    """A shared library of the compiler's; None where there is none."""
    if not shutil.which(cxx()):
        return None
    done = subprocess.run([cxx(), f"-print-file-name={library}"], capture_output=True, text=True, check=False)
    path = Path(done.stdout.strip())
    return path.resolve() if path.is_absolute() and path.exists() else None


def sources(pattern: str) -> list[Path]:
    """Sources under csrc/, in a fixed order."""
    return sorted(path.relative_to(ROOT) for path in ROOT.glob(f"csrc/{pattern}"))


def cost(source: Path) -> int:
    """Roughly what compiling takes: the bytes of all files of its op's name."""
    return sum(path.stat().st_size for path in ROOT.glob(f"{source.parent}/{source.stem.split('_')[0]}*"))


def build(folder: Path, name: str) -> Path | None:
    """The package with sanitized modules in `folder`/package, and the C++ tests, if they are to be run; their path.

    For "cuda", what the CPU's kernels compute is only compared with: they are not sanitized.
    """
    import pybind11

    flags, cuda = SANITIZERS[name].flags, name == "cuda"
    includes = [f"-isystem{path}" for path in (pybind11.get_include(), sysconfig.get_paths()["include"])]
    for_module, jobs = ("-fvisibility=hidden", *includes), []

    def add(paths: list[Path], *more: str) -> list[str]:
        """Object files that are yet to be made."""
        made = [str(folder / f"{len(jobs) + i}_{path.stem}.o") for i, path in enumerate(paths)]
        commands = [[*FLAGS, *more, "-c", str(path), "-o", to] for path, to in zip(paths, made, strict=True)]
        jobs.extend([cxx(), *command] for command in commands)
        return made

    plain = ("-DKERASCNN_BASELINE_ONLY",) if cuda else flags
    kernels = add(sorted(sources("kernels/*.cc"), key=cost, reverse=True), *plain)  # what takes longest first
    imitation = [path for path in sources("python/*.cc") if path.stem == "cuda_on_cpu"]
    module = add([path for path in sources("python/*.cc") if path not in imitation], *plain, *for_module)
    tests = [] if cuda else add(sources("tests/*.cc"), *flags)
    gpu = []
    if cuda:
        gpu = [*imitation, *sources("python/*_buffers.cc"), *sources("common/*.cc")]
        gpu += [*sources("common/*.cu"), *sources("kernels/*_cuda.cu")]
        gpu = add(gpu, *flags, *for_module, "-xc++", "-Wno-unknown-pragmas")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda command: subprocess.run(command, cwd=ROOT, check=True), jobs))

    def link(output: Path, found: list[str]) -> Path:
        shared = ["-shared"] if output.suffix == ".so" else []
        subprocess.run([cxx(), *flags, "-pthread", *shared, *found, "-o", str(output)], check=True)
        return output

    package, suffix = folder / "package" / "kerascnn", sysconfig.get_config_var("EXT_SUFFIX")
    shutil.copytree(ROOT / "kerascnn", package, ignore=shutil.ignore_patterns("*.so", "__pycache__", "_bin"))
    link(package / f"_kernels{suffix}", kernels + module)
    if cuda:
        link(package / f"_cuda_on_cpu{suffix}", kernels + gpu)
        return None
    return link(folder / "kernels_test", kernels + tests)


def run(name: str, arguments: list[str]) -> None:
    """Builds and tests under one sanitizer."""
    sanitizer, start = SANITIZERS[name], time.monotonic()
    preload = runtime(sanitizer.library)
    if preload is None:
        print(f"sanitize: not run, because {cxx()} is not installed or has no {sanitizer.library}", file=sys.stderr)
        sys.exit(3)
    with tempfile.TemporaryDirectory(prefix="kerascnn-sanitize-") as temporary:
        folder = Path(temporary)
        program = build(folder, name)
        print(f"sanitize: {name}: compiled in {time.monotonic() - start:.0f} s", flush=True)
        environment = dict(os.environ)
        # Python itself never frees what it holds at exit, and its arenas hide nothing from the sanitizer this way.
        environment["ASAN_OPTIONS"] = "detect_leaks=0:allocator_may_return_null=1:abort_on_error=0"
        environment["UBSAN_OPTIONS"] = "print_stacktrace=1"
        environment["TSAN_OPTIONS"] = "halt_on_error=1:exitcode=66"
        # Address space layout randomization leaves too little room for ThreadSanitizer's shadow on newer kernels.
        fixed = ["setarch", platform.machine(), "-R"] if name == "thread" and shutil.which("setarch") else []
        for level in ("avx512", "avx2", "baseline")[: 3 if name == "address" else 1] if program else ():
            # Below avx512 no processor has tiles, so that they are emulated in one of the runs.
            levels = {**environment, "KERASCNN_CPU_LEVEL": level}
            levels |= {"KERASCNN_TILES": "emulated"} if level == "avx2" or name != "address" else {}
            subprocess.run([*fixed, str(program)], env=levels, check=True, cwd=folder)
        # The sanitizer looks for the function that throws when it starts, so its library must be there by then.
        libraries = [str(path) for path in (preload, runtime("libstdc++.so")) if path]
        environment |= {"PYTHONMALLOC": "malloc", "PYTHONPATH": str(folder / "package")}
        python = [*fixed, "env", f"LD_PRELOAD={' '.join(libraries)}", sys.executable]
        # Where a module cannot be loaded, pytest would only skip its tests.
        modules = "kerascnn._kernels" + (", kerascnn._cuda_on_cpu" if name == "cuda" else "")
        subprocess.run([*python, "-c", f"import {modules}"], env=environment, check=True)
        command = [*python, "-m", "pytest", "--noconftest", "-q", "--capture=sys", "-p", "no:cacheprovider"]
        command += ["-c", str(ROOT / "pyproject.toml"), str(ROOT / "tests" / "csrc"), *(arguments or sanitizer.tests)]
        subprocess.run(command, env=environment, check=True, cwd=folder)
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
