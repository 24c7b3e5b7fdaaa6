"""The command line as a process: signals, closed streams, encodings, environments, a TensorFlow that is not there."""

import os
import platform
import subprocess
import sys
import textwrap

import pytest

LIST = [sys.executable, "-m", "kerascnn", "list", "--help"]


def run(words, shell=False, **environment):
    """What a command prints and how it ends."""
    done = subprocess.run(
        words, shell=shell, capture_output=True, text=True, env={**os.environ, **environment}, timeout=120
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("name, status", [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_a_signal_leaves_no_temporary_file(tmp_path, name, status):
    program = f"""
        import os, signal, sys
        from importlib import import_module
        from kerascnn._files import atomic_write

        def write(argv):
            with atomic_write({str(tmp_path / "file")!r}) as file:
                file.write("half")
                os.kill(os.getpid(), signal.{name})
                signal.pause()

        main = import_module("kerascnn.cli.main")
        main._dispatch = write
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it,
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # and what nohup starts this
        sys.exit(main.main())
    """
    done = run([sys.executable, "-c", textwrap.dedent(program)])
    assert done.returncode == status and list(tmp_path.iterdir()) == []
    assert done.stderr == ("kerascnn: interrupted\n" if name == "SIGINT" else f"kerascnn: ended by {name}\n")


def test_nohup_is_obeyed():
    program = "from kerascnn.cli import process; import signal; process.prepare(); print(repr(signal.getsignal(1)))"
    assert "SIG_IGN" in run(f"trap '' HUP; {sys.executable} -c '{program}'", shell=True).stdout


@pytest.mark.skipif(platform.machine() != "x86_64", reason="TensorFlow's oneDNN kernels are for x86")
@pytest.mark.parametrize(
    "command, set_to, expected",
    [("train", None, "1"), ("train", "1", "1"), ("train", "0", "0"), ("export", None, "None")],
)
def test_onednn_is_on_where_networks_are_trained(command, set_to, expected):
    """Whatever the CPU; TensorFlow alone asks for AVX-512 VNNI."""
    told = "print(os.environ.get('TF_ENABLE_ONEDNN_OPTS'))"
    program = f"from kerascnn.cli import process; import os; process.prefer_onednn({command!r}); {told}"
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True,
        env=environment | ({"TF_ENABLE_ONEDNN_OPTS": set_to} if set_to else {}),
    )  # fmt: skip
    assert done.stdout.split() == [expected], done.stderr


@pytest.mark.skipif(platform.machine() != "x86_64", reason="TensorFlow's oneDNN kernels are for x86")
def test_onednn_works_on_this_cpu():
    program = """
        import sys
        from kerascnn.cli import process
        process.prefer_onednn("train")
        from kerascnn.ops.convolution import onednn
        sys.exit(0 if onednn() else 1)
    """
    environment = {name: value for name, value in os.environ.items() if name != "TF_ENABLE_ONEDNN_OPTS"}
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env=environment).returncode == 0


@pytest.mark.parametrize("stream", ["0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams(stream):
    assert run(f"{' '.join(LIST)} {stream}", shell=True).returncode == 0


def test_a_full_disk_is_told():
    done = run(f"{' '.join(LIST)} > /dev/full", shell=True)
    assert done.returncode == 2 and done.stderr == "kerascnn: No space left on device.\n"


def test_ascii_output():
    done = run([sys.executable, "-m", "kerascnn", "list", "größe*", "--help"], PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    done = run([sys.executable, "-m", "kerascnn", "größe"], PYTHONIOENCODING="ascii")
    assert done.returncode == 2 and done.stderr.endswith("Received: gr\\xf6\\xdfe\n")


@pytest.mark.parametrize(
    "environment, words",
    [
        ({"KERAS_BACKEND": "jax"}, "'jax' in KERAS_BACKEND"),
        ({"KERAS_HOME": "channels"}, "Received: 'channels_first' in "),
        ({"KERAS_HOME": "double"}, "floatx to be float32. Received: 'float64'"),
        ({"KERAS_HOME": "list"}, "must be a JSON object"),
        ({"KERAS_HOME": "deep"}, "nested too deep"),
        ({"KERAS_HOME": "folder"}, "must be a file"),
        ({"KERAS_MAX_EPOCHS": "1"}, "would cut the training short"),
        ({"KERASCNN_NATIVE": "bogus"}, "must be one of auto, require, off. Received: 'bogus'"),
    ],
)
def test_keras_set_up_otherwise_is_refused(tmp_path, environment, words):
    settings = {
        "channels": '{"image_data_format": "channels_first"}',
        "double": '{"floatx": "float64"}',
        "list": "[]",
        "deep": "[" * 200_000,
    }
    for name, text in settings.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "keras.json").write_text(text)
    (tmp_path / "folder" / "keras.json").mkdir(parents=True)
    if "KERAS_HOME" in environment:
        environment = {"KERAS_HOME": str(tmp_path / environment["KERAS_HOME"])}
    done = run([sys.executable, "-m", "kerascnn", "info", "lenet5"], **environment)
    assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr


def fake(tmp_path, text):
    """PYTHONPATH with another TensorFlow first."""
    (tmp_path / "tensorflow.py").write_text(text)
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))}


def test_an_abort_while_tensorflow_is_loaded_is_told(tmp_path):
    program = 'import os\nos.write(2, b"I0000 chatter\\nF0000 compiled to use AVX")\nos.abort()\n'
    done = run([sys.executable, "-m", "kerascnn", "info", "lenet5"], **fake(tmp_path, program))
    assert done.returncode == -6
    assert done.stderr.splitlines()[0] == "F0000 compiled to use AVX" and "chatter" not in done.stderr
    assert "TensorFlow ended the process" in done.stderr.splitlines()[1]


def test_a_tensorflow_that_cannot_be_imported_is_told(tmp_path):
    program = 'raise ImportError("libcudart.so.12: cannot open shared object file")\n'
    done = run([sys.executable, "-m", "kerascnn", "info", "lenet5"], **fake(tmp_path, program))
    assert done.returncode == 2 and "libcudart.so.12" in done.stderr and done.stderr.count("\n") == 1


def test_without_tensorflow(tmp_path):
    """What tells about the commands needs none; the others say so."""
    hidden = "import sys; sys.modules['tensorflow'] = sys.modules['keras'] = None; from kerascnn.cli import main; "
    for words in (["--version"], ["--help"], ["list", "--help"], ["train", "--help"]):
        assert run([sys.executable, "-c", f"{hidden} sys.exit(main({words}))"]).returncode == 0
    done = run([sys.executable, "-c", f"{hidden} sys.exit(main(['info', 'lenet5']))"])
    assert done.returncode == 2 and "needs tensorflow, which is not installed" in done.stderr


def test_the_modes_of_the_native_ops_are_those_of_the_ops():
    from kerascnn import _environment
    from kerascnn.ops import _native

    assert _environment._NATIVE == _native.MODES
