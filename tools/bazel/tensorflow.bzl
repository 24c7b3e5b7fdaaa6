"""An installed TensorFlow under the labels that TensorFlow's own tree gives to the same things."""

# The package is found without running it: importing TensorFlow takes seconds.
_FIND = """
import importlib.util
found = importlib.util.find_spec("tensorflow")
print(found.submodule_search_locations[0] if found else "")
"""

_ROOT = """
package(default_visibility = ["//visibility:public"])

cc_library(
    name = "headers",
    defines = ["_GLIBCXX_USE_CXX11_ABI=1", "EIGEN_MAX_ALIGN_BYTES=64"],  # tf.sysconfig.get_compile_flags()
    hdrs = glob(["include/**"]),
    includes = ["include"],
)

cc_import(
    name = "libtensorflow_framework",
    shared_library = "libtensorflow_framework.so.2",
)

cc_import(
    name = "libtensorflow_cc",
    shared_library = "libtensorflow_cc.so.2",
)
"""

_PACKAGE = """
package(default_visibility = ["//visibility:public"])
"""

_LIBRARY = """
cc_library(
    name = "{name}",
    deps = [{deps}],
)
"""

_PACKAGES = {
    "tensorflow/core": {
        "framework": ["//:headers", "//:libtensorflow_framework"],
        "lib": ["//:headers", "//:libtensorflow_framework"],
    },
    "tensorflow/c": {
        "c_api": ["//:headers", "//:libtensorflow_framework", "//:libtensorflow_cc"],
    },
}

def _installed_tensorflow(context):
    python = context.os.environ.get("PYTHON_BIN_PATH") or "python3"
    found = context.execute([python, "-c", _FIND])
    path = found.stdout.strip()
    if found.return_code or not path:
        fail("%s (PYTHON_BIN_PATH) must have TensorFlow. Received: %s" % (python, found.stderr or "nothing"))
    for name in ("include", "libtensorflow_framework.so.2", "libtensorflow_cc.so.2"):
        context.symlink(path + "/" + name, name)
    context.file("BUILD", _ROOT)
    for package, libraries in _PACKAGES.items():
        lines = [
            _LIBRARY.format(name = name, deps = ", ".join(['"%s"' % dep for dep in deps]))
            for name, deps in libraries.items()
        ]
        context.file(package + "/BUILD", _PACKAGE + "".join(lines))

installed_tensorflow = repository_rule(
    implementation = _installed_tensorflow,
    doc = "Headers and libraries of the TensorFlow that $PYTHON_BIN_PATH imports, in TensorFlow's own packages.",
    environ = ["PYTHON_BIN_PATH"],
    local = True,
)
