"""`hpsearch register`: what it prints, and what it refuses."""

from tests import blank
from tests.api.test_register import trained


def test_a_model_is_registered_and_the_same_command_finds_its_version(call, tmp_path):
    model, home = trained(tmp_path / "model"), blank.home(tmp_path / "home")
    for _ in range(2):
        code, out, err = call("register", model, "mail sorter", "--home", home)
        assert (code, err) == (0, "")
        assert out == "registered: mail sorter version 1, alias champion  ('models:/mail sorter/1')\n"
    code, out, _ = call("register", model, "mail sorter", "--alias", "live", "--home", home)
    assert out == "registered: mail sorter version 1, alias live  ('models:/mail sorter/1')\n"


def test_what_is_no_model_of_a_final_training_is_one_line(call, tmp_path):
    code, out, err = call("register", tmp_path, "mail", "--home", tmp_path / "home")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {tmp_path}: has no run.json of a final training that has ended; ")
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "home").exists()
