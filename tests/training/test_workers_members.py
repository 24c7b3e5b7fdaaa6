"""Who takes part, as arguments, TF_CONFIG and Slurm say it, and what is refused of that."""

import json

import pytest

from kerascnn._errors import InputError
from kerascnn.training.workers import Members, find
from kerascnn.training.workers.members import first_node, from_slurm, from_tf_config, split_address

TWO = ["a:1", "b:2"]


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    for name in ("TF_CONFIG", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)


def tf_config(cluster, kind, index):
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


def test_arguments_come_before_the_environment(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config({"worker": ["x:1", "y:2"]}, "worker", 0))
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert find("a:1, b:2", 1) == Members(2, 1, "a:1", "b:2") == find(TWO, 1)
    assert find() == Members(2, 0, "x:1", "x:1") and find().is_chief


def test_the_chief_of_tf_config_is_first():
    cluster = {"worker": ["b:2", "c:3"], "chief": ["a:1"]}
    assert from_tf_config(tf_config(cluster, "chief", 0)) == Members(3, 0, "a:1", "a:1")
    assert from_tf_config(tf_config(cluster, "worker", 1)) == Members(3, 2, "a:1", "c:3")


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "must be JSON"),
        ("[]", "must be JSON"),
        ("{}", "must be JSON"),
        (tf_config({"worker": TWO, "ps": ["c:3"]}, "worker", 0), "Parameter servers update weights without waiting"),
        (tf_config({"worker": TWO}, "evaluator", 0), "There is no evaluator"),
        (tf_config({"worker": TWO}, "worker", 2), "this one among them"),
        (tf_config({"worker": TWO, "tpu": ["c:3"]}, "worker", 0), "chief and worker tasks"),
        (tf_config({"worker": ["a:1", "a:1"]}, "worker", 0), "an address of its own"),
        (tf_config({"worker": ["a", "b:2"]}, "worker", 0), "must be host:port. Received: 'a'"),
    ],
)
def test_tf_config_that_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        from_tf_config(text)


@pytest.mark.parametrize(
    "arguments", [("a:1", None), (None, 0), ("a:1,b:2", 2), ("a:1,b:2", -1), ("a:1,b", 0), ("", 0)]
)
def test_arguments_that_are_refused(arguments):
    with pytest.raises(InputError, match="Received: "):
        find(*arguments)
    with pytest.raises(InputError, match="needs to know the workers"):
        find()


def test_slurm():
    step = {"SLURM_NTASKS": "4", "SLURM_JOB_NODELIST": "n[2,10]", "SLURM_JOB_ID": "70"}
    chief = from_slurm({**step, "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURMD_NODENAME": "n2"})
    third = from_slurm({**step, "SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURMD_NODENAME": "n10"})
    assert chief == Members(4, 0, "n2:16120", "n2:16120")
    assert third == Members(4, 3, "n2:16120", "n10:16121")
    for missing in ("SLURM_NTASKS", "SLURM_JOB_NODELIST"):
        with pytest.raises(InputError, match=missing):
            from_slurm({name: value for name, value in {**step, "SLURM_PROCID": "0"}.items() if name != missing})
    with pytest.raises(InputError, match="SLURM_PROCID must be a number. Received: 'x'"):
        from_slurm({**step, "SLURM_PROCID": "x"})


@pytest.mark.parametrize(
    "nodes, first",
    [("n1", "n1"), ("n1,n2", "n1"), ("n[03-05,7],m2", "n03"), ("a-b.c[1,2]-x", "a-b.c1-x"), ("gpu[7]", "gpu7")],
)
def test_the_first_node(nodes, first):
    assert first_node(nodes) == first
    with pytest.raises(InputError, match="as Slurm writes it"):
        first_node("[" + nodes)


def test_addresses():
    assert split_address("host.example:80") == ("host.example", 80)
    assert split_address("[::1]:2222") == ("::1", 2222)
    for bad in ("host", "host:", ":1", "host:0", "host:70000", "a b:1", "::1:2"):
        with pytest.raises(InputError, match="must be host:port"):
            split_address(bad)
