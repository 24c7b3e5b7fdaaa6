"""The page: its files, and what it does in a browser, where playwright and Chromium are installed."""

import contextlib
import http.client
import io
import os
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console
from server.page_models import SIZE, write_model
from server.running_server import ask, model, running

from kerascnn.cli.commands import serve
from kerascnn.serving import Client
from kerascnn.serving.server import web

PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    models = [model(write_model(folder / name, name == "colors"), name) for name in ("colors", "plain")]
    with running(*models) as server:
        yield server


def picture(color, size=(40, 60)):
    return tf.io.encode_png(np.broadcast_to(np.uint8(color), (*size, 3))).numpy()


def test_the_files_and_their_headers(server):
    assert {"index.html", "page.js", "style.css", "icon.svg"} <= set(web.files())
    for name, contents in web.files().items():
        path = "/" if name == "index.html" else f"/web/{name}"
        status, headers, got = _get(server, path)
        assert (status, got) == (200, contents)
        kinds = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
        assert headers["Content-Type"] == f"{kinds[name.rpartition('.')[2]]}; charset=utf-8"
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none';") and "unsafe" not in policy and "http" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert ask(server, "GET", "/web/models.json")[2] == {"models": ["colors", "plain"], "max_body": 64 * 2**20}


def test_only_the_files_are_given(server):
    for path in ("/web/", "/web/web.py", "/web/../rest.py", "/web/%2e%2e/rest.py", "/web/index.html", "/index.html"):
        assert _get(server, path)[0] == 404, path
    assert ask(server, "POST", "/", b"")[0] == 404 and ask(server, "GET", "/v1/models")[0] == 400


def test_the_command_tells_where_it_is(server):
    told = io.StringIO()
    serve._announce(server, ["colors"], Console(file=told))
    assert f"Page: http://127.0.0.1:{server.port}/\n" in told.getvalue()


def test_nothing_is_inline_or_from_outside():
    for name, contents in web.files().items():
        text = contents.decode().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[a-z]+\.|@import|\beval\(|innerHTML", text), name
    page = web.files()["index.html"].decode()
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*src=)", page)
    assert set(re.findall(r'(?:src|href)="/web/([^"]+)"', page)) <= set(web.files())
    for control in re.findall(r'<(?:input|select)(?: [a-z]+="[^"]*")*? id="([^"]+)"', page):
        assert f'for="{control}"' in page, control


def _get(server, path):
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser, server):
    """The page in a window of its own; nothing may go wrong in it, and nothing may be asked of others."""
    context = browser.new_context(color_scheme="light")
    opened = context.new_page()
    said, asked = [], []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(f"http://127.0.0.1:{server.port}/")
    opened.wait_for_selector("#version:not(:empty)")
    yield opened
    context.close()
    assert not [text for text in said if "400 (Bad Request)" not in text], said
    assert all(url.startswith((f"http://127.0.0.1:{server.port}/", "blob:", "data:")) for url in asked), asked


def give(page, contents, name="picture.png", kind="image/png"):
    page.set_input_files("#file", {"name": name, "mimeType": kind, "buffer": contents})


def classes(page):
    page.wait_for_selector(".classes li")
    return list(zip(page.locator(".name").all_inner_texts(), page.locator(".percent").all_inner_texts(), strict=True))


def test_an_image_is_classified_and_explained(page, server):
    half = np.zeros((SIZE, SIZE, 3), np.uint8)
    half[:, : SIZE // 2, 2] = 255  # blue at the left
    give(page, tf.io.encode_png(half).numpy())
    page.wait_for_selector("#explanation:not([hidden])")
    [expected] = Client(f"http://127.0.0.1:{server.port}", "colors").classify([half])
    assert classes(page) == [(name, f"{100 * value:.1f}%") for name, value in expected]
    assert page.locator("#told").inner_text() == f"picture.png: blue, {100 * expected[0][1]:.1f}%"
    assert re.fullmatch(r"Answered in [\d.]+ ms, .*", page.locator("#latency").inner_text())
    assert "What speaks for blue" in page.locator("#explained").inner_text()
    widths = page.evaluate("[...document.querySelectorAll('.bar span')].map((bar) => parseFloat(bar.style.width))")
    np.testing.assert_allclose(widths, [100 * value for _, value in expected], rtol=1e-4)
    assert page.locator("#preview").evaluate("image => [image.naturalWidth, image.naturalHeight]") == [SIZE, SIZE]
    left, right = map_colors(page)
    assert left[0] > 200 and left[1] > 200 and right[0] < 60, (left, right)  # high at the left, low at the right
    page.locator("#strength").fill("0")
    assert map_colors(page) == [[0, 0, 255], [0, 0, 0]]  # the image alone


def map_colors(page):
    """The color at the left and at the right end of the map, at full strength unless it was changed."""
    if page.locator("#strength").input_value() == "60":
        page.locator("#strength").fill("100")
    return page.evaluate(
        """() => {
          const map = document.getElementById("map");
          const at = (x) => [...map.getContext("2d").getImageData(x, map.height / 2, 1, 1).data.slice(0, 3)];
          return [at(4), at(map.width - 4)];
        }"""
    )


def test_a_model_without_explanations_says_so(page):
    page.select_option("#model", "plain")
    page.get_by_role("button", name="Sample: a flower").click()
    page.wait_for_selector("#unexplained:not(:empty)")
    assert "no signature called explain" in page.locator("#unexplained").inner_text()
    assert len(classes(page)) == 3 and page.locator("#explanation").is_hidden()
    page.select_option("#model", "colors")  # the same image is asked about again
    page.wait_for_selector("#explanation:not([hidden])")
    assert page.locator("#unexplained").inner_text() == ""


def test_what_is_no_image_is_told(page):
    give(page, b"none")
    page.wait_for_selector("#problem:not([hidden])")
    assert page.locator("#problem").inner_text() == "The image cannot be read: it is no image"
    give(page, b"neither is this one")
    page.wait_for_selector("#problem:has-text('format')")
    assert not page.locator(".classes li").count()
    give(page, picture([0, 200, 0]))
    assert classes(page)[0][0] == "green" and page.locator("#problem").is_hidden()


def test_other_files_are_sent_as_jpeg(page):
    shape = b'<rect width="40" height="30" fill="#00f"/>'
    vector = b'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30">' + shape + b"</svg>"
    give(page, vector, "vector.svg", "image/svg+xml")
    page.wait_for_selector(".classes li, #problem:not([hidden])")
    told = page.locator("#problem").inner_text() or classes(page)[0][0]
    assert told in ("blue", "This browser cannot read the file as an image.")


def test_an_image_can_be_dropped(page):
    page.evaluate(
        """async () => {
          const canvas = document.createElement("canvas");
          canvas.getContext("2d").fillStyle = "#f00";
          canvas.getContext("2d").fillRect(0, 0, 999, 999);
          const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
          const data = new DataTransfer();
          data.items.add(new File([blob], "dropped.png", { type: "image/png" }));
          document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
        }"""
    )
    assert classes(page)[0][0] == "red"
    assert page.locator("#told").inner_text().startswith("dropped.png: red")


def test_it_is_used_by_the_keyboard_alone(page):
    reached = []
    for _ in range(9):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.ariaLabel"))
    assert reached[:4] == ["model", "file", "photo", "Sample: a digit"]
    page.get_by_role("button", name="Sample: a cat").focus()
    page.keyboard.press("Enter")
    assert len(classes(page)) == 3
    outline = page.get_by_role("button", name="Sample: a cat").evaluate(
        "button => getComputedStyle(button).outlineStyle"
    )
    assert outline == "solid"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_can_be_read(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(PHONE)
    give(page, picture([0, 0, 255]), name="a" * 200 + ".png")
    page.wait_for_selector("#explanation:not([hidden])")
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    small = page.evaluate(
        """[...document.querySelectorAll("button, select, .button")]
          .filter((control) => control.getBoundingClientRect().height < 44).map((control) => control.outerHTML)"""
    )
    assert not small  # for fingers
    for selector in ("h1", ".name", ".percent", ".note", ".primary", "footer p", "legend", "a"):
        assert contrast(page, selector) >= 4.5, selector


def contrast(page, selector):
    """Of a text to what is behind it, as WCAG 2.2 defines it."""
    text, behind = page.locator(selector).first.evaluate(
        """element => {
          let behind = element;
          const color = (x) => getComputedStyle(x).backgroundColor;
          while (behind.parentElement && color(behind) === "rgba(0, 0, 0, 0)") behind = behind.parentElement;
          return [getComputedStyle(element).color, color(behind)].map((x) => x.match(/\\d+/g).slice(0, 3).map(Number));
        }"""
    )

    def luminance(rgb):
        parts = np.array(rgb) / 255
        return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]

    low, high = sorted((luminance(text), luminance(behind)))
    return (high + 0.05) / (low + 0.05)
