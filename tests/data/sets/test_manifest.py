"""Tables of image files."""

import numpy as np
import pytest
from PIL import Image

from kerascnn import data
from kerascnn._errors import InputError

ROWS = [(f"{'ab'[i % 2]}{i}.png", ("10", "9")[i % 2], ("train", "VAL", "test")[max(0, i - 7)]) for i in range(10)]


def write(folder, rows=ROWS, header="path,label,split", name="set.csv", delimiter=","):
    """The table and a small image for each row."""
    for number, row in enumerate(rows):
        if row and not (folder / row[0]).exists():
            Image.fromarray(np.full([4, 5, 3], number, np.uint8)).save(folder / row[0])
    lines = [header.replace(",", delimiter), *(delimiter.join(row) for row in rows)]
    (folder / name).write_text("\ufeff" + "\r\n".join(lines) + "\r\n", encoding="utf-8")
    return folder / name


def test_parts_labels_and_pixels(tmp_path):
    source = data.load(write(tmp_path))
    assert source.name == "set" and source.class_names == ("9", "10")  # whole numbers in their order
    assert source.sizes == {"train": 8, "validation": 1, "test": 1}
    assert source.split("train").names == [row[0] for row in ROWS[:8]]
    images, labels = zip(*source.dataset("train").as_numpy_iterator(), strict=True)
    assert list(labels) == [1, 0] * 4 and [int(image[0, 0, 0]) for image in images] == list(range(8))
    again = data.load(**source.location)  # from anywhere
    assert again.record() == source.record()


def test_tabs_other_columns_and_missing_parts(tmp_path):
    rows = [(row[0], "note, with a comma", f"class {row[1]}") for row in ROWS]
    source = data.load(write(tmp_path, rows, "Path,remark,LABEL", "set.tsv", "\t"))
    assert source.class_names == ("class 10", "class 9") and sum(source.sizes.values()) == 10
    assert min(source.sizes.values()) >= 1


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("path,class", ROWS, r"must name its columns, path and label.*Received: \['path', 'class'\]"),
        ("path,path,label", ROWS, "each once"),
        ("path,label,split", [*ROWS[:2], ("a.png", "1")], "must have 3 values.*Received: 2 in line 4 of "),
        ("path,label,split", [*ROWS[:2], ("a.png", "", "train")], "no label in line 4"),
        ("path,label,split", [*ROWS[:2], ("a.png", "1", "dev")], "split must be one of train, val.*'dev' in line 4"),
        ("path,label,split", [*ROWS[:2], ROWS[0]], "a0.png a second time in line 4"),
        ("path,label,split", [], "has none"),
        ("path,label,split", [(row[0], row[1], "test") for row in ROWS], "rows of the split train"),
        ("path,label,split", [*ROWS[:8], ("a8.png", "11", "test")], r"must be labels of train. Received: \['11'\]"),
        ("path,label,split", [*ROWS[:2], ('"a.png', "1", "train")], "cannot be read"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, header, rows, message):
    with pytest.raises(InputError, match=message):
        data.load(write(tmp_path, rows, header))


def test_files_that_are_not_there_or_no_table(tmp_path):
    table = write(tmp_path)
    (tmp_path / "b1.png").unlink()
    with pytest.raises(InputError, match=r"Every path must lead to a file.*Received: b1.png \(1 such paths\)"):
        data.load(table)
    table.write_bytes(b"path,label\n\xff\xfe,1\n")
    with pytest.raises(InputError, match="cannot be read"):
        data.load(table)
    with pytest.raises(InputError, match="must have masks"):
        data.load(write(tmp_path), task="segmentation")
