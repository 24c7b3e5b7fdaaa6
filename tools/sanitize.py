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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SANITIZERS = {
    "address": ("-fsanitize=address,undefined", "libasan.so"),
    "thread": ("-fsanitize=thread", "libtsan.so"),
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


def compile_all(folder: Path, sources: list[Path], flags: list[str]) -> list[str]:
    """Object files of `sources`, compiled in parallel."""
    folder.mkdir(parents=True, exist_ok=True)

    def one(source: Path) -> str:
        output = folder / f"{source.parent.name}_{source.stem}.o"
        subprocess.run([cxx(), *FLAGS, *flags, "-c", str(source), "-o", str(output)], cwd=ROOT, check=True)
        return str(output)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, sources))


def sources(pattern: str) -> list[Path]:
    """Sources under csrc/, in a fixed order."""
    return sorted(path.relative_to(ROOT) for path in ROOT.glob(f"csrc/{pattern}"))


def build(folder: Path, flag: str) -> Path:
    """The package with a sanitized `_kernels` in `folder`/package, and the C++ tests; their path."""
    import pybind11

    includes = [f"-isystem{path}" for path in (pybind11.get_include(), sysconfig.get_paths()["include"])]
    kernels = compile_all(folder, sources("kernels/*.cc"), [flag])
    module = [path for path in sources("python/*.cc") if path.stem != "cuda_on_cpu"]
    bindings = compile_all(folder, module, [flag, "-fvisibility=hidden", *includes])
    tests = compile_all(folder, sources("tests/*.cc"), [flag])
    package = folder / "package" / "kerascnn"
    shutil.copytree(ROOT / "kerascnn", package, ignore=shutil.ignore_patterns("*.so", "__pycache__", "_bin"))
    extension = package / f"_kernels{sysconfig.get_config_var('EXT_SUFFIX')}"
    link = [cxx(), flag, "-pthread"]
    subprocess.run([*link, "-shared", *kernels, *bindings, "-o", str(extension)], check=True)
    subprocess.run([*link, *kernels, *tests, "-o", str(folder / "kernels_test")], check=True)
    return folder / "kernels_test"


def run(name: str, arguments: list[str]) -> None:
    """Builds and tests under one sanitizer."""
    flag, library = SANITIZERS[name]
    preload = runtime(library)
    if preload is None:
        print(f"sanitize: not run, because {cxx()} has no {library}", file=sys.stderr)
        sys.exit(3)
    with tempfile.TemporaryDirectory(prefix="kerascnn-sanitize-") as temporary:
        folder = Path(temporary)
        program = build(folder, flag)
        print(f"sanitize: {name}: compiled", flush=True)
        environment = dict(os.environ)
        # Python itself never frees what it holds at exit, and its arenas hide nothing from the sanitizer this way.
        environment["ASAN_OPTIONS"] = "detect_leaks=0:allocator_may_return_null=1:abort_on_error=0"
        environment["UBSAN_OPTIONS"] = "print_stacktrace=1"
        environment["TSAN_OPTIONS"] = "halt_on_error=1:exitcode=66"
        # Address space layout randomisation leaves too little room for ThreadSanitizer's shadow on newer kernels.
        fixed = ["setarch", platform.machine(), "-R"] if name == "thread" and shutil.which("setarch") else []
        subprocess.run([*fixed, str(program)], env=environment, check=True, cwd=folder)
        environment |= {"LD_PRELOAD": str(preload), "PYTHONMALLOC": "malloc", "PYTHONPATH": str(folder / "package")}
        command = [sys.executable, "-m", "pytest", "--noconftest", "-q", "-p", "no:cacheprovider"]
        command += ["-c", str(ROOT / "pyproject.toml"), str(ROOT / "tests" / "csrc"), *arguments]
        subprocess.run([*fixed, *command], env=environment, check=True, cwd=folder)
    print(f"sanitize: {name}: clean", flush=True)


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
