"""The last lines, however long the file; old files up to a number."""

from hypothesis import given
from hypothesis import strategies as st

from controller.runtime.process.logfiles import logged_instances, rotate, tail_of


@given(st.lists(st.text("abc", max_size=30), max_size=40), st.integers(0, 50), st.integers(0, 3000))
def test_the_tail_is_what_splitting_the_whole_would_give(tmp_path_factory, lines, count, padding):
    path = tmp_path_factory.mktemp("logs") / "web-0.log"
    lines = ["x" * 99] * padding + lines
    path.write_text("".join(line + "\n" for line in lines))
    assert tail_of(path, count) == (lines[-count:] if count else [])


def test_old_files_are_kept_up_to_a_number_and_read_on(tmp_path):
    path = tmp_path / "web-0.log"
    for round_ in "abcd":
        path.write_text(f"{round_}1\n{round_}2\n")
        assert rotate(path, limit=3, keep=2)
    path.write_text("e\n")
    assert not rotate(path, limit=3, keep=2)
    assert tail_of(path, 2) == ["d2", "e"]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["web-0.log", "web-0.log.1", "web-0.log.2"]


def test_a_neighbour_with_a_longer_name_is_not_ours(tmp_path):
    folder = tmp_path / "logs" / "services"
    folder.mkdir(parents=True)
    for name in ("web-10", "web-2", "web-admin-0", "home.web-0"):
        (folder / f"{name}.log").touch()
    assert logged_instances(tmp_path, "web") == ["web-2", "web-10"]
