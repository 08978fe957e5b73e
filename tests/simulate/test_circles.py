"""The demo shop's audiences: somebody is in them, and live is batch."""

from pathlib import Path

from tillit import clock
from tillit.audience import AUDIENCE
from tillit.simulate import write_history
from tillit.simulate.circles import keep_circles
from tillit.simulate.shop import Shop
from tillit.simulate.truth import Truth
from tillit.workspace import Workspace, create_workspace


def test_the_demo_has_audiences_with_people_in_them_and_keeps_what_somebody_changed(tmp_path: Path) -> None:
    create_workspace(tmp_path / "shop")
    with Workspace(tmp_path / "shop") as ws:
        shop = Shop(1, 300, end=clock.now_us())
        write_history(ws, shop, Truth.begin(tmp_path / "truth.db", shop), at_once=True)
        ws.flush()
        keep_circles(ws)
        n_applied = len(ws.audiences.history(AUDIENCE))
        keep_circles(ws)

        sizes = {one["audience"]: one["members"] for one in ws.audiences.overview()}
        assert sizes["regulars"] > sizes["lapsing-regulars"] > 0
        assert {one["state"] for one in ws.audiences.overview()} == {"live"}
        assert len(ws.audiences.history(AUDIENCE)) == n_applied
        checks = [ws.audiences.check(name) for name in sizes]
        assert {(one["only_live"], one["only_batch"]) for one in checks} == {(0, 0)}
