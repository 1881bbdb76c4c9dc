"""Each model of models/ has the answers of nnreg in every format, and is on the page."""

import pytest

import nnreg
from nnreg.exporters.api import TOLERANCE
from tests.exporters import page
from tests.exporters.formats import FORMATS, require


def test_the_page_has_each_model_in_each_format():
    stated = page.ROW.findall(page.PAGE.read_text())
    expected = {(name, form) for name in page.models() for form in ("nnreg", *FORMATS)}
    assert {(name, form) for name, form, _ in stated} == expected
    assert max(float(difference) for _, _, difference in stated) <= TOLERANCE


@pytest.fixture(scope="module")
def trained(request, tmp_path_factory):
    data = page.MADE.get(request.param)
    if data is not None and not data.exists():
        pytest.skip(
            f"{data.name} is not there; python models/make_data.py {request.param} makes it"
        )
    directory = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(page.ROOT)
        return page.trained(page.models()[request.param], directory / "run")


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("trained", page.models(), indirect=True)
def test_a_model_has_the_answers_of_nnreg(trained, form, tmp_path):
    require(form)
    assert nnreg.export(trained, tmp_path / FORMATS[form], to=form).difference <= TOLERANCE
