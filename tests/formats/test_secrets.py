"""Secrets of Kubernetes objects and audit entries are in no table of rejects and in no error."""

import base64
import gzip
import json

import pytest
import yaml

from meshlogs import formats
from meshlogs.errors import InputError
from meshlogs.formats.shapes import excerpt, shape

HIDDEN = "hunter2"
CODED = base64.b64encode(HIDDEN.encode()).decode()
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {"user": CODED}}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-0", "namespace": "shop", "annotations": {
    "kubectl.kubernetes.io/last-applied-configuration": json.dumps({"env": [{"name": "A", "value": HIDDEN}]})}},
    "spec": {"containers": [{"name": "web", "env": [{"name": "A", "value": HIDDEN}], "args": ["--key", HIDDEN],
                             "command": ["sh", "-c", HIDDEN]}]}}  # fmt: skip
AUDIT = {"logName": "projects/p/logs/cloudaudit.googleapis.com%2Factivity", "timestamp": "2024-01-01T00:00:00Z",
         "resource": {"type": "k8s_cluster", "labels": {"cluster_name": "c"}}, "protoPayload": {
    "methodName": "io.k8s.core.v1.secrets.create", "resourceName": "core/v1/namespaces/shop/secrets/db",
    "request": SECRET, "response": POD}}  # fmt: skip


def tables(shard):
    parts = (shard.log_entries, shard.events, shard.pods, shard.rejects)
    return "".join(str(part.to_dict("records")) for part in parts)


def leaks(text):
    return [word for word in (HIDDEN, CODED) if word in text]


def damages(text):
    """The text whole, cut off anywhere, and damaged anywhere."""
    yield text
    for at in range(1, len(text), max(len(text) // 10, 1)):
        yield text[:at]
        yield text[:at] + "\x00\"'{" + text[at:]


def written():
    bare = {"metadata": {}, "data": {"user": CODED}}
    several = {"kind": "List", "apiVersion": "v1", "items": [POD, SECRET]}
    for value in (SECRET, POD, AUDIT, [AUDIT], several, {"kind": "SecretList", "apiVersion": "v1", "items": [bare]}):
        yield json.dumps(value)
        yield json.dumps(value, indent=2)
        if isinstance(value, dict):
            yield yaml.safe_dump(value)


@pytest.mark.parametrize("text", list(written()))
def test_no_damage_brings_a_secret_to_light(tmp_path, text):
    for number, damaged in enumerate(damages(text)):
        path = tmp_path / f"{number}.json"
        path.write_text(damaged)
        shard = formats.read_any(path)
        assert not leaks(str(shard.rejects.to_dict("records"))), damaged
        try:
            shard = formats.read(path)
        except InputError as error:
            assert not leaks(str(error)), damaged
        path.unlink()


@pytest.mark.parametrize("text", list(written()))
def test_what_is_well_formed_keeps_no_secret_in_any_table(tmp_path, text):
    (tmp_path / "x").write_text(text)
    assert not leaks(tables(formats.read(tmp_path / "x")))


def test_a_secret_in_a_compressed_file_that_is_cut_off(tmp_path):
    (tmp_path / "x.json.gz").write_bytes(gzip.compress(json.dumps(SECRET).encode(), mtime=0)[:-20])
    assert not leaks(tables(formats.read_any(tmp_path / "x.json.gz")))


@pytest.mark.parametrize("text", ["a: !hunter2 x\napiVersion: v1\nmetadata:\n", "apiVersion: v1\nmetadata: *hunter2\n"])
def test_the_reason_does_not_tell_either(tmp_path, text):
    (tmp_path / "x.yaml").write_text(text)
    shard = formats.read(tmp_path / "x.yaml", form="yaml")
    assert len(shard.rejects) and not leaks(str(shard.rejects.to_dict("records")))


def test_what_remains_says_what_it_was():
    told = excerpt(json.dumps(POD))
    assert '"kind": "Pod"' in told and '"name": "web-0"' in told and len(told) <= 200
    assert shape("kind: Secret\ndata:\n  a: b\n- c\n") == "kind: Secret\ndata:\n  a: …\n…"
    assert excerpt("dial tcp 10.0.0.9:6379: connection refused") == "dial tcp 10.0.0.9:6379: connection refused"


# Files of secrets that are no export.
FOREIGN = {
    ".env": ("DB_USER=web\nDB_PASSWORD=hunter2\nexport API_TOKEN=hunter2\n", "DB_USER, DB_PASSWORD, API_TOKEN"),
    "values.yaml": ("db:\n  password: hunter2\n  pin: 2\n", "db, password, pin"),
    "state.json": ('{"version":4,"kind":"hunter2","key": {"name":"hunter2"}}', "version, kind, key, name"),
    "kubeconfig": ("apiVersion: v1\nkind: Config\nusers:\n- user:\n    token: hunter2\n", "apiVersion, kind, users"),
    ".pgpass": ("host:5432:db:bob:hunter2\n", "(not shown"),
    "password.txt": ("hunter2\n", "(not shown"),
    "base64": (f"{CODED}\n", "(not shown"),
    "passwords.csv": ("name,url,username,password\nx,http://a,bob,hunter2\n", "(not shown"),
    "page.xml": ('<?xml version="1.0"?><a password="hunter2"/>', "(not shown"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_of_a_file_of_no_known_form_only_names_are_shown(name, tmp_path):
    text, shown = FOREIGN[name]
    (tmp_path / name).write_text(text)
    rejects = formats.read_any(tmp_path / name).rejects
    assert len(rejects) == 1 and rejects["excerpt"].str.startswith(shown).all()
    with pytest.raises(InputError) as caught:
        formats.read(tmp_path / name)
    assert not leaks(str(rejects.to_dict("records")) + str(caught.value))
