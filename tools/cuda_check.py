"""Compiles every CUDA source as the build does and shows what ptxas says of each kernel; no GPU is needed.

    python tools/cuda_check.py [--results]

Warnings are errors. A kernel that spills registers to memory is an error. Without nvcc there is nothing to check: a
line says so and the exit status is 0. --results writes the table to results/cuda_registers.txt.
"""

import argparse
import concurrent.futures
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KERNEL = re.compile(r"Compiling entry function '(\w+)' for '(sm_\d+)'")
STACK = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")


def load_setup():
    """setup.py as a module: it knows nvcc, the flags, the sources and the architectures."""
    spec = importlib.util.spec_from_file_location("kerascnn_setup", ROOT / "setup.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def readable(names: list[str]) -> list[str]:
    """Kernel names as written in the source, without namespace and parameters."""
    done = subprocess.run(["c++filt", *names], capture_output=True, text=True, check=True)
    plain = [re.sub(r"kerascnn::|\(anonymous namespace\)::|^void ", "", line) for line in done.stdout.splitlines()]
    return [re.sub(r"\(.*", "", re.sub(r"\((?:int|bool|\w+)\)(?=[-\w])", "", line)) for line in plain]


def compile_one(nvcc: str, flags: list[str], source: Path, architecture: int) -> tuple[list[dict], str]:
    """One row per kernel of a source for one architecture, and what the compiler said where it failed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [nvcc, *flags, f"-arch=sm_{architecture}", "-cubin", "-Xptxas=-v", "-o", f"{folder}/out.cubin"]
        done = subprocess.run([*command, str(source)], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        return [], done.stdout + done.stderr
    rows = []
    for line in (done.stdout + done.stderr).splitlines():
        if found := KERNEL.search(line):
            rows.append({"name": found[1], "arch": found[2], "source": source.name})
        elif found := STACK.search(line):
            rows[-1].update(stack=int(found[1]), spills=int(found[2]) + int(found[3]))
        elif found := USED.search(line):
            rows[-1].update(registers=int(found[1]), shared=int(found[2] or 0))
    for row, name in zip(rows, readable([row["name"] for row in rows]), strict=True):
        row["name"] = name
    return rows, ""


def table(rows: list[dict]) -> str:
    """One line per kernel, its architectures beside each other."""
    architectures = sorted({row["arch"] for row in rows})
    lines = [f"{'kernel':58}" + "".join(f"{arch:>36}" for arch in architectures)]
    lines.append(f"{'':58}" + f"{'registers   shared  stack  spill':>36}" * len(architectures))
    cells = {(row["source"], row["name"], row["arch"]): row for row in rows}
    for source, name in sorted({key[:2] for key in cells}):
        line = f"{name[:58]:58}"
        for arch in architectures:
            row = cells.get((source, name, arch), {})
            widths = {"registers": 13, "shared": 9, "stack": 7, "spills": 7}
            line += "".join(f"{row.get(key, '-'):>{width}}" for key, width in widths.items())
        lines.append(line)
    return "\n".join(lines)


def main() -> int:
    """Checks every source; 1 where one does not compile or a kernel spills."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", action="store_true", help="write results/cuda_registers.txt")
    arguments = parser.parse_args()
    setup = load_setup()
    nvcc = setup.find_nvcc()
    if nvcc is None:
        print("cuda_check: nvcc was not found, so the CUDA sources were not compiled")
        return 0
    version = subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout
    release = re.search(r"release [\d.]+, V([\d.]+)", version)
    started, jobs = time.monotonic(), [(s, a) for s in setup.cuda_sources() for a in setup.CUDA_ARCHITECTURES]
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("KERASCNN_JOBS") or os.cpu_count() or 1)) as pool:
        done = list(pool.map(lambda job: compile_one(nvcc, setup.CUDA_FLAGS, *job), jobs))
    failures = [f"{source}, sm_{arch}:\n{said}" for (source, arch), (_, said) in zip(jobs, done, strict=True) if said]
    rows = [row for found, _ in done for row in found]
    spilling = [row for row in rows if row["spills"]]
    text = f"nvcc {release[1] if release else ''}, {' '.join(setup.CUDA_FLAGS)}\n\n{table(rows)}\n"
    print(text)
    print(f"{len(rows)} kernels in {time.monotonic() - started:.0f} s, {len(spilling)} spill, {len(failures)} failures")
    for failure in failures:
        print(failure, file=sys.stderr)
    for row in spilling:
        print(f"{row['source']}: {row['name']} spills {row['spills']} bytes on {row['arch']}", file=sys.stderr)
    if arguments.results:
        (ROOT / "results" / "cuda_registers.txt").write_text(text)
    return 1 if failures or spilling else 0


if __name__ == "__main__":
    sys.exit(main())
