"""Starter specs of time series: they run as they are, and forecast."""

import numpy as np
import pytest

import nnreg
from nnreg.errors import UsageError
from nnreg.starter.propose import examine
from nnreg.starter.trial import ProposalTrial

DAYS = np.datetime_as_string(np.datetime64("2024-01-01") + np.arange(120)).tolist()
WEEKS = (50 + 9 * np.sin(np.arange(120) * 2 * np.pi / 7)).round(3).tolist()


def written(tmp_path, head, *columns):
    rows = [head, *(",".join(map(str, row)) for row in zip(*columns, strict=True))]
    (tmp_path / "data.csv").write_text("\n".join(rows) + "\n")
    return tmp_path / "data.csv"


def test_a_date_and_a_value_are_a_series_whose_spec_runs_and_forecasts(tmp_path):
    data = written(tmp_path, "day,sales", DAYS, WEEKS)
    proposal = nnreg.propose(data, directory=tmp_path)
    assert proposal.tree["data"]["window"]["order"] == "day"
    assert proposal.inputs == ()
    assert not proposal.excluded
    (tmp_path / "spec.json").write_text(proposal.text())
    model = nnreg.run(tmp_path / "spec.json", overrides=["train.epochs=2"], out=tmp_path / "run")
    found = model.forecast({"day": DAYS, "sales": WEEKS})
    assert found["day"][0] == "2024-04-30"
    assert len(found["prediction"]) == 7


def test_a_table_of_many_columns_is_no_series(tmp_path):
    others = np.random.default_rng(0).normal(size=(4, 120)).round(3).tolist()
    data = written(tmp_path, "day,a,b,c,d,sales", DAYS, *others, WEEKS)
    proposal = nnreg.propose(data, directory=tmp_path)
    assert "window" not in proposal.tree["data"]
    assert proposal.inputs == ("day", "a", "b", "c", "d")


def test_the_networks_of_a_series_are_not_compared(tmp_path):
    with pytest.raises(UsageError, match="is a time series, for which --try has no other"):
        ProposalTrial(examine(written(tmp_path, "day,sales", DAYS, WEEKS)))
