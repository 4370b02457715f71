"""Extract a folder of photos on a Ray cluster, or on the processors of this machine; see featurize/README.md.

    pip install ray
    python examples/on_ray.py PHOTOS STORE TABLE.parquet [--features inception_v3 glcm]

All nodes reach PHOTOS and STORE under the same name: a shared folder, or s3://.
"""

import argparse
from pathlib import Path

import ray

from featurize import assemble_parts, extract_part, source_parts


@ray.remote(max_retries=3)
def extract_there(part, features, store):
    """One part; Ray runs it again elsewhere if its worker dies."""
    return extract_part(part, features, store=store, jobs=1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("photos")
    parser.add_argument("store")
    parser.add_argument("table", type=Path)
    parser.add_argument("--features", nargs="+", default=["inception_v3"])
    args = parser.parse_args()
    ray.init()  # address="auto" on a node of a cluster
    parts = source_parts(args.photos)
    results = ray.get([extract_there.remote(part, args.features, args.store) for part in parts])
    table = assemble_parts(args.photos, results, args.features, store=args.store)
    table.write(args.table)
    print(table)


if __name__ == "__main__":
    main()
