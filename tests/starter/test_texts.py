"""A file with texts and labels."""

from tests.starter.proposals import rng, tried


def test_texts_are_inputs_by_their_words(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = [
        f"{rng(i).normal():.3f},the {'fine' if i % 2 else 'dull'} film of number {i},{i % 2}\n"
        for i in range(60)
    ]
    (tmp_path / "reviews.csv").write_text("points,review,label\n" + "".join(lines))
    proposal = tried("reviews.csv")
    assert proposal.tree["data"]["columns"] == {"review": "tf_idf"}
    assert ": numbers and frequencies of words.\n" in proposal.comments["$.model"]
