"""Finding files, and the form of each."""

import json
import pickle

import pytest

from meshlogs import formats
from meshlogs.errors import InputError

ENTRY = json.dumps({"logName": "projects/p/logs/stdout", "textPayload": "x", "timestamp": "2020-01-01T00:00:00Z"})


def write(root, *places, text=ENTRY):
    for place in places:
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)


def sources(*paths):
    return [source for _, source in formats.files(paths)]


def test_files_of_a_folder_at_any_depth_sorted(tmp_path):
    write(tmp_path, "stdout/2020/03/31/10:00:00_10:59:59_S0.json", "b.json", "a/z.json", ".hidden", ".git/x")
    assert sources(tmp_path) == ["a/z.json", "b.json", "stdout/2020/03/31/10:00:00_10:59:59_S0.json"]
    assert sources(tmp_path / "b.json") == ["b.json"]
    assert sources(str(tmp_path), tmp_path / "b.json") == sources(tmp_path)  # each file once


def test_equal_names_are_told_apart(tmp_path):
    write(tmp_path, "one/x.json", "two/x.json", "other/one/x.json")
    assert sources(tmp_path / "one", tmp_path / "two") == ["one/x.json", "two/x.json"]
    assert sources(tmp_path / "one/x.json", tmp_path / "two/x.json") == ["one/x.json", "two/x.json"]
    assert sources(tmp_path / "one", tmp_path / "other/one") == ["one/x.json", "one/x.json#2"]


def test_links_that_lead_out_are_not_followed(tmp_path):
    write(tmp_path, "outside/secret.json", "in/x.json")
    (tmp_path / "in/link.json").symlink_to(tmp_path / "outside/secret.json")
    (tmp_path / "in/folder").symlink_to(tmp_path / "outside")
    (tmp_path / "in/again.json").symlink_to(tmp_path / "in/x.json")
    (tmp_path / "in/loop").symlink_to(tmp_path / "in")
    (tmp_path / "in/dangling").symlink_to(tmp_path / "nowhere")
    assert len(sources(tmp_path / "in")) == 1


def test_missing_paths_and_empty_folders(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        formats.files([tmp_path / "none"])
    (tmp_path / "empty/deep").mkdir(parents=True)
    with pytest.raises(InputError, match="without any file"):
        formats.files([tmp_path / "empty"])


def test_an_empty_file_is_a_shard_without_rows(tmp_path):
    for text in ("", "\n \n"):
        write(tmp_path, "x.json", text=text)
        shard = formats.read(tmp_path / "x.json")
        assert (shard.form, shard.records, len(shard.log_entries)) == ("empty", 0, 0)


def test_a_file_of_no_known_form(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"\x1b[31m\x00secret" + b"s" * 500)
    with pytest.raises(InputError) as caught:
        formats.read(tmp_path / "x.bin")
    text = str(caught.value)
    assert "log_entries" in text and "pod_logs" in text
    assert "\x1b" not in text and len(text.replace(str(tmp_path), "")) < 400
    assert str(pickle.loads(pickle.dumps(caught.value))) == text
    shard = formats.read_any(tmp_path / "x.bin", source="in/x.bin")
    assert (len(shard.rejects), shard.records) == (1, 1)
    assert shard.rejects["reason"].iloc[0].startswith("no known form (tried warehouse, log_entries")
    assert shard.rejects["source"].iloc[0] == "in/x.bin"


@pytest.mark.parametrize(
    "table",
    [
        "NAME                 READY   STATUS    RESTARTS   AGE\nweb-67d56cdd-g7fvb   0/2     Init:0/2   0         5m\n",
        "NAMESPACE   NAME                 READY   STATUS\nshop        web-67d56cdd-g7fvb   2/2     Running\n",
        "5m12s       Normal    Scheduled           pod/web-67d56cdd-g7fvb   Successfully assigned shop/web to node-1\n",
        "shop   2m (x9 over 5m)   Warning   Unhealthy   pod/web-67d56cdd-g7fvb   Readiness probe failed\n",
    ],
)  # fmt: skip
def test_a_table_for_people_is_told_with_what_to_do(table, tmp_path):
    (tmp_path / "x.txt").write_text(table)
    with pytest.raises(InputError, match=r"ages are no times; it begins with .* Save it with '-o json'"):
        formats.read(tmp_path / "x.txt")
    assert formats.read_any(tmp_path / "x.txt").rejects["reason"].str.startswith("a table that kubectl prints").all()


def test_a_form_may_be_named(tmp_path):
    write(tmp_path, "x.json")
    assert formats.read(tmp_path / "x.json", form="log_entries", source="s").log_entries["source"].tolist() == ["s"]
    with pytest.raises(InputError, match="no form named"):
        formats.read(tmp_path / "x.json", form="telegraph")


@pytest.mark.parametrize("form", formats.FORMATS)
def test_every_form_describes_itself_and_finds_its_own_example(form, tmp_path):
    module = formats.FORMATS[form]
    assert module.__doc__.strip().splitlines()[0].endswith((".", ":"))
    path = tmp_path / "example.log"
    path.write_text(module.EXAMPLE)
    shard = formats.read(path)
    assert shard.form == form
    assert len(shard.log_entries) + len(shard.events) > 0
    assert shard.rejects.empty


def test_kubernetes_lists_are_not_taken_for_log_entries(tmp_path):
    pod = {"metadata": {"name": "p", "annotations": {"note": '{"logName": "x", "insertId": "y"}'}},
           "spec": {"containers": [{"name": "c"}]}}  # fmt: skip
    text = json.dumps({"apiVersion": "v1", "kind": "PodList", "items": [pod]})
    write(tmp_path, "x", text=text)
    assert formats.detect(tmp_path / "x") == "k8s_objects"
