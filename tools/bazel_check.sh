#!/usr/bin/env bash
# Builds the targets of BUILD with Bazel, loads and runs what came out: tools/bazel_check.sh [PYTHON]
#
# 1. In this folder, against the headers and libraries of PYTHON's TensorFlow: the kernels and their test, the op
#    library for tf.load_op_library, and a program of TensorFlow's C API with the ops linked in.
# 2. In a folder laid out as TensorFlow Serving's tree, with BUILD and csrc copied to where docs/serving_custom_ops.md
#    puts them. One op is enough there, because only the paths are in question.
#
# Compiled with -O1 after BUILD's -O3, which would take half as long again. Made for Debian's Bazel 4.2.3 (apt-get
# install bazel-bootstrap) and works offline. All output goes to a temporary folder that is removed at the end.
# Exit status: 0 everything passed, 3 there is no Bazel, else something failed.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD

say() { echo "bazel_check: $*"; }

if ! command -v bazel >/dev/null; then
  say "not run, because Bazel is not installed (Debian: apt-get install bazel-bootstrap)" >&2
  exit 3
fi
python=$(command -v "${1:-.venv/bin/python}") || { say "there is no Python ${1:-.venv/bin/python}" >&2; exit 1; }
[[ $python == /* ]] || python=$root/$python  # not resolved: the link in bin/ makes it the environment's Python

scratch=$(mktemp -d "${TMPDIR:-/tmp}/kerascnn-bazel.XXXXXX")
trap 'chmod -R u+w "$scratch"; rm -rf "$scratch"' EXIT

# Bazel's own tools load these two rule sets, which it would download: here they are other names of built-in rules.
stub() {  # stub NAME FOLDER RULE...
  local folder=$scratch/$1/$2
  mkdir -p "$folder"
  touch "$scratch/$1/WORKSPACE" "$folder/BUILD"
  printf '%s = native.%s\n' $(printf '%s\n' "${@:3}" | sed 's/.*/& &/') >"$folder/defs.bzl"
}
stub rules_cc cc cc_binary cc_import cc_library cc_test cc_toolchain cc_toolchain_suite
stub rules_java java java_binary java_import java_library java_package_configuration java_runtime java_toolchain
# Every cc_test names these programs, which only `bazel coverage` runs.
mkdir "$scratch/remote_coverage_tools"
touch "$scratch/remote_coverage_tools/WORKSPACE"
printf 'filegroup(name = "%s", visibility = ["//visibility:public"])\n' coverage_report_generator lcov_merger \
  >"$scratch/remote_coverage_tools/BUILD"

options=("--override_repository=rules_cc=$scratch/rules_cc" "--override_repository=rules_java=$scratch/rules_java"
  "--override_repository=remote_coverage_tools=$scratch/remote_coverage_tools"
  "--repo_env=PYTHON_BIN_PATH=$python" '--per_file_copt=.*@-O1' --symlink_prefix=/ --spawn_strategy=local --jobs="$(nproc)"
  --color=no --curses=no --show_progress=no --show_result=0)

build() {  # build OUTPUT_BASE ARGUMENT...
  bazel --batch --nohome_rc --noworkspace_rc --output_base="$scratch/$1" build "${options[@]}" "${@:2}"
}

say "building //:kernels_test //:kerascnn_ops //:_ops.so //:saved_model_run"
build here //:kernels //:kernels_test //:kerascnn_ops //:_ops.so //:saved_model_run
bin=$(echo "$scratch"/here/execroot/kerascnn/bazel-out/*-fastbuild/bin)
"$bin/kernels_test"

say "building the same BUILD inside a tree like TensorFlow Serving's"
tree=$scratch/serving
mkdir -p "$tree"/tensorflow_serving/{custom_ops/kerascnn,model_servers} "$tree/tools"
cp -r BUILD csrc "$tree/tensorflow_serving/custom_ops/kerascnn/"
find "$tree"/tensorflow_serving/custom_ops/kerascnn/csrc/{kernels,tf} -name '*.cc' ! -name 'lrn*' -delete
cp -r tools/bazel "$tree/tools/"
sed 's/"kerascnn"/"tf_serving"/' WORKSPACE >"$tree/WORKSPACE"
cp csrc/bin/saved_model_run.cc "$tree/tensorflow_serving/model_servers/main.cc"
cat >"$tree/tensorflow_serving/model_servers/BUILD" <<'END'
SUPPORTED_TENSORFLOW_OPS = ["//tensorflow_serving/custom_ops/kerascnn:kerascnn_ops"]

cc_binary(
    name = "model_server",
    srcs = ["main.cc"],
    copts = ["-std=c++17"],
    deps = ["@org_tensorflow//tensorflow/c:c_api"] + SUPPORTED_TENSORFLOW_OPS,
)
END
cd "$tree"
build there //tensorflow_serving/model_servers:model_server
server=$(echo "$scratch"/there/execroot/tf_serving/bazel-out/*-fastbuild/bin)/tensorflow_serving/model_servers/model_server

"$python" "$root/tools/bazel_check.py" "$bin/_ops.so" "$bin/saved_model_run" "$server"
say "passed"
