"""Fetching against a server that misbehaves: nothing but the whole, right file ever appears in the cache."""

import errno
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from absl import logging
from bad_server import serving

from kerascnn._errors import InputError
from kerascnn._preprocessing import IMAGENET
from kerascnn.weights import cache, download, places
from kerascnn.weights.catalogue import Weights

CONTENTS = b"\x89HDF\r\n\x1a\n" + np.random.default_rng(0).bytes(20_000)
SHA256, MD5 = hashlib.sha256(CONTENTS).hexdigest(), hashlib.md5(CONTENTS).hexdigest()


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    for name in ("KERASCNN_OFFLINE", "HF_HUB_OFFLINE", "KERASCNN_MIRROR", "HF_HUB_CACHE", "HF_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KERASCNN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(download, "PAUSE", 0.001)
    monkeypatch.setattr(download, "STALL", 0.15)
    monkeypatch.setattr(download, "SLOWEST", 1000)
    return tmp_path / "home"


@pytest.fixture
def server():
    with serving(CONTENTS) as running:
        yield running


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: lines.append(text % values))
    return lines


def row(location, **facts):
    known = {"hash": f"sha256:{SHA256[:8]}", "bytes": None, "format": ".h5", "library": "keras", "classes": 1000,
             "input_size": (224, 224), "test_size": None, "reported": {}, "licence": ""}  # fmt: skip
    return Weights(network="resnet50", tag="keras", location=location, preprocessing=IMAGENET, **{**known, **facts})


def files(home):
    """Everything in the cache that is no file for another time."""
    return sorted(path.name for path in home.rglob("*") if path.is_file() and not path.name.startswith("."))


@pytest.mark.parametrize("behavior", ["good", "cut", "busy", "to_good", "slow"])
def test_the_file_comes_whole(server, home, behavior):
    wanted = row(f"{server.url}/{behavior}/weights.h5")
    path = cache.obtain(wanted)
    assert path == home / "weights/keras/weights.h5" == cache.path_of(wanted) and path.read_bytes() == CONTENTS
    note = json.loads(path.with_name("weights.h5.json").read_bytes())
    assert note["sha256"] == SHA256 and note["against"] == f"the published sha256:{SHA256[:8]}"
    assert sorted(os.listdir(path.parent)) == ["weights.h5", "weights.h5.json"]
    count = len(server.asked)
    assert cache.obtain(wanted) == path and len(server.asked) == count  # and no server is asked again


BAD = {
    "other": "not the published one",
    "page": "begins with b'<!DOCTYPE",
    "short": "begins with|not the published one",
    "more": "not the published one",
    "nothing": "ended after 0 of 20,008 bytes",
    "early": "without response",
    "missing": "HTTP status 404",
    "chunked": "ended before the file did|ended after",
    "part_of_another": "status 206|another part",
    "zipped": "encoding",
    "loop": "redirects without end",
    "to_file": "redirect to file:",
    "to_ftp": "redirect to ftp:",
    "drip": "too slow|no answer",
    "drip_headers": "no answer",
    "silent": "no answer",
}


@pytest.mark.parametrize("behavior", BAD)
def test_what_is_wrong_never_appears(server, home, behavior, monkeypatch, said):
    monkeypatch.setattr(download, "TRIES", 1)
    with pytest.raises(InputError, match=BAD[behavior]) as caught:
        cache.obtain(row(f"{server.url}/{behavior}/weights.h5"))
    message = str(caught.value)
    assert files(home) == [] and "\n" not in message
    assert str(home / "weights/keras/weights.h5") in message and "KERASCNN_MIRROR" in message


@pytest.mark.parametrize("facts", [{"hash": f"md5:{'0' * 32}"}, {"hash": "sha256:00000000"}, {"bytes": 20_009}])
def test_what_is_published_counts(server, home, facts, said):
    with pytest.raises(InputError, match="not the published one|another length"):
        cache.obtain(row(f"{server.url}/good/weights.h5", **facts))
    assert files(home) == []


@pytest.mark.parametrize("facts", [{"hash": f"md5:{MD5}"}, {"hash": f"sha256:{SHA256}"}, {"bytes": 20_008}])
def test_every_kind_of_hash(server, facts):
    assert cache.obtain(row(f"{server.url}/good/weights.h5", **facts)).read_bytes() == CONTENTS


def test_from_https_only_to_https():
    redirects = download._Redirects()
    request = download.urllib.request.Request("https://example.org/file")
    with pytest.raises(download.Failed, match="from https to http, "):
        redirects.redirect_request(request, io.BytesIO(), 302, "", {}, "http://example.org/file")
    assert (
        redirects.redirect_request(request, io.BytesIO(), 302, "", {}, "https://other.org/x").full_url
        == "https://other.org/x"
    )


def test_a_redirect_asks_the_other_host(server):
    cache.obtain(row(f"{server.url}/to_localhost/weights.h5"))
    first, second = server.hosts
    assert first == server.url.removeprefix("http://") and second == first.replace("127.0.0.1", "localhost")


def test_what_the_hub_states_counts_where_no_hash_is_published(server, home, said):
    with pytest.raises(InputError, match="which has sha256:"):
        cache.obtain(row(f"{server.url}/to_other/weights.h5", hash=None))
    assert files(home) == []
    cache.obtain(row(f"{server.url}/to_good/weights.h5", hash=None))
    assert len(said) == 1  # that of the other file


def test_without_any_hash_the_first_use_is_trusted_and_counts_from_then_on(server, home, said):
    wanted = row(f"{server.url}/good/weights.h5", hash=None)
    path = cache.obtain(wanted)
    assert len(said) == 1 and "No hash is published" in said[0] and SHA256 in said[0]
    path.unlink()
    server.contents = CONTENTS[:-1] + b"?"
    with pytest.raises(InputError, match=f"not the one that was used before, which has sha256:{SHA256}"):
        cache.obtain(wanted)
    assert not path.exists()
    path.with_name("weights.h5.json").unlink()
    assert cache.obtain(wanted).read_bytes() == server.contents


def test_what_the_hub_changes_meanwhile_is_refused(server, home, said):
    wanted = row(f"{server.url}/to_good/weights.h5", hash=None)
    path = cache.obtain(wanted)
    path.unlink()
    server.contents = CONTENTS[:-1] + b"?"
    with pytest.raises(InputError, match="not the one that was used before"):
        cache.obtain(wanted)


@pytest.mark.parametrize("lock", ["none", "flock"])
def test_where_there_are_no_locks(server, monkeypatch, lock):
    if lock == "none":
        monkeypatch.setattr(cache, "fcntl", None)
    assert cache.obtain(row(f"{server.url}/good/weights.h5")).read_bytes() == CONTENTS


def test_what_was_broken_off_is_resumed(server, home, monkeypatch):
    wanted = row(f"{server.url}/cut/weights.h5")
    monkeypatch.setattr(download, "_MOST_TRIES", 2)
    with pytest.raises(InputError, match="ended after 8,000 of 20,008 bytes"):
        cache.obtain(wanted)
    assert files(home) == []
    monkeypatch.setattr(download, "_MOST_TRIES", 50)
    assert cache.obtain(wanted).read_bytes() == CONTENTS
    assert [span for _, span in server.asked[1:4]] == ["bytes=4000-", "bytes=8000-", "bytes=12000-"]


def test_a_file_that_changed_meanwhile_begins_anew(server, home, monkeypatch):
    wanted = row(f"{server.url}/cut/weights.h5")
    monkeypatch.setattr(download, "_MOST_TRIES", 1)
    with pytest.raises(InputError):
        cache.obtain(wanted)
    part = home / "weights/keras/.weights.h5.part"
    part.write_bytes(bytes(part.stat().st_size))  # of the former file
    server.etag = '"2"'
    monkeypatch.setattr(download, "_MOST_TRIES", 50)
    assert cache.obtain(wanted).read_bytes() == CONTENTS


def test_a_whole_part_that_was_not_renamed(server, home):
    part = home / "weights/keras/.weights.h5.part"
    part.parent.mkdir(parents=True)
    url = f"{server.url}/good/weights.h5"
    part.write_bytes(CONTENTS)
    part.with_name(".weights.h5.part.json").write_text(json.dumps({"url": url, "validator": '"1"'}))
    assert cache.obtain(row(url)).read_bytes() == CONTENTS


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(server, home, monkeypatch, code):
    def full(response, part, start, total, progress):
        with download._written(part, start) as file:
            file.write(b"\x89HDF" * 100)
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(download, "_copy", full)
    with pytest.raises(InputError, match="no room"):
        cache.obtain(row(f"{server.url}/good/weights.h5"))
    assert files(home) == [] and not any(path.stat().st_size for path in home.rglob("*.part"))


def test_too_little_room_is_said_before_anything_is_written(server, home, monkeypatch):
    usage = download.shutil.disk_usage(".")._replace(free=10_000)
    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(InputError, match="20,008 bytes are needed, and 10,000 are free"):
        cache.obtain(row(f"{server.url}/good/weights.h5"))


def test_two_at_once_fetch_once(server, home, said):
    wanted, found = row(f"{server.url}/slow/weights.h5"), []
    threads = [threading.Thread(target=lambda: found.append(cache.obtain(wanted))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and len(server.asked) == 1 and found[0].read_bytes() == CONTENTS
    assert any("Another process is fetching weights.h5" in line for line in said)
    assert sorted(os.listdir(found[0].parent)) == ["weights.h5", "weights.h5.json"]


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a kill of POSIX")
def test_a_kill_half_way(server, home, monkeypatch):
    url = f"{server.url}/slow/weights.h5"
    code = f"""
import threading, os, time
from kerascnn.weights import download
from pathlib import Path
part = Path({str(home)!r}) / "weights/keras/.weights.h5.part"
part.parent.mkdir(parents=True)
part.touch()
def progress(done, total):
    if done > 5000:
        os.kill(os.getpid(), 9)
download.download({url!r}, part, progress=progress)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert files(home) == []
    assert cache.obtain(row(url)).read_bytes() == CONTENTS


def test_no_network_is_one_quick_error(home):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/weights.h5"
    start = time.monotonic()
    with pytest.raises(InputError) as caught:
        cache.obtain(row(url))
    assert time.monotonic() - start < 1
    message = str(caught.value)
    for part in (url, "refused", f"to {home}/weights/keras/weights.h5", "KERASCNN_MIRROR", "weights='keras'"):
        assert part in message


@pytest.mark.parametrize("name", ["KERASCNN_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_asks_nobody(server, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    with pytest.raises(InputError, match=f"not asked, as {name} is set"):
        cache.obtain(row(f"{server.url}/good/weights.h5"))
    assert not server.asked
    monkeypatch.setenv(name, "0")
    cache.obtain(row(f"{server.url}/good/weights.h5"))


def test_a_file_placed_by_hand(home):
    wanted = row("https://example.org/weights.h5")
    path = cache.path_of(wanted)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENTS)
    assert cache.obtain(wanted) == path
    assert json.loads(path.with_name("weights.h5.json").read_bytes())["from"] == "placed by hand"
    path.write_bytes(CONTENTS[:-1] + b"?")
    with pytest.raises(InputError, match="not the one that was used before.*delete it"):
        cache.obtain(wanted)


def test_verify_reads_what_did_not_change(home):
    wanted = row("https://example.org/weights.h5")
    path = cache.path_of(wanted)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENTS)
    cache.obtain(wanted)
    status = path.stat()
    path.write_bytes(CONTENTS[:-1] + b"?")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # a disk that rots
    assert cache.obtain(wanted) == path
    with pytest.raises(InputError, match="not the one that was used before"):
        cache.verify(wanted, path, thoroughly=True)


def test_a_mirror_comes_first(server, home, tmp_path, monkeypatch, said):
    wanted = row(f"{server.url}/missing/weights.h5")
    mirror = tmp_path / "mirror"
    (mirror / "keras").mkdir(parents=True)
    (mirror / "keras/weights.h5").write_bytes(CONTENTS)
    monkeypatch.setenv("KERASCNN_MIRROR", str(mirror))
    monkeypatch.setenv("KERASCNN_OFFLINE", "1")
    assert cache.obtain(wanted).read_bytes() == CONTENTS and not server.asked
    cache.path_of(wanted).unlink()
    monkeypatch.delenv("KERASCNN_OFFLINE")
    monkeypatch.setenv("KERASCNN_MIRROR", f"{server.url}/good")
    assert cache.obtain(wanted).read_bytes() == CONTENTS
    assert [path for path, _ in server.asked] == ["/good/keras/weights.h5"]
    cache.path_of(wanted).unlink()
    (mirror / "keras/weights.h5").write_bytes(CONTENTS[:-1])
    monkeypatch.setenv("KERASCNN_MIRROR", str(mirror))
    with pytest.raises(InputError, match="not the published one.*HTTP status 404"):
        cache.obtain(wanted)
    monkeypatch.setenv("KERASCNN_MIRROR", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="KERASCNN_MIRROR must be a folder"):
        cache.obtain(wanted)


def test_the_hub_and_its_own_cache(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", f"{server.url}/missing/")
    wanted = row("hf:timm/resnet50.a1_in1k", hash=None, format=".safetensors")
    assert wanted.file == "resnet50.a1_in1k.safetensors"
    with pytest.raises(InputError, match="resnet50.a1_in1k.safetensors"):
        cache.obtain(wanted)
    assert server.asked[0][0] == "/missing/timm/resnet50.a1_in1k/resolve/main/model.safetensors"
    blobs = tmp_path / "hub/hub/models--timm--resnet50.a1_in1k"
    for folder in ("refs", "blobs", "snapshots/abc"):
        (blobs / folder).mkdir(parents=True)
    (blobs / "refs/main").write_text("abc")
    (blobs / "blobs" / SHA256).write_bytes(CONTENTS)
    (blobs / "snapshots/abc/model.safetensors").symlink_to(blobs / "blobs" / SHA256)
    assert cache.obtain(wanted).read_bytes() == CONTENTS
    (blobs / "blobs" / SHA256).write_bytes(CONTENTS[:-1])
    with pytest.raises(InputError, match="not the published one"):
        cache.obtain(wanted)


def test_progress_is_shown_on_a_terminal_alone(server, monkeypatch, capsys):
    cache.obtain(row(f"{server.url}/slow/weights.h5"))
    assert capsys.readouterr() == ("", "")
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes it for a terminal
    monkeypatch.setenv("COLUMNS", "120")
    cache.obtain(row(f"{server.url}/slow/other.h5"))
    out, shown = capsys.readouterr()
    assert out == "" and "keras for resnet50" in shown and "kB" in shown


def test_where_files_are_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    assert places.home() == tmp_path / "home"
    monkeypatch.delenv("KERASCNN_HOME")
    assert places.home() == tmp_path / "keras/kerascnn"
    monkeypatch.delenv("KERAS_HOME")
    assert places.home().parts[-2:] == (".keras", "kerascnn")


def test_a_cache_that_cannot_be_written(home):
    home.mkdir()
    (home / "weights").write_text("a file")
    with pytest.raises(InputError, match="cannot be kept"):
        cache.obtain(row("https://example.org/weights.h5"))
