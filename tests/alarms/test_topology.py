"""Reachability against a plain oracle, on any graph."""

from __future__ import annotations

import random
import time

from hypothesis import given
from hypothesis import strategies as st

from ioc.alarms.model import Impact
from ioc.alarms.topology import Topology
from ioc.inventory import Asset, Site

from .world import ring_and_spur, site, span, station


@st.composite
def networks(draw: st.DrawFn) -> tuple[list[Site], list[Asset], set[str]]:
    count = draw(st.integers(2, 12))
    cores = draw(st.integers(1, 2))
    ends = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(ends, ends).filter(lambda ab: ab[0] != ab[1]), max_size=25))
    sites = [site(f"N{n}", core=n < cores) for n in range(count)]
    spans = [span(f"E{n:02}", f"N{a}", f"N{b}") for n, (a, b) in enumerate(pairs)]
    failed = {one.id for one in spans if draw(st.booleans())}
    return sites, [*spans, *(station(f"K{n}", f"N{n}") for n in range(count))], failed


def reach(sites: list[Site], spans: list[Asset], failed: set[str]) -> set[str]:
    """The oracle: widen the set of reached sites until nothing is added."""
    reached = {one.id for one in sites if one.core}
    while True:
        wider = reached | {
            end
            for one in spans
            if one.id not in failed and {one.site, one.far_site} & reached
            for end in (one.site, one.far_site)
        }
        if wider == reached:
            return reached
        reached = wider


@given(networks())
def test_who_is_cut_off(network: tuple[list[Site], list[Asset], set[str]]) -> None:
    sites, assets, failed = network
    spans = [one for one in assets if one.far_site]
    topology = Topology(sites, assets)
    topology.recompute(failed)
    cut = reach(sites, spans, set()) - reach(sites, spans, failed)
    assert {one for region in topology.regions for one in region.sites} == cut
    for asset in assets:
        ends = {asset.site, asset.far_site or asset.site}
        assert (topology.region_of(asset) is not None) == (ends <= cut)
    assert topology.impact(topology.regions) == Impact(
        assets=sum({one.site, one.far_site or one.site} <= cut for one in assets),
        stations=len(cut),
        population=100 * len(cut),
    )


@given(networks())
def test_every_region_names_spans_whose_repair_reaches_further(
    network: tuple[list[Site], list[Asset], set[str]],
) -> None:
    sites, assets, failed = network
    spans = [one for one in assets if one.far_site]
    topology = Topology(sites, assets)
    topology.recompute(failed)
    reached = reach(sites, spans, failed)
    for region in topology.regions:
        assert region.boundary
        for name in region.boundary:
            assert name in failed
            assert len(reach(sites, spans, failed - {name})) > len(reached)
        # Repairing the boundary and all that is behind it brings the region back.
        behind = {one.id for one in spans if not {one.site, one.far_site} & reached}
        assert region.sites <= reach(sites, spans, failed - set(region.boundary) - behind)


def test_a_site_that_is_not_wired_is_not_cut_off() -> None:
    sites, assets = ring_and_spur()
    alone = station("Z1", "Z")
    topology = Topology([*sites, site("Z")], [*assets, alone])
    topology.recompute({"S1"})
    assert topology.region_of(alone) is None
    assert not topology.can_be_cut_off(alone)
    assert topology.can_be_cut_off(assets[-1])


def test_a_province_takes_a_few_milliseconds() -> None:
    random.seed(5)
    count = 1600
    sites = [site(f"N{n}", core=n < 2) for n in range(count)]
    spans = [
        span(f"E{n}", f"N{n % (count - 2) + 2}", f"N{random.randrange(n % (count - 2) + 2)}")
        for n in range(4000)
    ]
    topology = Topology(sites, spans)
    began = time.process_time()
    for n in range(20):
        topology.recompute({f"E{n}", f"E{n + 1598}", f"E{n + 3196}"})
    assert (time.process_time() - began) / 20 < 0.05  # 2 ms on the machine it was written on
