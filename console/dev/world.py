"""The synthetic province and the catalog as the API gives them, for the mock server (development).

Prints one JSON object: ``map``, ``catalog`` and ``assets`` (the inventory's rows by id).
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import msgspec
import yaml

from ioc.catalog import load_catalog
from ioc.web.views import kind_view
from ioc.inventory.province import load_province
from simulators.world import build_world

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    scale = float(sys.argv[1])
    profile = yaml.safe_load((ROOT / "provinces" / "khanh-hoa.yaml").read_text(encoding="utf-8"))
    sites, assets = build_world(load_province("khanh-hoa"), seed=1, scale=scale)
    catalog = load_catalog()
    index = {site.id: number for number, site in enumerate(sites)}
    centers = {asset.site for asset in assets if asset.kind == "dc_site"}
    box = profile["bbox"]
    document = {
        "map": {
            "inventory_version": 1,
            "bbox": [box["west"], box["south"], box["east"], box["north"]],
            "communes": [
                {name: commune[name] for name in ("code", "name", "lat", "lon", "population")}
                for commune in profile["communes"]
            ],
            "sites": [
                {
                    "id": site.id,
                    "name": site.name,
                    "commune": site.commune,
                    "lat": site.lat,
                    "lon": site.lon,
                    "core": site.core,
                    "data_center": site.id in centers,
                }
                for site in sites
            ],
            "assets": [
                [asset.id, asset.kind, index[asset.site], asset.operator]
                for asset in assets
                if asset.kind != "span"
            ],
            "spans": [
                [asset.id, index[asset.site], index[asset.far_site]]
                for asset in assets
                if asset.kind == "span"
            ],
        },
        "catalog": {
            "version": catalog.version,
            "domains": {
                name: {"title": domain.title.model_dump(), "kinds": list(domain.kinds)}
                for name, domain in catalog.domains.items()
            },
            "kinds": {
                name: kind_view(catalog.domain_of[name], kind).model_dump(mode="json")
                for name, kind in catalog.kinds.items()
            },
        },
        "assets": {asset.id: msgspec.to_builtins(asset) for asset in assets},
        "plan": profile["plan"],
    }
    sys.stdout.buffer.write(msgspec.json.encode(document))


if __name__ == "__main__":
    main()
