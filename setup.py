"""Compiles csrc/ while installing: the op library, the NumPy module and the small executables.

Everything else about the package is in pyproject.toml. Sources are found by globbing, so a new op needs no edit here:

    csrc/kernels/*.cc + csrc/tf/*.cc (+ CUDA)      ->  kerascnn/_ops.so                TensorFlow op library
    csrc/kernels/*.cc + csrc/python/*.cc (+ CUDA)  ->  kerascnn/_kernels.<abi>.so      no TensorFlow in it
    csrc/bin/<name>.cc                             ->  kerascnn/_bin/<name>            TensorFlow's C API
    csrc/python/*_buffers.cc + CUDA, by g++        ->  kerascnn/_cuda_on_cpu.<abi>.so  for tests (cuda_shim.h)

CUDA is csrc/common/*.cu and csrc/kernels/*_cuda.cu, compiled where there is nvcc; no GPU or driver is needed for it.
The test module is built in place only, or with KERASCNN_BUILD_TESTS=1.
Objects are kept in _build/ and made again only when a source, a header or the command changed. What was built, and
why something was not, is written to kerascnn/_build_info.json and shown by `kerascnn.ops.build_info()`.

Environment: KERASCNN_BUILD=auto|require|off (auto: a failing compilation is a warning, the package then works in
plain TensorFlow), KERASCNN_CUDA=auto|on|off (on: without CUDA nothing is built), CXX, NVCC, CXXFLAGS (appended),
KERASCNN_JOBS.
"""

import concurrent.futures
import contextlib
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
OBJECTS = ROOT / "_build" / "objects"
TENSORFLOW_SERIES = "2.21"  # what a build environment without TensorFlow is given; keep equal to pyproject's extras
CUDA_ARCHITECTURES = (80, 90)  # machine code for these, PTX of the last one for whatever comes later
COMMON_FLAGS = ["-std=c++17", "-O3", "-DNDEBUG", "-Wall", "-Wextra", "-fPIC", "-pthread", "-Icsrc"]
# GCC 12 takes its own intrinsics of AVX-512 for uninitialized variables.
COMMON_FLAGS += ["-Wno-maybe-uninitialized"]
# Neither changes a value; both let loops with square roots and comparisons be vectorized. Contraction to fused
# multiply-add is the compiler's default in GNU mode only.
COMMON_FLAGS += ["-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"]
CUDA_FLAGS = ["-std=c++17", "-O3", "-DNDEBUG", "-Icsrc", "--expt-relaxed-constexpr", "-Werror", "all-warnings"]
CUDA_FLAGS += ["-Xcompiler=-fPIC,-Wall,-fvisibility=hidden"]


def setting(name: str, *choices: str) -> str:
    """An environment variable with a closed set of values; the first is the default."""
    value = os.environ.get(name) or choices[0]
    if value not in choices:
        raise SystemExit(f"{name} must be one of {', '.join(choices)}. Received: {value}")
    return value


def find_tensorflow() -> dict | None:
    """The TensorFlow to build for: {"path", "version"}, from the running environment, then from the target one.

    Build isolation hides the target's site-packages from sys.path but not from sysconfig. TensorFlow is not imported:
    its version is in its metadata, and its compile flags are part of the build recipe below.
    """
    target = sysconfig.get_paths()
    for folder in dict.fromkeys([*sys.path, target["platlib"], target["purelib"]]):
        path = Path(folder or ".").resolve() / "tensorflow"
        if not (path / "include" / "tensorflow" / "core" / "framework" / "op_kernel.h").is_file():
            continue
        for found in importlib.metadata.distributions(path=[str(path.parent)]):
            name = (found.metadata["Name"] or "").lower().replace("_", "-")
            if re.fullmatch(r"tensorflow(-cpu|-gpu|-intel|-rocm|-aarch64|-cpu-aws)?|tf-nightly(-cpu)?", name):
                return {"path": path, "version": found.version}
    return None


def tensorflow_requirement() -> list[str]:
    """What the build environment must be given: nothing where TensorFlow is found or no library is wanted."""
    if setting("KERASCNN_BUILD", "auto", "require", "off") == "off" or find_tensorflow():
        return []
    package = "tensorflow-cpu" if sys.platform == "linux" and platform.machine() == "x86_64" else "tensorflow"
    return [f"{package}=={TENSORFLOW_SERIES}.*"]


def find_nvcc() -> str | None:
    """The CUDA compiler: $NVCC, on the path, or where CUDA installs itself."""
    usual = Path(os.environ.get("CUDA_HOME", "/usr/local/cuda")) / "bin" / "nvcc"
    return os.environ.get("NVCC") or shutil.which("nvcc") or (str(usual) if usual.is_file() else None)


class CompileError(Exception):
    """A compiler that is missing or failed; the message is what it said."""


def call(command: list[str]) -> str:
    """Runs a compiler in the root folder; its output, or CompileError with the end of it."""
    try:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError as error:
        raise CompileError(f"{command[0]}: {error.strerror}") from error
    if done.returncode:
        raise CompileError(f"{shlex.join(command)}\n{done.stdout[-4000:]}".strip())
    return done.stdout


def modified(path: str | Path) -> float:
    """Time of the last change; later than anything when the file is gone."""
    try:
        return os.stat(ROOT / path).st_mtime
    except OSError:
        return float("inf")


def is_current(output: Path, command: list[str], sources: list[Path]) -> bool:
    """Whether `output` was made by this very command from files that have not changed since."""
    record, depends = output.with_suffix(output.suffix + ".cmd"), output.with_suffix(".d")
    if not output.is_file() or not record.is_file() or record.read_text() != shlex.join(command):
        return False
    needed = [str(source) for source in sources]
    if depends.is_file():
        needed += depends.read_text().replace("\\\n", " ").split(":", 1)[1].split()
    return max(map(modified, needed), default=0.0) <= modified(output)


def make(output: Path, command: list[str], sources: list[Path]) -> bool:
    """Runs `command` unless `output` is current, in which case False is returned."""
    if is_current(output, command, sources):
        return False
    output.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"compiling {output.relative_to(ROOT)}\n")  # one write: several threads speak at once
    sys.stdout.flush()
    started = datetime.datetime.now().timestamp()
    call(command)
    os.utime(output, (started, started))  # a source edited while compiling is newer than its object
    output.with_suffix(output.suffix + ".cmd").write_text(shlex.join(command))
    return True


class Builder:
    """The kinds of binaries, from objects that they share."""

    def __init__(self, tensorflow: dict | None, in_place: bool):
        self.tensorflow, self.in_place = tensorflow, in_place
        self.cxx = shlex.split(os.environ.get("CXX") or "g++")
        self.extra = shlex.split(os.environ.get("CXXFLAGS", ""))
        self.jobs = int(os.environ.get("KERASCNN_JOBS") or os.cpu_count() or 1)
        self.cuda = {"architectures": [], "reason": "Nothing was compiled"}
        self.cuda_parts = None

    def objects(self, sources: list[Path], flags: list[str]) -> list[Path]:
        """Object files of `sources`, compiled in parallel."""
        # Who installs the package may have a compiler that warns of more than ours do.
        flags = [*COMMON_FLAGS, *(["-Werror"] if self.in_place else []), *flags, *self.extra]
        folder = OBJECTS / hashlib.sha256(shlex.join([*self.cxx, *flags]).encode()).hexdigest()[:12]
        outputs = [folder / source.relative_to("csrc").with_suffix(".o") for source in sources]
        self.compile_all(
            (output, [*self.cxx, *flags, "-MMD", "-c", str(source), "-o", str(output)], [source])
            for source, output in zip(sources, outputs, strict=True)
        )
        return outputs

    def compile_all(self, jobs) -> None:
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            for done in [pool.submit(make, *job) for job in jobs]:
                done.result()

    def cuda_objects(self, nvcc: str, sources: list[Path]) -> list[Path]:
        """Object files of CUDA sources: machine code per architecture and PTX of the newest."""
        targets = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in CUDA_ARCHITECTURES]
        newest = CUDA_ARCHITECTURES[-1]
        flags = [*CUDA_FLAGS, *targets, f"-gencode=arch=compute_{newest},code=compute_{newest}"]
        folder = OBJECTS / hashlib.sha256(shlex.join([nvcc, *flags]).encode()).hexdigest()[:12]
        outputs = [folder / source.relative_to("csrc").with_suffix(".cu.o") for source in sources]
        self.compile_all(
            (
                output,
                [nvcc, *flags, "-MMD", "-MF", str(output.with_suffix(".d")), "-c", str(source), "-o", str(output)],
                [source],
            )
            for source, output in zip(sources, outputs, strict=True)
        )
        return outputs

    def with_cuda(self) -> tuple[list[Path], list[str], list[str]]:
        """Objects, compile flags and link flags that CUDA adds; empty, with the reason recorded, where it is absent."""
        if self.cuda_parts is None:
            self.cuda_parts = self.find_cuda_parts()
        return self.cuda_parts

    def find_cuda_parts(self) -> tuple[list[Path], list[str], list[str]]:
        wanted = setting("KERASCNN_CUDA", "auto", "on", "off")
        sources, nvcc = cuda_sources(), find_nvcc()
        if wanted == "off" or not sources or not nvcc:
            reason = "KERASCNN_CUDA=off" if wanted == "off" else "No CUDA sources" if not sources else "nvcc not found"
            if wanted == "on" and sources:
                raise CompileError(f"KERASCNN_CUDA=on, but {reason}")
            self.cuda = {"architectures": [], "reason": reason}
            return [], [], []
        try:
            objects = self.cuda_objects(nvcc, sources)
        except CompileError as error:
            if wanted == "on":
                raise
            print(f"\nkerascnn: built without CUDA.\n{error}\n", file=sys.stderr)
            self.cuda = {"architectures": [], "reason": str(error)}
            return [], [], []
        self.cuda = {"architectures": [f"sm_{arch}" for arch in CUDA_ARCHITECTURES], "reason": ""}
        libraries = [path for path in Path(nvcc).resolve().parents[1].glob("**/libcudart_static.a")][:1]
        # The static runtime finds the driver when it is first used, so the library loads where there is none.
        return objects, ["-DKERASCNN_CUDA=1"], [*map(str, libraries), "-ldl", "-lrt"]

    def tensorflow_flags(self) -> list[str]:
        if not self.tensorflow:
            raise CompileError("TensorFlow was not found in this environment")
        return [f"-isystem{self.tensorflow['path'] / 'include'}", "-D_GLIBCXX_USE_CXX11_ABI=1",
                "-DEIGEN_MAX_ALIGN_BYTES=64"]  # fmt: skip

    def tensorflow_link(self, up: str, *libraries: str) -> list[str]:
        """Libraries of the wheel, found at run time beside the installed package."""
        path = self.tensorflow["path"]
        folders = [f"$ORIGIN/{up}tensorflow", *([str(path)] if self.in_place else [])]
        return [f"-L{path}", *[f"-l:{name}" for name in libraries], f"-Wl,-rpath,{':'.join(folders)}"]

    def link(self, output: Path, objects: list[Path], flags: list[str]) -> Path:
        make(output, [*self.cxx, "-pthread", "-o", str(output), *map(str, objects), *flags, *self.extra], objects)
        return output

    def ops(self, folder: Path) -> Path:
        flags = self.tensorflow_flags()
        cuda_objects, cuda_flags, cuda_link = self.with_cuda()
        objects = self.objects(glob("kernels/*.cc"), ["-fvisibility=hidden"]) + cuda_objects
        objects += self.objects(glob("tf/*.cc"), [*flags, *cuda_flags])
        link = ["-shared", *self.tensorflow_link("../", "libtensorflow_framework.so.2"), *cuda_link]
        return self.link(folder / "_ops.so", objects, link)

    def module_flags(self) -> list[str]:
        try:
            import pybind11
        except ImportError as error:
            raise CompileError("pybind11 is not installed") from error
        return [f"-isystem{path}" for path in (pybind11.get_include(), sysconfig.get_paths()["include"])]

    def module(self, folder: Path) -> Path:
        flags = ["-fvisibility=hidden", *self.module_flags()]
        cuda_objects, cuda_flags, cuda_link = self.with_cuda()
        sources = [source for source in glob("python/*.cc") if source.stem != "cuda_on_cpu"]
        objects = self.objects(glob("kernels/*.cc"), ["-fvisibility=hidden"]) + cuda_objects
        objects += self.objects(sources, [*flags, *cuda_flags])
        return self.link(folder / module_file("_kernels"), objects, ["-shared", *cuda_link])

    def cuda_on_cpu(self, folder: Path) -> list[Path]:
        """The CUDA sources as a module that runs them on the CPU, for tests."""
        if not (self.in_place or setting("KERASCNN_BUILD_TESTS", "0", "1") == "1"):
            return []
        flags = ["-fvisibility=hidden", "-O1", "-DKERASCNN_CUDA=1", "-DKERASCNN_CUDA_ON_CPU=1"]
        flags += ["-Wno-unknown-pragmas"]  # nvcc's
        sources = [*glob("python/*_buffers.cc"), Path("csrc/python/cuda_on_cpu.cc")]
        objects = self.objects(glob("kernels/*.cc"), ["-fvisibility=hidden"])
        objects += self.objects(cuda_sources(), [*flags, "-xc++"]) + self.objects(glob("common/*.cc"), flags)
        objects += self.objects(sources, [*flags, *self.module_flags()])
        return [self.link(folder / module_file("_cuda_on_cpu"), objects, ["-shared"])]

    def programs(self, folder: Path) -> list[Path]:
        made = []
        for source in glob("bin/*.cc"):
            objects = self.objects([source], self.tensorflow_flags())
            libraries = ("libtensorflow_cc.so.2", "libtensorflow_framework.so.2")
            flags = self.tensorflow_link("../../", *libraries)
            made.append(self.link(folder / "_bin" / source.stem, objects, flags))
        return made


def glob(pattern: str) -> list[Path]:
    """Sources relative to the root, in a fixed order."""
    return sorted(path.relative_to(ROOT) for path in (ROOT / "csrc").glob(pattern))


def cuda_sources() -> list[Path]:
    return [*glob("common/*.cu"), *glob("kernels/*_cuda.cu")]


def module_file(name: str) -> str:
    return f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"


class BuildNative(build_ext):
    """build_ext that runs Builder; a failure is a warning unless KERASCNN_BUILD=require."""

    def run(self):
        self.made = []
        stage = ROOT / "_build" / ("in_place" if self.inplace else "wheel")
        destination = ROOT / "kerascnn" if self.inplace else Path(self.build_lib).resolve() / "kerascnn"
        with lock(ROOT / "_build" / "lock"):
            info, built = self.compile(stage)
            stage.mkdir(parents=True, exist_ok=True)
            record = stage / "_build_info.json"
            record.write_text(json.dumps(info, indent=1) + "\n")
            for name in ("_ops.so", module_file("_kernels"), module_file("_cuda_on_cpu")):
                (destination / name).unlink(missing_ok=True) if stage / name not in built else None
            for path in [*built, record]:
                self.made.append(install_file(path, destination / path.relative_to(stage)))
        self.report(info["absent"])

    def compile(self, stage: Path) -> tuple[dict, list[Path]]:
        """Builds what can be built; the record of it and the files."""
        tensorflow = find_tensorflow()
        builder, built, absent = Builder(tensorflow, bool(self.inplace)), [], {}
        wanted = setting("KERASCNN_BUILD", "auto", "require", "off")
        steps = {"ops": builder.ops, "kernels": builder.module, "programs": builder.programs}
        for name, step in {**steps, "cuda_on_cpu": builder.cuda_on_cpu}.items():
            try:
                if wanted == "off":
                    raise CompileError("KERASCNN_BUILD=off")
                made = step(stage)
                built += made if isinstance(made, list) else [made]
            except CompileError as error:
                absent[name] = str(error)
        x86 = platform.machine().lower() in ("x86_64", "amd64")
        info = {
            "tensorflow": tensorflow["version"] if tensorflow else None,
            "compiler": compiler_version(builder.cxx),
            "cpu_levels": ["baseline", "avx2", "avx512"] if x86 else ["baseline"],
            "cuda": builder.cuda,
            "absent": absent,
        }
        return info, built

    def report(self, absent: dict[str, str]) -> None:
        wanted = setting("KERASCNN_BUILD", "auto", "require", "off")
        if not absent or wanted == "off":
            return
        for name, reason in absent.items():
            print(f"\nkerascnn: {name} not built.\n{reason}\n", file=sys.stderr)
        if wanted == "require":
            raise SystemExit(f"kerascnn: KERASCNN_BUILD=require, but not built: {', '.join(absent)}")
        print("WARNING: kerascnn was installed without its native code (see above). It works in plain TensorFlow, "
              "more slowly; KERASCNN_BUILD=require makes this an error.", file=sys.stderr)  # fmt: skip

    # What setuptools asks about the result, for wheels, `pip install -e` and uninstallation.

    def get_outputs(self):
        return [] if self.inplace else [str(path) for path in getattr(self, "made", [])]

    def get_output_mapping(self):
        return {}

    def get_source_files(self):
        return [str(path) for pattern in ("**/*.cc", "**/*.cu", "**/*.h", "**/*.inc") for path in glob(pattern)]


def install_file(source: Path, target: Path) -> Path:
    """Copies under a temporary name and renames: a process that has the old file open keeps it whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or modified(source) > modified(target) or source.stat().st_size != target.stat().st_size:
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copy2(source, temporary)
        os.replace(temporary, target)
    return target


def compiler_version(cxx: list[str]) -> str | None:
    try:
        return call([*cxx, "--version"]).splitlines()[0]
    except (CompileError, IndexError):
        return None


@contextlib.contextmanager
def lock(path: Path):
    """One build at a time in this folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        except ImportError:
            pass
        yield


if __name__ == "__main__":
    setup(
        # The extension makes wheels specific to this platform and Python; BuildNative decides what is really built.
        packages=find_packages(include=["kerascnn", "kerascnn.*"]),
        ext_modules=[Extension("kerascnn._kernels", sources=[])],
        cmdclass={"build_ext": BuildNative},
        setup_requires=tensorflow_requirement() if "egg_info" in sys.argv else [],
        options={"build": {"build_base": "_build"}},
    )
